"""Key and decoder, written apart, agree on every byte string; so do compiled and interpreted kernels."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otmon.limits import MAX_KEY_WORDS
from otmon.model import Malformed, Message
from otmon.protocols.modbus import MODBUS
from otmon.text import safe_text
from otmon.wire.contract import (
    FLAG_DAMAGED,
    FLAG_EXCEPTION,
    FLAG_INSPECT,
    KIND_REQUEST,
    KIND_RESPONSE,
    NEED_MORE,
    NOT_THIS,
    OUT_CLASS,
    OUT_EVIDENCE,
    OUT_FLAGS,
    OUT_FROM_CLIENT,
    OUT_FUNC,
    OUT_KIND,
    OUT_REPLY_KEY,
    OUT_SIZE,
    OUT_STATUS,
    OUT_TOKEN,
    OUT_UNIT,
    OUT_VMAX,
    OUT_VMIN,
    OUT_WORDS,
    REPLY_FUNCTION,
    STATUS_ACCEPTED,
    STATUS_NONE,
    STATUS_REJECTED,
)
from tests.effort import examples
from tests.protocols.modbus_corpus import adu, corpus, kernels


@cache
def known() -> list[bytes]:
    """PDUs as each protocol has them; nobody needs them to collect tests."""
    return corpus(3, 6000)


def attempt(pdu: bytes, from_client: bool, request: bytes | None = None) -> Message | None:
    try:
        return MODBUS.decode(pdu, from_client, request)
    except Malformed:
        return None


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in texts(part)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in texts(item)]
    return [value] if isinstance(value, str) else []


def check(pdu: bytes) -> None:
    """All invariants for one byte string, in both directions and in none."""
    buf, out = np.frombuffer(pdu, np.uint8), np.zeros(OUT_SIZE, np.int64)
    messages = {way: attempt(pdu, way == 1) for way in (1, 0)}
    sound = {way: message for way, message in messages.items() if message is None or "malformed" not in message.flags}
    sound = {1: None, **sound}
    for way in (1, 0, -1):
        words = MODBUS.key(buf, 0, len(buf), way, out)
        assert words <= MAX_KEY_WORDS
        known = [sound[1] or sound[0] or messages[1]] if way == -1 else [messages[way]]
        assert (words == -1) == (not any(known))
        if any(sound.values()):
            only = -1 if all(sound.values()) else 1 if sound[1] else 0
            assert out[OUT_FROM_CLIENT] == only
            assert out[OUT_EVIDENCE] in (1, 2)
            assert "unknown_function" not in (sound[1] or sound[0]).flags or out[OUT_EVIDENCE] == 1
        if words == -1:
            continue
        message = next(filter(None, known))
        assert MODBUS.operations(out[OUT_WORDS : OUT_WORDS + words]) == message.ops
        assert message.ops
        assert out[OUT_KIND] == (KIND_REQUEST if message.kind == "request" else KIND_RESPONSE)
        assert out[OUT_FUNC] == out[OUT_REPLY_KEY] & REPLY_FUNCTION == message.function_code == pdu[7] & 127
        assert out[OUT_UNIT] == message.unit == pdu[6]
        assert out[OUT_CLASS] == -1
        assert out[OUT_TOKEN] == message.body["transaction_id"] | pdu[6] << 16
        assert bool(out[OUT_FLAGS] & FLAG_EXCEPTION) == ("exception" in message.flags)
        refused = message.body.get("exception_code", 5) != 5 or (message.body.get("status") == 0xFD and pdu[7] == 90)
        status = STATUS_NONE if message.kind == "request" else STATUS_REJECTED if refused else STATUS_ACCEPTED
        assert out[OUT_STATUS] == status
        values = [value for _, value in MODBUS.written(message)]
        damaged = "malformed" in message.flags
        assert bool(out[OUT_FLAGS] & FLAG_DAMAGED) == damaged
        if message.function_code == 22 and message.kind == "request" and not damaged:
            assert out[OUT_FLAGS] & FLAG_INSPECT
            values = []
        bounds = (min(values), max(values)) if values else (1, 0)
        assert (out[OUT_VMIN], out[OUT_VMAX]) == bounds
        for op, _ in MODBUS.written(message):
            assert (op.access, op.function_code, op.unit) == ("write", message.function_code, message.unit)
        orjson.dumps([message.body, message.flags])
        assert all(text == safe_text(text, 1000) for text in texts([message.body, message.ops, message.function]))
        orjson.dumps([[*value.target, value.value] for value in MODBUS.points(message)])
        for name, value, confidence in MODBUS.identity(message):
            assert name in ("vendor", "vendor_url", "model", "firmware", "name", "serial")
            assert value == safe_text(value)
            assert 0 < confidence < 1


def test_key_and_decoder_agree_on_traffic_and_on_damage() -> None:
    for pdu in known():
        check(pdu)
    # A corpus without both kinds would prove nothing.
    good = sum(attempt(pdu, True) is not None or attempt(pdu, False) is not None for pdu in known())
    assert 3000 < good < 5900


def test_every_function_with_every_kind_of_length() -> None:
    for code in range(256):
        for size in (0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 251, 252):
            for fill in (b"\0", b"\xff", b"\x06"):
                check(adu(code, fill * size))
            if size:
                check(adu(code, bytes([size - 1]) + b"\0" * (size - 1)))


@settings(max_examples=examples(400), deadline=None)
@given(st.integers(0, 255), st.binary(max_size=252), st.integers(0, 255))
def test_any_data_behind_any_function(code: int, data: bytes, unit: int) -> None:
    check(adu(code, data, unit))


@settings(max_examples=examples(300), deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes(raw: bytes) -> None:
    buf, out = np.frombuffer(raw, np.uint8), np.zeros(OUT_SIZE, np.int64)
    for way in (1, 0):
        assert (MODBUS.key(buf, 0, len(buf), way, out) == -1) == (attempt(raw, way == 1) is None)


@settings(max_examples=examples(300), deadline=None)
@given(st.integers(0, 5999), st.binary(max_size=260))
def test_any_request_beside_a_response(index: int, request: bytes) -> None:
    pdu = known()[index]
    for other in (request, pdu, adu(pdu[7] & 127, request[:252], pdu[6], int.from_bytes(pdu[:2], "big"))):
        for way in (True, False):
            alone, beside = attempt(pdu, way), attempt(pdu, way, other)
            assert (alone is None) == (beside is None)
            assert alone is None or beside is None or alone.ops == beside.ops


def test_words_leave_out_transaction_and_values() -> None:
    for code, first, second in [
        (5, b"\0\1\xff\0", b"\0\1\0\0"),
        (6, b"\0\1\0\2", b"\0\1\xab\xcd"),
        (15, b"\0\1\0\3\1\7", b"\0\1\0\3\1\0"),
        (16, b"\0\1\0\1\2\0\7", b"\0\1\0\1\2\xff\7"),
        (22, b"\0\1\0\1\2\0", b"\0\1\0\3\4\0"),
        (23, b"\0\1\0\1\0\5\0\1\2\0\7", b"\0\1\0\1\0\5\0\1\2\6\7"),
        (90, b"\1\x40\0", b"\2\x40\1"),
    ]:
        one, two = kernels(adu(code, first, 9, 1), 1), kernels(adu(code, second, 9, 777), 1)
        assert one[4] > 0
        assert one[5 + OUT_WORDS :] == two[5 + OUT_WORDS :]


@settings(max_examples=examples(500), deadline=None)
@given(
    st.one_of(
        st.binary(max_size=20),
        st.builds(
            lambda length, code: b"\0\1\0\0" + length.to_bytes(2, "big") + code,
            st.one_of(st.integers(0, 300), st.integers(1000, 1100)),
            st.sampled_from((b"", b"\1", b"\1\3", b"\1\x5a\0", b"\1\xda")),
        ),
    )
)
def test_frame_says_the_same_however_the_bytes_arrive(raw: bytes) -> None:
    length = 6 + int.from_bytes(raw[4:6], "big")
    # Function 90 may be longer than the specification allows.
    long = 260 < length <= 1030
    whole = NEED_MORE if len(raw) < (8 if long else 6) else length
    if raw[2:4].strip(b"\0") or (len(raw) > 5 and not 8 <= length <= 1030) or (long and raw[7:8] not in (b"", b"\x5a")):
        whole = NOT_THIS
    answers = [MODBUS.frame(np.frombuffer(b"\xee" + raw[:n], np.uint8), 1, 1 + n) for n in range(len(raw) + 1)]
    settled = [answer for answer in answers if answer != NEED_MORE]
    assert answers == [NEED_MORE] * (len(answers) - len(settled)) + settled
    assert len(set(settled)) <= 1
    assert answers[-1] == whole or (whole == NEED_MORE and answers[-1] == NOT_THIS)
    # NEED_MORE only while some continuation makes an ADU.
    plausible = (raw + b"\0\0\0\0\0\2\0\x5a"[len(raw) :])[:8]
    if answers[-1] == NEED_MORE:
        assert MODBUS.frame(np.frombuffer(plausible, np.uint8), 0, 8) > 0
    # What stands behind `end` is not looked at, what stands behind the ADU does not matter.
    longer = np.frombuffer(raw + b"\xff" * 300, np.uint8)
    assert MODBUS.frame(longer, 0, len(raw)) == answers[-1]
    if answers[-1] > 0:
        assert MODBUS.frame(longer, 0, len(longer)) == answers[-1]


@pytest.mark.parametrize(
    ("code", "size", "fits"), [(90, 253, True), (90, 1022, True), (90, 1023, False), (3, 253, False)]
)
def test_only_umas_is_longer_than_the_specification_allows(code: int, size: int, fits: bool) -> None:
    pdu = adu(code, bytes(2) + b"\x0a" * (size - 2))
    buf, out = np.frombuffer(pdu, np.uint8), np.zeros(OUT_SIZE, np.int64)
    assert MODBUS.frame(buf, 0, len(buf)) == (len(pdu) if fits else NOT_THIS)
    assert (MODBUS.key(buf, 0, len(buf), 1, out) >= 0) == fits
    if fits:
        assert MODBUS.decode(pdu, True, None).function_code == code
    else:
        with pytest.raises(Malformed):
            MODBUS.decode(pdu, True, None)


@pytest.mark.parametrize("before", [0, 1, 70])
def test_key_reads_its_own_bytes_only(before: int) -> None:
    for pdu in corpus(5, 300):
        for way in (1, 0, -1):
            out, framed = np.zeros(OUT_SIZE, np.int64), np.zeros(OUT_SIZE, np.int64)
            words = MODBUS.key(np.frombuffer(pdu, np.uint8), 0, len(pdu), way, out)
            buf = np.frombuffer(b"\xff" * before + pdu + b"\0" * 9, np.uint8)
            assert MODBUS.key(buf, before, before + len(pdu), way, framed) == words
            assert (out[: OUT_WORDS + max(words, 0)] == framed[: OUT_WORDS + max(words, 0)]).all()


def test_compiled_and_interpreted_say_the_same() -> None:
    program = Path(__file__).with_name("modbus_corpus.py")
    runs = []
    for interpret in ("0", "1"):
        env = {**os.environ, "OTMON_INTERPRET": interpret, "PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run([sys.executable, program, "11", "1500"], capture_output=True, check=True, env=env)
        runs.append(json.loads(done.stdout))
    assert len(runs[0]) == 4500
    assert runs[0] == runs[1]
