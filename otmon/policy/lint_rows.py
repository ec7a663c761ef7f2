"""Rows that say nothing, or nothing that others do not say: found by their boxes, so that no finding is a guess.

Rows are looked at from the last to the first, and one that adds nothing is left out for those that follow: all that are
reported as shadowed or duplicates can be deleted together without changing what the policy permits.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from otmon.policy.axes import Axes, Side
from otmon.policy.index import Index
from otmon.policy.judge import Policy
from otmon.policy.permitted import Permit, permitted
from otmon.policy.rows import Row
from otmon.policy.space import Box, contains, intersect, uncovered
from otmon.policy.wording import listed
from otmon.policy.zones import Zone

MAX_PIECES: Final = 2000
"""Boxes into which a row may fall while others are taken out of it."""
MAX_TRIED: Final = 12
"""Rows among which a smallest set is looked for that says all of a row."""
_FREE: Final = {"free": "the freedom of hosts that are not monitored", "chatter": "the default for chatter"}
"""What permits without a row."""


class Found(NamedTuple):
    """A finding about a row."""

    rule: str
    row: str
    says: str


class Lint:
    """A policy's boxes, asked what its rows and zones say."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._axes = Axes([policy])
        space = permitted(policy, self._axes)
        self._permits, self._never = _Boxes(space.permits), _Boxes(space.never)

    def rows(self) -> Iterator[Found]:
        """Of all rows that permit or forbid, the last one first."""
        for rules, mine in ((self._policy.never, self._never), (self._policy.conduits, self._permits)):
            gone: set[str] = set()
            rows = {row.id: row for rule in rules.rules for row in rule.rows}
            for row in reversed(rows.values()):
                yield from self._row(row, mine, gone)

    def _row(self, row: Row, mine: "_Boxes", gone: set[str]) -> Iterator[Found]:
        permits = mine.of.get(row.id, [])
        boxes = [permit.box for permit in permits]
        named = [permit.box for permit in permits if row.plainest or not permit.implied]
        forbids = mine is self._never
        bans = [] if forbids else self._never.meeting(boxes)
        if not named:
            yield Found("empty-row", row.id, f"Row {row.id} names no operation that could be.")
        elif _covered(named, bans):
            banning = _least(named, bans)
            yield Found(
                "contradictory-row", row.id, f"Row {row.id} can never permit: {_who(banning, 'forbid')} all of it."
            )
            if _covered(boxes, bans):
                gone.add(row.id)
            return
        elif hitting := [ban for ban in bans if any(intersect(ban.box, box) for box in named)]:
            says = f"Row {row.id} permits less than it names: {_who(_names(hitting), 'forbid')} a part of it."
            yield Found("partly-forbidden-row", row.id, says)

        def others(some: Iterable[Box]) -> list[Permit]:
            found = (other for other in mine.meeting(some) if other.row is None or other.row.id not in gone)
            return [*(other for other in found if other.row is None or other.row.id != row.id), *bans]

        covered = _all_covered([*named, *(box for box in boxes if box not in named)], others)
        if covered is None:
            yield Found("tangled-row", row.id, f"Row {row.id} meets too many others to say whether it adds anything.")
        elif covered:
            gone.add(row.id)
            if named:
                yield self._shadow(row, boxes, others(boxes), mine)

    def _shadow(self, row: Row, boxes: list[Box], others: list[Permit], mine: "_Boxes") -> Found:
        names = _least(boxes, others)
        same = [permit.box for permit in mine.of.get(names[0], ())] if len(names) == 1 else []
        if same and _covered(same, mine.of[row.id]):
            return Found("duplicate-row", row.id, f"Row {row.id} means exactly what row {names[0]} means.")
        banning = [name for name in names if name in self._never.of]
        verb = "permit" if not banning else "forbid" if len(banning) == len(names) else "decide"
        return Found("shadowed-row", row.id, f"Row {row.id} adds nothing: {_who(names, verb)} all of it.")

    def silent(self, zone: Zone) -> bool:
        """No row permits anything from or to the zone."""
        ends = (self._axes.all._replace(client=zone.hosts.ranges), self._axes.all._replace(server=zone.hosts.ranges))
        return not any(self._reaches(side, zone.hosts.realm) for side in ends)

    def _reaches(self, side: Side, realm: str | None) -> bool:
        if realm is not None:
            number = self._axes.realms.index(realm)
            side = side._replace(realm=((number, number),))
        for permit in self._permits.meeting([side]):
            shared = None if permit.row is None or permit.implied else intersect(permit.box, side)
            # Where it would be too much work to be sure, the zone is taken to be reached.
            if shared is not None and not _covered([shared], self._never.meeting([shared])):
                return True
        return False


class _Boxes:
    """What rows permit or forbid, by row and by place."""

    def __init__(self, permits: Iterable[Permit]) -> None:
        self._all = list(permits)
        self._index = Index(permit.box for permit in self._all)
        self.of: dict[str, list[Permit]] = {}
        for permit in self._all:
            if permit.row is not None:
                self.of.setdefault(permit.row.id, []).append(permit)

    def meeting(self, boxes: Iterable[Box]) -> list[Permit]:
        """Each once, in the order of the file."""
        return [self._all[number] for number in sorted({n for box in boxes for n in self._index.meeting(box)})]


def _all_covered(boxes: Iterable[Box], others: Callable[[list[Box]], list[Permit]]) -> bool | None:
    """As _covered, of what meets each box; the first one that is not covered ends it."""
    out: bool | None = True
    for box in boxes:
        covered = _covered([box], others([box]))
        if covered is False:
            return False
        out = out and covered
    return out


def _covered(boxes: Iterable[Box], others: Sequence[Permit]) -> bool | None:
    """Each box lies in the others together; None: it would take too long to know."""
    out: bool | None = True
    for box in boxes:
        if any(contains(other.box, box) for other in others):
            continue
        try:
            if uncovered(box, [other.box for other in others], MAX_PIECES) is not None:
                return False
        except OverflowError:
            out = None
    return out


def _name(permit: Permit) -> str:
    return _FREE[permit.because] if permit.row is None else permit.row.id


def _names(permits: Iterable[Permit]) -> list[str]:
    return list(dict.fromkeys(map(_name, permits)))


def _least(boxes: list[Box], others: list[Permit]) -> list[str]:
    """Names of as few of the others as it takes: one if one does alone, else none that could be left out."""
    groups: dict[str, list[Permit]] = {}
    for other in others:
        groups.setdefault(_name(other), []).append(other)
    for name, alone in groups.items():
        if _covered(boxes, alone):
            return [name]
    names = list(groups)
    for name in names if len(names) <= MAX_TRIED else ():
        rest = [permit for other in groups if other != name for permit in groups[other]]
        if _covered(boxes, rest):
            del groups[name]
    return list(groups)


def _who(names: Sequence[str], verb: str) -> str:
    """`row a permits`, `rows a, b together permit`, `row a, the default for chatter together permit`."""
    rows = [name for name in names if name not in _FREE.values()]
    free = [name for name in names if name not in rows]
    who = [f"row{'' if len(rows) == 1 else 's'} {listed(rows, str)}"] if rows else []
    return f"{', '.join([*who, *free])} {f'{verb}s' if len(names) == 1 else f'together {verb}'}"
