"""RTU frames: their lengths come from the CRC alone, however the bytes arrive; inside is what Modbus/TCP has."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otmon.model import Malformed, Message
from otmon.protocols.modbus import MODBUS, MODBUS_RTU
from otmon.protocols.modbus.crc import START, crc16
from otmon.protocols.modbus.tables import FUNCTIONS
from otmon.wire.contract import NEED_MORE, NOT_THIS, UNWRAP_BUILT
from tests.effort import examples
from tests.protocols.modbus_corpus import adu, corpus


def rtu(pdu: bytes) -> bytes:
    """An ADU of Modbus/TCP as a frame of a serial line."""
    frame = pdu[6:]
    return frame + int(crc16(np.frombuffer(frame, np.uint8), 0, len(frame), START)).to_bytes(2, "little")


def length(raw: bytes) -> int:
    return int(MODBUS_RTU.frame(np.frombuffer(raw, np.uint8), 0, len(raw)))


def attempt(pdu: bytes, from_client: bool) -> Message | None:
    try:
        return MODBUS.decode(pdu, from_client, None)
    except Malformed:
        return None


PDUS = [pdu for pdu in corpus(7, 3000) if pdu[6] < 248 and len(pdu) <= 260]


def sound(pdu: bytes) -> bool:
    """In one direction at least. A write of a wrong length has none on a serial line."""
    return any(one and "malformed" not in one.flags for one in (attempt(pdu, True), attempt(pdu, False)))


SOUND = [pdu for pdu in PDUS if sound(pdu)]


def lengthy(pdu: bytes) -> bool:
    """Whether the function of this PDU has a layout, so that its frame's length follows from its bytes."""
    return pdu[7] & 127 in FUNCTIONS and not (pdu[7] == 43 and pdu[8:9] not in (b"\x0d", b"\x0e"))


def fixed(pdu: bytes) -> bool:
    """Whether it is as long as a serial line can tell: a sound PDU of Modbus/TCP has its length from the header."""
    if pdu[7] == 8:
        return len(pdu) % 2 == 0 and (pdu[8:10] in (b"\0\0", b"\0\x15") or len(pdu) == 12)
    return pdu[8] in range(1, 12) if pdu[7] > 128 else pdu[7] != 43 or pdu[8] in (13, 14)


def test_crc_is_that_of_the_specification() -> None:
    assert rtu(adu(7, b"", unit=2)) == bytes.fromhex("02 07 41 12")  # V1.02, 6.2.2
    check = np.frombuffer(b"123456789", np.uint8)
    assert crc16(check, 0, 9, START) == 0x4B37  # the check value of CRC-16/MODBUS


def test_every_sound_pdu_is_framed_and_decoded_as_in_modbus_tcp() -> None:
    asm, framed = np.full(300, 0xEE, np.uint8), 0
    for pdu in SOUND:
        raw = rtu(pdu)
        if not fixed(pdu):
            continue
        assert length(raw) == len(raw), pdu.hex()
        assert MODBUS_RTU.unwrap(np.frombuffer(raw, np.uint8), 0, len(raw), asm, 0) == (UNWRAP_BUILT, 0, len(pdu))
        built = asm[: len(pdu)].tobytes()
        assert built == bytes(2) + pdu[2:]
        framed += 1
        for way in (True, False):
            there = attempt(built, way)
            if there is None:
                with pytest.raises(Malformed):
                    MODBUS_RTU.decode(built, way, None)
                continue
            here = MODBUS_RTU.decode(built, way, None)
            assert here._replace(body={}) == there._replace(body={})
            assert here.body == {"framing": "rtu", **{k: v for k, v in there.body.items() if k != "transaction_id"}}
    assert framed > 1400


@settings(max_examples=examples(400), deadline=None)
@given(st.integers(0, len(PDUS) - 1), st.binary(max_size=12))
def test_frame_says_the_same_however_the_bytes_arrive(index: int, behind: bytes) -> None:
    pdu = PDUS[index]
    if not lengthy(pdu):
        return
    raw = rtu(pdu) + behind
    answers = [length(raw[:n]) for n in range(len(raw) + 1)]
    settled = [answer for answer in answers if answer != NEED_MORE]
    assert answers == [NEED_MORE] * (len(answers) - len(settled)) + settled
    assert len(set(settled)) <= 1


def test_damage_is_no_frame() -> None:
    rng, accepted = random.Random(4), 0
    for pdu in SOUND[:800]:
        raw = bytearray(rtu(pdu))
        at = rng.randrange(2, len(raw))
        raw[at] ^= 1 << rng.randrange(8)
        accepted += length(bytes(raw)) > 0
    assert accepted <= 1  # a shorter length may be right by chance, once in 65,536


@settings(max_examples=examples(500), deadline=None)
@given(st.binary(max_size=600))
def test_any_bytes(raw: bytes) -> None:
    found = length(raw)
    assert found in (NOT_THIS, NEED_MORE) or 4 <= found <= 256
    assert found != NEED_MORE or len(raw) < 256


def test_text_protocols_are_never_a_beginning() -> None:
    """A NEED_MORE would hold every such connection back."""
    for raw in (
        b"GET / HTTP/1.1\r\n",
        b"SSH-2.0-x\r\n",
        b"220 mail\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"HELO x\r\n",
        b'{"a":1}',
    ):
        assert length(raw) == NOT_THIS
