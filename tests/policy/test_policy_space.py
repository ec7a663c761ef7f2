"""The algebra of boxes beside sets of points, over universes small enough to list."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from otmon.policy.index import Index
from otmon.policy.intervals import both, distance, merge, overlap, without
from otmon.policy.space import contains, covered, holds, intersect, subtract, subtract_all, uncovered, union

LAST = 4
AXES = 3
POINTS = list(product(range(LAST + 1), repeat=AXES))

sides = st.sets(st.integers(0, LAST), min_size=1).map(lambda numbers: merge((n, n) for n in numbers))
boxes = st.tuples(*[sides] * AXES)
some = st.lists(boxes, max_size=6)


def points(*many):
    return {point for point in POINTS if any(holds(box, point) for box in many)}


def numbers(ranges):
    return {n for low, high in ranges for n in range(low, high + 1)}


def is_normal(ranges):
    return ranges == merge(ranges)


@given(sides, st.one_of(st.just(()), sides))
def test_sets_of_numbers(first, second):
    shared, rest = both(first, second), without(first, second)
    assert (numbers(shared), numbers(rest)) == (numbers(first) & numbers(second), numbers(first) - numbers(second))
    assert overlap(first, second) == bool(shared)
    assert is_normal(shared)
    assert is_normal(rest)


@given(sides, st.integers(-3, LAST + 3))
def test_distance_to_a_set(ranges, number):
    assert distance(ranges, number) == min(abs(number - other) for other in numbers(ranges))


@given(boxes, boxes)
def test_two_boxes(first, second):
    shared, rest = intersect(first, second), subtract(first, second)
    assert (points(shared) if shared else set()) == points(first) & points(second)
    assert points(*rest) == points(first) - points(second)
    assert sum(len(points(box)) for box in rest) == len(points(*rest)), "disjoint"
    assert contains(first, second) == (points(first) >= points(second))


@given(boxes, some)
def test_a_box_and_many(box, others):
    expected = points(box) - points(*others)
    rest = subtract_all(box, others)
    assert points(*rest) == expected
    assert sum(len(points(piece)) for piece in rest) == len(expected)
    piece = uncovered(box, others)
    assert covered(box, others) == (piece is None)
    assert (piece is None) == (not expected)
    assert piece is None or points(piece) <= expected
    few = subtract_all(box, others, most=2)
    assert few is None or points(*few) == expected


@given(some)
def test_union_is_the_same_points_in_no_more_boxes(many):
    joined = union(many)
    assert points(*joined) == points(*many)
    assert len(joined) <= len(many)


@given(some, boxes)
def test_index_finds_what_meets(many, box):
    assert list(Index(many).meeting(box)) == [n for n, other in enumerate(many) if intersect(other, box)]


@given(some, st.tuples(*[st.integers(0, LAST)] * AXES), st.integers(1, 3))
def test_nearest_is_what_trying_all_finds(many, point, count):
    weights, steps = (8, 3, 1), (0, 1, 5)

    def far(box):
        gaps = tuple(min(abs(at - n) for n in numbers(side)) for side, at in zip(box, point, strict=True))
        weight = sum(weight for weight, gap in zip(weights, gaps, strict=True) if gap)
        return weight, sum(step * gap for step, gap in zip(steps, gaps, strict=True))

    expected = sorted((*far(box), n) for n, box in enumerate(many))[:count]
    assert Index(many).nearest(point, weights, steps, count) == [n for *_, n in expected]


def test_numbers_beyond_floating_point_are_not_rounded_away():
    big = 1 << 128
    box, other = (((big, big),),), (((big + 1, big + 1),),)
    assert list(Index([box]).meeting(other)) == []
    assert list(Index([other]).meeting(other)) == [0]
