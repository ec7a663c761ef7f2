"""Uploads and downloads of two blocks (python-snap7 3.x); their hashes go to a file.

Usage: s7_blocks.py ADDRESS VALUES
"""

import hashlib
import json
import sys

from snap7.client import Client


def main() -> None:
    client = Client()
    client.connect(sys.argv[1], 0, 1)
    blocks = []
    for number in (1, 2):
        data = bytes(client.upload(number))
        blocks.append({"block": f"DB{number}", "way": "upload", "sha256": hashlib.sha256(data).hexdigest()})
        changed = bytes(byte ^ 0x55 for byte in data[:200]) + data[200:300]
        client.download(bytearray(changed), number)
        blocks.append({"block": f"DB{number}", "way": "download", "sha256": hashlib.sha256(changed).hexdigest()})
    client.disconnect()
    with open(sys.argv[2], "w") as file:
        json.dump({"blocks": blocks}, file, indent=2)
        file.write("\n")


main()
