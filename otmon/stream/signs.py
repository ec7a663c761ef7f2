"""What one segment says of its connection: a keep-alive, a receiver that waits, the answer to a SYN."""

from typing import Any

from otmon.limits import MAX_HELD_BYTES
from otmon.stream.segment import Segment
from otmon.wire import columns as c
from otmon.wire.history import serial_diff


def keeps_alive(state: Any, s: Segment) -> bool:
    """Whether a single byte before all others is a keep-alive's garbage (RFC 9293 3.8.4), no beginning of a PDU."""
    bits, expected, frames = state.flows[s.flow, [c.F_BITS, c.F_SEQ, c.F_FRAMES]].tolist()
    if s.length != 1 or bits & c.FLOW_PAYLOAD:
        return False
    # The capture begins with it: then it may be one. A second byte behind it is none, and was sent.
    if bits & c.FLOW_MIDSTREAM and s.seq == expected and frames == 1:
        state.flows[s.flow, c.F_SEQ] = (s.seq + 1) & 0xFFFFFFFF
        return True
    return serial_diff(s.seq, expected) == -1


def waits(state: Any, held: Segment) -> bool:
    """Whether the receiver has spoken since this segment, and never acknowledged what is before it.

    What is far ahead waits for nobody: a garbled acknowledgement would take the stream there.
    """
    acked, expected = state.flows[held.flow, [c.F_ACKED, c.F_SEQ]].tolist()
    spoke = state.flows.item(held.flow ^ 1, c.F_LAST_TS) > held.ts_ns
    unacknowledged = acked >= 0 and serial_diff(acked, held.seq) < 0
    return spoke and unacknowledged and serial_diff(held.seq, expected) <= MAX_HELD_BYTES


def answered(state: Any, s: Segment) -> int:
    """C_SYN_SEQ if this segment shows that its receiver's SYN has begun another connection, else -1.

    It is the SYN+ACK, or carries data and acknowledges what is behind that SYN and far from what was before. Data that
    go on just where their direction was are the old connection's, as the compiled path takes them.
    """
    syn = int(state.conns[s.flow >> 1, c.C_SYN_SEQ])
    if syn < 0 or s.flow & 1 == syn >> 32 or not s.flags & 16:
        return -1
    behind, usual = serial_diff(s.ack, syn & 0xFFFFFFFF), serial_diff(s.ack, int(state.flows[s.flow ^ 1, c.F_SEQ]))
    if s.flags & 2:
        return syn if behind == 0 else -1
    if s.seq == int(state.flows[s.flow, c.F_SEQ]):
        return -1
    return syn if s.length and 0 <= behind <= MAX_HELD_BYTES < abs(usual) else -1
