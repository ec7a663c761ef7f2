"""Full decoding of one canonical PDU: S7comm jobs and their answers, S7comm-plus, TLS, COTP."""

import struct
from typing import Any

from otmon.model import Function, Kind, Malformed, Message, Target
from otmon.protocols.s7comm.cotp_decode import decode_cotp
from otmon.protocols.s7comm.plus_decode import decode_plus
from otmon.protocols.s7comm.tables import (
    ACK,
    ACK_DATA,
    ENCRYPTED,
    ERROR_CLASSES,
    FAMILY_PLUS,
    FAMILY_S7,
    FILE_SYSTEMS,
    JOB,
    NO_FUNCTION,
    PI_SERVICE,
    READ_VAR,
    RETURN_CODES,
    ROSCTR,
    SETUP,
    USERDATA,
    WRITE_VAR,
    job_function,
)
from otmon.protocols.s7comm.targets import file_target, ops_of, pi_meaning
from otmon.protocols.s7comm.userdata import decode_userdata
from otmon.protocols.s7comm.values import element_values, parse_data, parse_items
from otmon.text import safe_text


def decode(pdu: bytes, from_client: bool, request: bytes | None = None) -> Message:
    """Everything a canonical PDU says. `request`: the one it answers, for the addresses of what was read.

    Raises Malformed, and nothing else.
    """
    if len(pdu) < 3:
        raise Malformed
    header = pdu[0] + 1
    if header < 3 or header > len(pdu):
        raise Malformed
    if pdu[1] & 0xF0 != 0xF0:
        return decode_cotp(pdu[:header])
    if header != 3:
        raise Malformed
    data = pdu[3:]
    if not data:
        return decode_cotp(pdu)
    if data[0] == FAMILY_S7:
        return decode_s7(data, _user_data(request))
    if data[0] == FAMILY_PLUS:
        return decode_plus(data)
    return _decode_tls(data, from_client)


def _user_data(request: bytes | None) -> bytes | None:
    """What the caller paired is not checked anywhere else: a request that is no S7comm PDU is as good as none."""
    return request[3:] if request is not None and len(request) >= 13 and request[3] == FAMILY_S7 else None


def _decode_tls(data: bytes, from_client: bool) -> Message:
    if len(data) < 5 or not 0x14 <= data[0] <= 0x17 or data[1] != 3 or data[2] > 4 or not data[3:5].strip(b"\0"):
        raise Malformed
    body = {"tls_record": data[0], "tls_version": f"{data[1]}.{data[2]}", "bytes": len(data)}
    handshake = data[5] if data[0] == 0x16 and len(data) > 5 else 0
    if handshake == 2 or (handshake != 1 and not from_client) or (handshake == 1 and not from_client):
        return Message("link", None, None, ENCRYPTED.name, ENCRYPTED.access, ("encrypted",), body, (), {})
    ops = ops_of(None, ENCRYPTED, ())
    return Message("request", None, None, ENCRYPTED.name, ENCRYPTED.access, ("encrypted",), body, ops, {})


def decode_s7(data: bytes, request: bytes | None) -> Message:
    """An S7comm PDU from its protocol id on. Raises Malformed."""
    if len(data) < 10:
        raise Malformed
    rosctr, reserved, reference, param_size, data_size = struct.unpack(">xBHHHH", data[:10])
    if rosctr not in ROSCTR:
        raise Malformed
    header = 12 if rosctr in (ACK, ACK_DATA) else 10
    if header + param_size + data_size > len(data):
        raise Malformed
    param = data[header : header + param_size]
    content = data[header + param_size : header + param_size + data_size]
    body: dict[str, Any] = {"rosctr": ROSCTR[rosctr], "pdu_reference": reference}
    flags = ["trailing_bytes"] if header + param_size + data_size < len(data) else []
    if reserved:
        flags.append("reserved_not_zero")
    if rosctr == USERDATA:
        return decode_userdata(param, content, body, flags, request)
    kind: Kind = "request" if rosctr == JOB else "response"
    extra: dict[str, Any] = {"rosctr": rosctr}
    if rosctr == JOB:
        if not param:
            raise Malformed
        code: int | None = param[0]
        function, targets = _job(param, content, body, flags)
    else:
        code = param[0] if param else None
        function, targets = NO_FUNCTION if code is None else job_function(code), ()
        body["error_class"], body["error_code"] = data[10], data[11]
        body["error"] = ERROR_CLASSES.get(data[10])
        _answer(param, content, body, request)
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
    if code in (0x1A, 0x1B, 0x1C, 0x1D):
        return function, _file_job(param, body)
    if code == PI_SERVICE:
        argument_size = int.from_bytes(param[8:10], "big")
        argument, rest = param[10 : 10 + argument_size], param[10 + argument_size :]
        if len(param) < 11 or not rest or 1 + rest[0] > len(rest):
            raise Malformed
        name = rest[1 : 1 + rest[0]]
        body["service"], body["argument"] = safe_text(name), safe_text(argument)
        function, targets = pi_meaning(name, argument)
        body["targets"] = [target.name for target in targets[:64] if target is not None]
        return function, targets
    if code == SETUP:
        _setup(param, body)
    elif code in (0x1E, 0x1F) and len(param) >= 8:
        body["upload_id"] = int.from_bytes(param[4:8], "big")
    elif code == 0x29 and len(param) > 6:
        body["service"] = safe_text(param[7 : 7 + param[6]])
    return function, ()


def _variables(param: bytes, content: bytes, body: dict[str, Any], flags: list[str]) -> tuple[Target, ...]:
    if len(param) < 2:
        raise Malformed
    items, targets = parse_items(param[2:], param[1])
    if param[0] == WRITE_VAR:
        written = parse_data(content, len(items))
        for item, data in zip(items, written, strict=False):
            item["written"] = data
        if len(written) < len(items) or any("missing_bytes" in data or "raw" not in data for data in written):
            flags.append("data_truncated")
    body["items"] = items
    return tuple(targets)


def _file_job(param: bytes, body: dict[str, Any]) -> tuple[Target | None, ...]:
    """Download and upload jobs: status, upload id, file name, and lengths with a download request."""
    if len(param) < 9 or 9 + param[8] > len(param):
        raise Malformed
    name, rest = param[9 : 9 + param[8]], param[9 + param[8] :]
    target = file_target(name)
    body["status"], body["upload_id"] = param[1], int.from_bytes(param[4:8], "big")
    body["file"], body["block"] = safe_text(name), None if target is None else target.name
    body["file_system"] = FILE_SYSTEMS.get(name[-1:].decode("latin-1"))
    if param[0] == 0x1A and len(rest) >= 14 and rest[2:14].isdigit():
        body["load_memory_bytes"], body["code_bytes"] = int(rest[2:8]), int(rest[8:14])
    return (target,)


def _setup(param: bytes, body: dict[str, Any]) -> None:
    if len(param) >= 8:
        body["max_jobs_calling"], body["max_jobs_called"], body["pdu_bytes"] = struct.unpack(">HHH", param[2:8])


def _answer(param: bytes, content: bytes, body: dict[str, Any], request: bytes | None) -> None:
    """Fill in what an ack or ack-data says beyond its error code."""
    code = param[0] if param else None
    if code == SETUP:
        _setup(param, body)
    elif code == WRITE_VAR and len(param) >= 2:
        body["item_count"] = param[1]
        body["items"] = [{"return_code": byte, "status": RETURN_CODES.get(byte)} for byte in content[: param[1]]]
    elif code == READ_VAR and len(param) >= 2:
        body["item_count"] = param[1]
        body["items"] = items = parse_data(content, param[1])
        for item, asked in zip(items, _asked(request, len(items)), strict=False):
            item["asked"] = asked
            values = [value for _, value in element_values(asked, bytes.fromhex(item.get("raw", "")))]
            if values:
                item["values"] = values
    elif code == 0x1D and len(param) >= 8:
        body["upload_id"] = int.from_bytes(param[4:8], "big")
        length = param[9 : 9 + param[8]] if len(param) > 8 else b""
        if length.isdigit():
            body["block_bytes"] = int(length)
    elif code in (0x1B, 0x1E) and len(param) >= 2:
        body["more"], body["data_bytes"] = bool(param[1] & 1), len(content)


def _asked(request: bytes | None, count: int) -> list[dict[str, Any]]:
    """Items of the read request that is being answered."""
    if request is None or request[1] != JOB or len(request) < 12 or request[10] != READ_VAR or request[11] != count:
        return []
    try:
        return parse_items(request[12 : 10 + int.from_bytes(request[6:8], "big")], count)[0]
    except Malformed:
        return []
