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
MAX_REFUSABLE: Final = 16
"""Writes to one device that it may still refuse; of more, the oldest is taken to have been done."""


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
_Place = tuple[_Device, str, int]
_Cell = tuple[int | float, int]
"""(value, mask of the bits that are known)."""


class _Told(NamedTuple):
    """A message that the device was told, and what stood there before it."""

    tags: TagMap
    where: tuple[str, str, str, Unit]
    writes: tuple[Write, ...]
    ts_ns: int
    client: str
    settled: bool
    """The device will not refuse it any more."""
    cells: dict[_Place, _Cell | None]
    last: dict[tuple[_Device, Tag], Last | None]


class Image:
    """The shadow of what was written to named points. Bounded: past MAX_IMAGE positions the oldest is forgotten.

    What was written counts until the device refuses it: then what came after it is worked out anew, without it.
    """

    def __init__(self) -> None:
        self._cells: OrderedDict[_Place, _Cell] = OrderedDict()
        self._last: OrderedDict[tuple[_Device, Tag], Last] = OrderedDict()
        self._open: dict[_Device, dict[int, _Told]] = {}
        """Messages that may be refused, by their numbers, and those (below 0) that came after the first of them."""
        self._device_of: dict[int, _Device] = {}
        self._unnumbered = 0

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
            last = self._last.get((device, tag))
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
        number: int | None = None,
        settled: bool = False,
    ) -> None:
        """The device was told so. `number`: under which `settle` will say what became of it, unless that is settled.

        Without one, nobody will say: it counts as done.
        """
        device = _device(where)
        cells: dict[_Place, _Cell | None] = {}
        last: dict[tuple[_Device, Tag], Last | None] = {}
        mine = tuple(write for write in writes if write.position in tags.of(*where, write.space))
        for write in mine:
            key = device, write.space, write.position
            _set(self._cells, key, _put(*self._cells.get(key, (0, 0)), write), cells)
        for effect in effects.points:
            key_of = device, effect.tag
            before, value = self._last.get(key_of), effect.after[0] if len(effect.after) == 1 else None
            changed = ts_ns if before is None or before.value != value else before.changed_ns
            _set(self._last, key_of, None if value is None else Last(value, ts_ns, client, changed), last)
        if number is None:
            if device not in self._open:
                return
            self._unnumbered -= 1
            number, settled = self._unnumbered, True
        elif not settled:
            self._device_of[number] = device
        told = self._open.setdefault(device, {})
        told[number] = _Told(tags, where, mine, ts_ns, client, settled, cells, last)
        if len(told) > MAX_REFUSABLE:
            self._device_of.pop(next(iter(told)), None)
            del told[next(iter(told))]

    def read(
        self, tags: TagMap, where: tuple[str, str, str, Unit], shown: Iterable[Write], ts_ns: int, client: str
    ) -> None:
        """The device itself said so, but for what it is just being told: it may have answered before it did that."""
        told = self._open.get(_device(where), {}).values()
        busy = {(write.space, write.position) for message in told for write in message.writes}
        fresh = [write for write in shown if (write.space, write.position) not in busy]
        effects = self.effects(tags, where, fresh)
        same = {e.tag for e in effects.points if e.before is not None and e.after == (e.before.value,)}
        changed = Effects(tuple(effect for effect in effects.points if effect.tag not in same))
        self.note(tags, where, fresh, changed, ts_ns, client)

    def awaits(self, number: int) -> bool:
        """It is to be said what became of this message."""
        return number in self._device_of

    @property
    def waiting(self) -> int:
        """Messages that are kept because it is to be said what became of them, or of one before."""
        return sum(map(len, self._open.values()))

    def settle(self, number: int, refused: bool, partly: bool = False) -> None:
        """What became of a message. Of one that was refused in part nobody knows which."""
        device = self._device_of.pop(number, None)
        if device is None:
            return
        told = self._open[device]
        told[number] = told[number]._replace(settled=True)
        if refused or partly:
            later = list(told.items())[list(told).index(number) :]
            for name, message in reversed(later):
                _restore(self._cells, message.cells)
                _restore(self._last, message.last)
                del told[name]
            for name, message in later[1:] if refused else later:
                writes = message.writes
                if name == number:
                    writes = tuple(write._replace(value=None) for write in writes)
                effects = self.effects(message.tags, message.where, writes)
                self.note(
                    message.tags, message.where, writes, effects, message.ts_ns, message.client, name, message.settled
                )
        while told and next(iter(told.values())).settled:
            del told[next(iter(told))]
        if not told:
            del self._open[device]

    def forget(self, tags: TagMap, where: tuple[str, str, str, Unit], effects: Effects) -> None:
        """Others like it will not be seen one by one: what these points hold is not known any more."""
        places = {(effect.tag.space, position) for effect in effects.points for position in effect.touched}
        writes = [Write(space, position, None, WHOLE) for space, position in sorted(places)]
        self.note(tags, where, writes, Effects(tuple(e._replace(after=()) for e in effects.points)), 0, "")


_K = TypeVar("_K")
_V = TypeVar("_V")


def _set(table: "OrderedDict[_K, _V]", key: _K, value: _V | None, before: dict[_K, _V | None]) -> None:
    """`before`: takes what stood there."""
    before.setdefault(key, table.pop(key, None))
    if value is not None:
        table[key] = value
    if len(table) > MAX_IMAGE:
        table.popitem(last=False)


def _restore(table: dict[_K, _V], before: Mapping[_K, _V | None]) -> None:
    for key, value in before.items():
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value


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
