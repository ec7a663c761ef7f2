"""Messages of PDUs that cannot be read whole: which function it would have been.

Where not even that stands in them there is no message, only a malformed region.
"""

from typing import Any

from otmon.model import Kind, Message
from otmon.protocols.s7comm.plus_decode import damaged_plus
from otmon.protocols.s7comm.tables import (
    ACK,
    ACK_DATA,
    COTP,
    FAMILY_PLUS,
    FAMILY_S7,
    JOB,
    PI_SERVICE,
    PI_SERVICES,
    ROSCTR,
    USERDATA,
    job_function,
    userdata_function,
)

_SECURITY = 5
_WITHOUT_PASSWORD = (b"P_PROGRAM", *(name.encode() for name in PI_SERVICES))
_USERDATA_KINDS: dict[int, Kind] = {4: "request", 8: "response"}


def damaged(pdu: bytes) -> Message | None:
    """What can be said of a PDU that is none; None if its function cannot be told."""
    if len(pdu) < 2:
        return None
    code = pdu[1] & 0xF0
    if code != 0xF0:
        function = COTP.get(code)
        return None if function is None else Message("link", None, None, *function, (), {}, (), {})
    data = pdu[3:]
    if pdu[0] != 2 or len(data) < 2:
        return None
    if data[0] == FAMILY_PLUS:
        return damaged_plus(data)
    if data[0] != FAMILY_S7 or data[1] not in ROSCTR:
        return None
    return _s7(data)


def _s7(data: bytes) -> Message | None:
    rosctr = data[1]
    param = data[12:] if rosctr in (ACK, ACK_DATA) else data[10:]
    size = int.from_bytes(data[6:8], "big") if len(data) >= 10 else 0
    param = param[:size]
    body: dict[str, Any] = {"rosctr": ROSCTR[rosctr]}
    body |= {"pdu_reference": int.from_bytes(data[4:6], "big")} if len(data) >= 6 else {}
    extra: dict[str, Any] = {"rosctr": rosctr}
    if rosctr == USERDATA:
        if len(param) < 7:
            return None
        kind: Kind = _USERDATA_KINDS.get(param[5] >> 4, "unsolicited")
        group, number = param[5] & 15, None
        function = userdata_function(group, param[6])
        extra["userdata"] = f"{group}/{param[6]}"
        secret = group == _SECURITY
    else:
        if not param:
            return None
        kind = "request" if rosctr == JOB else "response"
        number, function = param[0], job_function(param[0])
        # Behind the argument stands what it is for: where that is cut off, it may have been a login.
        secret = number == PI_SERVICE and (b"_N_" in data or not any(name in data for name in _WITHOUT_PASSWORD))
    if secret:
        body |= {"raw": None, "raw_bytes": len(data)}  # passwords are in no record
    return Message(kind, None, number, function.name, function.access, (), body, (), extra)
