"""What requests write, and responses show, bit by bit, whatever function it is."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from otmon.model import Message, Op
from otmon.policy.rows import WRITING, span
from otmon.policy.tags import cell_bits
from otmon.policy.writes import WHOLE, Write
from otmon.protocols.s7comm.tables import BIT, ELEMENT_AREAS
from otmon.protocols.s7comm.targets import area_name
from otmon.wire.contract import Protocol

_MOST: Final = 4096
"""Positions that one item of a damaged request is taken to write."""


def writes(protocol: str, message: Message, written: Sequence[tuple[Op, float]]) -> list[Write]:
    """The positions that a request sets, in the order of the message. `written`: what the protocol says it writes."""
    if message.kind != "request" or protocol not in _WRITES:
        return []
    return list(_WRITES[protocol](message, written) if _DOUBTFUL.isdisjoint(message.flags) else _anything(message))


def _anything(message: Message) -> Iterator[Write]:
    """Of a request whose lengths contradict it: all that it claims to write, whatever that became."""
    for op in message.ops:
        if op.access in WRITING and op.target is not None and op.target.start is not None:
            low, high = span(op.target)
            mask = (1 << (cell_bits(op.target.space) or 64)) - 1
            for position in range(low, min(high, low + _MOST) + 1):
                yield Write(op.target.space, position, None, mask)


def _modbus(message: Message, written: Sequence[tuple[Op, float]]) -> Iterator[Write]:
    if message.function_code == 22 and message.access == "write":
        body = message.body
        yield Write("holding_register", body["address"], body["or_mask"], 0xFFFF & ~body["and_mask"])
        return
    for op, value in written:
        if op.target is not None and op.target.start is not None:
            yield Write(op.target.space, op.target.start, int(value), (1 << cell_bits(op.target.space)) - 1)


def _dnp3(message: Message, written: Sequence[tuple[Op, float]]) -> Iterator[Write]:
    for header in message.body.get("objects", ()):
        if header["group"] not in (12, 41):
            continue
        for point in header.get("points", ()):
            value = _switched(point) if "control_code" in point else point.get("value")
            if value is not None and point.get("index") is not None:
                yield Write(f"g{header['group']}", point["index"], float(value), WHOLE)


def _switched(point: Mapping[str, object]) -> int | None:
    """1 of what closes or switches on, 0 of what trips or switches off (IEEE 1815, A.8.1), None of neither."""
    if point["trip_close"] in ("close", "trip"):
        return int(point["trip_close"] == "close")
    return {1: 1, 3: 1, 2: 0, 4: 0}.get(int(str(point["control_code"])) & 15)


def _s7comm(message: Message, written: Sequence[tuple[Op, float]]) -> Iterator[Write]:
    for item in message.body.get("items", ()):
        yield from _octets(item, item.get("written", {}))


def _octets(item: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Write]:
    """What stands, by these data, at the address of an item."""
    content = bytes.fromhex(data.get("raw", ""))
    if "area_raw" not in item or item["area_raw"] in ELEMENT_AREAS:
        return
    space, first = area_name(item["area_raw"], item["db"]), item["address"]
    if item["transport_raw"] == BIT:
        if item["count"] == len(content) == 1:
            yield Write(space, first, (content[0] & 1) << item["bit"], 1 << item["bit"])
        return
    for at, octet in enumerate(content):
        yield Write(space, first + at, octet, 0xFF)


def shown(protocol: Protocol, message: Message) -> list[Write]:
    """What a response says of positions, as if it were written there. Of DNP3 nothing: outputs have no such answer."""
    if protocol.name == "s7comm":
        items = message.body.get("items", ()) if message.function == "read_var" else ()
        return [
            write
            for item in items
            if "missing_bytes" not in item and item.get("asked", {}).get("length") == len(item.get("raw", "")) // 2
            for write in _octets(item["asked"], item)
        ]
    if protocol.name != "modbus":
        return []
    return [
        Write(target.space, target.start, int(value), (1 << cell_bits(target.space)) - 1)
        for access, target, value in protocol.points(message)
        if access == "read" and target.start is not None
    ]


_DOUBTFUL: Final = frozenset({"malformed", "data_longer_than_address"})
_WRITES: Final = {"modbus": _modbus, "dnp3": _dnp3, "s7comm": _s7comm}
SELECTING: Final = ("select",)
"""Functions that only announce what they would set (DNP3)."""
