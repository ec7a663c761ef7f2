"""H22-H36, and what else a TCP stream does to hide."""

import random
import struct
from collections.abc import Sequence
from itertools import pairwise

from tests.engine.traffic import conversation, frames, split
from tests.engine.world import START_NS, Frame, Seen
from tests.hostile.evasion import Case, alerted, connections
from tests.hostile.kit import ACK, FIN, PSH, RST, SYN, Session
from tests.hostile.witness import CLIENT, FORBIDDEN, OTHER_WRITE, READ, SERVER, VALUES, opened
from tests.hostile.work import crumbs, holes, shuffled, syns
from tests.protocols.modbus_corpus import adu

URG = 32
WRITES, READS, CONFLICT = "write_single_register", "read_holding_registers", "overlap_conflict"
ANSWERED, WRITTEN = (READS, "<" + READS), (WRITES, "<" + WRITES)


def spoilt(frame: bytes) -> bytes:
    """With a wrong TCP checksum (untagged IPv4)."""
    at = 14 + 4 * (frame[14] & 15) + 16
    return frame[:at] + bytes([frame[at] ^ 0x5A]) + frame[at + 1 :]


def shown(seen: Seen, *flags: str) -> None:
    """What the alert says of the checksums."""
    found = {flag for a in seen.alerts("protocol") if a["operation"] for flag in a["flags"]}
    assert found == set(flags)


def two(first: bytes, second: bytes, *, wrong: int = -1, back: int = 0) -> list[bytes]:
    """Two segments at one place, the second one `back` bytes before it; `wrong`: which one's checksum is."""
    session, before = opened()
    at = session.seq[0]
    sent = [session.send(first, seq=at, ip_id=90), session.send(second, seq=at - back, ip_id=91)]
    return [*before, *(spoilt(frame) if n == wrong else frame for n, frame in enumerate(sent))]


def cut(data: bytes, cuts: Sequence[int], *, then: bytes = b"", step: int = 1) -> list[bytes]:
    """`data` whole, and then again as `then` in pieces."""
    session, before = opened()
    at, edges = session.seq[0], [0, *cuts, len(then)]
    pieces = [session.send(then[a:b], seq=at + a, ip_id=200 + a) for a, b in pairwise(edges)]
    return [*before, session.send(data, seq=at, ip_id=90), *pieces]


def offloaded() -> list[bytes]:
    """All of the client's checksums are wrong, as where they are left to the card; a good one is forged."""
    session, before = opened()
    at = session.seq[0]
    own = [frame if n == 1 or n == 4 else spoilt(frame) for n, frame in enumerate(before)]
    return [*own, spoilt(session.send(READ, seq=at, ip_id=90)), session.send(FORBIDDEN, seq=at, ip_id=91)]


def many_decoys(count: int) -> list[bytes]:
    """Many harmless segments, then as many others in their places."""
    session, before = opened()
    at = session.seq[0]
    decoys = [spoilt(session.send(READ, seq=at + 12 * n, ip_id=100 + n)) for n in range(count)]
    return [*before, *decoys, session.send(FORBIDDEN, seq=at, ip_id=30_000)]


def beyond(far: int) -> list[Frame | bytes]:
    session, before = opened()
    at = session.seq[0]
    last = [session.send(FORBIDDEN, seq=at), session.send(FORBIDDEN, from_client=False, ack=at + 12)]
    stamped = [Frame(START_NS + n * 1_000_000, frame) for n, frame in enumerate(before)]
    late = [Frame(START_NS + (5 + n) * 10**9, frame) for n, frame in enumerate(last)]
    return [*stamped, Frame(START_NS + 10**9, session.send(READ, seq=at + far)), *late]


def forged(flags: int, offset: int = 0, data: bytes = b"", options: bytes = b"") -> list[bytes]:
    """One segment that nobody sent, then the write."""
    session, before = opened()
    odd = session.send(data, seq=session.seq[0] + offset, flags=flags, ip_id=400)
    if options:
        odd = with_options(odd, options)
    return [*before, odd, session.send(FORBIDDEN), session.send(FORBIDDEN, from_client=False)]


def with_options(frame: bytes, options: bytes) -> bytes:
    """TCP options (a multiple of 4 bytes) in an untagged IPv4 frame; its checksums are not made anew."""
    total = struct.unpack_from(">H", frame, 16)[0] + len(options)
    head = frame[:16] + struct.pack(">H", total) + frame[18:46] + bytes([0x50 + (len(options) << 2)])
    return head + frame[47:54] + options + frame[54:]


def closing(*, fins: bool) -> list[bytes]:
    session, before = opened()
    if fins:
        ends = [session.send(flags=FIN | ACK), session.send(flags=FIN | ACK, from_client=False)]
    else:
        ends = [session.send(flags=RST | ACK)]
    return [*before, *ends, session.send(FORBIDDEN), session.send(FORBIDDEN, from_client=False)]


def again() -> list[bytes]:
    """The same ports a moment later; the answer to what the old connection asked comes late."""
    session, before = opened()
    before += [session.send(adu(3, b"\0\1\0\2", transaction=6)), *session.close()]
    session.seq[:] = (900_000, 700_000)
    opening = session.handshake()
    stale = session.send(adu(3, b"\4\0\1\0\2", transaction=6), from_client=False)
    return [*before, *opening, stale, session.send(FORBIDDEN), session.send(FORBIDDEN, from_client=False)]


def both_open() -> list[bytes]:
    session = Session(CLIENT, SERVER)
    syns = [session.send(flags=SYN), session.send(flags=SYN, from_client=False)]
    return [*syns, session.send(), session.send(from_client=False), session.send(FORBIDDEN)]


def with_syn(cookie: bool) -> list[bytes]:
    session = Session(CLIENT, SERVER, 40_000, 4001) if cookie else Session(CLIENT, SERVER)
    syn = session.send(FORBIDDEN, flags=SYN)
    if cookie:
        syn = with_options(syn, b"\x22\x0a" + bytes(8) + b"\1\1")
    answer = session.send(flags=SYN | ACK, from_client=False)
    return [syn, answer, session.send(), session.send(FORBIDDEN, from_client=False)]


def syn_again() -> list[bytes]:
    session = Session(CLIENT, SERVER)
    return [session.send(flags=SYN, seq=77_000), *session.handshake(), session.send(FORBIDDEN)]


def syn_live() -> list[bytes]:
    session, before = opened()
    forged = [
        session.send(flags=SYN, seq=session.seq[0] + (1 << 30)),
        session.send(READ, seq=session.seq[0] + (1 << 30) + 1),
    ]
    return [*before, *forged, *session.send_cut(FORBIDDEN, [5]), session.send(FORBIDDEN, from_client=False)]


def odd_flags(flags: int) -> list[bytes]:
    session = Session(CLIENT, SERVER)
    odd = [session.send(b"", seq=123, flags=flags), session.send(READ, seq=124, flags=flags)]
    later = Session(CLIENT, SERVER, 50_000)
    return [*odd, *later.handshake(), later.send(FORBIDDEN)]


def urgent(data: bytes, pointer: int) -> list[bytes]:
    session, before = opened()
    frame = bytearray(session.send(data, flags=ACK | PSH | URG))
    frame[52:54] = pointer.to_bytes(2, "big")
    return [*before, bytes(frame)]


def midstream() -> list[bytes]:
    """Twelve connections, each captured from another byte of a write on; then a whole read and a whole write."""
    made = []
    for n in range(12):
        session = Session(CLIENT, SERVER, 40_000 + n)
        made += [session.send(FORBIDDEN[n:]), session.send(READ), session.send(VALUES, from_client=False)]
        made += [session.send(OTHER_WRITE), session.send(OTHER_WRITE, from_client=False)]
    return made


def noise(count: int) -> list[bytes]:
    """Captures that begin within a write of random registers, at a random byte: false messages are counted."""
    chance, made = random.Random(29), []
    for n in range(count):
        session = Session(f"10.3.{n >> 8}.{n & 255}", SERVER, 40_000)
        values = chance.randbytes(2 * chance.randrange(20, 120))
        request = adu(16, struct.pack(">HHB", 7, len(values) // 2, len(values)) + values, transaction=n)
        made.append(session.send(request[chance.randrange(8, len(request) - 12) :]))
        made += [session.send(READ), session.send(VALUES, from_client=False)]
    return made


def hole(size: int, begun: int) -> list[bytes]:
    session, before = opened()
    part = [session.send(FORBIDDEN[:begun])] if begun else []
    session.seq[0] += size
    return [*before, *part, session.send(from_client=False), session.send(FORBIDDEN)]


def resynchronised() -> list[bytes]:
    """A hole within a request, and what follows it in the same segment is the rest of it and a whole write."""
    session, before = opened()
    begun = session.send(OTHER_WRITE[:4])
    session.seq[0] += 3
    rest = session.send(OTHER_WRITE[7:])
    return [*before, begun, rest, session.send(from_client=False), session.send(FORBIDDEN)]


def lost(side: int) -> list[Frame]:
    talk = [(adu(3, b"\0\1\0\1", transaction=n), adu(3, b"\2\0\7", transaction=n)) for n in range(1, 6)]
    shots = conversation(Session(CLIENT, SERVER), talk, step_ns=2 * 10**9)
    return frames(s for n, s in enumerate(shots) if n != side)


def one_sided() -> list[Frame]:
    talk = [(adu(3, b"\0\1\0\1", transaction=n), b"") for n in range(320)]
    return frames(s for s in conversation(Session(CLIENT, SERVER), talk) if s.from_client)


def wrapped(timestamps: bool) -> list[bytes]:
    """The write runs over sequence number 2^32."""
    session = Session(CLIENT, SERVER)
    session.seq[:] = 2**32 - 5, 2**32 - 7
    made = [*session.handshake(), session.send(FORBIDDEN), session.send(FORBIDDEN, from_client=False)]
    if timestamps:  # the write's is older than the handshake's (RFC 7323, PAWS)
        made = [with_options(f, b"\1\1\x08\x0a" + struct.pack(">II", 900 - 100 * n, 0)) for n, f in enumerate(made)]
    return made


def doubled() -> list[Frame]:
    shots = conversation(Session(CLIENT, SERVER), [(READ, VALUES), (FORBIDDEN, FORBIDDEN)], closing=True)
    made = frames(shots)
    return [
        frame for pair in zip(made, (f._replace(ts_ns=f.ts_ns + 400_000) for f in made), strict=True) for frame in pair
    ]


def ports(client: int, server: int, *, udp: bool = False) -> list[bytes]:
    session = Session(CLIENT, SERVER, client, server, udp=udp)
    opening = [] if udp else session.handshake()
    talk = [session.send(READ), session.send(VALUES, from_client=False)]
    return [*opening, *talk, session.send(FORBIDDEN), session.send(FORBIDDEN, from_client=False)]


def server_first() -> list[bytes]:
    session = Session(CLIENT, SERVER)
    return [*session.handshake(), session.send(VALUES, from_client=False), session.send(FORBIDDEN)]


def bait(port: int, data: bytes) -> list[bytes]:
    session = Session(CLIENT, SERVER, 40_000, port)
    return [*session.handshake(), *(session.send(data, from_client=n % 2 == 0) for n in range(4))]


def talk(requests: Sequence[bytes], cuts: Sequence[int] = ()) -> list[Frame]:
    """Requests as one stream, cut at these places (none: one segment)."""
    shots = conversation(Session(CLIENT, SERVER), [(b"".join(requests), b"")])
    return frames(part for shot in shots for part in split(shot, cuts))


def first_unknown(seen: Seen) -> None:
    """Of the answers, one of another connection's request answers nothing here."""
    answer = next(m for m in seen.messages if m["kind"] == "response" and m["connection"] == 2 and m["n"] < 5)
    assert answer["request_n"] is None


LOST = "test_tcp.py::test_only_the_request_or_only_the_response_is_lost"
GOOD_EVIL = {READS: 2, WRITES: 1, CONFLICT: 1}
SURE = {READS: 1, WRITES: 1}
WRITE_2 = adu(6, b"\0\x33\0\x02", transaction=78)
WEB = b"GET / HTTP/1.1\r\nHost: plc\r\n\r\n"
TLS = bytes.fromhex("1603010200010001fc0303") + bytes(range(200)) + bytes(300)
CASES = [
    Case("H22-same-place", "a read, then a write in its place", "the first is decoded, both are judged, conflict",
         lambda: two(READ, FORBIDDEN), GOOD_EVIL, (*ANSWERED, READS), {"ot_bytes.copy": 12},
         check=lambda seen: shown(seen, "checksums_right"),
         more="test_tcp.py::test_the_same_range_with_other_bytes"),
    Case("H22-other-value", "a write, then the same write with another value", "both are judged, conflict",
         lambda: two(FORBIDDEN, OTHER_WRITE), {READS: 1, WRITES: 2, CONFLICT: 1}, (*ANSWERED, WRITES),
         check=lambda seen: shown(seen, "checksums_right")),
    Case("H22-partial", "a segment whose beginning goes back into the one before it, with another value there",
         "both readings of the first are judged, conflict", lambda: two(FORBIDDEN, OTHER_WRITE[10:] + READ, back=-10),
         {READS: 2, WRITES: 2, CONFLICT: 1}, (*ANSWERED, WRITES, READS), {"ot_bytes.copy": 2},
         more="test_tcp.py::test_a_partial_overlap"),
    Case("H22-in-pieces", "a read, then a write in its place in two segments", "both are judged, conflict",
         lambda: cut(READ, [7], then=FORBIDDEN), SURE | {READS: 3, CONFLICT: 2}, (*ANSWERED, READS)),
    Case("H22-byte-by-byte", "a read, then a write in its place a byte a segment", "the write is judged, conflict",
         lambda: cut(READ, range(1, 12), then=FORBIDDEN), None, (*ANSWERED, READS),
         check=lambda seen: alerted(seen, WRITES)),
    Case("H22-half", "half a read, then half a write in its place, then the end of both",
         "both are judged when they are whole", lambda: halves(), SURE | {READS: 2, CONFLICT: 1}),
    Case("H22-two-requests", "two reads in one segment, then two writes in their place", "all four are judged",
         lambda: two(READ + READ, FORBIDDEN + WRITE_2), {READS: 3, WRITES: 2, CONFLICT: 1}),
    Case("H22-before-the-first", "the true write, then a harmless decoy in its place", "both are judged, conflict",
         lambda: two(FORBIDDEN, READ), GOOD_EVIL, (*ANSWERED, WRITES)),
    Case("H22-same-bytes", "a write five times with the same bytes", "retransmissions: one write, no conflict",
         lambda: five(), SURE, (*ANSWERED, WRITES), {"ot_bytes.copy": 48},
         more="test_tcp.py::test_a_true_retransmission_is_no_conflict"),
    Case("H22-behind-a-hole", "two readings of a place behind a hole, then what fills the hole",
         "in order; both are judged, conflict", lambda: waiting(), {READS: 2, WRITES: 2, CONFLICT: 1},
         (*ANSWERED, WRITES, READS), more="test_tcp.py::test_overlaps_behind_a_hole"),
    Case("H22-many", "25 harmless segments, then a write in place of the first one",
         "both are judged, conflict", lambda: many_decoys(25), None,
         check=lambda seen: alerted(seen, WRITES) or alerted(seen, CONFLICT)),
    Case("H22-forgotten", "100 harmless segments, more than are compared, then a write in place of the first one",
         "what cannot be compared any more is judged", lambda: many_decoys(100), None,
         check=lambda seen: alerted(seen, WRITES)),
    Case("H23-decoy", "a harmless read with a wrong TCP checksum, then the write in its place",
         "both are judged; the alert says that the device took the later one", lambda: two(READ, FORBIDDEN, wrong=0),
         GOOD_EVIL, check=lambda seen: shown(seen, "first_checksum_wrong")),
    Case("H23-forbidden-decoy", "a write with a wrong TCP checksum, then a read in its place",
         "the attempt is judged as well; the alert says that the device took the later one",
         lambda: two(FORBIDDEN, READ, wrong=0), GOOD_EVIL,
         check=lambda seen: shown(seen, "first_checksum_wrong")),
    Case("H23-later", "a read, then a write in its place with a wrong TCP checksum",
         "both are judged; the alert says that the device took the first", lambda: two(READ, FORBIDDEN, wrong=1),
         GOOD_EVIL, check=lambda seen: shown(seen, "later_checksum_wrong")),
    Case("H23-longer", "a decoy of three reads with a wrong checksum, then the true stream: a write and two reads",
         "the write is judged", lambda: longer(), {READS: 4, WRITES: 1, CONFLICT: 1},
         check=lambda seen: shown(seen, "first_checksum_wrong")),
    Case("H23-offloaded", "all checksums of the client are wrong (offloaded to its card), but for a forged write",
         "tolerated: decoded and judged; the alert does not say which one was taken", offloaded, GOOD_EVIL,
         (*ANSWERED, READS), check=lambda seen: shown(seen, "checksums_unsure")),
    Case("H23-all-wrong", "a whole conversation with wrong checksums", "tolerated: read as if they were right",
         lambda: [spoilt(f) for f in ports(40_000, 502)], SURE, (*ANSWERED, *WRITTEN)),
    Case("H24-beyond", "a read 2^30 beyond the window, then the write",
         "no room is made for it, nothing is missing; malformed", lambda: beyond(1 << 30),
         SURE | {"malformed": 1}, (*ANSWERED, *WRITTEN), {"ot_bytes.malformed": 12},
         more="test_tcp.py::test_a_segment_far_beyond_what_is_acknowledged"),
    Case("H24-behind", "a read 2^30 behind the window, then the write", "malformed; the write is decoded",
         lambda: beyond(-(1 << 30)), SURE | {"malformed": 1}, (*ANSWERED, *WRITTEN), {"ot_bytes.malformed": 12},
         more="test_tcp.py::test_a_segment_far_behind"),
    Case("H25-rst", "a RST in the window, then the write", "the write is decoded", lambda: forged(RST), SURE,
         (*ANSWERED, *WRITTEN), more="test_tcp.py::test_a_forged_segment_does_not_hide_what_follows"),
    Case("H25-rst-outside", "a RST outside the window, then the write", "the write is decoded",
         lambda: forged(RST, 1 << 30), SURE, (*ANSWERED, *WRITTEN),
         more="test_tcp.py::test_a_forged_segment_does_not_hide_what_follows"),
    Case("H25-rst-data", "a RST that carries a read, then the write", "what a RST carries is no part of the stream",
         lambda: forged(RST | ACK, data=READ), SURE | {"malformed": 1}, (*ANSWERED, *WRITTEN),
         {"ot_bytes.malformed": 12}, more="test_tcp.py::test_a_forged_segment_does_not_hide_what_follows"),
    Case("H25-rst-md5", "a RST with an MD5 signature option (RFC 2385), then the write", "the write is decoded",
         lambda: forged(RST, options=b"\x13\x12" + bytes(16) + b"\1\1"), SURE, (*ANSWERED, *WRITTEN)),
    Case("H25-early", "a RST before the handshake ends, then the write", "the write is decoded", lambda: early(),
         {WRITES: 1}, (WRITES,), more="test_tcp.py::test_a_reset_before_the_handshake_ends"),
    Case("H26-fin", "both sides say FIN, then the write and its answer",
         "the write is decoded; the number that a FIN takes counts as missing", lambda: closing(fins=True),
         SURE | {"gap": 2}, (*ANSWERED, *WRITTEN), more="test_tcp.py::test_data_behind_a_fin"),
    Case("H26-rst", "the client resets, then the write and its answer", "the write is decoded",
         lambda: closing(fins=False), SURE, (*ANSWERED, *WRITTEN)),
    Case("H26-both-open", "both sides say SYN at once", "one connection", both_open, {WRITES: 1}, (WRITES,),
         check=lambda seen: connections(seen, 1), more="test_tcp.py::test_both_open_at_once"),
    Case("H26-half-open", "a SYN that nobody answered, then the write", "the write is decoded",
         lambda: [Session(CLIENT, SERVER).send(flags=SYN), Session(CLIENT, SERVER).send(FORBIDDEN, seq=1001)],
         {WRITES: 1}, (WRITES,)),
    Case("H26-ports-again", "the same ports again; a late answer to what the old connection asked",
         "another connection; the answer answers nothing", again, None,
         check=lambda seen: connections(seen, 2) or first_unknown(seen), more="test_tcp.py::test_the_same_ports_again"),
    Case("H27-syn-data", "a SYN that carries the write", "its data count; who sends it is the client",
         lambda: with_syn(False), {WRITES: 1}, WRITTEN, more="test_tcp.py::test_data_in_the_syn"),
    Case("H27-fast-open", "the same with a fast-open cookie (RFC 7413), on port 4001",
         "its data count; found by an exchange", lambda: with_syn(True), {WRITES: 1}, WRITTEN,
         more="test_tcp.py::test_data_in_the_syn"),
    Case("H27-syn-again", "a SYN with another number before the true one", "the answer says which one counts",
         syn_again, {WRITES: 1, "connect": 1}, (WRITES,), {"ot_bytes.gap": 0},
         more="test_tcp.py::test_a_syn_sent_again_with_another_number"),
    Case("H27-syn-live", "a SYN with another number in a live connection, a read behind it, the write in two segments",
         "only its answer would begin another connection: the write is decoded", syn_live,
         SURE | {"malformed": 1}, (*ANSWERED, *WRITTEN), {"ot_bytes.malformed": 12},
         more="test_desync.py::test_a_syn_in_a_live_connection_begins_nothing"),
    Case("H27-syn-fin", "SYN and FIN in one segment, and with a read; then the write on another port",
         "the write is decoded", lambda: odd_flags(SYN | FIN), None, check=lambda seen: alerted(seen, WRITES),
         more="test_frames.py::test_flags_that_make_no_sense"),
    Case("H27-xmas", "FIN, PSH and URG (Xmas), and with a read; then the write on another port",
         "the write is decoded", lambda: odd_flags(FIN | PSH | URG), None, check=lambda seen: alerted(seen, WRITES),
         more="test_frames.py::test_flags_that_make_no_sense"),
    Case("H27-null", "no flag at all, and with a read; then the write on another port", "the write is decoded",
         lambda: odd_flags(0), None, check=lambda seen: alerted(seen, WRITES),
         more="test_frames.py::test_flags_that_make_no_sense"),
    Case("H28-pointer-0", "a write with the urgent flag and pointer 0", "delivered in line; an alert",
         lambda: urgent(FORBIDDEN, 0), SURE | {"urgent_data": 1}, (*ANSWERED, WRITES),
         more="test_tcp.py::test_urgent_data_is_delivered_in_line"),
    Case("H28-pointer-beyond", "a write with the urgent flag and a pointer beyond it", "delivered in line; an alert",
         lambda: urgent(FORBIDDEN, 60_000), SURE | {"urgent_data": 1}, (*ANSWERED, WRITES),
         more="test_tcp.py::test_urgent_data_is_delivered_in_line"),
    Case("H28-byte-within", "a write with a foreign byte in its header, which the urgent pointer takes out",
         "an alert; the stream without that byte is judged", lambda: urgent(FORBIDDEN[:3] + b"x" + FORBIDDEN[3:], 4),
         None, check=lambda seen: alerted(seen, WRITES) or alerted(seen, "urgent_data")),
    Case("H29-every-offset", "twelve captures that begin within a write, each at another byte; then a read and a write",
         "resynchronised at the next request", midstream, None,
         check=lambda seen: alerted(seen, READS, 12) or alerted(seen, WRITES, 12)),
    Case("H29-random", "500 captures that begin at a random byte within a write of random registers; then a read",
         "no message but the reads and their answers", lambda: noise(500), None, ANSWERED * 500),
    Case("H30-hole", "a hole of 1 byte before the write", "counted; the write is decoded", lambda: hole(1, 0),
         SURE | {"gap": 1}, (*ANSWERED, WRITES), more="test_tcp.py::test_a_hole_in_a_pdu"),
    Case("H30-within", "a hole of 1 MB within a PDU", "counted; what was begun is given up, the write is decoded",
         lambda: hole(1_000_000, 5), SURE | {"gap": 1}, (*ANSWERED, WRITES), {"ot_bytes.gap": 5},
         more="test_tcp.py::test_a_hole_in_a_pdu"),
    Case("H30-resync", "a hole within a write, the rest of it, then a write", "resynchronised at the next header",
         resynchronised, SURE | {"gap": 1}, (*ANSWERED, WRITES), {"ot_bytes.gap": 9}),
    Case("H30-request", "one of five requests is lost", "the others are paired by transaction", lambda: lost(6), None,
         check=lambda seen: alerted(seen, READS, 5), more=LOST),
    Case("H30-response", "one of five responses is lost", "`unseen`, not `unanswered`", lambda: lost(7), None,
         check=lambda seen: alerted(seen, READS, 5), more=LOST),
    Case("H31", "320 requests, of which no answer is mirrored", "at most 64 are remembered; said once", one_sided,
         {READS: 320, "one_sided": 1}, more="test_tcp.py::test_one_side_is_not_mirrored"),
    Case("H32-bytes", "a byte a segment", "put together; work grows with the frames and no faster",
         lambda: crumbs(360), {READS: 30}, [READS] * 30,
         more="test_floods.py::test_work_grows_with_the_frames_and_no_faster"),
    Case("H32-holes", "300 single bytes with a hole before each, in no order", "bounded; said",
         lambda: holes(300, "none"), None, more="test_floods.py::test_work_grows_with_the_frames_and_no_faster"),
    Case("H32-permuted", "30 requests in segments of eight bytes, 64 at a time in no order", "put together",
         lambda: shuffled(45), {READS: 30}, [READS] * 30,
         more="test_floods.py::test_work_grows_with_the_frames_and_no_faster"),
    Case("H33-wrap", "a write over sequence number 2^32", "put together", lambda: wrapped(False), {WRITES: 1}, WRITTEN),
    Case("H33-paws", "the same with time stamps that run backwards (PAWS)", "read as if there were none",
         lambda: wrapped(True), {WRITES: 1}, WRITTEN),
    Case("H34", "800 SYNs of different connections", "counted; bounded by the table of connections",
         lambda: syns(800), None, (), {"tcp_control": 800, "shed": 0},
         more="test_floods.py::test_connections_are_capped_and_those_known_go_on"),
    Case("H35", "a conversation that the mirror shows twice", "each frame counts once", doubled, SURE,
         (*ANSWERED, *WRITTEN), {"copy": 12}, more="test_tcp.py::test_the_mirror_shows_everything_twice"),
    Case("H36-both-502", "client and server both on port 502", "who opened is the client", lambda: ports(502, 502),
         SURE, (*ANSWERED, *WRITTEN), more="test_tcp.py::test_both_ports_are_registered"),
    Case("H36-server-first", "the server speaks first", "who opened is the client", server_first, None,
         ("<" + READS, WRITES), check=lambda seen: alerted(seen, WRITES),
         more="test_tcp.py::test_the_server_speaks_first"),
    Case("H36-ephemeral", "HTTP from port 502", "no Modbus is invented", lambda: web(), None, (), {"other_ip": 2},
         more="test_tcp.py::test_a_registered_port_as_an_ephemeral_one"),
    Case("H36-http", "HTTP on port 502", "no Modbus is invented; said once", lambda: bait(502, WEB),
         None, (), {"ot_bytes.unrecognised": 4 * len(WEB)},
         more="test_tcp.py::test_what_is_none_of_ours_on_our_ports"),
    Case("H36-tls", "TLS on port 20000", "no DNP3 is invented; named as encrypted", lambda: bait(20_000, TLS), None, (),
         {"ot_bytes.encrypted": 4 * len(TLS)}, more="test_tcp.py::test_what_is_none_of_ours_on_our_ports"),
    Case("ports-503", "Modbus on port 503", "found by an exchange", lambda: ports(40_000, 503), SURE,
         (*ANSWERED, *WRITTEN), more="test_tcp.py::test_modbus_on_another_port"),
    Case("ports-10502", "Modbus on port 10502", "found by an exchange", lambda: ports(40_000, 10502), SURE,
         (*ANSWERED, *WRITTEN), more="test_tcp.py::test_modbus_on_another_port"),
    Case("ports-20001", "Modbus on port 20001", "found by an exchange", lambda: ports(40_000, 20001), SURE,
         (*ANSWERED, *WRITTEN), more="test_tcp.py::test_modbus_on_another_port"),
    Case("ports-udp", "Modbus over UDP, port 502", "read as over TCP", lambda: ports(40_000, 502, udp=True), SURE,
         (*ANSWERED, *WRITTEN)),
    Case("ports-udp-10502", "Modbus over UDP, port 10502", "found by an exchange",
         lambda: ports(40_000, 10502, udp=True), SURE, (*ANSWERED, *WRITTEN)),
    Case("segments-2-pdus", "a read and a write in one segment", "both are judged", lambda: talk([READ, FORBIDDEN]),
         SURE, (READS, WRITES)),
    Case("segments-2", "a write over two segments", "put together", lambda: talk([FORBIDDEN], [7]), {WRITES: 1},
         (WRITES,), more="test_tcp.py::test_edges_of_a_carried_pdu"),
    Case("segments-3", "a write over three segments", "put together", lambda: talk([FORBIDDEN], [1, 7]), {WRITES: 1},
         (WRITES,)),
    Case("segments-bytes", "a read and a write, a byte a segment", "put together",
         lambda: talk([READ, FORBIDDEN], range(24)), SURE, (READS, WRITES)),
]  # fmt: skip


def halves() -> list[bytes]:
    session, before = opened()
    at = session.seq[0]
    parts = [session.send(READ[:8], seq=at, ip_id=90), session.send(FORBIDDEN[:8], seq=at, ip_id=91)]
    return [*before, *parts, session.send(FORBIDDEN[8:], seq=at + 8, ip_id=92)]


def five() -> list[bytes]:
    session, before = opened()
    at = session.seq[0]
    return [*before, *(session.send(FORBIDDEN, seq=at, ip_id=90 + n) for n in range(5))]


def waiting() -> list[bytes]:
    session, before = opened()
    at = session.seq[0]
    held = [session.send(FORBIDDEN, seq=at + 12), session.send(OTHER_WRITE, seq=at + 12, ip_id=91)]
    return [*before, *held, session.send(READ, seq=at, ip_id=92)]


def longer() -> list[bytes]:
    session, before = opened()
    at = session.seq[0]
    decoy = spoilt(session.send(READ * 3, seq=at, ip_id=90))
    true = [session.send(data, seq=at + 12 * n, ip_id=91 + n) for n, data in enumerate((FORBIDDEN, READ, READ))]
    return [*before, decoy, *true]


def early() -> list[bytes]:
    session = Session(CLIENT, SERVER)
    syn, answer, ack = session.handshake()
    return [syn, session.send(seq=1001, flags=RST), answer, ack, session.send(FORBIDDEN)]


def web() -> list[bytes]:
    session = Session(CLIENT, "10.0.3.3", 502, 80)
    answer = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 900
    return [*session.handshake(), session.send(WEB), session.send(answer, from_client=False)]
