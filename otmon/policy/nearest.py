"""Which row comes closest to an operation that none permits, and what separates the two."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final, NamedTuple

from otmon.model import OperationKey, Target
from otmon.policy.intervals import covers
from otmon.policy.rows import Parts, Row, fits_function, fits_port, joins, part, permitted, span
from otmon.policy.wording import functions_text, limits_text, ports_text, units_text

MAX_CANDIDATES: Final = 64
"""Rows compared: each new alert pays for this."""
WEIGHTS: Final = {
    "protocol": 64,
    "server": 22,
    "client": 21,
    "function": 5,
    "unit": 3,
    "master": 3,
    "port": 3,
    "window": 2,
    "target": 1,
}
"""How far each difference puts a row away: another host further than all that may differ between the two at hand."""
FAR: Final = 1 << 70


class Candidate(NamedTuple):
    """A row, and whether its conduit joins these clients and servers."""

    row: Row
    client: bool
    server: bool
    from_text: str
    to_text: str
    parts: Parts | None = None
    """What the row permits for the function in question."""
    differences: frozenset[str] = frozenset()
    """Apart from the target."""
    weight: int = 0
    """Of the differences."""


def rank(candidates: Iterable[Candidate], op: OperationKey, is_open: Callable[[Row], bool]) -> tuple[Candidate, ...]:
    """The candidates that may be nearest, whatever the target is."""
    first = islice(candidates, MAX_CANDIDATES)
    found = [_weighed(candidate, _differences(candidate, op, is_open)) for candidate in first]
    most = min((candidate.weight for candidate in found), default=0) + WEIGHTS["target"]
    return tuple(item._replace(parts=permitted(item.row, op)) for item in found if item.weight <= most)


def _weighed(candidate: Candidate, differences: frozenset[str]) -> Candidate:
    return candidate._replace(differences=differences, weight=sum(WEIGHTS[name] for name in differences))


def _differences(candidate: Candidate, op: OperationKey, is_open: Callable[[Row], bool]) -> frozenset[str]:
    row = candidate.row
    found = set()
    if not candidate.client:
        found.add("client")
    if not candidate.server:
        found.add("server")
    if not is_open(row):
        found.add("window")
    if row.protocol != op.protocol:
        if not joins(row, op):
            found.add("protocol")
        return frozenset(found)
    if not fits_function(row, op):
        found.add("function")
    master, unit = op.unit if isinstance(op.unit, tuple) else (None, op.unit)
    for name, ranges, number in (("master", row.masters, master), ("unit", row.units or row.outstations, unit)):
        if ranges is not None and (number is None or not covers(ranges, number, number)):
            found.add(name)
    if not fits_port(row, op):
        # What is allowed on some ports is no scan, which is one of all.
        found |= {"port", "function"} if op.function == "scan" else {"port"}
    return frozenset(found)


def separation(near: Sequence[Candidate], op: OperationKey, ts_ns: int) -> tuple[str, str]:
    """(id of the nearest row, what separates it from the operation, in a sentence or two)."""
    candidate = min(near, key=lambda item: _far(item, op.target))
    row = candidate.row
    differences = set(candidate.differences)
    if "protocol" not in differences and _distance(candidate, op.target) > 0:
        differences.add("target")
    closed = permit_text(row, ts_ns) if "window" in differences else ""
    if closed:
        differences.discard("window")
    if closed and not differences:
        return row.id, closed
    allows = f"Row {row.title} allows {_difference_text(candidate, differences, op.target)}."
    return row.id, f"{allows} {closed}".rstrip()


def permit_text(row: Row, ts_ns: int) -> str:
    """Which permit ended, or has not begun; '' if the row is closed at this time of day or week alone."""
    reason = row.window.closed(ts_ns) if row.window is not None else None
    if row.window is None or reason is None:
        return ""
    who = f"Row {row.title}" if row.window.ticket is None else f"Permit {row.window.ticket} of row {row.title}"
    return f"{who} {reason}."


def _difference_text(candidate: Candidate, differences: set[str], target: Target | None) -> str:
    row = candidate.row
    if "protocol" in differences:
        what = _other_protocol(row)
    elif "function" in differences:
        what = functions_text(row)
    else:
        what = "it"
    tail = []
    if "target" in differences:
        shown = limits_text(row.targets or (), target.space if target else None)
        what, where = (shown, "") if what == "it" else (what, f"at {shown}")
        tail.append(where)
    if differences & {"master", "unit"}:
        tail.append(f"for {units_text(row)}" if units_text(row) else "without a unit")
    if "port" in differences:
        tail.append(f"on {ports_text(row)}")
    if "client" in differences:
        tail.append(f"from {candidate.from_text}")
    if "server" in differences:
        tail.append(f"to {candidate.to_text}")
    if "window" in differences and row.window is not None:
        tail.append(f"in its window: {row.window.text()}")
    text = " ".join(word for word in (what, *tail) if word)
    # Without a place of its own the sentence speaks of the two at hand.
    return text if what == "it" or "client" in differences or "server" in differences else f"{text} there"


def _other_protocol(row: Row) -> str:
    """`all of dnp3`, `read_coils of modbus`, `tcp on ports 80, 443`."""
    if row.functions is None and row.accesses is None:
        return f"{row.protocol} on {ports_text(row)}" if row.ports else functions_text(row)
    return f"{functions_text(row)} of {row.protocol}"


def _far(candidate: Candidate, target: Target | None) -> tuple[int, int]:
    """(weight of all differences, distance of the target)."""
    distance = 0 if "protocol" in candidate.differences else _distance(candidate, target)
    return candidate.weight + (WEIGHTS["target"] if distance else 0), distance


def _distance(candidate: Candidate, target: Target | None) -> int:
    """How far the target is from what the row permits: 0 inside, FAR in another space."""
    if target is None or candidate.parts is None:
        return 0
    ranges = part(candidate.parts, target)
    if ranges is None:
        return 0
    if not ranges or target.start is None:
        return FAR
    first, last = span(target)
    at = bisect_right(ranges, (first, FAR))
    # The ranges are in order: the nearest one is a neighbour.
    return min(max(low - first, 0) + max(last - high, 0) for low, high in ranges[max(at - 1, 0) : at + 2])
