"""DNP3 frames and transport by literal bytes: CRC, blocks, segments, what breaks a series."""

import random

import numpy as np
import pytest

from otmon.limits import MAX_INTERLEAVED, MAX_PDU_BYTES
from otmon.protocols.dnp3 import DNP3
from otmon.protocols.dnp3.crc import crc16
from otmon.protocols.dnp3.link import FAULT_NAMES
from otmon.wire.contract import (
    FAULTS,
    UNWRAP_BAD,
    UNWRAP_BUILT,
    UNWRAP_DROPPED,
    UNWRAP_FAULT,
    UNWRAP_KEPT,
    UNWRAP_MORE,
    UNWRAP_STATUS,
    UNWRAP_WHOLE,
)
from tests.protocols.dnp3_corpus import crc, frames, link_frame


class Stream:
    """One direction, as the engine keeps it."""

    def __init__(self) -> None:
        self.kept, self.fault = 0, None
        self.asm, self.fill = np.full(MAX_PDU_BYTES, 0xEE, np.uint8), 0

    def feed(self, unit: bytes, start: int = 0) -> tuple[int, bytes]:
        buf = np.frombuffer(b"\x05" * start + unit + b"\x64" * 7, np.uint8)
        status, a, b = DNP3.unwrap(buf, start, start + len(unit), self.asm, self.fill)
        outcome, said = status & UNWRAP_STATUS, status & (UNWRAP_STATUS | UNWRAP_DROPPED)
        self.kept, self.fault = status >> UNWRAP_KEPT, FAULT_NAMES.get(status >> UNWRAP_FAULT & FAULTS)
        if outcome == UNWRAP_MORE:
            self.fill = b
            return said, b""
        if outcome == UNWRAP_BUILT:
            self.fill = a
        elif status & UNWRAP_DROPPED:
            self.fill = b
            return said, b""
        return said, bytes((buf if outcome == UNWRAP_WHOLE else self.asm)[a:b])


def test_crc_is_the_bitwise_one() -> None:
    rng = random.Random(1)
    # "Reset link states" from 1024 to 1 as devices send it, and the check value of CRC-16/DNP.
    assert link_frame(b"", 0xC0, 1, 1024) == bytes.fromhex("056405c001000004e921")
    assert crc(b"123456789") == 0xEA82.to_bytes(2, "little")
    for _ in range(3000):
        data = rng.randbytes(rng.randrange(1, 17))
        buf = np.frombuffer(b"\xff" + data + b"\xff" * 16, np.uint8)
        assert crc16(buf, 1, len(data)) == int.from_bytes(crc(data), "little")


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 31, 32, 33, 249, 250])
def test_frame_length_counts_every_block(size: int) -> None:
    unit = link_frame(bytes(size))
    assert len(unit) == 10 + size + 2 * -(-size // 16)
    assert DNP3.frame(np.frombuffer(unit + b"junk", np.uint8), 0, len(unit) + 4) == len(unit)


@pytest.mark.parametrize(("place", "value"), [(0, 4), (1, 0x65), (2, 4), (2, 0), (3, 1), (8, 0), (9, 0xFF)])
def test_a_damaged_header_is_no_frame(place: int, value: int) -> None:
    unit = bytearray(link_frame(b"abc"))
    unit[place] = value
    assert DNP3.frame(np.frombuffer(bytes(unit), np.uint8), 0, len(unit)) == -1


def test_frames_are_found_again_behind_noise() -> None:
    noise = b"\x05\x64\x05" * 5 + random.Random(2).randbytes(500)
    buf = np.frombuffer(noise + link_frame(b"\xc0\xc0\x0d"), np.uint8)
    assert [at for at in range(len(buf) - 10) if DNP3.frame(buf, at, len(buf)) > 0] == [len(noise)]


@pytest.mark.parametrize("size", [1, 2, 16, 17, 249, 250, 498, 499, 2048])
@pytest.mark.parametrize("start", [0, 33])
def test_a_fragment_of_any_size_comes_back(size: int, start: int) -> None:
    fragment = random.Random(size).randbytes(size)
    stream, units = Stream(), frames(fragment, 62)
    answers = [stream.feed(unit, start) for unit in units]
    assert [status for status, _ in answers[:-1]] == [UNWRAP_MORE] * (len(units) - 1)
    header, last = units[0][:8], units[-1][10:11]
    assert answers[-1] == (UNWRAP_BUILT, header + last + fragment)


def test_each_block_is_checked() -> None:
    unit = frames(random.Random(3).randbytes(200))[0]
    for place in range(10, len(unit)):
        damaged = unit[:place] + bytes([unit[place] ^ 0x10]) + unit[place + 1 :]
        assert Stream().feed(damaged)[0] == UNWRAP_BAD


def test_link_only_frames_leave_the_assembly_alone() -> None:
    stream, units = Stream(), frames(b"\xc0\x01" + bytes(300))
    stream.feed(units[0])
    held = stream.asm.copy()
    ack = link_frame(b"", 0x80)
    assert stream.feed(ack) == (UNWRAP_WHOLE, ack[:8])
    assert (stream.asm == held).all()
    assert stream.feed(units[1])[0] == UNWRAP_BUILT


def test_what_breaks_a_series() -> None:
    units = frames(b"\xc0\x01" + bytes(700), 5)
    late = frames(b"\xc0\x01" + bytes(700), 6)
    for breaker in (late[1], units[2]):
        stream = Stream()
        stream.feed(units[0])
        assert stream.feed(breaker)[0] == UNWRAP_BAD | UNWRAP_DROPPED
        assert stream.fault == "segment_sequence"
        assert stream.feed(units[1])[0] == UNWRAP_BAD
        assert stream.fault == "segment_without_first"
    stream = Stream()
    stream.feed(units[0])
    assert stream.feed(late[0])[0] == UNWRAP_MORE | UNWRAP_DROPPED
    assert stream.fault == "fragment_unfinished"
    assert stream.feed(frames(b"\xc0\x01")[0])[0] == UNWRAP_BUILT | UNWRAP_DROPPED
    assert stream.feed(units[1])[0] == UNWRAP_BAD


def test_others_do_not_break_a_series() -> None:
    """Outstations behind one terminal server: fragments between other addresses, their frames among each other."""
    rng = random.Random(6)
    for _ in range(60):
        sent = {
            (source, destination): (rng.randbytes(rng.randrange(600)), [])
            for source in range(1, rng.randrange(2, MAX_INTERLEAVED + 2))
            for destination in (0, 9)
        }
        while len(sent) > MAX_INTERLEAVED:
            sent.popitem()
        queues = {
            pair: frames(fragment, rng.randrange(64), rng.choice((40, 249)), source=pair[0], destination=pair[1])
            for pair, (fragment, _) in sent.items()
        }
        stream, held = Stream(), dict.fromkeys(sent, 0)
        while queues:
            pair = rng.choice(list(queues))
            unit = queues[pair].pop(0)
            status, pdu = stream.feed(unit)
            held[pair] += len(unit)
            if not queues[pair]:
                del queues[pair]
                assert (status, pdu[9:]) == (UNWRAP_BUILT, sent[pair][0])
                assert (pdu[6] | pdu[7] << 8, pdu[4] | pdu[5] << 8) == pair
                held[pair] = 0
                assert stream.kept == sum(held.values())
            else:
                assert status == UNWRAP_MORE
        assert stream.fill == 0


def test_no_more_than_so_many_series_at_a_time() -> None:
    stream = Stream()
    begun = [frames(bytes(300), source=source)[0] for source in range(MAX_INTERLEAVED + 1)]
    for unit in begun[:-1]:
        assert stream.feed(unit)[0] == UNWRAP_MORE
    assert stream.feed(begun[-1])[0] == UNWRAP_MORE | UNWRAP_DROPPED
    assert (stream.fault, stream.kept) == ("too_many_fragments", 0)
    assert stream.feed(frames(bytes(300), source=MAX_INTERLEAVED)[1])[0] == UNWRAP_BUILT


def test_series_that_have_no_room_together_are_given_up() -> None:
    stream = Stream()
    for unit in frames(bytes(5000), source=1)[:-1]:
        assert stream.feed(unit)[0] == UNWRAP_MORE
    statuses = [stream.feed(unit)[0] for unit in frames(bytes(5000), source=2)]
    assert UNWRAP_BAD | UNWRAP_DROPPED in statuses
    assert stream.fill == 0
    assert [stream.feed(unit)[0] for unit in frames(bytes(5000), source=2)][-1] == UNWRAP_BUILT


def test_a_repeated_segment_is_passed_over() -> None:
    fragment = random.Random(4).randbytes(700)
    stream, units = Stream(), frames(fragment, 63)
    answers = [stream.feed(unit) for unit in (units[0], units[1], units[1], units[2])]
    assert answers[-1][0] == UNWRAP_BUILT
    assert answers[-1][1][9:] == fragment


def test_a_series_without_end_is_dropped_at_the_cap() -> None:
    stream = Stream()
    statuses = [stream.feed(unit)[0] for unit in frames(bytes(20_000), 0)]
    assert statuses[: 8183 // 249] == [UNWRAP_MORE] * (8183 // 249)
    assert statuses[8183 // 249] == UNWRAP_BAD | UNWRAP_DROPPED
    assert set(statuses[8183 // 249 + 1 :]) == {UNWRAP_BAD}
