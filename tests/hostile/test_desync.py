"""Numbers that the device refuses: a SYN in a live connection, and segments that never reach it.

The device answers what it gets (RFC 9293 3.10.7.4); it acknowledges where its stream is, and only a SYN+ACK begins a
new one.
"""

from itertools import pairwise

import pytest

from tests.engine.world import START_NS, Frame, same, see
from tests.hostile.kit import ACK, FIN, RST, SYN, Session
from tests.hostile.witness import CLIENT, FORBIDDEN, READ, SERVER, VALUES, opened, reported, survive

JUMPS = pytest.mark.parametrize("jump", [100, 60_000, 1 << 20, -(1 << 20), 1 << 25, -(1 << 25), 1 << 30, -(1 << 30)])
CUTS = pytest.mark.parametrize("cuts", [[], [5], [3, 7]], ids=str)


def written(session: Session, cuts: list[int]) -> list[bytes]:
    """The write in pieces, each acknowledged, and its answer."""
    sent = []
    for a, b in pairwise([0, *cuts, len(FORBIDDEN)]):
        sent += [session.send(FORBIDDEN[a:b]), session.send(from_client=False)]
    return [*sent, session.send(FORBIDDEN, from_client=False)]


def decoded(frames: list[bytes | Frame]) -> None:
    """The write was read where it stands in the stream, and its answer belongs to it."""
    seen = survive(frames)
    (alert,) = (
        a for a in seen.policy_alerts() if (a["client"]["endpoint"], a["operation"]["access"]) == (CLIENT, "write")
    )
    assert (alert["count"], alert["outcome"], alert["targets"][0]["target"]["start"]) == (1, "accepted", 0x32)


@JUMPS
@CUTS
@pytest.mark.parametrize("junk", [b"\0\1\0\0\0", b"GET / HTTP/1.1\r\n\r\n", b""], ids=["begun", "foreign", "nothing"])
@pytest.mark.parametrize(
    ("before", "told"), [("", False), ("", True), ("rst", False), ("fin", True), ("answers itself", True)]
)
def test_a_syn_in_a_live_connection_begins_nothing(
    jump: int, cuts: list[int], junk: bytes, before: str, told: bool
) -> None:
    session, sent = opened()
    at = session.seq[0]
    refused = [session.send(from_client=False, ack=at)] if told else []
    if before in ("rst", "fin"):
        sent.append(session.send(flags=ACK | (RST if before == "rst" else FIN), seq=at, ttl=1))
    sent += [session.send(flags=SYN, seq=at + jump - 1), *refused]
    if before == "answers itself":
        sent.append(session.send(flags=SYN | ACK, seq=at + jump + 9, ack=at + jump))
    sent += [session.send(junk, seq=at + jump), *refused]
    decoded([*sent, *written(session, cuts)])


@CUTS
@pytest.mark.parametrize("begun", [0, 4])
@pytest.mark.parametrize("jump", [24, 100, 60_000])
def test_a_hole_that_the_device_does_not_see_is_none(cuts: list[int], begun: int, jump: int) -> None:
    """It acknowledges what is before the hole, again and again: what is behind it never came."""
    session, sent = opened()
    sent += [session.send(READ[:begun])] if begun else []
    at = session.seq[0]
    sent += [session.send(READ, seq=at + jump, ttl=1), session.send(from_client=False)]
    later = [session.send(READ[begun:])] if begun else []
    later += [session.send(READ, seq=at + jump + 12, ttl=1), *written(session, cuts)]
    timed = [Frame(START_NS + n * 1_000_000, frame) for n, frame in enumerate(sent)]
    decoded([*timed, *(Frame(timed[-1].ts_ns + 3 * 10**9 + n, frame) for n, frame in enumerate(later))])


@JUMPS
@pytest.mark.parametrize("closing", [[], [RST | ACK]], ids=["open", "reset"])
@pytest.mark.parametrize("lost", ["nothing", "synack", "syn", "ack"])
def test_what_the_other_side_answers_is_a_new_connection(jump: int, closing: list[int], lost: str) -> None:
    """As far as the mirror shows of its opening; without the SYN+ACK the first request may count as a gap."""
    session, sent = opened()
    sent += [session.send(flags=flags) for flags in closing]
    session.seq = [(session.seq[0] + jump) % 2**32, (session.seq[1] - jump // 2) % 2**32]
    opening = dict(zip(("syn", "synack", "ack"), session.handshake(), strict=True))
    opening.pop(lost, None)
    exchange = [session.send(READ), session.send(VALUES, from_client=False)]
    seen = survive([*sent, *opening.values(), *exchange, *written(session, [])])
    assert reported(seen) == 1
    if lost in ("nothing", "ack"):
        assert sum(c["client"] == CLIENT for c in seen.picture["connections"]) == 2
        assert seen.picture["visibility"]["gaps"] == 0


def test_of_one_direction_alone_a_syn_begins_a_new_connection() -> None:
    session = Session(CLIENT, SERVER)
    sent = [session.send(flags=SYN), session.send(), session.send(READ)]
    session.seq[0] -= 1 << 25
    seen = survive([*sent, session.send(flags=SYN), session.send(), *session.send_cut(FORBIDDEN, [5])])
    assert reported(seen) == 1


def test_data_in_their_order_are_the_old_connections() -> None:
    """A SYN in the server's name comes before its own SYN+ACK, which the client's data acknowledge."""
    session = Session(CLIENT, SERVER)
    forged = session.send(flags=SYN, from_client=False, seq=1 << 29)
    opening = session.handshake()
    frames = [opening[0], forged, *opening[1:], session.send(READ)]
    found = see(frames)
    same(found, see(frames, force_slow=True), "in the slow path")
    assert [record["client"] for record in found.picture["connections"]] == [CLIENT]
