"""Userdata: what the group and the subfunction make of it; parts of longer answers."""

import hashlib
from typing import Any, Final

from otmon.model import Kind, Malformed, Message, Target
from otmon.protocols.s7comm import blocks
from otmon.protocols.s7comm.alarms import cpu_request, cpu_response
from otmon.protocols.s7comm.clock import clock
from otmon.protocols.s7comm.codes import RETURN_CODES, error_name
from otmon.protocols.s7comm.cyclic import WITH_ITEMS, cyclic_request, cyclic_values, items_of
from otmon.protocols.s7comm.joined import continues
from otmon.protocols.s7comm.programmer import programmer
from otmon.protocols.s7comm.szl import decode_szl
from otmon.protocols.s7comm.tables import (
    DATA_TRANSPORT,
    TYPE_PUSH,
    TYPE_REQUEST,
    TYPE_RESPONSE,
    USERDATA_GROUPS,
    userdata_function,
)
from otmon.protocols.s7comm.targets import block_request_target, ops_of, szl_target

_KINDS: Final[dict[int, Kind]] = {TYPE_PUSH: "unsolicited", TYPE_REQUEST: "request", TYPE_RESPONSE: "response"}
_MODE, _PROGRAMMER, _CYCLIC, _BLOCK, _CPU, _SECURITY, _PBC, _TIME = range(8)
_NC: Final = 15
_SZL: Final = 1
_BLOCK_ANSWERS: Final = {1: blocks.counts, 2: blocks.listed, 3: blocks.info}
_SET_CLOCK: Final = (2, 4)


def decode_userdata(
    param: bytes, content: bytes, body: dict[str, Any], flags: list[str], request: bytes | None
) -> Message:
    """Userdata by its parameter and data parts; `body` has the header's fields already. Raises Malformed."""
    if len(param) < 8 or param[:3] != b"\x00\x01\x12" or param[5] >> 4 not in _KINDS:
        raise Malformed("parameter of userdata")
    kind, group, subfunction = _KINDS[param[5] >> 4], param[5] & 15, param[6]
    function = userdata_function(group, subfunction)
    body |= {"group": USERDATA_GROUPS.get(group), "sequence": param[7]}
    extra: dict[str, Any] = {"rosctr": 7, "userdata": f"{group}/{subfunction}"}
    middle = False
    if len(param) >= 10:
        body |= {"data_unit": param[8], "last_data_unit": param[9] == 0}
        # Snap7's server numbers answers in one piece as well: the request tells, if it is known.
        middle = param[8] != 0 and param[9] == 0 if request is None else continues(request)
        if kind == "response" and (middle or param[9]):
            flags.append("part_of_longer_answer")
    error = int.from_bytes(param[10:12], "big") if len(param) >= 12 else 0
    if content:
        body |= {"return_code": content[0], "status": RETURN_CODES.get(content[0])}
    refused = kind == "response" and (error != 0 or content[:1] not in (b"", b"\xff", b"\x0a"))
    if refused:
        flags.append("error")
        extra["exception"] = f"0x{error:04x}" if error else f"0x{content[0]:02x}"
    if len(param) >= 12:
        body |= {"error_code": error, "error": error_name(error)}
    size = int.from_bytes(content[2:4], "big") if len(content) >= 4 else 0
    payload = content[4 : 4 + size]
    if len(content) >= 4:
        body["transport"] = DATA_TRANSPORT.get(content[1])
    if len(payload) < size:
        flags.append("data_truncated")
    targets: tuple[Target | None, ...] = ()
    if kind == "request":
        targets = _request(group, subfunction, payload, body, flags)
    elif kind == "unsolicited":
        _push(group, subfunction, payload, body, flags)
    elif not refused and payload:
        body["data_bytes"] = len(payload)
        if middle and group != _SECURITY:
            # It begins somewhere in a record, and what came before is with another message.
            body |= {"data": payload.hex(), "sha256": hashlib.sha256(payload).hexdigest()}
        else:
            _response(group, subfunction, payload, body, flags, request)
    ops = ops_of(None, function, targets)
    return Message(kind, None, None, function.name, function.access, tuple(flags), body, ops, extra)


def _request(
    group: int, subfunction: int, payload: bytes, body: dict[str, Any], flags: list[str]
) -> tuple[Target | None, ...]:
    if (group, subfunction) == (_CPU, _SZL):
        if len(payload) < 4:
            return ()
        szl_id = int.from_bytes(payload[:2], "big")
        body |= {"szl_id": szl_id, "szl_index": int.from_bytes(payload[2:4], "big"), "szl": szl_target(szl_id).name}
        return (szl_target(szl_id),)
    if group == _CPU:
        cpu_request(subfunction, payload, body, flags)
    elif group == _BLOCK and len(payload) >= 2:
        target = block_request_target(subfunction, payload)
        body["block"] = None if target is None else target.name
        body |= blocks.block_parts(payload)
        return (target,)
    elif group == _CYCLIC:
        return cyclic_request(subfunction, payload, body, flags)
    elif group == _PROGRAMMER:
        programmer(subfunction, payload, False, body, flags)
    elif group == _SECURITY:
        body |= _password(payload)
    elif group == _TIME and subfunction in _SET_CLOCK:
        body["clock"] = clock(payload)
    else:
        _other(group, payload, body)
    return ()


def _push(group: int, subfunction: int, payload: bytes, body: dict[str, Any], flags: list[str]) -> None:
    if group == _MODE:
        body["mode"] = userdata_function(group, subfunction).name.removeprefix("mode_")
    elif group == _CYCLIC:
        cyclic_values(subfunction, payload, body, flags, [])
    elif group == _CPU:
        cpu_request(subfunction, payload, body, flags)
    elif group == _PROGRAMMER:
        programmer(subfunction, payload, True, body, flags)
    elif group == _SECURITY:
        body |= _password(payload)
    else:
        _other(group, payload, body)


def _password(payload: bytes) -> dict[str, Any]:
    """Eight bytes that anybody can turn back into the password: they stay out of every record."""
    return {"password_present": bool(payload.strip(b"\0")), "password_bytes": len(payload)}


def _response(
    group: int, subfunction: int, payload: bytes, body: dict[str, Any], flags: list[str], request: bytes | None
) -> None:
    if (group, subfunction) == (_CPU, _SZL):
        body |= decode_szl(payload)
    elif group == _CPU:
        cpu_response(subfunction, payload, body, flags)
    elif group == _BLOCK and subfunction in _BLOCK_ANSWERS:
        body |= _BLOCK_ANSWERS[subfunction](payload)
    elif group == _CYCLIC:
        asked = items_of(_payload(request)) if request is not None and subfunction in WITH_ITEMS else []
        cyclic_values(subfunction, payload, body, flags, asked)
    elif group == _PROGRAMMER:
        programmer(subfunction, payload, True, body, flags)
    elif group == _TIME:
        body["clock"] = clock(payload)
    elif group != _SECURITY:
        _other(group, payload, body)


def _payload(request: bytes) -> bytes:
    """Data of a userdata request, without its head."""
    if request[1] != 7:
        return b""
    data = request[10 + int.from_bytes(request[6:8], "big") :]
    return data[4 : 4 + int.from_bytes(data[2:4], "big")]


def _other(group: int, payload: bytes, body: dict[str, Any]) -> None:
    """Blocks of bytes that programs send each other, and what is not known."""
    if group == _PBC and len(payload) >= 8 and payload[0] == 0x12:
        body["request_id"] = int.from_bytes(payload[4:8], "big")
        payload = payload[10:] if len(payload) >= 10 else b""
    if payload:
        body |= {"data_bytes": len(payload), "data": payload.hex(), "sha256": hashlib.sha256(payload).hexdigest()}
