"""The loop: frames in, counters and events out. `make_loop` closes over the protocols and compiles to one function."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from otmon.capture.batch import LINK_ETHERNET, REC_LENGTHS, REC_LINK, REC_OFFSET, REC_TS
from otmon.wire.carriers import ip_bucket
from otmon.wire.columns import (
    C_FIRST_FRAME,
    C_FIRST_TS,
    C_LAST_TS,
    C_PROTO,
    C_VLAN,
    CTL_ASKED,
    CTL_CREDIT,
    CTL_EXPRESS,
    CTL_FRAME,
    CTL_HORIZON,
    CTL_JOB,
    CTL_LAST_TS,
    CTL_NEED,
    CTL_REALM,
    CTL_TICK_TS,
    CTL_TICKS,
    F_BITS,
    F_BYTES,
    F_FRAMES,
    FB_COPY,
    FB_MALFORMED,
    FB_NON_IP,
    FB_SHED,
    FB_TRUNCATED,
    FB_UNSUPPORTED,
    FLOW_PAYLOAD,
    G_CUT,
    G_END,
    G_FLOW,
    G_LENGTH,
    G_REALM,
    G_SIG,
    G_SMAC,
    G_START,
    G_TRANSPORT,
    G_TS,
    G_VLAN,
    PROTO_NONE,
    STOP_END,
    STOP_FRAGMENT,
    STOP_FULL,
    STOP_GROW,
    STOP_HORIZON,
    STOP_SLOW,
    STOP_TICK,
    TRANSPORT_TCP,
    TRANSPORT_UDP,
)
from otmon.wire.contract import Protocol
from otmon.wire.deliver import make_deliver
from otmon.wire.dispatch import chain, constants, no_frame, no_key, no_unwrap, ports
from otmon.wire.express import make_express
from otmon.wire.far import far
from otmon.wire.flow import (
    find_flow,
    make_tcp_data,
    seen_before,
    sign,
)
from otmon.wire.identify import make_identify
from otmon.wire.link import (
    L_END,
    L_ETHERTYPE,
    L_FAMILY,
    L_L3,
    L_OUTER,
    L_REASON,
    L_SRC,
    L_VLANS,
    L_WHAT,
    L_WIRE_END,
    LINK_IP,
    LINK_MALFORMED,
    LINK_NON_IP,
    LINK_SHORT,
    LINK_UNSUPPORTED_LAYER,
    strip,
)
from otmon.wire.loads import jit, u8
from otmon.wire.net import (
    K1_V6,
    PACKET_FRAGMENT,
    PACKET_MALFORMED,
    PACKET_OK,
    PACKET_OTHER_JOB,
    PACKET_SHED,
    far_arp,
    far_bind,
    far_neighbour,
    far_packet6,
    packet4,
)
from otmon.wire.pdu import make_pdu
from otmon.wire.room import full, room
from otmon.wire.segments import make_segments

TICK_NS = 1_000_000_000
ASKED_AT_ONCE = 256
"""Until a new shape has its verdict, each of its messages asks for it: so a batch does not end before it is given."""


class Loop(NamedTuple):
    """The compiled entry points."""

    run: Callable[..., tuple[int, int]]
    """(state, data, records, first, frame) -> (STOP_*, next record)."""
    packet: Callable[..., int]
    """A reassembled IP packet: (state, buf, l3, end, wire end, family, ts) -> STOP_END, STOP_SLOW or STOP_FRAGMENT."""
    datagram: Callable[..., None]
    """(state, payload, start, end, flow, ts)."""
    tcp_data: Callable[..., int]
    """(state, buf, start of the packet, of its payload, end, wire length, flow, seq, ts, frame): 1 if out of order."""
    frame: Callable[..., int]
    """A protocol's `frame`: (state, protocol, buf, start, end) -> length."""
    unwrap: Callable[..., tuple[int, int, int]]
    """A protocol's `unwrap`: (state, protocol, buf, start, end, asm, fill)."""
    key: Callable[..., int]
    """A protocol's `key`: (state, protocol, buf, start, end, from_client); what it says is in state.out."""
    strip: Callable[..., int]
    """(state, data, start, end, wire end, REC_LINK): LINK_*; what was there is in state.link."""
    evidence: Callable[..., int]
    adopt: Callable[..., None]


@jit
def parse(state: Any, buf: Any, l3: int, end: int, wire_end: int, family: int) -> int:
    """The IP packet at buf[l3:end]: PACKET_*, and its flow's key in state.link[0], state.link[1]."""
    if family == 4:
        return packet4(state, buf, l3, end, wire_end)
    return far_packet6(state, buf, l3, end, wire_end)


@jit
def _note_vlan(state: Any, conn: int, vlan: int) -> None:
    seen = state.conns[conn, C_VLAN]
    if vlan == 0xFFFF or seen & 0xFFFF == vlan or (seen >> 16) & 0xFFFF == vlan:
        return
    if seen & 0xFFFF == 0xFFFF:
        state.conns[conn, C_VLAN] = (seen & ~0xFFFF) | vlan
    elif (seen >> 16) & 0xFFFF == 0xFFFF:
        state.conns[conn, C_VLAN] = (seen & ~0xFFFF0000) | (vlan << 16)


def make_loop(protocols: Sequence[Protocol]) -> Loop:
    """The loop for these protocols, in the order of the tuple."""
    frame_of = chain([p.frame for p in protocols], no_frame)
    unwraps = chain([p.unwrap for p in protocols], no_unwrap)
    keys = chain([p.key for p in protocols], no_key)

    @jit
    def key(state: Any, proto: int, buf: Any, x: int, y: int, from_client: int) -> int:
        return keys(proto, buf, x, y, from_client, state.out)

    @jit
    def unwrap(state: Any, proto: int, buf: Any, a: int, b: int, asm: Any, fill: int) -> tuple[int, int, int]:
        return unwraps(proto, buf, a, b, asm, fill)

    key_of, unwrap_of = far("key", "i(sibiii)", key), far("unwrap", "t(sibiibi)", unwrap)
    hint_of = ports(protocols)
    scans = constants([p.scan for p in protocols])
    datagrams = constants([p.datagrams for p in protocols])
    pdu = far("pdu", "v(sbiiiiiii)", make_pdu(key_of))
    deliver, deliver_datagram = make_deliver(frame_of, unwraps, unwrap_of, key_of, scans, pdu)
    far_deliver, far_datagram = far("deliver", "v(sbiiii)", deliver), far("datagram", "v(sbiiii)", deliver_datagram)
    tcp_data, express = make_tcp_data(far_deliver), make_express(far_deliver)
    declares = constants([p.declares_direction for p in protocols])
    identify, evidence, adopt = make_identify(len(protocols), hint_of, declares, scans, frame_of, unwrap_of, key_of)

    @jit
    def tcp_data_of(
        state: Any, buf: Any, head: int, a: int, e: int, length: int, flow: int, seq: int, ts: int, frame: int
    ) -> int:
        """`tcp_data` of a packet that `frame` brought."""
        state.ctl[CTL_FRAME] = frame
        return tcp_data(state, buf, head, a, e, length, flow, seq, ts)

    far_tcp_data = far("tcp_data", "i(sbiiiiiiii)", tcp_data_of)

    @jit
    def frame_at(state: Any, proto: int, buf: Any, a: int, e: int) -> int:
        return frame_of(proto, buf, a, e)

    tcp, udp = make_segments(tcp_data, far_tcp_data, far_datagram, identify, datagrams)
    far_tcp, far_udp = far("tcp", "i(sbii)", tcp), far("udp", "i(sbii)", udp)

    @jit
    def arrive(state: Any, k0: int, k1: int, ts: int) -> int:
        """The flow of the parsed packet in work, with the packet counted into it; -1 if there is no room."""
        seg = state.seg
        flow = find_flow(state, k0, k1, ts)
        if flow < 0:
            return -1
        conn = flow >> 1
        state.conns[conn, C_LAST_TS] = ts
        if state.flows[flow, F_FRAMES] == 0:
            if state.flows[flow ^ 1, F_FRAMES] == 0:  # so is its row, or it was cleared since
                state.conns[conn, C_FIRST_TS] = ts
                state.conns[conn, C_FIRST_FRAME] = state.ctl[CTL_FRAME]
            family = 6 if k1 & K1_V6 else 4
            far_bind(state, seg[G_SMAC], 0x0800, k0 >> 32 & 0xFFFFFFFF, (seg[G_REALM] << 4) | (family << 1), ts)
        if seg[G_VLAN] != 0xFFFF:
            _note_vlan(state, conn, seg[G_VLAN])
        state.flows[flow, F_FRAMES] += 1
        state.flows[flow, F_BYTES] += seg[G_LENGTH]
        seg[G_FLOW] = flow
        seg[G_TS] = ts
        return flow

    @jit
    def transport(state: Any, buf: Any, k0: int, k1: int, ts: int) -> int:
        """The parsed packet in work: STOP_END if done, STOP_SLOW if the slow path must take its segment."""
        seg = state.seg
        flow = arrive(state, k0, k1, ts)
        if flow < 0:
            state.frames[FB_SHED] += 1
            return STOP_END
        if seg[G_TRANSPORT] == TRANSPORT_TCP:
            return STOP_SLOW if far_tcp(state, buf, flow, ts) else STOP_END
        if seg[G_TRANSPORT] == TRANSPORT_UDP:
            return STOP_SLOW if far_udp(state, buf, flow, ts) else STOP_END
        state.conns[flow >> 1, C_PROTO] = PROTO_NONE
        if seen_before(state, flow, seg[G_SIG], ts, 0):
            state.frames[FB_COPY] += 1
        else:
            state.flows[flow, F_BITS] |= FLOW_PAYLOAD
            state.frames[ip_bucket(state, seg[G_TRANSPORT], seg[G_CUT])] += 1
        sign(state, flow, seg[G_SIG], ts)
        return STOP_END

    @jit
    def packet(state: Any, buf: Any, l3: int, end: int, wire_end: int, family: int, ts: int) -> int:
        """One IP packet at buf[l3:end]: STOP_END, STOP_SLOW or STOP_FRAGMENT."""
        link = state.link
        code = parse(state, buf, l3, end, wire_end, family)
        if code == PACKET_OK:
            if state.seg[G_TRANSPORT] == 58:
                far_neighbour(state, buf, state.seg[G_START], state.seg[G_END], state.seg[G_REALM], ts)
            return transport(state, buf, link[0], link[1], ts)
        if code == PACKET_FRAGMENT:
            return STOP_FRAGMENT
        if code == PACKET_OTHER_JOB:
            return STOP_END
        bucket = FB_MALFORMED if code == PACKET_MALFORMED else FB_SHED if code == PACKET_SHED else FB_TRUNCATED
        state.frames[bucket] += 1
        return STOP_END

    @jit
    def outer(state: Any, data: Any, l3: int, end: int, wire_end: int, ts: int) -> None:
        """The pair that talks through a tunnel nobody looks into: what it says is not known, that it talks is."""
        if parse(state, data, l3, end, wire_end, u8(data, l3) >> 4) == PACKET_OK:
            flow = arrive(state, state.link[0], state.link[1], ts)
            if flow >= 0:
                state.flows[flow, F_BITS] |= FLOW_PAYLOAD

    far_outer = far("outer", "v(sbiiii)", outer)

    @jit
    def strip_of(state: Any, data: Any, start: int, end: int, wire_end: int, link_word: int) -> int:
        return strip(data, start, end, wire_end, link_word, state.link)

    far_strip = far("strip", "i(sbiiii)", strip_of)

    @jit
    def frame(state: Any, data: Any, start: int, lengths: int, link_word: int, ts: int) -> int:
        """One captured frame, from its link layer up."""
        link, seg, ctl = state.link, state.seg, state.ctl
        end = start + (lengths >> 32)
        wire_end = start + (lengths & 0xFFFFFFFF)
        code = far_strip(state, data, start, end, wire_end, link_word)
        realm = state.realms[4096 + ((link_word >> 16) & 0xFF)]
        vlan = link[L_VLANS] & 0xFFFF
        if vlan != 0xFFFF and state.realms[vlan & 0xFFF] >= 0:
            realm = state.realms[vlan & 0xFFF]
        if realm < 0:
            realm = ctl[CTL_REALM]
        seg[G_REALM] = realm
        seg[G_VLAN] = vlan
        seg[G_SMAC] = link[L_SRC]
        if code == LINK_IP:
            return packet(state, data, link[L_L3], link[L_END], link[L_WIRE_END], link[L_FAMILY], ts)
        if code == LINK_UNSUPPORTED_LAYER and link[L_OUTER] >= 0:
            far_outer(state, data, link[L_OUTER], end, wire_end, ts)
        if ctl[CTL_JOB]:
            return STOP_END
        if code == LINK_NON_IP:
            state.frames[FB_NON_IP] += 1
            if link[L_ETHERTYPE] == 0x0806:
                far_arp(state, data, link[L_L3], link[L_END], realm, ts)
            else:
                far_bind(state, link[L_SRC], link[L_ETHERTYPE] & 0xFFFF, -1, realm << 4, ts)
        elif code == LINK_MALFORMED:
            state.frames[FB_MALFORMED] += 1
        elif code == LINK_SHORT:
            state.frames[FB_TRUNCATED] += 1
        else:
            state.frames[FB_UNSUPPORTED] += 1
            state.unsupported[link[L_REASON] & 15, link[L_WHAT] & 0xFFFF] += 1
        return STOP_END

    @jit
    def run(state: Any, data: Any, records: Any, first: int, first_frame: int) -> tuple[int, int]:
        """Frames records[first:]; comes back at the end, or to have something done: (STOP_*, next record)."""
        ctl = state.ctl
        headroom = ctl[CTL_CREDIT]
        ctl[CTL_CREDIT] = 0
        for i in range(first, len(records)):
            start = records[i, REC_OFFSET]
            lengths = records[i, REC_LENGTHS]
            ts = records[i, REC_TS]
            caplen = lengths >> 32
            if ts >= ctl[CTL_HORIZON]:
                return STOP_HORIZON, i
            if ctl[CTL_TICKS] and ts - ctl[CTL_TICK_TS] >= TICK_NS:
                return STOP_TICK, i
            need = (caplen >> 3) + 8
            headroom -= need
            if headroom < 0:
                if not room(state, need):
                    ctl[CTL_NEED] = need
                    return STOP_GROW, i
                headroom = 0
                if room(state, 64 * need):
                    headroom = 64 * need
            if ctl[CTL_ASKED] > ASKED_AT_ONCE or full(state):
                return STOP_FULL, i
            ctl[CTL_FRAME] = first_frame + i
            ctl[CTL_LAST_TS] = ts
            link_word = records[i, REC_LINK]
            if link_word == LINK_ETHERNET and ctl[CTL_EXPRESS] and express(state, data, start, lengths, ts):
                continue
            stop = frame(state, data, start, lengths, link_word, ts)
            if stop != STOP_END:
                return stop, i + 1
        return STOP_END, len(records)

    return Loop(
        far("run", "p(sbrii)", run),
        far("packet", "i(sbiiiii)", packet),
        far_datagram,
        far_tcp_data,
        far("frame", "i(sibii)", frame_at),
        unwrap_of,
        key_of,
        far_strip,
        evidence,
        adopt,
    )
