"""Modbus/TCP in the compiled path: MBAP framing, and the words of a shape.

The canonical PDU is the whole ADU: MBAP header (transaction, protocol 0, length, unit), function code, data.

Words: `[code | unit << 8 | marks]`, then for requests
    1-6, 15, 16, 22   address << 16 | quantity
    23                the same for the range read, then for the range written
    24                address << 16 | 1
    20, 21            file << 32 | record << 16 | length, one for each sub-request
    8, 90             sub-function
    43                MEI type; for 14 also read code << 8 | object << 16
and for responses (marked) nothing but the sub-function (8) or MEI type (43; 14 with code and first object).
"""

from collections.abc import Sequence
from typing import Any, Final

from otmon.model import Op
from otmon.protocols.modbus.layout import answers, asks, certain
from otmon.protocols.modbus.tables import (
    ACKNOWLEDGE,
    FORCE_LISTEN_ONLY,
    HEADER_BYTES,
    MAX_ADU_BYTES,
    MEI_DEVICE_ID,
    SPACES,
    UMAS_ERROR,
    make_op,
    service,
    span,
    untargeted,
)
from otmon.wire.contract import (
    FLAG_EXCEPTION,
    FLAG_IDENTITY,
    FLAG_INSPECT,
    KIND_REQUEST,
    KIND_RESPONSE,
    NEED_MORE,
    NOT_THIS,
    OUT_CLASS,
    OUT_EVIDENCE,
    OUT_EXPECT,
    OUT_FLAGS,
    OUT_FROM_CLIENT,
    OUT_FUNC,
    OUT_KIND,
    OUT_REPLY_KEY,
    OUT_STATUS,
    OUT_TOKEN,
    OUT_UNIT,
    OUT_VMAX,
    OUT_VMIN,
    OUT_WORDS,
    STATUS_ACCEPTED,
    STATUS_NONE,
    STATUS_REJECTED,
    UNWRAP_WHOLE,
)
from otmon.wire.loads import be16, be64, jit, jit_inline, u8

VERSION: Final = 1
RESPONSE_MARK: Final = 1 << 16
EXCEPTION_MARK: Final = 1 << 17


@jit
def frame(buf: Any, start: int, end: int) -> int:
    """Bytes of the ADU at `start`, NEED_MORE or NOT_THIS. Each byte of the header is judged as soon as it is there."""
    size = end - start
    if size > 2 and u8(buf, start + 2) != 0:
        return NOT_THIS
    if size > 3 and u8(buf, start + 3) != 0:
        return NOT_THIS
    if size > 4 and u8(buf, start + 4) != 0:
        return NOT_THIS
    if size < 6:
        return NEED_MORE
    length = 6 + u8(buf, start + 5)
    if length < HEADER_BYTES or length > MAX_ADU_BYTES:
        return NOT_THIS
    return length


@jit
def unwrap(buf: Any, start: int, end: int, asm: Any, fill: int) -> tuple[int, int, int]:
    """The ADU is the canonical PDU."""
    return UNWRAP_WHOLE, start, end


@jit
def _bound_registers(buf: Any, start: int, end: int, out: Any) -> None:
    """Widen OUT_VMIN and OUT_VMAX by the registers in buf[start:end]; the last byte of an odd run is no register."""
    while start + 2 <= end:
        value = be16(buf, start)
        if out[OUT_VMIN] > out[OUT_VMAX]:
            out[OUT_VMIN] = value
            out[OUT_VMAX] = value
        elif value < out[OUT_VMIN]:
            out[OUT_VMIN] = value
        elif value > out[OUT_VMAX]:
            out[OUT_VMAX] = value
        start += 2


@jit
def _bound_coils(buf: Any, start: int, end: int, quantity: int, out: Any) -> None:
    """The same for `quantity` bits, lowest bit of each byte first."""
    while start < end and quantity > 0:
        used = 255 if quantity >= 8 else (1 << quantity) - 1
        bits = u8(buf, start) & used
        low = 1 if bits == used else 0
        high = 1 if bits != 0 else 0
        if out[OUT_VMIN] > out[OUT_VMAX]:
            out[OUT_VMIN] = low
            out[OUT_VMAX] = high
        else:
            out[OUT_VMIN] = min(out[OUT_VMIN], low)
            out[OUT_VMAX] = max(out[OUT_VMAX], high)
        start += 1
        quantity -= 8


@jit_inline
def _request_words(buf: Any, start: int, end: int, code: int, out: Any) -> int:
    """Words behind the first, and the bounds on what is written; the number of words."""
    at = OUT_WORDS + 1
    if 1 <= code <= 4:
        out[at] = be16(buf, start + 8) << 16 | be16(buf, start + 10)
        return 2
    if code == 5 or code == 6:
        out[at] = be16(buf, start + 8) << 16 | 1
        value = be16(buf, start + 10)
        # A coil takes 0xFF00 and 0 only; anything else stays as it is, beyond every bound on coils.
        if code == 5 and value == 0xFF00:
            value = 1
        out[OUT_VMIN] = value
        out[OUT_VMAX] = value
        return 2
    if code == 15 or code == 16:
        quantity = be16(buf, start + 10)
        out[at] = be16(buf, start + 8) << 16 | quantity
        if code == 15:
            _bound_coils(buf, start + 13, end, quantity, out)
        else:
            _bound_registers(buf, start + 13, end, out)
        return 2
    if code == 22 or code == 24:
        out[at] = be16(buf, start + 8) << 16 | 1
        if code == 22:
            out[OUT_FLAGS] |= FLAG_INSPECT  # what it writes depends on what the register holds
        return 2
    if code == 23:
        out[at] = be16(buf, start + 8) << 16 | be16(buf, start + 10)
        out[at + 1] = be16(buf, start + 12) << 16 | be16(buf, start + 14)
        _bound_registers(buf, start + 17, end, out)
        return 3
    if code == 20 or code == 21:
        words = 1
        offset = start + 9
        while offset + 7 <= end:
            length = be16(buf, offset + 5)
            out[OUT_WORDS + words] = be16(buf, offset + 1) << 32 | be16(buf, offset + 3) << 16 | length
            words += 1
            offset += 7
            if code == 21:
                _bound_registers(buf, offset, offset + 2 * length, out)
                offset += 2 * length
        return words
    if code == 8:
        out[at] = be16(buf, start + 8)
        if out[at] == FORCE_LISTEN_ONLY:
            out[OUT_EXPECT] = 0
        return 2
    if code == 43:
        out[at] = u8(buf, start + 8)
        if out[at] == MEI_DEVICE_ID:
            out[at] |= u8(buf, start + 9) << 8 | u8(buf, start + 10) << 16
        return 2
    if code == 90:
        out[at] = u8(buf, start + 9)
        return 2
    return 1


@jit_inline
def _response_words(buf: Any, start: int, end: int, code: int, out: Any) -> int:
    """The same for a response, with its status."""
    at = OUT_WORDS + 1
    out[OUT_STATUS] = STATUS_ACCEPTED
    if code > 127:
        out[OUT_FLAGS] |= FLAG_EXCEPTION
        out[OUT_WORDS] |= EXCEPTION_MARK
        if u8(buf, start + 8) != ACKNOWLEDGE:
            out[OUT_STATUS] = STATUS_REJECTED
        return 1
    if code == 8:
        out[at] = be16(buf, start + 8)
        return 2
    if code == 17:
        out[OUT_FLAGS] |= FLAG_IDENTITY
        return 1
    if code == 43:
        out[at] = u8(buf, start + 8)
        if out[at] == MEI_DEVICE_ID:
            out[OUT_FLAGS] |= FLAG_IDENTITY
            out[at] |= u8(buf, start + 9) << 8
            if u8(buf, start + 13) > 0:
                out[at] |= u8(buf, start + 14) << 16
        return 2
    if code == 90 and u8(buf, start + 9) == UMAS_ERROR:
        out[OUT_STATUS] = STATUS_REJECTED
    return 1


@jit
def key(buf: Any, start: int, end: int, from_client: int, out: Any) -> int:
    """Header slots and words of the ADU buf[start:end]; the number of words, or -1.

    -1 means that the length contradicts the function: exactly when `decode` raises Malformed for that direction (or for
    both, if it is unknown). A quantity that the specification forbids is not malformed: the range asked for is judged.
    """
    size = end - start
    head = be64(buf, start) if size >= HEADER_BYTES else -1
    sound = head >> 32 & 0xFFFF == 0 and head >> 16 & 0xFFFF == size - 6 and size <= MAX_ADU_BYTES
    unit = head >> 8 & 255 if sound else 0
    code = head & 255
    func = code & 127 if sound else -1
    # Each slot once, and no loop: this is the hottest function of the protocol.
    out[OUT_KIND] = KIND_RESPONSE if from_client == 0 else KIND_REQUEST
    out[OUT_EXPECT] = 0
    out[OUT_TOKEN] = (head >> 48 & 0xFFFF) | unit << 16
    out[OUT_STATUS] = STATUS_NONE
    out[OUT_FUNC] = func
    out[OUT_CLASS] = -1
    out[OUT_FLAGS] = 0
    out[OUT_UNIT] = unit
    out[OUT_VMIN] = 1
    out[OUT_VMAX] = 0
    out[OUT_FROM_CLIENT] = -1
    out[OUT_EVIDENCE] = 0
    out[OUT_REPLY_KEY] = max(func, 0)
    if not sound:
        return -1
    asking = asks(buf, start, end, code)
    answering = answers(buf, start, end, code)
    out[OUT_EVIDENCE] = 2 if (asking or answering) and certain(buf, start, code) else 1
    if asking != answering:
        out[OUT_FROM_CLIENT] = 1 if asking else 0
    out[OUT_WORDS] = func | unit << 8
    if from_client == 0 or (from_client == -1 and answering and not asking):
        out[OUT_KIND] = KIND_RESPONSE
        if not answering:
            return -1
        out[OUT_WORDS] |= RESPONSE_MARK
        return int(_response_words(buf, start, end, code, out))
    if not asking:
        return -1
    out[OUT_EXPECT] = 1
    return int(_request_words(buf, start, end, code, out))


def operations(words: Sequence[int]) -> tuple[Op, ...]:
    """What a shape means: its targets, or for a response that answers nothing seen the function alone."""
    head, *rest = map(int, words)
    code, unit = head & 127, head >> 8 & 255
    sub = None if not rest else rest[0] if code == 8 else rest[0] & 255 if code == 43 else None
    if head & RESPONSE_MARK or not rest or code in (8, 43):
        return untargeted(code, sub, unit)
    if code == 90:
        return (make_op(code, None, unit, service(rest[0])),)
    if code in (20, 21):
        files = [span("file_record", word >> 16 & 0xFFFF, word & 0xFFFF, str(word >> 32)) for word in rest]
        return tuple(dict.fromkeys(make_op(code, None, unit, target) for target in files))
    targets = [span(SPACES.get(code, "address"), word >> 16, word & 0xFFFF) for word in rest]
    if code == 23:
        return make_op(code, None, unit, targets[0], "read"), make_op(code, None, unit, targets[-1], "write")
    return (make_op(code, None, unit, targets[0]),)
