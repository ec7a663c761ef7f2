"""What a policy says of operations that were seen before it, many at a time.

Values are not kept with operations, so a row that limits values permits here what it permits with some value. A row
with a window is asked at the first and at the last time of an operation: if it is closed at one of them, it is denied.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from otmon.model import OperationKey, Target
from otmon.policy.chatter import CHATTY
from otmon.policy.intervals import covers, merge
from otmon.policy.judge import Cover, Policy
from otmon.policy.rows import Row, part, span
from otmon.policy.verdict import SEVERITIES, AlertKind, Severity

BY_ITSELF: Final = "-"
"""Instead of a row: hosts that are not monitored, and chatter."""


class Seen(NamedTuple):
    """How often an operation was seen on one target, and when."""

    target: Target | None
    times: int
    first_ts_ns: int
    last_ts_ns: int


Groups = Iterable[tuple[OperationKey, list[Seen]]]
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

    def add(self, seen: Seen) -> None:
        """One more operation."""
        self.operations += 1
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

    def run(self, groups: Groups) -> None:
        """Ask about all of them, and count."""
        for op, seen in groups:
            tallies: Tallies = {}
            for item, outcome in zip(seen, self.outcomes(op, seen), strict=True):
                self.count(op, item, outcome, tallies)

    def outcomes(self, op: OperationKey, seen: list[Seen]) -> Iterator[Outcome]:
        """What the policy says of an operation on each of its targets."""
        policy = self.policy
        windows = policy.windows_between(op) if policy.windows else frozenset()
        if not windows:
            self._now = self._now or seen[0].first_ts_ns
            cover = policy.cover(op, self._now)
            spaces: dict[tuple[str, str | None], _Space] = {}
            plain = not (cover.never or cover.free or op.protocol in CHATTY)
            for target, _, ts_ns, _ in seen:
                if plain and target is not None and target.start is not None:
                    place = (target.space, target.name)
                    space = spaces.get(place) or spaces.setdefault(place, _Space(cover, target))
                    low, high = span(target)
                    row = space.row(low, high)
                    if row is not None or not space.has(low, high):
                        yield Outcome(row is not None, row, ts_ns)
                        continue
                yield Outcome(*policy.decide(cover, op._replace(target=target)), ts_ns)
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

    def count(self, op: OperationKey, seen: Seen, outcome: Outcome, tallies: Tallies) -> None:
        """Add one operation to the row that permits it, or to what is denied like it; `tallies`: of this operation."""
        self.operations += 1
        permit, row, _ = outcome
        place = (permit, row and row.id)
        tally = tallies.get(place)
        if tally is None:
            tally = tallies[place] = self._tally(op, seen, outcome)
        if row is not None and row.limited:
            self.valued += permit
        tally.add(seen)

    def _tally(self, op: OperationKey, seen: Seen, outcome: Outcome) -> Tally:
        key = op._replace(target=seen.target)
        if outcome.permit:
            return self.permitted.setdefault(BY_ITSELF if outcome.row is None else outcome.row.id, Tally(key))
        finding = self.finding(op, seen.target, outcome)
        tally = self.denied.get(finding)
        if tally is None:
            tally = self.denied[finding] = Tally(key, self.policy.judge(key, outcome.ts_ns).separation)
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
        return finding


class _Space:
    """The rows that permit something of one address space, for one function between two hosts."""

    def __init__(self, cover: Cover, target: Target) -> None:
        self._rows = [(row, None if parts is None else part(parts, target)) for row, parts in cover.permits]
        self._together = merge(pair for _, ranges in self._rows for pair in ranges or ())

    def has(self, low: int, high: int) -> bool:
        """The rows together permit it, if none does alone."""
        return covers(self._together, low, high)

    def row(self, low: int, high: int) -> Row | None:
        """The first row that permits all of it alone."""
        for row, ranges in self._rows:
            if ranges is None or covers(ranges, low, high):
                return row
        return None


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
    """Sorts the worst first."""
    return -SEVERITIES.index(finding.severity), finding
