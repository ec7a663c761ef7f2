"""Histogram buckets and what is read from them, beside exact statistics of the same times."""

import itertools
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otmon.site.timing import BUCKETS, MIDDLES, bucket, bucket_bounds, period, quantiles

MS, S = 1_000_000, 1_000_000_000


@given(st.integers(0, 20_000 * S))
def test_a_time_lies_in_its_bucket(ns: int) -> None:
    index = bucket(ns)
    low, high = bucket_bounds(index)
    assert 0 <= index < BUCKETS
    assert low <= ns
    assert ns < high or index == BUCKETS - 1


def test_buckets_join_without_gap_and_have_four_an_octave() -> None:
    bounds = [bucket_bounds(index) for index in range(BUCKETS)]
    assert all(left[1] == right[0] for left, right in itertools.pairwise(bounds))
    assert all(bounds[i + 4][0] == 2 * bounds[i][0] for i in range(4, BUCKETS - 4))
    assert [bucket(low) for low, _ in bounds] == list(range(BUCKETS))
    assert [bucket(high - 1) for _, high in bounds] == list(range(BUCKETS))
    assert bucket(-5 * S) == 0


def as_hist(times: list[int]) -> dict[int, int]:
    hist: dict[int, int] = {}
    for ns in times:
        hist[bucket(ns)] = hist.get(bucket(ns), 0) + 1
    return hist


@given(
    st.lists(st.integers(4000, 3600 * S), min_size=1, max_size=200), st.sampled_from([0.01, 0.25, 0.5, 0.75, 0.99, 1.0])
)
def test_quantile_is_within_a_bucket_of_the_exact_one(times: list[int], q: float) -> None:
    exact = next(t for n, t in enumerate(sorted(times), 1) if n >= q * len(times))
    (found,) = quantiles(as_hist(times), [q])
    assert found == MIDDLES[bucket(exact)]
    assert found == pytest.approx(exact, rel=0.15)


def test_nothing_counted() -> None:
    assert quantiles({}, [0.5]) == []
    assert period({}, 1, 0, 0) is None
    assert period({bucket(S): 1}, 2, 0, S) is None


def test_steady_poll_has_the_exact_mean() -> None:
    rng = random.Random(7)
    times, now = [], 0
    for _ in range(500):
        times.append(now)
        now += round(rng.gauss(100 * MS, 2 * MS))
    gaps = [b - a for a, b in itertools.pairwise(times)]
    found = period(as_hist(gaps), len(times), times[0], times[-1])
    assert found is not None
    assert found[0] == pytest.approx(statistics.mean(gaps), abs=1)
    assert found[1] <= 20 * MS


def test_one_long_pause_does_not_change_the_period() -> None:
    gaps = [S] * 100 + [7200 * S]
    found = period(as_hist(gaps), 102, 0, sum(gaps))
    assert found is not None
    assert found[0] == pytest.approx(S, rel=0.15)
    assert found[1] == 0


def test_irregular_has_a_wide_spread() -> None:
    rng = random.Random(3)
    gaps = [rng.randint(MS, 20 * S) for _ in range(400)]
    found = period(as_hist(gaps), 401, 0, sum(gaps))
    assert found is not None
    assert found[1] > found[0] / 2
