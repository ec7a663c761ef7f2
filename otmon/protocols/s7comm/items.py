"""Address items of read, write and cyclic requests: bytes to words (compiled), words to values.

An item is `0x12, length, syntax, ...`, padded to even length unless it is the last. In words:

- S7ANY: bits 0-7 0x10, 8-15 area, 16-31 block number, 32-47 count, 48-55 transport size; then the 24-bit address;
- DBREAD: one word an area: bits 0-7 0xB0, 8-15 bytes, 16-31 block number, 32-47 first byte;
- others (symbolic, NCK, drives): bits 0-7 0xFF, 8-15 syntax, 16-23 bytes that follow; then those in raw words.
"""

from typing import Any, Final

from otmon.limits import MAX_KEY_WORDS
from otmon.wire.contract import OUT_WORDS
from otmon.wire.loads import be16, be32, be64, jit, u8

S7ANY: Final = 0x10
DBREAD: Final = 0xB0
RAW: Final = 0xFF


@jit
def put(out: Any, n: int, word: int) -> int:
    """Word number `n`; words past MAX_KEY_WORDS are only counted."""
    if n < MAX_KEY_WORDS:
        out[OUT_WORDS + n] = word
    return n + 1


@jit
def put_raw(buf: Any, pos: int, end: int, out: Any, n: int) -> int:
    """The bytes `buf[pos:end]`, 8 a word."""
    while end - pos >= 8:
        n = put(out, n, be64(buf, pos))
        pos += 8
    if pos < end:
        # Seven bytes at most: the sign bit of the word comes from the first of them.
        word = u8(buf, pos)
        word = word - 256 if word > 127 else word
        for i in range(1, 8):
            word = word * 256 + (u8(buf, pos + i) if pos + i < end else 0)
        n = put(out, n, word)
    return n


@jit
def put_items(buf: Any, pos: int, end: int, count: int, out: Any, n: int) -> int:
    """`count` items from `pos`; the new number of words, or -1 if an item runs over `end`."""
    for i in range(count):
        if end - pos < 3:
            return -1
        size = u8(buf, pos + 1)
        stop = pos + 2 + size
        if size < 1 or stop > end:
            return -1
        syntax = u8(buf, pos + 2)
        plain = u8(buf, pos) == 0x12
        if plain and syntax == S7ANY and size == 10:
            block = be16(buf, pos + 6)
            area = u8(buf, pos + 8)
            elements = be16(buf, pos + 4)
            n = put(out, n, S7ANY | area << 8 | block << 16 | elements << 32 | u8(buf, pos + 3) << 48)
            n = put(out, n, be32(buf, pos + 8) & 0xFFFFFF)
        elif plain and syntax == DBREAD and size >= 7 and u8(buf, pos + 3) * 5 + 2 == size:
            for j in range(pos + 4, stop, 5):
                n = put(out, n, DBREAD | u8(buf, j) << 8 | be16(buf, j + 1) << 16 | be16(buf, j + 3) << 32)
        else:
            n = put(out, n, RAW | syntax << 8 | (size - 1) << 16)
            n = put_raw(buf, pos + 3, stop, out, n)
        pos = stop
        if size & 1 and i + 1 < count:
            pos += 1
    return n
