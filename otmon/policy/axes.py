"""What policies speak of, as whole numbers on twelve axes: so that what they permit is a list of boxes.

Made for the policies at hand: realms, functions, address spaces, values and times of which none of them makes a
difference share a number. Hosts, ports and link addresses keep theirs.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from otmon.model import OperationKey, Target, Unit
from otmon.policy.addresses import EVERYTHING, point
from otmon.policy.functions import PLAIN_FUNCTIONS, REGISTERED_PORTS, Triple, is_function, triples
from otmon.policy.intervals import Intervals, merge
from otmon.policy.judge import Policy
from otmon.policy.models import PLAIN_PROTOCOLS
from otmon.policy.rows import Row, span
from otmon.policy.space import Box
from otmon.policy.windows import Window, situations

NONE: Final = -1
"""On the axes of ports and link addresses: the operation has none."""
POSITIONS: Final = 1 << 33
"""More than any address space on the wire has: a 32-bit address and a 32-bit length. Larger ones count as the last."""
_LINK: Final[Intervals] = ((NONE, 0xFFFF),)
OTHER: Final = ""
"""A realm, or the name of a space, that no policy speaks of."""


class Side(NamedTuple):
    """A box by the names of its axes."""

    realm: Intervals
    client: Intervals
    server: Intervals
    function: Intervals
    port: Intervals
    master: Intervals
    """DNP3 link address of the master."""
    unit: Intervals
    """Modbus unit identifier, or DNP3 link address of the outstation."""
    target: Intervals
    value: Intervals
    """Of a named point in its units."""
    step: Intervals
    """How much a named point changes."""
    rate: Intervals
    """How much it changes in a second."""
    time: Intervals


LIMITS: Final = ("value", "step", "rate")
"""Axes of numbers that are cut where a row has a bound."""


class Axes:
    """Numbers of words, for these policies; `functions`: further ones that operations have, by protocol."""

    def __init__(self, policies: Sequence[Policy], functions: Iterable[tuple[str, Triple]] = ()) -> None:
        self.realms = (*sorted({name for policy in policies for name in _realms(policy)}), OTHER)
        self._realm = {name: number for number, name in enumerate(self.realms)}
        rows = [row for p in policies for rules in (p.conduits, p.never) for rule in rules.rules for row in rule.rows]
        known = {(protocol, triple) for protocol in _PROTOCOLS for triple in triples(protocol)}
        known |= {("s7comm", (None, name, "control")) for row in rows for name in _numbered(row)}
        self.functions = sorted(known | set(functions), key=str)
        self._function = {function: number for number, function in enumerate(self.functions)}
        self.reading = self.function_set(item for item in self.functions if item[1][2] == "read")
        """Functions that only read."""
        self._spaces(rows)
        self.cuts = {
            "value": sorted({end for row in rows for pair in row.values or () for end in pair}),
            "step": sorted({row.points.step for row in rows if row.points and row.points.step is not None}),
            "rate": sorted({row.points.rate for row in rows if row.points and row.points.rate is not None}),
        }
        self.windows = tuple(dict.fromkeys(window for policy in policies for window in policy.windows))
        self.situations = situations(self.windows)
        self._situations = {situation.open: number for number, situation in enumerate(self.situations)}
        self.all = Side(
            ((0, len(self.realms) - 1),),
            EVERYTHING,
            EVERYTHING,
            ((0, len(self.functions) - 1),),
            _LINK,
            _LINK,
            _LINK,
            ((NONE, POSITIONS * (len(self.places) + 1) - 1),),
            self._uncut("value"),
            self._uncut("step"),
            self._uncut("rate"),
            ((0, len(self.situations) - 1),),
        )
        """The box of every operation."""

    def _uncut(self, axis: str) -> Intervals:
        """Every number of one of LIMITS."""
        return ((0, 2 * len(self.cuts[axis]) + 2),)

    def _spaces(self, rows: Iterable[Row]) -> None:
        """Each space and name gets a stretch of the axis; the stretches of a space lie together."""
        mentioned = {place for row in rows for place in row.parts or ()}
        spaces = sorted({space for space, _ in mentioned})
        names = {space: [None, OTHER, *sorted({n for s, n in mentioned if s == space and n})] for space in spaces}
        self.places = [(space, name) for space in spaces for name in names[space]]
        self._place = {place: number for number, place in enumerate(self.places)}
        self._names = names

    # --- sets -------------------------------------------------------------------------------------------------------
    def function_set(self, wanted: Iterable[tuple[str, Triple]]) -> Intervals:
        """The numbers of these functions."""
        return merge((number, number) for number in map(self._function.__getitem__, wanted))

    def target_set(self, row: Row, forbidding: bool = False) -> Intervals:
        """The targets that a row permits, or (`forbidding`) those that it touches."""
        if row.parts is None:
            return self.all.target
        out: list[tuple[int, int]] = [] if forbidding else [(NONE, NONE)]
        for (space, name), ranges in row.parts.items():
            for other in self._names[space]:
                # What forbids a name forbids what has no name too; what permits every name permits each.
                if name is None or name == other or (forbidding and other is None):
                    out += self._stretch(self._place[space, other], ranges, forbidding)
        return merge(out)

    def _stretch(self, place: int, ranges: Intervals | None, forbidding: bool) -> list[tuple[int, int]]:
        base = place * POSITIONS
        if ranges is None:
            return [(base, base + POSITIONS - 1)]
        # The first number of a stretch is the space as a whole.
        whole = [(base, base)] if forbidding else []
        last = POSITIONS - 2
        return whole + [(base + 1 + min(low, last), base + 1 + min(high, last)) for low, high in ranges]

    def value_set(self, ranges: Sequence[tuple[float, float]] | None) -> Intervals:
        """Values within these ranges, and the value that is not known."""
        if ranges is None:
            return self.all.value
        return merge([(0, 0), *((self.number("value", low), self.number("value", high)) for low, high in ranges)])

    def limits(self, row: Row) -> dict[str, Intervals]:
        """What a row allows to be written, on the axes LIMITS."""
        step, rate = (row.points.step, row.points.rate) if row.points is not None else (None, None)
        return {"value": self.value_set(row.values), "step": self.up_to("step", step), "rate": self.up_to("rate", rate)}

    def up_to(self, axis: str, bound: float | None) -> Intervals:
        """Steps or rates up to a bound (None: any), and those that are not known."""
        whole: Intervals = getattr(self.all, axis)
        return whole if bound is None else ((0, self.number(axis, bound)),)

    def time_set(self, window: Window | None) -> Intervals:
        """Situations in which the window is open."""
        if window is None:
            return self.all.time
        return merge((n, n) for n, situation in enumerate(self.situations) if window in situation.open)

    # --- operations -------------------------------------------------------------------------------------------------
    def box(self, op: OperationKey, ts_ns: int, value: float | None = None, step: float | None = None) -> Box:
        """An operation at a moment, of one value, and one change to it, if given. KeyError: an unknown function."""
        function = self._function[op.protocol, (op.function_code, op.function, op.access)]
        master, unit = link(op.unit)
        at = (
            self._realm.get(op.realm, len(self.realms) - 1),
            point(op.client),
            point(op.server),
            function,
            NONE if op.port is None else op.port,
            master,
            unit,
        )
        sides = (((number, number),) for number in at)
        numbers = (self.number("value", value), self.number("step", step), 0, self._situation(ts_ns))
        return (*sides, (self.target(op.target),), *(((number, number),) for number in numbers))

    def moment_text(self, situation: int) -> str:
        """A moment of a situation, by the clock of its windows."""
        ts_s, zone = self.situations[situation].ts_ns // 1_000_000_000, self.windows[0].zone
        return f"{datetime.fromtimestamp(ts_s, zone):%a %Y-%m-%d %H:%M}"

    def target(self, target: Target | None) -> tuple[int, int]:
        """First and last number of a target."""
        if target is None:
            return NONE, NONE
        name = target.name
        place = self._place.get((target.space, name), self._place.get((target.space, OTHER), len(self.places)))
        base = place * POSITIONS
        if target.start is None:
            return base, base
        low, high = span(target)
        return base + 1 + min(low, POSITIONS - 2), base + 1 + min(high, POSITIONS - 2)

    def number(self, axis: str, value: float | None) -> int:
        """0: not known; odd: between two bounds that policies name; even: such a bound; the last: not a number."""
        cuts = self.cuts[axis]
        if value is None:
            return 0
        if value != value:
            return 2 * len(cuts) + 2
        at = bisect_left(cuts, value)
        return 2 * at + (2 if at < len(cuts) and cuts[at] == value else 1)

    def _situation(self, ts_ns: int) -> int:
        return self._situations[frozenset(window for window in self.windows if window.open(ts_ns))]


_PROTOCOLS: Final = (*REGISTERED_PORTS, *PLAIN_PROTOCOLS)


def link(unit: Unit) -> tuple[int, int]:
    """(master, unit or outstation), NONE for what there is not."""
    return unit if isinstance(unit, tuple) else (NONE, NONE if unit is None else unit)


def _realms(policy: Policy) -> set[str]:
    """Every realm that it speaks of."""
    rules = [rule for book in (policy.conduits, policy.never) for rule in book.rules]
    sets = [hosts for rule in rules for hosts in (*rule.from_hosts, *rule.to_hosts)]
    sets += [zone.hosts for zone in policy.sites.zones]
    return {hosts.realm for hosts in sets if hosts.realm is not None} | set(policy.realms.names)


def _numbered(row: Row) -> list[str]:
    """Functions of S7 that have a number for a name, and that the row names."""
    if row.protocol != "s7comm":
        return []
    known = {name for _, name, _ in triples("s7comm")} | PLAIN_FUNCTIONS
    return [name for name in row.functions or () if name not in known and is_function("s7comm", name)]
