"""Whether what a message makes of points is within what rows allow of them: values, steps, rates of change."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from otmon.model import Op, OperationKey, Target
from otmon.policy.effects import Effect, Effects
from otmon.policy.fields import SECONDS
from otmon.policy.intervals import overlaps
from otmon.policy.rows import Row, part, span
from otmon.policy.tags import Tag, TagMap, cell_bits
from otmon.policy.values import Permit, concerned, known, limits
from otmon.policy.wording import values_text

Written = Sequence[tuple[Op, float]]


_ROUNDING: Final = 1 + 1e-9
"""Times are whole nanoseconds, rates are fractions."""


class Beyond(NamedTuple):
    """A row that comes near, and what it allows there, in a sentence."""

    row: Row
    text: str


def exceeded(
    op: OperationKey, permits: Sequence[Permit], tags: TagMap, written: Written, effects: Effects, ts_ns: int
) -> Beyond | None:
    """What no row permits of the values that a permitted write sets, or of the points it touches; None: all is."""
    for element, value in written:
        if concerned(op, element):
            for row, ranges in limits(permits, element.target):
                if not any(a <= value <= b for a, b in ranges):
                    return Beyond(row, f"Row {row.title} allows {values_text(ranges)} there.")
    if not known(op, written):
        for row, ranges in limits(permits, op.target):
            text = f"Row {row.title} allows {values_text(ranges)} there; what was written is no such number."
            return Beyond(row, text)
    return _of_points(op, permits, tags, written, effects, ts_ns)


def _of_points(
    op: OperationKey, permits: Sequence[Permit], tags: TagMap, written: Written, effects: Effects, ts_ns: int
) -> Beyond | None:
    target = op.target
    pointed = [permit for permit in permits if permit[0].points is not None]
    if target is None or not pointed:
        return None
    for effect in effects.points:
        if concerns(target, effect):
            beyond = _of_point(effect, permits, written, ts_ns)
            if beyond is not None:
                return beyond
    if not any(row.points.bits for row, _ in pointed if row.points is not None):
        return None
    for space, position, bits in effects.bits:
        place = Target(space, position, position)
        low, high = span(target)
        if target.space != space or not low <= position <= high or _raw(permits, place, written):
            continue
        rows = [row for row, _ in pointed if _covers(permits, row, place)]
        named = {name for row in rows if row.points for name in row.points.names}
        own = 0
        for tag in tags.of(op.realm, op.server, op.protocol, op.unit, space).get(position, ()):
            own |= tag.mask(position) if tag.name in named else 0
        if rows and bits & ~own & (1 << cell_bits(space)) - 1:
            return Beyond(rows[0], f"Row {rows[0].title} allows {_bits_text(own)} to change there, and no others.")
    return None


def concerns(target: Target, effect: Effect) -> bool:
    """A part of the point that is written lies in the target."""
    if target.space != effect.tag.space or target.start is None:
        return False
    low, high = span(target)
    return any(low <= position <= high for position in effect.touched)


def _covers(permits: Sequence[Permit], row: Row, place: Target) -> bool:
    ranges = next((None if parts is None else part(parts, place) for own, parts in permits if own is row), ())
    return ranges is None or overlaps(ranges, *span(place))


def _raw(permits: Sequence[Permit], place: Target, written: Written) -> bool:
    """A row that speaks of addresses, not of points, permits what is written there."""
    for row, _ in permits:
        if row.points is not None or not _covers(permits, row, place):
            continue
        values = [value for element, value in written if element.target == place]
        if row.values is None or (values and all(any(a <= v <= b for a, b in row.values) for v in values)):
            return True
    return False


def _of_point(effect: Effect, permits: Sequence[Permit], written: Written, ts_ns: int) -> Beyond | None:
    tag = effect.tag
    rows = [row for row, _ in permits if row.points is not None and tag.name in row.points.names]
    first: Beyond | None = None
    for row in rows:
        text = _lacks(row, effect, ts_ns)
        if text is None:
            return None
        first = first or Beyond(row, text)
    if first is not None and not all(
        _raw(permits, Target(tag.space, position, position), written) for position in effect.touched
    ):
        return first
    return None


def _lacks(row: Row, effect: Effect, ts_ns: int) -> str | None:
    """Why the row does not permit it; None: it does."""
    tag, points = effect.tag, row.points
    assert points is not None
    if not effect.after and (row.values is not None or points.step is not None or points.rate is not None):
        return f"Row {row.title} limits it, and only a part of it is written: the rest was not seen before."
    if row.values is not None:
        for value in effect.after:
            if not any(low <= value <= high for low, high in row.values):
                return f"Row {row.title} allows {of_units(values_text(row.values), tag)} there."
    if effect.before is None:
        return None  # nothing is known to step from
    before = effect.before
    changes = [abs(value - before.value) for value in effect.after]
    since = f"{tag.text(before.value)} is from {before.client}"
    if points.step is not None and not all(change <= points.step for change in changes):
        return f"Row {row.title} allows steps of {of_units(f'{points.step:.15g}', tag)} there; {since}."
    passed_s = max(ts_ns - before.changed_ns, 0) / 1e9
    bound = None if points.rate is None else points.rate * passed_s * _ROUNDING
    if points.rate is not None and bound is not None and not all(change <= bound for change in changes):
        return f"Row {row.title} allows {rate_text(points.rate, tag)} there; {since}, {passed_s:.3g} s before."
    return None


def of_units(text: str, tag: Tag) -> str:
    """`20-80 degC`."""
    return f"{text} {tag.units}".rstrip()


def rate_text(per_s: float, tag: Tag) -> str:
    """`2 degC/min`: in the time in which it is a short number."""
    shown = ((f"{per_s * seconds:.6g}", name) for name, seconds in SECONDS.items())
    number, name = min(shown, key=lambda item: (len(item[0]), SECONDS[item[1]]))
    return f"{number} {tag.units}/{name}" if tag.units else f"{number}/{name}"


def _bits_text(own: int) -> str:
    numbers = [str(bit) for bit in range(own.bit_length()) if own >> bit & 1]
    return f"bit{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}"
