"""Why a policy permits or denies an operation: the row that decides, or the nearest rows and what they lack."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, NamedTuple

from otmon.model import OperationKey
from otmon.policy.axes import NONE, Axes, Side, link
from otmon.policy.edit import Asked, effects_of, measured, permits
from otmon.policy.functions import TRANSPORTS
from otmon.policy.index import Index
from otmon.policy.intervals import Intervals, contains_all, distance, size, without
from otmon.policy.judge import Policy
from otmon.policy.nearest import WEIGHTS
from otmon.policy.permitted import Permit, permitted
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
    *(WEIGHTS["unit"], WEIGHTS["unit"], 1, 1, 1, 1, WEIGHTS["window"]),
)
"""Of each axis; a row whose target or values differ is nearer than any other."""
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

    def text(self) -> str:
        """`value: allows 0-100, 800 beyond`."""
        far = "" if self.beyond is None else f", {self.beyond:,.15g} {'outside' if self.axis == 'target' else 'beyond'}"
        return f"{NOUNS[self.axis]}: allows {self.allows}{far}"


class NearRow(NamedTuple):
    """A row, who it joins, and all that it lacks."""

    row: Row
    from_text: str
    to_text: str
    lacks: tuple[Lack, ...]

    @property
    def failing(self) -> frozenset[str]:
        """Axes on which it fails."""
        return frozenset(lack.axis for lack in self.lacks)


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
        protocols = {row.protocol for permit in rows if (row := permit.row) is not None}
        carried = {protocol: set(TRANSPORTS.get(protocol, ())) for protocol in protocols}
        self._permits: dict[str, list[Permit]] = {"": rows}
        for name in protocols | {transport for found in carried.values() for transport in found}:
            self._permits[name] = [
                permit
                for permit in rows
                if permit.row is not None
                and (permit.row.protocol == name if not permit.implied else name in carried[permit.row.protocol])
            ]
        self._index = {name: Index(permit.box for permit in found) for name, found in self._permits.items()}

    def why(self, asked: Asked) -> Why:
        """KeyError: the function is not on the axes."""
        key, ts_ns, _ = asked
        verdict = self.policy.judge(key, ts_ns)
        if verdict.permit and (asked.value is None or permits(self.policy, asked)):
            return Why(asked, verdict, True, self._permitted(key, verdict), ())
        if not verdict.permit and verdict.row is not None:
            return Why(asked, verdict, False, verdict.separation or "", ())
        box = self.axes.box(key, ts_ns, *measured(self.policy, asked))
        near = self._nearest(self._missing(box), asked)
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
        index = self._index[""]
        piece = uncovered(box, [index.boxes[number] for number in index.meeting(box)])
        return box if piece is None else piece

    def _nearest(self, box: Box, asked: Asked) -> tuple[NearRow, ...]:
        point = [side[0][0] for side in box]
        protocol = asked.key.protocol if self._permits.get(asked.key.protocol) else ""
        found: dict[str, NearRow] = {}
        index, permits_ = self._index[protocol], self._permits[protocol]
        for number in index.nearest(point, _WEIGHTS, _STEPS, 2 * ROWS):
            row, rule = permits_[number].row, permits_[number].rule
            assert row is not None
            assert rule is not None
            if row.id in found or len(found) >= ROWS:
                continue
            side = Side(*index.boxes[number])
            axes = [
                name
                for name, ranges, asks in zip(Side._fields, side, box, strict=True)
                if not contains_all(ranges, asks)
            ]
            lacks = tuple(self._lack(name, side, row, asked) for name in axes)
            found[row.id] = NearRow(row, rule.from_text, rule.to_text, lacks)
        return tuple(found.values())

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
            beyond = None if number is None else distance(getattr(side, axis), number)
        return Lack(axis, allows, beyond)


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
