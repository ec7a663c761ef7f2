"""Sets of whole numbers as sorted, disjoint, inclusive ranges that do not touch."""

from bisect import bisect_right
from collections.abc import Iterable

Intervals = tuple[tuple[int, int], ...]


def merge(ranges: Iterable[tuple[int, int]]) -> Intervals:
    """The same numbers in the form that the other functions want; neighbours (0-9, 10-19) coalesce."""
    out: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if out and low <= out[-1][1] + 1:
            if high > out[-1][1]:
                out[-1] = (out[-1][0], high)
        else:
            out.append((low, high))
    return tuple(out)


def size(ranges: Iterable[tuple[int, int]]) -> int:
    """How many numbers are in ranges that do not overlap."""
    return sum(high - low + 1 for low, high in ranges)


def covers(ranges: Intervals, low: int, high: int) -> bool:
    """Every number from `low` to `high` is in the set."""
    at = bisect_right(ranges, low, key=_low) - 1
    return at >= 0 and ranges[at][1] >= high


def end_at(ranges: Intervals, number: int) -> int | None:
    """Last number of the range that `number` is in, None if it is in none."""
    at = bisect_right(ranges, number, key=_low) - 1
    return ranges[at][1] if at >= 0 and ranges[at][1] >= number else None


def overlaps(ranges: Intervals, low: int, high: int) -> bool:
    """Some number from `low` to `high` is in the set."""
    at = bisect_right(ranges, high, key=_low) - 1
    return at >= 0 and ranges[at][1] >= low


def contains_all(ranges: Intervals, other: Intervals) -> bool:
    """Every number of `other` is in the set."""
    if len(ranges) == 1 and other:
        return ranges[0][0] <= other[0][0] and other[-1][1] <= ranges[0][1]
    return all(covers(ranges, low, high) for low, high in other)


def common(first: Intervals, second: Intervals) -> tuple[int, int] | None:
    """The first range that the two sets share, or None."""
    for low, high in second:
        at = bisect_right(first, high, key=_low) - 1
        if at >= 0 and first[at][1] >= low:
            return max(first[at][0], low), min(first[at][1], high)
    return None


def both(first: Intervals, second: Intervals) -> Intervals:
    """The numbers that are in each of the two sets."""
    if first == second:
        return first
    if len(first) > len(second):
        first, second = second, first
    out = []
    for low, high in first:
        # The shorter one is walked; in the other, the few ranges that matter are looked up.
        for at in range(max(bisect_right(second, low, key=_low) - 1, 0), len(second)):
            start, end = second[at]
            if start > high:
                break
            if end >= low:
                out.append((max(low, start), min(high, end)))
    return tuple(out)


def overlap(first: Intervals, second: Intervals) -> bool:
    """Some number is in each of the two sets."""
    if len(first) == len(second) == 1:
        return first[0][0] <= second[0][1] and second[0][0] <= first[0][1]
    if len(first) > len(second):
        first, second = second, first
    return any(overlaps(second, low, high) for low, high in first)


def without(first: Intervals, second: Intervals) -> Intervals:
    """The numbers of the first set that are not in the second."""
    out = []
    j = 0
    for low, high in first:
        while j < len(second) and second[j][1] < low:
            j += 1
        k = j
        while k < len(second) and second[k][0] <= high:
            if second[k][0] > low:
                out.append((low, second[k][0] - 1))
            low = second[k][1] + 1
            k += 1
        if low <= high:
            out.append((low, high))
    return tuple(out)


def distance(ranges: Intervals, number: int) -> int:
    """Steps from the number to the nearest one in the set, which is not empty: 0 inside."""
    at = bisect_right(ranges, number, key=_low) - 1
    below = max(0, number - ranges[at][1]) if at >= 0 else None
    above = ranges[at + 1][0] - number if at + 1 < len(ranges) else None
    return min(gap for gap in (below, above) if gap is not None)


def text(ranges: Iterable[tuple[float, float]]) -> str:
    """As people write it: `0-9, 12`; negative numbers as `-5..5`."""
    return ", ".join(_range_text(low, high) for low, high in ranges)


def _range_text(low: float, high: float) -> str:
    if low == high:
        return f"{low:.15g}"
    return f"{low:.15g}{'..' if low < 0 or high < 0 else '-'}{high:.15g}"


def _low(item: tuple[int, int]) -> int:
    return item[0]
