"""First bytes of a connection, held until they say which protocol it is.

On a registered port one sure PDU suffices; elsewhere a request and its response are needed (DESIGN 4). Capture that
began in the middle of a stream may show its first whole PDU only at a later segment, so each one's start is tried.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from otmon.limits import IDENTIFY_BYTES, MAX_HELD_SEGMENTS, MAX_IDENTIFYING
from otmon.stream.segment import Segment
from otmon.wire import columns as c
from otmon.wire.contract import KIND_LINK, KIND_REQUEST, KIND_RESPONSE, OUT_KIND, OUT_REPLY_KEY, OUT_TOKEN, Protocol
from otmon.wire.flow import serial_diff
from otmon.wire.loop import Loop

SURE, PLAUSIBLE, PARTIAL, NOTHING = 3, 2, 1, 0


@dataclass(slots=True)
class _Held:
    segments: list[Segment] = field(default_factory=list)
    bytes: list[int] = field(default_factory=lambda: [0, 0])


class Identifier:
    """Connections that are not identified yet."""

    def __init__(self, loop: Loop, protocols: tuple[Protocol, ...]) -> None:
        self._loop, self._protocols = loop, protocols
        self._held: dict[int, _Held] = {}

    def held(self, conn: int) -> list[Segment]:
        """Segments held for a connection, in order of arrival."""
        return self._held[conn].segments if conn in self._held else []

    def connections(self) -> list[int]:
        """Connections that are still undecided."""
        return sorted(self._held)

    def forget(self, conn: int) -> None:
        """The connection is decided."""
        self._held.pop(conn, None)

    def offer(self, state: Any, segment: Segment) -> tuple[int, Segment | None]:
        """Hold a segment and look: (protocol index, the segment that says so), or PROTO_UNDECIDED or PROTO_NONE."""
        conn = segment.flow >> 1
        if conn not in self._held and len(self._held) >= MAX_IDENTIFYING:
            return c.PROTO_NONE, None
        held = self._held.setdefault(conn, _Held())
        held.segments.append(segment)
        held.bytes[segment.flow & 1] += len(segment.payload)
        hint = int(state.conns[conn, c.C_PORT_HINT])
        candidates = range(len(self._protocols))
        if segment.transport == c.TRANSPORT_UDP:
            candidates = [p for p in candidates if self._protocols[p].datagrams]  # type: ignore[assignment]
        possible = False
        for proto in sorted(candidates, key=lambda p: p != hint):
            verdict, evidence = self._look(state, proto, held, proto == hint)
            if verdict == SURE:
                return proto, evidence
            possible = possible or verdict > NOTHING
        full = max(held.bytes) >= IDENTIFY_BYTES or len(held.segments) >= MAX_HELD_SEGMENTS
        return (c.PROTO_UNDECIDED if possible and not full else c.PROTO_NONE), None

    def _look(self, state: Any, proto: int, held: _Held, registered: bool) -> tuple[int, Segment | None]:
        """What the held bytes say of one protocol."""
        midstream = any(state.flows[s.flow, c.F_BITS] & c.FLOW_MIDSTREAM for s in held.segments[:1])
        exchanges: list[dict[tuple[int, int], Segment]] = [{}, {}]
        best = NOTHING
        for direction in (0, 1):
            segments = [s for s in held.segments if s.flow & 1 == direction and len(s.payload)]
            base = segments[0].seq if segments else 0
            segments.sort(key=lambda s: serial_diff(s.seq, base))
            starts = range(len(segments)) if registered and midstream else range(min(1, len(segments)))
            for start in starts:
                verdict, sure = self._walk(state, proto, segments[start:], exchanges[direction], registered)
                if verdict == SURE and registered:
                    assert sure is not None
                    return SURE, sure
                best = max(best, verdict)
            if segments and midstream and registered:
                best = max(best, PARTIAL)
        for key, segment in exchanges[0].items():
            if key in exchanges[1]:
                return SURE, segment
        if not registered and not self._both_possible(state, proto, held):
            return NOTHING, None
        return min(best, PLAUSIBLE), None

    def _both_possible(self, state: Any, proto: int, held: _Held) -> bool:
        for direction in (0, 1):
            segments = [s for s in held.segments if s.flow & 1 == direction and len(s.payload)]
            if segments and self._walk(state, proto, segments, {}, False)[0] == NOTHING:
                return False
        return True

    def _walk(
        self,
        state: Any,
        proto: int,
        segments: list[Segment],
        exchange: dict[tuple[int, int], Segment],
        registered: bool,
    ) -> tuple[int, Segment | None]:
        """Units of one direction from its first byte: the best evidence, and the segment where a sure PDU ends."""
        udp = segments[0].transport == c.TRANSPORT_UDP
        streams = [s.payload for s in segments] if udp else [np.concatenate([s.payload for s in segments])]
        best = NOTHING
        for number, data in enumerate(streams):
            at, first = 0, True
            while at < len(data):
                level = int(self._loop.evidence(state, proto, data, at, len(data), -1))
                kind = int(state.out[OUT_KIND])
                if level == NOTHING:
                    return (NOTHING if first else best), None
                best = max(best, level)
                if level == PARTIAL and not 0 < (size := int(self._protocols[proto].frame(data, at, len(data)))) <= len(
                    data
                ) - at:
                    break
                where = segments[number] if udp else _segment_at(segments, at)
                if level >= (PLAUSIBLE if registered else SURE) and kind in (KIND_REQUEST, KIND_RESPONSE):
                    exchange[int(state.out[OUT_TOKEN]), int(state.out[OUT_REPLY_KEY])] = where
                if level == SURE and (registered or kind != KIND_LINK):
                    return SURE, where
                if level == SURE:
                    best = PLAUSIBLE
                first = False
                at += int(self._protocols[proto].frame(data, at, len(data)))
        return best, None


def _segment_at(segments: list[Segment], offset: int) -> Segment:
    for segment in segments:
        if offset < len(segment.payload):
            return segment
        offset -= len(segment.payload)
    return segments[-1]
