"""Connections: exact lookup, roles, copies, and the TCP sequence as far as it is simple."""

from collections.abc import Callable
from typing import Any

from otmon.wire.accounts import bad
from otmon.wire.columns import (
    BB_COPY,
    BB_SEEN,
    C_BEGUN,
    C_CLIENT,
    C_CLOSED,
    C_FIRST_FRAME,
    C_FIRST_TS,
    C_GAP_TS,
    C_GAPS,
    C_HEAD,
    C_LAST_TS,
    C_MISSING,
    C_NUMBER,
    C_OPTIONS,
    C_PAIR,
    C_PORT_HINT,
    C_PROTO,
    C_ROLE,
    C_SHAPE,
    C_SLOW,
    C_STACK,
    C_SYN_SEQ,
    C_TAIL,
    C_VLAN,
    COPY_NS,
    COPY_TCP_NS,
    CTL_CONNS,
    CTL_FORCE_SLOW,
    CTL_FRAME,
    CTL_NUMBER,
    CTL_SEED,
    F_ACKED,
    F_ASM,
    F_BITS,
    F_CARRY,
    F_HELD,
    F_HISTORY,
    F_K0,
    F_K1,
    F_LAST_TS,
    F_SEQ,
    F_SIG,
    FLOW_FIN,
    FLOW_MIDSTREAM,
    FLOW_PAYLOAD,
    FLOW_RESYNC_HOLE,
    FLOW_RST,
    FLOW_SYN,
    FLOW_SYNACK,
    FLOW_TWO_READINGS,
    G_OPTIONS,
    G_STACK,
    PROTO_UNDECIDED,
    ROLE_SYN,
    WHY_UNKNOWN,
)
from otmon.wire.conflicts import SAME, UNKNOWN, hand_up, rewrite, unlike, why
from otmon.wire.deliver import hole
from otmon.wire.far import far
from otmon.wire.history import remember, serial_diff
from otmon.wire.loads import jit, join32
from otmon.wire.net import K1_PORTS
from otmon.wire.tables import find2


@jit
def reverse_key(k1: int) -> int:
    """The peer's second key word: ports exchanged."""
    ports = k1 >> K1_PORTS
    return (((ports & 0xFFFF) << 16 | ports >> 16) << K1_PORTS) | (k1 & ((1 << K1_PORTS) - 1))


@jit
def reset_flow(state: Any, flow: int) -> None:
    """Stream state of a direction as before its first frame."""
    row = state.flows
    row[flow, F_SEQ] = -1
    row[flow, F_ACKED] = -1
    row[flow, F_BITS] = 0
    row[flow, F_HELD] = -1
    row[flow, F_CARRY] = -1
    row[flow, F_ASM] = -1
    row[flow, F_HISTORY] = 0


@jit
def reset_conn(state: Any, conn: int, ts: int) -> None:
    """A connection that begins with the frame in work."""
    ctl = state.ctl
    row = state.conns
    for i in range(row.shape[1]):
        row[conn, i] = 0
    ctl[CTL_NUMBER] += 1
    row[conn, C_NUMBER] = ctl[CTL_NUMBER]
    row[conn, C_PROTO] = PROTO_UNDECIDED
    row[conn, C_CLIENT] = -1
    row[conn, C_SLOW] = ctl[CTL_FORCE_SLOW]
    row[conn, C_PAIR] = -1
    row[conn, C_SHAPE] = -1
    row[conn, C_HEAD] = -1
    row[conn, C_TAIL] = -1
    row[conn, C_VLAN] = -1
    row[conn, C_SYN_SEQ] = -1
    row[conn, C_PORT_HINT] = -1
    row[conn, C_FIRST_TS] = ts
    row[conn, C_LAST_TS] = ts
    row[conn, C_GAP_TS] = -1
    row[conn, C_FIRST_FRAME] = ctl[CTL_FRAME]
    reset_flow(state, 2 * conn)
    reset_flow(state, 2 * conn + 1)


far_reset_conn = far("reset_conn", "v(sii)", reset_conn)


@jit
def add_flow(state: Any, k0: int, k1: int, place: int, ts: int) -> int:
    """A new connection whose first direction has this key, at `place` of the index; -1 if the table is full."""
    flows, ctl = state.flows, state.ctl
    conn = ctl[CTL_CONNS]
    if conn >= len(state.conns):
        return -1
    ctl[CTL_CONNS] = conn + 1
    reset_conn(state, conn, ts)
    state.flow_index[place] = 2 * conn + 1
    back0, back1 = join32(k0, (k0 >> 32) & 0xFFFFFFFF), reverse_key(k1)
    for i in range(2):
        row = 2 * conn + i
        for j in range(flows.shape[1]):
            flows[row, j] = 0
        reset_flow(state, row)
        flows[row, F_K0] = k0 if i == 0 else back0
        flows[row, F_K1] = k1 if i == 0 else back1
    place = find2(flows, state.flow_index, ctl[CTL_SEED], back0, back1)
    if place < 0:  # else both ends are one and the same: one direction serves
        state.flow_index[-1 - place] = 2 * conn + 2
    return 2 * conn


far_add_flow = far("add_flow", "i(siiii)", add_flow)


@jit
def find_flow(state: Any, k0: int, k1: int, ts: int) -> int:
    """The flow with this key, made if new; -1 if the table is full."""
    flow = find2(state.flows, state.flow_index, state.ctl[CTL_SEED], k0, k1)
    return flow if flow >= 0 else far_add_flow(state, k0, k1, -1 - flow, ts)


@jit
def seen_before(state: Any, flow: int, sig: int, ts: int, tcp: int) -> int:
    """Whether one of the last four frames had this signature, close enough in time to be this frame's copy."""
    flows = state.flows
    near = COPY_TCP_NS if tcp and sig >> 48 else COPY_NS
    if ts - flows[flow, F_LAST_TS] > near:
        return 0
    for i in range(4):
        if flows[flow, F_SIG + i] == sig:
            return 1
    return 0


far_seen_before = far("seen_before", "i(siiii)", seen_before)


@jit
def sign(state: Any, flow: int, sig: int, ts: int) -> None:
    """Remember this frame's signature and time."""
    flows = state.flows
    flows[flow, F_SIG + 3] = flows[flow, F_SIG + 2]
    flows[flow, F_SIG + 2] = flows[flow, F_SIG + 1]
    flows[flow, F_SIG + 1] = flows[flow, F_SIG]
    flows[flow, F_SIG] = sig
    flows[flow, F_LAST_TS] = ts


@jit
def gap(state: Any, flow: int, missing: int, ts: int) -> None:
    """`missing` bytes of this direction were never captured."""
    conn = flow >> 1
    state.conns[conn, C_GAPS] += 1
    if missing < 1 << 24:  # more is a forged or garbled sequence number, not a loss
        state.conns[conn, C_MISSING] += missing
    state.conns[conn, C_GAP_TS] = ts
    hole(state, flow, 0)


far_gap = far("gap", "v(siii)", gap)


@jit
def repeated(state: Any, buf: Any, head: int, a: int, e: int, end: int, flow: int, seq: int, ts: int) -> None:
    """Payload buf[a:e] seen before (or said to be), of a segment that ends at `end` and whose headers begin at `head`.

    Counted once more as copy. Other bytes are evidence, and another reading of the stream; so may be those that cannot
    be compared any more.
    """
    state.bytes[BB_COPY] += e - a
    first = unlike(state, buf, a, e, flow, seq)
    if first == SAME:
        return
    if first == UNKNOWN:
        hand_up(state, buf, a, end, e - a, flow, seq, ts, WHY_UNKNOWN)
        return
    hand_up(state, buf, a, end, e - a, flow, seq, ts, why(state, buf, head, end, flow, first))
    rewrite(state, buf, a, e, flow, seq)
    if state.flows[flow, F_CARRY] >= 0:
        state.flows[flow, F_BITS] |= FLOW_TWO_READINGS


far_repeated = far("repeated", "v(sbiiiiiii)", repeated)


@jit
def control(state: Any, flow: int, flags: int, seq: int, ts: int) -> int:
    """SYN, FIN, RST and acknowledgement bookkeeping; 1: the connection must be reopened first (slow path)."""
    flows, conns = state.flows, state.conns
    conn = flow >> 1
    if flags & 2:
        begun = C_BEGUN + (flow & 1)
        first = ((seq + 1) & 0xFFFFFFFF) | (1 << 32)
        if conns[conn, begun] == first and not conns[conn, C_CLOSED] and ts - conns[conn, C_FIRST_TS] <= COPY_TCP_NS:
            return 0  # the SYN of this connection, late by way of a mirror: it begins no other one
        if flows[flow, F_SEQ] >= 0 and flows[flow, F_SEQ] != (seq + 1) & 0xFFFFFFFF:
            if flows[flow ^ 1, F_SEQ] < 0 or flows[flow ^ 1, F_BITS] & (FLOW_FIN | FLOW_RST):
                return 1
            # Whom it is for has not closed the connection, and may not have got what did: the answer tells.
            if not flags & 16 or conns[conn, C_SYN_SEQ] < 0:
                conns[conn, C_SYN_SEQ] = ((seq + 1) & 0xFFFFFFFF) | (flow & 1) << 32
                flows[flow, F_BITS] |= FLOW_SYNACK if flags & 16 else FLOW_SYN
            return 0
        said = (flows[flow, F_BITS] | flows[flow ^ 1, F_BITS]) & FLOW_PAYLOAD
        if conns[conn, C_ROLE] < ROLE_SYN and not said:  # a forged SYN in mid-stream makes nobody the client
            conns[conn, C_ROLE] = ROLE_SYN
            conns[conn, C_CLIENT] = (flow & 1) ^ (1 if flags & 16 else 0)
        if not flags & 16 and conns[conn, C_STACK] == 0:
            conns[conn, C_STACK] = state.seg[G_STACK]
            conns[conn, C_OPTIONS] = state.seg[G_OPTIONS]
        conns[conn, begun] = first
        flows[flow, F_SEQ] = (seq + 1) & 0xFFFFFFFF
        flows[flow, F_BITS] |= FLOW_SYNACK if flags & 16 else FLOW_SYN
    elif flows[flow, F_SEQ] < 0:
        flows[flow, F_SEQ] = seq
        flows[flow, F_BITS] |= FLOW_MIDSTREAM | FLOW_RESYNC_HOLE
    if flags & 5:
        flows[flow, F_BITS] |= FLOW_FIN if flags & 1 else FLOW_RST
        conns[conn, C_CLOSED] = 1
    return 0


far_control = far("control", "i(siiii)", control)


@jit
def acknowledge(state: Any, flow: int, flags: int, ack: int) -> None:
    """What this segment acknowledges of the other direction."""
    if flags & 16:
        acked = state.flows[flow ^ 1, F_ACKED]
        if acked < 0 or serial_diff(ack, acked) > 0:
            state.flows[flow ^ 1, F_ACKED] = ack


def make_tcp_data(deliver: Callable[..., None]) -> Callable[..., int]:
    """The function `tcp_data`: payload of an identified connection."""

    @jit
    def tcp_data(state: Any, buf: Any, head: int, a: int, e: int, length: int, flow: int, seq: int, ts: int) -> int:
        """Payload buf[a:e] of a segment `length` bytes long on the wire; 1: it is out of order (slow path).

        `head`: where its IP header begins, with nothing but headers to `a`.
        """
        flows = state.flows
        ahead = serial_diff(seq, flows[flow, F_SEQ])
        if ahead != 0:
            if ahead > 0:
                acked = flows[flow, F_ACKED]
                if acked < 0 or serial_diff(acked, seq) < 0:
                    return 1
                far_gap(state, flow, ahead, ts)
            else:
                old = min(-ahead, e - a)
                state.bytes[BB_SEEN] += old
                if -ahead > FAR_BEHIND:
                    bad(state, flow >> 1, old)
                    return 0
                acked = flows[flow, F_ACKED]
                if ahead == -1 and length == 1 and (acked < 0 or serial_diff(acked, seq) > 0):
                    # A keep-alive's byte is garbage by custom, and an acknowledged one (RFC 9293 3.8.4).
                    state.bytes[BB_COPY] += old
                else:
                    far_repeated(state, buf, head, a, a + old, e, flow, seq, ts)
                if -ahead >= length:
                    return 0
                a += old
                seq = flows[flow, F_SEQ]
                length += ahead
        state.bytes[BB_SEEN] += e - a
        remember(state, buf, head, a, e, flow, seq)
        flows[flow, F_SEQ] = (seq + length) & 0xFFFFFFFF
        deliver(state, buf, a, e, flow, ts)
        if length > e - a:
            hole(state, flow, 1)
        return 0

    return tcp_data


FAR_BEHIND = 1 << 24
"""A segment this far behind is no retransmission: no window was ever so wide (RFC 7323 allows 1 GiB; nobody has it)."""
HEAD_COPY, HEAD_REOPEN, HEAD_GO = 1, 2, 0


@jit
def head(state: Any, flow: int, seq: int, ack: int, flags: int, sig: int, ts: int, copies: int) -> int:
    """The slow path's first steps in one call: HEAD_COPY (nothing done yet), HEAD_REOPEN, or HEAD_GO."""
    if copies and seen_before(state, flow, sig, ts, 1):
        return HEAD_COPY
    if (flags & 7 or state.flows[flow, F_SEQ] < 0) and far_control(state, flow, flags, seq, ts):
        return HEAD_REOPEN
    acknowledge(state, flow, flags, ack)
    sign(state, flow, sig, ts)
    return HEAD_GO


far_head = far("head", "i(siiiiiii)", head)
