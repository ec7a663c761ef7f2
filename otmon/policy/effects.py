"""What a write makes of points: the value before, who wrote it, and the value after, as far as traffic tells.

A mask write, a single bit or half of a number changes a part of what stands there. The rest is what was written before,
if that was seen; else every value that can result is judged, or none can be named.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from otmon.limits import MAX_IMAGE
from otmon.model import Unit
from otmon.policy.tags import Cells, Tag, TagMap, cell_bits
from otmon.policy.writes import WHOLE, Write

MAX_UNKNOWN_BITS: Final = 8
"""With more of them unknown, no value is named."""


class Last(NamedTuple):
    """The last value of a point that was seen."""

    value: float
    ts_ns: int
    client: str
    changed_ns: int
    """When it was first that value."""


class Effect(NamedTuple):
    """What a message makes of one point."""

    tag: Tag
    before: Last | None
    """None: never seen."""
    after: tuple[float, ...]
    """The value; several: one of these, for bits are unknown; none: it cannot be known."""
    touched: tuple[int, ...] = ()
    """Its positions that are written."""

    def text(self) -> str:
        """`T1 set-point 55.0 -> 90.0 degC`."""
        tag, before = self.tag, self.before
        if not self.after:
            value = "to a value that cannot be known"
        else:
            values = " or ".join(map(tag.text, self.after[:2])) + (" or others" if len(self.after) > 2 else "")
            value = f"{values} {tag.units}".rstrip()
        if before is None:
            return f"{tag.label} {value} (last value unknown)"
        return f"{tag.label} {tag.text(before.value)} -> {value}"


class Effects(NamedTuple):
    """What a message makes of all points, and which bits of their positions it may change."""

    points: tuple[Effect, ...] = ()
    bits: tuple[tuple[str, int, int], ...] = ()
    """(space, position, bits that change or may change)."""


NOTHING: Final = Effects()

_Device = tuple[str, str, str, Unit]
"""Realm, address, protocol, unit identifier or outstation."""


class Image:
    """The shadow of what was written to named points. Bounded: past MAX_IMAGE positions the oldest is forgotten."""

    def __init__(self) -> None:
        self._cells: OrderedDict[tuple[_Device, str, int], tuple[int | float, int]] = OrderedDict()
        """(value, mask of the bits that are known)."""
        self._last: OrderedDict[tuple[_Device, str], Last] = OrderedDict()

    def effects(self, tags: TagMap, where: tuple[str, str, str, Unit], writes: Sequence[Write]) -> Effects:
        """What the writes, taken together, make of points. Nothing is remembered yet."""
        device = _device(where)
        after: dict[tuple[str, int], tuple[int | float, int]] = {}
        bits = []
        touched: dict[str, tuple[Tag, list[int]]] = {}
        for write in writes:
            known = tags.of(*where, write.space).get(write.position, ())
            place = write.space, write.position
            for tag in known:
                if write.mask & tag.mask(write.position):
                    touched.setdefault(tag.name, (tag, []))[1].append(write.position)
            if known:
                value, mask = after.get(place) or self._cells.get((device, *place), (0, 0))
                after[place] = _put(value, mask, write)
                if cell_bits(write.space) > 1:
                    same = 0 if write.value is None else mask & ~(int(value) ^ int(write.value))
                    bits.append((*place, write.mask & ~same))
        effects = []
        for tag, positions in touched.values():
            every = range(tag.start, tag.start + tag.size)
            stored = {
                at: after.get((tag.space, at)) or self._cells.get((device, tag.space, at), (0, 0)) for at in every
            }
            last = self._last.get((device, tag.name))
            effects.append(Effect(tag, last, _possible(tag, stored), tuple(sorted(set(positions)))))
        return Effects(tuple(effects), tuple(bits))

    def note(
        self,
        tags: TagMap,
        where: tuple[str, str, str, Unit],
        writes: Iterable[Write],
        effects: Effects,
        ts_ns: int,
        client: str,
    ) -> None:
        """The device was told so."""
        device = _device(where)
        for write in writes:
            if write.position in tags.of(*where, write.space):
                key = device, write.space, write.position
                _keep(self._cells, key, _put(*self._cells.get(key, (0, 0)), write))
        for effect in effects.points:
            key_of = device, effect.tag.name
            if len(effect.after) != 1:
                self._last.pop(key_of, None)
                continue
            (value,) = effect.after
            before = self._last.get(key_of)
            changed = ts_ns if before is None or before.value != value else before.changed_ns
            _keep(self._last, key_of, Last(value, ts_ns, client, changed))

    def forget(self, where: tuple[str, str, str, Unit], effects: Effects) -> None:
        """Others like it will not be seen one by one: what these points hold is not known any more."""
        device = _device(where)
        for effect in effects.points:
            self._last.pop((device, effect.tag.name), None)
            for position in effect.touched:
                self._cells.pop((device, effect.tag.space, position), None)


_K = TypeVar("_K")
_V = TypeVar("_V")


def _keep(table: "OrderedDict[_K, _V]", key: _K, value: _V) -> None:
    table[key] = value
    table.move_to_end(key)
    if len(table) > MAX_IMAGE:
        table.popitem(last=False)


def _device(where: tuple[str, str, str, Unit]) -> _Device:
    realm, server, protocol, unit = where
    return realm, server, protocol, unit[1] if isinstance(unit, tuple) else unit


def _put(value: int | float, known: int, write: Write) -> tuple[int | float, int]:
    if write.value is None:
        return value, known & ~write.mask
    if write.mask == WHOLE:
        return write.value, WHOLE
    return int(value) & ~write.mask | int(write.value) & write.mask, known | write.mask


def _possible(tag: Tag, stored: Mapping[int, tuple[int | float, int]]) -> tuple[float, ...]:
    """Every value that the point may have now."""
    unknown = {at: tag.mask(at) & ~known for at, (_, known) in stored.items() if tag.mask(at) & ~known}
    if sum(mask.bit_count() for mask in unknown.values()) > MAX_UNKNOWN_BITS:
        return ()
    cases: list[Cells] = [{at: value for at, (value, _) in stored.items()}]
    for at, mask in unknown.items():
        cases = [{**case, at: int(case[at]) & ~mask | bits} for case in cases for bits in _submasks(mask)]
    found = [value for case in cases if (value := tag.value(case)) is not None]
    not_a_number = [value for value in found if value != value][:1]
    return (*sorted({value for value in found if value == value}), *not_a_number)


def _submasks(mask: int) -> Iterator[int]:
    bits = mask
    while True:
        yield bits
        if not bits:
            return
        bits = bits - 1 & mask
