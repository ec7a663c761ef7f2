"""Object headers and the size of what stands behind them, compiled."""

from typing import Any, Final

import numpy as np

from otmon.protocols.dnp3.objects import (
    ROW_OF_GROUP,
    SIZE_ATTRIBUTE,
    SIZE_OCTETS,
    SIZE_PACKED,
    SIZES,
    UNKNOWN,
    VARIATIONS,
)
from otmon.wire.loads import jit, le16, le32, u8

MAX_HEADERS: Final = 2_048
"""Object headers read in one fragment (Suricata's bound)."""
RANGE_ALL: Final = 6
RANGE_FREE: Final = 11
SIZE_PREFIX: Final = 4
"""Prefix codes from here on (4, 5, 6) give each object's size, those below (1, 2, 3) its index."""
LAST_PREFIX: Final = 6
_WIDTHS: Final = [1, 2, 4, 0, 0, 0, 0, 1, 2, 4, 0, 1, 0, 0, 0, 0]
WIDTHS: Final = np.array(_WIDTHS, np.int64)
"""Octets of a start, stop or count by range code; 0: none, or reserved (3 to 5, virtual addresses, are obsolete)."""
WIDTHS.flags.writeable = False
PREFIX_WIDTHS: Final = np.array([0, 1, 2, 4, 1, 2, 4, 0], np.int64)
PREFIX_WIDTHS.flags.writeable = False


@jit
def load(buf: Any, at: int, width: int) -> int:
    """Unsigned little-endian number of 1, 2 or 4 octets."""
    if width == 1:
        return int(u8(buf, at))
    if width == 2:
        return int(le16(buf, at))
    return int(le32(buf, at))


@jit
def read_header(buf: Any, at: int, end: int) -> tuple[int, int, int, int]:
    """(offset behind the header, first, last, count); first is -1 if it gives no range, the offset if unreadable."""
    if at + 3 > end:
        return -1, -1, -1, 0
    qualifier = u8(buf, at + 2)
    prefix, form = qualifier >> 4, qualifier & 15
    at += 3
    if form == RANGE_ALL and prefix == 0:
        return at, -1, -1, 0
    width: int = WIDTHS[form]
    if width == 0 or prefix > LAST_PREFIX or (form == RANGE_FREE and prefix < SIZE_PREFIX):
        return -1, -1, -1, 0
    if form < RANGE_ALL:
        if prefix or at + 2 * width > end:
            return -1, -1, -1, 0
        first, last = load(buf, at, width), load(buf, at + width, width)
        if last < first:
            return -1, -1, -1, 0
        return at + 2 * width, first, last, last - first + 1
    if at + width > end:
        return -1, -1, -1, 0
    return at + width, -1, -1, load(buf, at, width)


@jit
def object_size(group: int, variation: int) -> int:
    """Octets of one object, or SIZE_PACKED, SIZE_PACKED2, SIZE_ATTRIBUTE or UNKNOWN."""
    if group == 0:
        variation = 1
    size = UNKNOWN
    if variation < VARIATIONS:
        size = int(SIZES[ROW_OF_GROUP[group] * VARIATIONS + variation])
    elif 110 <= group <= 113:
        return variation
    return variation if size == SIZE_OCTETS else size


@jit
def object_end(buf: Any, at: int, end: int, size: int, width: int, count: int) -> int:
    """Offset behind `count` objects of `size`, -1 if that cannot be said or lies beyond `end`.

    If `width` is not 0, each object has its size before it, in so many octets.
    """
    if width > 0 or size == SIZE_ATTRIBUTE:
        # Of an attribute the second octet tells the length.
        head = width if width > 0 else 2
        while count > 0:
            at += head
            if at > end:
                return -1
            at += load(buf, at - width, width) if width > 0 else u8(buf, at - 1)
            count -= 1
    elif size >= 0:
        at += count * size
    elif count > 0:
        if size == UNKNOWN:
            return -1
        at += (count + 7) >> 3 if size == SIZE_PACKED else (count + 3) >> 2
    return at if at <= end else -1
