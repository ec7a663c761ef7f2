"""Few boxes: exactly the points that were given, and on small sets as few as an exhaustive search finds."""

import random
from itertools import combinations, product

from otmon.policy.cover import few

SHAPE = (2, 3, 2, 3)


def points_of(box):
    return set(product(*([n for n in range(mask.bit_length()) if mask >> n & 1] for mask in box)))


def as_box(point):
    return tuple(1 << n for n in point)


def exhaustive(points):
    """Least number of boxes, by trying every set of the boxes that fit and are in no larger one that fits."""
    fitting = [found for box in product(*(range(1, 1 << n) for n in SHAPE)) if (found := points_of(box)) <= points]
    fitting = [one for one in fitting if not any(one < other for other in fitting)]
    return next(
        n for n in range(len(points) + 1) if any(set().union(*some) == points for some in combinations(fitting, n))
    )


def test_as_few_as_an_exhaustive_search_finds():
    chance = random.Random(7)
    everything = list(product(*map(range, SHAPE)))
    for _ in range(40):
        points = set(chance.sample(everything, chance.randint(1, 11)))
        boxes, least = few(map(as_box, points))
        assert least
        assert set().union(*map(points_of, boxes)) == points
        assert len(boxes) == exhaustive(points)


def test_larger_sets_are_covered_exactly():
    chance = random.Random(8)
    for shape, number in (((6, 6, 3, 3), 120), ((4, 4, 4, 4), 40), ((30, 30, 2, 2), 900)):
        points = {tuple(chance.randrange(n) for n in shape) for _ in range(number)}
        boxes, _ = few(map(as_box, points))
        assert set().union(*map(points_of, boxes)) == points
        for one, other in combinations(boxes, 2):
            assert sum(a != b for a, b in zip(one, other, strict=True)) > 1


def test_rows_share_no_more_than_they_must():
    # 0 does a and b, 1 does b alone: two rows either way; none repeats what the other says.
    boxes, least = few([(1, 1), (1, 2), (2, 2)])
    assert least
    assert len(boxes) == 2
    assert not set.intersection(*map(points_of, boxes))
    # A cross is two bars, which must share its middle or be three.
    cross = {(0, 1), (1, 0), (1, 1), (1, 2), (2, 1)}
    assert len(few(map(as_box, cross))[0]) == 2


def test_nothing_is_no_box():
    assert few([]) == ([], True)
