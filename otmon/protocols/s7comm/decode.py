"""Full decoding of one canonical PDU: S7comm jobs and their answers, S7comm-plus, TLS, COTP."""

import struct
from typing import Any

from otmon.model import Function, Kind, Malformed, Message, Target
from otmon.protocols.s7comm import transfer
from otmon.protocols.s7comm.codes import ERROR_CLASSES, RETURN_CODES, error_name
from otmon.protocols.s7comm.cotp_decode import decode_cotp
from otmon.protocols.s7comm.damaged import damaged
from otmon.protocols.s7comm.plus_decode import decode_plus
from otmon.protocols.s7comm.services import pi_service
from otmon.protocols.s7comm.tables import (
    ACK,
    ACK_DATA,
    FAMILY_PLUS,
    FAMILY_S7,
    JOB,
    NO_FUNCTION,
    PI_SERVICE,
    PLC_STOP,
    READ_VAR,
    ROSCTR,
    SETUP,
    USERDATA,
    WRITE_VAR,
    job_function,
)
from otmon.protocols.s7comm.targets import ops_of
from otmon.protocols.s7comm.tls import decode_tls
from otmon.protocols.s7comm.userdata import decode_userdata
from otmon.protocols.s7comm.values import add_values, parse_data, parse_items
from otmon.protocols.s7comm.writes import read_writes
from otmon.text import safe_text


def decode(pdu: bytes, from_client: bool, request: bytes | None = None) -> Message:
    """Everything a canonical PDU says. `request`: the one it answers, for the addresses of what was read.

    Raises Malformed, with the head of the message if its function can be read, and nothing else.
    """
    try:
        return _decode(pdu, from_client, request)
    except Malformed as error:
        raise Malformed(str(error), damaged(pdu)) from None


def _decode(pdu: bytes, from_client: bool, request: bytes | None) -> Message:
    if len(pdu) < 3:
        raise Malformed("too short")
    header = pdu[0] + 1
    if header < 3 or header > len(pdu):
        raise Malformed("COTP header runs over the end")
    if pdu[1] & 0xF0 != 0xF0:
        return decode_cotp(pdu[:header])
    if header != 3:
        raise Malformed("COTP header of another class than 0")
    data = pdu[3:]
    if not data:
        return decode_cotp(pdu)
    if data[0] == FAMILY_S7:
        return decode_s7(data, _user_data(request))
    if data[0] == FAMILY_PLUS:
        return decode_plus(data)
    return decode_tls(data, from_client)


def _user_data(request: bytes | None) -> bytes | None:
    """What the caller paired is not checked anywhere else: a request that is no S7comm PDU is as good as none."""
    return request[3:] if request is not None and len(request) >= 13 and request[3] == FAMILY_S7 else None


def decode_s7(data: bytes, request: bytes | None) -> Message:
    """An S7comm PDU from its protocol id on. Raises Malformed."""
    if len(data) < 10:
        raise Malformed("S7comm header cut off")
    rosctr, reserved, reference, param_size, data_size = struct.unpack(">xBHHHH", data[:10])
    if rosctr not in ROSCTR:
        raise Malformed("unknown kind of S7comm PDU")
    header = 12 if rosctr in (ACK, ACK_DATA) else 10
    cut = header + param_size + data_size > len(data)
    if cut and (rosctr != JOB or data[10:11] != bytes((WRITE_VAR,))):
        raise Malformed("lengths run over the end")
    param = data[header : header + param_size]
    content = data[header + param_size : header + param_size + data_size]
    body: dict[str, Any] = {"rosctr": ROSCTR[rosctr], "pdu_reference": reference}
    if cut:
        content = data[header + param_size :]
    flags = ["trailing_bytes"] if header + param_size + data_size < len(data) else []
    if reserved:
        flags.append("reserved_not_zero")
    if rosctr == USERDATA:
        return decode_userdata(param, content, body, flags, request)
    kind: Kind = "request" if rosctr == JOB else "response"
    extra: dict[str, Any] = {"rosctr": rosctr}
    if rosctr == JOB:
        if not param:
            raise Malformed("job without a parameter")
        code: int | None = param[0]
        function, targets = _job(param, content, body, flags)
        if cut and "malformed" not in flags:
            flags.append("malformed")
        if "malformed" in flags:
            body |= {"reason": "lengths run over the end" if cut else "other items than announced", "raw": data.hex()}
    else:
        code = param[0] if param else None
        function, targets = NO_FUNCTION if code is None else job_function(code), ()
        body["error_class"], body["error_code"] = data[10], data[11]
        body["error_class_name"] = ERROR_CLASSES.get(data[10])
        body["error"] = error_name(data[10] << 8 | data[11])
        _answer(param, content, body, flags, request)
        if data[10] or data[11]:
            flags.append("error")
            extra["exception"] = f"0x{data[10]:02x}{data[11]:02x}"
    ops = ops_of(code, function, targets)
    return Message(kind, None, code, function.name, function.access, tuple(flags), body, ops, extra)


def _job(
    param: bytes, content: bytes, body: dict[str, Any], flags: list[str]
) -> tuple[Function, tuple[Target | None, ...]]:
    """Fill in what a job asks; its function and targets."""
    code = param[0]
    function = job_function(code)
    if code in (READ_VAR, WRITE_VAR):
        return function, _variables(param, content, body, flags)
    if code in transfer.WITH_FILE:
        return function, transfer.file_job(param, body)
    if code == PI_SERVICE:
        return pi_service(param, body)
    if code == SETUP:
        _setup(param, body)
    elif code in (transfer.UPLOAD, transfer.END_UPLOAD):
        transfer.upload_job(param, body)
    elif code == PLC_STOP and len(param) > 6:
        body["service"] = safe_text(param[7 : 7 + param[6]])
    return function, ()


def _variables(param: bytes, content: bytes, body: dict[str, Any], flags: list[str]) -> tuple[Target, ...]:
    if len(param) < 2:
        raise Malformed("no number of items")
    if param[0] == READ_VAR:
        body["items"], touched = parse_items(param[2:], param[1])
        return tuple(touched)
    body["items"], targets, found = read_writes(param[2:], content, param[1])
    flags += sorted(found)
    return tuple(targets)


def _setup(param: bytes, body: dict[str, Any]) -> None:
    if len(param) >= 8:
        body["max_jobs_calling"], body["max_jobs_called"], body["pdu_bytes"] = struct.unpack(">HHH", param[2:8])


def _answer(param: bytes, content: bytes, body: dict[str, Any], flags: list[str], request: bytes | None) -> None:
    """Fill in what an ack or ack-data says beyond its error code."""
    code = param[0] if param else None
    if code == SETUP:
        _setup(param, body)
    elif code == WRITE_VAR and len(param) >= 2:
        body["item_count"] = param[1]
        items: list[dict[str, Any]] = [
            {"return_code": byte, "status": RETURN_CODES.get(byte)} for byte in content[: param[1]]
        ]
        body["items"] = items
        for item, asked in zip(items, _asked(code, request, len(items)), strict=False):
            item["asked"] = asked
    elif code == READ_VAR and len(param) >= 2:
        body["item_count"] = param[1]
        body["items"] = items = parse_data(content, param[1])
        for item, asked in zip(items, _asked(code, request, len(items)), strict=False):
            item["asked"] = asked
            add_values(item, asked, bytes.fromhex(item.get("raw", "")))
    elif code is not None and transfer.REQUEST_DOWNLOAD <= code <= transfer.END_UPLOAD:
        transfer.answer(param, content, body, flags, _parameter(request))


def _parameter(request: bytes | None) -> bytes | None:
    """The parameter of a request that is a job."""
    return None if request is None or request[1] != JOB else request[10 : 10 + int.from_bytes(request[6:8], "big")]


def _asked(code: int, request: bytes | None, count: int) -> list[dict[str, Any]]:
    """Items of the request that is being answered."""
    param = _parameter(request)
    if param is None or len(param) < 2 or param[0] != code or param[1] != count:
        return []
    try:
        return parse_items(param[2:], count)[0]
    except Malformed:
        return []
