"""A Modbus message in the making, and what every body reads from it."""

import struct
from typing import Any

from otmon.model import Access, Malformed, Op, Target
from otmon.protocols.modbus.damaged import reach
from otmon.protocols.modbus.tables import LAST_ADDRESS, SPACES, make_op, span


class Draft:
    """A message in the making: what the body functions read and fill."""

    __slots__ = ("asked", "asking", "body", "code", "data", "flags", "ops", "sub", "unit")

    def __init__(self, unit: int, code: int, data: bytes, asking: bool, asked: "Draft | None") -> None:
        self.asking = asking
        """A request."""
        self.unit = unit
        self.code = code
        self.data = data
        """Behind the function code."""
        self.asked = asked.body if asked else {}
        self.sub: int | None = asked.sub if asked else None
        self.body: dict[str, Any] = {}
        self.flags: list[str] = []
        self.ops: list[Op] = []

    def flag(self, name: str, condition: bool = True) -> None:
        """Note what the specification forbids, once."""
        if condition and name not in self.flags:
            self.flags.append(name)

    def touch(self, target: Target, access: Access | None = None) -> None:
        """The request's operation on a target."""
        self.ops.append(make_op(self.code, None, self.unit, target, access))

    def span(self, address: int, quantity: int, most: int, access: Access | None = None, size: int = 0) -> None:
        """The request's operation on a range, of which one request may claim `most` elements; `size`: bytes written."""
        self.flag("quantity_out_of_range", not 1 <= quantity <= most)
        self.flag("address_overflow", address + quantity > LAST_ADDRESS + 1)
        self.touch(span(SPACES[self.code], address, reach(quantity, size, self.code)), access)

    def fields(self, layout: str) -> tuple[int, ...]:
        """All of the data as integers."""
        need(len(self.data) == struct.calcsize(layout), "length does not fit the function")
        return struct.unpack(layout, self.data)

    def counted(self, at: int) -> bytes:
        """What the count byte at data[at] counts: the rest, or the PDU is malformed."""
        need(len(self.data) > at and len(self.data) == at + 1 + self.data[at], "byte count does not fit the length")
        return self.data[at + 1 :]


def need(condition: bool, why: str) -> None:
    """Raise Malformed unless the condition holds."""
    if not condition:
        raise Malformed(why)


def registers(data: bytes) -> list[int]:
    """Big-endian 16-bit words; an odd byte at the end is left out."""
    return list(struct.unpack(f">{len(data) // 2}H", data[: len(data) & ~1]))


def coils(data: bytes, quantity: int) -> list[int]:
    """The first `quantity` bits, lowest bit of each byte first."""
    return [data[bit >> 3] >> (bit & 7) & 1 for bit in range(min(quantity, 8 * len(data)))]
