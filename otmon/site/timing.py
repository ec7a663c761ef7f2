"""Log-scale histograms of times: four buckets an octave from 1 µs, and what can be read from them.

The compiled path fills the same buckets (`bucket` is plain integer arithmetic there too), so histograms of disjoint
parts of the traffic merge by adding.
"""

from collections.abc import Mapping, Sequence
from math import isqrt
from typing import Final

BUCKETS: Final = 128
"""Bucket 127 begins at 7,516 s and takes everything longer."""
MIN_INTERVALS: Final = 2
"""One interval is an accident, two can be compared."""
_QUARTILES: Final = (0.25, 0.5, 0.75)


def bucket(ns: int) -> int:
    """Bucket 0..127 of a time in ns; what is under 4 µs has buckets of 1 µs, a negative time is bucket 0."""
    us = ns // 1000
    if us < 4:
        return max(us, 0)
    exponent = us.bit_length() - 1
    return min(4 * (exponent - 1) + ((us >> (exponent - 2)) & 3), BUCKETS - 1)


def bucket_bounds(index: int) -> tuple[int, int]:
    """(lowest ns of the bucket, lowest ns of the next)."""
    if index < 4:
        return 1000 * index, 1000 * (index + 1)
    shift = index // 4 - 1
    low = 4 + index % 4
    return 1000 * (low << shift), 1000 * ((low + 1) << shift)


def _middle(index: int) -> int:
    low, high = bucket_bounds(index)
    return isqrt(low * high) if low else high // 2


MIDDLES: Final = tuple(_middle(index) for index in range(BUCKETS))
"""Geometric middle of each bucket in ns (of bucket 0: the arithmetic one)."""


def quantile_buckets(hist: Mapping[int, int], shares: Sequence[float]) -> list[int]:
    """The buckets in which each share (0..1, ascending) of the counted times is reached; empty without data."""
    if len(hist) == 1:
        return list(hist) * len(shares)
    total = sum(hist.values())
    reached: list[int] = []
    seen = 0
    for index in sorted(hist):
        seen += hist[index]
        while len(reached) < len(shares) and seen >= shares[len(reached)] * total:
            reached.append(index)
    return reached


def quantiles(hist: Mapping[int, int], shares: Sequence[float]) -> list[int]:
    """Quantiles in ns, as the middles of their buckets (at most 10 % off above 4 µs); empty without data."""
    return [MIDDLES[index] for index in quantile_buckets(hist, shares)]


def period(hist: Mapping[int, int], count: int, first_ts_ns: int, last_ts_ns: int) -> tuple[int, int] | None:
    """(period, spread) in ns of something that happened `count` times; None if it happened too seldom to say.

    The period is the median interval: the exact mean where mean and median lie in neighbouring buckets (a steady poll:
    the mean is then far more exact than a bucket), else the middle of the median's bucket. The spread is the
    interquartile range of the intervals, as differences of bucket middles.
    """
    if count < 2 or sum(hist.values()) < MIN_INTERVALS:
        return None
    lower, median, upper = quantile_buckets(hist, _QUARTILES)
    mean = (last_ts_ns - first_ts_ns) // (count - 1)
    steady = abs(bucket(mean) - median) <= 1
    return (mean if steady else MIDDLES[median]), MIDDLES[upper] - MIDDLES[lower]
