"""Payload seen lately, in one ring that all flows share: what comes again is compared with it."""

from typing import Any

from otmon.wire.columns import (
    CTL_HISTORY,
    CTL_HISTORY_POS,
    F_HISTORY,
    HISTORY_BYTES,
    HISTORY_DEPTH,
    HISTORY_ENTRIES,
)
from otmon.wire.far import far
from otmon.wire.loads import copy, jit


@jit
def serial_diff(a: int, b: int) -> int:
    """a - b of 32-bit sequence numbers, signed (RFC 1982)."""
    return ((a - b + 0x80000000) & 0xFFFFFFFF) - 0x80000000


@jit
def remember(state: Any, buf: Any, a: int, e: int, flow: int, seq: int) -> None:
    """Append payload to the history, a ring that all flows share."""
    length = e - a
    if length <= 0 or length > HISTORY_BYTES // 64:
        return
    ctl = state.ctl
    pos = ctl[CTL_HISTORY_POS]
    at = pos % HISTORY_BYTES
    if at + length > HISTORY_BYTES:  # keep an entry in one piece
        pos += HISTORY_BYTES - at
        at = 0
    copy(state.history_bytes, at, buf, a, length)
    ctl[CTL_HISTORY_POS] = pos + length
    number = ctl[CTL_HISTORY] + 1
    ctl[CTL_HISTORY] = number
    entry = number % HISTORY_ENTRIES
    state.history[entry, 0] = state.flows[flow, F_HISTORY]
    state.history[entry, 1] = seq
    state.history[entry, 2] = length
    state.history[entry, 3] = pos
    state.flows[flow, F_HISTORY] = number


far_remember = far("remember", "v(sbiiii)", remember)


@jit
def _remembered(state: Any, number: int) -> int:
    """Row of the history entry `number`, -1 if it is none or its bytes are overwritten."""
    if number <= 0 or state.ctl[CTL_HISTORY] - number >= HISTORY_ENTRIES:
        return -1
    entry = number % HISTORY_ENTRIES
    return -1 if state.ctl[CTL_HISTORY_POS] - state.history[entry, 3] > HISTORY_BYTES else entry


@jit
def _same_bytes(state: Any, at: int, buf: Any, a: int, length: int) -> int:
    """Whether history_bytes[at:] and buf[a:] agree over `length` bytes."""
    for i in range(length):
        if state.history_bytes[at + i] != buf[a + i]:
            return 0
    return 1


@jit
def consistent(state: Any, buf: Any, a: int, e: int, flow: int, seq: int) -> int:
    """0 if some byte of buf[a:e] at `seq` differs from what the history still knows of it."""
    entry = _remembered(state, state.flows[flow, F_HISTORY])
    for _ in range(HISTORY_DEPTH):
        if entry < 0:
            break
        offset = serial_diff(state.history[entry, 1], seq)
        low, high = max(0, offset), min(e - a, offset + state.history[entry, 2])
        at = state.history[entry, 3] % HISTORY_BYTES - offset
        if low < high and not _same_bytes(state, at + low, buf, a + low, high - low):
            return 0
        entry = _remembered(state, state.history[entry, 0])
    return 1


@jit
def same_datagram(state: Any, buf: Any, a: int, e: int, flow: int) -> int:
    """Whether a recent datagram of this flow had these very bytes."""
    entry = _remembered(state, state.flows[flow, F_HISTORY])
    for _ in range(4):
        if entry < 0:
            break
        if state.history[entry, 2] == e - a:
            if _same_bytes(state, state.history[entry, 3] % HISTORY_BYTES, buf, a, e - a):
                return 1
        entry = _remembered(state, state.history[entry, 0])
    return 0


far_same_datagram = far("same_datagram", "i(sbiii)", same_datagram)
