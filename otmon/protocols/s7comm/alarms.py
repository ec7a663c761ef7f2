"""CPU services of group 4 but status lists: messages subscribed to, alarms, their acknowledgement, locks and queries.

An alarm names message objects (`0x12, length, syntax, number of values, event id, states`); associated values follow as
data items. Layouts are those of Wireshark's fields `s7comm.alarm.*` and `s7comm.cpu.msg.*`.
"""

from typing import Any, Final

from otmon.protocols.s7comm.clock import date_and_time
from otmon.protocols.s7comm.codes import RETURN_CODES
from otmon.protocols.s7comm.szl_records import DIAGNOSTIC, read
from otmon.protocols.s7comm.tables import SYNTAX
from otmon.protocols.s7comm.values import parse_data_at
from otmon.text import safe_text

_MAX_OBJECTS: Final = 64
_EVENTS: Final = {1: "mode_transition", 2: "system_diagnostics", 4: "user_defined", 0x80: "alarms"}
_KINDS: Final = {
    0: "scan_abort",
    1: "scan_initiate",
    4: "alarm_abort",
    5: "alarm_initiate",
    8: "alarm_s_abort",
    9: "alarm_s_initiate",
}
_INDICATION: Final = ("event_state", "state", "ack_state_going", "ack_state_coming")
_STATES: Final = {
    0x15: (),
    0x16: _INDICATION,
    0x19: ("ack_state_going", "ack_state_coming"),
    0x1C: _INDICATION,
}
"""Syntax -> bytes behind the event id, each with a bit for each of up to eight signals."""
_BY_EVENT: Final = 3
_QUERIES: Final = {1: "by_alarm_type", _BY_EVENT: "by_event_id"}
_ALARM_TYPES: Final = {1: "scan", 2: "alarm_8", 4: "alarm_s"}
_QUERY: Final = 0x1A
_MESSAGE_SERVICE, _DIAGNOSTIC, _LOCK, _UNLOCK, _SCAN, _ACK, _ALARM_QUERY = 2, 3, 7, 8, 9, 11, 19
_WITHOUT_TIME: Final = (_LOCK, _UNLOCK, _ACK, _ALARM_QUERY)


def cpu_request(subfunction: int, payload: bytes, body: dict[str, Any], flags: list[str]) -> None:
    """What a client asks for, or a PLC tells unasked."""
    if subfunction == _MESSAGE_SERVICE and len(payload) >= 10:
        body["events"] = [name for bit, name in _EVENTS.items() if payload[0] & bit]
        body["events_raw"], body["user"] = payload[0], safe_text(payload[2:10].rstrip(b"\0 "))
        if len(payload) > 10:
            body["alarm_type"] = _KINDS.get(payload[10], str(payload[10]))
    elif subfunction == _DIAGNOSTIC:
        body |= read(payload, DIAGNOSTIC)
    elif subfunction >= 5:
        _alarm(subfunction, payload, body, flags)


def cpu_response(subfunction: int, payload: bytes, body: dict[str, Any], flags: list[str]) -> None:
    """What a PLC answers."""
    if subfunction == _MESSAGE_SERVICE and payload:
        body["result"] = payload[0]
        if len(payload) > 2:
            body["alarm_type"] = _KINDS.get(payload[2], str(payload[2]))
    elif subfunction in (_LOCK, _UNLOCK, _ACK) and len(payload) >= 2:
        body["alarm_function"], codes = payload[0], payload[2 : 2 + payload[1]]
        body["objects"] = [{"return_code": code, "status": RETURN_CODES.get(code)} for code in codes]
    elif subfunction == _ALARM_QUERY and len(payload) >= 6:
        _alarm_list(payload, body, flags)


def _alarm(subfunction: int, payload: bytes, body: dict[str, Any], flags: list[str]) -> None:
    pos = 0
    if subfunction not in _WITHOUT_TIME:
        pos = 2 if subfunction == _SCAN else 0
        body["time"] = date_and_time(payload[pos : pos + 8])
        pos += 10 if subfunction == _SCAN else 8
    if len(payload) < pos + 2:
        flags.append("data_truncated")
        return
    body["alarm_function"], count = payload[pos], payload[pos + 1]
    pos += 2
    objects: list[dict[str, Any]] = []
    values = 0
    for _ in range(min(count, _MAX_OBJECTS)):
        size = payload[pos + 1] if pos + 1 < len(payload) else 0
        raw = payload[pos : pos + 2 + size]
        if size < 1 or len(raw) < 2 + size:
            flags.append("data_truncated")
            break
        objects.append(_object(raw))
        values += objects[-1].get("value_count", 0)
        pos += 2 + size
    body["objects"] = objects
    if values:
        body["values"], pos = parse_data_at(payload, pos, values)
        if len(body["values"]) < values:
            flags.append("data_truncated")


def _object(raw: bytes) -> dict[str, Any]:
    """One message object, with as much as is in it."""
    syntax, rest = raw[2], raw[3:]
    found: dict[str, Any] = {"syntax": SYNTAX.get(syntax), "syntax_raw": syntax}
    if syntax == _QUERY and len(rest) >= 7:
        kind, wanted = rest[1], int.from_bytes(rest[3:7], "big")
        found["query"] = _QUERIES.get(kind, str(kind))
        if kind == _BY_EVENT:
            return found | {"event_id": wanted}
        return found | {"alarm_type": _ALARM_TYPES.get(wanted, str(wanted))}
    if syntax not in _STATES or len(rest) < 5:
        return found | {"raw": raw.hex()}
    found |= {"value_count": rest[0], "event_id": int.from_bytes(rest[1:5], "big")}
    return found | dict(zip(_STATES[syntax], rest[5:], strict=False))


def _alarm_list(payload: bytes, body: dict[str, Any], flags: list[str]) -> None:
    """Alarms that are up: records of a length byte, two more, type, event id and states."""
    body["alarm_function"], body["alarm_count"], body["return_code_list"] = payload[0], payload[1], payload[2]
    body["alarm_bytes"] = int.from_bytes(payload[4:6], "big")
    found: list[dict[str, Any]] = []
    pos = 6
    while pos < len(payload) and len(found) < _MAX_OBJECTS * 4:
        size = payload[pos] + 2
        row = payload[pos : pos + size]
        if len(row) < max(size, 12):
            flags.append("data_truncated")
            break
        found.append(
            {
                "alarm_type": _ALARM_TYPES.get(row[3], str(row[3])),
                "event_id": int.from_bytes(row[4:8], "big"),
                "event_state": row[9],
                "ack_state_going": row[10],
                "ack_state_coming": row[11],
            }
        )
        pos += size
    body["alarms"] = found
