"""What each function of S7comm-plus carries behind its head: objects, addresses, values.

Layouts are those of `Core/*Request.cs`, `Core/*Response.cs` and `Core/Notification.cs` of S7CommPlusDriver; of
functions that are not among them (links, sequences) those that all PDUs of the captures follow.
"""

from collections.abc import Callable
from typing import Any, Final

from otmon.model import Malformed
from otmon.protocols.s7comm.plus_names import id_name
from otmon.protocols.s7comm.plus_objects import START, qualifier_follows, read_objects, read_qualifier
from otmon.protocols.s7comm.plus_values import Reader, Value, read_value

Body = dict[str, Any]
_DB: Final = 0x8A0E
_AREAS: Final = {80: "I", 81: "Q", 82: "M", 83: "C", 84: "T"}
_MAX_ITEMS: Final = 4_096
_WITH_ITEM, _WITH_ITEM_VLQ, _OTHER, _NOT_FOUND, _OBJECT = 0x92, 0x9B, 0x9C, (0x03, 0x13), 0x81


def _id(reader: Reader) -> Value:
    number = reader.vlq()
    return {"id": number, "name": id_name(number)}


def _object_id(reader: Reader, body: Body) -> None:
    body["object"] = reader.number(4)
    name = id_name(body["object"])
    if name is not None:
        body["object_name"] = name


def _count(reader: Reader) -> int:
    count = reader.vlq()
    if count > min(_MAX_ITEMS, reader.left):
        raise Malformed("too many items")
    return count


def area_of(number: int) -> str | None:
    """DB10, M, ... of an access area; None for others."""
    return f"DB{number & 0xFFFF}" if number >> 16 == _DB else _AREAS.get(number)


def _address(reader: Reader) -> Value:
    crc, area, count = reader.vlq(), reader.vlq(), _count(reader)
    path = [reader.vlq() for _ in range(count)]
    return {"crc": crc, "area": area_of(area), "area_raw": area, "path": path}


def _addresses(reader: Reader, body: Body) -> int:
    """Object and the ids in it, or (object 0) addresses of variables; how many there are."""
    _object_id(reader, body)
    count, fields = _count(reader), _count(reader)
    if body["object"]:
        body["addresses"] = [_id(reader) for _ in range(fields)]
    else:
        body["addresses"] = [_address(reader) for _ in range(count)]
    return count


def _values(reader: Reader, body: Body) -> None:
    """Numbered values up to number 0."""
    found: list[Value] = []
    body["values"] = found
    while number := reader.vlq():
        if len(found) >= _MAX_ITEMS:
            raise Malformed("too many values")
        found.append({"item": number} | read_value(reader))


def _errors(reader: Reader, body: Body) -> None:
    """Numbered errors up to number 0."""
    found: list[Value] = []
    while number := reader.vlq():
        if len(found) >= _MAX_ITEMS:
            raise Malformed("too many errors")
        found.append({"item": number, "error": error_code(reader.vlq(9))})
    if found:
        body["item_errors"] = found


def error_code(value: int) -> int:
    """The signed low 16 bits of a return value; 0 and above is success."""
    return (value & 0xFFFF) - ((value & 0x8000) << 1)


def _get_multi(reader: Reader, body: Body) -> None:
    _addresses(reader, body)
    body["qualifier"] = read_qualifier(reader)


def _set_multi(reader: Reader, body: Body) -> None:
    count = _addresses(reader, body)
    body["values"] = []
    for i in range(count):
        item = body["addresses"][i] if i < len(body["addresses"]) else {}
        # Of a session's object these are its keys: the id says whether the value may be shown.
        body["values"].append({"item": reader.vlq()} | read_value(reader, item.get("id", 0)))
    reader.take(1)
    body["qualifier"] = read_qualifier(reader)


def _qualifier(reader: Reader, body: Body, behind: int) -> None:
    """The object qualifier and bytes behind it whose meaning is not known."""
    body["qualifier"] = read_qualifier(reader)
    reader.take(min(behind, reader.left))


def _set_variable(reader: Reader, body: Body) -> None:
    _object_id(reader, body)
    body["addresses"] = [_id(reader) for _ in range(_count(reader))]
    last = body["addresses"][-1]["id"] if body["addresses"] else 0
    body["values"] = [{"item": 1} | read_value(reader, last)]
    _qualifier(reader, body, 1)


def _get_variable(reader: Reader, body: Body) -> None:
    _object_id(reader, body)
    body["addresses"] = [_id(reader) for _ in range(_count(reader))]
    body["qualifier"] = read_qualifier(reader)


def _substreamed(reader: Reader, body: Body) -> None:
    """The address is a value of its own: an array of numbers."""
    _object_id(reader, body)
    numbers = read_value(reader).get("values", [])
    body["addresses"] = [{"id": number, "name": id_name(number)} for number in numbers if isinstance(number, int)]
    if not qualifier_follows(reader):
        secret = body["addresses"][-1]["id"] if body["addresses"] else 0
        body["values"] = [{"item": 1} | read_value(reader, secret)]
    _qualifier(reader, body, 2)


def _create(reader: Reader, body: Body) -> None:
    _object_id(reader, body)
    body["value"] = read_value(reader)
    body["unknown"] = reader.number(4)
    body["objects"] = []
    read_objects(reader, body["objects"])


def _created(reader: Reader, body: Body) -> None:
    body["object_ids"] = [reader.vlq() for _ in range(reader.number(1))]
    body["objects"] = []
    read_objects(reader, body["objects"])


def _explore(reader: Reader, body: Body) -> None:
    _object_id(reader, body)
    body["request_id"] = reader.vlq()
    body["children"], body["unknown"], body["parents"] = reader.take(3)
    if reader.number(1):
        reader.take(1)
        body["filter"] = read_value(reader)
    body["addresses"] = [_id(reader) for _ in range(_count(reader))]


def _explored(reader: Reader, body: Body) -> None:
    if reader.peek() != START:
        _object_id(reader, body)
    body["objects"] = []
    read_objects(reader, body["objects"])


def _delete(reader: Reader, body: Body) -> None:
    _object_id(reader, body)
    reader.take(min(1, reader.left))
    body["qualifier"] = read_qualifier(reader)


def _got_values(reader: Reader, body: Body) -> None:
    _values(reader, body)
    _errors(reader, body)


def _got_substream(reader: Reader, body: Body) -> None:
    reader.take(1)
    body["values"] = [{"item": 1} | read_value(reader)]


def _link(reader: Reader, body: Body) -> None:
    _object_id(reader, body)
    body["addresses"] = [_id(reader)]


def _links(reader: Reader, body: Body) -> None:
    count = reader.number(1)
    body["object_ids"] = [reader.number(4) for _ in range(count)]


def _begin(reader: Reader, body: Body) -> None:
    body["sequence_type"], body["sequence_id"] = reader.number(1), reader.number(2)
    if reader.rest[1:2] == b"\xa1":
        reader.take(1)
        body["objects"] = []
        read_objects(reader, body["objects"])
    else:
        _object_id(reader, body)


def _begun(reader: Reader, body: Body) -> None:
    body["sequence_id"] = reader.number(2)
    _object_id(reader, body)


def _end(reader: Reader, body: Body) -> None:
    body["sequence_type"], body["committed"] = reader.take(2)


def _nothing(reader: Reader, body: Body) -> None:
    """The return value was all."""


REQUESTS: Final[dict[int, Callable[[Reader, Body], None]]] = {
    0x04BB: _explore,
    0x04CA: _create,
    0x04D4: _delete,
    0x04F2: _set_variable,
    0x04FC: _get_variable,
    0x0524: _link,
    0x0542: _set_multi,
    0x054C: _get_multi,
    0x0556: _begin,
    0x0560: _end,
    0x057C: _substreamed,
    0x0586: _substreamed,
    0x05B3: _nothing,
}
RESPONSES: Final[dict[int, Callable[[Reader, Body], None]]] = {
    0x04BB: _explored,
    0x04CA: _created,
    0x04D4: _object_id,
    0x04F2: _nothing,
    0x0524: _links,
    0x0542: _errors,
    0x054C: _got_values,
    0x0556: _begun,
    0x0560: _nothing,
    0x0586: _got_substream,
    0x05B3: _nothing,
}


def notification(reader: Reader, body: Body) -> None:
    """What a controller sends on a subscription: credit, sequence number, values by reference or error, alarms."""
    body["subscription"] = reader.number(4)
    body["unknown"] = [reader.number(2) for _ in range(3)]
    body["credit"], body["sequence"] = reader.number(1), reader.vlq()
    start = reader.pos
    try:
        if reader.peek() == 0:
            # Newer controllers: microseconds since 1970, whose first byte is 0 for a long time to come.
            body["timestamp_us"] = reader.number(8)
        body["change_counter"] = reader.number(1)
        _notified(reader, body)
    except Malformed:
        # S7-1200 with firmware 2 has no counter.
        reader.pos = start
        body.pop("timestamp_us", None)
        body.pop("change_counter", None)
        _notified(reader, body)


def _notified(reader: Reader, body: Body) -> None:
    values: list[Value] = []
    errors: list[Value] = []
    body["values"] = values
    while (code := reader.number(1)) != 0:
        if len(values) + len(errors) >= _MAX_ITEMS:
            raise Malformed("too many values")
        if code in (_WITH_ITEM, _WITH_ITEM_VLQ):
            item = reader.number(4) if code == _WITH_ITEM else reader.vlq()
            values.append({"item": item} | read_value(reader))
        elif code in _NOT_FOUND:
            errors.append({"item": reader.number(4), "error": code})
        elif code == _OTHER:
            reader.take(4)
        else:
            raise Malformed(f"unknown entry 0x{code:02x} of a notification")
    if errors:
        body["item_errors"] = errors
    if reader.peek() > 0:
        body["alarm_subscription"] = reader.number(4)
        reader.take(2)
        if reader.number(1) != _OBJECT:
            raise Malformed("unknown second part of a notification")
        body["objects"] = []
        read_objects(reader, body["objects"])
