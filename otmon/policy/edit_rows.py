"""Rows and conduits as they are written into a policy file: one that permits an operation alone, one made wider."""

from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from otmon.model import OperationKey, Target
from otmon.policy.asked import Asked
from otmon.policy.effects import Effect
from otmon.policy.errors import Path
from otmon.policy.fields import parse_item, parse_object
from otmon.policy.functions import REGISTERED_PORTS, triples
from otmon.policy.intervals import Intervals, merge, without
from otmon.policy.judge import Policy
from otmon.policy.models import PLAIN_PROTOCOLS
from otmon.policy.rows import DATA_SPACES, Row, part, span


def _flow(**entries: Any) -> CommentedMap:
    row = CommentedMap()
    for key, value in entries.items():
        row[key] = value
    row.fa.set_flow_style()
    return row


def _list(*items: Any) -> CommentedSeq:
    found = CommentedSeq(items)
    found.fa.set_flow_style()
    return found


def exact_row(asked: Asked) -> CommentedMap:
    """A row that permits the operation and no other."""
    key, _, value = asked
    row = _flow(protocol=key.protocol)
    if key.protocol in PLAIN_PROTOCOLS:
        if key.function == "scan":
            row["functions"] = _list("scan")
        elif key.port is not None:
            row["numbers" if key.protocol == "ip" else "ports"] = key.port
        return row
    row["functions"] = _list(key.function)
    if len({access for _, name, access in triples(key.protocol) if name == key.function}) > 1:
        row["access"] = key.access
    if key.port is not None and key.port != REGISTERED_PORTS[key.protocol]:
        row["port"] = key.port
    if isinstance(value, Effect):
        row["points"] = _list(value.tag.name)
        row["values"] = _number(value.after[0])
        return row
    if isinstance(key.unit, tuple):
        row["master"], row["outstation"] = key.unit
    elif key.unit is not None:
        row["units"] = key.unit
    if key.target is not None:
        name, item = _target_entry(key.target, key.protocol)
        row[name] = item if name == "addresses" else _list(item)
    if value is not None:
        row["values"] = _number(value)
    return row


def exact_conduit(data: dict[str, Any], policy: Policy, asked: Asked) -> CommentedMap:
    """A conduit of these two hosts alone, under a name that is free."""
    key = asked.key
    taken = {conduit["id"] for conduit in data.get("conduits") or []} | set(row_paths(data))
    name = next(name for n in range(1, len(taken) + 2) if (name := f"allowed-{n}") not in taken)
    conduit = CommentedMap(id=name)
    for word, address in (("from", key.client), ("to", key.server)):
        place = policy.sites.place(key.realm, address)
        alone = [asset.key for asset in policy.sites.assets if asset.hosts.ranges == ((place.at, place.at),)]
        conduit[word] = alone[0] if alone else address
    if key.realm in policy.realms.names:
        conduit["realm"] = key.realm
    conduit["allow"] = CommentedSeq([exact_row(asked)])
    return conduit


def widen(
    row: CommentedMap, near: Row, asked: Asked, failing: frozenset[str], numbers_: tuple[float | None, float | None]
) -> None:
    """Add to each key that is too narrow what is missing. `numbers_`: value and change."""
    key = asked.key
    master, unit = key.unit if isinstance(key.unit, tuple) else (None, key.unit)
    numbers = {
        "units": ("unit", unit, near.units),
        "outstation": ("unit", unit, near.outstations),
        "master": ("master", master, near.masters),
        "port": ("port", key.port, near.ports),
        "ports": ("port", key.port, near.ports),
        "numbers": ("port", key.port, near.ports),
    }
    for name, (axis, number, ranges) in numbers.items():
        if axis in failing and name in row and number is not None and ranges is not None:
            row[name] = _ranges(row[name], merge((*ranges, (number, number))))
    if "target" in failing and key.target is not None:
        _widen_target(row, near, key)
    value, step = numbers_
    if "value" in failing and value is not None:
        row["values"] = _list(*_items(row["values"]), _number(value))
    if "step" in failing and step is not None:
        row["step"] = _number(step)


def _widen_target(row: CommentedMap, near: Row, key: OperationKey) -> None:
    target = key.target
    assert target is not None
    known = part(near.parts or {}, target) or ()
    if "addresses" in row and target.space in DATA_SPACES and target.start is not None:
        row["addresses"] = _ranges(row["addresses"], merge((*known, span(target))))
        return
    missing: Intervals = () if target.start is None else without((span(target),), known)
    pieces = [target._replace(start=low, end=high) for low, high in missing] or [target]
    for piece in pieces:
        name, item = _target_entry(piece, key.protocol)
        if name == "addresses":
            name, item = "targets", _flow(space=piece.space, ranges=_range(piece.start or 0, piece.end or 0))
        items = _items(row.get(name, []))
        number, wider = _beside(items, piece, key.protocol)
        row[name] = _list(*items[:number], wider or item, *items[number + 1 :])


def _beside(items: list[Any], piece: Target, protocol: str) -> tuple[int, Any]:
    """(number, what it becomes) of the item that this piece goes on from: `g30 0-7` and 8-9 are `g30 0-9`."""
    for number, item in enumerate(items):
        if isinstance(item, str) and piece.start is not None:
            space, ranges, _ = parse_object(item) if protocol == "dnp3" else parse_item(item)
            joined = merge((*(ranges or ()), span(piece)))
            if space == piece.space and ranges and len(joined) == 1:
                return number, _target_entry(Target(space, *joined[0]), protocol)[1]
    return len(items), None


def _target_entry(target: Target, protocol: str) -> tuple[str, Any]:
    """(key of a row, what to write there)."""
    space, start, end, name = target
    if start is not None and name is None:
        last = start if end is None else end
        if protocol == "modbus" and space in DATA_SPACES:
            return "addresses", _range(start, last)
        if protocol == "dnp3" and space[:1] == "g" and space[1:].isdigit():
            return "objects", f"{space} {_range(start, last)}"
        if protocol == "s7comm" and space[:2] == "DB" and space[2:].isdigit():
            return "items", f"{space}.DBB{_range(start, last)}"
        if protocol == "s7comm" and space in ("M", "I", "Q"):
            return "items", f"{space}B{_range(start, last)}"
    entry = _flow(space=space)
    if start is not None:
        entry["ranges"] = _range(*span(target))
    if name is not None:
        entry["names"] = _list(name)
    return "targets", entry


def _range(low: int, high: int) -> int | str:
    return low if low == high else f"{low}-{high}"


def _ranges(before: Any, ranges: Intervals) -> Any:
    """One range stands alone if it did before."""
    shown = [_range(low, high) for low, high in ranges]
    return shown[0] if len(shown) == 1 and not isinstance(before, list) else _list(*shown)


def _items(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def _number(value: float) -> int | float:
    return int(value) if float(value).is_integer() and abs(value) < 1 << 53 else value


def row_paths(data: dict[str, Any]) -> dict[str, Path]:
    """Row id -> its place in the document, for rows that permit."""
    out: dict[str, Path] = {}
    lists: list[tuple[Path, str, list[Any]]] = [
        (("zones", name, "allow"), name, zone.get("allow") or []) for name, zone in (data.get("zones") or {}).items()
    ]
    for i, conduit in enumerate(data.get("conduits") or []):
        lists.append((("conduits", i, "allow"), conduit["id"], conduit["allow"]))
    for at, title, rows in lists:
        for j, row in enumerate(rows):
            out[row.get("id") or (title if len(rows) == 1 else f"{title}/{j + 1}")] = (*at, j)
    return out
