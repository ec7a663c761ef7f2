"""Key and decoder, written apart, agree on every byte string; so do compiled and interpreted kernels."""

import json
import os
import subprocess
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otmon.limits import MAX_KEY_WORDS, MAX_PDU_BYTES
from otmon.model import Malformed, Message
from otmon.protocols.s7comm import S7COMM
from otmon.text import safe_text
from otmon.wire.contract import (
    FLAG_ENCRYPTED,
    FLAG_EXCEPTION,
    FLAG_INSPECT,
    KIND_LINK,
    KIND_REQUEST,
    KIND_RESPONSE,
    KIND_UNSOLICITED,
    NEED_MORE,
    OUT_CLASS,
    OUT_EVIDENCE,
    OUT_EXPECT,
    OUT_FLAGS,
    OUT_FUNC,
    OUT_KIND,
    OUT_SIZE,
    OUT_STATUS,
    OUT_TOKEN,
    OUT_WORDS,
    STATUS_ACCEPTED,
    STATUS_PARTIAL,
    STATUS_REJECTED,
)
from tests.effort import examples
from tests.protocols.s7_corpus import corpus, kernels
from tests.protocols.s7_streams import any_item, cotp, key, s7


@cache
def known() -> list[bytes]:
    """PDUs as each protocol has them; nobody needs them to collect tests."""
    return corpus(3, 6000)


KINDS = {"request": KIND_REQUEST, "response": KIND_RESPONSE, "unsolicited": KIND_UNSOLICITED, "link": KIND_LINK}


def attempt(pdu: bytes, from_client: bool, request: bytes | None = None) -> Message | None:
    try:
        return S7COMM.decode(pdu, from_client, request)
    except Malformed:
        return None


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in texts(part)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in texts(item)]
    return [value] if isinstance(value, str) else []


def status(message: Message) -> int:
    """The outcome that a decoded response shows."""
    if message.kind != "response":
        return 0
    # Values of a subscription have codes of their own; the answer itself is in the parameter.
    items = message.body.get("items", []) if message.extra.get("rosctr") in (2, 3) else []
    codes = [item["return_code"] for item in items]
    good = codes.count(0xFF)
    if "error" in message.flags:
        return STATUS_REJECTED
    asked = message.body.get("item_count", 0) if message.extra.get("rosctr") in (2, 3) else 0
    return STATUS_ACCEPTED if good >= asked else STATUS_PARTIAL if good else STATUS_REJECTED


def check(pdu: bytes) -> Message | None:
    """All invariants for one byte string, seen from both sides."""
    message = None
    for client in (False, True):
        message = attempt(pdu, client)
        count, out = key(pdu, client)
        assert count <= MAX_KEY_WORDS
        assert (count == -1) == (message is None)
        assert (out[:13] != -7).all()
        if message is None:
            assert out[OUT_EVIDENCE] == 0
            continue
        assert out[OUT_KIND] == KINDS[message.kind]
        assert bool(out[OUT_FLAGS] & FLAG_ENCRYPTED) == ("encrypted" in message.flags)
        ops = S7COMM.operations(out[OUT_WORDS : OUT_WORDS + count].tolist())
        if out[OUT_FLAGS] & FLAG_INSPECT:
            assert count == MAX_KEY_WORDS
            assert len(ops) > 1
            assert ops[:-1] == message.ops[: len(ops) - 1]
        else:
            assert ops == message.ops
        assert bool(message.ops) == (message.kind != "link")
        if message.function_code is not None:
            assert out[OUT_FUNC] == message.function_code
        if "userdata" in message.extra:
            assert S7COMM.count_names(int(out[OUT_FUNC]))[:2] == ("userdata", message.extra["userdata"])
        if "rosctr" in message.extra:
            assert out[OUT_CLASS] == message.extra["rosctr"]
            assert out[OUT_TOKEN] == message.body["pdu_reference"]
        assert out[OUT_STATUS] == status(message)
        assert bool(out[OUT_FLAGS] & FLAG_EXCEPTION) == (status(message) == STATUS_REJECTED)
        assert out[OUT_EXPECT] in (0, 1, 2)
        orjson.dumps([message.body, message.flags, message.extra])
        assert all(text == safe_text(text, 20_000) for text in texts([message.body, message.ops, message.function]))
        for op, _ in S7COMM.written(message):
            assert (op.access, op.function_code) == ("write", 5)
        orjson.dumps([[*value.target, value.value] for value in S7COMM.points(message)])
        for name, value, confidence in S7COMM.identity(message):
            assert name
            assert value == safe_text(value)
            assert 0 < confidence < 1
    return message


def test_key_and_decoder_agree_on_traffic_and_on_damage() -> None:
    seen = [check(pdu) for pdu in known()]
    # A corpus without both kinds would prove nothing.
    assert 3000 < sum(message is not None for message in seen) < 5800
    assert len({message.function for message in seen if message}) > 60


def test_a_key_that_is_too_long_is_marked() -> None:
    for item in (any_item(2, 1, 1, 0x84, 8), b"\x12\x10\xb2" + b"\x41" * 15, b"\x12\x0c\xb0\x02" + b"\1" * 10):
        pdu = s7(1, bytes([4, 250]) + item * 250)
        _, out = key(pdu)
        assert out[OUT_FLAGS] & FLAG_INSPECT
        assert check(pdu) is not None
    argument = b"\1\0" + b"0A00010P" * 300
    head = b"\x28\0\0\0\0\0\0\xfd" + len(argument).to_bytes(2, "big")
    message = check(s7(1, head + argument + b"\5_DELE"))
    assert message is not None
    assert len(message.ops) == 300


@settings(max_examples=examples(400), deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes(raw: bytes) -> None:
    check(raw)
    check(cotp(raw))


@settings(max_examples=examples(400), deadline=None)
@given(st.sampled_from([1, 2, 3, 7]), st.binary(max_size=120), st.binary(max_size=120), st.integers(0, 65535))
def test_any_parameter_and_data(rosctr: int, param: bytes, data: bytes, error: int) -> None:
    check(s7(rosctr, param, data, 7, error))


@settings(max_examples=examples(300), deadline=None)
@given(
    st.sampled_from([0, 4, 8]), st.integers(0, 15), st.integers(0, 24), st.binary(max_size=90), st.binary(max_size=4)
)
def test_any_userdata(kind: int, group: int, subfunction: int, data: bytes, rest: bytes) -> None:
    check(s7(7, bytes([0, 1, 0x12, 4, 0x11, kind << 4 | group, subfunction, 1]) + rest, data))


@settings(max_examples=examples(300), deadline=None)
@given(st.integers(0, 5999), st.binary(max_size=60), st.integers(0, 5999))
def test_any_request_beside_a_response(index: int, raw: bytes, other: int) -> None:
    pdu = known()[index]
    for request in (raw, cotp(raw), cotp(b"\x32" + raw), known()[other], pdu):
        for client in (True, False):
            alone, beside = attempt(pdu, client), attempt(pdu, client, request)
            assert (alone is None) == (beside is None)
            assert alone is None or beside is None or (alone.ops, alone.kind) == (beside.ops, beside.kind)


@pytest.mark.parametrize("before", [0, 1, 70])
def test_key_reads_its_own_bytes_only(before: int) -> None:
    for pdu in corpus(5, 600):
        alone, framed = np.zeros(OUT_SIZE, np.int64), np.zeros(OUT_SIZE, np.int64)
        count = S7COMM.key(np.frombuffer(pdu, np.uint8), 0, len(pdu), 1, alone)
        for around in (b"\xff" * 40, b"\0" * 40, b"\x32" * 40):
            buf = np.frombuffer(around[:before] + pdu + around, np.uint8)
            start = buf.size - len(pdu) - 40
            assert S7COMM.key(buf, start, start + len(pdu), 1, framed) == count
            assert (alone[: OUT_WORDS + max(count, 0)] == framed[: OUT_WORDS + max(count, 0)]).all()


@settings(max_examples=examples(500), deadline=None)
@given(st.one_of(st.binary(max_size=24), st.tuples(st.integers(0, 9000), st.binary(max_size=8)).map(
    lambda pair: b"\3\0" + pair[0].to_bytes(2, "big") + pair[1]
)))  # fmt: skip
def test_frame_says_the_same_however_the_bytes_arrive(raw: bytes) -> None:
    answers = [S7COMM.frame(np.frombuffer(b"\xee" + raw[:n], np.uint8), 1, 1 + n) for n in range(len(raw) + 1)]
    settled = [answer for answer in answers if answer != NEED_MORE]
    assert answers == [NEED_MORE] * (len(answers) - len(settled)) + settled
    # A length may be taken back while the COTP header is still coming, and by nothing later.
    assert len(set(settled[2:])) <= 1
    assert all(later == -1 for first, later in pairwise(settled) if later != first)
    length = answers[-1]
    if length > 0:
        assert 7 <= length <= MAX_PDU_BYTES
        assert raw[:2] == b"\3\0"
        assert length == int.from_bytes(raw[2:4], "big")
    longer = np.frombuffer(raw + b"\xff" * 9, np.uint8)
    assert S7COMM.frame(longer, 0, len(raw)) == length


def test_compiled_and_interpreted_say_the_same() -> None:
    program = Path(__file__).with_name("s7_corpus.py")
    runs = []
    root = str(Path(__file__).parents[2])
    for interpret in ("0", "1"):
        env = {**os.environ, "OTMON_INTERPRET": interpret, "PYTHONPATH": root}
        done = subprocess.run([sys.executable, program, "11", "1500"], capture_output=True, check=True, env=env)
        runs.append(json.loads(done.stdout))
    assert len(runs[0]) == 4500
    assert runs[0] == runs[1]
    assert runs[0][:30] == [kernels(pdu, way) for pdu in corpus(11, 1500)[:10] for way in (1, 0, -1)]
