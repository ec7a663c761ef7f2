"""TCP by brute force: which bytes were sent, which of them the capture holds, and so which PDUs must come out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from otmon.engine import messages
from otmon.limits import MAX_PDU_BYTES
from otmon.protocols import PROTOCOLS
from otmon.wire.contract import UNWRAP_BUILT, UNWRAP_MORE, UNWRAP_WHOLE
from tests.effort import examples
from tests.engine.traffic import MASK, PORTS, Shot, conversation, exchanges, frames, split
from tests.engine.world import Seen, see
from tests.hostile.kit import Session

RELAXED = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
BY_NAME = {protocol.name: protocol for protocol in reversed(PROTOCOLS)}


@dataclass(frozen=True, slots=True)
class Pdu:
    """A PDU that was sent: its place in the stream of its direction, and its canonical bytes."""

    start: int
    end: int
    data: bytes


def pdus(protocol: str, stream: bytes) -> list[Pdu]:
    """What an application reads of a stream that nothing happened to."""
    p, buf, at, begun, fill = BY_NAME[protocol], np.frombuffer(stream, np.uint8), 0, 0, 0
    assembly, found = np.zeros(MAX_PDU_BYTES, np.uint8), []
    while at < len(stream):
        size = p.frame(buf, at, len(stream))
        assert 0 < size <= len(stream) - at
        status, a, b = p.unwrap(buf, at, at + size, assembly, fill)
        assert status in (UNWRAP_WHOLE, UNWRAP_MORE, UNWRAP_BUILT)
        at += size
        if status == UNWRAP_MORE:
            fill = b
            continue
        found.append(Pdu(begun, at, (buf if status == UNWRAP_WHOLE else assembly)[a:b].tobytes()))
        begun, fill = at, 0
    return found


class Decoded:
    """Runs the engine; `pdus[from_client]` are the PDUs it decoded, `asked` the request it gave with each response."""

    def __init__(self, shots: Sequence[Shot], policy: Any = None, **options: Any) -> None:
        self.pdus: dict[bool, list[bytes]] = {True: [], False: []}
        self.asked: list[tuple[bytes, bytes | None]] = []

        def recorded(protocol: Any) -> Any:
            def decode(pdu: bytes, from_client: bool, request: bytes | None) -> Any:
                self.pdus[from_client].append(pdu)
                if not from_client:
                    self.asked.append((pdu, request))
                return protocol.decode(pdu, from_client, request)

            return protocol._replace(decode=decode)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(messages, "PROTOCOLS", tuple(map(recorded, PROTOCOLS)))
            self.seen: Seen = see(frames(shots), policy, **options)


@st.composite
def talks(draw: Any, on_port: bool = False, opening: bool = True) -> tuple[str, list[Shot]]:
    """A conversation as it should be, closed, so that everything sent is acknowledged."""
    protocol = draw(st.sampled_from(sorted(PORTS)))
    on_port = on_port or draw(st.booleans())  # elsewhere it takes a request and its response to know the protocol
    kinds = draw(st.lists(st.integers(0, 5), min_size=1 if on_port else 3, max_size=6))
    shots = conversation(
        Session("10.0.2.1", "10.0.1.1", 49152, PORTS[protocol] if on_port else 4000),
        exchanges(protocol, kinds),
        opening=opening,
        closing=True,
        isn=draw(st.sampled_from([(1000, 5000), (MASK - 40, MASK - 2), (MASK, MASK)])),
        step_ns=100_000,
        pipelined=draw(st.integers(1, 3)),
    )
    return protocol, shots


def flights(shots: Sequence[Shot]) -> list[list[Shot]]:
    """Runs of data from one side; what is no data stands alone."""
    out: list[list[Shot]] = []
    for shot in shots:
        last = out[-1][-1] if out else None
        if last is not None and last.data and shot.data and last.from_client == shot.from_client:
            out[-1].append(shot)
        else:
            out.append([shot])
    return out


def streams(shots: Sequence[Shot]) -> dict[bool, tuple[int, bytes]]:
    """(first sequence number, bytes sent) of both directions."""
    out = {}
    for side in (True, False):
        mine = [s for s in shots if s.from_client == side and s.data]
        out[side] = (mine[0].seq if mine else 0, b"".join(s.data for s in mine))
    return out


def resent(draw: Any, flight: list[Shot], base: int, stream: bytes) -> Shot:
    """Some bytes of this flight (or before) in a segment of another size."""
    last = max(flight, key=lambda s: s.seq - base & MASK)
    end = (last.seq - base & MASK) + len(last.data)
    a = draw(st.integers(max(0, end - 40), end - 1))
    b = draw(st.integers(a + 1, min(end, a + 60)))
    return replace(last, seq=base + a & MASK, data=stream[a:b], ip_id=draw(st.integers(20_000, 30_000)))


def scattered(draw: Any, shots: list[Shot], resegment: bool = True) -> list[list[Shot]]:
    """Flight by flight: cut anywhere, out of order, parts sent again and mirrored twice."""
    first = streams(shots)
    out = []
    for flight in flights(shots):
        if flight[0].data:
            base, stream = first[flight[0].from_client]
            flight = [s for shot in flight for s in split(shot, draw(st.lists(st.integers(1, 700), max_size=6)))]
            for _ in range(draw(st.integers(0, 2))):
                one = draw(st.sampled_from(flight))
                match draw(st.integers(0, 2)):
                    case 0:
                        flight.append(replace(one, ip_id=one.ip_id + 20_000 & 0xFFFF))
                    case 1:
                        flight.insert(flight.index(one), one)
                    case _ if resegment:
                        flight.append(resent(draw, flight, base, stream))
            if draw(st.booleans()):
                flight = draw(st.permutations(flight))
        out.append(flight)
    return out


@settings(RELAXED, max_examples=examples(100))
@given(st.data())
def test_every_pdu_once_when_every_byte_was_captured(data: Any) -> None:
    protocol, shots = data.draw(talks())
    decoded = Decoded([s for flight in scattered(data.draw, shots) for s in flight])
    total = 0
    for side, (_, stream) in streams(shots).items():
        assert decoded.pdus[side] == [pdu.data for pdu in pdus(protocol, stream)], side
        total += len(stream)
    seen = decoded.seen
    assert seen.ot_bytes["decoded"] == total
    assert seen.ot_bytes["seen"] == total + seen.ot_bytes["copy"]
    assert seen.picture["visibility"] == {**seen.picture["visibility"], "missing_bytes": 0, "gaps": 0, "one_sided": 0}
    assert not seen.alerts()


@settings(RELAXED, max_examples=examples(40))
@given(st.data())
def test_every_response_finds_its_request(data: Any) -> None:
    _, shots = data.draw(talks())
    decoded = Decoded([s for flight in scattered(data.draw, shots) for s in flight])
    usual = Decoded(shots)
    assert decoded.asked == usual.asked
    for a, b in zip(decoded.seen.picture["operations"], usual.seen.picture["operations"], strict=True):
        for name in ("key", "counts", "bytes"):
            assert a[name] == b[name]


def holes(length: int, kept: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Parts of 0..length that no interval covers."""
    covered = bytearray(length)
    for a, b in kept:
        covered[a:b] = b"\1" * (b - a)
    out, at = [], 0
    while (begin := covered.find(0, at)) >= 0:
        end = covered.find(1, begin)
        at = length if end < 0 else end
        out.append((begin, at))
    return out


@settings(RELAXED, max_examples=examples(100))
@given(st.data())
def test_losses_are_counted_exactly_and_what_follows_is_decoded(data: Any) -> None:
    protocol, shots = data.draw(talks(on_port=True))
    made = scattered(data.draw, shots, resegment=False)
    lost = {
        (s.from_client, s.seq)
        for flight in made for s in flight if s.data and data.draw(st.integers(0, 5)) == 0
    }  # fmt: skip
    captured = [s for flight in made for s in flight if not s.data or (s.from_client, s.seq) not in lost]
    decoded = Decoded(captured)
    missing = gaps = 0
    identified = any(decoded.pdus.values())
    for side, (base, stream) in streams(shots).items():
        segments = sorted({(s.seq - base & MASK, len(s.data)) for s in captured if s.data and s.from_client == side})
        dark = holes(len(stream), [(at, at + size) for at, size in segments])
        missing += sum(b - a for a, b in dark)
        gaps += sum(b < len(stream) for _, b in dark)
        sent = pdus(protocol, stream)
        found, must = decoded.pdus[side], needed(sent, dark, segments)
        assert in_order(found, [p.data for p in sent]), "a PDU that was not sent, or out of order, or twice"
        if identified:
            assert in_order([p.data for p in must], found), "a PDU was there and did not come out"
    if identified:
        assert decoded.seen.picture["visibility"]["missing_bytes"] == missing
        assert decoded.seen.picture["visibility"]["gaps"] == gaps
        assert decoded.seen.ot_bytes["malformed"] == 0


def in_order(few: list[bytes], many: list[bytes]) -> bool:
    """Whether `few` is a subsequence of `many`."""
    rest = iter(many)
    return all(item in rest for item in few)


def needed(sent: list[Pdu], dark: list[tuple[int, int]], segments: list[tuple[int, int]]) -> list[Pdu]:
    """PDUs that must come out: behind a hole decoding begins again with a whole PDU at a segment's start."""
    out, in_step = [], True
    for pdu in sent:
        if any(a < pdu.end and pdu.start < b for a, b in dark):
            in_step = False
            continue
        if not in_step:
            in_step = any(at == pdu.start and at + size >= pdu.end for at, size in segments)
        if in_step:
            out.append(pdu)
    return out


@pytest.mark.parametrize("protocol", sorted(PORTS))
@pytest.mark.parametrize("begin", [0, 1, 3, 6])
def test_capture_begins_within_a_pdu(protocol: str, begin: int) -> None:
    """At every offset of a request, whole segments following: nothing invented, everything behind it decoded."""
    shots = conversation(Session("10.0.2.1", "10.0.1.1", 49152, PORTS[protocol]), exchanges(protocol, range(1, 8)))[3:]
    at = 3 * begin
    for offset in range(len(shots[at].data)):
        half = replace(shots[at], seq=shots[at].seq + offset, data=shots[at].data[offset:])
        decoded = Decoded([half, *shots[at + 1 :]])
        for side in (True, False):
            sent = [s.data for s in shots[at:] if s.from_client == side and s.data]
            expected = [pdu.data for data in sent for pdu in pdus(protocol, data)]
            if side and offset:
                expected = expected[1:]
            assert decoded.pdus[side] == expected, (side, offset)


@pytest.mark.parametrize("protocol", sorted(PORTS))
def test_byte_by_byte(protocol: str) -> None:
    shots = conversation(Session("10.0.2.1", "10.0.1.1", 49152, PORTS[protocol]), exchanges(protocol, range(1, 8)))
    crumbs = [s for shot in shots for s in split(shot, range(len(shot.data)))]
    decoded = Decoded(crumbs)
    for side, (_, stream) in streams(shots).items():
        assert decoded.pdus[side] == [pdu.data for pdu in pdus(protocol, stream)]


@pytest.mark.parametrize("protocol", sorted(PORTS))
def test_all_in_one_segment(protocol: str) -> None:
    """Seven requests in one segment, then their responses in one."""
    talk = [e for e in exchanges(protocol, range(1, 8)) if len(e[1]) < 300]
    shots = conversation(
        Session("10.0.2.1", "10.0.1.1", 49152, PORTS[protocol]),
        [(b"".join(request for request, _ in talk), b"".join(response for _, response in talk))],
    )
    decoded = Decoded(shots)
    for side, (_, stream) in streams(shots).items():
        assert decoded.pdus[side] == [pdu.data for pdu in pdus(protocol, stream)]


@pytest.mark.parametrize("force_slow", [False, True], ids=["fast", "slow"])
def test_a_keep_alive_begins_the_capture(force_slow: bool) -> None:
    """One byte that stands for the one before: neither a beginning nor unrecognised, by whatever path it comes."""
    shots = conversation(Session("10.0.2.1", "10.0.1.1"), exchanges("modbus", [0, 1]))[3:]
    probe = replace(shots[0], seq=shots[0].seq - 1, data=b"\0", ip_id=4000)
    decoded = Decoded([probe, replace(probe, ip_id=4001), *shots], force_slow=force_slow)
    assert [len(decoded.pdus[side]) for side in (True, False)] == [2, 2]
    assert decoded.seen.frames["tcp_control"] == 2 + sum(not s.data for s in shots)
    assert decoded.seen.ot_bytes["seen"] == decoded.seen.ot_bytes["decoded"]
