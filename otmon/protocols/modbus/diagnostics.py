"""Bodies of the functions that ask a device how it is: 7, 8, 11, 12 and 17 (V1.1b3, 6.7 to 6.10 and 6.13)."""

import re
from typing import Any, Final

from otmon.protocols.modbus.draft import Draft, need, registers
from otmon.protocols.modbus.tables import (
    CLEAR_COUNTERS,
    COUNTERS,
    DIAGNOSTIC_NAMES,
    MODBUS_PLUS,
    RETURN_QUERY_DATA,
    untargeted,
)
from otmon.text import safe_text

_RESTART, _DIAGNOSTIC_REGISTER, _DELIMITER = 1, 2, 3
_ON, _OFF = 0xFF, 0x00
_BUSY = 0xFFFF
"""Of the status word of 11 and 12: a program function is still at work."""
_RECEIVED: Final = ((1, "communication_error"), (4, "character_overrun"), (5, "listen_only"), (6, "broadcast"))
_SENT: Final = (
    (0, "read_exception"),
    (1, "server_abort_exception"),
    (2, "server_busy_exception"),
    (3, "program_nak_exception"),
    (4, "write_timeout"),
    (5, "listen_only"),
)
_RESTARTED, _ENTERED_LISTEN_ONLY = 0x00, 0x04


def nothing(draft: Draft) -> None:
    """A request of the function code alone."""
    draft.fields(">")


def exception_status(draft: Draft) -> None:
    """7: eight outputs that the device chooses, the lowest first."""
    (status,) = draft.fields(">B")
    draft.body.update(exception_status=status, values=[status >> bit & 1 for bit in range(8)])


def diagnostics(draft: Draft) -> None:
    """8: the sub-function, its data as words, and what they are where it says so. A response is laid out alike."""
    need(len(draft.data) >= 2, "no sub-function")
    data = draft.data[2:]
    draft.sub = sub = int.from_bytes(draft.data[:2], "big")
    values = registers(data)
    draft.flag("sub_function_reserved", sub not in DIAGNOSTIC_NAMES)
    draft.body.update(sub_function=sub, data=data.hex(), values=values)
    if sub in DIAGNOSTIC_NAMES:
        draft.body["sub_function_name"] = DIAGNOSTIC_NAMES[sub]
    if sub not in (RETURN_QUERY_DATA, MODBUS_PLUS) and sub in DIAGNOSTIC_NAMES:
        draft.flag("data_invalid", len(data) != 2)
    if len(data) == 2:
        draft.body.update(_meaning(draft, sub, data, values[0]))
    draft.ops.extend(untargeted(draft.code, sub, draft.unit))


def _meaning(draft: Draft, sub: int, data: bytes, value: int) -> dict[str, Any]:
    if sub == _RESTART:
        draft.flag("data_invalid", value not in (0, 0xFF00))
        return {"clear_event_log": value == 0xFF00}
    if sub == _DELIMITER:
        draft.flag("data_invalid", data[1] != 0)
        return {"delimiter": safe_text(data[:1])}
    if draft.asking:
        draft.flag("data_invalid", value != 0 and (sub in COUNTERS or sub in (_DIAGNOSTIC_REGISTER, *CLEAR_COUNTERS)))
    elif sub in COUNTERS:
        return {"counter": value}
    elif sub == _DIAGNOSTIC_REGISTER:
        return {"diagnostic_register": value}
    return {}


def _status(draft: Draft, status: int) -> None:
    draft.flag("status_unknown", status not in (0, _BUSY))
    draft.body.update(status=status, busy=status == _BUSY)


def event_counter(draft: Draft) -> None:
    """11: messages completed without exception."""
    status, draft.body["event_count"] = draft.fields(">HH")
    _status(draft, status)


def event_log(draft: Draft) -> None:
    """12: up to 64 event bytes, the latest first."""
    data = draft.counted(0)
    need(len(data) >= 6, "no event counters")
    status, events, messages = (int.from_bytes(data[at : at + 2], "big") for at in (0, 2, 4))
    _status(draft, status)
    log = data[6:]
    draft.flag("quantity_out_of_range", len(log) > 64)
    draft.body.update(event_count=events, message_count=messages, events=list(log))
    draft.body["event_names"] = [" ".join(_event(byte)) for byte in log]


def _event(byte: int) -> list[str]:
    """What an event byte means (6.10)."""
    if byte & 0x80:
        return ["received", *(name for bit, name in _RECEIVED if byte >> bit & 1)]
    if byte & 0x40:
        return ["sent", *(name for bit, name in _SENT if byte >> bit & 1)]
    return [{_RESTARTED: "restarted", _ENTERED_LISTEN_ONLY: "entered_listen_only"}.get(byte, "unknown")]


def server_id(draft: Draft) -> None:
    """17: server id and text have a device's own lengths; the run indicator between them is the first 00 or FF.

    A device that puts its text first and the indicator last is read so too.
    """
    data = draft.counted(0)
    draft.body.update(data=data.hex(), text=safe_text(b" ".join(re.findall(rb"[ -~]{3,}", data)).strip()))
    at = next((at for at in range(1, len(data)) if data[at] in (_ON, _OFF)), None)
    if at is not None:
        draft.body.update(
            server_id=data[:at].hex(), run_indicator=data[at] == _ON, additional_data=data[at + 1 :].hex()
        )
