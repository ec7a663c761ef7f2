"""Filling the header slots of `out` (otmon.wire.contract) where protocols do it alike."""

from typing import Any

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
from otmon.wire.loads import jit


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
