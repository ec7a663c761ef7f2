"""A difference for people and programs: sentences, records, and how often the traffic of a site met it."""

from collections.abc import Iterator
from typing import Any

from otmon.model import OperationKey
from otmon.policy.axes import Axes, Side
from otmon.policy.difference import Change, Difference
from otmon.policy.index import Index
from otmon.policy.phrases import Phrases
from otmon.policy.replay import Groups, Replay, Sightings
from otmon.policy.windows import Window

CAUSES = {"free": "hosts that are not monitored", "chatter": "broadcast and discovery (chatter)"}


class Entry:
    """One change, and how much of it was seen."""

    def __init__(self, change: Change, phrases: Phrases) -> None:
        self.change = change
        self.seen: tuple[int, int] | None = None
        """(operations, how often they were seen), None: nobody asked."""
        self._phrases = phrases

    @property
    def cause(self) -> str:
        """The row that permits it, in the policy that does."""
        permit = self.change.cause
        return permit.row.id if permit.row is not None else CAUSES[permit.because]

    @property
    def never(self) -> str | None:
        """The row that forbids it, in the policy that does not."""
        return self.change.never.row.id if self.change.never is not None and self.change.never.row else None

    @property
    def _window(self) -> Window | None:
        return self.change.cause.row.window if self.change.cause.row is not None else None

    def sentences(self) -> Iterator[str]:
        """One for each box."""
        yield from (self._phrases.sentence(side, self._window) for side in self.change.boxes)

    def record(self) -> dict[str, Any]:
        """For JSON."""
        out: dict[str, Any] = {
            "change": "allowed" if self.change.allowed else "denied",
            "row": self.change.cause.row.id if self.change.cause.row is not None else None,
            "because": self.change.cause.because,
            "never": self.never,
            "implied": self.change.implied,
            "exact": not self.change.partly,
            "operations": [self._phrases.record(side, self._window) for side in self.change.boxes],
        }
        if self.seen is not None:
            out["seen"] = dict(zip(("operations", "times"), self.seen, strict=True))
        return out


def entries(found: Difference) -> list[Entry]:
    """In the order of the files: what became allowed, then what became denied."""
    by_new, by_old = Phrases(found.axes, found.new), Phrases(found.axes, found.old)
    return [Entry(change, by_new if change.allowed else by_old) for change in found.changes]


def count(found: Difference, told: list[Entry], groups: Groups) -> None:
    """Fill `seen` of each entry: stored operations of it of which the two policies say different things.

    Of rows that need a permit: would say, if they had been permitted.
    """
    for entry in told:
        entry.seen = 0, 0
    ways = []
    for by_permit, old, new in ((False, found.old, found.new), (True, found.old.opened(), found.new.opened())):
        some = [entry for entry in told if _needs_permit(entry.change) == by_permit]
        if some:
            ways.append(_Count(found.axes, some, Replay(old), Replay(new)))
    for op, seen in groups:
        box = _wide(found.axes, op)
        for way in ways:
            way.add(op, seen, box)


def _needs_permit(change: Change) -> bool:
    row = change.cause.row
    return row is not None and row.needs_permit


class _Count:
    """Some entries, and the two policies that they tell apart."""

    def __init__(self, axes: Axes, told: list[Entry], old: Replay, new: Replay) -> None:
        self._axes, self._old, self._new = axes, old, new
        self._owners = [entry for entry in told for _ in entry.change.boxes]
        self._index = Index(side for entry in told for side in entry.change.boxes)

    def add(self, op: OperationKey, seen: Sightings, box: Side) -> None:
        near = [(self._owners[number], Side(*self._index.boxes[number])) for number in self._index.meeting(box)]
        if not near:
            return
        for item, before, after in zip(seen, self._old.outcomes(op, seen), self._new.outcomes(op, seen), strict=True):
            if before.permit == after.permit:
                continue
            first, last = self._axes.target(item.target)
            touched = {
                id(entry): entry
                for entry, side in near
                if entry.change.allowed == after.permit
                and any(low <= last and high >= first for low, high in side.target)
            }
            for entry in touched.values():
                operations, times = entry.seen or (0, 0)
                entry.seen = operations + 1, times + item.times


def _wide(axes: Axes, op: OperationKey) -> Side:
    """The operation with every target, value and time."""
    everything = axes.all
    side = Side(*axes.box(op._replace(target=None), axes.situations[0].ts_ns))
    return side._replace(target=everything.target, value=everything.value, time=everything.time)
