"""S7comm-plus on the wire: numbers of variable length and typed values.

There is no public standard. Types, flags and encodings are those that S7CommPlusDriver (th. Wiens, `Core/PValue.cs` and
`Core/S7p.cs`) and the Python package s7commplus describe; every PDU of the captures is read to its last byte with them.
"""

import hashlib
import struct
from collections.abc import Callable
from typing import Any, Final

from otmon.model import Malformed
from otmon.protocols.s7comm.plus_names import SECRET, id_name
from otmon.protocols.s7comm.values import finite
from otmon.text import safe_text

Value = dict[str, Any]
_ARRAYS: Final = 0x30
"""Flags: array, array of addresses."""
_SPARSE: Final = 0x40
_MAX_ELEMENTS: Final = 4_096
_MAX_DEPTH: Final = 16
_BLOB, _WSTRING, _VARIANT, _STRUCT, _S7STRING = 0x14, 0x15, 0x16, 0x17, 0x19
_NULL: Final = 0
_IM0: Final = b"\x00\x20\x00\x38\x01\x00"
"""Block header of an I&M0 record: type 0x0020, 56 bytes, version 1.0 (IEC 61158-6-10)."""


class Reader:
    """Bytes read from the front; what is not there is Malformed."""

    __slots__ = ("data", "end", "pos")

    def __init__(self, data: bytes) -> None:
        self.data, self.pos, self.end = data, 0, len(data)

    @property
    def rest(self) -> bytes:
        """What was not read."""
        return self.data[self.pos :]

    @property
    def left(self) -> int:
        """How many bytes were not read."""
        return self.end - self.pos

    def peek(self) -> int:
        """The next byte, -1 at the end."""
        return self.data[self.pos] if self.pos < self.end else -1

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        start = self.pos
        if size > self.end - start:
            raise Malformed("cut off")
        self.pos = start + size
        return self.data[start : start + size]

    def number(self, size: int) -> int:
        """An unsigned number of `size` bytes."""
        start = self.pos
        if size > self.end - start:
            raise Malformed("cut off")
        self.pos = start + size
        return self.data[start] if size == 1 else int.from_bytes(self.data[start : start + size], "big")

    def vlq(self, most: int = 5, signed: bool = False) -> int:
        """A number of seven bits a byte, as long as the upper one is set; a ninth byte has all of its eight bits."""
        value, pos = 0, self.pos
        if not signed and pos < self.end and self.data[pos] < 0x80:
            self.pos = pos + 1
            return self.data[pos]
        for i in range(most):
            byte = self.number(1)
            if i == 0 and signed and byte & 0x40:
                value = -1
            if i == 8:
                return value << 8 | byte
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                break
        return value


def _real(size: int) -> Callable[[Reader], float | None]:
    form = ">f" if size == 4 else ">d"
    return lambda reader: finite(struct.unpack(form, reader.take(size))[0])


def _fixed(size: int, signed: bool = False) -> Callable[[Reader], int]:
    return lambda reader: int.from_bytes(reader.take(size), "big", signed=signed)


def _text(reader: Reader) -> str:
    return safe_text(reader.take(reader.vlq()))


def _small(most: int, signed: bool, bits: int) -> Callable[[Reader], int]:
    """A number of variable length, cut to its bits: what JSON can say."""

    def read(reader: Reader) -> int:
        value = reader.vlq(most, signed) & (1 << bits) - 1
        return value - (1 << bits) if signed and value >> bits - 1 else value

    return read


_SCALARS: Final[dict[int, tuple[str, Callable[[Reader], Any]]]] = {
    0x01: ("bool", _fixed(1)),
    0x02: ("usint", _fixed(1)),
    0x03: ("uint", _fixed(2)),
    0x04: ("udint", _small(5, False, 32)),
    0x05: ("ulint", _small(9, False, 64)),
    0x06: ("sint", _fixed(1, True)),
    0x07: ("int", _fixed(2, True)),
    0x08: ("dint", _small(5, True, 32)),
    0x09: ("lint", _small(9, True, 64)),
    0x0A: ("byte", _fixed(1)),
    0x0B: ("word", _fixed(2)),
    0x0C: ("dword", _fixed(4)),
    0x0D: ("lword", _fixed(8)),
    0x0E: ("real", _real(4)),
    0x0F: ("lreal", _real(8)),
    0x10: ("timestamp", _fixed(8)),
    0x11: ("timespan", _small(9, True, 64)),
    0x12: ("rid", _fixed(4)),
    0x13: ("aid", _small(5, False, 32)),
    _WSTRING: ("wstring", _text),
    _S7STRING: ("s7string", _text),
}
"""Type -> name, how one is read. Timestamps are nanoseconds since 1970, time spans nanoseconds."""
_NAMES: Final = {_NULL: "null", _BLOB: "blob", _VARIANT: "variant", _STRUCT: "struct"} | {
    code: name for code, (name, _) in _SCALARS.items()
}


def read_value(reader: Reader, number: int = 0, depth: int = 0) -> Value:
    """A value with flags and type in front; `number` is the id it belongs to, for what must not be shown.

    Raises Malformed where it is cut off or of a kind that is not known.
    """
    if depth > _MAX_DEPTH:
        raise Malformed("values too deep in each other")
    flags, kind = reader.number(1), reader.number(1)
    if kind not in _NAMES:
        raise Malformed(f"value of unknown type 0x{kind:02x}")
    found: Value = {"type": _NAMES[kind]}
    if number in SECRET:
        start = reader.pos
        _content(reader, flags, kind, depth, {})
        return found | {"hidden_bytes": reader.pos - start}
    return _content(reader, flags, kind, depth, found)


def _content(reader: Reader, flags: int, kind: int, depth: int, found: Value) -> Value:
    one = _one(kind, depth)
    if flags & _SPARSE:
        entries: dict[str, Any] = {}
        while key := reader.vlq():
            if len(entries) >= _MAX_ELEMENTS:
                raise Malformed("too many elements")
            entries[str(key)] = one(reader)
        return found | {"sparse": entries}
    if flags & _ARRAYS:
        count = reader.vlq()
        if count > min(_MAX_ELEMENTS, reader.left):
            raise Malformed("too many elements")
        return found | {"values": [one(reader) for _ in range(count)]}
    value = one(reader)
    return found | (value if isinstance(value, dict) else {"value": value})


def _one(kind: int, depth: int) -> Callable[[Reader], Any]:
    if kind in _SCALARS:
        return _SCALARS[kind][1]
    if kind == _STRUCT:
        return lambda reader: _struct(reader, depth)
    if kind == _BLOB:
        return _blob
    if kind == _VARIANT:
        return lambda reader: read_value(reader, 0, depth + 1)
    return lambda reader: None


def _struct(reader: Reader, depth: int) -> Value:
    number = reader.number(4)
    found: Value = {"struct": number, "struct_name": id_name(number)}
    if 0x90000000 < number < 0x9FFFFFFF or 0x02000000 < number < 0x02FFFFFF:
        # A data type of the system in one piece: its layout stands in the controller alone.
        found["interface_timestamp"] = reader.number(8)
        flags, size = reader.vlq(), reader.vlq()
        size = reader.vlq() if flags & 0x400 else size
        return found | {"packed": reader.take(size).hex()}
    elements: list[Value] = []
    while number := reader.vlq():
        if len(elements) >= _MAX_ELEMENTS:
            raise Malformed("too many elements")
        elements.append({"id": number, "name": id_name(number)} | read_value(reader, number, depth + 1))
    return found | {"elements": elements}


def _blob(reader: Reader) -> Value:
    root = reader.vlq()
    if root > 1:
        reader.take(8)
        if reader.number(1) not in (2, 3):
            raise Malformed("blob of an unknown kind")
    data = reader.take(reader.vlq())
    found: Value = {"root": root, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    if data.startswith(_IM0) and len(data) >= 60:
        found["identification"] = identification(data[6:])
    elif len(data) <= 256:
        found["raw"] = data.hex()
    return found


def identification(record: bytes) -> Value:
    """I&M0 behind its block header (IEC 61158-6-10): vendor, order number, serial number, revisions."""
    vendor, order, serial, hardware, prefix, *firmware = struct.unpack(">H20s16sHBBBB", record[:44])
    return {
        "vendor": vendor,
        "order_number": safe_text(order.strip(b" \0")),
        "serial_number": safe_text(serial.strip(b" \0")),
        "hardware_revision": hardware,
        "firmware": safe_text(bytes([prefix]) + ".".join(map(str, firmware)).encode()),
    }
