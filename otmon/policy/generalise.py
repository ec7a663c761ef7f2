"""From operations to rows: what each function may touch, closed as far as was asked for, in as few rows as can be.

`exact`: what was seen. `ranges`: also the addresses between two intervals that are at most GAP apart, and writes only
within the least and the greatest value seen. `functions`: also, functions of one access class that one client uses at
one unit of one server have their targets in common. Nothing that was refused is permitted by being close.
"""

from collections.abc import Iterable, Mapping
from functools import reduce
from itertools import pairwise
from typing import Any, Final, Literal, NamedTuple

from otmon.model import OperationKey, Target
from otmon.policy.cover import few
from otmon.policy.functions import REGISTERED_PORTS, TWO_SIDED, is_function, reason_not_learned
from otmon.policy.intervals import Intervals, merge, without
from otmon.policy.models import OT_PROTOCOLS
from otmon.policy.rows import DATA_SPACES, WRITING, span

Mode = Literal["exact", "ranges", "functions"]
ADDRESSES: Final = "addresses"
"""Stands for the data space that a Modbus function implies."""
GAP: Final = 16
"""Addresses, bytes or indexes that may lie between two intervals that become one."""
_EVERY: Final = ("", None, None)
"""In place of targets: no limit."""

Values = tuple[float, float]
Where = tuple[str, str | None]
"""Address space, name."""
Spaces = dict[Where, Intervals | None]
"""None: the whole space."""


class Head(NamedTuple):
    """An operation without its target, as a row sees it."""

    realm: str
    client: str
    server: str
    protocol: str
    function: str | int
    access: str
    unit: int | None
    master: int | None
    port: int | None
    """None: the registered one, or none."""


class Learned(NamedTuple):
    """A row to be written. Each field is a set of alternatives; None: no limit."""

    protocol: str
    functions: tuple[str | int, ...] | None
    access: str | None
    units: Intervals | None
    master: int | None
    ports: Intervals | None
    targets: tuple[tuple[str, str | None, Intervals | None], ...] | None
    """(space, name, ranges)."""
    values: Values | None


class Conduit(NamedTuple):
    """Rows that hold from any of these clients to any of these servers."""

    realm: str
    clients: tuple[str, ...]
    servers: tuple[str, ...]
    rows: tuple[Learned, ...]


def head_of(key: OperationKey) -> Head:
    """The function of an operation, with who, where and at which unit."""
    plain = key.protocol not in OT_PROTOCOLS
    code = key.function_code
    name = key.function if plain or code is None or is_function(key.protocol, key.function) else code
    master, unit = key.unit if isinstance(key.unit, tuple) else (None, key.unit)
    port = None if key.port == REGISTERED_PORTS.get(key.protocol) or key.function == "scan" else key.port
    return Head(key.realm, key.client, key.server, key.protocol, name, key.access, unit, master, port)


def touched(target: Target, protocol: str) -> tuple[Where, tuple[int, int] | None]:
    """Where a target lies, and the range it takes there; None: all of it."""
    plain = protocol == "modbus" and target.space in DATA_SPACES and target.name is None and target.start is not None
    return (ADDRESSES if plain else target.space, target.name), None if target.start is None else span(target)


def spaces_of(keys: Iterable[OperationKey]) -> dict[Head, Spaces]:
    """What each function touched, neighbours joined. Empty: nothing is known of its targets."""
    found: dict[Head, dict[Where, list[tuple[int, int]] | None]] = {}
    for key in keys:
        spaces = found.setdefault(head_of(key), {})
        if key.target is None:
            continue
        where, interval = touched(key.target, key.protocol)
        known = spaces.setdefault(where, [])
        if interval is None:
            spaces[where] = None
        elif known is not None:
            known.append(interval)
    return {
        head: {where: None if ranges is None else merge(ranges) for where, ranges in spaces.items()}
        for head, spaces in found.items()
    }


def closed(seen: Mapping[Head, Spaces], mode: Mode, refused: Mapping[Head, Spaces]) -> dict[Head, Spaces]:
    """What may be touched, by this mode: what was seen, and what the mode adds unless it was refused."""
    if mode == "exact":
        return dict(seen)
    wide: dict[Head, Spaces] = {}
    for group in _classes(seen, mode):
        together: Spaces = {}
        for head in group:
            for where, ranges in seen[head].items():
                known = together.get(where, ())
                together[where] = None if ranges is None or known is None else merge((*known, *ranges))
        for head in group:
            wide[head] = {where: _near(ranges) for where, ranges in together.items()} if seen[head] else {}
    out: dict[Head, Spaces] = {}
    for head, spaces in wide.items():
        mine = seen[head]
        found = {
            where: _allowed(ranges, mine.get(where, ()), _refused(refused.get(head, {}), where))
            for where, ranges in spaces.items()
            if where in mine or _learnable(head, where)
        }
        out[head] = {where: ranges for where, ranges in found.items() if ranges != ()}
    return out


def _refused(spaces: Spaces, where: Where) -> Intervals | None:
    """What of it was refused; what permits a space permits whatever it is called."""
    found: list[tuple[int, int]] = []
    for (space, name), ranges in spaces.items():
        if space == where[0] and where[1] in (None, name):
            if ranges is None:
                return None
            found += ranges
    return merge(found)


def _learnable(head: Head, where: Where) -> bool:
    """The function may be learned of this space too."""
    name, code = (head.function, None) if isinstance(head.function, str) else ("", head.function)
    access: Any = head.access
    key = OperationKey(*head[:3], "", None, head.protocol, None, code, name, access, Target(*where[:1], name=where[1]))
    return reason_not_learned(key) is None


def _classes(seen: Mapping[Head, Spaces], mode: Mode) -> Iterable[list[Head]]:
    """Functions that share their targets."""
    if mode == "ranges":
        return [[head] for head in seen]
    groups: dict[Any, list[Head]] = {}
    for head, spaces in seen.items():
        groups.setdefault((head._replace(function=""), bool(spaces)), []).append(head)
    return groups.values()


def _near(ranges: Intervals | None) -> Intervals | None:
    """Intervals that are close to each other as one."""
    if ranges is None:
        return None
    out = list(ranges[:1])
    for low, high in ranges[1:]:
        if low - out[-1][1] - 1 <= GAP:
            out[-1] = (out[-1][0], high)
        else:
            out.append((low, high))
    return tuple(out)


def _less(ranges: Intervals | None, other: Intervals | None) -> Intervals | None:
    """The first without the second; None: all there is."""
    return () if other is None else None if ranges is None else without(ranges, other)


def _allowed(ranges: Intervals | None, seen: Intervals | None, refused: Intervals | None) -> Intervals | None:
    if refused == ():
        return ranges
    if ranges is None or refused is None or seen is None:
        return seen
    return without(ranges, without(refused, seen))


def bounds_of(
    values: Mapping[OperationKey, Values | None], seen: Mapping[Head, Spaces], mode: Mode
) -> dict[Head, Values | None]:
    """The values that each writing function set, from the least to the greatest; None: not all are numbers known."""
    if mode == "exact":
        return {}
    found: dict[Head, list[Values | None]] = {}
    for key, pair in values.items():
        found.setdefault(head_of(key), []).append(pair)
    out: dict[Head, Values | None] = {}
    for group in _classes({head: spaces for head, spaces in seen.items() if head.access in WRITING}, mode):
        pairs = [pair for head in group for pair in found.get(head, ())]
        known = [pair for pair in pairs if pair is not None]
        whole = len(known) == len(pairs) and all(head in found for head in group)
        both = (min(low for low, _ in known), max(high for _, high in known)) if whole else None
        out |= dict.fromkeys(group, both)
    return out


# --- rows ------------------------------------------------------------------------------------------------------------
def conduits(spaces: Mapping[Head, Spaces], bounds: Mapping[Head, Values | None] | None = None) -> list[Conduit]:
    """As few rows as contain this and nothing else, those between the same hosts together."""
    groups: dict[tuple[Any, ...], list[tuple[Head, list[Any]]]] = {}
    for head, found in _told_once(spaces, bounds or {}).items():
        whole = [(*where, None) for where, ranges in found.items() if ranges is None]
        parts = [(*where, pair) for where, ranges in found.items() for pair in ranges or ()]
        side = head.access if head.function in TWO_SIDED else None
        values = (bounds or {}).get(head)
        kind = (head.realm, head.protocol, side, head.master, values, head.function == "scan", bool(found))
        groups.setdefault((*kind, head.port is None, head.unit is None), []).append((head, whole + parts or [_EVERY]))
    rows: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[Learned]] = {}
    for (realm, protocol, side, master, values, *_), lines in groups.items():
        for clients, servers, functions, units, ports, targets in _few(lines):
            named = tuple(functions) if protocol in OT_PROTOCOLS or functions == ["scan"] else None
            row = Learned(protocol, named, side, _numbers(units), master, _numbers(ports), _targets(targets), values)
            rows.setdefault((realm, tuple(clients), tuple(servers)), []).append(row)
    return [Conduit(*who, tuple(sorted(found, key=_place))) for who, found in sorted(rows.items())]


def _place(row: Learned) -> tuple[str, bool, str]:
    """What was seen at a port is told of the row of that port, which comes first."""
    return row.protocol, row.ports is None, str(row)


def _told_once(spaces: Mapping[Head, Spaces], bounds: Mapping[Head, Values | None]) -> dict[Head, Spaces]:
    """Without what is permitted at every port already; of each port some function stays, for the connections to it."""
    out: dict[Head, Spaces] = {}
    gone: dict[tuple[Any, ...], Head] = {}
    for head, found in spaces.items():
        wide = head._replace(port=None)
        if wide == head or wide not in spaces or bounds.get(wide) not in (None, bounds.get(head)):
            out[head] = found
        elif (rest := _beyond(found, spaces[wide])) is not None:
            out[head] = rest
        else:
            gone.setdefault((*head[:4], head.port), head)
    kept = {(*head[:4], head.port) for head in out}
    return out | {head: spaces[head] for at, head in gone.items() if at not in kept}


def _beyond(found: Spaces, wide: Spaces) -> Spaces | None:
    """What of the first the second does not permit; None: nothing."""
    if not found or not wide:
        return found if wide else None
    rest = {where: _less(ranges, wide.get(where, ())) for where, ranges in found.items()}
    return {where: ranges for where, ranges in rest.items() if ranges != ()} or None


def _few(lines: list[tuple[Head, list[Any]]]) -> Iterable[list[list[Any]]]:
    """Members of each box, axis by axis."""
    cut = _elementary({target for _, targets in lines for target in targets})
    points: list[list[list[Any]]] = [
        [[h.client], [h.server], [h.function], [h.unit], [h.port], [part for t in targets for part in cut[t]]]
        for h, targets in lines
    ]
    names = [sorted({member for point in points for member in point[axis]}, key=_order) for axis in range(6)]
    bits = [{name: 1 << n for n, name in enumerate(members)} for members in names]
    boxes, _ = few(tuple(_mask(bits[n], side) for n, side in enumerate(point)) for point in points)
    for box in boxes:
        yield [[name for n, name in enumerate(names[axis]) if mask >> n & 1] for axis, mask in enumerate(box)]


def _mask(bits: Mapping[Any, int], members: Iterable[Any]) -> int:
    return reduce(int.__or__, (bits[member] for member in members))


def _elementary(targets: set[Any]) -> dict[Any, list[Any]]:
    """Each target cut where others begin or end: what is shared is named alike."""
    edges: dict[Where, set[int]] = {}
    for space, name, pair in targets:
        if pair is not None:
            edges.setdefault((space, name), set()).update((pair[0], pair[1] + 1))
    ordered = {where: sorted(found) for where, found in edges.items()}
    out: dict[Any, list[Any]] = {}
    for target in targets:
        space, name, pair = target
        if pair is None:
            out[target] = [target]
        else:
            cuts = [at for at in ordered[space, name] if pair[0] <= at <= pair[1] + 1]
            out[target] = [(space, name, (low, high - 1)) for low, high in pairwise(cuts)]
    return out


def _order(member: Any) -> tuple[bool, int, str]:
    number = member if isinstance(member, int) else 0
    return isinstance(member, int), number, str(member)


def _numbers(members: list[int | None]) -> Intervals | None:
    return merge((member, member) for member in members if member is not None) or None


def _targets(members: list[Any]) -> tuple[tuple[str, str | None, Intervals | None], ...] | None:
    if members == [_EVERY]:
        return None
    found: dict[Where, list[tuple[int, int]] | None] = {}
    for space, name, pair in members:
        known = found.setdefault((space, name), [])
        if pair is None:
            found[space, name] = None
        elif known is not None:
            known.append(pair)
    return tuple(sorted(((*where, None if r is None else merge(r)) for where, r in found.items()), key=str))
