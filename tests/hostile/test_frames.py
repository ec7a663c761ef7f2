"""H12-H15, H19: frames that are too short, too long, or lie about their length."""

import random
import struct

import pytest

from tests.engine.world import START_NS, Frame
from tests.hostile.kit import SYN, Session, checksum, ethernet
from tests.hostile.witness import CLIENT, FORBIDDEN, READ, SERVER, functions, reported, survive

SIX = ("fd00:2::9", "fd00:1::9")


def request(*ends: str, **fields: object) -> bytes:
    return Session(*(ends or (CLIENT, SERVER))).send(READ, **fields)  # type: ignore[arg-type] # ends are two


def lengths(frame: bytes, total: int) -> bytes:
    """With another total length in its IPv4 header, and the checksum that belongs to it."""
    head = bytearray(frame[14:34])
    struct.pack_into(">H", head, 2, total)
    struct.pack_into(">H", head, 10, 0)
    struct.pack_into(">H", head, 10, checksum(bytes(head)))
    return frame[:14] + bytes(head) + frame[34:]


def test_random_frames() -> None:
    chance = random.Random(12)
    seen = survive([chance.randbytes(n) for n in range(65) for _ in range(4)])
    assert seen.frames["ot"] == 2


@pytest.mark.parametrize("ends", [(CLIENT, SERVER), SIX], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("vlan", [(), (3,), (3, 4)], ids=["plain", "tagged", "double"])
def test_every_prefix_of_a_frame(ends: tuple[str, str], vlan: tuple[int, ...]) -> None:
    whole = request(*ends, vlan=vlan)
    prefixes = [whole[:n] for n in range(len(whole))]
    seen = survive(prefixes)
    assert not functions(seen)
    assert seen.frames["malformed"] == len(whole) - seen.frames["non_ip"]
    cut = survive([Frame(START_NS, whole, n) for n in range(len(whole))])
    assert not functions(cut)
    assert cut.frames["malformed"] == 0
    assert cut.frames["truncated"] >= len(READ) - 1


def test_tags_without_end() -> None:
    deep = ethernet(request()[14:], vlan=[5] * 2000)
    seen = survive([deep, ethernet(request()[14:], vlan=[0, 7])])
    assert seen.frames["unsupported"] == 1
    assert functions(seen) == [("request", "read_holding_registers")]


@pytest.mark.parametrize(
    ("frame", "bucket"),
    [
        (request()[:14] + b"\x44" + request()[15:], "malformed"),
        (request()[:14] + b"\x4f" + request()[15:], "malformed"),
        (request()[:14] + b"\x65" + request()[15:], "malformed"),
        (lengths(request(), 10), "malformed"),
        (lengths(request(), 19), "malformed"),
        (lengths(request(), 39), "malformed"),
        (lengths(request(), 5000), "malformed"),
        (lengths(request(), 65535), "malformed"),
        (lengths(request(), 0), "ot"),
        (lengths(request(), 40), "tcp_control"),
        (request(*SIX)[:18] + b"\xff\xff" + request(*SIX)[20:], "malformed"),
        (request()[:46] + b"\x40" + request()[47:], "malformed"),
        (request()[:46] + b"\xf0" + request()[47:], "malformed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_lengths_that_lie(frame: bytes, bucket: str) -> None:
    usual = survive([])
    seen = survive([frame])
    assert seen.frames[bucket] == usual.frames[bucket] + 1
    assert len(functions(seen)) == (bucket == "ot")


def test_padding_is_no_payload() -> None:
    """Ethernet pads to 60 bytes; the six bytes behind an acknowledgement are nobody's data."""
    session = Session(CLIENT, SERVER)
    opening = [f + b"\0" * max(0, 60 - len(f)) for f in session.handshake()]
    seen = survive([*opening, session.send(READ) + b"\x55" * 7, session.send(READ) + b"\0" * 30])
    assert seen.ot_bytes["malformed"] == seen.ot_bytes["gap"] == 0
    assert functions(seen) == [("request", "read_holding_registers")] * 2


def test_a_decoy_with_a_short_life_hides_nothing() -> None:
    """A segment that dies before the server, then the true one: both readings are judged."""
    session = Session(CLIENT, SERVER)
    opening = session.handshake()
    at = session.seq[0]
    for decoy, true in ((READ, FORBIDDEN), (FORBIDDEN, READ)):
        frames = [*opening, session.send(decoy, seq=at, ttl=1, ip_id=700), session.send(true, seq=at, ip_id=701)]
        seen = survive(frames)
        assert reported(seen) == 1
        assert [a["operation"]["function"] for a in seen.alerts("protocol")] == ["overlap_conflict"]


def test_chatter_of_the_link_opens_no_connection() -> None:
    chance = random.Random(19)
    goose = [b"\x01\x0c\xcd\x01\0\1" + b"\2\0\0\0\0\7" + b"\x88\xb8" + chance.randbytes(120) for _ in range(200)]
    arp = b"\0\1\x08\0\6\4\0\2" + b"\2\0\0\0\0\7" + b"\x0a\0\1\x09" + bytes(10)
    spoof = [b"\xff" * 6 + bytes([2, 0, 0, 0, 1, n]) + b"\x08\x06" + arp for n in range(100)]
    lldp = [b"\x01\x80\xc2\0\0\x0e" + b"\2\0\0\0\0\7" + b"\x88\xcc" + chance.randbytes(1400) for _ in range(5)]
    multicast = [Session(CLIENT, "239.1.2.3", 5000, 5000, udp=True).send(b"x" * 50) for _ in range(50)]
    seen = survive([*goose, *spoof, *lldp, *multicast])
    assert seen.frames["non_ip"] == 305
    assert len(seen.picture["connections"]) == 2
    assert not any(a["endpoints"] == [] for a in seen.picture["assets"])


@pytest.mark.parametrize("flags", [0, 0x3F, 0x29, 3, SYN | 4], ids=["null", "all", "xmas", "syn-fin", "syn-rst"])
def test_flags_that_make_no_sense(flags: int) -> None:
    session = Session(CLIENT, SERVER)
    odd = session.send(b"", seq=123, flags=flags)
    data = session.send(FORBIDDEN, seq=124, flags=flags)
    later = Session(CLIENT, SERVER, 50_000)
    seen = survive([odd, data, *later.handshake(), later.send(FORBIDDEN)])
    assert reported(seen) >= 1
