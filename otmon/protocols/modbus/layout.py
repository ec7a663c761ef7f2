"""Which lengths and counts an ADU of each function can have, as a request and as a response (compiled)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from otmon.protocols.modbus.tables import (
    FUNCTIONS,
    LAST_DIAGNOSTIC,
    LAST_EXCEPTION,
    MEI_DEVICE_ID,
    UMAS_ERROR,
)
from otmon.wire.loads import be16, jit, jit_inline, u8


def _table(rows: dict[int, int]) -> Sequence[int]:
    table: Any = np.zeros(128, np.int64)
    for code, value in rows.items():
        table[code] = value
    table.flags.writeable = False
    frozen: Sequence[int] = table
    return frozen


# Layout of an ADU by function: n > 0 exactly n bytes; n < 0 a count byte at -n, the ADU ends behind what it counts;
# 0 neither, see asks and answers.
_REQUESTS = _table({
    **dict.fromkeys((1, 2, 3, 4, 5, 6), 12),
    **dict.fromkeys((7, 11, 12, 17), 8),
    **dict.fromkeys((15, 16), -12),
    **dict.fromkeys((20, 21), -8),
    22: 14, 23: -16, 24: 10,
})  # fmt: skip
_RESPONSES = _table({
    **dict.fromkeys((1, 2, 3, 4, 12, 17, 20, 21, 23), -8),
    **dict.fromkeys((5, 6, 11, 15, 16), 12),
    7: 9, 22: 14,
})  # fmt: skip
_NAMED = _table(dict.fromkeys(FUNCTIONS, 1))


@jit_inline
def _counted(buf: Any, start: int, end: int, layout: int) -> bool:
    at = start - layout
    return at < end and at + 1 + u8(buf, at) == end


@jit
def _walks_records(buf: Any, start: int, end: int) -> bool:
    # CVE-2022-20685: record lengths that wrap a counter. Here each step is at least 7 and ends at `end` or fails.
    at = start + 9
    while at + 7 <= end:
        at += 7 + 2 * be16(buf, at + 5)
    return at == end


@jit
def _walks_groups(buf: Any, start: int, end: int) -> bool:
    at = start + 9
    while at < end:
        if u8(buf, at) == 0:
            return False
        at += 1 + u8(buf, at)
    return at == end


@jit
def _walks_objects(buf: Any, start: int, end: int) -> bool:
    at = start + 14
    if at > end:
        return False
    left = u8(buf, start + 13)
    while left > 0 and at + 2 <= end:
        at += 2 + u8(buf, at + 1)
        left -= 1
    return left == 0 and at == end


@jit_inline
def asks(buf: Any, start: int, end: int, code: int) -> bool:
    """Whether an ADU of this length and these counts can be a request."""
    if code > 127:
        return False
    size = end - start
    layout = _REQUESTS[code]
    if layout > 0:
        return size == layout
    if layout < 0:
        if not _counted(buf, start, end, layout):
            return False
        if code == 20:
            return (size - 9) % 7 == 0
        return code != 21 or bool(_walks_records(buf, start, end))
    if code == 8:
        return size >= 10
    if code == 43:
        return size >= 9 and (u8(buf, start + 8) != MEI_DEVICE_ID or size == 11)
    if code == 90:
        return size >= 10 and u8(buf, start + 9) < UMAS_ERROR
    return True


@jit_inline
def answers(buf: Any, start: int, end: int, code: int) -> bool:
    """Whether it can be a response."""
    size = end - start
    if code > 127:
        return size == 9
    layout = _RESPONSES[code]
    if layout > 0:
        return size == layout
    if layout < 0:
        if not _counted(buf, start, end, layout):
            return False
        if code == 3 or code == 4 or code == 23:
            return (size - 9) % 2 == 0
        if code == 12:
            return size >= 15
        if code == 20:
            return bool(_walks_groups(buf, start, end))
        return code != 21 or bool(_walks_records(buf, start, end))
    if code == 8 or code == 90:
        return size >= 10
    if code == 24:
        return size >= 12 and size % 2 == 0 and be16(buf, start + 8) == size - 10
    if code == 43:
        return size >= 9 and (u8(buf, start + 8) != MEI_DEVICE_ID or bool(_walks_objects(buf, start, end)))
    return True


@jit_inline
def certain(buf: Any, start: int, code: int) -> bool:
    """Whether a layout that fits also proves something: many bytes fit where nothing is fixed."""
    if code > 127:
        return _NAMED[code & 127] == 1 and 0 < u8(buf, start + 8) <= LAST_EXCEPTION
    if code == 8:
        return be16(buf, start + 8) <= LAST_DIAGNOSTIC
    if code == 43:
        return u8(buf, start + 8) == MEI_DEVICE_ID
    return _NAMED[code] == 1 and code != 90
