"""Values of every kind by the native Snap7 client, each written and read back; what they were goes to a file.

Usage: s7_values.py ADDRESS VALUES
"""

import ctypes
import json
import struct
import sys
from datetime import datetime
from typing import Any

from snap7.client import Client
from snap7.type import Block, S7DataItem

AREAS = {"I": 0x81, "Q": 0x82, "M": 0x83, "DB1": 0x84, "C": 0x1C, "T": 0x1D}
WORD_LENGTHS = {
    "bit": (0x01, "B"),
    "byte": (0x02, "B"),
    "char": (0x03, "c"),
    "word": (0x04, "H"),
    "int": (0x05, "h"),
    "dword": (0x06, "I"),
    "dint": (0x07, "i"),
    "real": (0x08, "f"),
    "counter": (0x1C, "H"),
    "timer": (0x1D, "H"),
}
"""Name -> Snap7's word length, how one element is packed."""
WRITTEN: list[tuple[str, str, int, list[Any]]] = [
    ("DB1", "bit", 8 * 100 + 3, [1]),
    ("M", "bit", 8 * 7 + 5, [1]),
    ("DB1", "byte", 10, [200]),
    ("DB1", "word", 20, [0xBEEF]),
    ("DB1", "word", 22, [1, 2, 65535]),
    ("DB1", "int", 30, [-12345, 7, -1]),
    ("DB1", "dword", 40, [0xDEADBEEF]),
    ("DB1", "dint", 50, [-100000, 100000]),
    ("DB1", "real", 60, [3.5, -0.125]),
    ("M", "int", 40, [-2]),
    ("Q", "byte", 3, [0x5A]),
    ("I", "word", 4, [4660]),
    ("C", "counter", 2, [0x0123, 0x0456]),
    ("T", "timer", 1, [0x2100]),
]
"""Space, kind, first element (bits for bits, else bytes; numbers of counters and timers), values."""


def packed(kind: str, values: list[Any]) -> bytes:
    form = WORD_LENGTHS[kind][1]
    return struct.pack(f">{len(values)}{form}", *values)


def exchange(client: Client, write: bool, space: str, kind: str, start: int, values: list[Any]) -> bytes:
    """One request; what was read or written as it was on the wire."""
    data = ctypes.create_string_buffer(packed(kind, values), len(packed(kind, values)))
    call = client._lib.Cli_WriteArea if write else client._lib.Cli_ReadArea
    where = (AREAS[space], 1 if space == "DB1" else 0, start, len(values), WORD_LENGTHS[kind][0])
    code = call(client._s7_client, *where, ctypes.byref(data))
    if code:
        raise RuntimeError(f"{space} {kind} {start}: 0x{code:x}")
    return data.raw


def several(client: Client, write: bool) -> None:
    """Four items in one request."""
    rows = [row for row in WRITTEN if row[0] == "DB1" and row[1] in ("word", "dint", "real")]
    items = (S7DataItem * len(rows))()
    held = []
    for item, (_, kind, start, values) in zip(items, rows, strict=True):
        raw = packed(kind, values)
        held.append(ctypes.create_string_buffer(raw, len(raw)))
        item.Area, item.WordLen, item.DBNumber = AREAS["DB1"], WORD_LENGTHS[kind][0], 1
        item.Start, item.Amount = start, len(values)
        item.pData = ctypes.cast(held[-1], ctypes.POINTER(ctypes.c_uint8))
    call = client._lib.Cli_WriteMultiVars if write else client._lib.Cli_ReadMultiVars
    if code := call(client._s7_client, ctypes.byref(items), len(rows)):
        raise RuntimeError(f"several: 0x{code:x}")


def main() -> None:
    client = Client()
    client.connect(sys.argv[1], 0, 1)
    wrong = []
    for row in WRITTEN:
        exchange(client, True, *row)
        if exchange(client, False, *row) != packed(*row[1::2]):
            wrong.append(row)
    several(client, True)
    several(client, False)
    clock = datetime(2031, 7, 4, 12, 34, 56)
    client.set_plc_datetime(clock)
    client.get_plc_datetime()
    counts = client.list_blocks()
    numbers = list(client.list_blocks_of_type(Block.DB, 64))
    client.set_session_password("secret7!")
    client.clear_session_password()
    client.delete(Block.DB, 2)
    client.plc_stop()
    client.plc_hot_start()
    client.plc_stop()
    client.plc_cold_start()
    client.copy_ram_to_rom(1000)
    client.compress(1000)
    client.disconnect()
    told = {
        "written": [{"space": s, "kind": k, "start": n, "values": v} for s, k, n, v in WRITTEN],
        "clock": clock.isoformat(timespec="milliseconds"),
        "blocks": {name.removesuffix("Count"): getattr(counts, name) for name, _ in counts._fields_},
        "db_numbers": [number for number in numbers if number],
        "password_bytes": 8,
        "services": ["_DELE", "P_PROGRAM", "P_PROGRAM", "_MODU", "_GARB"],
        "not_read_back": [f"{s} {k} {n}" for s, k, n, _ in wrong],
    }
    with open(sys.argv[2], "w") as file:
        json.dump(told, file, indent=2)
        file.write("\n")


main()
