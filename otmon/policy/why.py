"""Why a policy permits or denies an operation: the row that decides, or the nearest rows and what they lack."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

from otmon.model import OperationKey
from otmon.policy.asked import Asked, effects_of, measured, permits
from otmon.policy.axes import NONE, Axes, Side, link
from otmon.policy.functions import TRANSPORTS
from otmon.policy.index import Index
from otmon.policy.intervals import Intervals, contains_all, distance, size, without
from otmon.policy.judge import Policy
from otmon.policy.nearest import WEIGHTS
from otmon.policy.permitted import CONNECT, Permit, permitted
from otmon.policy.phrases import Phrases
from otmon.policy.rows import Row, part, span
from otmon.policy.space import Box, uncovered
from otmon.policy.verdict import Verdict
from otmon.policy.wording import ranges_text

ROWS: Final = 3
"""Nearest rows that are told."""
MAX_SAID: Final = 4096
"""Targets of rows whose words are kept."""
_WEIGHTS: Final = (
    *(WEIGHTS["client"], WEIGHTS["client"], WEIGHTS["server"], WEIGHTS["function"], WEIGHTS["port"]),
    *(WEIGHTS["master"], WEIGHTS["unit"], *(WEIGHTS["target"],) * 4, WEIGHTS["window"]),
)
"""Of each axis, as alerts weigh them; a row whose target or values differ is nearer than any other."""
_STEPS: Final = (0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0)
"""Axes on which being further away means something."""
NOUNS: Final = {
    "realm": "realm",
    "client": "from",
    "server": "to",
    "function": "function",
    "port": "port",
    "master": "master",
    "unit": "unit",
    "target": "target",
    "value": "value",
    "step": "step",
    "rate": "rate",
    "time": "time",
}


class Lack(NamedTuple):
    """One axis on which a row does not fit."""

    axis: str
    allows: str
    beyond: float | None
    """How far outside: addresses, units, ports, or value; None where that means nothing."""
    noun: str
    """As the protocol of the row calls the axis."""

    def text(self) -> str:
        """`value: allows 0-100, 800 beyond`."""
        far = "" if self.beyond is None else f", {self.beyond:,.15g} {'outside' if self.axis == 'target' else 'beyond'}"
        return f"{self.noun}: allows {'it only ' if self.axis == 'time' else ''}{self.allows}{far}"


class NearRow(NamedTuple):
    """A row, who it joins, and all that it lacks."""

    row: Row
    conduit: str
    from_text: str
    to_text: str
    lacks: tuple[Lack, ...]
    by_permit: bool
    """It needs a permit that nobody opened, and one could be open at the time."""

    @property
    def failing(self) -> frozenset[str]:
        """Axes on which it fails."""
        return frozenset(lack.axis for lack in self.lacks)

    @property
    def weight(self) -> int:
        """Of all that it lacks."""
        return sum(weight for axis, weight in zip(Side._fields, _WEIGHTS, strict=True) if axis in self.failing)


class Why(NamedTuple):
    """The answer."""

    asked: Asked
    verdict: Verdict
    permit: bool
    """With the value, if one was asked about."""
    because: str
    """One sentence."""
    near: tuple[NearRow, ...]

    @property
    def forbidden(self) -> bool:
        """By a `never` row: then no row can permit it."""
        return not self.verdict.permit and self.verdict.row is not None

    @property
    def opens(self) -> str | None:
        """The conduit for which a permit would permit it, as the file is."""
        first = self.near[0] if self.near and not self.permit else None
        return first.conduit if first is not None and first.by_permit and first.failing == {"time"} else None


class _Group:
    """Boxes of rows, to be asked which are near."""

    def __init__(self, permits: list[Permit]) -> None:
        self.permits = permits
        self.index = Index(permit.box for permit in permits)
        self.numbers: dict[str | None, list[int]] = {}
        """Of each row."""
        for number, permit in enumerate(permits):
            if permit.row is not None:
                self.numbers.setdefault(permit.row.id, []).append(number)


class Explainer:
    """A policy made ready for questions; each is then answered within a millisecond."""

    def __init__(self, policy: Policy, functions: tuple[tuple[str, Any], ...] = ()) -> None:
        self.policy = policy
        self.axes = Axes([policy], functions)
        self._phrases = Phrases(self.axes, policy)
        # The same rows are near again and again.
        self._targets = lru_cache(MAX_SAID)(self._phrases.targets)
        self._space = permitted(policy, self.axes)
        rows = [permit for permit in self._space.permits if permit.row is not None]
        carriers = self.axes.function_set((name, CONNECT) for names in TRANSPORTS.values() for name in names)
        groups: dict[str | tuple[Intervals, Intervals], list[Permit]] = {"": rows}
        for permit in rows:
            assert permit.row is not None
            side = Side(*permit.box)
            carries = contains_all(carriers, side.function)
            ports = side.port if carries else self.axes.all.port
            named = not permit.implied or (permit.row.plainest and not carries)
            groups.setdefault(permit.row.protocol if named else (side.function, ports), []).append(permit)
        self._groups = {name: _Group(found) for name, found in groups.items()}
        """All rows; those that name operations of a protocol; what rows bring with them: functions, on ports."""

    def why(self, asked: Asked) -> Why:
        """KeyError: the function is not on the axes."""
        key, ts_ns, _ = asked
        verdict = self.policy.judge(key, ts_ns)
        if verdict.permit and (asked.value is None or permits(self.policy, asked)):
            return Why(asked, verdict, True, self._permitted(key, verdict), ())
        if not verdict.permit and verdict.row is not None:
            return Why(asked, verdict, False, verdict.separation or "", ())
        box = self.axes.box(key, ts_ns, *measured(self.policy, asked))
        near = self._nearest(self._missing(box), asked, verdict.nearest)
        if verdict.permit:
            because = "Its value is outside what the rows that permit it allow."
        else:
            because = "No row permits it." if near else "No row permits it, and no row comes near."
        return Why(asked, verdict, False, because, near)

    def _permitted(self, key: OperationKey, verdict: Verdict) -> str:
        if verdict.row is not None:
            return f"Row {verdict.row} permits it."
        if self.policy.chatter and self.policy.is_chatter(key):
            return "It is broadcast or discovery (chatter), which the policy permits."
        return "Neither host is in a monitored zone."

    def _missing(self, box: Box) -> Box:
        """A part of the operation that no row permits."""
        index = self._groups[""].index
        piece = uncovered(box, [index.boxes[number] for number in index.meeting(box)])
        return box if piece is None else piece

    def _nearest(self, box: Box, asked: Asked, alerted: str | None) -> tuple[NearRow, ...]:
        """Rows of the protocol that know one of the hosts; then what the two may do in other protocols.

        `alerted`: the row that an alert would name, which is the first of those that are as near.
        """
        protocol, sides = asked.key.protocol, Side(*box)
        own = [group for name, group in self._groups.items() if name == protocol or _brings(name, sides)]
        found: dict[str, NearRow] = {}
        for near in sorted(
            (near for group in own for near in self._near(group, box, asked, alerted)),
            key=lambda near: (near.weight, near.row.id != alerted),
        ):
            if "realm" not in near.failing and not near.failing >= {"client", "server"}:
                found.setdefault(near.row.id, near)
        if len(found) < ROWS:
            others = [g for name, g in self._groups.items() if isinstance(name, str) and name not in ("", protocol)]
            for near in sorted(
                (near for group in others for near in self._near(group, box, asked, alerted)),
                key=lambda near: near.row.id != alerted,
            ):
                if not near.failing & {"realm", "client", "server"}:
                    found.setdefault(near.row.id, near)
        return tuple(found.values())[:ROWS]

    def _near(self, group: "_Group", box: Box, asked: Asked, alerted: str | None) -> Iterator[NearRow]:
        """The nearest rows of a group, and the one that an alert names."""
        point = [side[0][0] for side in box]
        numbers = group.index.nearest(point, _WEIGHTS, _STEPS, 2 * ROWS)
        for number in dict.fromkeys((*numbers, *group.numbers.get(alerted, ()))):
            permit = group.permits[number]
            row, rule, side = permit.row, permit.rule, Side(*permit.box)
            assert row is not None
            assert rule is not None
            axes = [
                axis
                for axis, ranges, asks in zip(Side._fields, side, box, strict=True)
                if not contains_all(ranges, asks) and (row.protocol == asked.key.protocol or axis not in _OF_PROTOCOL)
            ]
            lacks = tuple(self._lack(axis, side, row, asked) for axis in axes)
            by_permit = row.needs_permit and row.window is not None and row.window.could_open(asked.ts_ns)
            yield NearRow(row, rule.name, rule.from_text, rule.to_text, lacks, by_permit)

    def _lack(self, axis: str, side: Side, row: Row, asked: Asked) -> Lack:
        key = asked.key
        points = effects_of(self.policy, asked).points
        units = {effect.tag.units for effect in points if row.points is not None}
        if axis == "target":
            allows = self._targets(side.target)
        else:
            allows = _SAY[axis](self._phrases, getattr(side, axis), row, units)
        beyond: float | None = None
        value, step = measured(self.policy, asked)
        if axis == "value" and value is not None and row.values is not None:
            beyond = min(max(low - value, value - high, 0) for low, high in row.values)
        elif axis == "step" and step is not None and row.points is not None and row.points.step is not None:
            beyond = step - row.points.step
        elif axis == "target" and key.target is not None and key.target.start is not None:
            known = part(row.parts or {}, key.target) or ()
            beyond = size(without((span(key.target),), known))
        elif axis in ("port", "master", "unit"):
            master, unit = link(key.unit)
            number = {"master": master, "unit": unit, "port": key.port}[axis]
            beyond = None if number in (None, NONE) else distance(getattr(side, axis), number)
        noun = "outstation" if axis == "unit" and row.protocol == "dnp3" else NOUNS[axis]
        return Lack(axis, allows, beyond, noun)


_OF_PROTOCOL: Final = frozenset({"master", "unit", "target", "value", "step", "rate"})
"""What means something within one protocol alone: a connection has no unit, and a unit is no outstation."""


def _brings(name: str | tuple[Intervals, Intervals], box: Side) -> bool:
    """Rows of the group bring this function on this port with them."""
    if isinstance(name, str):
        return False
    return all(contains_all(ranges, asks) for ranges, asks in zip(name, (box.function, box.port), strict=True))


def _numbers(phrases: Phrases, ranges: Intervals, row: Row, units: set[str]) -> str:
    return ranges_text(without(ranges, ((NONE, NONE),))) or "none"


_SAY: Final[dict[str, Callable[[Phrases, Intervals, Row, set[str]], str]]] = {
    "realm": lambda phrases, ranges, row, units: phrases.realms(ranges),
    "client": lambda phrases, ranges, row, units: phrases.hosts(ranges),
    "server": lambda phrases, ranges, row, units: phrases.hosts(ranges),
    "function": lambda phrases, ranges, row, units: phrases.functions(ranges),
    "port": _numbers,
    "master": _numbers,
    "unit": _numbers,
    "value": lambda phrases, ranges, row, units: phrases.values(ranges, "value", units),
    "step": lambda phrases, ranges, row, units: phrases.values(ranges, "step", units),
    "rate": lambda phrases, ranges, row, units: phrases.values(ranges, "rate", units),
    "time": lambda phrases, ranges, row, units: row.window.text() if row.window is not None else "always",
}
"""What a row allows on an axis, in words; targets apart."""
