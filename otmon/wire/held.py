"""One segment of a connection that overtook another, kept until that one comes: then both go on in their order. Where
anything else happens first the slow path takes it over (otmon.stream.slow), whose decisions these few are.
"""

from typing import Any, Final

from otmon.wire.columns import (
    C_SLOW,
    CTL_FRAME,
    F_BITS,
    F_HELD,
    F_SEQ,
    FB_OT,
    FLOW_PAYLOAD,
    G_ACK,
    G_CUT,
    G_END,
    G_FLAGS,
    G_L3,
    G_LENGTH,
    G_SEQ,
    G_SIG,
    G_START,
    SLOT_BYTES,
    SLOW_HELD,
)
from otmon.wire.deliver import free_slot, take_slot
from otmon.wire.far import far
from otmon.wire.flow import seen_before, sign
from otmon.wire.loads import copy, jit
from otmon.wire.room import room

SEQ: Final = 1
"""Words of a slot that holds a packet, from here on."""
ACK: Final = 2
FLAGS: Final = 3
LENGTH: Final = 4
TS: Final = 5
SIG: Final = 6
FRAME: Final = 7
START: Final = 8
"""Bytes of headers before the payload."""
END: Final = 9
"""Bytes of the packet."""
_PLAIN: Final = 16
"""Of the flags but PSH: ACK alone."""


@jit
def _plain(state: Any, flow: int, ts: int) -> int:
    """Whether the segment in work is whole, says nothing of the connection's state, and is no copy."""
    seg = state.seg
    if seg[G_FLAGS] & 0x37 != _PLAIN or seg[G_CUT] > 0 or seg[G_LENGTH] == 0:
        return 0
    return 0 if seen_before(state, flow, seg[G_SIG], ts, 1) else 1


@jit
def hold(state: Any, buf: Any, flow: int, ts: int) -> int:
    """The segment in work is behind a hole. 1: it is kept; 0: the slow path must take it as it came."""
    seg = state.seg
    first, end = seg[G_L3], seg[G_END]
    if end - first > SLOT_BYTES or not _plain(state, flow, ts):
        return 0
    slot = take_slot(state)
    if slot < 0:
        return 0
    copy(state.pool, slot * SLOT_BYTES, buf, first, end - first)
    words = state.slots[slot]
    words[SEQ], words[ACK], words[FLAGS] = seg[G_SEQ], seg[G_ACK], seg[G_FLAGS]
    words[LENGTH], words[TS], words[SIG] = seg[G_LENGTH], ts, seg[G_SIG]
    words[FRAME], words[START], words[END] = state.ctl[CTL_FRAME], seg[G_START] - first, end - first
    state.flows[flow, F_HELD] = slot
    state.flows[flow, F_BITS] |= FLOW_PAYLOAD
    state.conns[flow >> 1, C_SLOW] = SLOW_HELD
    state.frames[FB_OT] += 1
    sign(state, flow, seg[G_SIG], ts)
    return 1


far_hold = far("hold", "i(sbii)", hold)


@jit
def fills(state: Any, flow: int, ts: int) -> int:
    """Whether the segment in work is just what the one that is held has overtaken, and there is room for both."""
    slot, seg = state.flows[flow, F_HELD], state.seg
    if slot < 0 or seg[G_SEQ] != state.flows[flow, F_SEQ] or not _plain(state, flow, ts):
        return 0
    if (seg[G_SEQ] + seg[G_LENGTH]) & 0xFFFFFFFF != state.slots[slot, SEQ]:
        return 0
    return room(state, ((seg[G_LENGTH] + state.slots[slot, END]) >> 3) + 16)


far_fills = far("fills", "i(sii)", fills)


@jit
def forget_held(state: Any, flow: int) -> None:
    """What was held is on its way."""
    free_slot(state, state.flows[flow, F_HELD])
    state.flows[flow, F_HELD] = -1
    state.conns[flow >> 1, C_SLOW] = 0
