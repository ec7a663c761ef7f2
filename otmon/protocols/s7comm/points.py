"""Values of variables: what was read and what is written, by the transport size of their addresses."""

from collections.abc import Iterator
from typing import Any, Final

from otmon.model import Message, Target, Value
from otmon.protocols.s7comm.tables import BIT, ELEMENT_AREAS, READ_VAR, WRITE_VAR
from otmon.protocols.s7comm.targets import area_name
from otmon.protocols.s7comm.values import element_values

BYTES_AT_ONCE: Final = 64
"""Of an array of bytes, in one value."""


def points(message: Message) -> Iterator[Value]:
    """One for each element of each item; what no element is of (arrays of bytes) is text, as hexadecimal digits."""
    items = message.body.get("items", ())
    if message.kind == "response" and message.function_code == READ_VAR:
        for item in items:
            for target, value in _elements(item.get("asked", {}), item):
                yield Value("read", target, value)
    elif message.kind == "request" and message.function_code == WRITE_VAR:
        for item in items:
            for target, value in _elements(item, item.get("written", {})):
                yield Value("write", target, value)


def _elements(asked: dict[str, Any], data: dict[str, Any]) -> Iterator[tuple[Target, float | str]]:
    """What an address item holds, with where it lies."""
    content = bytes.fromhex(data.get("raw", ""))
    if "area_raw" not in asked or "missing_bytes" in data:
        return
    space, first = area_name(asked["area_raw"], asked["db"]), asked["address"]
    if asked["transport_raw"] == BIT:
        if asked["count"] == len(content) == 1:
            yield Target(space, first, first, f"bit {asked['bit']}"), content[0] & 1
        return
    elements = element_values(asked, content)
    yield from elements
    if not elements and asked["length"] == len(content) and asked["area_raw"] not in ELEMENT_AREAS:
        for at in range(0, len(content), BYTES_AT_ONCE):
            part = content[at : at + BYTES_AT_ONCE]
            yield Target(space, first + at, first + at + len(part) - 1), part.hex()
