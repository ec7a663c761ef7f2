"""The first bytes of a connection have two readings: what it speaks is not decided by the one that reached nobody."""

import pytest

from tests.hostile.cases_tcp import spoilt
from tests.hostile.kit import Session
from tests.hostile.witness import CLIENT, FORBIDDEN, READ, SERVER, VALUES, conflicts, reported, survive
from tests.protocols.modbus_corpus import adu

LONG = adu(16, b"\0\x32\0\x28\x50" + bytes(80))
TLS = bytes.fromhex("160301020001000100")


@pytest.mark.parametrize("port", [502, 4001])
@pytest.mark.parametrize("decoy", [READ, b"\xff", READ[:7], FORBIDDEN[:11] + b"\xee\xee"], ids=bytes.hex)
@pytest.mark.parametrize("later", [0, 30])
def test_a_decoy_before_the_first_request(port: int, decoy: bytes, later: int) -> None:
    session = Session(CLIENT, SERVER, 49152, port)
    frames = [*session.handshake(), spoilt(session.send(decoy, seq=session.seq[0]))]
    frames += [session.send(FORBIDDEN), session.send(FORBIDDEN, from_client=False)]
    for _ in range(later):
        frames += [session.send(READ), session.send(VALUES, from_client=False)]
    seen = survive(frames)
    assert reported(seen) >= 1
    assert conflicts(seen) >= 1


@pytest.mark.parametrize("decoy", [b"\xff" * 10, b"GET / HTTP/1.1\r\n\r\n", TLS], ids=["junk", "http", "tls"])
@pytest.mark.parametrize("at", [0, 5, 60])
@pytest.mark.parametrize("before", [True, False])
def test_a_decoy_and_a_request_a_byte_a_segment(decoy: bytes, at: int, before: bool) -> None:
    """More segments than are held until a connection is known."""
    session = Session(CLIENT, SERVER)
    opening, start = session.handshake(), session.seq[0]
    crumbs = session.send_cut(LONG, range(1, len(LONG)))
    crumbs.insert(0 if before else at, spoilt(session.send(decoy, seq=start + at, ip_id=9000)))
    answer = session.send(adu(16, b"\0\x32\0\x28"), from_client=False)
    seen = survive([*opening, *crumbs, answer, session.send(FORBIDDEN), session.send(FORBIDDEN, from_client=False)])
    assert (reported(seen), seen.ot_bytes.get("unrecognised", 0), seen.ot_bytes.get("encrypted", 0)) == (1, 0, 0)
    assert reported(seen, function="write_multiple_registers") == 1
    assert conflicts(seen) >= 1


def test_a_connection_that_ends_with_its_first_request() -> None:
    session = Session(CLIENT, SERVER)
    opening = session.handshake()
    decoy = spoilt(session.send(b"\xff" * 12, seq=session.seq[0]))
    assert reported(survive([*opening, decoy, session.send(FORBIDDEN), *session.close()])) == 1
