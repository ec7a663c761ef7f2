"""What a request sets, bit by bit: registers, coils and bytes."""

from typing import Final, NamedTuple

WHOLE: Final = (1 << 64) - 1
"""Mask of a number that is written at once (DNP3)."""


class Write(NamedTuple):
    """The bits of one position that a message sets."""

    space: str
    position: int
    value: int | float | None
    """None: nobody knows which."""
    mask: int
