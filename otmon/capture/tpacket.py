"""The receive ring of AF_PACKET, TPACKET_V3 (Linux, include/uapi/linux/if_packet.h): the compiled walk over a block.

A block holds frames one behind another, each with a header that tells where it is, how long, when, and of a VLAN tag
that the kernel took off. All of it is in host order, read as little-endian: otmon.capture.ring refuses other hosts.
"""

from typing import Any, Final

from otmon.capture.batch import LINK_ETHERNET, REC_LENGTHS, REC_LINK, REC_OFFSET, REC_TS
from otmon.capture.walk import MAX_TS_NS
from otmon.limits import CLOCK_STEP_NS
from otmon.wire.far import far
from otmon.wire.loads import copy, jit, le16, le32

# --- struct tpacket_block_desc -------------------------------------------------------------------------------------
BLOCK_STATUS: Final = 8
"""Who owns the block: 0 the kernel; bit 0 set: the reader."""
_COUNT: Final = 12
_FIRST: Final = 16
"""Offset in the block of the first frame's header."""
BLOCK_BYTES: Final = 48

# --- struct tpacket3_hdr -------------------------------------------------------------------------------------------
_NEXT, _SECONDS, _NANOSECONDS, _CAPTURED, _WIRE, _STATUS, _MAC, _TCI, _TPID = 0, 4, 8, 12, 16, 20, 24, 32, 36
_HEADER_BYTES: Final = 48
FRAME_MIN_BYTES: Final = 68
"""The header and the address behind it (struct sockaddr_ll, 20 bytes, of no use here): a frame begins no earlier."""
_VLAN_VALID: Final = 0x10
_TPID_VALID: Final = 0x40
_ETHERTYPE_VLAN: Final = 0x8100
_MACS: Final = 12
_TAG: Final = 4

# --- state of the walk ---------------------------------------------------------------------------------------------
BEGIN: Final = 0
"""Where the block begins in the ring."""
END: Final = 1
"""Where it ends."""
AT: Final = 2
"""The next frame's header."""
LEFT: Final = 3
"""Frames still to come; UNOPENED before the first."""
ROWS: Final = 4
"""Rows of the record table in use."""
LINK: Final = 5
"""REC_LINK word of every record."""
LATEST_NS: Final = 6
"""Latest time as the kernel wrote it, since the last step."""
ADVANCE_NS: Final = 7
"""By how much times are advanced: the sum of all steps back."""
STEP_NS: Final = 8
"""Size of the latest step."""
STATE_SIZE: Final = 9
UNOPENED: Final = -1

DONE: Final = 0
STEPPED: Final = 1
"""The machine's clock went back before the last record; the walk goes on when called again."""
BROKEN: Final = 2
"""A header that cannot be: the rest of the block is not read. Never seen of a kernel."""


@jit
def _put_back(buf: Any, begin: int, tci: int, tpid: int) -> int:
    """Put a tag behind the MAC addresses, which move towards the front; returns where the frame now begins."""
    to = begin - _TAG
    copy(buf, to, buf, begin, _MACS)
    tag = tpid << 16 | tci
    for n in range(_TAG):
        buf[to + _MACS + n] = tag >> (24 - 8 * n) & 0xFF
    return to


@jit
def walk(buf: Any, state: Any, records: Any) -> int:
    """Append the frames of the block to the table, tags put back in place; returns DONE, STEPPED or BROKEN.

    `buf`: the ring, uint8; `state`: int64, STATE_SIZE, with LEFT = UNOPENED at the start of a block.
    """
    end, at, left, row = state[END], state[AT], state[LEFT], state[ROWS]
    if left == UNOPENED:
        begin = state[BEGIN]
        if begin + BLOCK_BYTES > end:
            return BROKEN
        left = le32(buf, begin + _COUNT)
        at = begin + max(le32(buf, begin + _FIRST), BLOCK_BYTES)
    latest, advance, link = state[LATEST_NS], state[ADVANCE_NS], state[LINK]
    rows = len(records)
    status = DONE
    while left > 0 and status == DONE:
        if row >= rows or at + FRAME_MIN_BYTES > end:
            status = BROKEN
            break
        following, captured, wire, mac = (
            le32(buf, at),
            le32(buf, at + _CAPTURED),
            le32(buf, at + _WIRE),
            le16(buf, at + _MAC),
        )
        begin = at + mac
        if mac < FRAME_MIN_BYTES or begin + captured > end or (left > 1 and following < mac + captured):
            status = BROKEN
            break
        flags = le32(buf, at + _STATUS)
        if flags & _VLAN_VALID != 0 and link == LINK_ETHERNET and captured >= _MACS:
            tpid = le16(buf, at + _TPID) if flags & _TPID_VALID != 0 else _ETHERTYPE_VLAN
            begin = _put_back(buf, begin, le32(buf, at + _TCI) & 0xFFFF, tpid)
            captured, wire = captured + _TAG, min(wire + _TAG, 0xFFFFFFFF)
        raw = le32(buf, at + _SECONDS) * 1_000_000_000 + le32(buf, at + _NANOSECONDS)
        if latest - raw > CLOCK_STEP_NS:
            # The clock goes on from where it was; it neither runs backwards nor stands still until it has caught up.
            state[STEP_NS] = latest - raw
            advance = min(advance + latest - raw, MAX_TS_NS)
            latest = raw
            status = STEPPED
        latest = max(latest, raw)
        records[row, REC_OFFSET] = begin
        records[row, REC_LENGTHS] = captured << 32 | max(wire, captured)
        records[row, REC_TS] = min(raw + advance, MAX_TS_NS)
        records[row, REC_LINK] = link
        row += 1
        left -= 1
        at += following
    state[AT], state[LEFT], state[ROWS] = at, left, row
    state[LATEST_NS], state[ADVANCE_NS] = latest, advance
    return status


def count(buf: Any, begin: int) -> int:
    """Frames of the block that begins there, as the kernel has written it."""
    return int.from_bytes(buf[begin + _COUNT : begin + _COUNT + 4].tobytes(), "little")


far_walk = far("walk_ring", "i(bwr)", walk)
