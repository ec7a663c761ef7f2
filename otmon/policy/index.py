"""Many boxes, asked which of them meet a box or come nearest to a point, without going through all of them in Python.

On every axis a box is known by the ranks of its bounds among those that occur: small whole numbers, whatever the axis
stands for, so that NumPy compares ten thousand boxes in microseconds and nothing is rounded.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otmon.policy.intervals import Intervals, distance, overlap
from otmon.policy.space import Box, Point

_Numbers = NDArray[np.int64]


class _Axis:
    """One axis: its different sides, and which of them each box has."""

    def __init__(self, number: int, boxes: Sequence[Box]) -> None:
        self.number = number
        kinds: dict[Intervals, int] = {}
        self._kind = np.fromiter((kinds.setdefault(box[number], len(kinds)) for box in boxes), np.int64, len(boxes))
        self.sides = list(kinds)
        self.plain = all(len(side) == 1 for side in self.sides)
        """Each side is one range."""
        lows, highs = ([pair[end] for pair in chain.from_iterable(self.sides)] for end in (0, 1))
        self.lows, self.highs = sorted(set(lows)), sorted(set(highs))
        self._low, self._high = _ranks(lows, self.lows), _ranks(highs, self.highs)
        # To count steps with: rounded beyond 2**53.
        self._from, self._to = np.array(lows, np.float64), np.array(highs, np.float64)
        self._size = np.fromiter(map(len, self.sides), np.int64, len(kinds))
        self._at = np.cumsum(self._size) - self._size
        self.first, self.last = self._low[self._at][self._kind], self._high[self._at + self._size - 1][self._kind]
        """Of each box: the ranks of its first and of its last number."""

    def reach(self, low: int, high: int) -> tuple[int, int]:
        """(first, last): a range reaches into `low` to `high` if its first rank is below, its last one not below."""
        return bisect_right(self.lows, high), bisect_left(self.highs, low)

    def beyond(self, boxes: _Numbers, at: int) -> tuple[Any, Any]:
        """(whether the number lies in a gap of the side, steps to it) of each of these boxes."""
        first, last = self.reach(at, at)
        if len(self.sides) == 1:
            off = distance(self.sides[0], at)
            return first > 0 and last < len(self.highs) and off > 0, off
        ranges = kinds = self._kind[boxes]
        if not self.plain:
            size = self._size[kinds]
            begin = np.cumsum(size) - size
            ranges = np.arange(size.sum()) + np.repeat(self._at[kinds] - begin, size)
        outside = (self._low[ranges] >= first) | (self._high[ranges] < last)
        gaps = np.maximum(self._from[ranges] - at, at - self._to[ranges]) * outside
        if not self.plain:
            gaps, outside = np.minimum.reduceat(gaps, begin), np.logical_and.reduceat(outside, begin)
        return outside & (self.first[boxes] < first) & (self.last[boxes] >= last), gaps


def _ranks(numbers: Sequence[int], known: Sequence[int]) -> NDArray[Any]:
    place = {number: rank for rank, number in enumerate(known)}
    return np.fromiter(map(place.__getitem__, numbers), np.min_scalar_type(len(known)), len(numbers))


class Index:
    """Boxes of as many axes each."""

    def __init__(self, boxes: Iterable[Box]) -> None:
        self.boxes = tuple(boxes)
        self._axes = [_Axis(number, self.boxes) for number in range(len(self.boxes[0]) if self.boxes else 0)]
        # The axis that tells most boxes apart is looked at first, and alone for all of them.
        self._order = sorted(self._axes, key=lambda axis: -len(np.unique(axis.first)))

    def meeting(self, box: Box) -> Iterator[int]:
        """Numbers of the boxes that have a point in common with this one, in their order."""
        found: _Numbers | None = None
        ragged = []
        for axis in self._order:
            side = box[axis.number]
            if len(axis.sides) == 1:
                if not overlap(axis.sides[0], side):
                    return
                continue
            if not axis.plain or len(side) > 1:
                ragged.append(axis.number)
            first, last = axis.reach(side[0][0], side[-1][1])
            if first == len(axis.lows) and last == 0:
                continue
            if found is None:
                found = np.flatnonzero((axis.first < first) & (axis.last >= last))
            else:
                found = found[(axis.first[found] < first) & (axis.last[found] >= last)]
            if not len(found):
                return
        for number in range(len(self.boxes)) if found is None else found.tolist():
            other = self.boxes[number]
            if all(overlap(other[axis], box[axis]) for axis in ragged):
                yield number

    def nearest(self, point: Point, weights: Sequence[int], steps: Sequence[int], count: int = 1) -> list[int]:
        """The boxes with the least weight of axes that do not fit, then of the fewest steps, then the first; by number.

        `weights`: one for each axis; `steps`: what a step along it counts, exact below 2**53 (0 where numbers are mere
        names).
        """
        if not self.boxes:
            return []
        least = self._least(point, weights)
        # As many as are asked for, of those that may be nearest; then the others that may be as near as these.
        enough, wanted = int(least.min()), min(count, len(least))
        while (there := np.count_nonzero(least <= enough)) < wanted:
            enough += 1
        best = self._best(np.flatnonzero(least <= enough), least, point, weights, steps, count)
        some = np.flatnonzero(least <= best[-1][0])
        if len(some) > there:
            best = self._best(some, least, point, weights, steps, count)
        return [number for *_, number in best]

    def _least(self, point: Point, weights: Sequence[int]) -> NDArray[Any]:
        """At least the weight of each box: of the axes on which the point lies before or behind all of it."""
        kind = np.min_scalar_type(sum(weights))
        out = np.zeros(len(self.boxes), kind)
        for axis in self._axes:
            first, last = axis.reach(point[axis.number], point[axis.number])
            if first < len(axis.lows) or last > 0:
                out += ((axis.first >= first) | (axis.last < last)) * kind.type(weights[axis.number])
        return out

    def _best(
        self,
        numbers: _Numbers,
        least: NDArray[Any],
        point: Point,
        weights: Sequence[int],
        steps: Sequence[int],
        count: int,
    ) -> list[tuple[int, float, int]]:
        """(weight, steps, number) of the first `count` of these boxes."""
        weight, far = least[numbers], np.zeros(len(numbers))
        for axis in self._axes:
            if steps[axis.number] or not axis.plain:
                beyond, gaps = axis.beyond(numbers, point[axis.number])
                weight += weight.dtype.type(weights[axis.number]) * beyond
                far += steps[axis.number] * gaps
        if len(numbers) > count:
            last = np.partition(weight, count - 1)[count - 1]
            # Of these there are enough; of them, those that are as good as the last one.
            some = np.flatnonzero(weight <= last)
            some = some[np.lexsort((far[some], weight[some]))[:count]]
            numbers, weight, far = numbers[some], weight[some], far[some]
        return sorted(zip(weight.tolist(), far.tolist(), numbers.tolist(), strict=True))
