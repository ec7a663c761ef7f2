"""Modbus/TCP in the compiled path: MBAP framing, and the words of a shape.

The canonical PDU is the whole ADU: MBAP header (transaction, protocol 0, length, unit), function code, data.

Words: `[code | unit << 8 | marks]`, then for requests
    1-6, 15, 16, 22   address << 16 | quantity; of 15, 16 and 23 what is written reaches as far as the bytes do
    23                the same for the range read, then for the range written
    24                address << 16 | 1
    20, 21            file << 32 | record << 16 | length, one for each sub-request
    8, 90             sub-function, UMAS code (of 3 also its subcode << 8)
    43                MEI type; for 14 also read code << 8 | object << 16
    a write whose length is wrong: the ranges it claims, or ANYWHERE
and for responses (marked) nothing but the sub-function (8) or MEI type (43; 14 with code and first object).
"""

from collections.abc import Sequence
from typing import Any, Final

from otmon.model import Op
from otmon.protocols.modbus.damaged import claimed, reached, target, writes
from otmon.protocols.modbus.layout import ANSWERS, ASKS, CERTAIN, frozen, sides
from otmon.protocols.modbus.tables import (
    ACKNOWLEDGE,
    BROADCAST,
    FORCE_LISTEN_ONLY,
    HEADER_BYTES,
    MAX_ADU_BYTES,
    MAX_UMAS_BYTES,
    MEI_DEVICE_ID,
    TARGET_SILENT,
    UMAS,
    UMAS_DATA,
    UMAS_ERROR,
    UMAS_FIRST_MOVE,
    UMAS_LAST_MOVE,
    UMAS_OK,
    UMAS_PROJECT_INFO,
    make_op,
    untargeted,
)
from otmon.wire.contract import (
    FLAG_DAMAGED,
    FLAG_EXCEPTION,
    FLAG_IDENTITY,
    FLAG_INSPECT,
    FLAG_TRANSFER,
    KIND_REQUEST,
    KIND_RESPONSE,
    LATER,
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
    PERHAPS,
    STATUS_ACCEPTED,
    STATUS_NONE,
    STATUS_REJECTED,
    UNWRAP_WHOLE,
)
from otmon.wire.loads import be16, be32, be64, jit, le16, u8
from otmon.wire.slots import widen

VERSION: Final = 3
RESPONSE_MARK: Final = 1 << 16
EXCEPTION_MARK: Final = 1 << 17
_NOTHING, _RANGE, _ONE, _OTHER = range(4)
"""Words of a request: none but the first; address and quantity; an address alone; see _other_words."""
_FORMED = {
    **dict.fromkeys((1, 2, 3, 4, 15, 16, 23), _RANGE),
    **dict.fromkeys((5, 6, 22, 24), _ONE),
    **dict.fromkeys((8, 17, 20, 21, 43, 90), _OTHER),
}
_SHAPE = (1 << 23) - 1
"""As much of an address and quantity as a reply key has room for."""
_BROADCAST = frozen([int(code in BROADCAST) for code in range(128)])
_FORMS = frozen([_FORMED.get(code, _NOTHING) for code in range(128)])


@jit
def frame(buf: Any, start: int, end: int) -> int:
    """Bytes of the ADU at `start`, NEED_MORE or NOT_THIS. Each byte of the header is judged as soon as it is there."""
    size = end - start
    other = (size > 2 and u8(buf, start + 2) != 0) or (size > 3 and u8(buf, start + 3) != 0)
    # libmodbus never looks at the protocol id: what would be a write but for it is framed, to be judged.
    if other and (size < HEADER_BYTES or not writes(u8(buf, start + 7))):
        return NOT_THIS
    if size > 4 and u8(buf, start + 4) > MAX_UMAS_BYTES >> 8:
        return NOT_THIS
    if size < 6:
        return NEED_MORE
    length = 6 + be16(buf, start + 4)
    if length < HEADER_BYTES or length > MAX_UMAS_BYTES:
        return NOT_THIS
    if length > MAX_ADU_BYTES:
        if size < HEADER_BYTES:
            return NEED_MORE
        if u8(buf, start + 7) != UMAS:
            return NOT_THIS
    return length


@jit
def unwrap(buf: Any, start: int, end: int, asm: Any, fill: int) -> tuple[int, int, int]:
    """The ADU is the canonical PDU."""
    return UNWRAP_WHOLE, start, end


@jit
def _bound(buf: Any, at: int, end: int, coils: int, out: Any) -> None:
    """Widen OUT_VMIN and OUT_VMAX by what is written in buf[at:end].

    `coils`: their number (lowest bit of each byte first), or -1 for registers; half a register at the end is none.
    """
    low, high = 1 << 16, -1
    while coils < 0 and at + 2 <= end:
        value = be16(buf, at)
        if value < low:
            low = value
        if value > high:
            high = value
        at += 2
    while coils > 0 and at < end:
        used = 255 if coils >= 8 else (1 << coils) - 1
        bits = u8(buf, at) & used
        if bits != used:
            low = 0
        elif low > 1:
            low = 1
        if bits != 0:
            high = 1
        elif high < 0:
            high = 0
        at += 1
        coils -= 8
    if low > high:
        return
    widen(out, low, high)


@jit
def _moves(buf: Any, start: int, end: int) -> int:
    """FLAG_TRANSFER if an accepted response of UMAS may be one of a transfer: only its request says which it is.

    It has the size of all, or a block and its length.
    """
    size = end - start - UMAS_DATA
    if size == 6:
        return FLAG_TRANSFER
    return FLAG_TRANSFER if size > 4 and le16(buf, start + UMAS_DATA + 2) == size - 4 else 0


@jit
def _other_words(buf: Any, start: int, end: int, code: int, asking: bool, out: Any) -> int:
    """What key does for the functions marked _OTHER; the number of words."""
    if code == 17:
        if not asking:
            out[OUT_FLAGS] = FLAG_IDENTITY
        return 1
    if code == 20 or code == 21:
        if not asking:
            return 1
        n, at, step = OUT_WORDS + 1, start + 9, 2 * (code - 20)  # 21 writes what follows
        while at + 7 <= end:
            word = be32(buf, at + 1) << 16 | be16(buf, at + 5)
            out[n] = word
            n += 1
            # No branch on the code: of steps by 7 alone LLVM makes a 128-bit division, which no library here has.
            behind = at + 7 + (word & 0xFFFF) * step
            _bound(buf, at + 7, behind, 20 - code, out)
            at = behind
        return n - OUT_WORDS
    word = be16(buf, start + 8) if code != 43 else u8(buf, start + 8)
    if code == UMAS:
        word &= 255
        if not asking:
            if word == UMAS_ERROR:
                out[OUT_STATUS] = STATUS_REJECTED
                out[OUT_FLAGS] = FLAG_TRANSFER
            else:
                # Any other status would be taken for the code of a request where that was not seen.
                out[OUT_FLAGS] = FLAG_IDENTITY | (_moves(buf, start, end) if word == UMAS_OK else 0)
            return 1
        if UMAS_FIRST_MOVE <= word <= UMAS_LAST_MOVE:
            out[OUT_FLAGS] = FLAG_TRANSFER
        if word == UMAS_PROJECT_INFO and start + 10 < end:
            word |= u8(buf, start + 10) << 8  # which part of it
    elif code == 8:
        if asking and word == FORCE_LISTEN_ONLY:
            out[OUT_EXPECT] = PERHAPS
    elif word == MEI_DEVICE_ID:
        word |= u8(buf, start + 9) << 8
        if asking:
            word |= u8(buf, start + 10) << 16
        else:
            out[OUT_FLAGS] = FLAG_IDENTITY
            if u8(buf, start + 13) > 0:
                word |= u8(buf, start + 14) << 16
    out[OUT_WORDS + 1] = word
    return 2


@jit
def _answered(buf: Any, at: int, code: int, form: int) -> int:
    """What a response shows of the request it answers, its data at buf[at:]: bytes that were read, places written."""
    if form == _RANGE:
        return 1 + (u8(buf, at) if code < 5 or code == 23 else be32(buf, at) & _SHAPE)
    return 1 + be16(buf, at) if form == _ONE and code != 24 else 0


@jit
def key(buf: Any, start: int, end: int, from_client: int, out: Any) -> int:
    """Header slots and words of the ADU buf[start:end]; the number of words, or -1.

    -1 means that the length contradicts the function: exactly when `decode` raises Malformed for that direction (or for
    both, if it is unknown). A quantity that the specification forbids is not malformed: the range asked for is judged.
    Of a write that is, what it claims is judged all the same.
    """
    size = end - start
    head = be64(buf, start) if size >= HEADER_BYTES else -1
    code = head & 255
    fits = size <= MAX_ADU_BYTES or (code == UMAS and size <= MAX_UMAS_BYTES)
    framed = head >> 16 & 0xFFFF >= size - 6 and fits
    sound = framed and head >> 16 & 0xFFFF == size - 6 and head >> 32 & 0xFFFF == 0
    unit = head >> 8 & 255 if framed else 0
    func = code & 127 if framed else -1
    fit = sides(buf, start, end, code) if sound else 0
    side = fit & (ASKS | ANSWERS)
    responding = from_client == 0 or (from_client == -1 and side == ANSWERS)
    # Each slot once, and no loop: this is the hottest function of the protocol.
    out[OUT_KIND] = KIND_RESPONSE if responding else KIND_REQUEST
    out[OUT_EXPECT] = 1 if not responding and side & ASKS else 0
    out[OUT_TOKEN] = (head >> 48 & 0xFFFF) | unit << 16
    out[OUT_STATUS] = STATUS_ACCEPTED if responding and side & ANSWERS else STATUS_NONE
    out[OUT_FUNC] = func
    out[OUT_CLASS] = -1
    out[OUT_FLAGS] = 0
    out[OUT_UNIT] = unit
    out[OUT_VMIN] = 1
    out[OUT_VMAX] = 0
    out[OUT_FROM_CLIENT] = 1 if side == ASKS else 0 if side == ANSWERS else -1
    out[OUT_EVIDENCE] = 2 if fit & CERTAIN else 1 if sound else 0
    out[OUT_REPLY_KEY] = func if framed else 0
    if not side & (ANSWERS if responding else ASKS):
        if responding or not framed or not writes(code):
            return -1
        out[OUT_EXPECT] = PERHAPS if unit == 0 else 1
        out[OUT_FLAGS] = FLAG_DAMAGED
        out[OUT_WORDS] = func | unit << 8
        return claimed(buf, start, end, code, out)
    word = func | unit << 8
    form = _FORMS[func]
    if responding:
        word |= RESPONSE_MARK
        if code > 127:
            word |= EXCEPTION_MARK
            out[OUT_FLAGS] = FLAG_EXCEPTION
            exception = u8(buf, start + 8)
            if exception != ACKNOWLEDGE:
                out[OUT_STATUS] = STATUS_REJECTED
            if exception == TARGET_SILENT:
                out[OUT_EXPECT] = LATER
        out[OUT_WORDS] = word
        if code > 127:
            return 1
        if form != _OTHER:
            out[OUT_REPLY_KEY] = func | _answered(buf, start + 8, code, form) << 32
            return 1
    else:
        out[OUT_WORDS] = word
        if form == _NOTHING:
            return 1
        if unit == 0 and _BROADCAST[func]:
            out[OUT_EXPECT] = PERHAPS
    if form == _OTHER:
        return _other_words(buf, start, end, code, not responding, out)
    at = start + 8
    if form == _ONE:
        address = be16(buf, at)
        out[OUT_WORDS + 1] = address << 16 | 1
        out[OUT_REPLY_KEY] = func | (1 + address) << 32
        if code == 22:
            out[OUT_FLAGS] = FLAG_INSPECT  # what it writes depends on what the register holds
        elif code != 24:
            value = be16(buf, at + 2)
            # A coil takes 0xFF00 and 0 only; anything else stays as it is, beyond every bound on coils.
            if code == 5 and value == 0xFF00:
                value = 1
            out[OUT_VMIN] = value
            out[OUT_VMAX] = value
        return 2
    word = be32(buf, at)
    out[OUT_WORDS + 1] = word
    if code < 5 or code == 23:
        size = (2 * word if code > 2 else ((word & 0xFFFF) + 7) >> 3) & 255
        out[OUT_REPLY_KEY] = func | (1 + size) << 32
        if code < 5:
            return 2
    else:
        out[OUT_REPLY_KEY] = func | (1 + (word & _SHAPE)) << 32
        out[OUT_WORDS + 1] = reached(word, end - start - 13, code)
    words, data = 2, start + 13
    if code == 23:
        out[OUT_WORDS + 2] = reached(be32(buf, start + 12), end - start - 17, code)
        words, data = 3, start + 17
    _bound(buf, data, end, word & 0xFFFF if code == 15 else -1, out)
    return words


def operations(words: Sequence[int]) -> tuple[Op, ...]:
    """What a shape means: its targets, or for a response that answers nothing seen the function alone."""
    head, *rest = map(int, words)
    code, unit = head & 127, head >> 8 & 255
    sub = None if not rest else rest[0] if code == 8 else rest[0] & 255 if code in (43, UMAS) else None
    if head & RESPONSE_MARK or not rest or code in (8, 43, UMAS):
        return untargeted(code, sub, unit)
    targets = [target(code, word) for word in rest]
    if code == 23:
        return make_op(code, None, unit, targets[0], "read"), make_op(code, None, unit, targets[-1], "write")
    return tuple(make_op(code, None, unit, target) for target in dict.fromkeys(targets))
