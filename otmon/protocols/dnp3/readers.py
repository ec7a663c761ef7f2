"""Building blocks for objects whose length their header gives: a reader takes an object's octets and gives its fields.

A reader gives None for an object too short for its fields; what follows them is kept as text or in hex.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Any, Final

from otmon.text import safe_text

Reader = Callable[[bytes], dict[str, Any] | None]
SHOWN_OCTETS: Final = 64
"""Of octets without a meaning of their own, so many are shown."""


def shown(raw: bytes) -> str:
    """The first octets, in hex."""
    return raw[:SHOWN_OCTETS].hex()


def fixed(form: str, *names: str, rest: str | None = None, text: bool = False) -> Reader:
    """Little-endian fields (`6s`: a 48-bit number), and what follows them as `rest`."""
    packed = struct.Struct("<" + form)

    def read(raw: bytes) -> dict[str, Any] | None:
        if len(raw) < packed.size:
            return None
        fields: dict[str, Any] = {
            name: int.from_bytes(value, "little") if isinstance(value, bytes) else value
            for name, value in zip(names, packed.unpack_from(raw), strict=True)
        }
        behind = raw[packed.size :]
        if rest and behind:
            fields[rest] = safe_text(behind) if text else shown(behind)
        return fields

    return read


def labelled(reader: Reader, **names: dict[int, str]) -> Reader:
    """Beside each field named, its meaning as `FIELD_name`."""

    def read(raw: bytes) -> dict[str, Any] | None:
        fields = reader(raw)
        if fields is not None:
            for field, labels in names.items():
                fields[f"{field}_name"] = labels.get(fields[field], "reserved")
        return fields

    return read


def tailed(form: str, *names: str, tails: dict[str, bool]) -> Reader:
    """Fields of which those named `PART_bytes` give the lengths of what follows, in that order; True: it is text."""
    head, size = fixed(form, *names), struct.calcsize("<" + form)

    def read(raw: bytes) -> dict[str, Any] | None:
        fields = head(raw)
        if fields is None or size + sum(fields[f"{part}_bytes"] for part in tails) > len(raw):
            return None
        at = size
        for part, text in tails.items():
            octets = raw[at : at + fields[f"{part}_bytes"]]
            fields[part] = safe_text(octets) if text else shown(octets)
            at += len(octets)
        return fields

    return read


def lengthed(raw: bytes) -> Iterator[bytes | None]:
    """Elements that each have a length octet in front; None where one runs over the end."""
    at = 0
    while at < len(raw):
        behind = at + 1 + raw[at]
        yield raw[at + 1 : behind] if behind <= len(raw) else None
        at = behind
