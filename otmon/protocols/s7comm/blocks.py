"""Blocks: their names, lists, attributes, and their bytes in uploads and downloads.

A block begins with a header `pp`, which the answer to `block_info` repeats; the layout is that of Wireshark's fields
`s7comm.blockinfo.*`, which tests/protocols/test_s7comm_tshark.py compares.
"""

import hashlib
import struct
from typing import Any, Final

from otmon.protocols.s7comm.clock import block_time
from otmon.protocols.s7comm.tables import BLOCK_TYPES, FILE_SYSTEMS
from otmon.text import safe_text

NAME_CHARS: Final = 8
"""A block in a PI argument or a block request: type (2), number (5), file system (1)."""
HEADER_BYTES: Final = 36
_MAGIC: Final = b"pp"
_LANGUAGES: Final = {
    0: "undefined",
    1: "AWL",
    2: "KOP",
    3: "FUP",
    4: "SCL",
    5: "DB",
    6: "GRAPH",
    7: "SDB",
    8: "CPU-DB",
    17: "SDB after reset",
    18: "SDB of routing",
    41: "encrypted",
}
_KINDS: Final = {int(code, 16): name for code, name in BLOCK_TYPES.items()}
_INFO_BYTES: Final = 78
_MAX_LISTED: Final = 2_000


def block_type(raw: bytes) -> str | None:
    """`0A` -> `DB`."""
    return BLOCK_TYPES.get(raw.decode("latin-1"))


def block_kind(code: int) -> str | None:
    """0x0A -> `DB`."""
    return _KINDS.get(code)


def language(code: int) -> str | None:
    """Language a block was written in, by its number."""
    return _LANGUAGES.get(code)


def block_parts(raw: bytes) -> dict[str, Any]:
    """`0A00010P` -> type DB, number 10, file system passive; nothing of what does not look like a block."""
    kind = block_type(raw[:2])
    if kind is None or len(raw) < NAME_CHARS - 1 or not raw[2:7].isdigit():
        return {}
    system = raw[7:8].decode("latin-1")
    return {"block_type": kind, "block_number": int(raw[2:7]), "file_system": FILE_SYSTEMS.get(system)}


def block_name(raw: bytes) -> str:
    """`0A00010P` -> `DB10`; whatever does not look like a block as safe text."""
    parts = block_parts(raw)
    return f"{parts['block_type']}{parts['block_number']}" if parts else safe_text(raw)


def header(raw: bytes) -> dict[str, Any] | None:
    """The header at the start of a block; None if `raw` does not begin with one."""
    if len(raw) < HEADER_BYTES or raw[:2] != _MAGIC:
        return None
    _, attributes, code, kind, number, load = struct.unpack(">BBBBHI", raw[2:12])
    security, ssb, add, local, mc7 = struct.unpack(">I12xHHHH", raw[12:36])
    return {
        "attributes": attributes,
        "linked": bool(attributes & 1),
        "standard_block": bool(attributes & 2),
        "non_retain": bool(attributes & 8),
        "language": language(code),
        "language_raw": code,
        "block_type": block_kind(kind),
        "block_number": number,
        "load_memory_bytes": load,
        "protection": {0: "none", 3: "know_how"}.get(security, str(security)),
        "code_time": block_time(raw[16:22]),
        "interface_time": block_time(raw[22:28]),
        "ssb_bytes": ssb,
        "additional_bytes": add,
        "local_data_bytes": local,
        "mc7_bytes": mc7,
    }


def _text(raw: bytes) -> str:
    return safe_text(raw.split(b"\0", 1)[0].rstrip(b" "))


def info(payload: bytes) -> dict[str, Any]:
    """The answer to `block_info`."""
    if len(payload) < _INFO_BYTES:
        return {}
    author, family, name, version, checksum = struct.unpack(">8s8s8sBxH", payload[42:70])
    found = header(payload[6 : 6 + HEADER_BYTES])
    if found is None:
        return {}
    return {
        "info": found
        | {
            "author": _text(author),
            "family": _text(family),
            "name": _text(name),
            "version": f"{version >> 4}.{version & 15}",
            "checksum": checksum,
        }
    }


def counts(payload: bytes) -> dict[str, Any]:
    """The answer to `list_blocks`: how many of each type."""
    listed = [payload[i : i + 4] for i in range(0, len(payload) - 3, 4)]
    return {"blocks": {block_type(row[:2]) or safe_text(row[:2]): int.from_bytes(row[2:], "big") for row in listed}}


def listed(payload: bytes) -> dict[str, Any]:
    """The answer to `list_blocks_of_type`: number, flags and language of each."""
    rows = [struct.unpack(">HBB", payload[i : i + 4]) for i in range(0, len(payload) - 3, 4)]
    rows = rows[:_MAX_LISTED]
    return {"blocks": [{"block_number": n, "attributes": a, "language": language(code)} for n, a, code in rows]}


def part(content: bytes) -> dict[str, Any]:
    """A piece of a block in the data of a transfer (length, 0x00FB, bytes): the bytes, and their hash.

    A block in one piece is thereby hashed whole; pieces of a longer one are joined by whoever follows the transfer.
    """
    size = int.from_bytes(content[:2], "big")
    data = content[4 : 4 + size]
    found: dict[str, Any] = {"data_bytes": len(data), "data": data.hex(), "sha256": hashlib.sha256(data).hexdigest()}
    if len(data) < size:
        found["missing_bytes"] = size - len(data)
    head = header(data)
    return found if head is None else found | {"block_header": head}
