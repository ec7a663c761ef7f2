"""The end of a run, or of one connection: what is still open gets its outcome and its bucket."""

from typing import Any

from otmon.limits import RESPONSE_TIMEOUT_NS
from otmon.wire.columns import (
    BB_PENDING,
    C_HEAD,
    C_MISSING,
    C_PENDING,
    C_PROTO,
    CTL_EVENTS,
    EVENTS_CAP,
    F_ACKED,
    F_BITS,
    F_SEQ,
    FLOW_FIN,
    OUTCOME_PENDING,
    PROTO_NONE,
    Q_TS,
)
from otmon.wire.deliver import far_abandon
from otmon.wire.far import far
from otmon.wire.history import serial_diff
from otmon.wire.loads import jit
from otmon.wire.pairing import far_drop_oldest


@jit
def finish_conn(state: Any, conn: int, ts: int, last: int) -> None:
    """Settle one connection; `last`: the capture ends here, so young requests are pending."""
    while state.conns[conn, C_PENDING] > 0:
        young = last and ts - state.pending[state.conns[conn, C_HEAD], Q_TS] <= RESPONSE_TIMEOUT_NS
        far_drop_oldest(state, conn, OUTCOME_PENDING if young else 0, ts)
    for flow in range(2 * conn, 2 * conn + 2):
        far_abandon(state, flow, BB_PENDING)
        seq, acked = state.flows[flow, F_SEQ], state.flows[flow, F_ACKED]
        if state.conns[conn, C_PROTO] >= 0 and seq >= 0 and acked >= 0:
            unseen = serial_diff(acked, seq)
            fin = 1 if (state.flows[flow, F_BITS] | state.flows[flow ^ 1, F_BITS]) & FLOW_FIN else 0
            if 0 < unseen - fin < 1 << 24:
                state.conns[conn, C_MISSING] += unseen - fin
    if state.conns[conn, C_PROTO] < 0:
        state.conns[conn, C_PROTO] = PROTO_NONE


far_finish_conn = far("finish_conn", "v(siii)", finish_conn)


@jit
def finish_all(state: Any, first: int, conns: int, ts: int) -> int:
    """Settle connections from `first`; returns the next one to do when the events are full, else `conns`."""
    for conn in range(first, conns):
        if state.ctl[CTL_EVENTS] + 256 > EVENTS_CAP:
            return conn
        finish_conn(state, conn, ts, 1)
    return conns


far_finish_all = far("finish_all", "i(siii)", finish_all)
