"""What one run of the engine over (a share of) the traffic yields, and how shares become one whole.

Shares are disjoint (split by unordered address pair), so everything merges by adding or by union; the order of what
comes out depends on its content alone, never on how the traffic was shared.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, groupby
from typing import Any, Final, Protocol, Self, TypeVar

from otmon.limits import MAX_UNSAVED
from otmon.model import (
    Binding,
    BlockRecord,
    ConnectionRecord,
    Counts,
    Fact,
    Habit,
    HostRecord,
    OperationKey,
    OperationRecord,
    PermitWrite,
    PointRecord,
    Target,
    Unit,
)
from otmon.site.habits import add_habits

_T = TypeVar("_T")
_K = TypeVar("_K", bound=Hashable)
_R = TypeVar("_R", covariant=True)

SHARED: Final = OperationKey._fields.index("target")
"""So many of the first fields of a key do not hang on the target."""


class EpisodeLike(Protocol):
    """What merging needs of an `otmon.alerts` episode, which this stage does not import."""

    @property
    def id(self) -> str:
        """The same in every part for the same episode."""

    first_ts_ns: int

    def absorb(self, other: Self) -> None:
        """Add what another part saw of it."""


class Records(Protocol[_R]):
    """A list, or what is read from a database anew each time it is gone through."""

    def __iter__(self) -> Iterator[_R]:
        """In order."""

    def __len__(self) -> int:
        """How many there are."""


@dataclass(slots=True)
class Part:
    """Everything the engine hands to the site. Counters first, then records; `merge` gives records in their order."""

    frames: dict[str, int] = field(default_factory=dict)
    """Frame buckets, with `captured`."""
    ot_bytes: dict[str, int] = field(default_factory=dict)
    """Byte buckets, with `seen`."""
    protocols: dict[str, Any] = field(default_factory=dict)
    """As in summary.json: numbers add, names stay."""
    visibility: dict[str, int] = field(default_factory=dict)
    """missing_bytes, one_sided, gaps, copies."""
    unsupported: dict[str, int] = field(default_factory=dict)
    """Frames of link layers, tags and tunnels that are not decoded: name -> frames."""
    connections: Records[ConnectionRecord] = field(default_factory=list)
    operations: Records[OperationRecord] = field(default_factory=list)
    hosts: list[HostRecord] = field(default_factory=list)
    bindings: list[Binding] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    blocks: list[BlockRecord] = field(default_factory=list)
    """Each transfer by itself, by time, until `otmon.site.ledger` entered them."""
    habits: list[Habit] = field(default_factory=list)
    permitted: list[OperationRecord] = field(default_factory=list)
    """Of operations what a ticket permitted, with its row; several of one operation where there were several."""
    permit_writes: list[PermitWrite] = field(default_factory=list)
    points: list[PointRecord] = field(default_factory=list)
    """Values seen on the wire, by time."""
    points_shed: int = 0
    """Values, or messages that hold some, that were left out."""
    episodes: list[Any] = field(default_factory=list)
    """otmon.alerts.episodes.Episode, of which merging needs what EpisodeLike says."""
    lost_datagrams: int = 0
    """Fragmented IP datagrams that were never whole: what they carried was not seen."""
    shed: int = 0
    """Messages, requests, bindings, facts and alerts that found no room in a table."""
    folded: int = 0
    """Messages whose targets are not listed one by one, because a function had too many."""
    partial: bool = False
    """The run was interrupted."""


def add_counts(left: Mapping[Any, int], right: Mapping[Any, int]) -> dict[Any, int]:
    """Sum of two counters or histograms."""
    out = dict(left)
    for key, value in right.items():
        out[key] = out.get(key, 0) + value
    return out


def add_tree(left: dict[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    """Counters nested in dicts: numbers add, names stay. `left` is changed and returned."""
    for key, value in right.items():
        if isinstance(value, Mapping):
            left[key] = add_tree(left.get(key, {}), value)
        elif isinstance(value, int):
            left[key] = left.get(key, 0) + value
        else:
            left[key] = value
    return left


def unit_order(unit: Unit) -> tuple[int, int, int]:
    """Sort key of a sub-address: None before numbers before pairs. `site.db` has the same three columns."""
    if isinstance(unit, tuple):
        return *unit, -1
    return -1, -1, _number(unit)


def _number(value: int | None) -> int:
    return -1 if value is None else value


def _target_order(target: Target | None) -> tuple[str, int, int, str]:
    if target is None:
        return "", -1, -1, ""
    space, start, end, name = target
    return space, -1 if start is None else start, -1 if end is None else end, name or ""


def _function_order(shared: tuple[Any, ...]) -> tuple[Any, ...]:
    realm, client, server, transport, port, protocol, unit, code, function, access = shared
    return realm, client, server, transport, _number(port), protocol, unit_order(unit), _number(code), function, access


def _touched_order(key: OperationKey) -> tuple[tuple[str, int, int, str], str]:
    return _target_order(key.target), key.initiated_by


def operation_order(key: OperationKey) -> tuple[Any, ...]:
    """Sort key of an operation."""
    return _function_order(key[:SHARED]), _touched_order(key)


def in_order(operations: Iterable[OperationRecord]) -> list[OperationRecord]:
    """By their keys; what the targets of a function share is compared once."""
    functions: dict[tuple[Any, ...], list[OperationRecord]] = {}
    for operation in operations:
        functions.setdefault(operation.key[:SHARED], []).append(operation)
    ordered = (functions[shared] for shared in sorted(functions, key=_function_order))
    return [operation for same in ordered for operation in sorted(same, key=lambda op: _touched_order(op.key))]


def by_function(operations: Iterable[OperationRecord]) -> Iterator[tuple[tuple[Any, ...], Iterator[OperationRecord]]]:
    """Those that differ in their target alone together, given in the order of their keys: (what they share, they)."""
    return groupby(operations, key=lambda operation: operation.key[:SHARED])


def outline(operations: Iterable[OperationRecord]) -> Iterator[OperationRecord]:
    """Operations without their targets, given in the order of their keys; permitted if one of them was."""
    for _, same in by_function(operations):
        first = next(same)
        counts, size, denied = Counts(), 0, True
        first_ts_ns, last_ts_ns = first.first_ts_ns, first.last_ts_ns
        for operation in chain((first,), same):
            counts.add(operation.counts)
            size += operation.bytes
            first_ts_ns, last_ts_ns = min(first_ts_ns, operation.first_ts_ns), max(last_ts_ns, operation.last_ts_ns)
            denied = denied and operation.verdict == "deny"
        yield OperationRecord(
            first.key._replace(target=None), counts, size, first_ts_ns, last_ts_ns, first.first_frame, {}, {},
            "deny" if denied else "permit", None,
        )  # fmt: skip


def _connection_order(record: ConnectionRecord) -> tuple[Any, ...]:
    return (
        *(record.first_ts_ns, record.first_frame, record.realm, record.client, _number(record.client_port)),
        *(record.server, _number(record.server_port), record.transport, record.protocol or "", record.last_ts_ns),
        *(record.vlans, record.frames, record.bytes),
    )


def _point_order(point: PointRecord) -> tuple[Any, ...]:
    return point.ts_ns, *point[:4], unit_order(point.unit), point.access, _target_order(point.target), str(point.value)


def block_order(block: BlockRecord) -> tuple[Any, ...]:
    """Sort key of what makes a row of the ledger: block, way, contents."""
    kind, number, name, file_system = block.block
    return (
        *(block.realm, block.server, block.protocol, unit_order(block.unit), kind, _number(number), name),
        *(file_system or "", block.direction, block.client, block.state, block.length, block.sha256 or ""),
    )


def transfer_order(block: BlockRecord) -> tuple[Any, ...]:
    """Sort key of transfers: when they ended."""
    return block.last_ts_ns, block.first_ts_ns, block.frames, block_order(block)


def add_blocks(left: BlockRecord, right: BlockRecord) -> BlockRecord:
    """The same bytes moved the same way in two parts."""
    first = min(left, right, key=lambda block: (block.first_ts_ns, block.frames))
    last_ts_ns = max(left.last_ts_ns, right.last_ts_ns)
    return first._replace(last_ts_ns=last_ts_ns, transfers=left.transfers + right.transfers)


def connection_place(c: ConnectionRecord) -> tuple[Any, ...]:
    """What names a connection from one harvest to the next; who is its client may be learnt late."""
    ends = sorted(((c.client, _number(c.client_port)), (c.server, _number(c.server_port))))
    return c.first_ts_ns, c.first_frame, c.realm, c.transport, *ends


def joined(left: Part, right: Part) -> Part:
    """Two harvests of one run as one: what grew adds up, connections and episodes are as they were told last."""
    latest = {connection_place(c): c for part in (left, right) for c in part.connections}
    whole = merge([replace(part, connections=[], episodes=[]) for part in (left, right)])
    whole.connections = sorted(latest.values(), key=_connection_order)
    whole.episodes = right.episodes
    return whole


def bounded(part: Part, most: int = MAX_UNSAVED) -> Part:
    """A part that waits to be written, with what was seen last of each kind; what has no room is counted as shed."""
    for name in (
        "operations",
        "connections",
        "hosts",
        "bindings",
        "facts",
        "blocks",
        "habits",
        "points",
        "permitted",
        "permit_writes",
    ):
        records = getattr(part, name)
        if len(records) > most:
            part.shed += len(records) - most
            newest = sorted(records, key=lambda r: getattr(r, "last_ts_ns", 0) or getattr(r, "first_ts_ns", 0))[-most:]
            setattr(part, name, newest)
    return part


def _strictest(left: OperationRecord, right: OperationRecord) -> tuple[str | None, str | None]:
    """One operation, permitted in a time window and denied outside: the denial is what people must see."""
    rank = {"deny": 0, "permit": 1, None: 2}
    best = min((left, right), key=lambda record: (rank.get(record.verdict, 1), record.row or "~"))
    return best.verdict, best.row


def add_writes(left: PermitWrite, right: PermitWrite) -> PermitWrite:
    """Values of one target in two parts."""
    first, last = sorted((left, right), key=lambda write: write.first_ts_ns)
    last = max((first, last), key=lambda write: write.last_ts_ns)
    return first._replace(last_value=last.last_value, last_ts_ns=last.last_ts_ns, times=left.times + right.times)


def add_operations(left: OperationRecord, right: OperationRecord) -> OperationRecord:
    """The same operation seen in two parts (or under two shapes); neither is changed."""
    counts = Counts()
    counts.add(left.counts)
    counts.add(right.counts)
    verdict, row = _strictest(left, right)
    first_ts_ns, first_frame = min((left.first_ts_ns, left.first_frame), (right.first_ts_ns, right.first_frame))
    return OperationRecord(
        left.key,
        counts,
        left.bytes + right.bytes,
        first_ts_ns,
        max(left.last_ts_ns, right.last_ts_ns),
        first_frame,
        add_counts(left.intervals, right.intervals),
        add_counts(left.responses, right.responses),
        verdict,
        row,
    )


def add_hosts(left: HostRecord, right: HostRecord) -> HostRecord:
    """The same address seen in two parts."""
    first_ts_ns, first_frame = min((left.first_ts_ns, left.first_frame), (right.first_ts_ns, right.first_frame))
    last_ts_ns = max(left.last_ts_ns, right.last_ts_ns)
    return HostRecord(left.realm, left.address, first_ts_ns, last_ts_ns, left.frames + right.frames, first_frame)


def earlier_binding(left: Binding, right: Binding) -> Binding:
    """Of the same binding seen twice the first sight."""
    return min(left, right, key=lambda binding: (binding.first_ts_ns, binding.first_frame))


def earlier_fact(left: Fact, right: Fact) -> Fact:
    """Of the same attribute seen twice the first sight, the surer one if both are of one frame."""
    return min(left, right, key=lambda fact: (fact.ts_ns, fact.frame, -fact.confidence))


def _first(pair: tuple[str, EpisodeLike]) -> str:
    return pair[0]


def _absorbed(left: tuple[str, EpisodeLike], right: tuple[str, EpisodeLike]) -> tuple[str, EpisodeLike]:
    left[1].absorb(right[1])
    return left


def united(items: Iterable[_T], key: Callable[[_T], _K], join: Callable[[_T, _T], _T]) -> dict[_K, _T]:
    """Items by key, those of one key joined in the order they come."""
    out: dict[_K, _T] = {}
    for item in items:
        name = key(item)
        out[name] = join(out[name], item) if name in out else item
    return out


UNITE: Final[dict[str, tuple[Callable[[Any], Hashable], Callable[[Any, Any], Any]]]] = {
    "hosts": (lambda host: host[:2], add_hosts),
    "bindings": (lambda binding: binding[:5], earlier_binding),
    "facts": (lambda fact: fact[:6], earlier_fact),
    "blocks": (block_order, add_blocks),
    "habits": (lambda habit: habit[:4], add_habits),
}
"""Field of a Part -> what makes two of its records one, and the one they make."""


def merge(parts: Sequence[Part]) -> Part:
    """Parts of one observation as one, records in the order of their content. One part gives itself, sorted.

    Connections belong to one address pair and so to one part: they are only put together. Operations add, hosts and
    bindings unite, of equal facts the earliest stays. Episodes of one id absorb each other; nothing else is changed.
    """
    whole = Part(partial=any(part.partial for part in parts))
    connections = [c for part in parts for c in part.connections]
    whole.connections = sorted(connections, key=_connection_order)
    for part in parts:
        whole.frames = add_counts(whole.frames, part.frames)
        whole.ot_bytes = add_counts(whole.ot_bytes, part.ot_bytes)
        whole.visibility = add_counts(whole.visibility, part.visibility)
        whole.unsupported = add_counts(whole.unsupported, part.unsupported)
        whole.protocols = add_tree(whole.protocols, part.protocols)
        whole.lost_datagrams += part.lost_datagrams
        whole.shed += part.shed
        whole.folded += part.folded
        whole.points_shed += part.points_shed
    episodes = united(((episode.id, episode) for part in parts for episode in part.episodes), _first, _absorbed)
    whole.episodes = [
        episode for _, episode in sorted(episodes.values(), key=lambda pair: (pair[1].first_ts_ns, pair[0]))
    ]
    operations = [op for part in parts for op in part.operations]
    if len({op.key for op in operations}) < len(operations):
        operations = list(united(operations, lambda op: op.key, add_operations).values())
    whole.operations = in_order(operations)
    hosts = united((host for part in parts for host in part.hosts), *UNITE["hosts"])
    whole.hosts = sorted(hosts.values())
    bindings = united((b for part in parts for b in part.bindings), *UNITE["bindings"])
    whole.bindings = sorted(bindings.values(), key=lambda b: (b.realm, b.mac, b.address or "", *b[3:]))
    facts = united((fact for part in parts for fact in part.facts), *UNITE["facts"])
    whole.facts = sorted(facts.values(), key=lambda fact: (fact.realm, fact.address, unit_order(fact.unit), *fact[3:]))
    habits = united((habit for part in parts for habit in part.habits), *UNITE["habits"])
    whole.habits = sorted(habits.values(), key=lambda habit: habit[:4])
    permitted = united((op for part in parts for op in part.permitted), lambda op: (op.key, op.row), add_operations)
    whole.permitted = sorted(permitted.values(), key=lambda op: (operation_order(op.key), op.row or ""))
    writes = united((w for part in parts for w in part.permit_writes), lambda write: write[:2], add_writes)
    whole.permit_writes = sorted(writes.values(), key=lambda write: (operation_order(write.key), write.row))
    whole.blocks = sorted((block for part in parts for block in part.blocks), key=transfer_order)
    whole.points = sorted((point for part in parts for point in part.points), key=_point_order)
    return whole
