"""The slow path of one run: takes the segment at which the compiled loop stopped.

What is simple is done by the same compiled functions; here are only the decisions that need memory: holding segments
behind a hole, giving a hole up, identifying a stream, reopening a connection.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from otmon.limits import HOLE_TIMEOUT_NS, MAX_HELD_BYTES, MAX_HELD_SEGMENTS
from otmon.stream.identify import Identifier
from otmon.stream.segment import Segment, held_segment
from otmon.stream.signs import answered, keeps_alive, waits
from otmon.wire import columns as c
from otmon.wire.accounts import bad, copied, foreign, without_stream
from otmon.wire.carriers import foreign_datagram
from otmon.wire.conflicts import far_urgent
from otmon.wire.contract import OUT_FROM_CLIENT, Protocol
from otmon.wire.flow import (
    HEAD_COPY,
    HEAD_REOPEN,
    acknowledge,
    far_gap,
    far_head,
    far_reset_conn,
    far_seen_before,
    sign,
)
from otmon.wire.held import forget_held
from otmon.wire.history import far_remember, far_same_datagram, serial_diff
from otmon.wire.identify import ports_of
from otmon.wire.loop import Loop

_Ask = Callable[[int], None]
_OWN = [c.FB_COPY, c.FB_TCP_CONTROL]
"""Buckets in which only the segment at hand is counted, never one that was held."""


class SlowPath:
    """Held segments by flow, and what is not identified yet.

    `reopened(conn)` is called before a connection's row is used anew, so that the old one is recorded; `room(octets)`
    before so many are sent on at once.
    """

    def __init__(self, loop: Loop, protocols: tuple[Protocol, ...], reopened: _Ask, room: _Ask, *, force: bool) -> None:
        self._loop, self._protocols, self._reopened, self._room, self._force = loop, protocols, reopened, room, force
        self._identifier = Identifier(loop, protocols)
        self._held: dict[int, list[Segment]] = {}
        self._ports = {port: index for index, p in reversed(list(enumerate(protocols))) for port in p.ports + p.secured}

    @property
    def shed(self) -> int:
        """Segments not looked into because too many connections were undecided at once."""
        return self._identifier.shed

    def take(self, state: Any, s: Segment) -> None:
        """Process one segment or datagram."""
        conn = s.flow >> 1
        self._take_over(state, conn)
        self._room(len(s.packet) + self._octets(conn))
        own = state.frames[_OWN]
        if s.transport == c.TRANSPORT_UDP:
            self._datagram(state, s)
        else:
            self._segment(state, s)
        if s.fragments:
            state.frames[_OWN] = own
        busy = self._held.get(2 * conn) or self._held.get(2 * conn + 1) or self._identifier.held(conn)
        state.conns[conn, c.C_SLOW] = 1 if busy or self._force else 0

    def close(self, state: Any, conn: int, ts_ns: int) -> None:
        """A connection ends: what is held of it is settled."""
        self._take_over(state, conn)
        self._room(self._octets(conn))
        self._close(state, conn, ts_ns)

    def _close(self, state: Any, conn: int, ts_ns: int) -> None:
        for flow in (2 * conn, 2 * conn + 1):
            while self._held.get(flow):
                self._give_up(state, flow, ts_ns)
            self._held.pop(flow, None)
        self._settle_unknown(state, conn, pending=False)

    def move(self, rows: Any) -> None:
        """Connections have other rows now: old -> new."""
        self._identifier.move(rows)
        moved = {flow: 2 * int(rows[flow >> 1]) + (flow & 1) for flow in self._held}
        self._held = {new: [s._replace(flow=new) for s in self._held[flow]] for flow, new in moved.items()}

    def finish(self, state: Any) -> None:
        """The capture ends: undecided connections are settled, holes are given up."""
        for conn in self._identifier.connections():
            self._room(self._octets(conn))
            if not self._adopt_framed(state, conn):
                self._settle_unknown(state, conn, pending=True)
        for conn in np.flatnonzero(state.conns[: int(state.ctl[c.CTL_CONNS]), c.C_SLOW] == c.SLOW_HELD).tolist():
            self._take_over(state, conn)
        for flow in sorted(self._held):
            self._room(self._octets(flow >> 1))
            while self._held.get(flow):
                self._give_up(state, flow, self._held[flow][-1].ts_ns)

    def _take_over(self, state: Any, conn: int) -> None:
        """What the compiled path holds of a connection is held here from now on."""
        if state.conns.item(conn, c.C_SLOW) != c.SLOW_HELD:
            return
        for flow in (2 * conn, 2 * conn + 1):
            if state.flows.item(flow, c.F_HELD) >= 0:
                self._held[flow] = [held_segment(state, flow)]
                forget_held(state, flow)

    def _octets(self, conn: int) -> int:
        """What is held of a connection."""
        held = *self._held.get(2 * conn, ()), *self._held.get(2 * conn + 1, ()), *self._identifier.held(conn)
        return sum(len(s.payload) for s in held)

    def _adopt_framed(self, state: Any, conn: int) -> bool:
        """A connection that ends undecided on a registered port is what its port says if all of it is framed so."""
        held, hint = self._identifier.held(conn), int(state.conns[conn, c.C_PORT_HINT])
        both = (2 * conn, 2 * conn + 1)
        streams = [(way, data) for way in both for data in self._identifier.streams(state, conn, way & 1) if len(data)]
        tells = self._obeyed if held and held[0].transport == c.TRANSPORT_UDP else self._framed
        if hint < 0 or not streams:
            return False
        if not self._identifier.contradicted(conn) and not all(tells(state, hint, data) for _, data in streams):
            return False
        self._identifier.forget(conn)
        flow, data = streams[0]
        self._adopt(state, hint, held[0]._replace(flow=flow, payload=data))
        self._deliver(state, held)
        return True

    def _obeyed(self, state: Any, proto: int, data: Any) -> bool:
        """Whether a datagram is all units, or one that a server may obey whatever its length says."""
        protocol = self._protocols[proto]
        return self._framed(state, proto, data) or (
            protocol.datagrams and not protocol.scan and int(protocol.key(data, 0, len(data), 1, state.out)) >= 0
        )

    def _framed(self, state: Any, proto: int, data: Any) -> bool:
        at = 0
        while at < len(data):
            size = int(self._loop.frame(state, proto, data, at, len(data)))
            if not 0 < size <= len(data) - at:
                return False
            at += size
        return True

    # --- TCP ---------------------------------------------------------------------------------------------------------

    def _segment(self, state: Any, s: Segment) -> None:
        flows, conns, conn = state.flows, state.conns, s.flow >> 1
        if (syn := answered(state, s)) >= 0:
            self._reopen(state, s, syn)
        proto = int(conns[conn, c.C_PROTO])
        first = self._head(state, s, copies=True)
        if first == HEAD_COPY:
            if self._copy(state, s, proto):
                return
            first = self._head(state, s, copies=False)
        if first == HEAD_REOPEN:
            self._reopen(state, s)
            self._head(state, s, copies=False)
        seq = (s.seq + 1) & 0xFFFFFFFF if s.flags & 2 else s.seq
        if self._held:
            self._release(state, s.flow ^ 1, s.ts_ns)
        if s.length == 0 or s.flags & 4:
            without_stream(state, conn, len(s.payload))
        else:
            proto = int(conns[conn, c.C_PROTO])
            s = s._replace(seq=seq)
            if proto == c.PROTO_UNDECIDED and keeps_alive(state, s):
                state.frames[c.FB_TCP_CONTROL] += 1
                return
            if proto == c.PROTO_UNDECIDED:
                flows[s.flow, c.F_BITS] |= c.FLOW_PAYLOAD
                self._identify(state, s)
            elif proto == c.PROTO_NONE:
                self._foreign(state, s)
            else:
                state.frames[s.bucket] += not s.fragments
                self._data(state, s)
            flows[s.flow, c.F_BITS] |= c.FLOW_PAYLOAD

    @staticmethod
    def _head(state: Any, s: Segment, *, copies: bool) -> int:
        return int(far_head(state, s.flow, s.seq, s.ack, s.flags, s.sig, s.ts_ns, int(copies)))

    def _tcp_data(self, state: Any, s: Segment) -> bool:
        """Payload through the compiled path; False: it is behind a hole."""
        end = len(s.packet)
        begin = end - len(s.payload)
        return not self._loop.tcp_data(state, s.packet, 0, begin, end, s.length, s.flow, s.seq, s.ts_ns, s.frame)

    def _copy(self, state: Any, s: Segment, proto: int) -> bool:
        """Whether the mirror showed this frame twice: then it is accounted for here."""
        size, conn = len(s.payload), s.flow >> 1
        if s.length and proto != c.PROTO_NONE:
            waiting = self._held.get(s.flow, ()) if proto >= 0 else self._identifier.held(conn)
            held = any((h.flow, h.seq, h.length) == (s.flow, s.seq, s.length) for h in waiting)
            if not held and serial_diff(s.seq, int(state.flows[s.flow, c.F_SEQ])) >= 0:
                return False
            if not held and proto >= 0:
                self._tcp_data(state, s._replace(flags=0))
                size = 0
        copied(state, conn, size)
        return True

    def _reopen(self, state: Any, s: Segment, syn: int = -1) -> None:
        """The same addresses and ports begin a new connection; `syn`: with the SYN that this segment answers."""
        conn = s.flow >> 1
        self._close(state, conn, s.ts_ns)
        self._reopened(conn)
        kept = state.conns[conn, [c.C_SLOW, c.C_VLAN]]
        begun = 2 * conn + (syn >> 32)
        both = int(state.flows[begun, c.F_BITS]) & (c.FLOW_SYN | c.FLOW_SYNACK) if syn >= 0 else 0
        far_reset_conn(state, conn, s.ts_ns)
        state.conns[conn, [c.C_SLOW, c.C_VLAN]] = kept
        for flow in (2 * conn, 2 * conn + 1):
            state.flows[flow, [c.F_FRAMES, c.F_BYTES]] = 0
        state.flows[s.flow, [c.F_FRAMES, c.F_BYTES]] = 1, s.length
        if syn >= 0:
            opener = begun ^ (both == c.FLOW_SYNACK)
            state.flows[begun, c.F_SEQ] = syn & 0xFFFFFFFF
            state.conns[conn, [c.C_CLIENT, c.C_ROLE]] = opener & 1, c.ROLE_SYN
            state.flows[opener, c.F_BITS] |= c.FLOW_SYN

    def _data(self, state: Any, s: Segment) -> None:
        """Payload of an identified connection: on through the compiled path, or held behind a hole."""
        behind = not self._tcp_data(state, s)
        if s.flags & 32:
            end = len(s.packet)
            far_urgent(state, s.packet, 0, end - len(s.payload), end, s.flow, s.seq, s.ts_ns)
        if behind:
            self._hold(state, s)
        elif self._held:
            self._release(state, s.flow, 0)  # where a hole begins is another place now: nobody gave that up yet

    def _hold(self, state: Any, s: Segment) -> None:
        held = self._held.setdefault(s.flow, [])
        base = int(state.flows[s.flow, c.F_SEQ])
        at = len(held)
        while at and serial_diff(held[at - 1].seq, base) > serial_diff(s.seq, base):
            at -= 1
        held.insert(at, s)
        if len(held) > MAX_HELD_SEGMENTS or sum(len(h.payload) for h in held) > MAX_HELD_BYTES:
            self._give_up(state, s.flow, s.ts_ns)
        elif s.ts_ns - min(h.ts_ns for h in held) <= HOLE_TIMEOUT_NS:
            return  # nothing changed for what was held before
        self._release(state, s.flow, s.ts_ns)

    def _release(self, state: Any, flow: int, ts_ns: int) -> None:
        """Send on what is no longer behind a hole: it was filled, acknowledged over, or is too old."""
        frame = int(state.ctl[c.CTL_FRAME])
        while held := self._held.get(flow):
            first = held[0]
            if self._tcp_data(state, first):
                held.pop(0)
                continue
            if ts_ns - min(h.ts_ns for h in held) <= HOLE_TIMEOUT_NS or waits(state, first):
                break
            self._give_up(state, flow, ts_ns)
        if not self._held.get(flow):
            self._held.pop(flow, None)
        state.ctl[c.CTL_FRAME] = frame

    def _give_up(self, state: Any, flow: int, ts_ns: int) -> None:
        """The first held segment's hole will not be filled: a loss, or bytes that nobody accepted."""
        first = self._held[flow].pop(0)
        acked = int(state.flows[flow, c.F_ACKED])
        expected = int(state.flows[flow, c.F_SEQ])
        missing = serial_diff(first.seq, expected)
        if missing > 0 and acked >= 0 and missing > MAX_HELD_BYTES and serial_diff(acked, first.seq) < 0:
            # Far beyond what the receiver acknowledges: believing it would make the true bytes look old.
            state.bytes[c.BB_SEEN] += len(first.payload)
            bad(state, flow >> 1, len(first.payload))
            return
        if missing > 0:
            far_gap(state, flow, missing, ts_ns)
            state.flows[flow, c.F_SEQ] = first.seq
        self._tcp_data(state, first)

    # --- identification ----------------------------------------------------------------------------------------------

    def _identify(self, state: Any, s: Segment) -> None:
        conn = s.flow >> 1
        if state.conns[conn, c.C_PORT_HINT] < 0 and not self._identifier.held(conn):
            source, destination = ports_of(int(state.flows[s.flow, c.F_K1]))
            hint = self._ports.get(destination, self._ports.get(source, -1))
            state.conns[conn, c.C_PORT_HINT] = hint
        proto, evidence = self._identifier.offer(state, s)
        if proto == c.PROTO_UNDECIDED:
            return
        held = self._identifier.held(conn) or [s]
        self._identifier.forget(conn)
        if proto == c.PROTO_NONE:
            state.conns[conn, c.C_PROTO] = c.PROTO_NONE
            for segment in held:
                self._foreign(state, segment)
            return
        assert evidence is not None
        for flow in (2 * conn, 2 * conn + 1):
            if state.flows[flow, c.F_BITS] & c.FLOW_RESYNC_HOLE and self._identifier.begins(state, proto, held, flow):
                state.flows[flow, c.F_BITS] &= ~c.FLOW_RESYNC_HOLE
        self._adopt(state, proto, evidence)
        self._deliver(state, held)

    def _deliver(self, state: Any, held: list[Segment]) -> None:
        """Held segments of a connection that is identified now, in order of arrival."""
        frame, both = int(state.ctl[c.CTL_FRAME]), [held[0].flow, held[0].flow ^ 1]
        acked = state.flows[both, c.F_ACKED]
        # A later acknowledgement must not make holes of what follows.
        state.flows[both, c.F_ACKED] = np.where(acked < 0, -1, state.flows[both, c.F_SEQ])
        for segment in held:
            state.frames[segment.bucket] += not segment.fragments
            if segment.transport == c.TRANSPORT_UDP:
                self._ot_datagram(state, segment)
            else:
                back = segment.flow ^ 1
                acknowledge(state, segment.flow, segment.flags, segment.ack)
                self._release(state, back, segment.ts_ns)
                self._data(state, segment)
        state.flows[both, c.F_ACKED] = acked
        for direction in both:
            self._release(state, direction, held[-1].ts_ns)
        state.ctl[c.CTL_FRAME] = frame

    def _adopt(self, state: Any, proto: int, unit: Segment) -> None:
        """The connection speaks `proto`, of which `unit` is the evidence (its direction, and a unit's bytes)."""
        state.out[OUT_FROM_CLIENT] = -1
        self._loop.evidence(state, proto, unit.payload, 0, len(unit.payload), -1)
        self._loop.adopt(state, unit.flow, proto)

    def _settle_unknown(self, state: Any, conn: int, *, pending: bool) -> None:
        """Bytes that never said what they are: pending if they may be the beginning of a PDU, else unrecognised."""
        held = self._identifier.held(conn)
        if held and self._identifier.encrypted(state, conn):
            state.conns[conn, c.C_PORT_HINT] |= c.HINT_ENCRYPTED
            pending = False
        self._identifier.forget(conn)
        hint = int(state.conns[conn, c.C_PORT_HINT])
        if held:
            state.conns[conn, c.C_PROTO] = c.PROTO_NONE
        for s in held:
            size = len(s.payload)
            if pending and hint >= 0 and self._begun(state, hint, s.payload):
                state.frames[s.bucket] += not s.fragments
                state.bytes[c.BB_SEEN] += size
                state.bytes[c.BB_PENDING] += size
            else:
                self._foreign(state, s)

    def _begun(self, state: Any, proto: int, data: Any) -> bool:
        """Whether the data are the beginning of a unit whose end is still to come."""
        size = int(self._loop.frame(state, proto, data, 0, len(data)))
        return size == 0 or size > len(data)

    @staticmethod
    def _foreign(state: Any, s: Segment) -> None:
        counted = state.frames.copy()
        if s.transport == c.TRANSPORT_UDP:
            foreign_datagram(state, s.payload, 0, len(s.payload), s.flow, s.cut)
        else:
            foreign(state, s.flow >> 1, len(s.payload), s.cut)
        if s.fragments:
            state.frames[:] = counted

    # --- UDP ---------------------------------------------------------------------------------------------------------

    def _datagram(self, state: Any, s: Segment) -> None:
        conn, size = s.flow >> 1, len(s.payload)
        proto = int(state.conns[conn, c.C_PROTO])
        copy = far_seen_before(state, s.flow, s.sig, s.ts_ns, 0)
        if copy and (proto < 0 or far_same_datagram(state, s.payload, 0, size, s.flow)):
            copied(state, conn, size)
            return
        if proto == c.PROTO_UNDECIDED:
            self._identify(state, s)
        elif proto == c.PROTO_NONE:
            self._foreign(state, s)
        else:
            state.frames[s.bucket] += not s.fragments
            self._ot_datagram(state, s)
        state.flows[s.flow, c.F_BITS] |= c.FLOW_PAYLOAD
        sign(state, s.flow, s.sig, s.ts_ns)

    def _ot_datagram(self, state: Any, s: Segment) -> None:
        size = len(s.payload)
        state.ctl[c.CTL_FRAME] = s.frame
        state.bytes[c.BB_SEEN] += size
        far_remember(state, s.payload, 0, 0, size, s.flow, 0)
        self._loop.datagram(state, s.payload, 0, size, s.flow, s.ts_ns)
