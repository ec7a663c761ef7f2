"""Packets with payload seen lately, in one ring that all flows share: what comes again is compared with them."""

from typing import Any

from otmon.wire.columns import (
    CTL_HISTORY,
    CTL_HISTORY_POS,
    F_ASM,
    F_CARRY,
    F_HISTORY,
    HISTORY_BEGINS,
    HISTORY_BYTES,
    HISTORY_ENTRIES,
    HISTORY_HEAD,
)
from otmon.wire.far import far
from otmon.wire.loads import copy, jit


@jit
def serial_diff(a: int, b: int) -> int:
    """a - b of 32-bit sequence numbers, signed (RFC 1982)."""
    return ((a - b + 0x80000000) & 0xFFFFFFFF) - 0x80000000


@jit
def remember(state: Any, buf: Any, head: int, a: int, e: int, flow: int, seq: int) -> None:
    """Append payload buf[a:e] and the headers before it, from `head` on, to a ring that all flows share."""
    length = e - head
    if e <= a or length > HISTORY_BYTES // 16:
        return
    ctl = state.ctl
    pos = ctl[CTL_HISTORY_POS]
    at = pos % HISTORY_BYTES
    if at + length > HISTORY_BYTES:  # keep an entry in one piece
        pos += HISTORY_BYTES - at
        at = 0
    copy(state.history_bytes, at, buf, head, length)
    ctl[CTL_HISTORY_POS] = pos + length
    number = ctl[CTL_HISTORY] + 1
    ctl[CTL_HISTORY] = number
    entry = number % HISTORY_ENTRIES
    row = state.flows[flow]
    begins = HISTORY_BEGINS if row[F_CARRY] < 0 and row[F_ASM] < 0 else 0
    state.history[entry, 0] = row[F_HISTORY]
    state.history[entry, 1] = seq
    state.history[entry, 2] = (e - a) | (a - head) << HISTORY_HEAD | begins
    state.history[entry, 3] = pos
    row[F_HISTORY] = number


far_remember = far("remember", "v(sbiiiii)", remember)


@jit
def remembered(state: Any, number: int) -> int:
    """Row of the history entry `number`, -1 if it is none or its bytes are overwritten."""
    if number <= 0 or state.ctl[CTL_HISTORY] - number >= HISTORY_ENTRIES:
        return -1
    entry = number % HISTORY_ENTRIES
    return -1 if state.ctl[CTL_HISTORY_POS] - state.history[entry, 3] > HISTORY_BYTES else entry


@jit
def same_bytes(state: Any, at: int, buf: Any, a: int, length: int) -> int:
    """Whether history_bytes[at:] and buf[a:] agree over `length` bytes."""
    for i in range(length):
        if state.history_bytes[at + i] != buf[a + i]:
            return 0
    return 1


@jit
def newest(state: Any, flow: int) -> int:
    """Row of the flow's newest history entry, -1: none."""
    return remembered(state, state.flows[flow, F_HISTORY])


@jit
def older(state: Any, entry: int) -> int:
    """Row of the entry of the same flow before this one, -1: none."""
    return remembered(state, state.history[entry, 0])


@jit
def length_of(state: Any, entry: int) -> int:
    """Bytes of payload of an entry."""
    return state.history[entry, 2] & (1 << HISTORY_HEAD) - 1


@jit
def payload_of(state: Any, entry: int) -> int:
    """Where in history_bytes the payload of an entry is."""
    return state.history[entry, 3] % HISTORY_BYTES + (state.history[entry, 2] >> HISTORY_HEAD & 0xFFFF)


@jit
def same_datagram(state: Any, buf: Any, a: int, e: int, flow: int) -> int:
    """Whether a recent datagram of this flow had these very bytes."""
    entry = newest(state, flow)
    for _ in range(4):
        if entry < 0:
            break
        if length_of(state, entry) == e - a:
            if same_bytes(state, payload_of(state, entry), buf, a, e - a):
                return 1
        entry = older(state, entry)
    return 0


far_same_datagram = far("same_datagram", "i(sbiii)", same_datagram)
