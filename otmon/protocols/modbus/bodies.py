"""The data behind each function code: V1.1b3 chapter 6, one small function for each request and response."""

import struct
from collections.abc import Callable
from typing import Any, Final

from otmon.protocols.modbus import diagnostics, umas
from otmon.protocols.modbus.draft import Draft, coils, need, registers
from otmon.protocols.modbus.tables import (
    BITS,
    CONFORMITY,
    DEVICE_OBJECTS,
    FILE_REFERENCE,
    INTERFACES,
    MAX_FIFO,
    MAX_FILE_RECORD,
    MAX_QUANTITY,
    MAX_READ_23,
    MAX_WRITE_23,
    MEI_DEVICE_ID,
    READ_DEVICE_ID,
    span,
)
from otmon.text import safe_text


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
    draft.span(address, quantity, MAX_QUANTITY[draft.code], size=len(data))


def _write_multiple_response(draft: Draft) -> None:
    address, quantity = draft.fields(">HH")
    draft.body.update(address=address, quantity=quantity)


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
    draft.span(write, write_quantity, MAX_WRITE_23, "write", len(data))


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


def _device_id_code(draft: Draft, code: int) -> None:
    draft.flag("device_id_code_invalid", code not in READ_DEVICE_ID)
    draft.body.update(read_device_id_code=code, read_device_id=READ_DEVICE_ID.get(code, "unknown"))


def _object(number: int) -> str:
    return DEVICE_OBJECTS.get(number, f"object_{number}")


def _encapsulated(draft: Draft) -> None:
    data = _interface(draft)
    if draft.sub == MEI_DEVICE_ID:
        need(len(data) == 2, "length does not fit the MEI type")
        _device_id_code(draft, data[0])
        draft.body.update(object_id=data[1], object_name=_object(data[1]))


def _encapsulated_response(draft: Draft) -> None:
    data = _interface(draft)
    if draft.sub != MEI_DEVICE_ID:
        return
    need(len(data) >= 5, "length does not fit the MEI type")
    code, conformity, more, following, left = data[:5]
    _device_id_code(draft, code)
    draft.flag("conformity_level_invalid", conformity not in CONFORMITY)
    draft.flag("more_follows_invalid", more not in (0, 0xFF))
    draft.body.update(conformity_level=conformity, conformity=CONFORMITY.get(conformity, "unknown"))
    draft.body.update(more_follows=more, next_object_id=following)
    objects = draft.body["objects"] = []
    data = data[5:]
    for _ in range(left):
        need(len(data) >= 2 and len(data) >= 2 + data[1], "object does not fit the length")
        number, text = data[0], data[2 : 2 + data[1]]
        objects.append({"id": number, "name": _object(number), "value": safe_text(text)})
        data = data[2 + len(text) :]
    need(not data, "bytes behind the last object")


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
    7: (diagnostics.nothing, diagnostics.exception_status),
    8: (diagnostics.diagnostics, diagnostics.diagnostics),
    11: (diagnostics.nothing, diagnostics.event_counter),
    12: (diagnostics.nothing, diagnostics.event_log),
    **dict.fromkeys((15, 16), (_write_multiple, _echo(_write_multiple_response))),
    17: (diagnostics.nothing, diagnostics.server_id),
    20: (_read_file, _read_file_response),
    21: (_write_file, _echo(_write_file)),
    22: (_mask_write, _echo(_mask_write)),
    23: (_read_write, _read_response),
    24: (_fifo, _fifo_response),
    43: (_encapsulated, _encapsulated_response),
    90: (umas.request, umas.response),
}
"""Function code -> body of the request, of the response."""
