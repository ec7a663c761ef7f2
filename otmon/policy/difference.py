"""What one policy permits and another does not, exactly, told by the rows that make the difference."""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from otmon.policy.axes import Axes, Side
from otmon.policy.functions import Triple
from otmon.policy.index import Index
from otmon.policy.judge import Policy
from otmon.policy.permitted import Permit, Permitted, permitted
from otmon.policy.space import Box, contains, covered, intersect, subtract_all, union

MAX_PIECES: Final = 24
"""Boxes in which a difference is told; where it takes more, the whole box is told, and that not all of it is new."""


class Change(NamedTuple):
    """Operations that one policy permits and the other does not."""

    allowed: bool
    """The new policy permits them; else the old one did."""
    cause: Permit
    """What permits them, in the policy that does."""
    never: Permit | None
    """The `never` row that forbids them, in the policy that does not; None: no row permits them there."""
    boxes: tuple[Side, ...]
    partly: bool
    """Some of the boxes' operations are no change: the other policy permits them too."""
    implied: bool
    """Only connections and functions that a row brings with it."""


class Difference(NamedTuple):
    """All changes, on which axes, and whose names say them best."""

    axes: Axes
    old: Policy
    new: Policy
    changes: list[Change]


def difference(old: Policy, new: Policy, functions: Iterable[tuple[str, Triple]] = ()) -> Difference:
    """Nothing in `changes`: the two permit the same, whatever the files look like. `functions`: as for `Axes`."""
    axes = Axes([old, new], functions)
    before, after = permitted(old, axes), permitted(new, axes)
    return Difference(axes, old, new, [*_told(_gains(before, after), True), *_told(_gains(after, before), False)])


_Found = tuple[Permit, Permit | None, list[Box], bool]


class _Other:
    """What the other policy permits, and this one forbids: what is taken away from what this one permits."""

    def __init__(self, permits: list[Permit], never: list[Permit]) -> None:
        self._all = [*permits, *never]
        self._index = Index(permit.box for permit in self._all)

    def rest(self, permit: Permit, box: Box) -> tuple[list[Box], bool]:
        """(boxes of what is left, whether they have more than that).

        A change of zones or rows is told as if there were no chatter, which would tear it to pieces.
        """
        # What is no row's is wide: taken away first, it leaves little to take thousands of rows from.
        meeting = sorted(map(self._all.__getitem__, self._index.meeting(box)), key=lambda other: other.because == "row")
        if any(contains(other.box, box) for other in meeting):
            return [], False
        others = [other.box for other in meeting]
        wide = [other.box for other in meeting if _is_told(permit, other)]
        pieces = subtract_all(box, wide, MAX_PIECES)
        if pieces is not None and len(wide) == len(others):
            return pieces, False
        if covered(box, others):
            return [], False
        boxes = [box] if pieces is None else [piece for piece in pieces if not covered(piece, others)]
        return boxes, pieces is None or any(intersect(piece, other) for piece in boxes for other in others)


def _is_told(permit: Permit, other: Permit) -> bool:
    return permit.because == "chatter" or other.because in ("never", "free") or permit.because == other.because == "row"


def _gains(before: Permitted, after: Permitted) -> Iterator[_Found]:
    """What `after` permits and `before` does not."""
    known = {permit.box for permit in before.permits}
    other = _Other(before.permits, after.never)
    for permit in after.permits:
        # What both have changes nothing; what both have and one forbids comes below.
        if permit.box not in known:
            boxes, partly = other.rest(permit, permit.box)
            if boxes:
                yield permit, None, boxes, partly
    same = {never.box for never in after.never}
    forbids = _Other([], after.never)
    given = Index(permit.box for permit in after.permits)
    for never in before.never:
        if never.box in same:
            continue
        freed, partly = forbids.rest(never, never.box)
        for number in given.meeting(never.box) if freed else ():
            shared = [box for part in freed if (box := intersect(part, given.boxes[number])) is not None]
            if shared:
                yield after.permits[number], never, shared, partly


def _told(found: Iterator[_Found], allowed: bool) -> list[Change]:
    """One change for each row; what a row brings with it only where the row itself brings nothing."""
    groups: dict[tuple[object, ...], list[_Found]] = {}
    for item in found:
        permit, never = item[:2]
        who = permit.row.id if permit.row is not None else None
        groups.setdefault((permit.because, who, never.row.id if never and never.row else None), []).append(item)
    changes = []
    for group in groups.values():
        named = [item for item in group if not item[0].implied] or group
        boxes = union(box for _, _, boxes, _ in named for box in boxes)
        sides = tuple(Side(*box) for box in boxes)
        permit, never = named[0][:2]
        changes.append(Change(allowed, permit, never, sides, any(item[3] for item in named), permit.implied))
    return changes
