"""Boxes in the words of a policy file: zones, assets, functions, targets, values and windows."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from otmon.policy.addresses import EVERYTHING, hosts_text
from otmon.policy.axes import NONE, OTHER, POSITIONS, Axes, Side
from otmon.policy.fields import Limit
from otmon.policy.intervals import Intervals, contains_all, covers, merge, size, text, without
from otmon.policy.judge import Policy
from otmon.policy.models import OT_PROTOCOLS
from otmon.policy.rows import DATA_SPACES, span
from otmon.policy.tags import Tag
from otmon.policy.windows import PERMIT, Window
from otmon.policy.wording import limit_text, listed, ranges_text
from otmon.policy.zones import OUTSIDE

ANYBODY: Final = "any"
_WHOLE: Final = 0
"""First number of a stretch of the target axis: the space as a whole."""


class Phrases:
    """Says boxes with the names of one policy."""

    def __init__(self, axes: Axes, policy: Policy) -> None:
        self._axes = axes
        self._functions: dict[str, set[str]] = {}
        for protocol, (_, name, _) in axes.functions:
            self._functions.setdefault(protocol, set()).add(name)
        self._called: dict[str, list[str | None]] = {}
        for space, called in axes.places:
            self._called.setdefault(space, []).append(called)
        self._tags = list(policy.tags.by_name.values())
        sites = policy.sites
        self._names: dict[Intervals, str] = {EVERYTHING: ANYBODY}
        named = [(zone.hosts.ranges, zone.name) for zone in sites.zones]
        named += [(asset.hosts.ranges, asset.key) for asset in sites.assets]
        named += [(hosts.ranges, f"role {name}") for name, hosts in sites.roles.items()]
        self._parts = [(ranges, name) for ranges, name in named if ranges]
        for ranges, name in self._parts:
            self._names.setdefault(ranges, name)
        inside = merge(pair for zone in sites.zones for pair in zone.hosts.ranges)
        self._names.setdefault(without(EVERYTHING, inside), OUTSIDE)

    def record(self, side: Side, own: Window | None = None) -> dict[str, Any]:
        """Each axis that limits the box, in words. `own`: the window of the row that it is of."""
        everything = self._axes.all
        out: dict[str, Any] = {"from": self.hosts(side.client), "to": self.hosts(side.server)}
        if side.realm != everything.realm:
            out["realm"] = self.realms(side.realm)
        out["operations"] = self.functions(side.function)
        for name in ("port", "master", "unit"):
            ranges = getattr(side, name)
            if ranges != everything.__getattribute__(name):
                noun = "outstation" if name == "unit" and self._is_dnp3(side.function) else name
                out[noun] = ranges_text(without(ranges, ((NONE, NONE),))) or "none"
        tags = self._points(side)
        if side.target != everything.target:
            out["target"] = listed([tag.name for tag in tags], str) or self.targets(side.target)
        for axis, noun in (("value", "values"), ("step", "steps"), ("rate", "rates")):
            if getattr(side, axis) != getattr(everything, axis):
                out[noun] = self.values(getattr(side, axis), axis, {tag.units for tag in tags})
        if side.time != everything.time:
            out["when"] = self.times(side.time, own)
        return out

    def sentence(self, side: Side, own: Window | None = None) -> str:
        """`supervision -> control: modbus write_single_register, unit 1, addresses 40-49, values above 100`."""
        found = self.record(side, own)
        realm = f" in realm {found['realm']}" if "realm" in found else ""
        parts = [found["operations"]]
        parts += [f"{key} {found[key]}" for key in ("port", "master", "outstation", "unit") if key in found]
        parts += [found[key] for key in ("target",) if key in found]
        parts += [f"{noun} {found[noun]}" for noun in ("values", "steps", "rates") if noun in found]
        parts += [found["when"]] if "when" in found else []
        return f"{found['from']} -> {found['to']}{realm}: {', '.join(parts)}"

    def _points(self, side: Side) -> list[Tag]:
        """Points of the tag map, if they are exactly what the box has for a target."""
        here = [tag for tag in self._tags if tag.hosts.ranges == side.server]
        if not here or side.target == self._axes.all.target:
            return []
        limits = {limit.space: limit.ranges or () for limit in self._limits(side.target) if limit.names is None}
        found = [tag for tag in here if covers(limits.get(tag.space, ()), *span(tag.target))]
        own = {space: merge(span(tag.target) for tag in found if tag.space == space) for space in limits}
        return found if own == limits else []

    def realms(self, numbers: Intervals) -> str:
        """By their names."""
        return listed([self._axes.realms[number] or "any other" for number in _numbers(numbers)], str)

    def hosts(self, ranges: Intervals) -> str:
        """Names as far as they go, addresses for the rest."""
        if ranges in self._names:
            return self._names[ranges]
        words = self._named(ranges)
        for around, name in ((EVERYTHING, ANYBODY), *self._parts):
            if len(words) > 1 and contains_all(around, ranges):
                but = self._named(without(around, ranges))
                if len(but) < len(words):
                    return f"{name} but {listed(but, str)}"
        return listed(words, str)

    def _named(self, ranges: Intervals) -> list[str]:
        words = [self._names[ranges]] if ranges in self._names else []
        rest = () if words else ranges
        for part, name in self._parts:
            if contains_all(rest, part):
                words.append(name)
                rest = without(rest, part)
        return [*words, *hosts_text(rest)]

    def _is_dnp3(self, numbers: Intervals) -> bool:
        return all(self._axes.functions[number][0] == "dnp3" for number in _numbers(numbers))

    def functions(self, numbers: Intervals) -> str:
        """By protocol; what is left out, where that is shorter."""
        if numbers == self._axes.all.function:
            return "everything"
        chosen: dict[str, set[str]] = {}
        for number in _numbers(numbers):
            protocol, (_, name, _) = self._axes.functions[number]
            chosen.setdefault(protocol, set()).add(name)
        return "; ".join(f"{protocol} {self._chosen(protocol, names)}" for protocol, names in sorted(chosen.items()))

    def _chosen(self, protocol: str, names: set[str]) -> str:
        missing = self._functions[protocol] - names
        if not missing and protocol in OT_PROTOCOLS:
            return "(all of it)"
        if missing and len(missing) < len(names) / 2:
            return f"(all but {listed(sorted(missing), str)})"
        known = [name for name in sorted(names) if not name.startswith("function_")] or sorted(names)
        return listed(known, str)

    # --- targets ----------------------------------------------------------------------------------------------------
    def targets(self, numbers: Intervals) -> str:
        """As rows name them."""
        full = self._axes.all.target
        if 0 < size(full) - size(numbers) < size(numbers):
            return f"any target but {self._spaces(without(full, numbers))}"
        return self._spaces(numbers)

    def _spaces(self, numbers: Intervals) -> str:
        limits = list(self._limits(numbers))
        data = [limit for limit in limits if limit.space in DATA_SPACES and limit.names is None]
        words = []
        if len(data) == len(DATA_SPACES) and len({limit.ranges for limit in data}) == 1 and data[0].ranges is not None:
            words.append(f"addresses {ranges_text(data[0].ranges)}")
            limits = [limit for limit in limits if limit not in data]
        words += [_limit_words(limit) for limit in limits]
        if numbers[-1][1] >= len(self._axes.places) * POSITIONS:
            words.append("every other address space")
        return listed(words, str) or "a target that is not known"

    def _limits(self, numbers: Intervals) -> Iterator[Limit]:
        """Space by space; names that have the same ranges together, no names where all have."""
        spaces: dict[str, dict[str | None, list[tuple[int, int]]]] = {}
        places = self._axes.places
        for low, high in numbers:
            for place in range(max(low, 0) // POSITIONS, min(high // POSITIONS + 1, len(places))):
                space, name = places[place]
                base = place * POSITIONS
                inside = (max(low - base, 0), min(high - base, POSITIONS - 1))
                spaces.setdefault(space, {}).setdefault(name, []).append(inside)
        for space, names in spaces.items():
            every = self._called[space]
            by_ranges: dict[Intervals, list[str | None]] = {}
            for name in every:
                if name in names:
                    by_ranges.setdefault(tuple(names[name]), []).append(name)
            for ranges_, same in by_ranges.items():
                whole = ranges_ == ((0, POSITIONS - 1),)
                ranges = None if whole else tuple((max(low - 1, 0), high - 1) for low, high in ranges_ if high > _WHOLE)
                called = None if same == every or same == [None] else frozenset(_name(name) for name in same)
                yield Limit(space, ranges, called)

    # --- values and times -------------------------------------------------------------------------------------------
    def values(self, numbers: Intervals, axis: str = "value", units: Collection[str] = ()) -> str:
        """`0-100, above 200 degC`; rates as `0.5 degC per s`. `units`: of the points; told if they are one."""
        words = [self._value_words(low, high, self._axes.cuts[axis]) for low, high in numbers if high > 0]
        unit = [*units] if words and len(units) == 1 and all(units) else []
        return " ".join([listed(words, str) or "not known", *unit, *(["per s"] if axis == "rate" else [])])

    @staticmethod
    def _value_words(low: int, high: int, cuts: Sequence[float]) -> str:
        low = max(low, 1)
        if low == 2 * len(cuts) + 2:
            return "that are no number"
        first = None if low == 1 else cuts[(low - 2) // 2 if low % 2 == 0 else (low - 3) // 2]
        last = None if high > 2 * len(cuts) else cuts[(high - 2) // 2 if high % 2 == 0 else (high - 1) // 2]
        if first is not None and last is not None and low % 2 == high % 2 == 0:
            return text(((first, last),))
        words = []
        if first is not None:
            words.append(f"{'from' if low % 2 == 0 else 'above'} {first:.15g}")
        if last is not None:
            words.append(f"{'up to' if high % 2 == 0 else 'below'} {last:.15g}")
        return " and ".join(words) or "any"

    def when(self, side: Side, own: Window | None = None) -> str:
        """`, during sat 08:00-17:00`; nothing if at all times."""
        return "" if side.time == self._axes.all.time else f", {self.times(side.time, own)}"

    def times(self, numbers: Intervals, own: Window | None = None) -> str:
        """By one window, or two; else by an example. Of windows that are open at the same times `own` is named."""
        axes = self._axes
        situations = axes.situations
        now = set(_numbers(numbers))
        opened = {
            window: {n for n, situation in enumerate(situations) if window in situation.open}
            for window in sorted(axes.windows, key=lambda window: window != own)
        }
        for window, when in opened.items():
            if when == now:
                return _during(window)
            if set(range(len(situations))) - when == now:
                return f"except {_during(window)}"
        for window, when in opened.items():
            for other, but in opened.items():
                if when - but == now:
                    return f"{_during(window)}, except {_during(other)}"
        return f"at times, as at {axes.moment_text(min(now))}"


def _during(window: Window) -> str:
    """`during sat 08:00-17:00`, `with a permit`, `during sat 08:00-17:00 with a permit`."""
    when = window.text()
    return when if when == PERMIT else f"during {when}"


def _numbers(ranges: Intervals) -> Iterator[int]:
    return (number for low, high in ranges for number in range(low, high + 1))


def _name(name: str | None) -> str:
    return "without a name" if name is None else "any other name" if name == OTHER else name


def _limit_words(limit: Limit) -> str:
    if limit.ranges == ():
        return f"all of {limit_text(limit._replace(ranges=None))} at once"
    return limit_text(limit)


def joined(sides: Sequence[Side], phrases: Phrases, most: int) -> list[str]:
    """Sentences of some boxes, and how many more there are."""
    lines = [phrases.sentence(side) for side in sides[:most]]
    return [*lines, f"and {len(sides) - most} more"] if len(sides) > most else lines
