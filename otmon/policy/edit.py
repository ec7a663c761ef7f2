"""The smallest change of a policy file that permits one operation: text in, text out, the rest untouched.

What is changed is one row or one list of rows, round-tripped by ruamel so that comments and style stay; what is added
permits exactly the operation. Every proposal is loaded and judged before it is shown.
"""

import difflib
import re
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any, Final, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from otmon.model import Op, OperationKey, Target
from otmon.policy.addresses import point
from otmon.policy.effects import NOTHING, Effect, Effects, Image
from otmon.policy.errors import Path, PolicyError
from otmon.policy.fields import parse_item, parse_object
from otmon.policy.functions import REGISTERED_PORTS, triples
from otmon.policy.intervals import Intervals, merge, without
from otmon.policy.judge import Policy
from otmon.policy.load import load_bytes
from otmon.policy.models import PLAIN_PROTOCOLS
from otmon.policy.reader import Document, parse
from otmon.policy.rows import DATA_SPACES, Row, part, span
from otmon.policy.tags import cell_bits
from otmon.policy.writes import WHOLE, Write
from otmon.text import safe_text

_WIDE: Final = 4096
"""Columns: no line is folded."""


class Edit(NamedTuple):
    """A changed file, and what was done to it."""

    text: str
    what: str

    def diff(self, before: str, path: str) -> str:
        """A unified diff of the file."""
        lines = difflib.unified_diff(
            before.splitlines(keepends=True), self.text.splitlines(keepends=True), path, path, n=2
        )
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)

    def shown(self, before: str, path: str) -> str:
        """The same for a terminal, on which text that turns its direction, or worse, shows another policy."""
        return _SPACE.sub(lambda found: safe_text(found[0], 10 * len(found[0])), self.diff(before, path))


_SPACE: Final = re.compile(r"[^\t\r\n]+|\r(?!\n)")
"""What is not the end of a line, and not between words."""


class Asked(NamedTuple):
    """An operation that is to be permitted at a moment, with a value or without."""

    key: OperationKey
    ts_ns: int
    value: float | Effect | None
    """An Effect: what it makes of a named point."""


def permits(policy: Policy, asked: Asked) -> bool:
    """The policy permits the operation, with its value."""
    key, ts_ns, value = asked
    if value is None:
        return policy.judge(key, ts_ns).permit
    element = Op(key.function_code, key.function, key.access, key.unit, key.target)
    written = [] if isinstance(value, Effect) else [(element, value)]
    return policy.judge_values(key, written, ts_ns, effects_of(policy, asked)).permit


def effects_of(policy: Policy, asked: Asked) -> Effects:
    """What it makes of named points, as far as its value tells."""
    key, _, value = asked
    if isinstance(value, Effect):
        return Effects((value,))
    target = key.target
    if value is None or target is None or target.start is None or target.end not in (None, target.start):
        return NOTHING
    bits = cell_bits(target.space)
    mask = WHOLE if bits == 0 else (1 << bits) - 1
    write = Write(target.space, target.start, value if bits == 0 else int(value) & mask, mask)
    return Image().effects(policy.tags, (key.realm, key.server, key.protocol, key.unit), [write])


def measured(policy: Policy, asked: Asked) -> tuple[float | None, float | None]:
    """(value, change) as rows limit them: in the units of the point where the value is that of one."""
    points = effects_of(policy, asked).points
    if len(points) != 1 or len(points[0].after) != 1:
        return (None if isinstance(asked.value, Effect) else asked.value), None
    before, (after,) = points[0].before, points[0].after
    return after, None if before is None else abs(after - before.value)


def smallest(
    text: str,
    path: str,
    policy: Policy,
    asked: Asked,
    near: Row | None,
    failing: frozenset[str],
    with_permit: bool = False,
) -> Edit | None:
    """An edit that permits what is asked; None: none does, because a `never` row forbids it.

    `near`: the nearest row; `failing`: the axes on which it fails. A row is widened where nothing but its target,
    values, unit or port is too narrow; else a row in a conduit of these two hosts, or a conduit of its own, permits the
    operation alone.
    `with_permit`: it is enough if what is asked needs nothing more than that.
    """
    try:
        document = parse(text.encode(), path)
    except PolicyError:
        return None
    for proposal in _proposals(text, document, policy, asked, near, failing):
        proposal = proposal._replace(text=same_ends(text, proposal.text))
        try:
            changed = load_bytes(proposal.text.encode(), path)
        except PolicyError:
            continue
        if permits(changed.opened() if with_permit else changed, asked):
            return proposal
    return None


def _proposals(
    text: str, document: Document, policy: Policy, asked: Asked, near: Row | None, failing: frozenset[str]
) -> Iterator[Edit]:
    at = row_paths(document.data).get(near.id) if near is not None else None
    if near is not None and at is not None:
        if failing <= {"target", "value", "step", "unit", "master", "port"}:
            numbers = measured(policy, asked)
            changed = _changed(text, document, at, lambda row: _widen(row, near, asked, failing, numbers))
            yield Edit(changed, f"widen row {near.id}{_for_all(policy, near, asked)}")
        if not failing & {"realm", "client", "server", "time"} and not _for_all(policy, near, asked):
            changed = _changed(text, document, at[:-1], lambda rows: rows.append(exact_row(asked)))
            yield Edit(changed, f"add a row beside {near.id}")
    conduit = exact_conduit(document.data, policy, asked)
    yield Edit(appended(text, document, "conduits", conduit), f"add conduit {conduit['id']}")


def _for_all(policy: Policy, near: Row, asked: Asked) -> str:
    """`, for all of panels -> control`: whom else what is added to the row's conduit would be given to."""
    rule = next(rule for rule in policy.conduits.rules if any(row.id == near.id for row in rule.rows))
    realms = (asked.key.realm,) if policy.realms.names else (asked.key.realm, None)
    alone = all(
        hosts.ranges == ((point(address),) * 2,) and not hosts.outside and hosts.realm in realms
        for side, address in ((rule.from_hosts, asked.key.client), (rule.to_hosts, asked.key.server))
        for hosts in side
    )
    return "" if alone else f", for all of {rule.from_text} -> {rule.to_text}"


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


# --- text ------------------------------------------------------------------------------------------------------------
def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = _WIDE
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _dumped(value: Any) -> str:
    out = StringIO()
    _yaml().dump(value, out)
    return out.getvalue()


def same_ends(before: str, after: str) -> str:
    """`after` with its lines ended as those of `before`."""
    return after.replace("\r\n", "\n").replace("\n", "\r\n") if "\r\n" in before else after


def _changed(text: str, document: Document, at: Path, change: Callable[[Any], None]) -> str:
    """The text with the value at this path changed; no more than the item of a list around it is written anew."""
    for length in range(len(at), 0, -1):
        block = _item(text, document, at[:length])
        if block is not None:
            first, last, indent = block
            lines = text.splitlines(keepends=True)
            # Indented by two, as ruamel writes the items of a list: comments keep their column.
            item = "".join("  " + line[indent:] if line.strip() else line for line in lines[first:last])
            loaded = _yaml().load(item)
            value = loaded[0]
            for step in at[length:]:
                value = value[step]
            change(value)
            written = [line[2:] for line in _dumped(loaded).splitlines(keepends=True)]
            new = [" " * indent + line if line.strip() else line for line in written]
            return "".join([*lines[:first], *new, *lines[last:]])
    loaded = _yaml().load(text)
    value = loaded
    for step in at:
        value = value[step]
    change(value)
    return _dumped(loaded)


def _item(text: str, document: Document, at: Path) -> tuple[int, int, int] | None:
    """(first line, line after the last, columns before its dash) of an item of a list in block style."""
    if not isinstance(at[-1], int) or at not in document.places:
        return None
    line, column = document.places[at]
    lines = text.splitlines()
    before = lines[line - 1][: column - 1]
    if before.strip() != "-":
        return None
    indent = before.index("-")
    last = line
    for number in range(line, len(lines)):
        words = lines[number].lstrip()
        if words and not words.startswith("#"):
            if len(lines[number]) - len(words) <= indent:
                break
            last = number + 1
    return line - 1, last, indent


def appended(text: str, document: Document, key: str, item: CommentedMap) -> str:
    """The text with an item more in the list under a key of the document."""
    existing = document.data.get(key) or []
    newline = "" if text.endswith("\n") or not text else "\n"
    if not existing:
        if key in document.data:
            return _changed(text, document, (), lambda root: root.__setitem__(key, CommentedSeq([item])))
        return f"{text}{newline}{_dumped(CommentedMap({key: CommentedSeq([item])}))}"
    block = _item(text, document, (key, len(existing) - 1))
    if block is None:
        return _changed(text, document, (key,), lambda items: items.append(item))
    _, last, indent = block
    lines = (text + newline).splitlines(keepends=True)
    new = [" " * indent + line[2:] for line in _dumped(CommentedSeq([item])).splitlines(keepends=True)]
    return "".join([*lines[:last], *new, *lines[last:]])


# --- rows ------------------------------------------------------------------------------------------------------------
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


def _widen(
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
