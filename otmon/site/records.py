"""Operations and values as JSON-ready dicts: records of operations.jsonl, and of the stream `point` (docs/records)."""

from typing import Any, Final

from otmon.model import BlockRecord, OperationKey, OperationRecord, PointRecord, Target
from otmon.site.timing import period, quantiles

_RESPONSE_SHARES: Final = (0.5, 0.99)


def target_record(target: Target | None) -> dict[str, Any] | None:
    """`{"space": ..., "start": ..., "end": ...}` or `{"space": ..., "name": ...}`: what is None stays out."""
    if target is None:
        return None
    space, start, end, name = target
    if name is None and start is not None and end is not None:  # nearly all
        return {"space": space, "start": start, "end": end}
    return {name: value for name, value in zip(Target._fields, target, strict=True) if value is not None}


def key_record(key: OperationKey, target: bool = True) -> dict[str, Any]:
    """The operation itself. DNP3 has `link_source` (master) and `link_destination` (outstation) in place of `unit`."""
    realm, client, server, transport, port, protocol, unit, code, function, access, touched, initiated_by = key
    record: dict[str, Any] = {
        "access": access,
        "client": client,
        "function": function,
        "function_code": code,
        "initiated_by": initiated_by,
        "port": port,
        "protocol": protocol,
        "realm": realm,
        "server": server,
        "transport": transport,
    }
    if isinstance(unit, tuple):
        record["link_source"], record["link_destination"] = unit
    else:
        record["unit"] = unit
    if target:
        record["target"] = target_record(touched)
    return record


def point_record(point: PointRecord) -> dict[str, Any]:
    """docs/records/point.schema.json."""
    text = isinstance(point.value, str)
    return {
        "access": point.access,
        "client": point.client,
        "count": point.messages,
        "protocol": point.protocol,
        "realm": point.realm,
        "server": point.server,
        "target": target_record(point.target),
        "text": point.value if text else None,
        "ts_ns": point.ts_ns,
        "unit": point.unit,
        "value": None if text else point.value,
    }


def block_record(block: BlockRecord) -> dict[str, Any]:
    """One line of blocks.jsonl. Frames are [input number from 1, frame number from 1]."""
    kind, number, name, file_system = block.block
    return {
        "before": block.before,
        "block": name,
        "client": block.client,
        "direction": block.direction,
        "file_system": file_system,
        "first_ts_ns": block.first_ts_ns,
        "frames": [[i + 1, frame] for i, frame in block.frames],
        "last_ts_ns": block.last_ts_ns,
        "length": block.length,
        "number": number,
        "protocol": block.protocol,
        "realm": block.realm,
        "server": block.server,
        "sha256": block.sha256,
        "state": block.state,
        "transfers": block.transfers,
        "type": kind,
        "unit": block.unit,
    }


def operation_record(operation: OperationRecord) -> dict[str, Any]:
    """One line of operations.jsonl."""
    counts = operation.counts
    timing = period(operation.intervals, counts.attempted, operation.first_ts_ns, operation.last_ts_ns)
    responses = quantiles(operation.responses, _RESPONSE_SHARES)
    return {
        "accepted": counts.accepted,
        "attempted": counts.attempted,
        "bytes": operation.bytes,
        "first_ts_ns": operation.first_ts_ns,
        "last_ts_ns": operation.last_ts_ns,
        "operation": key_record(operation.key),
        "partial": counts.partial,
        "pending": counts.pending,
        "period_ns": timing and timing[0],
        "period_spread_ns": timing and timing[1],
        "rejected": counts.rejected,
        "response_ns": {"p50": responses[0], "p99": responses[1]} if responses else None,
        "row": operation.row,
        "unanswered": counts.unanswered,
        "unseen": counts.unseen,
        "verdict": operation.verdict,
    }
