"""Key and decoder, written apart, agree on every byte string; so do compiled and interpreted kernels."""

import itertools
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
from otmon.model import Malformed, Message, Target
from otmon.protocols.dnp3 import DNP3
from otmon.text import safe_text
from otmon.wire.contract import (
    CONTINUES,
    FAULTS,
    FLAG_EXCEPTION,
    FLAG_IDENTITY,
    FLAG_INSPECT,
    KIND_LINK,
    KIND_REQUEST,
    KIND_RESPONSE,
    KIND_UNSOLICITED,
    MORE,
    OUT_CLASS,
    OUT_EVIDENCE,
    OUT_EXPECT,
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
    STATUS_ACCEPTED,
    STATUS_NONE,
    STATUS_PARTIAL,
    STATUS_REJECTED,
    UNWRAP_DROPPED,
    UNWRAP_FAULT,
    UNWRAP_STATUS,
)
from tests.effort import examples, thorough
from tests.protocols.dnp3_corpus import canonical, corpus, link_frame, request, response, said, shuffled, streamed


@cache
def known() -> list[bytes]:
    """PDUs as each protocol has them; nobody needs them to collect tests."""
    return corpus(3, 6000)


KINDS = {"request": KIND_REQUEST, "response": KIND_RESPONSE, "unsolicited": KIND_UNSOLICITED, "link": KIND_LINK}
STOPS = {
    "object_header_short",
    "object_data_short",
    "range_reversed",
    "unknown_qualifier",
    "unknown_object",
    "too_many_objects",
    "virtual_addresses",
}


def attempt(pdu: bytes) -> Message | None:
    try:
        return DNP3.decode(pdu, True, None)
    except Malformed:
        return None


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in texts(part)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in texts(item)]
    return [value] if isinstance(value, str) else []


def outcome(message: Message) -> int:
    """STATUS of a response, from the decoded message."""
    refused = []
    for header in message.body["objects"]:
        group, variation = header["group"], header["variation"]
        if header["qualifier"] & 15 in (3, 4, 5):
            break  # virtual addresses, obsolete: no echo of a control, `key` stops there
        if (group, variation) in {(70, 4), (70, 6)} and header["qualifier"] >> 4 in (4, 5, 6):
            refused += [point["status"] != 0 for point in header.get("points", ()) if "status" in point]
            continue
        if (group, variation) not in {(12, 1), (12, 2), (41, 1), (41, 2), (41, 3), (41, 4)}:
            break
        refused += [point["status"] != 0 for point in header.get("points", ()) if "status" in point]
    indicated = bool({"exception", "already_executing"} & set(message.flags))
    if not refused:
        return STATUS_REJECTED if indicated else STATUS_ACCEPTED
    if all(refused):
        return STATUS_REJECTED
    return STATUS_PARTIAL if any(refused) or indicated else STATUS_ACCEPTED


def check_values(message: Message, out: Any) -> None:
    """Bounds and the wish to be inspected."""
    inspect = bool(STOPS & set(message.flags))
    outputs = []
    commands = message.kind == "request" and message.function_code in (2, 3, 4, 5, 6)
    for header in message.body.get("objects", ()) if commands else ():
        if header["group"] == 41 and header["qualifier"] >> 4 in (1, 2, 3):
            inspect |= header["variation"] not in (1, 2) and bool(header.get("points"))
        elif header["group"] == 41:
            inspect |= header.get("count", 0) > 0 or "last" in header
    for op, value in DNP3.written(message):
        assert commands
        assert (op.function_code, op.unit) == (message.function_code, message.unit)
        assert isinstance(value, float)
        if op.target is not None and op.target.space == "g41":
            outputs.append(value)
    assert message.kind != "request" or inspect == bool(out[OUT_FLAGS] & FLAG_INSPECT)
    bounds = (1, 0) if out[OUT_FLAGS] & FLAG_INSPECT or not outputs else (min(outputs), max(outputs))
    assert (out[OUT_VMIN], out[OUT_VMAX]) == bounds


def check(pdu: bytes) -> Message | None:
    """All invariants for one byte string."""
    buf, out = np.frombuffer(pdu, np.uint8), np.full(OUT_SIZE, -7, np.int64)
    words = DNP3.key(buf, 0, len(buf), -1, out)
    message = attempt(pdu)
    assert (words == -1) == (message is None)
    assert words <= MAX_KEY_WORDS
    if message is None:
        return None
    assert out[OUT_KIND] == KINDS[message.kind]
    assert out[OUT_EVIDENCE] == 2
    assert out[OUT_REPLY_KEY] == 0
    assert isinstance(message.unit, tuple)
    master, outstation = message.unit
    assert out[OUT_UNIT] == master | outstation << 16
    link = message.body["link"]
    assert out[OUT_CLASS] == pdu[3] & 15 | (16 if link["primary"] else 0)
    assert message.extra["link_source"] == pdu[6] | pdu[7] << 8
    assert message.extra["link_destination"] == pdu[4] | pdu[5] << 8
    if message.kind == "link":
        assert (words, out[OUT_FUNC], message.function_code, message.ops) == (0, -1, None, ())
        assert out[OUT_FROM_CLIENT] == link["from_master"]
    else:
        assert DNP3.operations(out[OUT_WORDS : OUT_WORDS + words].tolist()) == message.ops
        assert message.ops
        assert out[OUT_FUNC] == message.function_code == pdu[10]
        assert out[OUT_FROM_CLIENT] == (-1 if "direction_mismatch" in message.flags else link["from_master"])
        application = message.body["application"]
        token = application["sequence"] | application["unsolicited"] << 4 | master << 8 | outstation << 24
        assert out[OUT_TOKEN] == token
        assert "need_time" not in message.body.get("iin", ()) or out[OUT_FLAGS] & FLAG_IDENTITY
        assert bool(out[OUT_FLAGS] & FLAG_EXCEPTION) == ("exception" in message.flags)
        if message.kind == "request":
            silent = message.function_code in (0, 6, 8, 10, 12, 33) or message.extra["link_destination"] >= 0xFFFC
            assert out[OUT_EXPECT] == (not silent)
            assert out[OUT_STATUS] == (STATUS_ACCEPTED if message.function_code == 0 else STATUS_NONE)
        elif message.kind == "response" and "objects" in message.body:
            assert out[OUT_EXPECT] == (0 if application["fir"] else CONTINUES) | (0 if application["fin"] else MORE)
            if message.function_code == 129:
                assert out[OUT_STATUS] == (outcome(message) if application["fir"] else STATUS_NONE)
            if DNP3.identity(message) and message.body["objects"] and message.body["objects"][0]["group"] == 0:
                assert out[OUT_FLAGS] & FLAG_IDENTITY
        check_values(message, out)
    orjson.dumps([message.body, message.flags, message.extra])
    assert all(text == safe_text(text, 1000) for text in texts([message.body, message.ops, message.function]))
    orjson.dumps([[*value.target, value.value] for value in DNP3.points(message)])
    for name, value, confidence in DNP3.identity(message):
        assert name.isidentifier()
        assert value == safe_text(value)
        assert 0 < confidence < 1
    return message


def test_key_and_decoder_agree_on_traffic_and_on_damage() -> None:
    messages = [message for pdu in known() if (message := check(pdu))]
    # A corpus without both kinds would prove nothing.
    assert 4500 < len(messages) < 5950
    flags = {flag for message in messages for flag in message.flags}
    assert flags >= STOPS - {"too_many_objects"} | {"exception", "control_refused", "broadcast", "direction_mismatch"}
    targets = {op.target.space for message in messages for op in message.ops if op.target}
    assert {"g12", "g41", "g60", "g70", "g120", "g110", "unparsed"} <= targets
    written = [op.target.space for message in messages for op, _ in DNP3.written(message) if op.target]
    assert min(written.count("g12"), written.count("g41")) > 100


@pytest.mark.property
def test_every_function_and_every_header() -> None:
    """Every header behind one of three functions in turn, and behind all three in `make test-long`."""
    each = itertools.cycle([(1, 2, 11)] if thorough() else [(1,), (2,), (11,), (2,), (11,)])
    for code in range(256):
        for objects in (b"", b"\x3c\x02\x06", b"\x0c\x01\x17\x01\x05" + bytes(11), b"\x3c"):
            for pdu in (request(code, objects), response(objects, code=code), response(objects, 0xFFFF, code)):
                check(pdu)
    for group in range(256):
        for variation in (0, 1, 2, 3, 15, 16, 255):
            for header in (
                b"\x00\x03\x04",
                b"\x17\x02\x05",
                b"\x5b\x01\x05\x00",
                b"\x06",
                b"\x07\x02",
                b"\x08\xff\xff",
            ):
                for code in next(each):
                    check(request(code, bytes([group, variation]) + header + bytes(7)))
    for qualifier in range(256):
        for code in (1, 5):
            for tail in (b"", b"\x00", b"\x01\x01", bytes(16), b"\xff" * 16):
                check(request(code, bytes([12, 1, qualifier]) + tail))


@settings(max_examples=examples(500), deadline=None)
@given(st.integers(0, 255), st.binary(max_size=120), st.booleans())
def test_any_objects_behind_any_function(code: int, objects: bytes, asked: bool) -> None:
    check(request(code, objects) if asked else response(objects, code=code))


@settings(max_examples=examples(300), deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes(raw: bytes) -> None:
    check(raw)
    check(b"\x05\x64" + raw)
    check(canonical(raw))


@settings(max_examples=examples(400), deadline=None)
@given(st.integers(0, 5999), st.data())
def test_any_damage(index: int, data: st.DataObject) -> None:
    pdu = bytearray(known()[index])
    for _ in range(data.draw(st.integers(0, 3))):
        if pdu:
            pdu[data.draw(st.integers(0, len(pdu) - 1))] = data.draw(st.integers(0, 255))
    check(bytes(pdu[: data.draw(st.integers(0, len(pdu)))]))


@pytest.mark.parametrize(
    "objects",
    [
        b"\x3c\x02\x09\xff\xff\xff\xff" * 1100,  # zero-size objects, four thousand million of them
        b"\x3c\x01\x06" * 2700,
        b"\x0c\x01\x08\xff\xff",
        b"\x01\x01\x01\x00\x00\xff\xff" + bytes(8000),
        b"\x01\x01\x02\x00\x00\x00\x00\xff\xff\xff\xff",
        b"\x0a\x00\x17\xff" + bytes(255) * 2,
        b"\x0a\x00\x28\xff\x0f" + b"".join((i * 2).to_bytes(2, "little") for i in range(4000)),
        b"\x0a\x00\x39\xff\xff\xff\xff" + b"".join((i * 70000).to_bytes(4, "little") for i in range(2000)),
        b"\x5a\x01\x4b\xff" + bytes(255),
        b"\x00\xfe\x02\x00\x00\x00\x00\xff\xff\xff\xff" + bytes(8000),
        b"\x6e\x00\x09\xff\xff\xff\xff",
    ],
)
def test_hostile_objects_cost_no_more_than_their_bytes(objects: bytes) -> None:
    for code in (1, 2, 5, 22):
        message = check(request(code, objects[: 8192 - 11]))
        assert message
        assert len(message.ops) <= MAX_KEY_WORDS
        points = [len(h.get("points", ())) + len(h.get("values", ())) for h in message.body["objects"]]
        assert sum(points) <= 16_384
    check(response(objects[: 8192 - 13]))


def test_more_than_a_key_holds_is_judged_as_unparsed() -> None:
    scattered = b"".join((i * 2).to_bytes(2, "little") for i in range(500))
    for count in (1, 50, 221, 222, 223, 224, 225, 500):
        message = check(request(1, b"\x0a\x00\x28" + count.to_bytes(2, "little") + scattered[: 2 * count]))
        assert message
        assert (message.ops[-1].target == Target("unparsed")) == (count > 221)
        wide = b"".join((70000 + i * 2).to_bytes(4, "little") for i in range(count))
        message = check(request(1, b"\x0a\x00\x39" + count.to_bytes(4, "little") + wide))
        assert message
        assert (message.ops[-1].target == Target("unparsed")) == (count > 111)


def test_words_leave_out_sequence_values_and_counts() -> None:
    crob, other = bytes([3, 1, 100, 0, 0, 0, 0, 0, 0, 0, 0]), bytes([4, 2, 7, 0, 0, 0, 9, 0, 0, 0, 0])
    for code, first, second in [
        (5, b"\x0c\x01\x17\x01\x05" + crob, b"\x0c\x01\x17\x01\x05" + other),
        (4, b"\x29\x02\x28\x01\x00\x07\x00\x01\x00\x00", b"\x29\x02\x28\x01\x00\x07\x00\xff\x00\x00"),
        (2, b"\x32\x01\x07\x01\x01\x02\x03\x04\x05\x06", b"\x32\x01\x07\x01\x09\x08\x07\x06\x05\x04"),
        (1, b"\x02\x00\x07\x0a", b"\x02\x00\x07\x14"),
        (2, b"\x50\x01\x00\x07\x07\x00", b"\x50\x01\x00\x07\x07\x01"),
    ]:
        one, two = said(request(code, first, 0xC1)), said(request(code, second, 0xC2))
        assert one[0] > 1
        assert one[1 + OUT_WORDS :] == two[1 + OUT_WORDS :]
        assert one[1 + OUT_TOKEN] != two[1 + OUT_TOKEN]
    assert said(request(5, b"\x0c\x01\x17\x01\x05" + crob))[-1] != said(request(5, b"\x0c\x01\x17\x01\x06" + crob))[-1]


@pytest.mark.parametrize("before", [0, 1, 70])
def test_key_reads_its_own_bytes_only(before: int) -> None:
    for pdu in corpus(5, 400):
        for fill in (b"\xff", b"\0"):
            buf, out = np.frombuffer(fill * before + pdu + fill * 20, np.uint8), np.full(OUT_SIZE, -7, np.int64)
            words = DNP3.key(buf, before, before + len(pdu), -1, out)
            assert said(pdu) == [words, *out[:OUT_WORDS], *out[OUT_WORDS:][: max(words, 0)]]


def test_compiled_and_interpreted_say_the_same() -> None:
    program = Path(__file__).with_name("dnp3_corpus.py")
    runs = []
    for interpret in ("0", "1"):
        env = {**os.environ, "OTMON_INTERPRET": interpret, "PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run([sys.executable, program, "11", "2000"], capture_output=True, check=True, env=env)
        runs.append(json.loads(done.stdout))
    assert len(runs[0]) >= 2500
    assert runs[0] == runs[1]


def test_streams_in_disorder() -> None:
    statuses = [answer[1] for answer in streamed(shuffled(1, 2000)) if len(answer) > 1]
    assert {status & (UNWRAP_STATUS | UNWRAP_DROPPED) for status in statuses} == {0, 1, 2, 3, 16, 18, 19}
    assert {status >> UNWRAP_FAULT & FAULTS for status in statuses} >= {0, 1, 2, 3, 5}


@settings(max_examples=examples(200), deadline=None)
@given(st.binary(max_size=250), st.integers(0, 255), st.data())
def test_frame_says_the_same_however_the_bytes_arrive(raw: bytes, control: int, data: st.DataObject) -> None:
    unit = bytearray(link_frame(raw, control))
    if data.draw(st.booleans()):
        unit[data.draw(st.integers(0, min(len(unit), 12) - 1))] ^= data.draw(st.integers(1, 255))
    good = bytes(unit[:8]) == link_frame(raw, control)[:8] and unit[:10] == link_frame(raw, control)[:10]
    answers = [DNP3.frame(np.frombuffer(b"\xee" + unit[:n], np.uint8), 1, 1 + n) for n in range(len(unit) + 1)]
    settled = [answer for answer in answers if answer]
    assert answers == [0] * (len(answers) - len(settled)) + settled
    assert len(set(settled)) == 1
    assert settled[0] == (len(unit) if good else -1)
    longer = np.frombuffer(bytes(unit) + b"\x05\x64" * 50, np.uint8)
    assert DNP3.frame(longer, 0, len(longer)) == settled[0]
