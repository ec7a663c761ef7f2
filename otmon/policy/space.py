"""Exact algebra of boxes: sets of points that are a product of sets of whole numbers, one for each axis.

A box is a tuple of `Intervals`, none of them empty; a union is a list of boxes. Nothing is approximated: what an axis
stands for, and how names, hosts, values and windows of time become whole numbers, is `otmon.policy.axes`.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from otmon.policy.intervals import Intervals, both, contains_all, covers, distance, merge, overlap, without

Box = tuple[Intervals, ...]
Point = Sequence[int]


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


class Near(NamedTuple):
    """How far a point is from a box."""

    number: int
    """Of the box in its index."""
    weight: int
    """Sum of the weights of the axes on which the point lies outside."""
    distances: tuple[int, ...]
    """For each axis, how many steps to the nearest number inside."""


class Index:
    """Many boxes, asked which of them could meet a box or come near to a point.

    Kept as bounds in floating point: rounding keeps the order, so a box that meets another is never missed.
    """

    def __init__(self, boxes: Iterable[Box]) -> None:
        self.boxes = tuple(boxes)
        axes = len(self.boxes[0]) if self.boxes else 0
        self._low = self._bounds(axes, 0)
        self._high = self._bounds(axes, 1)
        # The axis that tells most boxes apart is looked at first, and alone for all of them.
        self._order = sorted(range(axes), key=lambda axis: -len(np.unique(self._low[axis])))
        alike = np.all((self._low == self._low[:, :1]) & (self._high == self._high[:, :1]), axis=1).tolist()
        # Where all have the same bounds, the first one stands for all.
        self._some = [slice(1) if same else slice(None) for same in alike]

    def _bounds(self, axes: int, end: int) -> NDArray[np.float64]:
        shape = (axes, len(self.boxes))
        numbers = (float(box[axis][-end][end]) for axis in range(axes) for box in self.boxes)
        return np.fromiter(numbers, np.float64, axes * len(self.boxes)).reshape(shape)

    def meeting(self, box: Box) -> Iterator[int]:
        """Numbers of the boxes that have a point in common with this one, in their order."""
        if not self.boxes:
            return
        first, *others = self._order
        side = box[first]
        found = np.flatnonzero((self._low[first] <= float(side[-1][1])) & (self._high[first] >= float(side[0][0])))
        for axis in others:
            if not len(found):
                return
            low, high = float(box[axis][0][0]), float(box[axis][-1][1])
            found = found[(self._low[axis][found] <= high) & (self._high[axis][found] >= low)]
        for number in found.tolist():
            other = self.boxes[number]
            if all(overlap(other[axis], box[axis]) for axis in self._order):
                yield number

    def nearest(self, point: Point, weights: Sequence[int], steps: Sequence[int], count: int = 1) -> list[Near]:
        """The boxes with the least weight of axes that do not fit, then the fewest steps, then in their order.

        `weights`: one for each axis; `steps`: what a step along it counts (0 where numbers are mere names). Exact:
        bounds on both decide which boxes are measured.
        """
        if not self.boxes:
            return []
        weight = np.zeros(len(self.boxes), np.int32)
        for axis, at in enumerate(map(float, point)):
            low, high = self._low[axis][self._some[axis]], self._high[axis][self._some[axis]]
            weight += np.int32(weights[axis]) * ((low > at) | (high < at))
        best: list[tuple[int, int, int, tuple[int, ...]]] = []
        for level in np.flatnonzero(np.bincount(weight)).tolist():
            if len(best) >= count and level > best[-1][0]:
                break
            numbers = np.flatnonzero(weight == level)
            far = self._far(numbers, point, steps)
            for at in np.argsort(far, kind="stable").tolist():
                if len(best) >= count and (level, far[at]) > best[-1][:2]:
                    break
                best = sorted([*best, self._measured(int(numbers[at]), point, weights, steps)])[:count]
        return [Near(number, weight, distances) for weight, _, number, distances in best]

    def _far(self, numbers: NDArray[np.int64], point: Point, steps: Sequence[int]) -> NDArray[np.float64]:
        """At most the steps to each of these boxes."""
        far = np.zeros(len(numbers))
        for axis, at in enumerate(map(float, point)):
            if steps[axis]:
                some = numbers[self._some[axis]]
                below, above = self._low[axis][some] - at, at - self._high[axis][some]
                far += steps[axis] * np.maximum(np.maximum(below, above), 0)
        return far

    def _measured(
        self, number: int, point: Point, weights: Sequence[int], steps: Sequence[int]
    ) -> tuple[int, int, int, tuple[int, ...]]:
        weight = far = 0
        distances = []
        for side, at, heavy, step in zip(self.boxes[number], point, weights, steps, strict=True):
            # Most sides are one range.
            low, high = side[0]
            off = distance(side, at) if len(side) > 1 else low - at if at < low else at - high if at > high else 0
            if off:
                weight += heavy
                far += step * off
            distances.append(off)
        return weight, far, number, tuple(distances)
