"""S7comm-plus messages: version, opcode, function, sequence and session numbers, and what the function carries."""

from typing import Any, Final

from otmon.model import Kind, Malformed, Message
from otmon.protocols.s7comm.plus import DIGEST, HEADER, NO_RESPONSE, SYSTEM_EVENT
from otmon.protocols.s7comm.plus_functions import REQUESTS, RESPONSES, error_code, notification
from otmon.protocols.s7comm.plus_values import Reader
from otmon.protocols.s7comm.tables import (
    PLUS_FRAGMENT,
    PLUS_NOTIFICATION,
    PLUS_NOTIFY,
    PLUS_OPCODES,
    PLUS_REQUEST,
    PLUS_VERSIONS,
    plus_function,
)
from otmon.protocols.s7comm.targets import ops_of
from otmon.text import safe_text

_MOST_UNREAD: Final = 256
_HEAD: Final = ("version", "raw_bytes", "opcode", "sequence", "session")
_HEAD_BYTES: Final = 14


def decode_plus(data: bytes) -> Message:
    """An S7comm-plus PDU from its protocol id on. Raises Malformed."""
    if len(data) < HEADER or data[1] not in PLUS_VERSIONS:
        raise Malformed("S7comm-plus of an unknown version")
    version, size = data[1], int.from_bytes(data[2:4], "big")
    content, rest = data[HEADER : HEADER + size], data[HEADER + size :]
    if len(content) < size:
        raise Malformed("length runs over the end")
    body: dict[str, Any] = {"version": version, "bytes": size, "last_fragment": bool(rest)}
    flags = [] if rest in (b"", bytes((0x72, version, 0, 0))) else ["trailing_bytes"]
    if version == 3 and content[:1] == bytes((DIGEST - 1,)):
        # The contents stand in clear; who changes them without the session's key is found out.
        body["digest"], body["integrity_protected"] = content[1:DIGEST].hex(), True
        content = content[DIGEST:]
    if version == SYSTEM_EVENT:
        _system_event(content, body)
    return _message(version, content, body, flags)


def _message(version: int, content: bytes, body: dict[str, Any], flags: list[str]) -> Message:
    """The message of `content`, which begins with an opcode or goes on with an earlier fragment."""
    opcode = content[0] if len(content) >= 5 and version != SYSTEM_EVENT else 0
    known: dict[str, Any] = {"version": version, "opcode": opcode, "function_code": None}
    if opcode == PLUS_NOTIFICATION:
        body |= {"opcode": "notification", "subscription": int.from_bytes(content[1:5], "big")}
        _read(notification, content[1:], body, flags)
        ops = ops_of(None, PLUS_NOTIFY, ())
        name, access = PLUS_NOTIFY
        return Message("unsolicited", None, None, name, access, tuple(flags), body, ops, {"s7comm_plus": known})
    reserved = content[1:3] + content[5:7]
    if opcode not in PLUS_OPCODES or len(content) < 9 or any(reserved):
        extra = {"s7comm_plus": known | {"opcode": None}}
        name, access = PLUS_FRAGMENT
        return Message("link", None, None, name, access, tuple(flags), body, (), extra)
    code = int.from_bytes(content[3:5], "big")
    function = plus_function(code)
    body |= {"opcode": PLUS_OPCODES[opcode], "sequence": int.from_bytes(content[7:9], "big")}
    kind: Kind = "request" if opcode == PLUS_REQUEST else "response"
    if kind == "request" and len(content) >= 13:
        body["session"] = int.from_bytes(content[9:13], "big")
        body["expects_response"] = not content[13:14] or not content[13] & NO_RESPONSE
        if code in REQUESTS and len(content) > 14:
            _read(REQUESTS[code], content[14:], body, flags)
    elif kind == "response":
        _answer(code, content[10:], body, flags)
    extra = {"s7comm_plus": known | {"function_code": code}}
    ops = ops_of(None, function, ())
    return Message(kind, None, None, function.name, function.access, tuple(flags), body, ops, extra)


def _answer(code: int, content: bytes, body: dict[str, Any], flags: list[str]) -> None:
    """Return value of a response (a variable-length number of 64 bits), and what follows unless it is an error."""
    reader = Reader(content)
    try:
        value = reader.vlq(9)
    except Malformed:
        value = 0
    body["error"] = error_code(value)
    if body["error"] < 0:
        body["return_value"] = f"0x{value & 0xFFFFFFFFFFFFFFFF:016x}"
        flags.append("error")
    elif code in RESPONSES:
        _read(RESPONSES[code], reader.rest, body, flags)


def _read(read: Any, content: bytes, body: dict[str, Any], flags: list[str]) -> None:
    """Let `read` fill the body; what it does not understand is shown as bytes.

    Behind everything come zeros, and before them, once a session has keys, the number that its digests count by.
    """
    reader = Reader(content)
    try:
        read(reader, body)
    except Malformed as error:
        # A message in several PDUs ends somewhere in a value.
        flags.append("structure_unknown" if body["last_fragment"] else "part_of_longer_message")
        body["unread"] = str(error)
        return
    rest = reader.rest
    if any(rest):
        try:
            number = reader.vlq()  # its own last byte may be a zero
        except Malformed:
            number = None
        if number is None or any(reader.rest):
            flags.append("trailing_bytes")
            body["unread_bytes"] = rest[:_MOST_UNREAD].hex()
        else:
            body["integrity_id"] = number


def _system_event(content: bytes, body: dict[str, Any]) -> None:
    """What both sides send to keep a session alive: how many bytes were received, or why it ends."""
    if len(content) >= 8:
        body["confirmed_bytes"] = int.from_bytes(content[4:8], "big")
    if len(content) > 16 and content[16:20] != b"\0\0\0\x17":
        body["event"] = safe_text(content[16:])


def damaged_plus(data: bytes) -> Message | None:
    """A PDU whose length runs over its end, as far as its function can be read."""
    if len(data) < HEADER or data[1] not in PLUS_VERSIONS:
        return None
    content = data[HEADER:]
    if data[1] == 3 and content[:1] == bytes((DIGEST - 1,)):
        content = content[DIGEST:]
    body: dict[str, Any] = {"version": data[1], "raw_bytes": len(data), "last_fragment": False}
    message = _message(data[1], content, body, [])
    if message.kind == "link":
        return None
    # Values may hold what must not be shown: of a damaged PDU only its head is.
    shown = {name: body[name] for name in _HEAD if name in body} | {"raw": content[:_HEAD_BYTES].hex()}
    return message._replace(flags=(), body=shown, ops=())
