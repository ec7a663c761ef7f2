"""Userdata: SZL, blocks, time, cyclic services, messages."""

from typing import Any, Final

from otmon.model import Kind, Malformed, Message, Target
from otmon.protocols.s7comm.szl import decode_szl
from otmon.protocols.s7comm.tables import (
    RETURN_CODES,
    TYPE_PUSH,
    TYPE_REQUEST,
    TYPE_RESPONSE,
    USERDATA_GROUPS,
    userdata_function,
)
from otmon.protocols.s7comm.targets import block_request_target, ops_of, szl_target
from otmon.protocols.s7comm.values import parse_items

_KINDS: Final[dict[int, Kind]] = {TYPE_PUSH: "unsolicited", TYPE_REQUEST: "request", TYPE_RESPONSE: "response"}
_CYCLIC_WITH_ITEMS: Final = (1, 5, 7)


def decode_userdata(
    param: bytes, content: bytes, body: dict[str, Any], flags: list[str], request: bytes | None
) -> Message:
    """Userdata by its parameter and data parts; `body` has the header's fields already. Raises Malformed."""
    if len(param) < 8 or param[:3] != b"\x00\x01\x12" or param[5] >> 4 not in _KINDS:
        raise Malformed
    kind, group, subfunction = _KINDS[param[5] >> 4], param[5] & 15, param[6]
    function = userdata_function(group, subfunction)
    body |= {"group": USERDATA_GROUPS.get(group), "sequence": param[7]}
    extra: dict[str, Any] = {"rosctr": 7, "userdata": f"{group}/{subfunction}"}
    middle = False
    if len(param) >= 10:
        body |= {"data_unit": param[8], "last_data_unit": param[9] == 0}
        middle = (param[8] != 0 and param[9] == 0) or _continues(request)
    error = int.from_bytes(param[10:12], "big") if len(param) >= 12 else 0
    if content:
        body |= {"return_code": content[0], "status": RETURN_CODES.get(content[0])}
    refused = kind == "response" and (error != 0 or content[:1] not in (b"", b"\xff", b"\x0a"))
    if refused:
        flags.append("error")
        extra["exception"] = f"0x{error:04x}" if error else f"0x{content[0]:02x}"
    if len(param) >= 12:
        body["error_code"] = error
    size = int.from_bytes(content[2:4], "big") if len(content) >= 4 else 0
    payload = content[4 : 4 + size]
    if len(payload) < size:
        flags.append("data_truncated")
    targets: tuple[Target | None, ...] = ()
    if kind == "request":
        targets = _request(group, subfunction, payload, body, flags)
    elif kind == "response" and not refused:
        _response(group, subfunction, payload, body, middle)
    ops = ops_of(None, function, targets)
    return Message(kind, None, None, function.name, function.access, tuple(flags), body, ops, extra)


def _continues(request: bytes | None) -> bool:
    """A request for the next part carries the reference of the data unit in a 12-byte parameter, and no data."""
    return (
        request is not None and len(request) >= 22 and request[1] == 7 and request[6:8] == b"\0\x0c" and request[17] > 0
    )


def _request(
    group: int, subfunction: int, payload: bytes, body: dict[str, Any], flags: list[str]
) -> tuple[Target | None, ...]:
    if (group, subfunction) == (4, 1) and len(payload) >= 4:
        szl_id = int.from_bytes(payload[:2], "big")
        body |= {"szl_id": szl_id, "szl_index": int.from_bytes(payload[2:4], "big"), "szl": szl_target(szl_id).name}
        return (szl_target(szl_id),)
    if group == 3 and len(payload) >= 2:
        target = block_request_target(subfunction, payload)
        body["block"] = None if target is None else target.name
        return (target,)
    if group == 2 and subfunction in _CYCLIC_WITH_ITEMS and len(payload) >= 4:
        try:
            body["items"], targets = parse_items(payload[4:], int.from_bytes(payload[:2], "big"))
        except Malformed:
            flags.append("items_malformed")
            return ()
        body["time_base"], body["time_factor"] = payload[2], payload[3]
        return tuple(targets)
    if group == 7 and subfunction in (2, 4):
        body["clock"] = clock(payload)
    return ()


def _response(group: int, subfunction: int, payload: bytes, body: dict[str, Any], middle: bool) -> None:
    if (group, subfunction) == (4, 1) and not middle:
        body |= decode_szl(payload)
    elif group == 7 and subfunction in (1, 3):
        body["clock"] = clock(payload)
    elif payload:
        body["data_bytes"] = len(payload)


def clock(payload: bytes) -> str | None:
    """An S7 time stamp (two reserved bytes, then year to milliseconds in BCD) as ISO 8601; None if it is none."""
    if len(payload) < 10:
        return None
    digits = payload[2:10].hex()
    if not digits[:15].isdecimal():
        return None
    # The first reserved bytes hold a century in some CPUs and nothing in others; the year counts from 1990.
    year = int(digits[:2]) + (1900 if int(digits[:2]) >= 90 else 2000)
    return f"{year}-{digits[2:4]}-{digits[4:6]}T{digits[6:8]}:{digits[8:10]}:{digits[10:12]}.{digits[12:15]}"
