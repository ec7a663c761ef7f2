"""What the native Snap7 client can ask: areas, multi-variable reads, identity, blocks, password, stop and start.

Usage: s7_tour.py ADDRESS
"""

import ctypes
import sys
import time
from collections.abc import Callable

from snap7.client import Client
from snap7.type import Area, Block, S7DataItem, WordLen


def read_three(client: Client) -> None:
    items = (S7DataItem * 3)()
    for item, (number, start, size) in zip(items, ((1, 0, 4), (1, 10, 8), (2, 0, 2)), strict=True):
        buffer = ctypes.create_string_buffer(size)
        item.Area, item.WordLen = Area.DB.value, WordLen.Byte.value
        item.DBNumber, item.Start, item.Amount = number, start, size
        item.pData = ctypes.cast(ctypes.pointer(buffer), ctypes.POINTER(ctypes.c_uint8))
    client.read_multi_vars(items)


def mc7_block(number: int, size: int = 80) -> bytearray:
    block = bytearray(size)
    block[0:6] = b"pp\x01\x01\x05\x0a"
    block[6:8] = number.to_bytes(2, "big")
    block[8:12] = size.to_bytes(4, "big")
    block[34:36] = (20).to_bytes(2, "big")
    return block


def attempt(name: str, action: Callable[..., object], *arguments: object) -> None:
    """What the server refuses is on the wire all the same, and is wanted there."""
    try:
        print(name, str(action(*arguments))[:80])
    except RuntimeError as refusal:
        print(name, "refused:", str(refusal)[:80])


def main() -> None:
    client = Client()
    client.connect(sys.argv[1], 0, 1)
    client.db_read(1, 0, 16)
    client.db_write(1, 0, bytearray(b"\x01\x02\x03\x04"))
    client.db_read(1, 0, 1000)
    client.mb_read(0, 4)
    client.mb_write(0, 4, bytearray(4))
    client.eb_read(0, 4)
    client.ab_write(0, bytearray(2))
    client.tm_read(0, 2)
    client.ct_read(0, 2)
    read_three(client)
    attempt("read past the end of DB2", client.db_read, 2, 250, 20)
    client.get_cpu_state()
    client.get_cpu_info()
    client.get_cp_info()
    client.get_order_code()
    client.get_protection()
    client.read_szl_list()
    client.list_blocks()
    client.list_blocks_of_type(Block.DB, 64)
    client.get_block_info(Block.DB, 1)
    attempt("upload", client.upload, 1)
    attempt("full upload", client.full_upload, Block.DB, 1)
    attempt("download", client.download, mc7_block(1), 1)
    attempt("delete", client.delete, Block.DB, 2)
    client.get_plc_datetime()
    client.set_plc_system_datetime()
    client.set_session_password("example")
    client.clear_session_password()
    attempt("copy RAM to ROM", client.copy_ram_to_rom, 1000)
    attempt("compress", client.compress, 1000)
    client.plc_stop()
    time.sleep(0.2)
    client.get_cpu_state()
    client.plc_cold_start()
    time.sleep(0.2)
    client.plc_hot_start()
    client.get_cpu_state()
    client.disconnect()


main()
