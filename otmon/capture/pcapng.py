"""The pcapng file format (draft-ietf-opsawg-pcapng): sections, interfaces, the compiled walk over packet blocks."""

import struct
from typing import Any, Final

import numpy as np

from otmon.capture.batch import REC_LENGTHS, REC_LINK, REC_OFFSET, REC_TS
from otmon.capture.linktypes import link_word
from otmon.capture.walk import (
    BAD_BLOCK,
    BAD_INTERFACE,
    BAD_LENGTH,
    BIG,
    FILL,
    FULL,
    INTERFACES,
    LAST_NS,
    MAX_TS_NS,
    MORE,
    POS,
    RARE,
    ROWS,
)
from otmon.limits import MAX_FRAME_BYTES, MAX_PCAPNG_BLOCK_BYTES, MAX_PCAPNG_INTERFACES
from otmon.wire.far import far
from otmon.wire.loads import be16, be32, jit, le16, le32

MAGIC: Final = b"\x0a\x0d\x0d\x0a"
SECTION: Final = 0x0A0D0D0A
INTERFACE: Final = 1
OBSOLETE_PACKET: Final = 2
SIMPLE_PACKET: Final = 3
ENHANCED_PACKET: Final = 6
_ORDERS: Final = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_IF_TSRESOL: Final = 9
_IF_TSOFFSET: Final = 14

# Columns of the interface table.
WORD: Final = 0
"""REC_LINK of its frames."""
MULTIPLIER: Final = 1
"""Nanoseconds = units * MULTIPLIER // DIVISOR (one of them is 1) for powers of ten; both 0 for powers of two."""
DIVISOR: Final = 2
SHIFT: Final = 3
"""Units are 2**-SHIFT seconds."""
OFFSET_NS: Final = 4
SNAPLEN: Final = 5
LIMIT: Final = 6
"""Up to so many units the time is a product: most that are not past MAX_TS_NS; -1 where DIVISOR is not 1."""
INTERFACE_COLUMNS: Final = 7


def empty_interfaces() -> Any:
    """An interface table; its unused rows read as an interface that is not decoded, in microseconds."""
    table = np.zeros((MAX_PCAPNG_INTERFACES + 1, INTERFACE_COLUMNS), np.int64)
    table[:, MULTIPLIER], table[:, DIVISOR], table[:, LIMIT] = 1000, 1, MAX_TS_NS // 1000
    return table


def section(block: bytes, state: Any) -> str | None:
    """Begin a section: set its byte order in `state` and forget the interfaces. Returns what is wrong, if anything is.

    `block` is at least the first 16 bytes of a section header block.
    """
    order = _ORDERS.get(block[8:12])
    if order is None:
        return "section without a byte-order mark"
    major, minor = struct.unpack(order + "HH", block[12:16])
    if major != 1:
        return f"pcapng version {major}.{minor} is not known (1.0 is)"
    state[BIG], state[INTERFACES] = int(order == ">"), 0
    return None


def section_length(start: bytes) -> int:
    """Total length of the section header block whose first 12 bytes these are; 0 if it has no byte-order mark."""
    order = _ORDERS.get(start[8:12])
    return int(struct.unpack(order + "I", start[4:8])[0]) if order else 0


def interface(block: bytes, state: Any, table: Any) -> int:
    """Add the interface of a whole interface description block to the table; returns its link type."""
    order = ">" if state[BIG] else "<"
    link_type, _, snaplen = struct.unpack(order + "HHI", block[8:16])
    multiplier, divisor, shift, offset_s = 1000, 1, 0, 0
    at, end = 16, len(block) - 4
    while at + 4 <= end:
        code, length = struct.unpack_from(order + "HH", block, at)
        at += 4
        if code == 0 or at + length > end:
            break
        if code == _IF_TSRESOL and length == 1:
            multiplier, divisor, shift = _resolution(block[at])
        elif code == _IF_TSOFFSET and length == 8:
            (offset_s,) = struct.unpack_from(order + "q", block, at)
        at += (length + 3) & ~3
    number = int(state[INTERFACES])
    # One less than the largest time, so that their sum is still an int64.
    offset_ns = max(1 - MAX_TS_NS, min(MAX_TS_NS - 1, offset_s * 1_000_000_000))
    table[number] = (
        link_word(link_type, number),
        multiplier,
        divisor,
        shift,
        offset_ns,
        snaplen,
        MAX_TS_NS // multiplier if divisor == 1 else -1,
    )
    state[INTERFACES] = number + 1
    return int(link_type)


def _resolution(value: int) -> tuple[int, int, int]:
    if value & 0x80:
        return 0, 0, value & 0x7F
    # Past 10**-18 s the whole 64-bit range is less than 20 seconds: no time of day at all.
    return (10 ** (9 - value), 1, 0) if value <= 9 else (1, 10 ** min(value - 9, 9), 0)


@jit
def time_ns(high: int, low: int, table: Any, row: int) -> int:
    """A 64-bit time stamp (unsigned, as two 32-bit words) of an interface, as ns since 1970 in 0..MAX_TS_NS."""
    multiplier, divisor, shift = table[row, MULTIPLIER], table[row, DIVISOR], table[row, SHIFT]
    if divisor == 1:
        units = high << 32 | low
        ns = units * multiplier if high < 1 << 31 and units <= table[row, LIMIT] else MAX_TS_NS
    elif divisor > 1:
        # Long division by words: the top bit may be set, and signed 64-bit words have no room for it.
        ns = min(high // divisor << 32 | (high % divisor << 32 | low) // divisor, MAX_TS_NS)
    else:
        ns = _binary_ns(high, low, shift)
    ns = max(0, min(MAX_TS_NS, ns + table[row, OFFSET_NS]))
    return int(ns)


@jit
def _binary_ns(high: int, low: int, shift: int) -> int:
    # Units of 2**-shift s = whole seconds and a fraction, of which 32 bits (a quarter ns) are kept.
    if shift == 0:
        seconds, fraction = (high << 32 | low if high < 1 << 30 else MAX_TS_NS), 0
    elif shift < 32:
        seconds = high << (32 - shift) | low >> shift
        fraction = (low & ((1 << shift) - 1)) << (32 - shift)
    elif shift < 64:
        seconds = high >> (shift - 32)
        kept = high & ((1 << (shift - 32)) - 1)
        fraction = kept << (64 - shift) | low >> (shift - 32)
    elif shift < 96:
        seconds, fraction = 0, high >> (shift - 64)
    else:
        seconds, fraction = 0, 0
    if seconds > MAX_TS_NS // 1_000_000_000:
        return MAX_TS_NS
    return seconds * 1_000_000_000 + (fraction * 1_000_000_000 >> 32)


@jit
def walk(buf: Any, state: Any, table: Any, records: Any) -> int:
    """Append the packets at state[POS] to the table, skip blocks of no interest; see `otmon.capture.walk`."""
    pos, fill, row, big = state[POS], state[FILL], state[ROWS], state[BIG]
    interfaces, last_ns = state[INTERFACES], state[LAST_NS]
    rows = len(records)
    status = MORE
    while pos + 12 <= fill:
        if row >= rows:
            status = FULL
            break
        kind = be32(buf, pos) if big == 1 else le32(buf, pos)
        if kind == SECTION:
            status = RARE  # its length may be in the other byte order
            break
        length = be32(buf, pos + 4) if big == 1 else le32(buf, pos + 4)
        if length < 12 or length & 3 != 0 or length > MAX_PCAPNG_BLOCK_BYTES:
            status = BAD_BLOCK
            break
        if pos + length > fill:
            break
        trailer = be32(buf, pos + length - 4) if big == 1 else le32(buf, pos + length - 4)
        if trailer != length:
            status = BAD_BLOCK
            break
        if kind in (ENHANCED_PACKET, OBSOLETE_PACKET):
            if length < 32:
                status = BAD_BLOCK
                break
            if kind == ENHANCED_PACKET:
                number = be32(buf, pos + 8) if big == 1 else le32(buf, pos + 8)
            else:
                number = be16(buf, pos + 8) if big == 1 else le16(buf, pos + 8)
            if big == 1:
                high, low = be32(buf, pos + 12), be32(buf, pos + 16)
                captured, wire = be32(buf, pos + 20), be32(buf, pos + 24)
            else:
                high, low = le32(buf, pos + 12), le32(buf, pos + 16)
                captured, wire = le32(buf, pos + 20), le32(buf, pos + 24)
            begin = pos + 28
            if number >= interfaces:
                status = BAD_INTERFACE
                break
            number = min(number, MAX_PCAPNG_INTERFACES)
            ts_ns = -1
            if high < 1 << 31 and (high << 32 | low) <= table[number, LIMIT]:
                ts_ns = (high << 32 | low) * table[number, MULTIPLIER] + table[number, OFFSET_NS]
            if ts_ns < 0 or ts_ns > MAX_TS_NS:
                ts_ns = time_ns(high, low, table, number)
        elif kind == SIMPLE_PACKET:
            if length < 16:
                status = BAD_BLOCK
                break
            if interfaces == 0:
                status = BAD_INTERFACE
                break
            wire = be32(buf, pos + 8) if big == 1 else le32(buf, pos + 8)
            begin, number, ts_ns = pos + 12, 0, last_ns
            captured = min(wire, length - 16)
            if table[0, SNAPLEN] > 0:
                captured = min(captured, table[0, SNAPLEN])
        else:
            if kind == INTERFACE:
                if length < 20:
                    status = BAD_BLOCK
                    break
                if interfaces < MAX_PCAPNG_INTERFACES:
                    status = RARE
                    break
                interfaces += 1
            pos += length
            continue
        if captured > MAX_FRAME_BYTES:
            status = BAD_LENGTH
            break
        if begin + captured + 4 > pos + length:
            status = BAD_BLOCK
            break
        records[row, REC_OFFSET] = begin
        records[row, REC_LENGTHS] = captured << 32 | max(wire, captured)
        records[row, REC_TS] = ts_ns
        records[row, REC_LINK] = table[number, WORD]
        last_ns = ts_ns
        row += 1
        pos += length
    state[POS], state[ROWS], state[INTERFACES], state[LAST_NS] = pos, row, interfaces, last_ns
    return status


far_walk = far("walk_pcapng", "i(bwrr)", walk)
