"""A whole upload and a whole download of DB1 (python-snap7 3.x). Usage: s7_program.py ADDRESS"""

import sys

from snap7.client import Client

client = Client()
client.connect(sys.argv[1], 0, 1)
block = client.upload(1)
print("uploaded", len(block))
client.download(block[:400], 1)
client.disconnect()
