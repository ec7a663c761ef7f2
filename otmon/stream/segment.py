"""A segment out of the compiled path: its header fields, and its payload as bytes of its own."""

from typing import Any, NamedTuple

import numpy as np

from otmon.wire import columns as c


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

    @property
    def bucket(self) -> int:
        """Frame bucket if it carries OT payload."""
        return c.FB_TRUNCATED if self.cut > 0 else c.FB_OT


def take_segment(seg: Any, buf: Any, frame: int) -> Segment:
    """The segment in work, copied: the buffer is reused by the next batch."""
    head, start, end = int(seg[c.G_L3]), int(seg[c.G_START]), int(seg[c.G_END])
    packet = np.array(buf[head:end], dtype=np.uint8)
    return Segment(
        int(seg[c.G_FLOW]), int(seg[c.G_SEQ]), int(seg[c.G_ACK]), int(seg[c.G_FLAGS]), int(seg[c.G_LENGTH]),
        int(seg[c.G_TS]), int(seg[c.G_TRANSPORT]), int(seg[c.G_CUT]), int(seg[c.G_SIG]), frame,
        packet[start - head :], packet,
    )  # fmt: skip
