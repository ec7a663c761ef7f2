"""The express lane: the frame that nearly every frame is, decided with a few comparisons; it changes what the general
path would change, and takes nothing it is not sure of.

Whole Ethernet frame with at most one tag, IPv4 without options or fragments, TCP with only ACK and PSH, a known
connection in order and in the fast path, no copy of a frame just seen. All else returns 0 and goes the general way;
tests run both ways and compare.
"""

from collections.abc import Callable
from typing import Any

from otmon.wire.columns import (
    BB_SEEN,
    C_LAST_TS,
    C_PORT_HINT,
    C_PROTO,
    C_SLOW,
    C_SYN_SEQ,
    C_VLAN,
    CTL_SEED,
    F_BITS,
    F_BYTES,
    F_FRAMES,
    F_SEQ,
    FB_OT,
    FB_OTHER_IP,
    FB_TCP_CONTROL,
    FLOW_PAYLOAD,
    PROTO_NONE,
    TRANSPORT_TCP,
)
from otmon.wire.flow import acknowledge, seen_before, sign
from otmon.wire.history import remember
from otmon.wire.loads import be16, be32, be64, jit, u8
from otmon.wire.net import K1_PORTS, K1_TRANSPORT
from otmon.wire.tables import find2

_TCP = TRANSPORT_TCP << K1_TRANSPORT


def make_express(deliver: Callable[..., None]) -> Callable[..., int]:
    """The function `express`, which hands payload to `deliver`."""

    @jit
    def express(state: Any, buf: Any, start: int, lengths: int, ts: int) -> int:
        """The Ethernet frame at `start`: 1 done, 0 not for this lane (nothing was changed)."""
        size = lengths & 0xFFFFFFFF
        if lengths >> 32 != size or size < 58:
            return 0
        q, tag = start + 14, -1
        kind = be16(buf, start + 12)
        if kind == 0x8100:
            tag, kind = be16(buf, q) & 0xFFF, be16(buf, q + 2)
            q += 4
        word = be64(buf, q)
        end = q + ((word >> 32) & 0xFFFF)
        if kind != 0x0800 or (word >> 56) & 0xFF != 0x45 or word & 0x3FFF or end > start + size or end < q + 40:
            return 0
        if u8(buf, q + 9) != TRANSPORT_TCP:
            return 0
        control = be32(buf, q + 32)
        a = q + 20 + ((control >> 28) & 15) * 4
        if (control >> 16) & 0x37 != 16 or a < q + 40 or a > end:
            return 0
        flows, conns = state.flows, state.conns
        k0, k1 = be64(buf, q + 12), (be32(buf, q + 20) << K1_PORTS) | _TCP
        flow = find2(flows, state.flow_index, state.ctl[CTL_SEED], k0, k1)
        if flow < 0:
            return 0
        row, conn = flows[flow], conns[flow >> 1]
        proto, seq, length = conn[C_PROTO], be32(buf, q + 24), end - a
        if conn[C_SLOW] or conn[C_SYN_SEQ] >= 0 or row[F_FRAMES] == 0:
            return 0
        if tag >= 0 and conn[C_VLAN] & 0xFFFF != tag:
            return 0
        if length and (seq != row[F_SEQ] if proto >= 0 else proto != PROTO_NONE or conn[C_PORT_HINT] >= 0):
            return 0
        if row[F_SEQ] < 0:
            return 0
        sig = (((word >> 16) & 0x7FFF) << 48) | (be16(buf, q + 36) << 32) | seq
        if seen_before(state, flow, sig, ts, 1):
            return 0
        # Now it is decided: count, acknowledge, deliver.
        conn[C_LAST_TS] = ts
        row[F_FRAMES] += 1
        row[F_BYTES] += length
        acknowledge(state, flow, control >> 16, be32(buf, q + 28))
        sign(state, flow, sig, ts)
        if length == 0:
            state.frames[FB_TCP_CONTROL] += 1
            return 1
        row[F_BITS] |= FLOW_PAYLOAD
        if proto < 0:
            state.frames[FB_OTHER_IP] += 1
            return 1
        state.frames[FB_OT] += 1
        state.bytes[BB_SEEN] += length
        remember(state, buf, q, a, end, flow, seq)
        row[F_SEQ] = (seq + length) & 0xFFFFFFFF
        deliver(state, buf, a, end, flow, ts)
        return 1

    return express
