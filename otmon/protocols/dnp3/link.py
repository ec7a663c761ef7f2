"""DNP3 link frames and transport segments (IEEE 1815-2012, clauses 8 and 9), compiled.

A frame is `05 64 length control destination(2) source(2) CRC(2)`, then up to 250 octets of user data in blocks of 16,
each with a CRC. The first octet of user data is the transport header; the rest is a segment of an application fragment.

The canonical PDU is the link header without its CRC (8 octets; of the first frame), the transport octet (of the last
frame), the application fragment; of a frame without user data the 8 octets alone.
"""

from typing import Any, Final

from otmon.limits import MAX_INTERLEAVED, MAX_PDU_BYTES
from otmon.protocols.dnp3.crc import BLOCK_BYTES, crc16
from otmon.wire.contract import (
    NEED_MORE,
    NOT_THIS,
    UNWRAP_BAD,
    UNWRAP_BUILT,
    UNWRAP_DROPPED,
    UNWRAP_FAULT,
    UNWRAP_KEPT,
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
TRAILER: Final = 6
MAX_WIRE: Final = 1 << 24
"""Octets of the frames of one fragment: empty segments would add to them for ever."""
FAULT_BLOCK_CRC: Final = 1
FAULT_WITHOUT_FIRST: Final = 2
FAULT_SEQUENCE: Final = 3
FAULT_TOO_LONG: Final = 4
FAULT_UNFINISHED: Final = 5
FAULT_TOO_MANY: Final = 6
FAULT_NAMES: Final = {
    FAULT_BLOCK_CRC: "block_crc",
    FAULT_WITHOUT_FIRST: "segment_without_first",
    FAULT_SEQUENCE: "segment_sequence",
    FAULT_TOO_LONG: "fragment_too_long",
    FAULT_UNFINISHED: "fragment_unfinished",
    FAULT_TOO_MANY: "too_many_fragments",
}
"""What is wrong with a frame whose header is right, or with the fragment it belongs to."""
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
def _fault(status: int, fault: int, kept: int) -> int:
    return status | fault << UNWRAP_FAULT | kept << UNWRAP_KEPT


@jit
def _store_trailer(asm: Any, at: int, octets: int, wire: int) -> None:
    """Behind an unfinished fragment at asm[at]: how long it is, and how many octets its frames had."""
    for i in range(2):
        asm[at + i] = octets >> 8 * i & 255
    for i in range(4):
        asm[at + 2 + i] = wire >> 8 * i & 255


@jit
def _addresses_at(asm: Any, buf: Any, start: int, fill: int) -> tuple[int, int]:
    """(where the fragment of this frame's addresses ends with its trailer or -1, wire bytes of all others)."""
    found, others = -1, 0
    while fill > 0:
        begin = fill - TRAILER - le16(asm, fill - TRAILER)
        if found < 0 and le32(asm, begin + 4) == le32(buf, start + 4):  # both addresses at once
            found = fill
        else:
            others += le32(asm, fill - 4)
        fill = begin
    return found, others


@jit
def _turn(asm: Any, first: int, end: int) -> None:
    """Reverse asm[first:end]."""
    while first < end - 1:
        end -= 1
        octet = asm[first]
        asm[first] = asm[end]
        asm[end] = octet
        first += 1


@jit
def _lift(asm: Any, end: int, fill: int) -> int:
    """Move the fragment that ends at `end` behind all others; where it begins then."""
    begin = end - TRAILER - le16(asm, end - TRAILER)
    if end < fill:
        _turn(asm, begin, end)
        _turn(asm, end, fill)
        _turn(asm, begin, fill)
    return fill - (end - begin)


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
def _first(buf: Any, start: int, needed: int, asm: Any, fill: int) -> tuple[int, int, int]:
    """(status, where a new fragment is put, wire bytes kept) with others in asm[:fill]; `needed`: octets of room."""
    end, kept = _addresses_at(asm, buf, start, fill)
    status = 0
    if end >= 0:
        # One between the same addresses was never ended.
        fill = _lift(asm, end, fill)
        status = UNWRAP_DROPPED | FAULT_UNFINISHED << UNWRAP_FAULT
    count, at = 0, fill
    while at > 0:
        at -= TRAILER + le16(asm, at - TRAILER)
        count += 1
    if count >= MAX_INTERLEAVED or fill + needed > MAX_PDU_BYTES:
        return UNWRAP_DROPPED | FAULT_TOO_MANY << UNWRAP_FAULT, 0, 0
    return status, fill, kept


@jit
def unwrap(buf: Any, start: int, end: int, asm: Any, fill: int) -> tuple[int, int, int]:
    """Check every block and assemble the application fragment in `asm`; frames without user data stay in place.

    Fragments of other addresses, not ended yet, stay in asm one behind the other, each with a trailer: its octets (2),
    and the octets of its frames (4).
    """
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
            return _fault(UNWRAP_BAD, FAULT_BLOCK_CRC, 0), 0, 0
        at = stored + 2
    octet = u8(buf, body)
    status, kept, base, wire = 0, 0, 0, end - start
    # Sums of constants: see frame.
    if octet & TRANSPORT_FIR:
        if fill > 0:
            status, base, kept = _first(buf, start, APPLICATION - 1 + data + TRAILER, asm, fill)
        copy(asm, base, buf, start, APPLICATION - 1)
        fill = base + APPLICATION
    else:
        found = -1
        if fill > 0:
            found, kept = _addresses_at(asm, buf, start, fill)
        if found < 0:
            return _fault(UNWRAP_BAD, FAULT_WITHOUT_FIRST, 0), 0, 0
        base = _lift(asm, found, fill)
        whole = fill
        fill -= TRAILER
        before = u8(asm, base + TRANSPORT)
        again = fill - data + 1
        if octet == before and again >= base + APPLICATION and _repeats(buf, body, data, asm, again):
            _store_trailer(asm, fill, fill - base, le32(asm, fill + 2) + wire)
            return UNWRAP_MORE, 0, whole
        wire += le32(asm, fill + 2)
        if (octet - before - 1) & TRANSPORT_SEQUENCE:
            return _fault(UNWRAP_BAD | UNWRAP_DROPPED, FAULT_SEQUENCE, kept), 0, base
        if fill + data - 1 + TRAILER > MAX_PDU_BYTES or wire > MAX_WIRE:
            if kept > 0 and wire <= MAX_WIRE:
                return _fault(UNWRAP_BAD | UNWRAP_DROPPED, FAULT_TOO_MANY, 0), 0, 0
            return _fault(UNWRAP_BAD | UNWRAP_DROPPED, FAULT_TOO_LONG, kept), 0, base
    at = body + 1
    while at < behind:
        stored = min(body + BLOCK_BYTES, behind - 2)
        copy(asm, fill, buf, at, stored - at)
        fill += stored - at
        body = at = stored + 2
    asm[base + TRANSPORT] = octet
    if octet & TRANSPORT_FIN:
        return _fault(UNWRAP_BUILT | status, 0, kept), base, fill
    _store_trailer(asm, fill, fill - base, wire)
    return _fault(UNWRAP_MORE | status, 0, kept if status else 0), 0, fill + TRAILER
