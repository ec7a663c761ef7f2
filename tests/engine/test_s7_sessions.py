"""S7 sessions inside TLS inside COTP, however the records are cut."""

import random
import struct

from tests.engine.traffic import s7comm, tpkt
from tests.engine.world import Seen, see
from tests.hostile.kit import Session

HELLO, ANSWER = b"\x16\3\1\0\5\1\0\0\1\0", b"\x16\3\3\0\5\2\0\0\1\0"


def cotp(data: bytes) -> bytes:
    return tpkt(b"\x02\xf0\x80" + data)


def session(*pieces: bytes) -> Seen:
    """Connected, then these pieces from the client, each in a TPDU with the end mark."""
    talk = Session("10.0.2.9", "10.0.1.9", server_port=102)
    connect, confirm = s7comm(0, 1)
    frames = [*talk.handshake(), talk.send(connect), talk.send(confirm, from_client=False)]
    frames += [talk.send(cotp(HELLO)), talk.send(cotp(ANSWER), from_client=False)]
    return see([*frames, *(talk.send(cotp(piece)) for piece in pieces)])


def test_a_record_over_several_units_is_encrypted_to_its_end() -> None:
    rest = random.Random(7).randbytes(3000)
    record = b"\x17\3\3" + struct.pack(">H", len(rest)) + rest
    pieces = [record[at : at + 1000] for at in range(0, len(record), 1000)]
    seen = session(*pieces)
    assert seen.ot_bytes["malformed"] == seen.ot_bytes["gap"] == seen.ot_bytes["unrecognised"] == 0
    assert seen.ot_bytes["encrypted"] == sum(len(cotp(piece)) for piece in (HELLO, ANSWER, *pieces))
    assert not [alert for alert in seen.picture["alerts"] if "not valid" in alert["title"]]


def test_without_a_record_before_it_the_same_is_malformed() -> None:
    talk = Session("10.0.2.9", "10.0.1.9", server_port=102)
    connect, confirm = s7comm(0, 1)
    frames = [*talk.handshake(), talk.send(connect), talk.send(confirm, from_client=False)]
    seen = see([*frames, talk.send(cotp(b"\xaa" * 500))])
    assert seen.ot_bytes["encrypted"] == 0
    assert seen.ot_bytes["malformed"] == len(cotp(b"\xaa" * 500))
