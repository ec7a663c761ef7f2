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
        """Hold a segment and look: (protocol index, the unit that says so), or PROTO_UNDECIDED or PROTO_NONE."""
        conn = segment.flow >> 1
        if conn not in self._held and len(self._held) >= MAX_IDENTIFYING:
            return c.PROTO_NONE, None
        held = self._held.setdefault(conn, _Held())
        held.segments.append(segment)
        held.bytes[segment.flow & 1] += len(segment.payload)
        hint = int(state.conns[conn, c.C_PORT_HINT])
        midstream = bool(state.flows[held.segments[0].flow, c.F_BITS] & c.FLOW_MIDSTREAM)
        candidates = range(len(self._protocols))
        if segment.transport == c.TRANSPORT_UDP:
            candidates = [p for p in candidates if self._protocols[p].datagrams]  # type: ignore[assignment]
        possible = framed = False
        for proto in sorted(candidates, key=lambda p: p != hint):
            verdict, evidence = self._look(state, proto, held, proto == hint, midstream)
            if verdict == SURE:
                return proto, evidence
            possible = possible or verdict > NOTHING or (proto == hint and midstream)
            framed = framed or (proto == hint and verdict > NOTHING)
        if max(held.bytes) < IDENTIFY_BYTES and len(held.segments) < MAX_HELD_SEGMENTS:
            return (c.PROTO_UNDECIDED if possible else c.PROTO_NONE), None
        if framed:  # else tiny segments would be a way to pass unseen
            first = held.segments[0]
            return hint, first._replace(payload=np.concatenate([s.payload for s in _ordered(held, first.flow & 1)]))
        return c.PROTO_NONE, None

    def _look(
        self, state: Any, proto: int, held: _Held, registered: bool, midstream: bool
    ) -> tuple[int, Segment | None]:
        """What the held bytes say of one protocol."""
        exchanges: list[dict[tuple[int, int], Segment]] = [{}, {}]
        best = NOTHING
        for direction in (0, 1):
            segments = _ordered(held, direction)
            starts = range(len(segments)) if registered and midstream else range(min(1, len(segments)))
            for start in starts:
                verdict, sure = self._walk(state, proto, segments[start:], exchanges[direction], registered)
                if verdict == SURE and registered:
                    return SURE, sure
                best = max(best, verdict)
        for key, unit in exchanges[0].items():
            if key in exchanges[1]:
                return SURE, unit
        if not registered and not self._both_possible(state, proto, held):
            return NOTHING, None
        return min(best, PLAUSIBLE), None

    def _both_possible(self, state: Any, proto: int, held: _Held) -> bool:
        for direction in (0, 1):
            segments = _ordered(held, direction)
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
        """Units of one direction from its first byte: the best evidence, and the sure unit."""
        udp = segments[0].transport == c.TRANSPORT_UDP
        streams = [s.payload for s in segments] if udp else [np.concatenate([s.payload for s in segments])]
        best = NOTHING
        for data in streams:
            at, first = 0, True
            while at < len(data):
                level = int(self._loop.evidence(state, proto, data, at, len(data), -1))
                kind = int(state.out[OUT_KIND])
                if level == NOTHING:
                    return (NOTHING if first else best), None
                best = max(best, level)
                size = int(self._protocols[proto].frame(data, at, len(data)))
                if not 0 < size <= len(data) - at:
                    break
                unit = segments[0]._replace(payload=data[at : at + size])
                if level >= (PLAUSIBLE if registered else SURE) and kind in (KIND_REQUEST, KIND_RESPONSE):
                    exchange[int(state.out[OUT_TOKEN]), int(state.out[OUT_REPLY_KEY])] = unit
                if level == SURE and (registered or kind != KIND_LINK):
                    return SURE, unit
                if level == SURE:
                    best = PLAUSIBLE
                first = False
                at += size
        return best, None


def _ordered(held: _Held, direction: int) -> list[Segment]:
    """Payload of one direction in the order of its sequence numbers."""
    segments = [s for s in held.segments if s.flow & 1 == direction and len(s.payload)]
    base = segments[0].seq if segments else 0
    return sorted(segments, key=lambda s: serial_diff(s.seq, base))
