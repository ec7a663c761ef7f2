"""Answers that come in several PDUs: which part of one a PDU is, and the PDU they would have been in one.

Userdata: the parts of an answer have one data unit reference; the client asks for each with the sequence number of the
first. The layout is that of Wireshark's fields `s7comm.param.userdata.*`. S7comm-plus: behind the last fragment stands
a trailer.
"""

from collections.abc import Sequence
from typing import Final

from otmon.limits import MAX_JOINED_BYTES
from otmon.model import Piece
from otmon.protocols.s7comm.plus import DIGEST, HEADER, SYSTEM_EVENT
from otmon.protocols.s7comm.tables import (
    FAMILY_PLUS,
    FAMILY_S7,
    PLUS_OPCODES,
    PLUS_VERSIONS,
    TYPE_RESPONSE,
    USERDATA,
)

_COTP: Final = 3
_PARAM: Final = _COTP + 10
_HEAD: Final = 4
"""Bytes in front of the data: return code, transport size, length."""
_SZL: Final = 0x401
_PLUS_HEAD: Final = 9


def piece(pdu: bytes, request: bytes | None) -> Piece | None:
    """The part of a longer message that `pdu` is, if it is one. `request`: what it answers, if that is known."""
    if len(pdu) < _COTP + HEADER or pdu[1] & 0xF0 != 0xF0:
        return None
    if pdu[_COTP] == FAMILY_PLUS:
        return _fragment(pdu)
    if pdu[_COTP] != FAMILY_S7 or pdu[_COTP + 1] != USERDATA:
        return None
    param = pdu[_PARAM : _PARAM + int.from_bytes(pdu[9:11], "big")]
    if len(param) < 10 or param[5] >> 4 != TYPE_RESPONSE or param[8] == 0 or any(param[10:12]):
        return None
    last = param[9] == 0
    group = param[5] & 15, param[6]
    first = None if request is None else not continues(request[_COTP:])
    if first is None and group != (_SZL >> 8, _SZL & 255):
        return None  # of status lists alone the bytes say how many there must be
    if first and last:
        return None
    return Piece(f"{group[0]}/{group[1]}/{param[8]}", first, last)


def continues(request: bytes) -> bool:
    """A request for the next part carries the sequence number of what it goes on with, in a 12-byte parameter.

    From the protocol id on.
    """
    return len(request) >= 22 and request[1] == USERDATA and request[6:8] == b"\0\x0c" and request[17] > 0


def _fragment(pdu: bytes) -> Piece | None:
    data = pdu[_COTP:]
    size = int.from_bytes(data[2:4], "big")
    if data[1] not in PLUS_VERSIONS or data[1] == SYSTEM_EVENT or len(data) < HEADER + size:
        return None
    content, last = _content(data), len(data) > HEADER + size
    # A fragment may begin with any byte; both reserved words are zero in every message.
    head = len(content) >= _PLUS_HEAD and content[0] in PLUS_OPCODES and not any(content[1:3] + content[5:7])
    return None if head and last else Piece(f"plus {data[1]}", head, last)


def _content(data: bytes) -> bytes:
    """Of an S7comm-plus PDU, without the digest that each one of version 3 has."""
    content = data[HEADER : HEADER + int.from_bytes(data[2:4], "big")]
    return content[DIGEST:] if data[1] == 3 and content[:1] == bytes((DIGEST - 1,)) else content


def whole(pdus: Sequence[bytes]) -> bytes | None:
    """The PDU that these parts are of; None if they cannot be all of it."""
    first = pdus[0]
    if first[_COTP] == FAMILY_PLUS:
        content = b"".join(_content(pdu[_COTP:]) for pdu in pdus)
        if len(content) > MAX_JOINED_BYTES:
            return None
        head, version = first[: _COTP + 2], first[_COTP + 1 : _COTP + 2]
        return head + len(content).to_bytes(2, "big") + content + b"\x72" + version + b"\0\0"
    end = _PARAM + int.from_bytes(first[9:11], "big")
    param = bytearray(first[_PARAM:end])
    param[8:10] = b"\0\0"
    payload = b"".join(map(_payload, pdus))
    if len(payload) > MAX_JOINED_BYTES:
        return None
    if (param[5] & 15) << 8 | param[6] == _SZL:
        size, count = int.from_bytes(payload[4:6], "big"), int.from_bytes(payload[6:8], "big")
        if len(payload) != 8 + size * count:
            return None
    content = first[end : end + 2] + len(payload).to_bytes(2, "big") + payload
    return first[:11] + len(content).to_bytes(2, "big") + bytes(param) + content


def _payload(pdu: bytes) -> bytes:
    at = _PARAM + int.from_bytes(pdu[9:11], "big")
    size = int.from_bytes(pdu[at + 2 : at + _HEAD], "big")
    return pdu[at + _HEAD : at + _HEAD + size]
