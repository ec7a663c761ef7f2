"""An S7 server: python-snap7 2.x is the native Snap7, 3.x its Python successor. Usage: s7_server.py ADDRESS"""

import ctypes
import sys
import time

from snap7.server import Server
from snap7.type import SrvArea

AREAS = (("DB", 1, 1024), ("DB", 2, 256), ("PA", 0, 128), ("PE", 0, 128), ("MK", 0, 512), ("TM", 0, 64), ("CT", 0, 64))

server = Server()
memory = []
for name, number, size in AREAS:
    area = (ctypes.c_uint8 * size)(*(n * 7 % 251 for n in range(size)))
    memory.append(area)
    server.register_area(getattr(SrvArea, name), number, area)
server.start_to(sys.argv[1], 102)
while True:
    event = server.pick_event()
    if event:
        print(server.event_text(event), flush=True)
    else:
        time.sleep(0.05)
