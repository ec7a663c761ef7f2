"""First bytes of a connection, held until they say which protocol it is.

On a registered port one sure PDU suffices; elsewhere a request and its response are needed (DESIGN 4). Capture that
began in the middle of a stream may show its first whole PDU only at a later segment, so each one's start is tried.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from otmon.limits import IDENTIFY_BYTES, MAX_HELD_SEGMENTS, MAX_IDENTIFYING
from otmon.stream.segment import Segment
from otmon.wire import columns as c
from otmon.wire.contract import (
    KIND_LINK,
    KIND_REQUEST,
    KIND_RESPONSE,
    OUT_KIND,
    OUT_REPLY_KEY,
    OUT_TOKEN,
    REPLY_FUNCTION,
    Protocol,
)
from otmon.wire.history import serial_diff
from otmon.wire.identify import tls_record
from otmon.wire.loop import Loop

_NO_BYTES = np.zeros(0, np.uint8)
SURE, PLAUSIBLE, PARTIAL, NOTHING = 3, 2, 1, 0
FRAMED = (-1, -1)
"""In place of (token, reply key): a unit whose check sum is right. One each way says as much as an exchange."""
LATE_STARTS = 8
"""Segments at whose start a PDU is looked for when capture began midstream: one PDU may come in that many."""


@dataclass(slots=True)
class _Held:
    segments: list[Segment] = field(default_factory=list)
    bytes: list[int] = field(default_factory=lambda: [0, 0])
    contradicted: bool = False
    """Two segments have other bytes at one place: what came first may have reached nobody."""

    def add(self, segment: Segment) -> None:
        """One more, in order of arrival."""
        self.contradicted = self.contradicted or any(_contradict(s, segment) for s in self.segments)
        self.segments.append(segment)
        self.bytes[segment.flow & 1] += len(segment.payload)

    def moved(self, conn: int) -> "_Held":
        """The same for a connection in another row."""
        segments = [s._replace(flow=2 * conn + (s.flow & 1)) for s in self.segments]
        return _Held(segments, self.bytes, self.contradicted)


class Identifier:
    """Connections that are not identified yet."""

    def __init__(self, loop: Loop, protocols: tuple[Protocol, ...]) -> None:
        self._loop, self._protocols = loop, protocols
        self._held: dict[int, _Held] = {}
        self.shed = 0

    def held(self, conn: int) -> list[Segment]:
        """Segments held for a connection, in order of arrival."""
        return self._held[conn].segments if conn in self._held else []

    def streams(self, state: Any, conn: int, direction: int) -> list[Any]:
        """What is held of one direction, as far as it is contiguous: one stream, or the datagrams."""
        return _streams(state, self._held[conn], direction)

    def contradicted(self, conn: int) -> bool:
        """Whether what is held of a connection has two readings."""
        return self._held[conn].contradicted

    def encrypted(self, state: Any, conn: int) -> bool:
        """Whether what is held of a connection on a registered port is TLS, as far as it goes."""
        held = self._held[conn]
        midstream = bool(state.flows[held.segments[0].flow, c.F_BITS] & c.FLOW_MIDSTREAM)
        if state.conns[conn, c.C_PORT_HINT] < 0:
            return False
        streams = [_streams(state, held, direction, every=midstream) for direction in (0, 1)]
        return _encrypted(held, streams, midstream) >= PLAUSIBLE

    def connections(self) -> list[int]:
        """Connections that are still undecided."""
        return sorted(self._held)

    def move(self, rows: Any) -> None:
        """Connections have other rows now: old -> new."""
        self._held = {int(rows[conn]): held.moved(int(rows[conn])) for conn, held in self._held.items()}

    def forget(self, conn: int) -> None:
        """The connection is decided."""
        self._held.pop(conn, None)

    def offer(self, state: Any, segment: Segment) -> tuple[int, Segment | None]:
        """Hold a segment and look: (protocol index, the unit that says so), or PROTO_UNDECIDED or PROTO_NONE."""
        conn = segment.flow >> 1
        if conn not in self._held and len(self._held) >= MAX_IDENTIFYING:
            self.shed += 1
            return c.PROTO_NONE, None
        held = self._held.setdefault(conn, _Held())
        held.add(segment)
        hint = int(state.conns[conn, c.C_PORT_HINT])
        midstream = bool(state.flows[held.segments[0].flow, c.F_BITS] & c.FLOW_MIDSTREAM)
        candidates: Sequence[int] = range(len(self._protocols))
        if segment.transport == c.TRANSPORT_UDP:
            candidates = [p for p in candidates if self._protocols[p].datagrams]
        streams = [_streams(state, held, direction, every=midstream and hint >= 0) for direction in (0, 1)]
        first = streams
        if midstream and segment.transport == c.TRANSPORT_TCP:  # a later start is believed on a registered port alone
            first = [found[:1] for found in streams]
        if held.contradicted:
            for direction in (0, 1):
                first[direction] = streams[direction] = [*streams[direction], *_latest(state, held, direction)]
        possible, framed = False, hint >= 0 and held.contradicted
        for proto in sorted(candidates, key=lambda p: p != hint):
            verdict, evidence = self._look(state, proto, held, streams if proto == hint else first, proto == hint)
            if verdict == SURE:
                return proto, evidence
            # A server may obey what is framed wrongly: its answer tells.
            possible = possible or verdict > NOTHING or (proto == hint and (midstream or min(held.bytes) == 0))
            framed = framed or (proto == hint and verdict > NOTHING)
        secure = _encrypted(held, streams, midstream) if hint >= 0 and not framed else NOTHING
        waits = max(held.bytes) < IDENTIFY_BYTES and len(held.segments) < MAX_HELD_SEGMENTS
        if secure == SURE or (secure == PLAUSIBLE and not waits):
            state.conns[conn, c.C_PORT_HINT] = hint | c.HINT_ENCRYPTED
            return c.PROTO_NONE, None
        if waits:
            return (c.PROTO_UNDECIDED if possible or secure else c.PROTO_NONE), None
        if framed:  # else tiny segments would be a way to pass unseen
            opening = held.segments[0]
            return hint, opening._replace(payload=streams[opening.flow & 1][0])
        return c.PROTO_NONE, None

    def begins(self, state: Any, proto: int, segments: list[Segment], flow: int) -> bool:
        """A sure unit begins where these segments of a TCP stream do: however they are cut, none must be looked for."""
        if segments[0].transport != c.TRANSPORT_TCP:
            return False
        held = _Held(segments)
        return any(
            self._walk(state, proto, held, flow & 1, data, {}, True)[0] == SURE
            for data in _streams(state, held, flow & 1)[:1]
        )

    def _look(
        self, state: Any, proto: int, held: _Held, streams: list[list[Any]], registered: bool
    ) -> tuple[int, Segment | None]:
        """What the held bytes say of one protocol: how surely it is this one, and the unit that makes it sure."""
        exchanges: list[dict[tuple[int, int], Segment]] = [{}, {}]
        best, possible = NOTHING, True
        for direction in (0, 1):
            most = NOTHING
            for data in streams[direction]:
                verdict, sure = self._walk(state, proto, held, direction, data, exchanges[direction], registered)
                if verdict == SURE and registered:
                    return SURE, sure
                most = max(most, verdict)
            best = max(best, most)
            possible = possible and (most > NOTHING or not streams[direction])
        for key, unit in exchanges[0].items():
            if key in exchanges[1]:
                return SURE, unit
        return (min(best, PLAUSIBLE) if possible or registered else NOTHING), None

    def _walk(
        self,
        state: Any,
        proto: int,
        held: _Held,
        direction: int,
        data: Any,
        exchange: dict[tuple[int, int], Segment],
        registered: bool,
    ) -> tuple[int, Segment | None]:
        """Units of one direction from the first byte of `data`: the best evidence, and the sure unit."""
        best, at = NOTHING if len(data) else PARTIAL, 0
        while at < len(data):
            level = int(self._loop.evidence(state, proto, data, at, len(data), -1))
            kind = int(state.out[OUT_KIND])
            if level == NOTHING:
                break
            best = max(best, level)
            size = int(self._loop.frame(state, proto, data, at, len(data)))
            if not 0 < size <= len(data) - at:
                break
            sender = next(s for s in held.segments if s.flow & 1 == direction)
            unit = sender._replace(payload=data[at : at + size])
            if level >= (PLAUSIBLE if registered else SURE) and kind in (KIND_REQUEST, KIND_RESPONSE):
                exchange[int(state.out[OUT_TOKEN]), int(state.out[OUT_REPLY_KEY]) & REPLY_FUNCTION] = unit
            if level == SURE and self._protocols[proto].scan:
                exchange.setdefault(FRAMED, unit)
            if level == SURE and (registered or kind != KIND_LINK):
                return SURE, unit
            if level == SURE:
                best = PLAUSIBLE
            at += size
        return best, None


def _encrypted(held: _Held, streams: list[list[Any]], midstream: bool) -> int:
    """SURE if both directions begin with a TLS record, PLAUSIBLE if one does and the other says nothing, or PARTIAL.

    Of a connection captured from its middle on, a later segment may be the first to begin with a record.
    """
    if held.segments[0].transport != c.TRANSPORT_TCP:
        return NOTHING
    found = []
    for one_way in streams:
        levels = [tls_record(data, 0, len(data)) for data in one_way if len(data)]
        if levels and not midstream and levels[0] == NOTHING:
            return NOTHING
        found.append(max(levels, default=NOTHING))
    return SURE if min(found) == PLAUSIBLE else max(found)


def _contradict(one: Segment, two: Segment) -> bool:
    """Whether two segments of a direction have other bytes at one place of its stream."""
    if one.flow != two.flow or one.transport != c.TRANSPORT_TCP:
        return False
    ahead = serial_diff(two.seq, one.seq)
    low, high = max(0, ahead), min(len(one.payload), ahead + len(two.payload))
    return low < high and not np.array_equal(one.payload[low:high], two.payload[low - ahead : high - ahead])


def _latest(state: Any, held: _Held, direction: int) -> list[Any]:
    """The stream from its beginning to its first hole, if of two bytes at one place the later one counts."""
    stream = np.full(IDENTIFY_BYTES, -1, np.int16)
    for s in held.segments:
        at = serial_diff(s.seq, int(state.flows[s.flow, c.F_SEQ]))
        if s.flow & 1 == direction and -len(s.payload) < at < len(stream):
            piece = s.payload[max(0, -at) : len(stream) - at]
            stream[max(0, at) : max(0, at) + len(piece)] = piece
    known = int(np.argmin(stream)) if stream.min() < 0 else len(stream)
    return [stream[:known].astype(np.uint8)] if known else []


def _contiguous(segments: list[Segment], at: int) -> Any:
    """The stream from sequence number `at` to the first hole, of segments in order; what came again is left out."""
    pieces = []
    for s in segments:
        old = -serial_diff(s.seq, at)
        if old < 0:
            break
        if old < len(s.payload):
            pieces.append(s.payload[old:])
            at = (at + len(s.payload) - old) & 0xFFFFFFFF
            if len(s.payload) < s.length:
                break
    return np.concatenate(pieces) if pieces else _NO_BYTES


def _streams(state: Any, held: _Held, direction: int, *, every: bool = False) -> list[Any]:
    """Bytes to walk: a datagram each, or a TCP stream from its beginning to its first hole.

    `every`: also from where the last few segments start, for captures that began within a PDU.
    """
    segments = [s for s in held.segments if s.flow & 1 == direction and len(s.payload)]
    if not segments or segments[0].transport == c.TRANSPORT_UDP:
        return [s.payload for s in segments]
    base, acked = state.flows[segments[0].flow, [c.F_SEQ, c.F_ACKED]].tolist()
    segments.sort(key=lambda s: serial_diff(s.seq, base))
    first = segments[0].seq
    if serial_diff(first, base) > 0 and acked >= 0 and serial_diff(acked, first) >= 0:
        base = first  # what came before is lost
    tried = range(max(1, len(segments) - LATE_STARTS), len(segments)) if every else ()
    return [_contiguous(segments, base), *(_contiguous(segments[i:], segments[i].seq) for i in tried)]
