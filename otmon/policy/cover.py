"""Few rows for many operations: a set of points as the least number of boxes that contain it and nothing else.

A box has one bit mask for each axis and stands for their product, so this is the minimisation of a multi-valued
function in two levels. Small sets are solved exactly: every box that cannot be widened (a prime) is found by iterated
consensus, then the least number of them by branch and bound. Larger ones get boxes of which no two differ in one axis
alone, so that no pair could be written as one.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import product
from typing import Final

Box = tuple[int, ...]
"""For each axis the set of its members, as bits; none is empty."""
MAX_ROWS: Final = 48
"""Merged boxes, above which no primes are looked for."""
MAX_PRIMES: Final = 400
MAX_POINTS: Final = 4096
MAX_STEPS: Final = 20_000
"""Branches that are tried; consensus terms are, at four times as many."""


def few(boxes: Iterable[Box]) -> tuple[list[Box], bool]:
    """(boxes that contain the points of these and no other, whether there are none with fewer).

    Each is as tight as the others leave it: what two would contain, one does, unless a box cannot be a product without.
    """
    given = sorted(set(boxes))
    if not given:
        return [], True
    axes = range(len(given[0]))
    orders = [[*axes[n:], *axes[:n]][::step] for n in axes for step in (1, -1)]
    rows = min((_merged(given, order) for order in orders), key=len)
    if len(rows) <= 1:
        return rows, True
    primes = _primes(rows) if len(rows) <= MAX_ROWS else None
    points = _points(rows) if primes is not None else None
    if primes is None or points is None:
        return sorted(rows), False
    masks = [sum(1 << n for n, point in enumerate(points) if contains(prime, point)) for prime in primes]
    chosen, least = _least(masks, len(points))
    if len(chosen) < len(rows):
        rows = _tightened([primes[n] for n in chosen])
    return sorted(rows), least


def contains(outer: Box, inner: Box) -> bool:
    """Every point of the inner box lies in the outer one."""
    return all(wide & narrow == narrow for wide, narrow in zip(outer, inner, strict=True))


def _merged(boxes: Sequence[Box], order: Sequence[int]) -> list[Box]:
    """Boxes that differ in one axis alone become one, until there are none."""
    out, before = list(boxes), 0
    while len(out) != before:
        before = len(out)
        for axis in order:
            groups: dict[Box, int] = {}
            for box in out:
                rest = (*box[:axis], 0, *box[axis + 1 :])
                groups[rest] = groups.get(rest, 0) | box[axis]
            out = [(*rest[:axis], members, *rest[axis + 1 :]) for rest, members in groups.items()]
    return out


# --- primes ----------------------------------------------------------------------------------------------------------
def _primes(rows: Sequence[Box]) -> list[Box] | None:
    """Every box of the set that cannot be widened; None: they are too many."""
    waiting, found, steps = deque(rows), list[Box](), 0
    while waiting:
        box = waiting.popleft()
        if any(contains(other, box) for other in found):
            continue
        found = [other for other in found if not contains(box, other)]
        for other in found:
            waiting += _consensus(box, other)
            steps += 1
        found.append(box)
        if len(found) > MAX_PRIMES or steps > 4 * MAX_STEPS:
            return None
    return sorted(found)


def _consensus(first: Box, second: Box) -> Iterable[Box]:
    """For each axis: the widest box along it that the two contain together."""
    shared = [mine & its for mine, its in zip(first, second, strict=True)]
    empty = [axis for axis, members in enumerate(shared) if not members]
    if len(empty) > 1:
        return
    for axis in empty or range(len(shared)):
        yield (*shared[:axis], first[axis] | second[axis], *shared[axis + 1 :])


def _points(rows: Sequence[Box]) -> list[Box] | None:
    """One box for all points that lie in the same rows, along each axis; None: they are too many."""
    axes = range(len(rows[0]))
    kinds = [_kinds([row[axis] for row in rows]) for axis in axes]
    found: dict[Box, None] = {}
    for row in rows:
        found.update(dict.fromkeys(product(*([kind for kind in kinds[axis] if kind & row[axis]] for axis in axes))))
        if len(found) > MAX_POINTS:
            return None
    return sorted(found)


def _kinds(sets: Sequence[int]) -> list[int]:
    """The members of these sets, those together that are in the same ones."""
    kinds = [reduce(int.__or__, sets)]
    for members in sets:
        kinds = [part for kind in kinds for part in (kind & members, kind & ~members) if part]
    return kinds


# --- choosing --------------------------------------------------------------------------------------------------------
def _least(masks: Sequence[int], points: int) -> tuple[list[int], bool]:
    """(the fewest of these sets that contain every point, whether fewer were ruled out)."""
    everything = (1 << points) - 1
    having = [[n for n, mask in enumerate(masks) if mask >> point & 1] for point in range(points)]
    best, left = list[int](), everything
    while left:  # greedily: at most ln(points) + 1 times too many
        best.append(max(range(len(masks)), key=lambda n: ((masks[n] & left).bit_count(), -n)))
        left &= ~masks[best[-1]]
    # The point with the fewest choices decides first: those with one have none.
    order = sorted(range(points), key=lambda point: len(having[point]))
    widest = max(mask.bit_count() for mask in masks)
    waiting, steps = [(everything, list[int]())], 0
    while waiting:
        left, chosen = waiting.pop()
        if not left:
            best = min(best, chosen, key=len)
            continue
        if len(chosen) + -(-left.bit_count() // widest) >= len(best):
            continue
        steps += 1
        if steps > MAX_STEPS:
            return sorted(best), False
        point = next(point for point in order if left >> point & 1)
        choices = sorted(having[point], key=lambda n: (masks[n] & left).bit_count())
        waiting += [(left & ~masks[n], [*chosen, n]) for n in choices]
    return sorted(best), True


def _tightened(boxes: Sequence[Box]) -> list[Box]:
    """Each box no wider than what it alone contains, the widest first."""
    out = list(boxes)
    for n in sorted(range(len(out)), key=lambda n: -_size(out[n])):
        alone = [out[n]]
        for other in (*out[:n], *out[n + 1 :]):
            alone = [piece for part in alone for piece in _without(part, other)]
        out[n] = tuple(reduce(int.__or__, side) for side in zip(*alone, strict=True))
    return out


def _without(box: Box, other: Box) -> list[Box]:
    if any(not mine & its for mine, its in zip(box, other, strict=True)):
        return [box]
    out = []
    for axis, its in enumerate(other):
        if rest := box[axis] & ~its:
            out.append((*box[:axis], rest, *box[axis + 1 :]))
        box = (*box[:axis], box[axis] & its, *box[axis + 1 :])
    return out


def _size(box: Box) -> int:
    return reduce(int.__mul__, (members.bit_count() for members in box))
