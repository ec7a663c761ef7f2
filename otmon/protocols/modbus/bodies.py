"""The data behind each function code: V1.1b3 chapter 6, one small function for each request and response."""

import re
import struct
from collections.abc import Callable
from typing import Any, Final

from otmon.model import Access, Malformed, Op, Target
from otmon.protocols.modbus.tables import (
    BITS,
    DEVICE_OBJECTS,
    FILE_REFERENCE,
    INTERFACES,
    LAST_ADDRESS,
    LAST_DIAGNOSTIC,
    MAX_FIFO,
    MAX_FILE_RECORD,
    MAX_QUANTITY,
    MAX_READ_23,
    MAX_WRITE_23,
    MEI_DEVICE_ID,
    SPACES,
    UMAS_ERROR,
    UMAS_OK,
    UMAS_SERVICES,
    make_op,
    service,
    span,
    untargeted,
)
from otmon.text import safe_text


class Draft:
    """A message in the making: what the body functions read and fill."""

    __slots__ = ("asked", "body", "code", "data", "flags", "ops", "sub", "unit")

    def __init__(self, unit: int, code: int, data: bytes, asked: "Draft | None") -> None:
        self.unit = unit
        self.code = code
        self.data = data
        """Behind the function code."""
        self.asked = asked.body if asked else {}
        self.sub: int | None = asked.sub if asked else None
        self.body: dict[str, Any] = {}
        self.flags: list[str] = []
        self.ops: list[Op] = []

    def flag(self, name: str, condition: bool = True) -> None:
        """Note what the specification forbids, once."""
        if condition and name not in self.flags:
            self.flags.append(name)

    def touch(self, target: Target, access: Access | None = None) -> None:
        """The request's operation on a target."""
        self.ops.append(make_op(self.code, None, self.unit, target, access))

    def span(self, address: int, quantity: int, most: int, access: Access | None = None) -> None:
        """The request's operation on a range, of which one request may claim `most` elements."""
        self.flag("quantity_out_of_range", not 1 <= quantity <= most)
        self.flag("address_overflow", address + quantity > LAST_ADDRESS + 1)
        self.touch(span(SPACES[self.code], address, quantity), access)

    def fields(self, layout: str) -> tuple[int, ...]:
        """All of the data as integers."""
        need(len(self.data) == struct.calcsize(layout), "length does not fit the function")
        return struct.unpack(layout, self.data)

    def counted(self, at: int) -> bytes:
        """What the count byte at data[at] counts: the rest, or the PDU is malformed."""
        need(len(self.data) > at and len(self.data) == at + 1 + self.data[at], "byte count does not fit the length")
        return self.data[at + 1 :]


def need(condition: bool, why: str) -> None:
    """Raise Malformed unless the condition holds."""
    if not condition:
        raise Malformed(why)


def registers(data: bytes) -> list[int]:
    """Big-endian 16-bit words; an odd byte at the end is left out."""
    return list(struct.unpack(f">{len(data) // 2}H", data[: len(data) & ~1]))


def coils(data: bytes, quantity: int) -> list[int]:
    """The first `quantity` bits, lowest bit of each byte first."""
    return [data[bit >> 3] >> (bit & 7) & 1 for bit in range(min(quantity, 8 * len(data)))]


# --- requests and responses by function ----------------------------------------------------------------------------
def _read(draft: Draft) -> None:
    address, quantity = draft.fields(">HH")
    draft.body.update(address=address, quantity=quantity)
    draft.span(address, quantity, MAX_QUANTITY[draft.code])


_RANGE: Final = ("address", "quantity")


def _read_response(draft: Draft) -> None:
    data = draft.counted(0)
    asked: dict[str, Any] = {name: draft.asked[name] for name in _RANGE if name in draft.asked}
    draft.body.update(asked)
    if draft.code in BITS:
        quantity = asked.get("quantity", 8 * len(data))
        draft.body["values"] = coils(data, quantity)
        draft.flag("byte_count_mismatch", len(data) != (quantity + 7) // 8)
    else:
        need(len(data) % 2 == 0, "half a register")
        draft.body["values"] = registers(data)
        draft.flag("byte_count_mismatch", 2 * asked.get("quantity", len(data) // 2) != len(data))


def _write_single(draft: Draft) -> None:
    address, raw = draft.fields(">HH")
    value = raw
    if draft.code == 5:
        draft.flag("coil_value_invalid", raw not in (0, 0xFF00))
        value = 1 if raw == 0xFF00 else raw
        draft.body["raw"] = raw
    draft.body.update(address=address, quantity=1, values=[value])
    draft.span(address, 1, 1)


def _write_multiple(draft: Draft) -> None:
    need(len(draft.data) >= 5, "no byte count")
    address, quantity = struct.unpack_from(">HH", draft.data)
    data = draft.counted(4)
    draft.flag("byte_count_mismatch", len(data) != ((quantity + 7) // 8 if draft.code == 15 else 2 * quantity))
    values = coils(data, quantity) if draft.code == 15 else registers(data)
    draft.body.update(address=address, quantity=quantity, byte_count=len(data), values=values)
    draft.span(address, quantity, MAX_QUANTITY[draft.code])


def _write_multiple_response(draft: Draft) -> None:
    address, quantity = draft.fields(">HH")
    draft.body.update(address=address, quantity=quantity)


def _nothing(draft: Draft) -> None:
    draft.fields(">")


def _exception_status(draft: Draft) -> None:
    (draft.body["exception_status"],) = draft.fields(">B")


def _diagnostics(draft: Draft) -> None:
    need(len(draft.data) >= 2, "no sub-function")
    draft.sub = int.from_bytes(draft.data[:2], "big")
    draft.flag("sub_function_reserved", draft.sub > LAST_DIAGNOSTIC or draft.sub in (5, 6, 7, 8, 9, 19))
    draft.body.update(sub_function=draft.sub, data=draft.data[2:].hex(), values=registers(draft.data[2:]))
    draft.ops.extend(untargeted(draft.code, draft.sub, draft.unit))


def _event_counter(draft: Draft) -> None:
    draft.body["status"], draft.body["event_count"] = draft.fields(">HH")


def _event_log(draft: Draft) -> None:
    data = draft.counted(0)
    need(len(data) >= 6, "no event counters")
    status, events, messages = struct.unpack_from(">HHH", data)
    draft.body.update(status=status, event_count=events, message_count=messages, events=list(data[6:]))


def _server_id(draft: Draft) -> None:
    data = draft.counted(0)
    draft.body.update(data=data.hex(), text=safe_text(b" ".join(re.findall(rb"[ -~]{3,}", data)).strip()))


def _read_file(draft: Draft) -> None:
    data = draft.counted(0)
    need(len(data) % 7 == 0, "part of a sub-request")
    draft.flag("quantity_out_of_range", not data)
    draft.body["records"] = [_record(draft, *fields) for fields in struct.iter_unpack(">BHHH", data)]


def _record(draft: Draft, reference_type: int, file: int, record: int, length: int) -> dict[str, Any]:
    draft.flag("reference_type_invalid", reference_type != FILE_REFERENCE)
    draft.flag("record_out_of_range", file == 0 or record > MAX_FILE_RECORD)
    draft.flag("quantity_out_of_range", length == 0)
    draft.touch(span("file_record", record, length, str(file)))
    return {"reference_type": reference_type, "file": file, "record": record, "quantity": length}


def _read_file_response(draft: Draft) -> None:
    data = draft.counted(0)
    records = draft.body["records"] = []
    asked = draft.asked.get("records", [])
    while data:
        length = data[0]
        need(0 < length < len(data), "sub-response does not fit the length")
        draft.flag("reference_type_invalid", data[1] != FILE_REFERENCE)
        known = asked[len(records)] if len(records) < len(asked) else {}
        draft.flag("byte_count_mismatch", length != 1 + 2 * known.get("quantity", (length - 1) // 2))
        records.append({**known, "reference_type": data[1], "values": registers(data[2 : length + 1])})
        data = data[length + 1 :]


def _write_file(draft: Draft) -> None:
    data = draft.counted(0)
    draft.flag("quantity_out_of_range", not data)
    records = draft.body["records"] = []
    while data:
        need(len(data) >= 7, "part of a sub-request")
        reference_type, file, number, length = struct.unpack_from(">BHHH", data)
        need(len(data) >= 7 + 2 * length, "sub-request does not fit the length")
        record = _record(draft, reference_type, file, number, length)
        records.append({**record, "values": registers(data[7 : 7 + 2 * length])})
        data = data[7 + 2 * length :]


def _mask_write(draft: Draft) -> None:
    address, and_mask, or_mask = draft.fields(">HHH")
    # Result = (register AND and_mask) OR (or_mask AND NOT and_mask), 6.16.
    effective = {"set": or_mask & ~and_mask, "cleared": ~or_mask & ~and_mask & 0xFFFF, "kept": and_mask}
    draft.body.update(address=address, quantity=1, and_mask=and_mask, or_mask=or_mask, effective=effective)
    draft.span(address, 1, 1)


def _read_write(draft: Draft) -> None:
    need(len(draft.data) >= 9, "no byte count")
    read, read_quantity, write, write_quantity = struct.unpack_from(">HHHH", draft.data)
    data = draft.counted(8)
    draft.flag("byte_count_mismatch", len(data) != 2 * write_quantity)
    draft.body.update(address=read, quantity=read_quantity, write_address=write, write_quantity=write_quantity)
    draft.body.update(byte_count=len(data), write_values=registers(data))
    draft.span(read, read_quantity, MAX_READ_23, "read")
    draft.span(write, write_quantity, MAX_WRITE_23, "write")


def _fifo(draft: Draft) -> None:
    (address,) = draft.fields(">H")
    draft.body["address"] = address
    draft.span(address, 1, 1)


def _fifo_response(draft: Draft) -> None:
    data = draft.data
    need(len(data) >= 4 and len(data) % 2 == 0, "length does not fit the function")
    byte_count, count = struct.unpack_from(">HH", data)
    need(byte_count == len(data) - 2, "byte count does not fit the length")
    values = registers(data[4:])
    draft.flag("byte_count_mismatch", count != len(values))
    draft.flag("quantity_out_of_range", count > MAX_FIFO)
    draft.body.update({name: draft.asked[name] for name in ("address",) if name in draft.asked})
    draft.body.update(fifo_count=count, values=values)


def _interface(draft: Draft) -> bytes:
    need(len(draft.data) >= 1, "no MEI type")
    draft.sub = draft.data[0]
    draft.flag("sub_function_reserved", draft.sub not in INTERFACES)
    draft.body["mei_type"] = draft.sub
    if draft.sub != MEI_DEVICE_ID:
        draft.body["data"] = draft.data[1:].hex()
    return draft.data[1:]


def _encapsulated(draft: Draft) -> None:
    data = _interface(draft)
    if draft.sub == MEI_DEVICE_ID:
        need(len(data) == 2, "length does not fit the MEI type")
        draft.body.update(read_device_id_code=data[0], object_id=data[1])
        draft.flag("device_id_code_invalid", not 1 <= data[0] <= 4)


def _encapsulated_response(draft: Draft) -> None:
    data = _interface(draft)
    if draft.sub != MEI_DEVICE_ID:
        return
    need(len(data) >= 5, "length does not fit the MEI type")
    code, conformity, more, following, left = data[:5]
    draft.flag("device_id_code_invalid", not 1 <= code <= 4)
    draft.body.update(
        read_device_id_code=code, conformity_level=conformity, more_follows=more, next_object_id=following
    )
    objects = draft.body["objects"] = []
    data = data[5:]
    for _ in range(left):
        need(len(data) >= 2 and len(data) >= 2 + data[1], "object does not fit the length")
        number, text = data[0], data[2 : 2 + data[1]]
        objects.append({"id": number, "name": DEVICE_OBJECTS.get(number, f"object_{number}"), "value": safe_text(text)})
        data = data[2 + len(text) :]
    need(not data, "bytes behind the last object")


def _umas(draft: Draft) -> None:
    need(len(draft.data) >= 2, "no sub-function")
    session, sub = draft.data[:2]
    need(sub < UMAS_ERROR, "a status where a request has its service")
    name = UMAS_SERVICES.get(sub, "unknown")
    draft.body.update(session=session, sub_function=sub, service=name, data=draft.data[2:].hex())
    draft.flag("sub_function_reserved", sub not in UMAS_SERVICES)
    draft.touch(service(sub))


def _umas_response(draft: Draft) -> None:
    need(len(draft.data) >= 2, "no status")
    session, status = draft.data[:2]
    draft.body.update(session=session, status=status, data=draft.data[2:].hex())
    draft.body.update({name: draft.asked[name] for name in ("sub_function", "service") if name in draft.asked})
    draft.flag("status_unknown", status not in (UMAS_OK, UMAS_ERROR))


def opaque(draft: Draft) -> None:
    """A function without a known layout."""
    draft.body["data"] = draft.data.hex()


def _echo(request: Callable[[Draft], None]) -> Callable[[Draft], None]:
    """A response that repeats its request."""

    def response(draft: Draft) -> None:
        request(draft)
        asked = {name: draft.asked[name] for name in draft.body if name in draft.asked}
        draft.flag("echo_mismatch", any(draft.body[name] != value for name, value in asked.items()))

    return response


_Body = Callable[[Draft], None]
BODIES: Final[dict[int, tuple[_Body, _Body]]] = {
    **dict.fromkeys((1, 2, 3, 4), (_read, _read_response)),
    **dict.fromkeys((5, 6), (_write_single, _echo(_write_single))),
    7: (_nothing, _exception_status),
    8: (_diagnostics, _diagnostics),
    11: (_nothing, _event_counter),
    12: (_nothing, _event_log),
    **dict.fromkeys((15, 16), (_write_multiple, _echo(_write_multiple_response))),
    17: (_nothing, _server_id),
    20: (_read_file, _read_file_response),
    21: (_write_file, _echo(_write_file)),
    22: (_mask_write, _echo(_mask_write)),
    23: (_read_write, _read_response),
    24: (_fifo, _fifo_response),
    43: (_encapsulated, _encapsulated_response),
    90: (_umas, _umas_response),
}
"""Function code -> body of the request, of the response."""
