"""A segment out of the compiled path: its header fields, and its payload as bytes of its own."""

from typing import Any, NamedTuple

import numpy as np

from otmon.wire import columns as c
from otmon.wire import held


class Segment(NamedTuple):
    """One TCP segment or UDP datagram. `payload`: the captured part of `length` bytes; `frame`: input << 40 | no."""

    flow: int
    seq: int
    ack: int
    flags: int
    length: int
    ts_ns: int
    transport: int
    cut: int
    sig: int
    frame: int
    payload: Any
    packet: Any
    """With its IP header; the payload is its end."""
    fragments: bool
    """Put together from fragments, as which its frames are counted already."""

    @property
    def bucket(self) -> int:
        """Frame bucket if it carries OT payload."""
        return c.FB_TRUNCATED if self.cut > 0 else c.FB_OT


def take_segment(seg: Any, buf: Any, frame: int, fragments: bool) -> Segment:
    """The segment in work, copied: the buffer is reused by the next batch."""
    w = seg.tolist()
    packet = np.array(buf[w[c.G_L3] : w[c.G_END]], dtype=np.uint8)
    return Segment(
        w[c.G_FLOW], w[c.G_SEQ], w[c.G_ACK], w[c.G_FLAGS], w[c.G_LENGTH], w[c.G_TS], w[c.G_TRANSPORT], w[c.G_CUT],
        w[c.G_SIG], frame, packet[w[c.G_START] - w[c.G_L3] :], packet, fragments,
    )  # fmt: skip


def held_segment(state: Any, flow: int) -> Segment:
    """The segment that the compiled path holds of a flow, copied."""
    slot = state.flows.item(flow, c.F_HELD)
    w = state.slots[slot].tolist()
    packet = state.pool[slot * c.SLOT_BYTES :][: w[held.END]].copy()
    return Segment(
        flow, w[held.SEQ], w[held.ACK], w[held.FLAGS], w[held.LENGTH], w[held.TS], c.TRANSPORT_TCP, 0, w[held.SIG],
        w[held.FRAME], packet[w[held.START] :], packet, False,
    )  # fmt: skip
