"""COTP TPDUs without user data as messages: TSAPs, TPDU size, reason."""

from typing import Any, Final

from otmon.model import Malformed, Message
from otmon.protocols.s7comm.tables import COTP, COTP_MIN_LI, TSAP_TYPES
from otmon.text import safe_text

_CALLING: Final = 0xC1
_CALLED: Final = 0xC2
_TPDU_SIZE: Final = 0xC0


def tsap(raw: bytes) -> dict[str, Any]:
    """A transport selector: connection type, rack and slot where it is two bytes, text where it is longer."""
    if len(raw) != 2:
        text = safe_text(raw)
        return {"raw": raw.hex(), "name": text} if text.isprintable() and "\\x" not in text else {"raw": raw.hex()}
    if raw[0] in TSAP_TYPES:
        return {"raw": raw.hex(), "type": TSAP_TYPES[raw[0]], "rack": raw[1] >> 5, "slot": raw[1] & 31}
    return {"raw": raw.hex()}


def decode_cotp(header: bytes) -> Message:
    """The header (length indicator included) of a TPDU other than DT with user data. Raises Malformed."""
    code = header[1] & 0xF0
    function = COTP.get(code)
    if function is None or len(header) <= COTP_MIN_LI.get(code, 2):
        raise Malformed
    body: dict[str, Any] = {"cotp": function.name}
    flags: tuple[str, ...] = ()
    if code in (0xE0, 0xD0, 0x80):
        body["destination_reference"] = int.from_bytes(header[2:4], "big")
        body["source_reference"] = int.from_bytes(header[4:6], "big")
    if code == 0x80:
        body["reason"] = header[6]
    if code in (0xE0, 0xD0):
        body["class"] = header[6] >> 4
        complete = _parameters(header[7:], body)
        flags = () if complete else ("cotp_parameters_malformed",)
    return Message("link", None, None, function.name, function.access, flags, body, (), {})


def _parameters(data: bytes, body: dict[str, Any]) -> bool:
    """Fill in what the variable part says; False if it is not a sequence of code, length, value."""
    pos = 0
    while pos + 2 <= len(data):
        code, size = data[pos], data[pos + 1]
        value = data[pos + 2 : pos + 2 + size]
        if len(value) < size:
            return False
        if code == _CALLING:
            body["calling_tsap"] = tsap(value)
        elif code == _CALLED:
            body["called_tsap"] = tsap(value)
        elif code == _TPDU_SIZE and size == 1 and value[0] < 16:
            body["tpdu_bytes"] = 1 << value[0]
        pos += 2 + size
    return pos == len(data)
