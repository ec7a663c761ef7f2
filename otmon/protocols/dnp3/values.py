"""Objects as plain values: each field of a layout (otmon.protocols.dnp3.objects) has one reader here."""

import math
import struct
from collections.abc import Callable
from typing import Any, Final

from otmon.protocols.dnp3.tables import CONTROL_OPERATIONS, CONTROL_STATUS, TRIP_CLOSE
from otmon.text import safe_text

_COMMON: Final = ("online", "restart", "comm_lost", "remote_forced", "local_forced")
FLAGS: Final[dict[str, tuple[str, ...]]] = {
    "binary": (*_COMMON, "chatter_filter", "reserved_6"),
    "double": (*_COMMON, "chatter_filter"),
    "output": (*_COMMON, "reserved_5", "reserved_6"),
    "counter": (*_COMMON, "rollover", "discontinuity", "reserved_7"),
    "frozen": (*_COMMON, "rollover", "discontinuity", "reserved_7"),
    "analog": (*_COMMON, "over_range", "reference_error", "reserved_7"),
    "security": (*_COMMON, "reserved_5", "discontinuity", "reserved_7"),
}
"""Names of the quality bits, lowest first; bits above them are the state."""


def number(value: float) -> float | str:
    """JSON has no NaN and no infinity."""
    return value if math.isfinite(value) else repr(value)


def _plain(name: str, form: str) -> Callable[[bytes], dict[str, Any]]:
    return lambda raw: {name: number(struct.unpack(form, raw)[0])}


def _little(name: str) -> Callable[[bytes], dict[str, Any]]:
    return lambda raw: {name: int.from_bytes(raw, "little")}


def _flags(kind: str) -> Callable[[bytes], dict[str, Any]]:
    names = FLAGS[kind]

    def read(raw: bytes) -> dict[str, Any]:
        point: dict[str, Any] = {"flags": [name for bit, name in enumerate(names) if raw[0] >> bit & 1]}
        if len(names) < 8:
            point["value"] = raw[0] >> len(names)
        return point

    return read


def _status(raw: bytes) -> dict[str, Any]:
    code = raw[0] & 0x7F
    return {"status": code, "status_name": CONTROL_STATUS.get(code, "reserved")}


def _command(raw: bytes) -> dict[str, Any]:
    return {**_status(raw), "value": raw[0] >> 7}


def _crob(raw: bytes) -> dict[str, Any]:
    code, count, on_ms, off_ms, _ = struct.unpack("<BBIIB", raw)
    return {
        "control_code": code,
        "operation": CONTROL_OPERATIONS.get(code & 15, "reserved"),
        "queue": bool(code & 0x10),
        "clear": bool(code & 0x20),
        "trip_close": TRIP_CLOSE[code >> 6],
        "repeat": count,
        "on_ms": on_ms,
        "off_ms": off_ms,
        **_status(raw[10:]),
    }


def _bcd(raw: bytes) -> dict[str, Any]:
    digits = raw[::-1].hex()
    return {"value": int(digits) if digits.isdecimal() else None, "raw": raw.hex()}


READERS: Final[dict[str, Callable[[bytes], dict[str, Any]]]] = {
    **{kind: _flags(kind) for kind in FLAGS},
    "status": _status,
    "command": _command,
    "crob": _crob,
    "u8": _little("value"),
    "u16": _little("value"),
    "u32": _little("value"),
    "i16": _plain("value", "<h"),
    "i32": _plain("value", "<i"),
    "f32": _plain("value", "<f"),
    "f64": _plain("value", "<d"),
    "time": _little("time_ms"),
    "relative": _little("relative_ms"),
    "seconds": _little("delay_s"),
    "milliseconds": _little("delay_ms"),
    "interval": _little("interval"),
    "units": _little("interval_units"),
    "user": _little("user"),
    "sequence": _little("sequence"),
    "association": _little("association"),
    "fill": lambda raw: {"fill_percent": raw[0] & 0x7F, "overflow": bool(raw[0] >> 7)},
    "group": _little("group"),
    "variation": _little("variation"),
    "bcd2": _bcd,
    "bcd4": _bcd,
    "bcd8": _bcd,
    "bits8": _little("value"),
}

_TEXT, _UINT, _INT, _FLOAT, _TIME = 1, 2, 3, 4, 7


def attribute(kind: int, raw: bytes) -> Any:
    """Value of a device attribute (group 0) by its type code."""
    if kind == _TEXT:
        return safe_text(raw)
    if kind == _UINT and len(raw) <= 8:
        return int.from_bytes(raw, "little")
    if kind == _INT and len(raw) <= 8:
        return int.from_bytes(raw, "little", signed=True)
    if kind == _FLOAT and len(raw) in (4, 8):
        return number(struct.unpack("<f" if len(raw) == 4 else "<d", raw)[0])
    if kind == _TIME and len(raw) == 6:
        return int.from_bytes(raw, "little")
    return raw.hex()
