"""A row that limits values permits nothing whose value cannot be known: bytes, texts, NaN, lengths that lie."""

import struct

import pytest

from otmon.policy.load import load_bytes
from tests.engine.test_episodes import WAYS
from tests.engine.traffic import Exchange, conversation, frames
from tests.engine.world import START_NS, see
from tests.hostile.kit import Session
from tests.protocols.modbus_corpus import adu
from tests.protocols.s7_streams import any_item, s7

POLICY = load_bytes(
    b"""otmon: 1
zones: {plant: {hosts: [10.0.0.0/16]}}
conduits:
  - id: sets
    from: 10.0.2.1
    to: 10.0.1.1
    allow:
      - {protocol: s7comm, functions: [setup_communication]}
      - {protocol: s7comm, functions: [write_var], targets: [{space: DB1, ranges: 0-19}], values: 0-100}
      - {protocol: modbus, access: write, values: 0-100}
""",
    "p",
)


def tpkt(data: bytes) -> bytes:
    return struct.pack(">BBH", 3, 0, len(data) + 4) + data


SETUP = tuple(tpkt(s7(rosctr, bytes.fromhex("f0000001000101e0"))) for rosctr in (1, 3))


def write(transport: int, count: int, content: bytes, size: int = 4) -> tuple[int, list[Exchange]]:
    """DB1 from byte 0; `size`: transport size of the data, 4 counts bits, 7 bytes."""
    data = struct.pack(">BBH", 0, size, len(content) * (8 if size == 4 else 1)) + content
    job = s7(1, b"\5\1" + any_item(transport, count, 1, 0x84, 0), data)
    return 102, [(SETUP[0], SETUP[1]), (tpkt(job), tpkt(s7(3, b"\5\1", b"\xff")))]


def masked() -> tuple[int, list[Exchange]]:
    pdu = adu(22, struct.pack(">HHH", 5, 0, 0xFFFF))
    return 502, [(pdu, pdu)]


@pytest.mark.parametrize(
    ("port_and_talk", "denied"),
    [
        (write(2, 1, b"\x14"), ""),
        (write(2, 1, b"\xc8"), "allows 0-100 there."),
        (write(8, 1, struct.pack(">f", 50.0), 7), ""),
        (write(8, 1, struct.pack(">f", float("nan")), 7), "is no such number"),
        (write(8, 2, struct.pack(">ff", 50.0, float("inf")), 7), "is no such number"),
        (write(2, 3, b"\xff\xff\xff"), "is no such number"),
        (write(2, 6, b"\xff" * 6), "is no such number"),
        (write(3, 3, b"abc"), "is no such number"),
        (write(4, 2, b"\xff\xff\xff"), "is no such number"),
        (masked(), "allows 0-100 there"),
    ],
)
def test_what_cannot_be_known_is_not_permitted(port_and_talk: tuple[int, list[Exchange]], denied: str) -> None:
    port, talk = port_and_talk
    shots = conversation(Session("10.0.2.1", "10.0.1.1", 50000, port), talk, start_ns=START_NS)
    for way in WAYS:
        titles = [alert["title"] for alert in see(frames(shots), POLICY, **way).policy_alerts()]
        assert len(titles) == (1 if denied else 0)
        assert all(denied in title for title in titles)
