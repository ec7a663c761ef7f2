"""Points of the process by name: where a value lies on the wire, what number its bits make, what people call it."""

import struct
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from math import isfinite
from typing import Final, NamedTuple

import numpy as np

from otmon.model import OperationKey, Target, Unit
from otmon.policy.addresses import point as number_of
from otmon.policy.rows import span
from otmon.policy.zones import Hosts

WIDTH: Final[dict[str, int]] = {
    "bool": 1,
    "int8": 8,
    "uint8": 8,
    "int16": 16,
    "uint16": 16,
    "int32": 32,
    "uint32": 32,
    "int64": 64,
    "uint64": 64,
    "float32": 32,
    "float64": 64,
}
"""Bits of each type."""
ORDERS: Final = ("ABCD", "CDAB", "BADC", "DCBA")
"""As bytes of a 32-bit number are sent, A the highest: as they are, words swapped, bytes of each word swapped, both."""
_FLOATS: Final = {"float32": ">f", "float64": ">d"}

Cells = Mapping[int, int | float]
"""What stands at positions of an address space: a register, a coil, a byte, or (DNP3) the number itself."""


class Tag(NamedTuple):
    """One row of a tag map."""

    name: str
    label: str
    """For people: `T1 set-point`; its name if the map has none."""
    asset: str
    """As the map names it."""
    hosts: Hosts
    protocol: str
    unit: int | None
    """Modbus unit identifier or DNP3 outstation; None: any."""
    space: str
    start: int
    """First position: register, coil, byte of an S7 area, index of a DNP3 group."""
    bit: int | None
    """Of the register or byte, 0 the lowest; None: all of it."""
    type: str
    order: str
    scale: Decimal
    offset: Decimal
    units: str

    @property
    def size(self) -> int:
        """Positions that it takes."""
        bits = cell_bits(self.space)
        return 1 if bits == 0 else max(1, WIDTH[self.type] // bits)

    @property
    def target(self) -> Target:
        """All of it."""
        return Target(self.space, self.start, self.start + self.size - 1)

    def mask(self, position: int) -> int:
        """The bits of a position that are its own."""
        return 1 << self.bit if self.bit is not None else (1 << (cell_bits(self.space) or 64)) - 1

    def value(self, cells: Cells) -> float | None:
        """What it holds, in its units; None if a part of it is not known."""
        stored = [cells.get(self.start + at) for at in range(self.size)]
        if any(cell is None for cell in stored):
            return None
        first = stored[0]
        assert first is not None
        bits = cell_bits(self.space)
        if bits == 0:
            return self._scaled(first)
        if self.type == "bool":
            return float(int(first) >> (self.bit or 0) & 1)
        raw = b"".join(int(cell or 0).to_bytes(bits // 8, "big") for cell in stored)
        ordered = _ordered(raw, self.order)
        if self.type in _FLOATS:
            return self._scaled(struct.unpack(_FLOATS[self.type], ordered)[0])
        return self._scaled(int.from_bytes(ordered, "big", signed=self.type.startswith("int")))

    def _scaled(self, number: float) -> float:
        """Exact for whole numbers; a 32-bit float counts as the shortest decimal that means it."""
        if isinstance(number, float) and not isfinite(number):
            return number
        if self.type == "float32":
            number = float(str(np.float32(number)))
        if self.scale == 1 and self.offset == 0:
            return float(number)
        return float(Decimal(str(number)) * self.scale + self.offset)

    def text(self, value: float) -> str:
        """`90.0`: with as many decimals as the scale gives it."""
        if self.type.startswith("float") or not float(value).is_integer() or self.decimals == 0:
            whole = self.type.startswith("float") and float(value).is_integer() and abs(value) < 1e15
            return f"{value:.1f}" if whole else f"{value:.9g}"
        return f"{value:.{self.decimals}f}"

    @property
    def decimals(self) -> int:
        """Of a whole number, scaled."""
        exponents = (number.as_tuple().exponent for number in (self.scale, self.offset))
        return max(0, *(-exponent for exponent in exponents if isinstance(exponent, int)))

    def measured(self, value: float) -> str:
        """`90.0 degC`."""
        return f"{self.text(value)} {self.units}".rstrip()


def cell_bits(space: str) -> int:
    """Bits of one position: 16 of a register, 1 of a coil, 8 of an S7 area, 0 of a DNP3 group (it is a number)."""
    if space in ("holding_register", "input_register"):
        return 16
    if space in ("coil", "discrete_input"):
        return 1
    return 0 if space[:1] == "g" and space[1:].isdigit() else 8


def _ordered(raw: bytes, order: str) -> bytes:
    """The bytes with the highest first."""
    if order in ("BADC", "DCBA") and len(raw) > 1:
        raw = b"".join(raw[at : at + 2][::-1] for at in range(0, len(raw), 2))
    if order in ("CDAB", "DCBA") and len(raw) > 2:
        raw = b"".join(raw[at : at + 2] for at in range(len(raw) - 2, -1, -2))
    return raw


class TagMap:
    """All points of a policy, by name and by place."""

    def __init__(self, tags: Iterable[Tag] = (), path: str = "", whole: bool = True) -> None:
        self.path = path
        self.whole = whole
        """False: there are others, with which something is wrong."""
        self.by_name = {tag.name: tag for tag in tags}
        self._at: dict[tuple[str, str], list[Tag]] = {}
        for tag in self.by_name.values():
            self._at.setdefault((tag.protocol, tag.space), []).append(tag)
        for found in self._at.values():
            found.sort(key=_start)
        self._found: dict[tuple[str, str, str, Unit, str], dict[int, list[Tag]]] = {}

    def __bool__(self) -> bool:
        return bool(self.by_name)

    def of(self, realm: str, server: str, protocol: str, unit: Unit, space: str) -> Mapping[int, Sequence[Tag]]:
        """Points of a device at each position of one address space."""
        every = self._at.get((protocol, space))
        if not every:
            return {}
        key = realm, server, protocol, unit, space
        found = self._found.get(key)
        if found is None:
            at, number = number_of(server), unit[1] if isinstance(unit, tuple) else unit
            found = {}
            for tag in every:
                if tag.unit in (None, number) and tag.hosts.holds(realm, at):
                    for position in range(tag.start, tag.start + tag.size):
                        found.setdefault(position, []).append(tag)
            if len(self._found) >= _MAX_PLACES:
                self._found.clear()
            self._found[key] = found
        return found

    def touched(self, op: OperationKey) -> Sequence[Tag]:
        """Points that the target of an operation has a part of."""
        target = op.target
        if target is None or target.start is None or not self._at:
            return ()
        low, high = span(target)
        known = self.of(op.realm, op.server, op.protocol, op.unit, target.space)
        near = range(low, high + 1) if high - low < len(known) else [at for at in known if low <= at <= high]
        return list({tag.name: tag for at in near for tag in known.get(at, ())}.values())


_MAX_PLACES: Final = 4096
"""Devices whose points are at hand; a full table is begun anew."""


def _start(tag: Tag) -> tuple[int, int]:
    return tag.start, tag.bit or 0


NO_TAGS: Final = TagMap()
