"""Modbus RTU over TCP: what a serial-to-Ethernet gateway sends when it translates nothing (serial line V1.02, 2.5.1).

A frame is unit, function code, data, CRC, with no length of its own and no sign of its direction. The CRC decides
which of the lengths it is that a request or a response of its function can have. There is no port for it: a connection
is called Modbus by content alone, a request and its response with right CRCs.

The canonical PDU is that of Modbus/TCP, with transaction 0: key and decoder are the same.
"""

from typing import Any, Final

from otmon.model import Malformed, Message
from otmon.protocols.modbus import decode as tcp
from otmon.protocols.modbus.crc import START, crc16
from otmon.protocols.modbus.layout import EVEN, answered, asked, named, reading
from otmon.protocols.modbus.tables import LAST_EXCEPTION, MEI_CANOPEN, MEI_DEVICE_ID, MODBUS_PLUS, UMAS
from otmon.wire.contract import NEED_MORE, NOT_THIS, UNWRAP_BUILT
from otmon.wire.loads import be16, copy, jit, le16, u8

MAX_FRAME_BYTES: Final = 256
LAST_UNIT: Final = 247
CRC_BYTES: Final = 2
_SHORTER: Final = 4
"""Than an ADU of Modbus/TCP: six bytes of header less, two of CRC more."""
_MBAP_BYTES: Final = 6
_IMPOSSIBLE = MAX_FRAME_BYTES + 1


@jit
def _sound(buf: Any, start: int, end: int) -> bool:
    return crc16(buf, start, end - CRC_BYTES, START) == le16(buf, end - CRC_BYTES)


@jit
def _searched(buf: Any, start: int, end: int, low: int, step: int) -> int:
    """Of data without a count: the first length from `low` on after which the CRC is right."""
    crc, at = crc16(buf, start, min(start + low - CRC_BYTES, end), START), start + low - CRC_BYTES
    while at + CRC_BYTES <= end and at + CRC_BYTES <= start + MAX_FRAME_BYTES:
        if crc == le16(buf, at):
            return at + CRC_BYTES - start
        if at + step > end:
            break
        crc = crc16(buf, at, at + step, crc)
        at += step
    return NEED_MORE if end - start < MAX_FRAME_BYTES else NOT_THIS


@jit
def _length(buf: Any, start: int, end: int, layout: int) -> int:
    """Length of a frame with this layout of an ADU; NEED_MORE, _IMPOSSIBLE, or NOT_THIS if the layout fixes none."""
    low, high, at = reading(layout)
    if at == 0:
        return low - _SHORTER if low == high else NOT_THIS
    at += start - _MBAP_BYTES
    if at >= end:
        return NEED_MORE
    count = u8(buf, at)
    length = at - start + 1 + count + CRC_BYTES
    if layout & EVEN and count & 1:
        return _IMPOSSIBLE
    return length if low - _SHORTER <= length <= MAX_FRAME_BYTES else _IMPOSSIBLE


@jit
def _objects(buf: Any, start: int, end: int) -> int:
    """Length of a 43/14 response, by its objects; NEED_MORE or _IMPOSSIBLE."""
    if end - start < 8:
        return NEED_MORE
    at, left = start + 8, u8(buf, start + 7)
    while left > 0 and at - start < MAX_FRAME_BYTES:
        if at + 2 > end:
            return NEED_MORE
        at += 2 + u8(buf, at + 1)
        left -= 1
    length = at + CRC_BYTES - start
    return length if length <= MAX_FRAME_BYTES else _IMPOSSIBLE


@jit
def _rare(buf: Any, start: int, end: int, code: int) -> int:
    """`frame` for functions whose layouts fix no length."""
    size = end - start
    if code == UMAS:
        return _searched(buf, start, end, 6, 1)
    if size < 4:
        return NEED_MORE
    if code == 24:
        return _first(buf, start, end, 6, 6 + be16(buf, start + 2))
    if code == 8:
        sub = be16(buf, start + 2)
        if sub == 0 or sub == MODBUS_PLUS:
            return _searched(buf, start, end, 6, 2)
        return _first(buf, start, end, 8, _IMPOSSIBLE)
    kind = u8(buf, start + 2)
    if kind == MEI_DEVICE_ID:
        return _first(buf, start, end, 7, _objects(buf, start, end))
    return _searched(buf, start, end, 5, 1) if kind == MEI_CANOPEN else NOT_THIS


@jit
def _first(buf: Any, start: int, end: int, one: int, other: int) -> int:
    """The smaller of two lengths after which the CRC is right, as soon as that can be told."""
    low, high = min(one, other), max(one, other)
    if low == NEED_MORE:
        low, high = high, low  # what is not known yet is longer than what there is
    if low <= MAX_FRAME_BYTES:
        if low == NEED_MORE or start + low > end:
            return NEED_MORE
        if _sound(buf, start, start + low):
            return low
    if high == NEED_MORE:
        return NEED_MORE
    if high <= MAX_FRAME_BYTES:
        if start + high > end:
            return NEED_MORE
        if _sound(buf, start, start + high):
            return high
    return NOT_THIS


@jit
def frame(buf: Any, start: int, end: int) -> int:
    """Bytes of the frame at `start`, whose CRC is right; NEED_MORE or NOT_THIS.

    A function without a name has no layout: its frame is taken to end where the data do.
    """
    size = end - start
    if size > 0 and u8(buf, start) > LAST_UNIT:
        return NOT_THIS
    if size < 2:
        return NEED_MORE
    code = u8(buf, start + 1)
    if not named(code):
        return size if 4 <= size <= MAX_FRAME_BYTES and _sound(buf, start, end) else NOT_THIS
    if code > 127:
        if size > 2 and not 0 < u8(buf, start + 2) <= LAST_EXCEPTION:
            return NOT_THIS
        return _first(buf, start, end, 5, _IMPOSSIBLE)
    one, other = _length(buf, start, end, asked(code)), _length(buf, start, end, answered(code))
    if one == NOT_THIS or other == NOT_THIS:
        return _rare(buf, start, end, code)
    return _first(buf, start, end, one, other)


@jit
def unwrap(buf: Any, start: int, end: int, asm: Any, fill: int) -> tuple[int, int, int]:
    """The frame as an ADU of Modbus/TCP. Its CRC was right, or it would be no frame."""
    size = end - start - CRC_BYTES
    for at in range(4):
        asm[at] = 0
    asm[4], asm[5] = size >> 8, size & 255
    copy(asm, _MBAP_BYTES, buf, start, size)
    return UNWRAP_BUILT, 0, _MBAP_BYTES + size


def decode(pdu: bytes, from_client: bool, request: bytes | None) -> Message:
    """As for Modbus/TCP, without the transaction that is not on the wire. Raises Malformed."""
    try:
        return _serial(tcp.decode(pdu, from_client, request))
    except Malformed as error:
        raise Malformed(str(error), error.read and _serial(error.read)) from None


def _serial(message: Message) -> Message:
    body = {name: value for name, value in message.body.items() if name != "transaction_id"}
    return message._replace(body={"framing": "rtu", **body})
