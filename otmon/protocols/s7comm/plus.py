"""S7comm-plus, as far as it can be read from outside: version, opcode, function, sequence number.

`0x72, version, length (2)`, then `length` bytes, then a trailer `0x72, version, 0, 0` unless more fragments follow.
Version 3 puts a digest (length byte 32, 32 bytes) before the opcode. Pieces that do not begin with an opcode are
continuations of an earlier fragment: counted as link PDUs, they carry no function of their own.
"""

from typing import Any, Final

from otmon.protocols.s7comm.tables import (
    CREATE_OBJECT,
    EXPLORE,
    FAMILY_PLUS,
    GET_VAR_SUBSTREAMED,
    PLUS_CLASS,
    PLUS_NOTIFICATION,
    PLUS_REQUEST,
    PLUS_RESPONSE,
)
from otmon.wire.contract import (
    FLAG_EXCEPTION,
    FLAG_IDENTITY,
    KIND_LINK,
    KIND_REQUEST,
    KIND_RESPONSE,
    KIND_UNSOLICITED,
    OUT_CLASS,
    OUT_EVIDENCE,
    OUT_EXPECT,
    OUT_FLAGS,
    OUT_FROM_CLIENT,
    OUT_KIND,
    OUT_REPLY_KEY,
    OUT_STATUS,
    OUT_TOKEN,
    OUT_WORDS,
    STATUS_ACCEPTED,
    STATUS_REJECTED,
)
from otmon.wire.loads import be16, be32, jit, u8
from otmon.wire.slots import put_raw

HEADER: Final = 4
DIGEST: Final = 33
SYSTEM_EVENT: Final = 0xFE
SUBSTREAM_ADDRESS: Final = 14
"""Where in a request behind the opcode the object stands; six bytes further the number of the attribute begins."""
ONE: Final = 1
"""Numba compiles a callee anew for each literal argument; a sum of constants is none."""
NO_RESPONSE: Final = 0x40
"""Of the flags behind a request's session number: HMIs confirm what they received so, and nothing comes back."""


@jit
def plus_body(buf: Any, a: int, end: int) -> int:
    """Offset of the opcode in the PDU at `a`, 0 if it has none (a continuation or a system event), -1 if malformed."""
    if end - a < HEADER:
        return -1
    version = u8(buf, a + 1)
    if not (1 <= version <= 3 or version == SYSTEM_EVENT):
        return -1
    stop = a + HEADER + be16(buf, a + 2)
    if stop > end:
        return -1
    pos = a + HEADER
    if version == 3 and pos < stop and u8(buf, pos) == DIGEST - 1:
        pos += DIGEST
    if version == SYSTEM_EVENT or stop - pos < 5:
        return 0
    opcode = u8(buf, pos)
    if opcode == PLUS_NOTIFICATION:
        return pos
    if (opcode != PLUS_REQUEST and opcode != PLUS_RESPONSE) or stop - pos < 9:
        return 0
    # A continuation may begin with any byte; both reserved words are zero in every request and response.
    return pos if be16(buf, pos + 1) == 0 and be16(buf, pos + 5) == 0 else 0


@jit
def plus_error(buf: Any, pos: int, end: int) -> int:
    """Low 16 bits of the return value (a variable-length 64-bit number) at `pos`; errors are 0x8000 and above."""
    value = 0
    last = pos + 8
    while pos < end:
        byte = u8(buf, pos)
        if pos == last:
            return (value << 8 | byte) & 0xFFFF
        value = (value << 7 | byte & 0x7F) & 0xFFFF
        if byte < 0x80:
            return value
        pos += 1
    return 0


@jit
def plus_key(buf: Any, a: int, end: int, out: Any) -> int:
    """Words of the S7comm-plus PDU `buf[a:end]`; the header slots are already cleared."""
    pos: int = plus_body(buf, a, end)
    if pos < 0:
        return -1
    version = u8(buf, a + 1)
    stop = a + HEADER + be16(buf, a + 2)
    trailer = end - stop == 4 and be32(buf, stop) == FAMILY_PLUS << 24 | version << 16
    out[OUT_CLASS] = PLUS_CLASS + (version & 15)
    out[OUT_KIND] = KIND_LINK
    out[OUT_EVIDENCE] = 2 if trailer or (stop == end and pos > 0) else 1
    out[OUT_WORDS] = FAMILY_PLUS | version << 8
    if pos == 0:
        return 1
    opcode = u8(buf, pos)
    out[OUT_WORDS] |= opcode << 32
    if opcode == PLUS_NOTIFICATION:
        out[OUT_KIND] = KIND_UNSOLICITED
        out[OUT_FROM_CLIENT] = 0
        return 1
    function = be16(buf, pos + 3)
    out[OUT_TOKEN] = be16(buf, pos + 7)
    out[OUT_REPLY_KEY] = function
    if opcode == PLUS_REQUEST:
        out[OUT_KIND] = KIND_REQUEST
        quiet = stop - pos > 13 and u8(buf, pos + 13) & NO_RESPONSE
        out[OUT_EXPECT] = 0 if quiet else 1
        out[OUT_FROM_CLIENT] = 1
        if function == CREATE_OBJECT:
            out[OUT_FLAGS] = FLAG_IDENTITY
    else:
        out[OUT_KIND] = KIND_RESPONSE
        out[OUT_FROM_CLIENT] = 0
        refused = plus_error(buf, pos + 10, stop) >= 0x8000
        out[OUT_STATUS] = STATUS_REJECTED if refused else STATUS_ACCEPTED
        out[OUT_FLAGS] = FLAG_EXCEPTION if refused else 0
        if function in (CREATE_OBJECT, EXPLORE, GET_VAR_SUBSTREAMED):
            out[OUT_FLAGS] |= FLAG_IDENTITY
    out[OUT_WORDS] |= function << 16
    if opcode == PLUS_REQUEST and function == GET_VAR_SUBSTREAMED and stop - pos >= SUBSTREAM_ADDRESS + 10:
        # Object and attribute: the answers are so different that one of each may say who the server is.
        n: int = put_raw(buf, pos + SUBSTREAM_ADDRESS, pos + SUBSTREAM_ADDRESS + 10, out, ONE + 0)
        return n
    return 1
