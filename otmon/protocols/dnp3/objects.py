"""The object library (IEEE 1815-2012, Annex A): what each group and variation is made of, as one table.

A layout is a row of fields; sizes for the compiled walk come from the same table. To add an object, add its row.
"""

import struct
from typing import Any, Final

import numpy as np

PACKED: Final = "packed"
"""One bit a point, lowest first."""
PACKED2: Final = "packed2"
"""Two bits a point."""
ATTRIBUTE: Final = "attribute"
"""Type octet, length octet, value (group 0)."""
OCTETS: Final = "octets"
"""As many octets as the variation says."""
SIZED: Final = "sized"
"""Of a length only the header can give (prefix codes 4 to 6)."""
EMPTY: Final = ""
"""No data, only ever named."""

FIELD_FORMS: Final[dict[str, str]] = {
    **dict.fromkeys(
        ("binary", "double", "output", "counter", "frozen", "analog", "security", "status", "command"), "B"
    ),
    **dict.fromkeys(("u8", "units", "fill", "group", "variation", "bits8"), "B"),
    **dict.fromkeys(("u16", "relative", "seconds", "milliseconds", "user", "association"), "H"),
    **dict.fromkeys(("u32", "interval", "sequence"), "I"),
    "i16": "h",
    "i32": "i",
    "f32": "f",
    "f64": "d",
    "f80": "10s",
    "time": "6s",
    "crob": "11s",
    "bcd2": "2s",
    "bcd4": "4s",
    "bcd8": "8s",
}
"""Field of a layout -> its form for `struct`."""

_ANALOG_EVENT: Final = ("i32", "i16", "i32 time", "i16 time", "f32", "f64", "f32 time", "f64 time")
_COUNTER: Final = ("counter u32", "counter u16", "counter u32", "counter u16")


def _rows(*layouts: str) -> dict[int, str]:
    """Variations from 1; variation 0 ("any") is only ever named."""
    return {0: EMPTY, **dict(enumerate(layouts, 1))}


def _flagged(flags: str, layouts: tuple[str, ...]) -> dict[int, str]:
    return _rows(*(f"{flags} {layout}" for layout in layouts))


GROUPS: Final[dict[int, tuple[str, dict[int, str]]]] = {
    0: ("device_attribute", dict.fromkeys(range(256), ATTRIBUTE)),
    1: ("binary_input", _rows(PACKED, "binary")),
    2: ("binary_input_event", _rows("binary", "binary time", "binary relative")),
    3: ("double_bit_input", _rows(PACKED2, "double")),
    4: ("double_bit_input_event", _rows("double", "double time", "double relative")),
    10: ("binary_output", _rows(PACKED, "output")),
    11: ("binary_output_event", _rows("output", "output time")),
    12: ("binary_command", _rows("crob", "crob", PACKED)),
    13: ("binary_command_event", _rows("command", "command time")),
    20: ("counter", _rows(*_COUNTER, "u32", "u16", "u32", "u16")),
    21: (
        "frozen_counter",
        _rows(
            "frozen u32",
            "frozen u16",
            "frozen u32",
            "frozen u16",
            "frozen u32 time",
            "frozen u16 time",
            "frozen u32 time",
            "frozen u16 time",
            "u32",
            "u16",
            "u32",
            "u16",
        ),
    ),
    22: ("counter_event", _rows(*_COUNTER, *(f"{layout} time" for layout in _COUNTER))),
    23: ("frozen_counter_event", _rows(*_COUNTER, *(f"{layout} time" for layout in _COUNTER))),
    30: ("analog_input", _rows("analog i32", "analog i16", "i32", "i16", "analog f32", "analog f64")),
    31: (
        "frozen_analog_input",
        _rows(
            "analog i32",
            "analog i16",
            "analog i32 time",
            "analog i16 time",
            "i32",
            "i16",
            "analog f32",
            "analog f64",
        ),
    ),
    32: ("analog_input_event", _flagged("analog", _ANALOG_EVENT)),
    33: ("frozen_analog_input_event", _flagged("analog", _ANALOG_EVENT)),
    34: ("analog_deadband", _rows("u16", "u32", "f32")),
    40: ("analog_output_status", _flagged("analog", ("i32", "i16", "f32", "f64"))),
    41: ("analog_output", _rows("i32 status", "i16 status", "f32 status", "f64 status")),
    42: ("analog_output_event", _flagged("analog", _ANALOG_EVENT)),
    43: ("analog_command_event", _flagged("status", _ANALOG_EVENT)),
    50: ("time_and_date", _rows("time", "time interval", "time", "time interval units")),
    51: ("common_time", _rows("time", "time")),
    52: ("time_delay", _rows("seconds", "milliseconds")),
    60: ("class_data", _rows(EMPTY, EMPTY, EMPTY, EMPTY)),
    70: ("file", _rows(*[SIZED] * 8)),
    80: ("internal_indications", _rows(PACKED)),
    81: ("device_storage", _rows("fill group variation")),
    82: ("device_profile", _rows(SIZED)),
    83: ("private_registration", _rows(SIZED, SIZED)),
    85: ("data_set_prototype", _rows(SIZED)),
    86: ("data_set_descriptor", _rows(SIZED, "bits8", SIZED)),
    87: ("data_set", _rows(SIZED)),
    88: ("data_set_event", _rows(SIZED)),
    90: ("application", _rows(SIZED)),
    91: ("active_configuration_status", _rows(SIZED)),
    100: ("floating_point", _rows("f32", "f64", "f80")),
    101: ("binary_coded_decimal", _rows("bcd2", "bcd4", "bcd8")),
    102: ("unsigned_integer", _rows("u8")),
    110: ("octet_string", dict.fromkeys(range(256), OCTETS)),
    111: ("octet_string_event", dict.fromkeys(range(256), OCTETS)),
    112: ("virtual_terminal_output", dict.fromkeys(range(256), OCTETS)),
    113: ("virtual_terminal_event", dict.fromkeys(range(256), OCTETS)),
    120: (
        "authentication",
        _rows(*[SIZED] * 2, "sequence user", "user", *[SIZED] * 11),
    ),
    121: ("security_statistic", _rows("security association u32")),
    122: ("security_statistic_event", _rows("security association u32", "security association u32 time")),
}
"""Group -> (name, variation -> layout)."""

UNKNOWN: Final = -1
SIZE_PACKED: Final = -2
SIZE_PACKED2: Final = -3
SIZE_ATTRIBUTE: Final = -4
SIZE_OCTETS: Final = -5
_SPECIAL: Final = {
    PACKED: SIZE_PACKED,
    PACKED2: SIZE_PACKED2,
    ATTRIBUTE: SIZE_ATTRIBUTE,
    OCTETS: SIZE_OCTETS,
    SIZED: UNKNOWN,
}
VARIATIONS: Final = 16
"""Variations from here on have the size of variation 15 in groups 0 and 110-113, else none."""


def layout_of(group: int, variation: int) -> str | None:
    """Layout of an object, None if it is not known."""
    return GROUPS[group][1].get(variation) if group in GROUPS else None


def form_of(layout: str) -> struct.Struct:
    """How an object of this layout stands in its octets."""
    return struct.Struct("<" + "".join(FIELD_FORMS[field] for field in layout.split()))


def size_of(group: int, variation: int) -> int:
    """Octets of one object, or one of the SIZE_* marks, or UNKNOWN."""
    layout = layout_of(group, variation)
    if layout is None:
        return UNKNOWN
    return _SPECIAL[layout] if layout in _SPECIAL else form_of(layout).size


def _arrays() -> tuple[Any, Any]:
    rows = np.zeros(256, np.int16)
    sizes = [UNKNOWN] * VARIATIONS
    for row, group in enumerate(sorted(GROUPS), 1):
        rows[group] = row
        sizes += [size_of(group, variation) for variation in range(VARIATIONS)]
    table = np.array(sizes, np.int16)
    for array in (rows, table):
        array.flags.writeable = False
    return rows, table


_ARRAYS: Final = _arrays()
ROW_OF_GROUP: Final = _ARRAYS[0]
SIZES: Final = _ARRAYS[1]
"""The table for compiled code: SIZES[ROW_OF_GROUP[group] * VARIATIONS + variation]; row 0 is all UNKNOWN."""
