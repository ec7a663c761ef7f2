"""Objects as plain values: what each field of a layout (otmon.protocols.dnp3.objects) says."""

import math
import struct
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Final

from otmon.protocols.dnp3.objects import form_of
from otmon.protocols.dnp3.tables import CONTROL_OPERATIONS, CONTROL_STATUS, DOUBLE_BIT_STATES, INTERVALS, TRIP_CLOSE

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
Make = Callable[[Any], dict[str, Any]]


def number(value: float) -> float | str:
    """JSON has no NaN and no infinity."""
    return value if math.isfinite(value) else repr(value)


def _flags(kind: str) -> Make:
    names = FLAGS[kind]
    table: list[dict[str, Any]] = []
    for octet in range(256):
        point: dict[str, Any] = {"flags": [name for bit, name in enumerate(names) if octet >> bit & 1]}
        if len(names) < 8:
            point["value"] = octet >> len(names)
        if kind == "double":
            point["state"] = DOUBLE_BIT_STATES[point["value"]]
        table.append(point)
    return table.__getitem__


def _status(octet: int) -> dict[str, Any]:
    code = octet & 0x7F
    return {"status": code, "status_name": CONTROL_STATUS.get(code, "reserved")}


def _command(octet: int) -> dict[str, Any]:
    return {**_status(octet), "value": octet >> 7}


def _crob(raw: bytes) -> dict[str, Any]:
    code, count, on_ms, off_ms, status = struct.unpack("<BBIIB", raw)
    return {
        "control_code": code,
        "operation": CONTROL_OPERATIONS.get(code & 15, "reserved"),
        "queue": bool(code & 0x10),
        "clear": bool(code & 0x20),
        "trip_close": TRIP_CLOSE[code >> 6],
        "repeat": count,
        "on_ms": on_ms,
        "off_ms": off_ms,
        **_status(status),
    }


def _bcd(raw: bytes) -> dict[str, Any]:
    digits = raw[::-1].hex()
    return {"value": int(digits) if digits.isdecimal() else None, "raw": raw.hex()}


def _extended(raw: bytes) -> dict[str, Any]:
    """80-bit float (IEEE 754 double extended): 64 bits of fraction, 15 of exponent, sign."""
    fraction, top = struct.unpack("<QH", raw)
    exponent = top & 0x7FFF
    try:
        value = math.ldexp(fraction, exponent - 16383 - 63) if exponent < 0x7FFF else math.inf
    except OverflowError:
        value = math.inf
    return {"value": number(-value if top >> 15 else value), "raw": raw.hex()}


def _named(name: str) -> Make:
    return lambda value: {name: value}


def _little(name: str) -> Make:
    return lambda raw: {name: int.from_bytes(raw, "little")}


def _float(value: float) -> dict[str, Any]:
    return {"value": number(value)}


CHARACTERISTICS: Final = ((1, "readable"), (2, "writable"), (4, "static"), (8, "event"), (16, "defined_by_master"))
"""Of a data set (g86v2)."""
FIELDS: Final[dict[str, Make]] = {
    **{kind: _flags(kind) for kind in FLAGS},
    "status": _status,
    "command": _command,
    "crob": _crob,
    "u8": _named("value"),
    "u16": _named("value"),
    "u32": _named("value"),
    "i16": _named("value"),
    "i32": _named("value"),
    "f32": _float,
    "f64": _float,
    "f80": _extended,
    "time": _little("time_ms"),
    "relative": _named("relative_ms"),
    "seconds": _named("delay_s"),
    "milliseconds": _named("delay_ms"),
    "interval": _named("interval"),
    "units": lambda code: {"interval_units": code, "interval_units_name": INTERVALS.get(code, "reserved")},
    "user": _named("user"),
    "sequence": _named("sequence"),
    "association": _named("association"),
    "fill": lambda octet: {"fill_percent": octet & 0x7F, "overflow": bool(octet >> 7)},
    "group": _named("group"),
    "variation": _named("variation"),
    "bcd2": _bcd,
    "bcd4": _bcd,
    "bcd8": _bcd,
    "bits8": lambda octet: {"value": octet, "characteristics": [n for b, n in CHARACTERISTICS if octet & b]},
}
"""Field of a layout -> what it adds to a point."""


@cache
def reader(layout: str) -> tuple[struct.Struct, tuple[Make, ...]]:
    """How to read an object of this layout: its octets, and what each field adds to the point."""
    return form_of(layout), tuple(FIELDS[field] for field in layout.split())


def points_of(makes: tuple[Make, ...], objects: Iterable[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """The fields of each object together."""
    if len(makes) == 2:  # most are a flag octet and a value
        first, second = makes
        return [{**first(one), **second(other)} for one, other in objects]
    points = []
    for values in objects:
        point: dict[str, Any] = {}
        for make, value in zip(makes, values, strict=True):
            point.update(make(value))
        points.append(point)
    return points
