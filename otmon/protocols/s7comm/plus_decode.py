"""S7comm-plus messages: version, opcode, function, sequence and session numbers; see `plus.py`."""

from typing import Any

from otmon.model import Kind, Malformed, Message
from otmon.protocols.s7comm.plus import DIGEST, HEADER, NO_RESPONSE, SYSTEM_EVENT
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


def decode_plus(data: bytes) -> Message:
    """An S7comm-plus PDU from its protocol id on. Raises Malformed."""
    if len(data) < HEADER or data[1] not in PLUS_VERSIONS:
        raise Malformed
    version, size = data[1], int.from_bytes(data[2:4], "big")
    content, rest = data[HEADER : HEADER + size], data[HEADER + size :]
    if len(content) < size:
        raise Malformed
    body: dict[str, Any] = {"version": version, "bytes": size, "last_fragment": bool(rest)}
    flags = () if rest in (b"", bytes((0x72, version, 0, 0))) else ("trailing_bytes",)
    if version == 3 and content[:1] == bytes((DIGEST - 1,)):
        body["digest"] = content[1:DIGEST].hex()
        content = content[DIGEST:]
    opcode = content[0] if len(content) >= 5 and version != SYSTEM_EVENT else 0
    if opcode == PLUS_NOTIFICATION:
        body |= {"opcode": "notification", "subscription": int.from_bytes(content[1:5], "big")}
        ops = ops_of(None, PLUS_NOTIFY, ())
        extra: dict[str, Any] = {"s7comm_plus": {"version": version, "opcode": opcode, "function_code": None}}
        return Message("unsolicited", None, None, PLUS_NOTIFY.name, PLUS_NOTIFY.access, flags, body, ops, extra)
    reserved = content[1:3] + content[5:7]
    if opcode not in PLUS_OPCODES or len(content) < 9 or any(reserved):
        extra = {"s7comm_plus": {"version": version, "opcode": None, "function_code": None}}
        return Message("link", None, None, PLUS_FRAGMENT.name, PLUS_FRAGMENT.access, flags, body, (), extra)
    code = int.from_bytes(content[3:5], "big")
    function = plus_function(code)
    body |= {"opcode": PLUS_OPCODES[opcode], "sequence": int.from_bytes(content[7:9], "big")}
    kind: Kind = "response"
    if opcode == PLUS_REQUEST:
        kind = "request"
        if len(content) >= 13:
            body["session"] = int.from_bytes(content[9:13], "big")
            body["expects_response"] = not content[13:14] or not content[13] & NO_RESPONSE
    else:
        error = _error(content[10:19])
        body["error"] = error
        if error < 0:
            flags = (*flags, "error")
    extra = {"s7comm_plus": {"version": version, "opcode": opcode, "function_code": code}}
    ops = ops_of(None, function, ())
    return Message(kind, None, None, function.name, function.access, flags, body, ops, extra)


def _error(raw: bytes) -> int:
    """The signed low 16 bits of a variable-length number of up to 64 bits: seven a byte, eight in the ninth."""
    value = 0
    for i, byte in enumerate(raw):
        value = value << 8 | byte if i == 8 else value << 7 | byte & 0x7F
        if byte < 0x80 or i == 8:
            return (value & 0xFFFF) - ((value & 0x8000) << 1)
    return 0
