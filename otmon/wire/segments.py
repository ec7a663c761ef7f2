"""A TCP segment or UDP datagram of a known flow: copies, control, identification, payload; the general path."""

from collections.abc import Callable
from typing import Any

from otmon.wire.accounts import copied, foreign, without_stream
from otmon.wire.carriers import foreign_datagram
from otmon.wire.columns import (
    BB_SEEN,
    C_PROTO,
    C_SLOW,
    C_SYN_SEQ,
    CTL_FRAME,
    F_BITS,
    F_HELD,
    F_SEQ,
    FB_OT,
    FB_TRUNCATED,
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
    PROTO_NONE,
    PROTO_UNDECIDED,
    SLOT_BYTES,
    SLOW_HELD,
)
from otmon.wire.conflicts import far_urgent
from otmon.wire.flow import acknowledge, far_control, seen_before, sign
from otmon.wire.held import END, FRAME, LENGTH, SEQ, START, TS, far_fills, far_hold, forget_held
from otmon.wire.history import remember, same_datagram, serial_diff
from otmon.wire.identify import UNDECIDED
from otmon.wire.loads import jit


def make_segments(
    tcp_data: Callable[..., int],
    far_tcp_data: Callable[..., int],
    far_datagram: Callable[..., None],
    identify: Callable[..., int],
    datagrams: Callable[[int], int],
) -> tuple[Callable[..., int], Callable[..., int]]:
    """(`tcp`, `udp`) for these protocols."""

    @jit
    def let_go(state: Any, flow: int) -> None:
        """What was overtaken is through: on with the segment that is held."""
        slot, frame = state.flows[flow, F_HELD], state.ctl[CTL_FRAME]
        held, at = state.slots[slot], slot * SLOT_BYTES
        start, end = at + held[START], at + held[END]
        far_tcp_data(state, state.pool, at, start, end, held[LENGTH], flow, held[SEQ], held[TS], held[FRAME])
        state.ctl[CTL_FRAME] = frame
        forget_held(state, flow)

    @jit
    def tcp(state: Any, buf: Any, flow: int, ts: int) -> int:
        """The TCP segment in work; 1: the slow path must take it, and nothing was changed."""
        seg, conns, flows = state.seg, state.conns, state.flows
        conn = flow >> 1
        a, e, length = seg[G_START], seg[G_END], seg[G_LENGTH]
        seq, flags = seg[G_SEQ], seg[G_FLAGS]
        proto = conns[conn, C_PROTO]
        slow = conns[conn, C_SLOW]
        if slow and (slow != SLOW_HELD or not far_fills(state, flow, ts)):
            return 1
        if conns[conn, C_SYN_SEQ] >= 0 and (flags & 2 or (length and seq != flows[flow, F_SEQ])):
            return 1
        if seen_before(state, flow, seg[G_SIG], ts, 1):
            if length == 0 or proto == PROTO_NONE:
                copied(state, conn, e - a)
                return 0
            if serial_diff(seq, flows[flow, F_SEQ]) < 0:
                if proto >= 0 and tcp_data(state, buf, seg[G_L3], a, e, length, flow, seq, ts):
                    return 1
                copied(state, conn, 0)  # its bytes are in the accounts
                return 0
        if flags & 7 or flows[flow, F_SEQ] < 0:
            if far_control(state, flow, flags, seq, ts):
                return 1
            if flags & 2:
                seq = (seq + 1) & 0xFFFFFFFF
        acknowledge(state, flow, flags, seg[G_ACK])
        if length == 0 or flags & 4:
            without_stream(state, conn, e - a)
        else:
            if proto == PROTO_UNDECIDED:
                if flows[flow, F_SEQ] != seq:
                    return 1
                if identify(state, buf, a, e, flow) == UNDECIDED:
                    conns[conn, C_PROTO] = PROTO_UNDECIDED
                    return 1
                proto = conns[conn, C_PROTO]
            if proto >= 0:
                if tcp_data(state, buf, seg[G_L3], a, e, length, flow, seq, ts):
                    return 0 if far_hold(state, buf, flow, ts) else 1
                if flags & 32:
                    far_urgent(state, buf, seg[G_L3], a, e, flow, seq, ts)
                state.frames[FB_TRUNCATED if seg[G_CUT] > 0 else FB_OT] += 1
            else:
                foreign(state, conn, e - a, seg[G_CUT])
            flows[flow, F_BITS] |= FLOW_PAYLOAD
        sign(state, flow, seg[G_SIG], ts)
        if slow:
            let_go(state, flow)
        return 0

    @jit
    def udp(state: Any, buf: Any, flow: int, ts: int) -> int:
        """The datagram in work; 1: the slow path must take it."""
        seg, conns = state.seg, state.conns
        conn = flow >> 1
        a, e = seg[G_START], seg[G_END]
        proto = conns[conn, C_PROTO]
        if conns[conn, C_SLOW]:
            return 1
        copy = seen_before(state, flow, seg[G_SIG], ts, 0)
        if copy and (proto < 0 or same_datagram(state, buf, a, e, flow)):
            copied(state, conn, e - a)
            return 0
        if proto == PROTO_UNDECIDED:
            if identify(state, buf, a, e, flow) == UNDECIDED:
                return 1
            proto = conns[conn, C_PROTO]
            if proto >= 0 and not datagrams(proto):
                conns[conn, C_PROTO] = PROTO_NONE
                proto = PROTO_NONE
        if proto >= 0:
            state.bytes[BB_SEEN] += e - a
            remember(state, buf, a, a, e, flow, 0)
            far_datagram(state, buf, a, e, flow, ts)
            state.frames[FB_TRUNCATED if seg[G_CUT] > 0 else FB_OT] += 1
        else:
            foreign_datagram(state, buf, a, e, flow, seg[G_CUT])
        state.flows[flow, F_BITS] |= FLOW_PAYLOAD
        sign(state, flow, seg[G_SIG], ts)
        return 0

    return tcp, udp
