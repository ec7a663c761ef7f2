"""Log-scale histograms of times: four buckets an octave from 1 µs, and what can be read from them.

The compiled path fills the same buckets (`bucket` is plain integer arithmetic there too), so histograms of disjoint
parts of the traffic merge by adding.
"""

from collections.abc import Mapping
from math import isqrt
from typing import Final

BUCKETS: Final = 128
"""Bucket 127 begins at 7,516 s and takes everything longer."""
MIN_INTERVALS: Final = 2
"""One interval is an accident, two can be compared."""


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


def middle(index: int) -> int:
    """Geometric middle of a bucket in ns (of bucket 0: the arithmetic one)."""
    low, high = bucket_bounds(index)
    return isqrt(low * high) if low else high // 2


def quantile_bucket(hist: Mapping[int, int], q: float) -> int | None:
    """The bucket in which the share `q` (0..1) of the counted times is reached; None if nothing was counted."""
    total = sum(hist.values())
    if total <= 0:
        return None
    seen = 0
    for index in sorted(hist):
        seen += hist[index]
        if seen >= q * total and seen:
            return index
    return max(hist)


def quantile(hist: Mapping[int, int], q: float) -> int | None:
    """Quantile `q` (0..1) in ns, as the middle of its bucket (at most 10 % off above 4 µs); None without data."""
    index = quantile_bucket(hist, q)
    return None if index is None else middle(index)


def period(hist: Mapping[int, int], count: int, first_ts_ns: int, last_ts_ns: int) -> tuple[int, int] | None:
    """(period, spread) in ns of something that happened `count` times; None if it happened too seldom to say.

    The period is the median interval: the exact mean where mean and median lie in neighbouring buckets (a steady poll:
    the mean is then far more exact than a bucket), else the middle of the median's bucket. The spread is the
    interquartile range of the intervals, as differences of bucket middles.
    """
    lower, median, upper = (quantile_bucket(hist, q) for q in (0.25, 0.5, 0.75))
    if lower is None or median is None or upper is None or sum(hist.values()) < MIN_INTERVALS or count < 2:
        return None
    mean = (last_ts_ns - first_ts_ns) // (count - 1)
    steady = abs(bucket(mean) - median) <= 1
    return (mean if steady else middle(median)), middle(upper) - middle(lower)
