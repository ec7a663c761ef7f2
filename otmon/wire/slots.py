"""Filling `out` (otmon.wire.contract) where protocols do it alike."""

from collections.abc import Sequence
from typing import Any

from otmon.limits import MAX_KEY_WORDS
from otmon.wire.contract import (
    KIND_LINK,
    OUT_CLASS,
    OUT_FROM_CLIENT,
    OUT_FUNC,
    OUT_KIND,
    OUT_VMAX,
    OUT_VMIN,
    OUT_WORDS,
)
from otmon.wire.loads import jit, u8


@jit
def clear(out: Any) -> None:
    """Header slots of a PDU of which nothing is known: a link PDU without function, class, values or direction."""
    for slot in range(OUT_WORDS):
        out[slot] = 0
    out[OUT_KIND] = KIND_LINK
    out[OUT_FUNC] = -1
    out[OUT_CLASS] = -1
    out[OUT_VMIN] = 1
    out[OUT_FROM_CLIENT] = -1


@jit
def widen(out: Any, low: int, high: int) -> None:
    """The values from `low` to `high` are among those written."""
    known = out[OUT_VMIN] <= out[OUT_VMAX]
    if not known or low < out[OUT_VMIN]:
        out[OUT_VMIN] = low
    if not known or high > out[OUT_VMAX]:
        out[OUT_VMAX] = high


@jit
def put(out: Any, n: int, word: int) -> int:
    """Word number `n`; words past MAX_KEY_WORDS are only counted."""
    if n < MAX_KEY_WORDS:
        out[OUT_WORDS + n] = word
    return n + 1


@jit
def put_raw(buf: Any, pos: int, end: int, out: Any, n: int) -> int:
    """The bytes `buf[pos:end]`, 8 a word."""
    while pos < end:
        # The sign bit of a word comes from the first byte.
        word = u8(buf, pos)
        word -= (word & 128) << 1
        behind = pos + 8
        pos += 1
        while pos < behind:
            word <<= 8
            if pos < end:
                word |= u8(buf, pos)
            pos += 1
        n = put(out, n, word)
    return n


def raw_bytes(words: Sequence[int], size: int) -> bytes:
    """The first `size` bytes that `put_raw` made words of."""
    return b"".join((int(word) & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "big") for word in words[: (size + 7) // 8])[:size]
