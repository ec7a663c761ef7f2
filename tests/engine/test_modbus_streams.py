"""Modbus conversations through the engine: RTU found by content, pairing where tokens repeat, broadcasts, TLS."""

import random
import struct

import pytest

from otmon.model import OperationKey
from tests.engine.world import START_NS, Frame, Seen, see
from tests.hostile.kit import Session
from tests.protocols.modbus_corpus import adu
from tests.protocols.test_modbus_rtu import rtu

CLIENT, SERVER = "10.0.0.1", "10.0.0.2"
REQUEST = adu(3, b"\0\0\0\x0a")
RESPONSE = adu(3, bytes([20]) + bytes(range(20)))


def talk(*steps: tuple[bool, bytes], port: int = 502, gap_ms: int = 10, opened: bool = True) -> Seen:
    """A TCP connection with these payloads, each a segment: (from the client, bytes)."""
    session = Session(CLIENT, SERVER, server_port=port)
    frames = session.handshake() if opened else []
    frames += [session.send(data, from_client) for from_client, data in steps]
    return see([Frame(START_NS + n * gap_ms * 1_000_000, frame) for n, frame in enumerate(frames)])


def exchange(request: bytes, response: bytes) -> list[tuple[bool, bytes]]:
    return [(True, request), (False, response)]


def attempts(found: Seen) -> list[tuple[OperationKey, dict[str, int]]]:
    """Operations of Modbus with their counts."""
    made = [(OperationKey(*op["key"]), op["counts"]) for op in found.picture["operations"]]
    return [(key, counts) for key, counts in made if key.protocol == "modbus"]


# --- RTU over TCP --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("port", [502, 4001, 20000])
def test_rtu_is_found_on_any_port(port: int) -> None:
    found = talk(*exchange(rtu(REQUEST), rtu(RESPONSE)), *exchange(rtu(REQUEST), rtu(adu(0x83, b"\x0b"))), port=port)
    assert [m["kind"] for m in found.messages] == ["request", "response"] * 2
    assert {m["protocol"] for m in found.messages} == {"modbus"}
    assert {m["modbus"]["framing"] for m in found.messages} == {"rtu"}
    assert found.messages[1]["modbus"]["values"] == [256 * n + n + 1 for n in range(0, 20, 2)]
    assert found.messages[1]["modbus"]["address"] == 0
    assert found.picture["protocols"]["modbus"]["pdus"] == 4


def test_rtu_in_pieces_and_several_in_a_segment() -> None:
    pieces = [(True, bytes([byte])) for byte in rtu(REQUEST)] + [(False, bytes([byte])) for byte in rtu(RESPONSE)]
    assert len(talk(*pieces, port=4001).messages) == 2
    two = talk((True, rtu(REQUEST) * 2), (False, rtu(RESPONSE) * 2), port=4001)
    assert len(two.messages) == 4
    assert two.messages[2]["flags"] == ["paired_by_order"]


def test_one_side_of_rtu_is_not_enough() -> None:
    """A CRC of 16 bits is right by chance once in 65,536 times: a request and its response are asked for."""
    assert talk(*[(True, rtu(REQUEST))] * 20, port=4001).messages == []
    assert talk((True, rtu(REQUEST)), (False, rtu(RESPONSE)[:-1] + b"\0"), port=4001).messages == []
    assert talk((True, rtu(REQUEST)), (False, rtu(adu(4, RESPONSE[8:]))), port=4001).messages == []


def test_a_device_that_dials_its_control_centre_is_the_server() -> None:
    found = talk((False, rtu(REQUEST)), (True, rtu(RESPONSE)), (False, rtu(REQUEST)), (True, rtu(RESPONSE)), port=9999)
    assert {(m["kind"], m["src"][0]) for m in found.messages} == {("request", SERVER), ("response", CLIENT)}
    assert {key.client for key, _ in attempts(found)} == {SERVER}


def test_random_bytes_are_no_modbus() -> None:
    """Thousands of beginnings, many of them chosen to look like units and functions."""
    rng = random.Random(1)
    frames = []
    for n in range(1500):
        session = Session(CLIENT, SERVER, client_port=1025 + n, server_port=4001)
        start = bytes([rng.randrange(248), rng.choice((1, 2, 3, 4, 5, 6, 15, 16, 43, 90, 65))])
        frames += [session.send(start + rng.randbytes(rng.randrange(300)), way) for way in (True, False) * 2]
    found = see(frames)
    assert found.messages == []
    assert "modbus" not in found.picture["protocols"]


def test_a_bad_crc_costs_its_segment() -> None:
    good = exchange(rtu(REQUEST), rtu(RESPONSE))
    found = talk(*good, (True, rtu(REQUEST)[:-1] + b"\0"), *good, port=4001)
    assert len(found.messages) == 4
    assert found.ot_bytes["malformed"] == 8


def test_rtu_and_modbus_tcp_are_counted_together() -> None:
    one, two = Session(CLIENT, SERVER), Session(CLIENT, SERVER, client_port=50000, server_port=4001)
    frames = [*one.handshake(), one.send(REQUEST), one.send(RESPONSE, False)]
    frames += [*two.handshake(), two.send(rtu(REQUEST)), two.send(rtu(RESPONSE), False)]
    section = see(frames).picture["protocols"]["modbus"]
    assert (section["pdus"], section["functions"]["3"]["requests"]) == (4, 2)
    assert section["functions"]["3"]["name"] == "read_holding_registers"


# --- pairing where transaction ids repeat --------------------------------------------------------------------------
def read(address: int, quantity: int, transaction: int = 0) -> bytes:
    return adu(3, struct.pack(">HH", address, quantity), transaction=transaction)


def values(quantity: int, transaction: int = 0) -> bytes:
    return adu(3, bytes([2 * quantity]) + bytes(2 * quantity), transaction=transaction)


def answered(found: Seen) -> list[tuple[int | None, list[str]]]:
    return [(m["request_n"], m["flags"]) for m in found.messages if m["kind"] == "response"]


def test_constant_transaction_ids_pair_by_order() -> None:
    found = talk((True, read(0, 2)), (True, read(9, 2)), (False, values(2)), (False, values(2)))
    assert answered(found) == [(1, ["paired_by_order"]), (2, [])]


def test_constant_transaction_ids_pair_by_shape() -> None:
    """The first request was never answered: the response to the second, another number of registers, is not its."""
    found = talk((True, read(0, 2)), (True, read(100, 5)), (False, values(5)), (True, read(0, 2)), (False, values(2)))
    assert [n for n, _ in answered(found)] == [2, 1]
    assert found.messages[2]["modbus"]["address"] == 100
    write, other = adu(6, b"\0\1\0\7", transaction=0), adu(6, b"\0\2\0\7", transaction=0)
    assert [n for n, _ in answered(talk((True, write), (True, other), (False, other), (False, write)))] == [2, 1]


def test_a_response_like_no_request_takes_the_oldest_of_its_function() -> None:
    found = talk((True, read(0, 2)), (True, read(9, 4)), (False, values(3)))
    assert answered(found) == [(1, ["byte_count_mismatch", "paired_by_order"])]


def test_what_comes_after_a_gateway_gave_up_is_late() -> None:
    timeout = adu(0x83, b"\x0b", transaction=5)
    found = talk((True, read(0, 2, 5)), (False, timeout), (False, values(2, 5)), (False, values(2, 5)))
    exception, late, stray = answered(found)
    assert exception == (1, ["exception"])
    assert late == (1, ["late_reply"])
    assert found.messages[2]["modbus"]["address"] == 0
    assert stray == (None, [])  # once only
    (asked,) = (counts for key, counts in attempts(found) if key.target)
    assert (asked["attempted"], asked["rejected"]) == (1, 1)


def test_a_late_reply_leaves_the_next_request_its_own() -> None:
    """A gateway with one transaction id for all: the response to the second request is that which is like it."""
    timeout = adu(0x83, b"\x0b", transaction=0)
    for order in ((2, 5), (5, 2)):
        replies = [(False, values(quantity)) for quantity in order]
        found = talk((True, read(0, 2)), (False, timeout), (True, read(100, 5)), *replies)
        assert answered(found)[1:] == [(1, ["late_reply"]) if quantity == 2 else (3, []) for quantity in order]
    same = talk((True, read(0, 2)), (False, timeout), (True, read(9, 2)), (False, values(2)), (False, values(2)))
    assert answered(same)[1:] == [(3, []), (1, ["late_reply"])]


def test_a_gateway_that_always_gives_up_fills_nothing() -> None:
    steps = [step for n in range(300) for step in exchange(read(n, 2, n), adu(0x83, b"\x0b", transaction=n))]
    found = talk(*steps)
    assert [n for n, _ in answered(found)] == [2 * n + 1 for n in range(300)]
    assert sum(counts["rejected"] for _, counts in attempts(found)) == 300
    assert sum(counts["unanswered"] for _, counts in attempts(found)) == 0


# --- unit 0 --------------------------------------------------------------------------------------------------------
def test_silence_after_a_broadcast_says_nothing_until_an_answer_disproves_it() -> None:
    write = adu(6, b"\0\1\0\7", unit=0)
    other = exchange(adu(3, b"\0\0\0\1"), adu(3, b"\2\0\7"))
    silent = talk((True, write), (True, write), *other, gap_ms=6000)
    assert silent.messages[0]["flags"] == ["broadcast_possible"]
    assert [counts["unseen"] for key, counts in attempts(silent) if key.unit == 0] == [2]
    disproved = talk(*exchange(write, write), (True, write), *other, gap_ms=6000)
    assert disproved.messages[1]["flags"] == ["broadcast_disproved"]
    (counts,) = (counts for key, counts in attempts(disproved) if key.unit == 0)
    assert (counts["accepted"], counts["unanswered"]) == (1, 1)


# --- what cannot be read -------------------------------------------------------------------------------------------
def test_tls_on_its_port_is_encrypted() -> None:
    hello, data = b"\x16\x03\x01\x00\x10" + bytes(16), b"\x17\x03\x03\x00\x20" + bytes(32)
    for opened in (True, False):
        found = talk((True, hello), (False, hello), (True, data), (False, data), port=802, opened=opened)
        assert found.ot_bytes["encrypted"] == found.ot_bytes["seen"] == 2 * 21 + 2 * 37
        assert any("are encrypted" in alert["title"] for alert in found.alerts("visibility"))
    assert talk((True, hello), (False, hello)).ot_bytes["encrypted"] == 42, "on the plain port as well"
    assert talk((True, b"SSH-2.0-x\r\n"), port=802).ot_bytes["unrecognised"] == 11
    assert len(talk(*exchange(REQUEST, RESPONSE), port=802).messages) == 2


def test_a_malformed_pdu_keeps_its_function() -> None:
    wrong = adu(16, struct.pack(">HHB", 1, 2, 4) + b"\0\1\0")
    found = talk(*exchange(REQUEST, RESPONSE), (True, wrong))
    message = found.messages[-1]
    assert (message["function_code"], message["function"], message["unit"]) == (16, "write_multiple_registers", 1)
    assert message["flags"] == ["malformed"]
    assert message["modbus"]["raw"] == wrong.hex()
    assert found.ot_bytes["malformed"] == len(wrong)


def test_what_nobody_answered_for_minutes_is_settled_though_the_connection_goes_on() -> None:
    """A gap an hour later says nothing of it; until five minutes are over its response may still come."""
    lost, poll = (True, read(700, 2, 9)), exchange(read(0, 2, 1), values(2, 1))

    def outcomes(polls: int, *end: tuple[bool, bytes]) -> list[dict[str, int]]:
        found = talk(lost, *poll * polls, *end, gap_ms=10_000)
        return [counts for key, counts in attempts(found) if key.target and key.target[1] == 700]

    assert [counts["unanswered"] for counts in outcomes(20)] == [1]
    assert [counts["accepted"] for counts in outcomes(10, (False, values(2, 9)))] == [1]
    assert [counts["accepted"] for counts in outcomes(20, (False, values(2, 9)))] == [0]
