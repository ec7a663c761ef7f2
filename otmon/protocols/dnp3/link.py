"""DNP3 link frames and transport segments (IEEE 1815-2012, clauses 8 and 9), compiled.

A frame is `05 64 length control destination(2) source(2) CRC(2)`, then up to 250 octets of user data in blocks of 16,
each with a CRC. The first octet of user data is the transport header; the rest is a segment of an application fragment.

The canonical PDU is the link header without its CRC (8 octets; of the first frame), the transport octet (of the last
frame), the application fragment; of a frame without user data the 8 octets alone.
"""

from typing import Any, Final

from otmon.limits import MAX_PDU_BYTES
from otmon.protocols.dnp3.crc import BLOCK_BYTES, crc16
from otmon.wire.contract import (
    NEED_MORE,
    NOT_THIS,
    UNWRAP_BAD,
    UNWRAP_BUILT,
    UNWRAP_DROPPED,
    UNWRAP_MORE,
    UNWRAP_WHOLE,
)
from otmon.wire.loads import copy, jit, le16, le32, u8

LINK_BYTES: Final = 8
"""Link header without CRC, as it stands in the canonical PDU."""
HEADER_BYTES: Final = 10
TRANSPORT: Final = 8
APPLICATION: Final = 9
"""Offsets in the canonical PDU."""
MIN_LENGTH: Final = 5
DIR: Final = 0x80
PRM: Final = 0x40
TRANSPORT_FIN: Final = 0x80
TRANSPORT_FIR: Final = 0x40
TRANSPORT_SEQUENCE: Final = 0x3F


@jit
def frame(buf: Any, start: int, end: int) -> int:
    """Bytes of the link frame at `start`, with its CRCs; NEED_MORE or NOT_THIS. Its header's CRC is right."""
    size = end - start
    if size > 0 and u8(buf, start) != 0x05:
        return NOT_THIS
    if size > 1 and u8(buf, start + 1) != 0x64:
        return NOT_THIS
    if size > 2 and u8(buf, start + 2) < MIN_LENGTH:
        return NOT_THIS
    if size < HEADER_BYTES:
        return NEED_MORE
    # Numba compiles a callee anew for each literal argument; sums of constants are none.
    if crc16(buf, start, HEADER_BYTES - 2) != le16(buf, start + LINK_BYTES):
        return NOT_THIS
    data = u8(buf, start + 2) - MIN_LENGTH
    return HEADER_BYTES + data + 2 * ((data + BLOCK_BYTES - 1) // BLOCK_BYTES)


@jit
def _repeats(buf: Any, start: int, data: int, asm: Any, at: int) -> bool:
    """Whether this segment is, octet for octet, what stands at asm[at:]: a link layer repeats, clause 8 ignores it."""
    i = 1
    while i < data:
        if u8(asm, at) != u8(buf, start + i + 2 * (i >> 4)):
            return False
        at += 1
        i += 1
    return True


@jit
def unwrap(buf: Any, start: int, end: int, asm: Any, fill: int) -> tuple[int, int, int]:
    """Check every block and assemble the application fragment in `asm`; frames without user data stay in place."""
    if end - start < HEADER_BYTES:
        return UNWRAP_BAD, 0, 0
    data = u8(buf, start + 2) - MIN_LENGTH
    if data == 0:
        return UNWRAP_WHOLE, start, start + LINK_BYTES
    body = start + HEADER_BYTES
    behind = body + data + 2 * ((data + BLOCK_BYTES - 1) >> 4)
    if data < 0 or end < behind:
        return UNWRAP_BAD, 0, 0
    at = body
    while at < behind:
        stored = min(at + BLOCK_BYTES, behind - 2)
        if crc16(buf, at, stored - at) != le16(buf, stored):
            return UNWRAP_BAD, 0, 0
        at = stored + 2
    octet = u8(buf, body)
    dropped = 0
    # Sums of constants: see frame.
    if octet & TRANSPORT_FIR:
        if fill > 0:
            dropped, fill = UNWRAP_DROPPED, 0
        copy(asm, fill, buf, start, APPLICATION - 1)
        fill = APPLICATION
    else:
        if fill < APPLICATION:
            return UNWRAP_BAD, 0, 0
        # Both addresses at once.
        if le32(buf, start + 4) != le32(asm, LINK_BYTES - 4):
            return UNWRAP_BAD | UNWRAP_DROPPED, 0, 0
        before = u8(asm, APPLICATION - 1)
        again = fill - data + 1
        if octet == before and again >= APPLICATION and _repeats(buf, body, data, asm, again):
            return UNWRAP_MORE, 0, fill
        if (octet - before - 1) & TRANSPORT_SEQUENCE or fill + data - 1 > MAX_PDU_BYTES:
            return UNWRAP_BAD | UNWRAP_DROPPED, 0, 0
    at = body + 1
    while at < behind:
        stored = min(body + BLOCK_BYTES, behind - 2)
        copy(asm, fill, buf, at, stored - at)
        fill += stored - at
        body = at = stored + 2
    asm[TRANSPORT] = octet
    return (UNWRAP_BUILT if octet & TRANSPORT_FIN else UNWRAP_MORE) | dropped, 0, fill
