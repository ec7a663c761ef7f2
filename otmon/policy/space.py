"""Exact algebra of boxes: sets of points that are a product of sets of whole numbers, one for each axis.

A box is a tuple of `Intervals`, none of them empty; a union is a list of boxes. Nothing is approximated: what an axis
stands for, and how names, hosts, values and windows of time become whole numbers, is `otmon.policy.axes`.
"""

from collections.abc import Iterable, Sequence
from random import Random
from typing import Final

from otmon.policy.intervals import Intervals, both, contains_all, covers, merge, without

Box = tuple[Intervals, ...]
Point = Sequence[int]
_TRIED: Final = 6
"""Points of a box, besides its first and its last."""


def holds(box: Box, point: Point) -> bool:
    """The point lies in the box."""
    return all(covers(side, at, at) for side, at in zip(box, point, strict=True))


def contains(outer: Box, inner: Box) -> bool:
    """Every point of the inner box lies in the outer one."""
    return all(wide == narrow or contains_all(wide, narrow) for wide, narrow in zip(outer, inner, strict=True))


def intersect(first: Box, second: Box) -> Box | None:
    """The points of both; None if there are none."""
    out = []
    for mine, its in zip(first, second, strict=True):
        shared = both(mine, its)
        if not shared:
            return None
        out.append(shared)
    return tuple(out)


def subtract(box: Box, other: Box) -> list[Box]:
    """The points of the first box that are not in the other, as boxes without a point in common."""
    shared = intersect(box, other)
    if shared is None:
        return [box]
    out = []
    for axis, side in enumerate(shared):
        if side != box[axis]:
            out.append((*box[:axis], without(box[axis], side), *box[axis + 1 :]))
            box = (*box[:axis], side, *box[axis + 1 :])
    return out


def subtract_all(box: Box, others: Iterable[Box], most: int | None = None) -> list[Box] | None:
    """The points of the box that are in none of the others, disjoint; None: they would be more than `most` boxes."""
    left = [box]
    for other in others:
        left = [piece for part in left for piece in subtract(part, other)]
        if not left:
            break
        if most is not None and len(left) > most:
            return None
    return left


def uncovered(box: Box, others: Sequence[Box], most: int | None = None) -> Box | None:
    """Some part of the box that none of the others has a point of; None: together they contain the box.

    OverflowError: after `most` pieces it is not known.
    """
    waiting = [(box, 0)]
    taken = 0
    while waiting:
        piece, at = waiting.pop()
        taken += 1
        if most is not None and taken > most:
            raise OverflowError
        while at < len(others) and intersect(piece, others[at]) is None:
            at += 1
        if at == len(others):
            return piece
        waiting += [(part, at + 1) for part in subtract(piece, others[at])]
    return None


def covered(box: Box, others: Sequence[Box]) -> bool:
    """Together the others contain the box. Some of its points are tried first: mostly one of them shows that not."""
    ends = [[end for low, high in side for end in (low, high)] for side in box]
    choose = Random(0)
    tried: list[Point] = [[side[0] for side in ends], [side[-1] for side in ends]]
    tried += [[choose.choice(side) for side in ends] for _ in range(_TRIED)]
    if any(not any(holds(other, point) for other in others) for point in tried):
        return False
    return uncovered(box, others) is None


def union(boxes: Iterable[Box]) -> list[Box]:
    """The same points, in fewer boxes where some differ in one axis only."""
    out = list(dict.fromkeys(boxes))
    before = 0
    while len(out) != before:
        before = len(out)
        for axis in range(len(out[0]) if out else 0):
            groups: dict[Box, list[Intervals]] = {}
            for box in out:
                groups.setdefault((*box[:axis], *box[axis + 1 :]), []).append(box[axis])
            out = [
                (
                    *rest[:axis],
                    sides[0] if len(sides) == 1 else merge(pair for side in sides for pair in side),
                    *rest[axis:],
                )
                for rest, sides in groups.items()
            ]
    return [box for n, box in enumerate(out) if not any(n != m and contains(wide, box) for m, wide in enumerate(out))]
