"""Real TLS (Python's, in memory) on ports of control protocols: encrypted bytes, told as such and by whom."""

import ssl
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise

import pytest

from tests.engine.world import see
from tests.hostile.kit import Session
from tests.protocols import dnp3_corpus, modbus_corpus

PORTS = {802: "modbus", 502: "modbus", 19999: "dnp3", 20000: "dnp3"}
Flight = tuple[bool, bytes]
"""Whether the client sent it, and what."""


def flights(count: int = 5) -> Iterator[Flight]:
    """A handshake and `count` exchanges, as each side hands them to TCP; of keys agreed on without certificates."""
    client, server = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    for context in (client, server):
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("AECDH-AES128-SHA:@SECLEVEL=0")
    up, down = (ssl.MemoryBIO(), ssl.MemoryBIO()), (ssl.MemoryBIO(), ssl.MemoryBIO())
    ends = client.wrap_bio(*up), server.wrap_bio(*down, server_side=True)
    sides = (ends[0], up[1], down[0], True), (ends[1], down[1], up[0], False)
    for _ in range(3):
        for end, sent, got, from_client in sides:
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
            if octets := sent.read():
                got.write(octets)
                yield from_client, octets
    for number in range(count):
        for end, sent, _, from_client in sides:
            end.write(bytes([number]) * 40)
            yield from_client, sent.read()


def frames(port: int, stream: list[Flight], cut: int = 0, handshake: bool = True) -> list[bytes]:
    session = Session("10.0.0.1", "10.0.0.2", server_port=port)
    made = session.handshake() if handshake else []
    for from_client, octets in stream:
        made += session.send_cut(octets, range(cut, len(octets), cut) if cut else (), from_client)
    return made


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("cut", [0, 1, 3, 7, 100])
def test_all_of_it_is_encrypted(port: int, cut: int) -> None:
    stream = list(flights())
    seen = see(frames(port, stream, cut))
    assert seen.messages == []
    assert seen.ot_bytes["encrypted"] == seen.ot_bytes["seen"] == sum(len(octets) for _, octets in stream)
    (found,) = seen.alerts("visibility", "protocol")
    assert (found["finding"]["reason"], found["finding"]["protocol"]) == ("encrypted", PORTS[port])
    assert (found["client"]["endpoint"], found["server"]["endpoint"]) == ("10.0.0.1", "10.0.0.2")


@pytest.mark.parametrize("start", range(1, 9))
def test_capture_begins_within_it(start: int) -> None:
    """From the middle of a record on: the next that begins with a segment says it."""
    stream = list(flights(8))[start:]
    stream[0] = stream[0][0], stream[0][1][11:]
    seen = see(frames(19999, stream, handshake=False))
    assert seen.ot_bytes["encrypted"] == seen.ot_bytes["seen"] == sum(len(octets) for _, octets in stream)


def test_a_hello_that_is_answered_otherwise() -> None:
    """What scanners do: the device answers as if it had been asked in its own protocol."""
    hello = next(flights())[1]
    seen = see(frames(502, [(True, hello), (False, b"\x16\x03\x01\0\0\3\0\x80\1")]))
    assert seen.ot_bytes["unrecognised"] == seen.ot_bytes["seen"] == len(hello) + 9


def test_one_direction_is_enough() -> None:
    stream = [flight for flight in flights() if flight[0]]
    seen = see(frames(802, stream, handshake=False))
    assert seen.ot_bytes["encrypted"] == seen.ot_bytes["seen"] == sum(len(octets) for _, octets in stream)


def test_elsewhere_it_is_nothing_of_ours() -> None:
    seen = see(frames(443, list(flights())))
    assert not sum(seen.ot_bytes.values())
    assert seen.alerts("visibility", "protocol") == []


@pytest.mark.parametrize(
    "octets",
    [
        b"\x16\x03\x01\x00\x00\x01" + bytes(20),
        b"\x16\x03\x05\x00\x20\x01" + bytes(40),
        b"\x15\x02\x00\x00\x20\x01" + bytes(40),
        b"\x17\x03\x03\xff\xff\x01" + bytes(40),
        b"\x16\x03\x01\x00\x20\x63" + bytes(40),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_what_only_looks_like_it_is_not(octets: bytes) -> None:
    seen = see(frames(802, [(True, octets), (False, octets)]))
    assert seen.ot_bytes["encrypted"] == 0
    assert seen.ot_bytes["unrecognised"] == 2 * len(octets)


def test_plain_traffic_on_these_ports_is_read() -> None:
    request, response = modbus_corpus.adu(3, b"\0\1\0\2"), modbus_corpus.adu(3, b"\4\0\1\0\2")
    seen = see(frames(802, [(True, request), (False, response)]))
    assert [message["protocol"] for message in seen.messages] == ["modbus", "modbus"]
    poll = dnp3_corpus.frames(b"\xc0\x01\x3c\x02\x06")[0]
    assert [message["protocol"] for message in see(frames(19999, [(True, poll)])).messages] == ["dnp3"]


def test_records_are_those_that_were_sent() -> None:
    """The stream itself: every flight begins with a record, or these tests prove nothing."""
    stream = list(flights())
    assert all(octets[0] in (20, 21, 22, 23) and octets[1] == 3 for _, octets in stream)
    assert any(a[0] != b[0] for a, b in pairwise(stream))
