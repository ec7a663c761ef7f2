"""Two readings of one stream: bytes that came again and are not the same, and urgent data (decision 0011)."""

from typing import Any

from otmon.wire.checksums import RIGHT, UNSURE, WRONG, transport_at, verify
from otmon.wire.columns import (
    C_CLIENT,
    CTL_EV_BYTES,
    CTL_FRAME,
    E_CONN,
    E_COUNT,
    E_FIRST,
    E_FRAME,
    E_FROM_CLIENT,
    E_LEN,
    E_OFF,
    E_WHY,
    EV_CONFLICT,
    HISTORY_BEGINS,
    HISTORY_DEPTH,
    HISTORY_RIGHT,
    HISTORY_UNSURE,
    HISTORY_WRONG,
    WHY_EITHER,
    WHY_FIRST_WRONG,
    WHY_LATER_WRONG,
    WHY_UNKNOWN,
    WHY_UNSURE,
    WHY_URGENT,
)
from otmon.wire.events import event_row
from otmon.wire.far import far
from otmon.wire.history import length_of, newest, older, payload_of, same_bytes, serial_diff
from otmon.wire.loads import be16, copy, jit

SAME, UNKNOWN = -1, -2
BESIDE = 4096
"""Bytes of a reading before the segment that began it, and behind: any PDU that is whole, but for the very longest."""
OTHERS = 4
"""Segments of the same sender that tell whether its checksums mean anything."""


@jit
def unlike(state: Any, buf: Any, a: int, e: int, flow: int, seq: int) -> int:
    """History entry with which buf[a:e] at `seq` disagrees; SAME, or UNKNOWN if the history does not know all of it."""
    entry = newest(state, flow)
    unknown = e - a
    for _ in range(HISTORY_DEPTH):
        if entry < 0 or unknown <= 0:
            break
        offset = serial_diff(state.history[entry, 1], seq)
        low, high = max(0, offset), min(e - a, offset + length_of(state, entry))
        if high <= 0:
            break  # older ones are further back
        if low < high:
            if not same_bytes(state, payload_of(state, entry) - offset + low, buf, a + low, high - low):
                return entry
            unknown -= high - low
        entry = older(state, entry)
    return UNKNOWN if unknown > 0 else SAME


@jit
def _verified(state: Any, entry: int) -> int:
    """Checksums of a remembered packet."""
    word = state.history[entry, 2]
    if word & HISTORY_RIGHT:
        return RIGHT
    if word & HISTORY_WRONG:
        return WRONG
    if word & HISTORY_UNSURE:
        return UNSURE
    payload = payload_of(state, entry)
    return verify(state.history_bytes, payload - (word >> 32 & 0xFFFF), payload + length_of(state, entry))


@jit
def why(state: Any, buf: Any, head: int, e: int, flow: int, first: int) -> int:
    """Which of two readings the device did not take: that of the entry `first`, or that of the packet buf[head:e].

    A sender whose other packets all have wrong checksums leaves them to its network card, and was captured there.
    """
    one, two = _verified(state, first), verify(buf, head, e)
    if one == UNSURE or two == UNSURE:
        return WHY_UNSURE
    if one == two:
        return WHY_EITHER if one == RIGHT else WHY_UNSURE
    entry, wrong, right = newest(state, flow), 0, 0
    for _ in range(OTHERS):
        if entry < 0:
            break
        if entry != first:
            said = _verified(state, entry)
            wrong += said == WRONG
            right += said == RIGHT
        entry = older(state, entry)
    if wrong and not right:
        return WHY_UNSURE
    return WHY_FIRST_WRONG if one == WRONG else WHY_LATER_WRONG


@jit
def hand_up(state: Any, buf: Any, a: int, e: int, news: int, flow: int, seq: int, ts: int, cause: int) -> None:
    """The stream as buf[a:e] at `seq` has it, from the PDU that it is within to what is known behind it.

    `news`: so many of these bytes are what it is about; requests in the others are in the first reading as well.
    Bytes that cannot be compared any more stand alone.
    """
    size = e - a
    low, top, edge = 0, size, 1 << 33
    entry = newest(state, flow) if cause != WHY_UNKNOWN or size == 0 else -1
    for _ in range(HISTORY_DEPTH):
        if entry < 0:
            break
        start = serial_diff(state.history[entry, 1], seq)
        stop = start + length_of(state, entry)
        if stop < edge and edge > size:
            top = max(size, stop)  # the newest, or what is above begins behind a hole
        if stop < min(edge, 0) or start < -BESIDE:
            break
        edge = start
        if start <= 0 and state.history[entry, 2] & HISTORY_BEGINS:
            low = start
            break
        entry = older(state, entry)
    top = size if cause == WHY_URGENT else min(top, size + BESIDE)
    ctl = state.ctl
    at = ctl[CTL_EV_BYTES]
    entry = newest(state, flow) if low < 0 or top > size else -1
    for _ in range(HISTORY_DEPTH):
        if entry < 0:
            break
        start = serial_diff(state.history[entry, 1], seq)
        begin, end = max(start, low), min(start + length_of(state, entry), top)
        if begin < end:
            copy(
                state.ev_bytes,
                at + begin - low,
                state.history_bytes,
                payload_of(state, entry) + begin - start,
                end - begin,
            )
        if start <= low:
            break
        entry = older(state, entry)
    copy(state.ev_bytes, at - low, buf, a, size)
    row = event_row(state, EV_CONFLICT, ts)
    ev, client = state.events, state.conns[flow >> 1, C_CLIENT]
    ev[row, E_CONN] = flow >> 1
    ev[row, E_FROM_CLIENT] = 1 if client == flow & 1 else 0
    ev[row, E_OFF] = at
    ev[row, E_LEN] = top - low
    ev[row, E_FIRST] = -low
    ev[row, E_COUNT] = news
    ev[row, E_WHY] = cause
    ev[row, E_FRAME] = ctl[CTL_FRAME]
    ctl[CTL_EV_BYTES] = at + top - low


@jit
def rewrite(state: Any, buf: Any, a: int, e: int, flow: int, seq: int) -> None:
    """Let the history have buf[a:e] at `seq`: the readings that follow go on with it."""
    entry = newest(state, flow)
    for _ in range(HISTORY_DEPTH):
        if entry < 0:
            break
        start = serial_diff(state.history[entry, 1], seq)
        low, high = max(0, start), min(e - a, start + length_of(state, entry))
        if low < high:
            said = _verified(state, entry)
            state.history[entry, 2] |= (
                HISTORY_RIGHT if said == RIGHT else HISTORY_WRONG if said == WRONG else HISTORY_UNSURE
            )
            copy(state.history_bytes, payload_of(state, entry) + low - start, buf, a + low, high - low)
        if start <= 0:
            break
        entry = older(state, entry)


@jit
def reading(state: Any, flow: int, ts: int) -> None:
    """The end of a PDU whose beginning came with other bytes as well: the other reading is whole now."""
    entry = newest(state, flow)
    if entry >= 0:
        hand_up(state, state.scratch, 0, 0, 1, flow, state.history[entry, 1], ts, WHY_UNKNOWN)


far_reading = far("reading", "v(sii)", reading)


@jit
def urgent(state: Any, buf: Any, head: int, a: int, e: int, flow: int, seq: int, ts: int) -> None:
    """A segment with urgent data: the device may take one byte out of the stream (RFC 6093), and read the rest."""
    tcp = transport_at(buf, head, e)
    if tcp < 0 or tcp + 20 > e:
        return
    place = be16(buf, tcp + 18) - 1
    if 0 <= place < e - a <= BESIDE:
        copy(state.scratch, 0, buf, a, place)
        copy(state.scratch, place, buf, a + place + 1, e - a - place - 1)
        hand_up(state, state.scratch, 0, e - a - 1, e - a - 1, flow, seq, ts, WHY_URGENT)
    else:
        hand_up(state, buf, a, a, 0, flow, seq, ts, WHY_URGENT)


far_urgent = far("urgent", "v(sbiiiiii)", urgent)
