"""IP, TCP and UDP headers: from a frame's network layer to the segment in work (`state.seg`)."""

from typing import Any

from otmon.limits import MAX_IPV6_EXTENSIONS
from otmon.wire.columns import (
    CTL_BINDINGS,
    CTL_FRAME,
    CTL_HOSTS6,
    CTL_JOB,
    CTL_JOBS,
    CTL_SEED,
    CTL_SHED_BINDINGS,
    G_ACK,
    G_CUT,
    G_END,
    G_FAMILY,
    G_FLAGS,
    G_L3,
    G_L3_END,
    G_LENGTH,
    G_OPTIONS,
    G_REALM,
    G_SEQ,
    G_SIG,
    G_STACK,
    G_START,
    G_TRANSPORT,
    TRANSPORT_TCP,
    TRANSPORT_UDP,
)
from otmon.wire.events import emit_binding
from otmon.wire.far import far
from otmon.wire.loads import be16, be32, be64, jit, join32, mix, u8
from otmon.wire.tables import find3

PACKET_OK = 0
PACKET_MALFORMED = 1
PACKET_TRUNCATED = 2
PACKET_FRAGMENT = 3
PACKET_OTHER_JOB = 4
PACKET_SHED = 5

K1_REALM_BITS = 12
K1_V6 = 1 << 12
K1_TRANSPORT = 13
K1_PORTS = 21


@jit
def host6(state: Any, high: int, low: int) -> int:
    """Number of an IPv6 address, from 1; 0 if the table is full."""
    ctl = state.ctl
    row = find3(state.hosts6, state.host6_index, ctl[CTL_SEED], high, low, 0)
    if row < 0:
        used = ctl[CTL_HOSTS6]
        if used >= len(state.hosts6):
            return 0
        state.hosts6[used, 0] = high
        state.hosts6[used, 1] = low
        state.hosts6[used, 2] = 0
        state.host6_index[-1 - row] = used + 1
        ctl[CTL_HOSTS6] = used + 1
        row = used
    return row + 1


@jit
def bind(state: Any, mac: int, ethertype: int, address: int, kind: int, ts: int) -> None:
    """Remember that `mac` was seen with `address`; new ones are handed up.

    `kind`: realm << 4 | family << 1 | proof, where family is 4, 6 or 0 (no address).
    """
    if mac < 0:
        return
    ctl = state.ctl
    kind = (kind << 16) | ethertype
    row = find3(state.bindings, state.binding_index, ctl[CTL_SEED], mac, address, kind)
    if row >= 0:
        return
    used = ctl[CTL_BINDINGS]
    if used >= len(state.bindings):
        ctl[CTL_SHED_BINDINGS] += 1
        return
    state.bindings[used, 0] = mac
    state.bindings[used, 1] = address
    state.bindings[used, 2] = kind
    state.binding_index[-1 - row] = used + 1
    ctl[CTL_BINDINGS] = used + 1
    emit_binding(state, mac, address, kind, ts, ctl[CTL_FRAME])


far_bind = far("bind", "v(siiiii)", bind)


@jit
def other_job(state: Any, word: int) -> int:
    """1 if frames with this (symmetric) address word belong to another job."""
    jobs = state.ctl[CTL_JOBS]
    return 1 if jobs > 1 and (mix(0, word) & 0x7FFFFFFF) % jobs != state.ctl[CTL_JOB] else 0


@jit
def _not_mine(state: Any, code: int) -> int:
    """A packet without readable addresses is the first job's."""
    return PACKET_OTHER_JOB if state.ctl[CTL_JOB] else code


@jit
def syn(state: Any, buf: Any, q: int, end: int) -> None:
    """How a client's stack says hello, in a TCP header `buf[q:end]` with SYN (RFC 9293 3.2): see C_STACK, C_OPTIONS."""
    seg = state.seg
    l3 = seg[G_L3]
    segment, scale, kinds, shift = 0, 0, 0, 0
    at = q + 20
    while at < end and shift < 60:
        kind = u8(buf, at)
        kinds |= min(kind + 1, 15) << shift
        shift += 4
        if kind == 0:
            break
        size = 1
        if kind > 1:
            size = u8(buf, at + 1) if at + 1 < end else 0
            if size < 2 or at + size > end:
                break
            if kind == 2 and size == 4:
                segment = be16(buf, at + 2)
            if kind == 3 and size == 3:
                scale = u8(buf, at + 2) + 1
        at += size
    hops = u8(buf, l3 + 8) if seg[G_FAMILY] == 4 else u8(buf, l3 + 7)
    seg[G_STACK] = hops | (be16(buf, q + 14) << 8) | (segment << 24) | (scale << 40) | (1 << 48)
    seg[G_OPTIONS] = kinds


far_syn = far("syn", "v(sbii)", syn)


@jit
def _transport(state: Any, buf: Any, q: int, end: int, packet_end: int, transport: int, ident: int) -> int:
    """The transport header at `q`: fills the segment, or says what is wrong."""
    seg = state.seg
    seg[G_TRANSPORT] = transport
    seg[G_CUT] = packet_end - end
    short = PACKET_TRUNCATED if packet_end > end else PACKET_MALFORMED
    if transport == TRANSPORT_TCP:
        if q + 20 > end:
            return short
        seq = be32(buf, q + 4)
        word = be32(buf, q + 12)
        start = q + ((word >> 28) & 15) * 4
        if start < q + 20 or start > packet_end:
            return PACKET_MALFORMED
        if start > end:
            return short
        seg[G_SEQ] = seq
        seg[G_ACK] = be32(buf, q + 8)
        seg[G_FLAGS] = (word >> 16) & 0x3F
        seg[G_START] = start
        seg[G_END] = end
        seg[G_LENGTH] = packet_end - start
        seg[G_SIG] = ((ident & 0x7FFF) << 48) | (be16(buf, q + 16) << 32) | seq
        if seg[G_FLAGS] & 0x12 == 2:
            far_syn(state, buf, q, start)
        return PACKET_OK
    if transport == TRANSPORT_UDP:
        if q + 8 > end:
            return short
        length = be16(buf, q + 4)
        if length == 0:
            length = packet_end - q
        if length < 8 or q + length > packet_end:
            return PACKET_MALFORMED
        seg[G_START] = q + 8
        seg[G_END] = min(end, q + length)
        seg[G_LENGTH] = length - 8
        seg[G_CUT] = q + length - seg[G_END]
        seg[G_SIG] = ((ident & 0x7FFF) << 48) | (be16(buf, q + 6) << 32) | length
        return PACKET_OK
    seg[G_START] = q
    seg[G_END] = end
    seg[G_LENGTH] = packet_end - q
    seg[G_SIG] = ((ident & 0x7FFF) << 48) | (packet_end - q)
    if q + 8 <= end:
        seg[G_SIG] |= be16(buf, q + 2) << 32
    return PACKET_OK


@jit
def packet4(state: Any, buf: Any, l3: int, end: int, wire_end: int) -> int:
    """IPv4 (RFC 791): state.link[0], state.link[1] become the flow's key."""
    seg, out = state.seg, state.link
    if l3 + 20 > end:
        return _not_mine(state, PACKET_TRUNCATED if wire_end > end else PACKET_MALFORMED)
    k0 = be64(buf, l3 + 12)
    if state.ctl[CTL_JOBS] > 1 and other_job(state, (k0 & 0xFFFFFFFF) + ((k0 >> 32) & 0xFFFFFFFF)):
        return PACKET_OTHER_JOB
    word = be64(buf, l3)
    header = ((word >> 56) & 15) * 4
    total = (word >> 32) & 0xFFFF
    if (word >> 60) & 15 != 4 or header < 20:
        return PACKET_MALFORMED
    if total == 0:  # segmentation offload on the capturing host
        total = wire_end - l3
    packet_end = l3 + total
    if total < header or packet_end > wire_end:
        return PACKET_MALFORMED
    end = min(end, packet_end)
    if l3 + header > end:
        return PACKET_TRUNCATED
    seg[G_FAMILY] = 4
    seg[G_L3] = l3
    seg[G_L3_END] = end
    if word & 0x3FFF:
        return PACKET_FRAGMENT if packet_end <= end else PACKET_TRUNCATED
    transport = u8(buf, l3 + 9)
    code = _transport(state, buf, l3 + header, end, packet_end, transport, (word >> 16) & 0xFFFF)
    out[0] = k0
    out[1] = (transport << K1_TRANSPORT) | seg[G_REALM]
    if code == PACKET_OK and (transport == TRANSPORT_TCP or transport == TRANSPORT_UDP):
        out[1] |= be32(buf, l3 + header) << K1_PORTS
    return code


@jit
def packet6(state: Any, buf: Any, l3: int, end: int, wire_end: int) -> int:
    """IPv6 (RFC 8200) with extension headers: state.link[0], state.link[1] become the flow's key."""
    seg, out = state.seg, state.link
    if l3 + 40 > end:
        return _not_mine(state, PACKET_TRUNCATED if wire_end > end else PACKET_MALFORMED)
    s0, s1, d0, d1 = be64(buf, l3 + 8), be64(buf, l3 + 16), be64(buf, l3 + 24), be64(buf, l3 + 32)
    if state.ctl[CTL_JOBS] > 1 and other_job(state, (mix(s0, s1) >> 2) + (mix(d0, d1) >> 2)):
        return PACKET_OTHER_JOB
    if u8(buf, l3) >> 4 != 6:
        return PACKET_MALFORMED
    payload = be16(buf, l3 + 4)
    packet_end = l3 + 40 + payload
    if payload == 0:
        packet_end = wire_end
    if packet_end > wire_end:
        return PACKET_MALFORMED
    end = min(end, packet_end)
    seg[G_FAMILY] = 6
    seg[G_L3] = l3
    seg[G_L3_END] = end
    following = u8(buf, l3 + 6)
    q = l3 + 40
    extensions = 0
    while following == 0 or following == 43 or following == 44 or following == 60 or following == 51:
        if extensions >= MAX_IPV6_EXTENSIONS:
            return PACKET_MALFORMED
        if q + 8 > end:
            return PACKET_TRUNCATED if packet_end > end else PACKET_MALFORMED
        if following == 44 and be16(buf, q + 2) & 0xFFF9:  # not an atomic fragment (RFC 6946)
            return PACKET_FRAGMENT if packet_end <= end else PACKET_TRUNCATED
        if following == 51:
            length = (u8(buf, q + 1) + 2) * 4
        elif following == 44:
            length = 8
        else:
            length = (u8(buf, q + 1) + 1) * 8
        following = u8(buf, q)
        q += length
        extensions += 1
    if q > end:
        return PACKET_TRUNCATED if packet_end > end else PACKET_MALFORMED
    src, dst = host6(state, s0, s1), host6(state, d0, d1)
    if src == 0 or dst == 0:
        return PACKET_SHED
    code = _transport(state, buf, q, end, packet_end, following, 0)
    out[0] = join32(src, dst)
    out[1] = K1_V6 | (following << K1_TRANSPORT) | seg[G_REALM]
    if code == PACKET_OK and (following == TRANSPORT_TCP or following == TRANSPORT_UDP):
        out[1] |= be32(buf, q) << K1_PORTS
    return code


@jit
def neighbour(state: Any, buf: Any, q: int, end: int, realm: int, ts: int) -> None:
    """Link addresses that neighbour discovery proves (RFC 4861): solicitation 135, advertisement 136."""
    if q + 32 > end:
        return
    kind = u8(buf, q)
    if kind != 135 and kind != 136:
        return
    if u8(buf, q + 24) != kind - 134 or u8(buf, q + 25) != 1:
        return
    mac = (be16(buf, q + 26) << 32) | be32(buf, q + 28)
    if kind == 136:
        host = host6(state, be64(buf, q + 8), be64(buf, q + 16))
    else:
        l3 = state.seg[G_L3]
        high, low = be64(buf, l3 + 8), be64(buf, l3 + 16)
        if high == 0 and low == 0:  # duplicate address detection has no source
            return
        host = host6(state, high, low)
    if host:
        far_bind(state, mac, 0x86DD, host, (realm << 4) | (6 << 1) | 1, ts)


@jit
def arp(state: Any, buf: Any, l3: int, end: int, realm: int, ts: int) -> None:
    """The sender's binding in an ARP packet (RFC 826) for Ethernet and IPv4."""
    if l3 + 28 > end or be64(buf, l3) >> 16 != 0x000108000604:
        return
    address = be32(buf, l3 + 14)
    if address:
        mac = (be32(buf, l3 + 8) << 16) | be16(buf, l3 + 12)
        far_bind(state, mac, 0x0806, address, (realm << 4) | (4 << 1) | 1, ts)


far_packet6 = far("packet6", "i(sbiii)", packet6)
far_neighbour = far("neighbour", "v(sbiiii)", neighbour)
far_arp = far("arp", "v(sbiiii)", arp)
