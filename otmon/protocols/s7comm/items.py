"""Address items of read, write and cyclic requests: bytes to words (compiled), words to values.

An item is `0x12, length, syntax, ...`, padded to even length unless it is the last. In words:

- S7ANY: bits 0-7 0x10, 8-15 area, 16-31 block number, 32-47 count, 48-55 transport size; then the 24-bit address;
- DBREAD: one word an area: bits 0-7 0xB0, 8-15 bytes, 16-31 block number, 32-47 first byte;
- others (symbolic, NCK, drives): bits 0-7 0xFF, 8-15 syntax, 16-23 bytes that follow; then those in raw words;
- of a write, above the last field of S7ANY or DBREAD: by how much more is written there; 0 in place of an item:
  something that could not be read.
"""

from typing import Any, Final

import numpy as np

from otmon.limits import MAX_KEY_WORDS
from otmon.wire.contract import OUT_WORDS
from otmon.wire.loads import be16, be64, jit, u8
from otmon.wire.slots import put, put_raw

S7ANY: Final = 0x10
DBREAD: Final = 0xB0
RAW: Final = 0xFF
ANYTHING: Final = 0


def table(size: int, default: int, values: dict[int, int]) -> Any:
    """A constant of the kernels: a lookup costs them less than a comparison with several numbers."""
    words = np.full(size, default, np.int64)
    words[list(values)] = list(values.values())
    words.flags.writeable = False
    return words


@jit
def put_items(buf: Any, pos: int, end: int, count: int, out: Any, n: int) -> int:
    """`count` items from `pos`; the new number of words, or -1 if an item runs over `end`."""
    while count > 0:
        count -= 1
        if end - pos < 3:
            return -1
        size = u8(buf, pos + 1)
        stop = pos + 2 + size
        if size < 1 or stop > end:
            return -1
        syntax = u8(buf, pos + 2)
        plain = u8(buf, pos) == 0x12
        if plain and syntax == S7ANY and size == 10:
            word = be64(buf, pos + 4)  # count, block, area, address
            if n < MAX_KEY_WORDS:  # `out` has room for the second word behind them
                out[OUT_WORDS + n] = (
                    S7ANY
                    | (word >> 24 & 0xFF) << 8
                    | (word >> 32 & 0xFFFF) << 16
                    | (word >> 48 & 0xFFFF) << 32
                    | u8(buf, pos + 3) << 48
                )
                out[OUT_WORDS + n + 1] = word & 0xFFFFFF
            n += 2
        elif plain and syntax == DBREAD and size >= 7 and u8(buf, pos + 3) * 5 + 2 == size:
            pos += 4
            while pos < stop:
                n = put(out, n, DBREAD | u8(buf, pos) << 8 | be16(buf, pos + 1) << 16 | be16(buf, pos + 3) << 32)
                pos += 5
        else:
            n = put(out, n, RAW | syntax << 8 | (size - 1) << 16)
            n = put_raw(buf, pos + 3, stop, out, n)
        pos = stop
        if count > 0:
            pos += size & 1
    return n
