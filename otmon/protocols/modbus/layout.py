"""Which lengths and counts an ADU of each function can have, as a request and as a response (compiled)."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from otmon.protocols.modbus.tables import (
    FUNCTIONS,
    HEADER_BYTES,
    LAST_DIAGNOSTIC,
    LAST_EXCEPTION,
    MAX_ADU_BYTES,
    MEI_DEVICE_ID,
    UMAS_ERROR,
)
from otmon.wire.loads import be16, jit, jit_inline, u8

ASKS: Final = 1
ANSWERS: Final = 2
CERTAIN: Final = 4
"""What `sides` says: it can be a request, it can be a response; and that it fits proves something."""

_RARE = 1 << 32
"""Of a request's layout: `_inside` knows more."""
_NAMED = 1 << 33
"""Of a request's layout: the function has a name."""
EVEN = 1 << 34
"""Registers are counted: two bytes each."""


_BITS = (1 << 12) - 1
_NO_LIMIT = _BITS
"""But that of every ADU, which `key` knows."""


def _layout(low: int, high: int = _NO_LIMIT, count_at: int = 0) -> int:
    """Lengths of an ADU from `low` to `high`; its end is behind what the byte at `count_at` (0: none) counts."""
    return low | high << 12 | count_at << 24


def frozen(table: list[int]) -> Sequence[int]:
    """A constant of the kernels."""
    words: Any = np.array(table, np.int64)
    words.flags.writeable = False
    rows: Sequence[int] = words
    return rows


def _layouts() -> Sequence[int]:
    """One row a function code for requests, then one for responses."""
    any_length, never = _layout(HEADER_BYTES), _layout(1, 0)
    asks = {
        **dict.fromkeys((1, 2, 3, 4, 5, 6), _layout(12, 12)),
        **dict.fromkeys((7, 11, 12, 17), _layout(8, 8)),
        **dict.fromkeys((15, 16), _layout(13, count_at=12)),
        **dict.fromkeys((20, 21), _layout(9, count_at=8)),
        **dict.fromkeys((8, 90), _layout(10)),
        22: _layout(14, 14), 23: _layout(17, count_at=16), 24: _layout(10, 10), 43: _layout(9),
    }  # fmt: skip
    answers = {
        **dict.fromkeys((1, 2, 17, 20, 21), _layout(9, count_at=8)),
        **dict.fromkeys((3, 4, 23), _layout(9, count_at=8) | EVEN),
        **dict.fromkeys((5, 6, 11, 15, 16), _layout(12, 12)),
        **dict.fromkeys((8, 90), _layout(10)),
        7: _layout(9, 9), 12: _layout(15, count_at=8), 22: _layout(14, 14), 24: _layout(12), 43: _layout(9),
    }  # fmt: skip
    rows = [asks.get(code, any_length) for code in range(128)] + [never] * 128
    rows += [answers.get(code, any_length) for code in range(128)] + [_layout(9, 9)] * 128
    for code in (8, 20, 21, 24, 43, 90, *range(128, 256)):
        rows[code] |= _RARE
    for code in FUNCTIONS:
        rows[code] |= _NAMED
        rows[code | 128] |= _NAMED
    return frozen(rows)


_LAYOUTS = _layouts()
_ANSWERED = 256


@jit
def asked(code: int) -> int:
    """Layout of a request's ADU; of a code with exception bit it is none."""
    return _LAYOUTS[code]


@jit
def answered(code: int) -> int:
    """Layout of a response's ADU."""
    return _LAYOUTS[_ANSWERED + code]


@jit
def named(code: int) -> bool:
    """Whether the function has a name; the exception bit does not matter."""
    return _LAYOUTS[code] & _NAMED != 0


@jit
def reading(layout: int) -> tuple[int, int, int]:
    """(shortest ADU, longest, offset of the byte that counts the rest; 0: none)."""
    return layout & _BITS, layout >> 12 & _BITS, layout >> 24 & 255


@jit
def _counted(buf: Any, start: int, end: int, layout: int) -> bool:
    size = end - start
    if size < layout & _BITS or size > layout >> 12 & _BITS:
        return False
    at = layout >> 24 & 255
    if at == 0:
        return True
    # All that a count byte counts in pairs stands behind byte 9.
    return start + at + 1 + u8(buf, start + at) == end and (layout & EVEN == 0 or size & 1 == 1)


@jit
def _walks(buf: Any, start: int, end: int, code: int) -> bool:
    """Whether records (21), groups (20, a response) or objects (43, a response) end where the ADU does."""
    # CVE-2022-20685: record lengths that wrap a counter. Here each step is at least 1 and ends at `end` or fails.
    at, left, head = start + 9, MAX_ADU_BYTES, 7 if code == 21 else 1
    if code == 43:
        if end - start < 14:
            return False
        at, left, head = start + 14, u8(buf, start + 13), 2
    while left > 0 and at + head <= end:
        at += head
        size = u8(buf, at - 1) if code != 21 else 2 * be16(buf, at - 2)
        if size == 0 and code == 20:
            return False
        at += size
        left -= 1
    return at == end and (code != 43 or left == 0)


@jit
def _inside(buf: Any, start: int, end: int, code: int) -> int:
    """ASKS, ANSWERS and CERTAIN as far as the fields of these functions leave them; the layout fits."""
    size = end - start
    first = u8(buf, start + 8)
    if code > 127:
        return ANSWERS | CERTAIN if 0 < first <= LAST_EXCEPTION else ANSWERS
    if code == 8:
        return ASKS | ANSWERS | (CERTAIN if be16(buf, start + 8) <= LAST_DIAGNOSTIC else 0)
    if code == 24:
        return ASKS | CERTAIN | (ANSWERS if size & 1 == 0 and be16(buf, start + 8) == size - 10 else 0)
    if code == 90:
        return ANSWERS | (ASKS if u8(buf, start + 9) < UMAS_ERROR else 0)
    if code == 43 and first != MEI_DEVICE_ID:
        return ASKS | ANSWERS
    fit = CERTAIN | (ANSWERS if _walks(buf, start, end, code) else 0)
    if code == 21:
        return fit | fit >> 1 & ASKS
    return fit | (ASKS if (size == 11 if code == 43 else (size - 9) % 7 == 0) else 0)


@jit_inline
def sides(buf: Any, start: int, end: int, code: int) -> int:
    """ASKS, ANSWERS (or both) and CERTAIN, if the ADU has the length and counts of such; 0 if of neither.

    Many bytes fit where nothing is fixed: they prove nothing.
    """
    asked = _LAYOUTS[code]
    fit = ASKS if _counted(buf, start, end, asked) else 0
    if _counted(buf, start, end, _LAYOUTS[_ANSWERED + code]):
        fit |= ANSWERS
    if fit and asked & _NAMED:
        fit |= CERTAIN
    if fit and asked & _RARE:
        fit &= _inside(buf, start, end, code)
    return fit if fit & (ASKS | ANSWERS) else 0
