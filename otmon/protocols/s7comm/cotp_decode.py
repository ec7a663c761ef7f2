"""COTP TPDUs without user data as messages: references, class, TSAPs, TPDU size, reasons (ISO 8073 13)."""

from typing import Any, Final

from otmon.model import Malformed, Message
from otmon.protocols.s7comm.codes import DISCONNECT_REASONS, REJECT_CAUSES
from otmon.protocols.s7comm.tables import COTP, COTP_MIN_LI, TSAP_SESSIONS, TSAP_TYPES
from otmon.text import safe_text

_CR, _CC, _DR, _DC, _ER = 0xE0, 0xD0, 0x80, 0xC0, 0x70
_NUMBERED: Final = {0x10: "number", 0x20: "expected", 0x50: "expected", 0x60: "expected"}
"""ED, EA, RJ, AK: what the octet behind the destination reference is."""
_TPDU_SIZE: Final = 0xC0
_TSAPS: Final = {0xC1: "calling_tsap", 0xC2: "called_tsap"}
_PARAMETERS: Final = {
    0x85: "reassignment_time",
    0x86: "residual_error_rate",
    0x87: "priority",
    0x88: "transit_delay",
    0x89: "throughput",
    0x8B: "acknowledge_time",
    0xC3: "checksum",
    0xC4: "version",
    0xC5: "protection",
    0xC6: "additional_options",
    0xC7: "alternative_classes",
    0xE0: "additional_information",
}
"""Variable part of CR and CC that has no meaning here: its bytes as they are."""


def tsap(raw: bytes) -> dict[str, Any]:
    """A transport selector: connection type, rack and slot where it is two bytes, text where it is longer.

    The texts that S7comm-plus uses say what kind of session is wanted: `session`.
    """
    if len(raw) != 2:
        text = safe_text(raw)
        if not text.isprintable() or "\\x" in text:
            return {"raw": raw.hex()}
        session = TSAP_SESSIONS.get(text)
        return {"raw": raw.hex(), "name": text} | ({"session": session} if session else {})
    if raw[0] in TSAP_TYPES:
        return {"raw": raw.hex(), "type": TSAP_TYPES[raw[0]], "rack": raw[1] >> 5, "slot": raw[1] & 31}
    return {"raw": raw.hex()}


def decode_cotp(header: bytes) -> Message:
    """The header (length indicator included) of a TPDU other than DT with user data. Raises Malformed."""
    code = header[1] & 0xF0
    function = COTP.get(code)
    if function is None or len(header) <= COTP_MIN_LI.get(code, 2):
        raise Malformed("COTP header cut off or unknown")
    body: dict[str, Any] = {"cotp": function.name}
    complete = True
    if code in (_CR, _CC, _DR, _DC):
        body["destination_reference"] = int.from_bytes(header[2:4], "big")
        body["source_reference"] = int.from_bytes(header[4:6], "big")
    if code in (_CR, _CC):
        body["class"], body["options"] = header[6] >> 4, header[6] & 15
        complete = _parameters(header[7:], body)
    elif code == _DR:
        body["reason"], body["reason_name"] = header[6], DISCONNECT_REASONS.get(header[6])
        complete = _parameters(header[7:], body)
    elif code == _DC:
        complete = _parameters(header[6:], body)
    elif code == _ER:
        complete = _error(header, body)
    elif code in _NUMBERED:
        complete = len(header) >= 5
        body["destination_reference"] = int.from_bytes(header[2:4], "big")
        body[_NUMBERED[code]] = header[4] & 127 if complete else None
    flags = () if complete else ("cotp_parameters_malformed",)
    return Message("link", None, None, function.name, function.access, flags, body, (), {})


def _error(header: bytes, body: dict[str, Any]) -> bool:
    """What an ER says; its parameter 0xC1 is the rejected TPDU, as far as the sender read it."""
    if len(header) < 5:
        return False
    body["destination_reference"] = int.from_bytes(header[2:4], "big")
    body["cause"], body["cause_name"] = header[4], REJECT_CAUSES.get(header[4])
    if header[5:6] == b"\xc1" and len(header) > 6:
        body["rejected"] = header[7 : 7 + header[6]].hex()
        return len(header) >= 7 + header[6]
    return len(header) == 5


def _parameters(data: bytes, body: dict[str, Any]) -> bool:
    """Fill in what the variable part says; False if it is not a sequence of code, length, value."""
    pos = 0
    while pos + 2 <= len(data):
        code, size = data[pos], data[pos + 1]
        value = data[pos + 2 : pos + 2 + size]
        if len(value) < size:
            return False
        if code in _TSAPS:
            body[_TSAPS[code]] = tsap(value)
        elif code == _TPDU_SIZE and size == 1 and value[0] < 16:
            body["tpdu_bytes"] = 1 << value[0]
        else:
            body[_PARAMETERS.get(code, f"parameter_0x{code:02x}")] = value.hex()
        pos += 2 + size
    return pos == len(data)
