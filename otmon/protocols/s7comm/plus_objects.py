"""Objects of S7comm-plus: trees of attributes, relations and further objects, one element behind the other."""

from collections.abc import Iterator
from typing import Any, Final

from otmon.model import Malformed
from otmon.protocols.s7comm.plus_names import block_of, id_name
from otmon.protocols.s7comm.plus_values import Reader, Value, read_value

START, END, ATTRIBUTE, RELATION = 0xA1, 0xA2, 0xA3, 0xA4
_TYPES, _NAMES, _TAG, _TAG_END = 0xAB, 0xAC, 0xA7, 0xA8
_MAX_OBJECTS: Final = 2_000
_MAX_DEPTH: Final = 32
_QUALIFIER: Final = (1256).to_bytes(4, "big")
_USUAL: Final = _QUALIFIER + bytes.fromhex("8969001200000000896a001300896b00040000")
"""The qualifier that means nothing: each of its three values is 0."""


def read_objects(reader: Reader, found: list[Value]) -> None:
    """Objects from here on, into `found`; what is cut off stays there as far as it was read. Raises Malformed.

    They are as deep in each other as they are in the PDU, under `objects`.
    """
    open_objects: list[Value] = []
    count = 0
    while reader.peek() in (START, END, ATTRIBUTE, RELATION, _TYPES, _NAMES, _TAG, _TAG_END):
        element = reader.number(1)
        if element == START:
            count += 1
            if count > _MAX_OBJECTS or len(open_objects) >= _MAX_DEPTH:
                raise Malformed("too many objects")
            made = _head(reader)
            (open_objects[-1].setdefault("objects", []) if open_objects else found).append(made)
            open_objects.append(made)
        elif not open_objects:
            raise Malformed("element outside of an object")
        elif element == END:
            open_objects.pop()
            if not open_objects and reader.peek() != START:
                return
        else:
            _element(reader, element, open_objects[-1])
    if open_objects:
        raise Malformed("object not closed")


def _head(reader: Reader) -> Value:
    relation, number = reader.number(4), reader.vlq()
    flags, attribute = reader.vlq(), reader.vlq()
    made: Value = {"rid": relation, "class": number, "class_name": id_name(number), "class_flags": flags}
    block = block_of(relation, number)
    if block is not None:
        made["block"] = block
    return made | {"attribute": attribute, "attributes": []}


def _element(reader: Reader, element: int, inside: Value) -> None:
    if element == ATTRIBUTE:
        number = reader.vlq()
        inside["attributes"].append({"id": number, "name": id_name(number)} | read_value(reader, number))
    elif element == RELATION:
        number = reader.vlq()
        inside.setdefault("relations", []).append({"id": number, "name": id_name(number), "rid": reader.number(4)})
    elif element in (_TYPES, _NAMES):
        # Blocks with their lengths in front, up to one of length 0: types and names of variables.
        size, total = reader.number(2), 0
        while size:
            reader.take(size)
            total += size
            size = reader.number(2)
        inside["type_bytes" if element == _TYPES else "name_bytes"] = total
    else:
        raise Malformed("description of a tag")  # S7-1200 with firmware 2 alone has these


def all_objects(objects: list[Value]) -> Iterator[Value]:
    """Every object, however deep."""
    for one in objects:
        yield one
        yield from all_objects(one.get("objects", []))


def qualifier_follows(reader: Reader) -> bool:
    """Whether an object qualifier stands here."""
    return reader.data.startswith(_QUALIFIER, reader.pos)


def read_qualifier(reader: Reader) -> Value | None:
    """The object qualifier that most requests end with, None if it does not stand here."""
    if reader.data.startswith(_USUAL, reader.pos):
        reader.pos += len(_USUAL)
        return {"parent_rid": 0, "composition_aid": 0, "key_qualifier": 0}
    if not qualifier_follows(reader):
        return None
    reader.take(4)
    found: dict[str, Any] = {}
    while number := reader.vlq():
        found[id_name(number) or str(number)] = read_value(reader, number).get("value")
        if len(found) > 16:
            raise Malformed("object qualifier")
    return found
