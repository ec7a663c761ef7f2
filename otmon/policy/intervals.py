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
    return all(covers(ranges, low, high) for low, high in other)


def common(first: Intervals, second: Intervals) -> tuple[int, int] | None:
    """The first range that the two sets share, or None."""
    for low, high in second:
        at = bisect_right(first, high, key=_low) - 1
        if at >= 0 and first[at][1] >= low:
            return max(first[at][0], low), min(first[at][1], high)
    return None


def text(ranges: Iterable[tuple[float, float]]) -> str:
    """As people write it: `0-9, 12`; negative numbers as `-5..5`."""
    return ", ".join(_range_text(low, high) for low, high in ranges)


def _range_text(low: float, high: float) -> str:
    if low == high:
        return f"{low:.15g}"
    return f"{low:.15g}{'..' if low < 0 or high < 0 else '-'}{high:.15g}"


def _low(item: tuple[int, int]) -> int:
    return item[0]
