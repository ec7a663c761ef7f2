"""Address items beyond areas and bytes: numerical controls (NCK), drives, symbols of S7-1200 and S7-1500.

Layouts are those of Wireshark's fields `s7comm.param.item.nck.*`, `.driveesany.*` and `s7comm.tiap.item.*`.
"""

import struct
from typing import Any, Final

from otmon.protocols.s7comm.tables import SYNTAX

NCK_AREAS: Final = ("nck", "mode_group", "channel", "axis", "tool", "feed_drive", "main_drive", "mmc")
_NCK_MODULES: Final = {
    0x10: "Y", 0x11: "YNCFL", 0x12: "FU", 0x13: "FA", 0x14: "TO", 0x15: "RP", 0x16: "SE", 0x17: "SGUD", 0x18: "LUD",
    0x19: "TC", 0x1A: "M", 0x1C: "WAL", 0x1E: "DIAG", 0x1F: "CC", 0x20: "FE", 0x21: "TD", 0x22: "TS", 0x23: "TG",
    0x24: "TU", 0x25: "TUE", 0x26: "TV", 0x27: "TM", 0x28: "TP", 0x29: "TPM", 0x2A: "TT", 0x2B: "TMV", 0x2C: "TMC",
    0x2D: "MGUD", 0x2E: "UGUD", 0x2F: "GUD4", 0x30: "GUD5", 0x31: "GUD6", 0x32: "GUD7", 0x33: "GUD8", 0x34: "GUD9",
    0x35: "PA", 0x36: "GD1", 0x37: "NIB", 0x38: "ETP", 0x39: "ETPD", 0x3A: "SYNACT", 0x3B: "DIAGN", 0x3C: "VSYN",
    0x3D: "TUS", 0x3E: "TUM", 0x3F: "TUP", 0x40: "TF", 0x41: "FB", 0x42: "SSP2", 0x43: "PUD", 0x44: "TOS",
    0x45: "TOST", 0x46: "TOE", 0x47: "TOET", 0x48: "AD", 0x49: "TOT", 0x4A: "AEV", 0x4B: "YFAFL", 0x4C: "FS",
    0x4D: "SD", 0x4E: "TAD", 0x4F: "TAO", 0x50: "TAS", 0x51: "TAM", 0x52: "TAP", 0x53: "MEM", 0x54: "SALUC",
    0x55: "AUXFU", 0x56: "TDC", 0x57: "CP", 0x6E: "SDME", 0x6F: "SPARPI", 0x70: "SEGA", 0x71: "SEMA", 0x72: "SSP",
    0x73: "SGA", 0x74: "SMA", 0x75: "SALAL", 0x76: "SALAP", 0x77: "SALA", 0x78: "SSYNAC", 0x79: "SPARPF",
    0x7A: "SPARPP", 0x7B: "SNCF", 0x7D: "SPARP", 0x7E: "SINF", 0x7F: "S",
}  # fmt: skip
"""Names of a SINUMERIK's data modules (list of NC variables)."""
_SYMBOLIC_AREAS: Final = {0x50: "I", 0x51: "Q", 0x52: "M", 0x53: "C", 0x54: "T"}
DATA_BLOCK: Final = 0x8A0E
STEPS: Final = {
    2: "encapsulated_lid",
    3: "encapsulated_index",
    4: "by_lid",
    5: "by_index",
    6: "part_start",
    7: "part_length",
}
"""High nibble of a step: how its number leads further."""


def _nck(body: bytes) -> dict[str, Any]:
    if len(body) != 7:
        return {}
    where, column, line, module, lines = struct.unpack(">BHHBB", body)
    return {
        "area": NCK_AREAS[where >> 5],
        "unit": where & 31,
        "column": column,
        "line": line,
        "module": _NCK_MODULES.get(module),
        "module_raw": module,
        "lines": lines,
    }


def _drive(body: bytes) -> dict[str, Any]:
    if len(body) != 9:
        return {}
    first, second, third, parameter, index = struct.unpack(">BHHHH", body)
    return {"unknown": [first, second, third], "parameter": parameter, "index": index}


def _symbolic(body: bytes) -> dict[str, Any]:
    if len(body) < 9:
        return {}
    root, second, crc = struct.unpack(">HHI", body[1:9])
    area = f"DB{second}" if root == DATA_BLOCK else _SYMBOLIC_AREAS.get(second) if root == 0 else None
    steps = [word for (word,) in struct.iter_unpack(">I", body[9 : len(body) - (len(body) - 9) % 4])]
    return {
        "area": area,
        "area_raw_1": root,
        "area_raw_2": second,
        "crc": crc,
        "path": [{"step": STEPS.get(word >> 28, str(word >> 28)), "value": word & 0xFFFFFFF} for word in steps],
    }


_READERS: Final = {0x82: _nck, 0x83: _nck, 0x84: _nck, 0xA2: _drive, 0xB2: _symbolic}


def special_item(raw: bytes) -> dict[str, Any]:
    """An item `raw` of another syntax than areas and bytes; what is not understood stays as bytes alone."""
    syntax, reader = raw[2], _READERS.get(raw[2])
    item: dict[str, Any] = {"syntax": SYNTAX.get(syntax), "syntax_raw": syntax, "raw": raw.hex()}
    return item | reader(raw[3:]) if reader is not None and raw[0] == 0x12 else item
