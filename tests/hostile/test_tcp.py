"""H22-H31, H33, H35: overlaps, resets, forged and odd segments, one side missing, everything twice."""

from dataclasses import replace
from itertools import pairwise

import pytest

from otmon.limits import MAX_PENDING_PER_CONNECTION
from tests.engine.traffic import Shot, conversation, frames
from tests.engine.world import START_NS, Frame, same
from tests.hostile.kit import ACK, FIN, PSH, RST, SYN, Session
from tests.hostile.witness import (
    CLIENT,
    FORBIDDEN,
    OTHER_WRITE,
    READ,
    SERVER,
    VALUES,
    conflicts,
    functions,
    opened,
    reported,
    survive,
)
from tests.protocols.modbus_corpus import adu

URG = 32
READING = ("request", "read_holding_registers")
WRITING = ("request", "write_single_register")


# --- overlaps --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("evil_first", [False, True])
def test_the_same_range_with_other_bytes(evil_first: bool) -> None:
    session, before = opened()
    at = session.seq[0]
    both = [READ, FORBIDDEN] if not evil_first else [FORBIDDEN, READ]
    seen = survive([*before, *(session.send(data, seq=at, ip_id=90 + n) for n, data in enumerate(both))])
    assert (reported(seen), conflicts(seen)) == (1, 1)
    assert seen.ot_bytes["copy"] == len(READ)
    assert functions(seen)[-1] == (WRITING if evil_first else READING), "what came first is decoded"


@pytest.mark.parametrize("back", range(1, 12))
def test_a_partial_overlap(back: int) -> None:
    """The second segment goes back into the first one and changes what it said there."""
    session, before = opened()
    at = session.seq[0]
    first = session.send(FORBIDDEN, seq=at)
    second = session.send(OTHER_WRITE[12 - back :] + READ, seq=at + 12 - back, ip_id=91)
    seen = survive([*before, first, second])
    assert conflicts(seen) == 1
    assert functions(seen)[-2:] == [WRITING, READING]
    assert seen.ot_bytes["copy"] == back


def test_overlaps_behind_a_hole() -> None:
    """Two readings wait for the hole to be filled: the first to come is decoded, the other one is evidence."""
    session, before = opened()
    at = session.seq[0]
    waiting = [session.send(FORBIDDEN, seq=at + 12), session.send(OTHER_WRITE, seq=at + 12, ip_id=91)]
    seen = survive([*before, *waiting, session.send(READ, seq=at, ip_id=92)])
    assert functions(seen)[-2:] == [WRITING, READING], "in the order of their frames"
    assert (reported(seen), conflicts(seen)) == (2, 1)
    assert seen.picture["visibility"]["gaps"] == 0


def test_a_true_retransmission_is_no_conflict() -> None:
    session, before = opened()
    at = session.seq[0]
    twice = [session.send(FORBIDDEN, seq=at, ip_id=90 + n) for n in range(5)]
    seen = survive([*before, *twice, session.send(FORBIDDEN[3:] + READ, seq=at + 3, ip_id=97)])
    assert (reported(seen), conflicts(seen)) == (1, 0)
    assert seen.ot_bytes["copy"] == 4 * 12 + 9
    assert seen.frames["copy"] == 0


# --- segments that belong nowhere ------------------------------------------------------------------------------------


@pytest.mark.parametrize("far", [70_000, 1 << 20, 1 << 30, (1 << 31) - 1])
def test_a_segment_far_beyond_what_is_acknowledged(far: int) -> None:
    session, before = opened()
    at = session.seq[0]
    after = [Frame(START_NS + 5 * 10**9, session.send(FORBIDDEN, seq=at)), *answers(session, 6)]
    seen = survive([*timed(before), Frame(START_NS + 10**9, session.send(READ, seq=at + far)), *after])
    assert reported(seen) == 1
    assert functions(seen)[-2:] == [WRITING, ("response", "write_single_register")]
    assert seen.picture["visibility"]["missing_bytes"] == 0
    assert seen.ot_bytes["malformed"] == 12
    (finding,) = (a for a in seen.alerts("protocol") if "not valid modbus" in a["title"])
    assert finding["title"].startswith("12 bytes between")


def test_a_segment_far_behind() -> None:
    session, before = opened()
    at = session.seq[0]
    seen = survive([*before, session.send(READ, seq=at - (1 << 30)), session.send(FORBIDDEN, seq=at)])
    assert reported(seen) == 1
    assert functions(seen)[-1] == WRITING


def timed(frames: list[bytes]) -> list[Frame]:
    return [Frame(START_NS + n * 1_000_000, data) for n, data in enumerate(frames)]


def answers(session: Session, second: int) -> list[Frame]:
    session.seq[0] += 12
    return [Frame(START_NS + second * 10**9, session.send(FORBIDDEN, from_client=False))]


@pytest.mark.parametrize("flags", [RST, RST | ACK, FIN | ACK, FIN, SYN, SYN | ACK, SYN | FIN, SYN | RST, 0, 63])
@pytest.mark.parametrize("offset", [0, 1, -1, 5000, 1 << 30, -(1 << 30)])
@pytest.mark.parametrize("data", [b"", b"connection refused"], ids=["bare", "with-data"])
def test_a_forged_segment_does_not_hide_what_follows(flags: int, offset: int, data: bytes) -> None:
    """Whatever one forged segment says, the write that follows in the true stream is reported."""
    session, before = opened()
    at = session.seq[0]
    forged = session.send(data, seq=at + offset, flags=flags, ip_id=400)
    after = [session.send(FORBIDDEN), session.send(FORBIDDEN, from_client=False), *(session.send(READ) for _ in "123")]
    seen = survive([*before, forged, *after])
    write = next(a for a in seen.policy_alerts() if a["operation"]["function"] == "write_single_register")
    assert write["client"]["endpoint"] == CLIENT
    assert write["title"].startswith(f"{CLIENT} (outside) wrote ")
    assert reported(seen) >= 1
    assert functions(seen)[-1] == READING


@pytest.mark.parametrize("flags", [RST, RST | ACK, FIN | ACK])
def test_a_reset_before_the_handshake_ends(flags: int) -> None:
    session = Session(CLIENT, SERVER)
    syn, synack, ack = session.handshake()
    reset = session.send(b"", seq=1001, flags=flags)
    assert reported(survive([syn, reset, synack, ack, session.send(FORBIDDEN)])) == 1


@pytest.mark.parametrize("flags", [SYN, SYN | ACK])
@pytest.mark.parametrize("from_client", [True, False])
def test_a_forged_syn_changes_no_roles(flags: int, from_client: bool) -> None:
    """Mid-stream the port says who asks; a SYN that would fit the numbers comes too late to say otherwise."""
    session = Session(CLIENT, SERVER)
    exchange = [session.send(READ), session.send(VALUES, from_client=False)]
    forged = session.send(flags=flags, from_client=from_client, seq=session.seq[not from_client] - 1)
    frames = [*exchange, forged, session.send(FORBIDDEN), session.send(FORBIDDEN, from_client=False)]
    seen = survive(frames)
    assert reported(seen) == 1
    assert functions(seen)[-2:] == [WRITING, ("response", "write_single_register")]
    assert survive(frames, batch_frames=1).messages == seen.messages


# --- begin and end ---------------------------------------------------------------------------------------------------


def test_data_behind_a_fin() -> None:
    session, before = opened()
    fin = session.send(flags=FIN | ACK)
    seen = survive([*before, fin, session.send(FORBIDDEN)])
    assert reported(seen) == 1


def test_both_open_at_once() -> None:
    session = Session(CLIENT, SERVER)
    syns = [session.send(flags=SYN), session.send(flags=SYN, from_client=False)]
    seen = survive([*syns, session.send(), session.send(from_client=False), session.send(FORBIDDEN)])
    assert reported(seen) == 1


@pytest.mark.parametrize("closing", ["fin", "rst", "none"])
@pytest.mark.parametrize("isn", [(900_000, 700_000), (1, 2), (1 << 31, 1 << 31), (1005, 5005)])
def test_the_same_ports_again(closing: str, isn: tuple[int, int]) -> None:
    """A new connection: its transactions do not answer those of the old one."""
    session, before = opened()
    before.append(session.send(READ))
    before += {"fin": session.close(), "rst": [session.send(flags=RST | ACK)], "none": []}[closing]
    session.seq[:] = isn
    opening = [session.send(flags=SYN), session.send(flags=SYN | ACK, from_client=False), session.send()]
    late = session.send(VALUES, from_client=False)  # answers nothing that this connection asked
    seen = survive([*before, *opening, late, session.send(FORBIDDEN), session.send(FORBIDDEN, from_client=False)])
    assert reported(seen) == 1
    assert sum(c["client"] == CLIENT for c in seen.picture["connections"]) == 2
    assert seen.picture["visibility"]["gaps"] == 0
    (response,) = (m for m in seen.messages if m["src"][0] == SERVER and m["connection"] == 2 and m["n"] < 5)
    assert response["request_n"] is None
    assert [a["outcome"] for a in seen.policy_alerts() if a["client"]["endpoint"] == CLIENT][-1] == "accepted"


def test_a_syn_sent_again_with_another_number() -> None:
    """CVE-2025-59147 in a peer: the answer says which of the two counts."""
    session = Session(CLIENT, SERVER)
    stale = session.send(flags=SYN, seq=77_000)
    seen = survive([stale, *session.handshake(), session.send(FORBIDDEN)])
    assert reported(seen) == 1
    assert seen.ot_bytes["gap"] == seen.ot_bytes["pending"] == 0


@pytest.mark.parametrize("cookie", [False, True])
def test_data_in_the_syn(cookie: bool) -> None:
    """TCP fast open (RFC 7413): the data counts, and whoever sends the SYN is the client."""
    session = Session(CLIENT, SERVER, 40_000, 4001) if cookie else Session(CLIENT, SERVER)
    syn = session.send(FORBIDDEN, flags=SYN)
    synack = session.send(flags=SYN | ACK, from_client=False)
    seen = survive([syn, synack, session.send(), session.send(FORBIDDEN, from_client=False)])
    assert reported(seen) == 1
    assert functions(seen) == [WRITING, ("response", "write_single_register")]


def test_urgent_data_is_delivered_in_line() -> None:
    session, before = opened()
    frame = bytearray(session.send(FORBIDDEN, flags=ACK | PSH | URG))
    for pointer in (0, 1, 6, 12, 60_000):
        frame[52:54] = pointer.to_bytes(2, "big")
        seen = survive([*before, bytes(frame)])
        assert reported(seen) == 1


@pytest.mark.parametrize("pointer", [0, 1, 7, 13, 24, 60_000])
@pytest.mark.parametrize("cuts", [[], [6]], ids=str)
def test_urgent_data_says_the_same_on_both_paths(pointer: int, cuts: list[int]) -> None:
    session, frames = opened()
    for frame in session.send_cut(FORBIDDEN + READ, cuts):
        frames.append(frame[:47] + bytes([ACK | PSH | URG]) + frame[48:52] + pointer.to_bytes(2, "big") + frame[54:])
    same(survive(frames), survive(frames, force_slow=True), "all on the slow path")


# --- holes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 5, 11, 12, 13, 1000, 65_536, 1_000_000])
@pytest.mark.parametrize("begun", [0, 5])
def test_a_hole_in_a_pdu(size: int, begun: int) -> None:
    """Acknowledged by the server, so it was lost to us: counted, and what follows is decoded."""
    session, before = opened()
    part = [session.send(READ[:begun])] if begun else []
    session.seq[0] += size
    seen = survive([*before, *part, session.send(from_client=False), session.send(FORBIDDEN)])
    assert seen.picture["visibility"]["missing_bytes"] == size
    assert seen.picture["visibility"]["gaps"] == 1
    assert seen.ot_bytes["gap"] == begun
    assert reported(seen) == 1


def test_only_the_request_or_only_the_response_is_lost() -> None:
    talk = [(adu(3, b"\0\1\0\1", transaction=n), adu(3, b"\2\0\7", transaction=n)) for n in range(1, 6)]
    shots = conversation(Session(CLIENT, SERVER), talk, step_ns=2 * 10**9)
    for lost in (6, 7):  # the second exchange
        seen = survive(frames([s for n, s in enumerate(shots) if n != lost]))
        mine = [m for m in seen.messages if CLIENT in (m["src"][0], m["dst"][0])]
        asked = {m["n"]: m["modbus"]["transaction_id"] for m in mine if m["kind"] == "request"}
        answered = {m["modbus"]["transaction_id"]: m["request_n"] for m in mine if m["kind"] == "response"}
        assert all(asked[n] == transaction for transaction, n in answered.items() if n)
        assert sum(n is not None for n in answered.values()) == 4
        (alert,) = (a for a in seen.policy_alerts() if a["client"]["endpoint"] == CLIENT)
        assert alert["count"] == 5
        assert alert["outcomes"]["unseen"] == (lost == 7)
        assert alert["outcomes"]["accepted"] == 5 - (lost == 7)


@pytest.mark.parametrize("side", [True, False], ids=["requests", "responses"])
def test_one_side_is_not_mirrored(side: bool) -> None:
    """H31: no more than so many requests are remembered, and one finding says it."""
    count = 5 * MAX_PENDING_PER_CONNECTION
    talk = [(adu(3, b"\0\1\0\1", transaction=n), adu(3, b"\2\0\7", transaction=n)) for n in range(count)]
    shots = [s for s in conversation(Session(CLIENT, SERVER), talk) if s.from_client == side]
    seen = survive(frames(shots))
    found = [a for a in seen.alerts("visibility") if CLIENT in (a["client"]["endpoint"], a["server"]["endpoint"])]
    assert [a["title"] for a in found if "ne side" in a["title"] or "ne direction" in a["title"]], found
    assert len(found) == 1
    if side:
        (operation,) = (o for o in seen.picture["operations"] if o["key"][1] == CLIENT)
        assert operation["counts"]["attempted"] == count
        assert operation["counts"]["unseen"] + operation["counts"]["pending"] == count
        assert operation["counts"]["pending"] <= MAX_PENDING_PER_CONNECTION
    assert sum(m["kind"] == ("request" if side else "response") for m in seen.messages) >= count


# --- everything twice ------------------------------------------------------------------------------------------------


def doubled(shots: list[Shot], how: str) -> list[Shot]:
    out = []
    for shot in shots:
        again = {
            "same": shot,
            "tagged": replace(shot, vlan=(9,)),
            "routed": replace(shot, ttl=63, macs=(b"\4" * 6, b"\6" * 6)),
            "later": replace(shot, ts_ns=shot.ts_ns + 400_000),
        }[how]
        out += [shot, again]
    return out


@pytest.mark.parametrize("how", ["same", "tagged", "routed", "later"])
@pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])
def test_the_mirror_shows_everything_twice(how: str, udp: bool) -> None:
    talk = [(FORBIDDEN, FORBIDDEN), (READ, VALUES)] * 4
    if udp:
        session = Session(CLIENT, SERVER, 5020, 502, udp=True)
        shots = [
            Shot(session, START_NS + n * 10**9, n % 2 == 0, 0, data=data, ip_id=n)
            for n, data in enumerate(data for exchange in talk for data in exchange)
        ]
    else:
        shots = conversation(Session(CLIENT, SERVER), talk, closing=True)
    once, twice = survive(frames(shots)), survive(frames(doubled(shots, how)))
    assert reported(once) == reported(twice) == 4
    assert functions(once) == functions(twice)
    assert twice.frames["copy"] == len(shots)
    assert twice.picture["visibility"]["copies"] == len(shots)
    assert twice.ot_bytes["copy"] == twice.ot_bytes["decoded"] - 24
    assert not twice.alerts("protocol", "visibility")


# --- who is who ------------------------------------------------------------------------------------------------------


def test_both_ports_are_registered() -> None:
    session, before = opened(502, 502)
    seen = survive([*before, session.send(FORBIDDEN)])
    assert reported(seen) == 1
    (mine,) = (c for c in seen.picture["connections"] if c["client"] == CLIENT)
    assert not mine["assumed_roles"]


def test_both_ports_are_registered_and_nothing_was_opened() -> None:
    """Mid-stream, only what the PDUs say tells who asks."""
    session = Session(CLIENT, SERVER, 502, 502)
    exchange = [session.send(READ), session.send(VALUES, from_client=False)]
    seen = survive([*exchange, session.send(FORBIDDEN)])
    assert reported(seen) == 1
    swapped = Session(SERVER, CLIENT, 502, 502)
    seen = survive(
        [swapped.send(VALUES), swapped.send(READ, from_client=False), swapped.send(FORBIDDEN, from_client=False)]
    )
    assert reported(seen) == 1


def test_the_server_speaks_first() -> None:
    session = Session(CLIENT, SERVER)
    opening = session.handshake()
    late = [session.send(VALUES, from_client=False), session.send(FORBIDDEN)]
    assert reported(survive([*opening, *late])) == 1
    assert reported(survive(late)) == 1


def test_a_registered_port_as_an_ephemeral_one() -> None:
    web = Session(CLIENT, "10.0.3.3", 502, 80)
    asked, answered = b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 900
    seen = survive([*web.handshake(), web.send(asked), web.send(answered, from_client=False)])
    assert not functions(seen)
    (mine,) = (c for c in seen.picture["connections"] if c["client"] == CLIENT)
    assert mine["protocol"] is None
    assert mine["server_port"] == 80


def test_modbus_on_another_port() -> None:
    session, before = opened(40_000, 5020)
    seen = survive([*before, session.send(FORBIDDEN), session.send(FORBIDDEN, from_client=False)])
    assert reported(seen) == 1
    assert seen.ot_bytes["seen"] == seen.ot_bytes["decoded"]


TLS = bytes.fromhex("1603010200010001fc0303") + bytes(range(200)) + b"\0" * 300
BAIT = {
    "http": b"GET /index.html HTTP/1.1\r\nHost: plc\r\n\r\n",
    "tls": TLS,
    "ssh": b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n",
    "zeros": bytes(300),
    "ones": b"\xff" * 300,
    "smb": b"\0\0\0\x54\xffSMBr" + bytes(75),
    "dcerpc": bytes.fromhex("05000b0310000000a000040001000000") + bytes(140),
}


@pytest.mark.parametrize("port", [502, 102, 20_000])
@pytest.mark.parametrize("bait", sorted(BAIT))
@pytest.mark.parametrize("opening", [True, False], ids=["whole", "midstream"])
def test_what_is_none_of_ours_on_our_ports(port: int, bait: str, opening: bool) -> None:
    session = Session(CLIENT, SERVER, 40_000, port)
    frames = session.handshake() if opening else []
    seen = survive([*frames, *(session.send(BAIT[bait], from_client=n % 2 == 0) for n in range(6))])
    assert not functions(seen)
    bucket, kind = ("encrypted", "visibility") if bait == "tls" else ("unrecognised", "protocol")
    assert seen.ot_bytes[bucket] == 6 * len(BAIT[bait])
    assert [a["operation"] for a in seen.alerts("protocol", "visibility")] == [None], "said once, as a finding"
    assert [a["finding"]["reason"] for a in seen.alerts(kind)] == [bucket]


def test_edges_of_a_carried_pdu() -> None:
    """Cut between two segments at every byte, with a forged copy of the second part before it."""
    session, before = opened()
    at = session.seq[0]
    for cut, _ in pairwise(range(1, 13)):
        parts = [session.send(FORBIDDEN[:cut], seq=at), session.send(FORBIDDEN[cut:], seq=at + cut)]
        seen = survive([*before, *parts])
        assert reported(seen) == 1
        assert functions(seen)[-1] == WRITING


@pytest.mark.parametrize("place", range(12))
@pytest.mark.parametrize("before", [0, 1])
def test_a_single_byte_before_the_true_one_is_no_keep_alive(place: int, before: int) -> None:
    """Of the write one byte came as another before, and reached nobody: the device has not acknowledged it."""
    session, frames = opened() if before else ((fresh := Session(CLIENT, SERVER)), fresh.handshake())
    forged = bytes([FORBIDDEN[place] ^ 5])
    frames += [session.send(FORBIDDEN[:place])] if place else []
    frames += [session.send(from_client=False), session.send(forged, seq=session.seq[0], ttl=1)]
    frames += [session.send(FORBIDDEN[place : place + 1]), session.send(from_client=False)]
    frames += [session.send(FORBIDDEN[place + 1 :])] if place < 11 else []
    seen = survive([*frames, session.send(FORBIDDEN, from_client=False)])
    assert conflicts(seen) >= 1
    assert reported(seen) >= 1
