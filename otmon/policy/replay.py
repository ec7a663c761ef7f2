"""What a policy says of operations that were seen before it, many at a time.

Values are not kept with operations, so a row that limits values permits here what it permits with some value. A row
with a window is asked at the first and at the last time of an operation: if it is closed at one of them, it is denied.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from otmon.model import OperationKey, Target
from otmon.policy.chatter import CHATTY
from otmon.policy.intervals import Intervals, merge
from otmon.policy.judge import Cover, Policy
from otmon.policy.rows import Row, part
from otmon.policy.verdict import SEVERITIES, AlertKind, Severity
from otmon.policy.windows import Window

BY_ITSELF: Final = "-"
"""Instead of a row: hosts that are not monitored, and chatter."""


class Seen(NamedTuple):
    """How often an operation was seen on one target, and when."""

    target: Target | None
    times: int
    first_ts_ns: int
    last_ts_ns: int


class Sightings:
    """Where an operation was seen: rows of (space, start, end, name, times, first time, last time).

    '' for no target, -1 where it has no start, end or name.
    """

    def __init__(self, rows: list[tuple[Any, ...]]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Seen]:
        return (self[at] for at in range(len(self._rows)))

    def __getitem__(self, at: int) -> Seen:
        space, start, end, name, times, first_ts_ns, last_ts_ns, _ = self._rows[at]
        target = None
        if space:
            numbers = None if start < 0 else start, None if end < 0 else end
            target = Target(space, *numbers, None if name == -1 else name)
        return Seen(target, times, first_ts_ns, last_ts_ns)

    @cached_property
    def columns(self) -> tuple[tuple[Any, ...], ...]:
        """The rows, turned."""
        return tuple(zip(*self._rows, strict=True))


Groups = Iterable[tuple[OperationKey, Sightings]]
"""Operations without their targets, and where each was seen."""


class Outcome(NamedTuple):
    """What a policy says of one operation."""

    permit: bool
    row: Row | None
    ts_ns: int
    """A moment at which it says so."""


class Finding(NamedTuple):
    """Denied operations that would be told alike."""

    severity: Severity
    kind: AlertKind
    row: str | None
    """The `never` row that forbids, or the nearest one."""
    never: bool
    from_zone: str
    to_zone: str
    protocol: str
    function: str


class Tally:
    """Operations counted together, with the first of them."""

    __slots__ = ("example", "first_ts_ns", "last_ts_ns", "operations", "times", "why")

    def __init__(self, example: OperationKey, why: str | None = None) -> None:
        self.example = example
        self.why = why
        """What the policy says of it, if it denies."""
        self.operations = self.times = 0
        self.first_ts_ns, self.last_ts_ns = 2**63 - 1, -(2**63)

    def add(self, seen: Seen, operations: int = 1) -> None:
        """One more operation, or as many of which this is the sum."""
        self.operations += operations
        self.times += seen.times
        self.first_ts_ns = min(self.first_ts_ns, seen.first_ts_ns)
        self.last_ts_ns = max(self.last_ts_ns, seen.last_ts_ns)


Tallies = dict[tuple[bool, str | None], Tally]
"""Of one operation: permitted or not, by which row."""


class Replay:
    """A policy asked about stored operations."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.permitted: dict[str, Tally] = {}
        """By row."""
        self.denied: dict[Finding, Tally] = {}
        self.operations = 0
        self.valued = 0
        """Operations that a row permits which limits values."""
        self._now = 0
        self._findings: dict[tuple[object, ...], Finding] = {}
        self._why: dict[Finding, str | None] = {}

    def run(self, groups: Groups) -> None:
        """Ask about all of them, and count."""
        for op, seen in groups:
            tallies: Tallies = {}
            if self._windows(op):
                for item, outcome in zip(seen, self.outcomes(op, seen), strict=True):
                    self.count(op, item, outcome, tallies)
                continue
            cover, alone = self._alone(op, seen)
            times, first, last = (np.array(column) for column in seen.columns[4:7])
            # What one row decides is counted at once, where it came first.
            for at in _firsts(alone):
                if alone[at] == ASK:
                    self.count(op, seen[at], self._outcome(op, seen[at], cover, ASK), tallies)
                    continue
                same = np.flatnonzero(alone == alone[at])
                figures = int(times[same].sum()), int(first[same].min()), int(last[same].max())
                outcome = self._outcome(op, seen[at], cover, alone[at])
                self.count(op, Seen(seen[at].target, *figures), outcome, tallies, len(same))

    def outcomes(self, op: OperationKey, seen: Sightings) -> Iterator[Outcome]:
        """What the policy says of an operation on each of its targets."""
        policy = self.policy
        windows = self._windows(op)
        if not windows:
            cover, alone = self._alone(op, seen)
            yield from (self._outcome(op, item, cover, row) for item, row in zip(seen, alone.tolist(), strict=True))
            return
        known: dict[object, Cover] = {}
        for target, _, first_ts_ns, last_ts_ns in seen:
            key = op._replace(target=target)
            outcome = None
            for ts_ns in (first_ts_ns, last_ts_ns):
                if outcome is None or outcome.permit:
                    is_open = frozenset(window for window in windows if window.open(ts_ns))
                    cover = known.get(is_open) or known.setdefault(is_open, policy.cover_while(op, is_open))
                    outcome = Outcome(*policy.decide(cover, key), ts_ns)
            assert outcome is not None
            yield outcome

    def _windows(self, op: OperationKey) -> frozenset[Window]:
        return self.policy.windows_between(op) if self.policy.windows else frozenset()

    def _alone(self, op: OperationKey, seen: Sightings) -> tuple[Cover, NDArray[np.int64]]:
        """What decides at any time, and for each target the place among its rows of the one that does; NOBODY, ASK."""
        self._now = self._now or seen[0].first_ts_ns
        cover = self.policy.cover(op, self._now)
        if cover.never or cover.free or op.protocol in CHATTY:
            return cover, np.full(len(seen), ASK)
        return cover, _deciding(cover, seen)

    def _outcome(self, op: OperationKey, seen: Seen, cover: Cover, row: int) -> Outcome:
        if row == NOBODY:
            return Outcome(False, None, seen.first_ts_ns)
        if row != ASK:
            return Outcome(True, cover.permits[row][0], seen.first_ts_ns)
        return Outcome(*self.policy.decide(cover, op._replace(target=seen.target)), seen.first_ts_ns)

    def count(self, op: OperationKey, seen: Seen, outcome: Outcome, tallies: Tallies, operations: int = 1) -> None:
        """Add one operation to the row that permits it, or to what is denied like it; `tallies`: of this operation.

        `operations`: as many, of which `seen` is the sum and has the target of the first.
        """
        self.operations += operations
        permit, row, _ = outcome
        place = (permit, row and row.id)
        tally = tallies.get(place)
        if tally is None:
            tally = tallies[place] = self._tally(op, seen, outcome)
        if row is not None and row.limited:
            self.valued += permit * operations
        tally.add(seen, operations)

    def _tally(self, op: OperationKey, seen: Seen, outcome: Outcome) -> Tally:
        key = op._replace(target=seen.target)
        if outcome.permit:
            return self.permitted.setdefault(BY_ITSELF if outcome.row is None else outcome.row.id, Tally(key))
        finding = self.finding(op, seen.target, outcome)
        tally = self.denied.get(finding)
        if tally is None:
            tally = self.denied[finding] = Tally(key, self._why[finding])
        return tally

    def finding(self, op: OperationKey, target: Target | None, outcome: Outcome) -> Finding:
        """How a denied operation would be told; the nearest row is that of the first one alike."""
        never = None if outcome.row is None else outcome.row.id
        key = (op, never)
        finding = self._findings.get(key)
        if finding is None:
            policy = self.policy
            verdict = policy.judge(op._replace(target=target), outcome.ts_ns)
            assert verdict.kind is not None
            finding = self._findings[key] = Finding(
                verdict.severity,
                verdict.kind,
                never or verdict.nearest,
                never is not None,
                policy.zone_of(op.realm, op.client),
                policy.zone_of(op.realm, op.server),
                op.protocol,
                op.function,
            )
            self._why.setdefault(finding, verdict.separation)
        return finding


NOBODY: Final = -1
ASK: Final = -2
"""No single row decides, or what decides is no target's place."""


def _firsts(alone: NDArray[np.int64]) -> list[int]:
    """Where each row decides for the first time, and every place to ask about; in order."""
    rows, firsts = np.unique(alone, return_index=True)
    return sorted([*firsts[rows != ASK].tolist(), *np.flatnonzero(alone == ASK).tolist()])


def _deciding(cover: Cover, seen: Sightings) -> NDArray[np.int64]:
    """For each target the first row that permits all of it alone; NOBODY, if they do not together either; else ASK."""
    spaces, starts, ends, names, *_ = seen.columns
    low, end = np.array(starts), np.array(ends)
    high = np.where(end < 0, low, end)
    out = np.full(len(low), ASK)
    places: dict[tuple[str, Any], list[int]] = {}
    if len(set(spaces)) == len(set(names)) == 1:
        places[spaces[0], names[0]] = [*range(len(low))]
    else:
        for at, place in enumerate(zip(spaces, names, strict=True)):
            places.setdefault(place, []).append(at)
    for (space, name), where in places.items():
        if space and len(where) >= _MANY:
            here = np.array(where)
            target = Target(space, 0, None, None if name == -1 else name)
            out[here] = _first_row(cover, target, low[here], high[here])
    out[low < 0] = ASK
    return out


def _first_row(cover: Cover, target: Target, low: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray[np.int64]:
    """As _deciding, in the space and of the name of a target."""
    rows = [None if parts is None else part(parts, target) for _, parts in cover.permits]
    out = np.full(len(low), ASK)
    if None not in rows:
        out[~_within(merge(pair for ranges in rows for pair in ranges or ()), low, high)] = NOBODY
    for number, ranges in enumerate(rows):
        fits = out == ASK
        out[fits if ranges is None else fits & _within(ranges, low, high)] = number
    return out


def _within(ranges: Intervals, low: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray[np.bool_]:
    """One of the ranges has all of `low` to `high`."""
    if not ranges:
        return np.zeros(len(low), np.bool_)
    firsts, lasts = (np.array([min(pair[end], _LAST) for pair in ranges]) for end in (0, 1))
    at = np.searchsorted(firsts, low, "right") - 1
    return (at >= 0) & (lasts[at] >= high)


_LAST: Final = 2**63 - 1
_MANY: Final = 4
"""Fewer targets are sooner asked about one by one."""


class Changed(NamedTuple):
    """What an operation was under one policy and is under another."""

    allowed: bool
    """Permitted by the new policy, denied by the old one; else the other way round."""
    row: str
    """The row that permits it, where it is permitted."""
    finding: Finding
    """How it is told where it is denied."""


def compare(old: Replay, new: Replay, groups: Groups) -> dict[Changed, Tally]:
    """Ask both policies about everything; the operations of which they say different things."""
    changes: dict[Changed, Tally] = {}
    for op, seen in groups:
        tallies: tuple[Tallies, Tallies] = ({}, {})
        for item, before, after in zip(seen, old.outcomes(op, seen), new.outcomes(op, seen), strict=True):
            old.count(op, item, before, tallies[0])
            new.count(op, item, after, tallies[1])
            if before.permit == after.permit:
                continue
            yes = after if after.permit else before
            no, denying = (before, old) if after.permit else (after, new)
            row = BY_ITSELF if yes.row is None else yes.row.id
            change = Changed(after.permit, row, denying.finding(op, item.target, no))
            if change not in changes:
                changes[change] = Tally(op._replace(target=item.target))
            changes[change].add(item)
    return changes


def worst(finding: Finding) -> tuple[int, Finding]:
    """Sorts the worst first; of those that are alike what has no row near."""
    return -SEVERITIES.index(finding.severity), finding._replace(row=finding.row or "")
