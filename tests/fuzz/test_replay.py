"""What fuzzing found worth keeping, again; and a minute of what nobody has tried yet (`make fuzz`: for hours)."""

import random
import secrets
import struct
import time

from tests.fuzz.every import EVERY
from tests.fuzz.frames import one
from tests.fuzz.framing import DNP3, NAMES, bare, framed, named
from tests.fuzz.framing import MOST_BYTES as MOST_FRAMED
from tests.fuzz.mutate import OWN, elsewhere, ethernet, healed
from tests.fuzz.pdus import CHECKS, MOST_BYTES, corpus, seeds, try_one
from tests.protocols.dnp3_corpus import link_frame

NEW_S = 25.0
"""Of each of the two: what is tried depends on how fast the machine is, what must hold does not."""


def test_the_corpus() -> None:
    inputs = list(corpus())
    assert {data[0] >> 1 for data in inputs} >= set(range(len(CHECKS)))
    for data in inputs:
        try_one(data)


def test_everything_with_a_name() -> None:
    for name, made in EVERY.items():
        for pdu in made():
            CHECKS[name].check(pdu)


def test_healing_mends_what_was_spoilt_and_nothing_else() -> None:
    frames = [frame for path in OWN if path.name == "plant.pcap" for frame in ethernet(path)]
    tcp = [
        f for f in frames if f[12:15] == b"\x08\x00\x45" and f[23] == 6 and f[16:18] == (len(f) - 14).to_bytes(2, "big")
    ]
    assert len(tcp) > 100
    for frame in tcp:
        assert healed(frame) == frame
        for mark in (1, 0xABCD, 0xFFFF):
            assert healed(elsewhere(frame, mark, True)) == elsewhere(frame, mark, True)
        wrong = frame[:16] + b"\1\2" + frame[18:24] + b"\5\6" + frame[26:50] + b"\7\x08" + frame[52:]
        assert healed(wrong) == frame
        spoilt = frame[:-1] + bytes([frame[-1] ^ 1])
        assert healed(spoilt)[:50] == frame[:50]
        assert healed(spoilt)[50:52] != frame[50:52]


def test_what_is_framed_anew_is_framed_as_its_protocol_does_it() -> None:
    for pdu in named(DNP3):
        assert framed(pdu, DNP3) == link_frame(pdu[8:258], pdu[3], *struct.unpack("<HH", pdu[4:8]))
    for port in NAMES:
        for pdu in named(port):
            assert bare(framed(pdu, port), port)[8:] == pdu[8 : MOST_FRAMED[port]]


def test_new_frames() -> None:
    seed = secrets.randbits(32)
    end_s = time.monotonic() + NEW_S
    while time.monotonic() < end_s:
        one(seed, 4_000)
        seed += 1


def test_new_pdus() -> None:
    seed = secrets.randbits(32)
    dice, known = random.Random(seed), [*seeds(), *corpus()]
    end_s = time.monotonic() + NEW_S
    while time.monotonic() < end_s:
        data = bytearray(dice.choice(known))
        for _ in range(dice.randrange(1, 8)):
            at = dice.randrange(len(data))
            what = dice.randrange(4)
            if what == 0:
                data[at] = dice.choice((0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF, dice.randrange(256)))
            elif what == 1:
                data[at] ^= 1 << dice.randrange(8)
            elif what == 2:
                data[at:at] = dice.randbytes(dice.randrange(1, 9))
            elif len(data) > 3:
                del data[at : at + dice.randrange(1, 9)]
            data = data or bytearray(b"\0\0")
        try:
            try_one(bytes(data[:MOST_BYTES]))
        except Exception as error:
            raise AssertionError(f"broken by {data[:MOST_BYTES].hex()}") from error
