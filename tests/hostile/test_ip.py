"""H16-H18: fragments and extension headers."""

import random

import pytest

from otmon.limits import MAX_FRAGMENTS_PER_DATAGRAM
from otmon.stream import defrag
from tests.engine.world import START_NS, Frame
from tests.hostile.kit import Session, checksum, fragments
from tests.hostile.packets import (
    AUTHENTICATION,
    DESTINATION,
    EMPTY,
    FRAGMENT,
    HOP,
    ROUTING,
    SIX,
    extended,
    pieces,
    whole,
)
from tests.hostile.witness import CLIENT, FORBIDDEN, READ, SERVER, functions, reported, survive

WRITE = [("request", "write_single_register")]
FAMILIES = pytest.mark.parametrize("ends", [(CLIENT, SERVER), SIX], ids=["ipv4", "ipv6"])


@pytest.mark.parametrize("broken", [[0], [1], [0, 1], [2], [0, 2]], ids=str)
@pytest.mark.parametrize("data", [FORBIDDEN, b"GET / HTTP/1.1\r\n"], ids=["ours", "foreign"])
@pytest.mark.parametrize("port", [502, 4000])
@pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])
def test_each_frame_counts_once_while_nobody_knows_what_it_is(
    broken: list[int], data: bytes, port: int, udp: bool
) -> None:
    """Of a stream's first segments some come in fragments: which bucket they are in is not decided twice."""
    session = Session(CLIENT, SERVER, 49152, port, udp=udp)
    opening = [] if udp else session.handshake()
    sent = [session.send(data[:5]), session.send(data[5:]), session.send(data, from_client=False)]
    parts = [fragments(frame, 8) if n in broken else [frame] for n, frame in enumerate(sent)]
    seen = survive([*opening, *(part for several in parts for part in several)])
    assert seen.frames["fragment"] == sum(map(len, parts)) - sum(n not in broken for n in range(3))


@FAMILIES
@pytest.mark.parametrize("size", [8, 16, 24])
@pytest.mark.parametrize("order", ["forward", "backward", "shuffled", "doubled"])
def test_in_any_order(ends: tuple[str, str], size: int, order: str) -> None:
    """The smallest cut splits the TCP header."""
    parts = fragments(whole(*ends), size)
    if order == "backward":
        parts.reverse()
    elif order == "shuffled":
        random.Random(size).shuffle(parts)
    elif order == "doubled":
        parts = [part for part in parts for _ in range(2)][:-1]
    seen = survive(parts)
    assert functions(seen) == WRITE
    assert seen.frames["fragment"] == len(parts)
    assert len(seen.messages[0]["frames"]) == 1
    if "." in ends[0]:
        assert reported(seen) == 1


@FAMILIES
def test_one_missing(ends: tuple[str, str]) -> None:
    parts = fragments(whole(*ends), 8)
    for missing in range(len(parts)):
        seen = survive(parts[:missing] + parts[missing + 1 :])
        assert not functions(seen)
        assert seen.frames["fragment"] == len(parts) - 1


TCP = whole()[34:]
OTHER = TCP[:-2] + b"\xff\xff"


@pytest.mark.parametrize(
    "parts",
    [
        [(0, TCP[:16], True), (8, TCP[8:24], True), (24, TCP[24:], False)],
        [(0, TCP[:24], True), (8, OTHER[8:24], True), (24, TCP[24:], False)],
        [(0, TCP[:24], True), (24, TCP[24:], False), (24, OTHER[24:], False)],
        [(0, TCP[:24], True), (24, TCP[24:32], False), (24, TCP[24:], False)],
        [(0, TCP[:24], True), (65528, TCP[24:], False)],
        [(0, TCP[:24], True), (24, TCP[24:], True)],
        [(0, TCP[:20], True), (24, TCP[24:], False)],
        [(0, b"", True), (0, TCP, False)],
        [(8, TCP[8:], False), (8, TCP[8:], False)],
        [(0, TCP[:8], True)] * 100,
        [(0, TCP[:8], True), (16, TCP[16:24], True), (32, TCP[32:], False)],
    ],
    ids=[
        "overlap", "overlap-other", "last-twice", "last-shorter", "beyond", "no-last", "odd-size", "empty", "no-first",
        "repeated", "holes",
    ],
)  # fmt: skip
def test_never_complete_with_holes_or_overlaps(parts: list[tuple[int, bytes, bool]]) -> None:
    """What comes out is what was sent, or nothing."""
    seen = survive(pieces(parts))
    assert functions(seen) in ([], WRITE)
    assert seen.frames["fragment"] + seen.frames["ot"] - 2 + seen.frames["malformed"] == len(parts)


def test_an_overlap_with_other_bytes_is_not_put_together() -> None:
    for first, second in ((TCP, OTHER), (OTHER, TCP)):
        seen = survive(pieces([(0, first[:24], True), (16, second[16:32], True), (24, first[24:], False)]))
        assert not functions(seen)


def test_an_overlap_does_not_fill_a_hole_elsewhere() -> None:
    """The sizes add up to the whole, yet eight bytes were never sent."""
    parts = [(0, TCP[:16], True), (8, TCP[8:16], True), (24, TCP[24:], False)]
    assert sum(len(data) for _, data, _ in parts) == len(TCP)
    for order in (parts, parts[::-1]):
        seen = survive(pieces(order))
        assert not functions(seen)
        assert seen.frames["fragment"] == 3


def test_identifications_are_used_again() -> None:
    """Another pair of hosts, another protocol, the same pair a minute later: datagrams do not mix."""
    a, b = fragments(whole(), 16), fragments(whole("10.0.2.8", SERVER, data=READ), 16)
    mixed = [frame for pair in zip(a, b, strict=True) for frame in pair]
    assert sorted(functions(survive(mixed))) == [("request", "read_holding_registers"), *WRITE]
    stale = [Frame(START_NS, a[0]), Frame(START_NS + 60 * 10**9, a[1])]
    assert not functions(survive(stale))


def test_fragments_of_a_connection_that_goes_on() -> None:
    session = Session(CLIENT, SERVER)
    frames = [*session.handshake(), session.send(READ), *fragments(session.send(FORBIDDEN), 24), session.send(READ)]
    seen = survive(frames)
    between = [function for _, function in functions(seen)]
    assert between == ["read_holding_registers", "write_single_register", "read_holding_registers"]
    assert seen.picture["visibility"]["gaps"] == 0


def test_datagrams_in_fragments() -> None:
    long = Session(CLIENT, SERVER, 502, 502, udp=True)
    assert functions(survive(fragments(long.send(FORBIDDEN), 16))) == WRITE


def test_a_cut_fragment_is_not_put_together() -> None:
    parts = fragments(whole(), 16)
    seen = survive([Frame(START_NS, parts[0]), Frame(START_NS, parts[1], 40)])
    assert not functions(seen)
    assert seen.frames["truncated"] == 1


@pytest.mark.parametrize("family", [4, 6])
def test_incomplete_datagrams_are_capped(monkeypatch: pytest.MonkeyPatch, family: int) -> None:
    """H17: the oldest goes; what is put together later is not harmed."""
    monkeypatch.setattr(defrag, "MAX_FRAGMENT_DATAGRAMS", 32)
    made: list[defrag.Defragmenter] = []
    original = defrag.Defragmenter.__init__

    def remember(self: defrag.Defragmenter) -> None:
        original(self)
        made.append(self)

    monkeypatch.setattr(defrag.Defragmenter, "__init__", remember)
    flood = []
    for n in range(500):
        ends = (f"10.9.{n >> 8}.{n & 255}", SERVER) if family == 4 else (f"fd00:9::{n:x}", SIX[1])
        flood.append(fragments(Session(*ends).send(FORBIDDEN, ip_id=n), 16)[n % 2])
    seen = survive([*flood, *fragments(whole(), 16)])
    assert functions(seen) == WRITE
    assert len(made[0]._datagrams) == 31  # one of 32 was completed and left
    assert made[0].lost == 500 - 31
    assert seen.frames["fragment"] == 502


def test_pieces_of_one_datagram_are_capped() -> None:
    parts = [(8 * n, bytes(8), True) for n in range(MAX_FRAGMENTS_PER_DATAGRAM + 200)]
    seen = survive(pieces(parts))
    assert seen.frames["fragment"] == len(parts)


# --- IPv6 extension headers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "bucket"),
    [
        ([(HOP, EMPTY)], "ot"),
        ([(HOP, EMPTY), (ROUTING, EMPTY), (DESTINATION, EMPTY)], "ot"),
        ([(DESTINATION, b"\2" + bytes(22))], "ot"),
        ([(AUTHENTICATION, b"\4" + bytes(22))], "ot"),
        ([(FRAGMENT, b"\0\0\0\0\0\0\1")], "ot"),
        ([(FRAGMENT, b"\0\0\0\0\0\0\1")] * 3, "ot"),
        ([(DESTINATION, EMPTY)] * 8, "ot"),
        ([(DESTINATION, EMPTY)] * 9, "malformed"),
        ([(DESTINATION, EMPTY)] * 300, "malformed"),
        ([(DESTINATION, b"\xff" + bytes(6))], "malformed"),
        ([(FRAGMENT, b"\0\0\1\0\0\0\1"), (FRAGMENT, b"\0\0\1\0\0\0\2")], "fragment"),
    ],
)
def test_extension_headers(headers: list[tuple[int, bytes]], bucket: str) -> None:
    usual = survive([])
    seen = survive([extended(headers)])
    assert seen.frames[bucket] == usual.frames[bucket] + 1
    assert len(functions(seen)) == (bucket == "ot")


@pytest.mark.parametrize("kind", [59, 135, 139, 140, 253, 89, 255])
def test_next_headers_that_carry_no_port(kind: int) -> None:
    seen = survive([extended([], last=kind)])
    assert not functions(seen)
    assert seen.frames["other_ip"] == 1


def test_a_next_header_that_carries_what_nobody_sees() -> None:
    seen = survive([extended([], last=50)])
    assert not functions(seen)
    assert seen.picture["unsupported"] == {"IP protocol 50 (ESP)": 1}


def test_a_fragment_within_a_fragment() -> None:
    """The inner fragment header comes to light when the outer one is put together: nothing is delivered twice."""
    inner = extended([(FRAGMENT, b"\0\0\1\0\0\0\1")])
    seen = survive(fragments(inner, 16))
    assert not functions(seen)


def test_checksum_of_the_kit() -> None:
    """What is written here is valid but for what a test makes wrong."""
    packet = whole()[14:]
    assert checksum(packet[:20]) == 0
