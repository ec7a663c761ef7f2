"""What a UMAS message does to a transfer of the project between a programming tool and a controller.

Initialize, blocks numbered from 1, end with their number: 0x30 to 0x32 into the controller (research calls it an
upload), 0x33 to 0x35 out of it. Layouts are those of otmon.protocols.modbus.umas.
"""

from typing import Any, Final, Literal

from otmon.model import Block, Malformed, Message, Step
from otmon.protocols.modbus.decode import decode
from otmon.protocols.modbus.tables import UMAS, UMAS_ERROR

PROJECT: Final = Block("project", None, "project", None)
"""UMAS moves all of it at once, and does not name it."""
_DIRECTIONS: Final[dict[int, Literal["upload", "download"]]] = {
    **dict.fromkeys((0x30, 0x31, 0x32), "download"),
    **dict.fromkeys((0x33, 0x34, 0x35), "upload"),
}
_BEGIN_INTO, _BEGIN_OUT_OF = 0x30, 0x33
_INTO, _OUT_OF = 0x31, 0x34
_END: Final = (0x32, 0x35)


def step(pdu: bytes, request: bytes | None) -> Step | None:
    """What an ADU does to a transfer; `request`: the one it answers. None: nothing that a transfer depends on."""
    asked = None if request is None else _message(request, True, None)
    message = _message(pdu, asked is None, request)
    if message is None or message.function_code != UMAS:
        return None
    code = (message if asked is None else asked).body.get("umas_code", -1)
    if code not in _DIRECTIONS:
        return None
    return (_request if asked is None else _response)(code, message)


def _message(pdu: bytes, asking: bool, request: bytes | None) -> Message | None:
    try:
        return decode(pdu, asking, request)
    except Malformed:
        return None


def _make(phase: Literal["begin", "ask", "part", "end"], code: int, message: Message, **more: Any) -> Step:
    handle = f"umas {message.unit}"  # behind a gateway there are several on one connection
    return Step(phase, _DIRECTIONS[code], handle, PROJECT, message.unit, **more)


def _request(code: int, message: Message) -> Step | None:
    body = message.body
    if code == _BEGIN_INTO:
        return _make("begin", code, message)
    if code == _OUT_OF:
        return _make("ask", code, message)
    if code == _INTO and "block" in body:
        return _make("part", code, message, data=bytes.fromhex(body["data"])[6:], more=True)
    if code in _END:
        return _make("end", code, message, parts=body.get("blocks"))
    return None


def _response(code: int, message: Message) -> Step | None:
    body = message.body
    if body.get("status") == UMAS_ERROR or "exception" in message.flags:
        return _make("part", code, message, failed=True)
    if code == _BEGIN_OUT_OF:
        return _make("begin", code, message, length=body.get("size"))
    if code == _OUT_OF and "last" in body:
        return _make("part", code, message, data=bytes.fromhex(body["data"])[4:], more=not body["last"])
    return None
