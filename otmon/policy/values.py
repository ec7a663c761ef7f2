"""Limits on what writes may set: which hold where, and whether one pair of bounds says it all."""

from collections.abc import Iterable, Iterator, Sequence
from math import ceil, floor

from otmon.model import Op, OperationKey, Target
from otmon.policy.intervals import covers, end_at, merge
from otmon.policy.rows import Parts, Row, part, span

ValueRanges = tuple[tuple[float, float], ...]
Permit = tuple[Row, Parts | None]
"""A row that permits an operation on some targets, and on which (None: all)."""


def covering(permits: Sequence[Permit], target: Target) -> list[Row] | None:
    """Rows that together permit the whole target, or None. One row if one suffices."""
    used = []
    edge, last = span(target)
    for row, parts in permits:
        ranges = None if parts is None else part(parts, target)
        if ranges is None:
            return [row]
        if target.start is not None and covers(ranges, edge, last):
            return [row]
        used.append((row, ranges))
    if target.start is None:
        return None
    rows: list[Row] = []
    while edge <= last:
        ends = [(end, row) for row, ranges in used if (end := end_at(ranges, edge)) is not None]
        reach = max(ends, key=_reach, default=None)
        if reach is None:
            return None
        rows.append(reach[1])
        edge = reach[0] + 1
    return rows


def pieces(permits: Sequence[Permit], target: Target | None) -> Iterator[list[Row]]:
    """The rows of each part of a permitted target."""
    if target is None or target.start is None:
        yield [row for row, parts in permits if parts is None or target is None or part(parts, target) is None]
        return
    first, last = span(target)
    held = [(row, None if parts is None else part(parts, target)) for row, parts in permits]
    cuts = {first}
    for _, ranges in held:
        for low, high in ranges or ():
            cuts.update(cut for cut in (low, high + 1) if first < cut <= last)
    for cut in sorted(cuts):
        rows = [row for row, ranges in held if ranges is None or end_at(ranges, cut) is not None]
        if rows:
            yield rows


def allowed(rows: Sequence[Row]) -> ValueRanges | None:
    """The values that rows permit together, whatever points they are of; None: any."""
    if any(not row.limited for row in rows):
        return None
    return merge_values(pair for row in rows if row.points is None for pair in row.values or ())


def bounds(parts: Iterable[Sequence[Row]]) -> tuple[tuple[int, int] | None, bool]:
    """Of parts of a target: (one pair of inclusive bounds that says it all or None, each value must be looked at)."""
    kinds = set()
    for rows in parts:
        kinds.add(allowed(rows))
        if None not in kinds and any(row.points is not None for row in rows):
            return None, True
    if kinds <= {None}:
        return None, False
    if len(kinds) == 1:
        (ranges,) = kinds
        if ranges and len(ranges) == 1:
            low, high = ceil(ranges[0][0]), floor(ranges[0][1])
            # Within whole numbers only: a protocol that writes fractions is judged by its values.
            if low <= high and (low, high) == ranges[0]:
                return (low, high), False
    return None, True


def merge_values(ranges: Iterable[tuple[float, float]]) -> ValueRanges:
    """Overlapping ranges as one; neighbours stay apart, since values may be fractions."""
    out: list[tuple[float, float]] = []
    for low, high in sorted(ranges):
        if out and low <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], high))
        else:
            out.append((low, high))
    return tuple(out)


def concerned(op: OperationKey, written: Op) -> bool:
    """The written element is a part of the operation."""
    if (written.function, written.access, written.unit) != (op.function, op.access, op.unit):
        return False
    if op.target is None or written.target is None:
        return op.target is written.target
    mine, its = op.target, written.target
    if (mine.space, mine.name) != (its.space, its.name):
        return False
    if mine.start is None or its.start is None:
        return mine.start is None
    return span(mine)[0] <= span(its)[0] and span(its)[1] <= span(mine)[1]


def limits(permits: Sequence[Permit], target: Target | None) -> Iterator[tuple[Row, ValueRanges]]:
    """Of each part of a permitted target whose raw values are limited: a row that limits them, and what all allow."""
    for rows in pieces(permits, target):
        ranges = allowed(rows)
        if ranges is not None and not any(row.points for row in rows):
            yield rows[0], ranges


def known(op: OperationKey, written: Sequence[tuple[Op, float]]) -> bool:
    """Everything that the operation sets is among the values: no texts, times, NaN, or bytes that are no number."""
    mine = [element.target for element, _ in written if concerned(op, element)]
    if op.target is None or any(target is None or target.start is None for target in mine):
        return bool(mine)
    return op.target.start is not None and covers(merge(span(target) for target in mine if target), *span(op.target))


def _reach(item: tuple[int, Row]) -> int:
    return item[0]
