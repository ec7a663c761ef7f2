"""Records as rows of the tables in schema.py, and back. Columns of a key hold -1 where the record has None."""

from collections.abc import Sequence
from typing import Any

import orjson

from otmon.model import (
    Binding,
    Block,
    BlockRecord,
    ConnectionRecord,
    Counts,
    Fact,
    FrameRef,
    Habit,
    HostRecord,
    OperationKey,
    OperationRecord,
    Sighting,
    Target,
    Unit,
)
from otmon.site.part import unit_order

Row = Sequence[Any]
_NO_TARGET = ("", -1, -1, -1)


def text_of(value: Any) -> str:
    """JSON with its keys in order: the same value gives the same text."""
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SORT_KEYS).decode()


def histogram(text: str) -> dict[int, int]:
    """bucket -> count."""
    return {} if text == "{}" else {int(key): value for key, value in orjson.loads(text).items()}


def add_histograms(left: str, right: str) -> str:
    """The sum of two, as text; the SQL function of this name."""
    out = orjson.loads(left)
    for key, value in orjson.loads(right).items():
        out[key] = out.get(key, 0) + value
    return orjson.dumps(out, option=orjson.OPT_SORT_KEYS).decode()


def _or_none(value: int) -> int | None:
    return None if value == -1 else value


def _number(value: int | None) -> int:
    return -1 if value is None else value


def _unit(row: Row) -> Unit:
    return _or_none(row[2]) if row[0] == -1 else (row[0], row[1])


def operation_row(operation: OperationRecord) -> tuple[Any, ...]:
    """Row of `operation_rows`."""
    key, counts, size, first_ts_ns, last_ts_ns, first_frame, intervals, responses, verdict, row = operation
    realm, client, server, transport, port, protocol, unit, code, function, access, target, initiated_by = key
    if target is None:
        place: tuple[Any, ...] = _NO_TARGET
    else:
        # A name may be empty, so that its absence is no text.
        space, start, end, name = target
        place = (space, -1 if start is None else start, -1 if end is None else end, -1 if name is None else name)
    return (
        *(realm, client, server, transport, -1 if port is None else port, protocol, *unit_order(unit)),
        *(-1 if code is None else code, function, access, *place, initiated_by),
        *(counts.attempted, counts.accepted, counts.rejected, counts.partial, counts.unanswered),
        *(counts.unseen, counts.pending, size, first_ts_ns, last_ts_ns, *first_frame),
        *(text_of(intervals) if intervals else "{}", text_of(responses) if responses else "{}", verdict, row),
    )


def operation_key(row: Row) -> OperationKey:
    """The key of a row of `operation_rows`."""
    target = None
    if row[12]:
        target = Target(row[12], _or_none(row[13]), _or_none(row[14]), None if row[15] == -1 else row[15])
    return OperationKey._make(
        (*row[:4], _or_none(row[4]), row[5], _unit(row[6:9]), _or_none(row[9]), row[10], row[11], target, row[16])
    )


def operation(row: Row) -> OperationRecord:
    """The record of a row of `operation_rows`."""
    key = operation_key(row)
    hists = histogram(row[29]), histogram(row[30])
    return OperationRecord._make((key, Counts(*row[17:24]), *row[24:27], (row[27], row[28]), *hists, row[31], row[32]))


def connection_row(c: ConnectionRecord) -> tuple[Any, ...]:
    """Row of `connections`."""
    return (
        *(c.first_ts_ns, *c.first_frame, c.realm, c.client, _number(c.client_port), c.server, _number(c.server_port)),
        *(c.transport, c.protocol, c.assumed_roles, text_of(c.vlans), c.last_ts_ns, *c.frames, *c.bytes),
        *(c.gaps, c.missing_bytes, c.one_sided, c.encrypted_bytes, c.midstream),
        *(c.malformed_bytes, c.unrecognised_bytes, c.answer),
    )


def other_way(row: Row) -> tuple[Any, ...]:
    """The key of the same connection with client and server exchanged: who is who may be learnt late."""
    return (*row[:4], row[6], row[7], row[4], row[5], row[8])


def connection(row: Row) -> ConnectionRecord:
    """The record of a row of `connections`."""
    return ConnectionRecord(
        *(row[3], row[4], _or_none(row[5]), row[6], _or_none(row[7]), row[8], row[9], bool(row[10])),
        *(tuple(orjson.loads(row[11])), row[0], row[12], (row[1], row[2]), (row[13], row[14]), (row[15], row[16])),
        *(row[17], row[18], bool(row[19]), row[20], bool(row[21]), row[22], row[23], row[24]),
    )


def host_row(host: HostRecord) -> tuple[Any, ...]:
    """Row of `hosts`."""
    return (*host[:5], *host.first_frame)


def host(row: Row) -> HostRecord:
    """The record of a row of `hosts`."""
    return HostRecord._make((*row[:5], (row[5], row[6])))


def binding_row(binding: Binding) -> tuple[Any, ...]:
    """Row of `bindings`."""
    realm, mac, address, ethertype, proof, first_ts_ns, first_frame = binding
    return (realm, mac, address or "", ethertype, proof, first_ts_ns, *first_frame)


def binding(row: Row) -> Binding:
    """The record of a row of `bindings`."""
    return Binding(row[0], row[1], row[2] or None, row[3], bool(row[4]), row[5], (row[6], row[7]))


def fact_row(fact: Fact) -> tuple[Any, ...]:
    """Row of `facts`."""
    realm, address, unit, name, value, protocol, frame, ts_ns, confidence = fact
    return (realm, address, *unit_order(unit), name, value, protocol, *frame, ts_ns, confidence)


def fact(row: Row) -> Fact:
    """The record of a row of `facts`."""
    frame: FrameRef = (row[8], row[9])
    return Fact(row[0], row[1], _unit(row[2:5]), row[5], row[6], row[7], frame, row[10], row[11])


def block_row(record: BlockRecord) -> tuple[Any, ...]:
    """Row of `blocks`."""
    kind, number, name, file_system = record.block
    return (
        *(record.realm, record.server, record.protocol, *unit_order(record.unit), kind, _number(number), name),
        *(file_system or "", record.direction, record.client, record.state, record.length, record.sha256 or ""),
        *(record.first_ts_ns, record.last_ts_ns, *record.frames[0], *record.frames[1], record.transfers),
        record.before,
    )


def block(row: Row) -> BlockRecord:
    """The record of a row of `blocks`."""
    moved = Block(row[6], _or_none(row[7]), row[8], row[9] or None)
    frames = (row[17], row[18]), (row[19], row[20])
    return BlockRecord(
        *(row[0], row[1], row[2], _unit(row[3:6]), moved, row[10], row[11], row[12], row[13], row[14] or None),
        *(row[15], row[16], frames, row[21], row[22]),
    )


def habit_row(habit: Habit) -> tuple[Any, ...]:
    """Row of `habits`."""
    last_ts_ns = max((sighting.last_ts_ns for sighting in habit.signatures.values()), default=0)
    return (*habit[:4], text_of({name: list(sighting) for name, sighting in habit.signatures.items()}), last_ts_ns)


def habit(row: Row) -> Habit:
    """The record of a row of `habits`."""
    signatures = {
        name: Sighting(connections, tuple(times), (frame[0], frame[1]), server, last_ts_ns)
        for name, (connections, times, frame, server, last_ts_ns) in orjson.loads(row[4]).items()
    }
    return Habit._make((*row[:4], signatures))
