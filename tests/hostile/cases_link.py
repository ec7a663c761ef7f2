"""H12-H21: link layer and IP."""

import random
import struct

from tests.hostile.evasion import Case, alerted, connections
from tests.hostile.kit import Session, checksum, ethernet, fragments
from tests.hostile.packets import AUTHENTICATION, DESTINATION, EMPTY, FRAGMENT, ROUTING, SIX, extended, pieces
from tests.hostile.witness import CLIENT, FORBIDDEN, READ, SERVER
from tests.hostile.work import churn, colliding, fragments_without_end

WRITES, READS = "write_single_register", "read_holding_registers"


def one(data: bytes = FORBIDDEN, **fields: object) -> bytes:
    """A single frame in the midst of a connection."""
    return Session(CLIENT, SERVER).send(data, **fields)  # type: ignore[arg-type] # by name


def headed(frame: bytes, right: bool = True, **fields: int) -> bytes:
    """With other fields in its IPv4 header, by offset (`b0`, `h6`: byte or half word), and a checksum."""
    head = bytearray(frame[14:34])
    for name, value in fields.items():
        struct.pack_into(">B" if name[0] == "b" else ">H", head, int(name[1:]), value)
    head[10:12] = bytes(2)
    struct.pack_into(">H", head, 10, checksum(bytes(head)) ^ (0 if right else 0x5A5A))
    return frame[:14] + bytes(head) + frame[34:]


def with_options(frame: bytes, options: bytes) -> bytes:
    """IPv4 options behind the header."""
    head = frame[14:34] + options
    total = len(frame) - 14 + len(options)
    head = bytes([0x40 | len(head) // 4]) + head[1:2] + struct.pack(">H", total) + head[4:10] + bytes(2) + head[12:]
    return frame[:14] + head[:10] + struct.pack(">H", checksum(head)) + head[12:] + frame[34:]


def decoy_then_true(**fields: int) -> list[bytes]:
    """A read whose IP header is odd, then the write in its place."""
    session = Session(CLIENT, SERVER)
    opening, at = session.handshake(), session.seq[0]
    decoy = session.send(READ, seq=at, ip_id=700)
    return [*opening, headed(decoy, **fields), session.send(FORBIDDEN, seq=at, ip_id=701)]


TCP = one(ip_id=9)[34:]
EVIL = TCP[:28] + bytes([TCP[28] ^ 1]) + TCP[29:]


def chatter() -> list[bytes]:
    chance, mac = random.Random(19), b"\2\0\0\0\0\7"
    arp = b"\0\1\x08\0\6\4\0\2" + mac + b"\x0a\0\1\x09" + bytes(10)
    frames = [b"\xff" * 6 + bytes([2, 0, 0, 0, 1, n]) + b"\x08\x06" + arp for n in range(100)]
    frames += [b"\1\x80\xc2\0\0\x0e" + mac + kind + chance.randbytes(1400) for kind in (b"\x88\xcc", b"\x88\x92")]
    frames += [b"\1\x0c\xcd\1\0\1" + mac + kind + chance.randbytes(120) for kind in (b"\x88\xb8", b"\x88\xba")] * 50
    return frames


WHOLE = one()
TWO_WAYS = {WRITES: 1, "overlap_conflict": 1}
CASES = [
    Case(
        "H12-random",
        "260 frames of 0 to 64 random bytes",
        "counted by reason",
        lambda: [random.Random(12).randbytes(n % 65) for n in range(260)],
        messages=(),
        more="test_frames.py::test_random_frames",
    ),
    Case(
        "H12-prefixes",
        "every beginning of a valid frame",
        "each is malformed, or no IP yet",
        lambda: [WHOLE[:n] for n in range(len(WHOLE))],
        messages=(),
        more="test_frames.py::test_every_prefix_of_a_frame",
    ),
    Case(
        "H13-tags",
        "a write behind 2,000 VLAN tags",
        "not followed without end: `unsupported`, named",
        lambda: [ethernet(WHOLE[14:], vlan=[5] * 2000)],
        alerts={"unsupported": 1},
        messages=(),
    ),
    Case(
        "H13-qinq",
        "a write behind a service tag (0x88A8) and a VLAN tag",
        "read as if there were none",
        lambda: [WHOLE[:12] + b"\x88\xa8\0\x64\x81\0\0\x07" + WHOLE[12:]],
        alerts={WRITES: 1},
        messages=(WRITES,),
    ),
    Case(
        "H13-priority",
        "a write behind a priority tag (VLAN 0) and a VLAN tag; the same connection untagged",
        "one connection",
        lambda: [one(READ, vlan=(0xE000, 7)), Session(CLIENT, SERVER).send(FORBIDDEN, seq=1012)],
        alerts={READS: 1, WRITES: 1},
        messages=(READS, WRITES),
        check=lambda seen: connections(seen, 1),
    ),
    Case(
        "H14-short-header",
        "an IPv4 header length below 20 bytes, and one beyond the frame",
        "malformed",
        lambda: [headed(WHOLE, b0=0x44), headed(WHOLE, b0=0x4F)],
        messages=(),
        buckets={"malformed": 2},
        more="test_frames.py::test_lengths_that_lie",
    ),
    Case(
        "H14-total-length",
        "an IPv4 total length below the header's, within the TCP header, and beyond the frame",
        "malformed",
        lambda: [headed(WHOLE, h2=n) for n in (10, 39, 5000)],
        messages=(),
        buckets={"malformed": 3},
        more="test_frames.py::test_lengths_that_lie",
    ),
    Case(
        "H14-offloaded-length",
        "an IPv4 total length of 0, as segmentation offload leaves it",
        "the frame's length counts",
        lambda: [headed(WHOLE, h2=0)],
        alerts={WRITES: 1},
        messages=(WRITES,),
    ),
    Case(
        "H14-padding",
        "a handshake padded to 60 bytes, and a write with a trailer",
        "padding is no payload",
        lambda: _padded(),
        alerts={WRITES: 1},
        messages=(WRITES,),
        buckets={"ot_bytes.decoded": 12},
        more="test_frames.py::test_padding_is_no_payload",
    ),
    Case(
        "H15-checksum",
        "a read with a wrong IP header checksum, then a write in its place",
        "both are judged; the alert says which one the network dropped",
        lambda: decoy_then_true(right=False),
        alerts=TWO_WAYS | {READS: 1},
        messages=(READS,),
    ),
    Case(
        "H15-ttl",
        "a read with TTL 1, then a write in its place",
        "both are judged, conflict",
        lambda: decoy_then_true(b8=1),
        alerts=TWO_WAYS | {READS: 1},
        more="test_frames.py::test_a_decoy_with_a_short_life_hides_nothing",
    ),
    Case(
        "H15-reserved-flag",
        "a write with the reserved bit of the IPv4 header set",
        "read as if it were not",
        lambda: [headed(WHOLE, h6=0x8000)],
        alerts={WRITES: 1},
        messages=(WRITES,),
    ),
    Case(
        "H15-source-route",
        "a write with loose source routing (option 131)",
        "read as if there were no options",
        lambda: [with_options(WHOLE, b"\x83\x07\x04\x0a\0\1\1\0")],
        alerts={WRITES: 1},
        messages=(WRITES,),
    ),
    Case(
        "H16-any-order",
        "a write in fragments of 8 bytes, last first",
        "put together",
        lambda: fragments(one(ip_id=9), 8)[::-1],
        alerts={WRITES: 1},
        messages=(WRITES,),
        buckets={"fragment": 4, "ot": 0},
        more="test_ip.py::test_in_any_order",
    ),
    Case(
        "H16-tiny",
        "a first fragment of 8 bytes, which splits the TCP header",
        "put together",
        lambda: pieces([(0, TCP[:8], True), (8, TCP[8:], False)]),
        alerts={WRITES: 1},
        messages=(WRITES,),
        more="test_ip.py::test_in_any_order",
    ),
    Case(
        "H16-overlap-same",
        "fragments that overlap with the same bytes",
        "never put together (RFC 5722); said",
        lambda: pieces([(0, TCP[:24], True), (16, TCP[16:24], True), (24, TCP[24:], False)]),
        alerts={"lost_datagrams": 2},
        messages=(),
        more="test_ip.py::test_never_complete_with_holes_or_overlaps",
    ),
    Case(
        "H16-overlap-other",
        "fragments that overlap with other bytes (teardrop)",
        "never put together; the conflict is an alert",
        lambda: pieces([(0, TCP[:32], True), (24, EVIL[24:], False)]),
        alerts={"fragment_conflict": 1, "lost_datagrams": 1},
        messages=(),
        more="test_ip.py::test_an_overlap_with_other_bytes_is_not_put_together",
    ),
    Case(
        "H16-twice-other",
        "the same fragment twice, with other bytes",
        "never put together; the conflict is an alert",
        lambda: pieces([(0, TCP[:24], True), (0, EVIL[8:], True), (24, TCP[24:], False), (24, EVIL[24:], False)]),
        messages=(),
        check=lambda seen: alerted(seen, "fragment_conflict", 2),
    ),
    Case(
        "H16-missing",
        "fragments without the first one",
        "nothing comes of them; said",
        lambda: pieces([(8, TCP[8:24], True), (24, TCP[24:], False)]),
        alerts={"lost_datagrams": 1},
        messages=(),
        more="test_ip.py::test_one_missing",
    ),
    Case(
        "H16-too-long",
        "a last fragment that ends beyond 65,535 bytes, and one that ends before another",
        "dropped; said",
        lambda: [
            *pieces([(0, TCP[:24], True), (65528, TCP[24:], False)], 1),
            *pieces([(0, TCP, True), (8, TCP[8:16], False)], 2),
        ],
        messages=(),
        more="test_ip.py::test_never_complete_with_holes_or_overlaps",
    ),
    Case(
        "H16-id-again",
        "an identification used again by another pair of hosts while a datagram is incomplete",
        "datagrams do not mix",
        lambda: [
            f
            for pair in zip(
                fragments(one(ip_id=9), 16), fragments(Session("10.0.2.8", SERVER).send(READ, ip_id=9), 16), strict=True
            )
            for f in pair
        ],
        alerts={READS: 1, WRITES: 1},
        messages=(WRITES, READS),
        more="test_ip.py::test_identifications_are_used_again",
    ),
    Case(
        "H17",
        "1,000 first fragments of different datagrams, then a fragmented write",
        "bounded; what can be put together is",
        lambda: [*fragments_without_end(1000), *fragments(one(ip_id=9), 16)],
        alerts={WRITES: 1, "lost_datagrams": 1000},
        messages=(WRITES,),
        more="test_ip.py::test_incomplete_datagrams_are_capped",
    ),
    Case(
        "H18-headers",
        "a write behind 300 IPv6 extension headers",
        "malformed past eight",
        lambda: [extended([(DESTINATION, EMPTY)] * 300)],
        messages=(),
        buckets={"malformed": 1},
        more="test_ip.py::test_extension_headers",
    ),
    Case(
        "H18-routing",
        "writes behind a routing header of type 0, an authentication header and an atomic fragment",
        "read as if there were none",
        lambda: [
            extended([(ROUTING, b"\2\0\1" + bytes(20))]),
            extended([(AUTHENTICATION, b"\4" + bytes(22))]),
            extended([(FRAGMENT, b"\0\0\0\0\0\0\1")]),
        ],
        messages=(WRITES,),
        more="test_ip.py::test_extension_headers",
    ),
    Case(
        "H18-fragments",
        "an IPv6 fragment within fragments",
        "nothing is delivered twice",
        lambda: fragments(extended([(FRAGMENT, b"\0\0\1\0\0\0\1")]), 16),
        messages=(),
        more="test_ip.py::test_a_fragment_within_a_fragment",
    ),
    Case(
        "H18-jumbo",
        "an IPv6 payload length of 0 (jumbo payload, RFC 2675), and one beyond the frame",
        "the frame's length counts; malformed",
        lambda: [_six(b"\0\0"), _six(b"\xff\xff")],
        messages=(WRITES,),
        buckets={"malformed": 1},
    ),
    Case(
        "H18-unknown",
        "an unknown next header",
        "other traffic",
        lambda: [extended([], last=253)],
        messages=(),
        buckets={"other_ip": 1},
        more="test_ip.py::test_next_headers_that_carry_no_port",
    ),
    Case(
        "H19",
        "forged ARP replies, LLDP and PROFINET of 1,400 random bytes, GOOSE and sampled values",
        "counted; no connection, no message",
        chatter,
        messages=(),
        check=lambda seen: connections(seen, 0),
        more="test_frames.py::test_chatter_of_the_link_opens_no_connection",
    ),
    Case(
        "H20",
        "300 IPv6 sources which Python would hash to one number",
        "work grows with the frames and no faster",
        lambda: colliding(300),
        buckets={"shed": 0},
        more="test_floods.py::test_work_grows_with_the_frames_and_no_faster",
    ),
    Case(
        "H21",
        "500 frames, each of another MAC and another address, then a write",
        "nothing is lost",
        lambda: [*churn(500), one()],
        check=lambda seen: alerted(seen, WRITES),
        more="test_floods.py::test_bindings_are_capped",
    ),
]


def _padded() -> list[bytes]:
    session = Session(CLIENT, SERVER)
    opening = [f + b"\0" * max(0, 60 - len(f)) for f in session.handshake()]
    return [*opening, session.send(FORBIDDEN) + b"\x55" * 7]


def _six(length: bytes) -> bytes:
    frame = Session(*SIX).send(FORBIDDEN)
    return frame[:18] + length + frame[20:]
