"""What fuzzing found worth keeping, again; and a minute of what nobody has tried yet (`make fuzz`: for hours)."""

import random
import secrets
import time

from tests.fuzz.every import EVERY
from tests.fuzz.frames import one
from tests.fuzz.pdus import CHECKS, MOST_BYTES, corpus, seeds, try_one

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
