"""DNP3 by literal bytes: outcomes, targets, values, who is who."""

import struct
from typing import Any

import pytest

from otmon.model import Malformed, Message, Op, Target
from otmon.protocols.dnp3 import DNP3
from otmon.protocols.dnp3.objects import GROUPS, SIZED, size_of
from otmon.protocols.dnp3.values import FIELDS
from otmon.wire.contract import (
    FLAG_EXCEPTION,
    FLAG_IDENTITY,
    OUT_CLASS,
    OUT_EXPECT,
    OUT_FLAGS,
    OUT_FROM_CLIENT,
    OUT_STATUS,
    OUT_TOKEN,
    OUT_UNIT,
    OUT_VMAX,
    OUT_VMIN,
    STATUS_ACCEPTED,
    STATUS_NONE,
    STATUS_PARTIAL,
    STATUS_REJECTED,
)
from tests.protocols.dnp3_corpus import TO_MASTER, canonical, link_frame, request, response, said

CROB = bytes([0x41, 1, 0xF4, 1, 0, 0, 0, 0, 0, 0])
"""Close, pulse on, once, 500 ms; without its status."""


def crobs(*statuses: int) -> bytes:
    points = b"".join(bytes([i]) + CROB + bytes([status]) for i, status in enumerate(statuses))
    return bytes([12, 1, 0x17, len(statuses)]) + points


def decoded(pdu: bytes) -> Message:
    return DNP3.decode(pdu, True, None)


def out_of(pdu: bytes, slot: int) -> int:
    return said(pdu)[1 + slot]


def test_addresses_follow_the_direction_bit() -> None:
    asked, answered = request(1, b"\x3c\x02\x06", 0xC5), response(application=0xC5)
    assert decoded(asked).unit == decoded(answered).unit == (1, 10)
    assert out_of(asked, OUT_UNIT) == out_of(answered, OUT_UNIT) == 1 | 10 << 16
    assert out_of(asked, OUT_TOKEN) == out_of(answered, OUT_TOKEN)
    assert (out_of(asked, OUT_FROM_CLIENT), out_of(answered, OUT_FROM_CLIENT)) == (1, 0)
    assert decoded(asked).extra == {
        "link_source": 1,
        "link_destination": 10,
        "link_function": "unconfirmed_user_data",
    }
    forged = request(5, crobs(0), control=TO_MASTER)
    assert out_of(forged, OUT_FROM_CLIENT) == -1
    assert "direction_mismatch" in decoded(forged).flags


def test_confirms_of_unsolicited_responses_have_a_token_of_their_own() -> None:
    assert out_of(request(0, application=0xC5), OUT_TOKEN) != out_of(request(0, application=0xD5), OUT_TOKEN)


@pytest.mark.parametrize(
    ("pdu", "expect"),
    [
        (request(1), 1),
        (request(13), 1),
        (request(0), 0),
        (request(6), 0),
        (request(8), 0),
        (request(10), 0),
        (request(12), 0),
        (request(33), 0),
        (request(5, destination=0xFFFD), 0),
        (request(5, destination=0xFFFF), 0),
        (request(5, destination=0xFFFB), 1),
        (response(application=0x40), 2),
        (response(application=0x80), 1),
        (response(application=0xC0), 0),
        (response(application=0x00), 3),
    ],
)
def test_what_a_response_is_expected_for(pdu: bytes, expect: int) -> None:
    assert out_of(pdu, OUT_EXPECT) == expect


@pytest.mark.parametrize(
    ("objects", "iin", "status"),
    [
        (b"", 0, STATUS_ACCEPTED),
        (b"", 0x80, STATUS_ACCEPTED),
        (b"", 0x0100, STATUS_REJECTED),
        (b"", 0x0200, STATUS_REJECTED),
        (b"", 0x0400, STATUS_REJECTED),
        (b"", 0x1000, STATUS_REJECTED),
        (b"", 0x2800, STATUS_ACCEPTED),
        (crobs(0), 0, STATUS_ACCEPTED),
        (crobs(4), 0, STATUS_REJECTED),
        (crobs(0, 4, 0), 0, STATUS_PARTIAL),
        (crobs(4, 4), 0x0400, STATUS_REJECTED),
        (crobs(0, 0), 0x0400, STATUS_PARTIAL),
        (b"\x29\x02\x28\x01\x00\x07\x00\x10\x00\x0c", 0, STATUS_REJECTED),
        (crobs(0) + b"\x29\x01\x17\x01\x07" + bytes(4) + b"\x0c", 0, STATUS_PARTIAL),
        (crobs(0)[:-1], 0x0400, STATUS_REJECTED),
    ],
)
def test_outcome_of_a_response(objects: bytes, iin: int, status: int) -> None:
    assert out_of(response(objects, iin), OUT_STATUS) == status
    assert out_of(response(objects, iin, application=0x40), OUT_STATUS) == STATUS_NONE
    assert bool(out_of(response(objects, iin), OUT_FLAGS) & FLAG_EXCEPTION) == bool(iin & 0x0700)


@pytest.mark.parametrize(
    ("objects", "targets"),
    [
        (b"", [None]),
        (b"\x3c\x02\x06\x3c\x03\x06\x3c\x01\x06", ["class 1", "class 2", "class 0"]),
        (b"\x1e\x00\x01\x10\x00\xff\x01", [Target("g30", 16, 511)]),
        (b"\x1e\x00\x06\x1e\x02\x06", [Target("g30")]),
        (b"\x02\x00\x07\x0a", [Target("g2")]),
        (b"\x01\x00\x17\x04\x01\x02\x03\x07", [Target("g1", 1, 3), Target("g1", 7, 7)]),
        (b"\x01\x00\x02\x00\x00\x01\x00\x05\x00\x01\x00", [Target("g1", 65536, 65541)]),
        (b"\x01\x00\x00\x05\x04", [Target("unparsed")]),
        (b"\x3c\x02\x06\x01\x00\x05", ["class 1", Target("unparsed")]),
        (b"\xc8\x00\x06", [Target("g200")]),
    ],
)
def test_targets_of_a_read(objects: bytes, targets: list[Any]) -> None:
    wanted = [Target("g60", name=target) if isinstance(target, str) else target for target in targets]
    assert [op.target for op in decoded(request(1, objects)).ops] == wanted


def test_data_is_stepped_over_exactly() -> None:
    objects = [
        (b"\x32\x01\x07\x01" + bytes(6), Target("g50")),
        (b"\x50\x01\x00\x07\x07\x00", Target("g80", 7, 7)),
        (b"\x0a\x01\x00\x00\x0f" + bytes(2), Target("g10", 0, 15)),
        (b"\x03\x01\x00\x00\x04" + bytes(2), Target("g3", 0, 4)),
        (crobs(0), Target("g12", 0, 0)),
        (b"\x29\x04\x28\x01\x00\x09\x00" + bytes(9), Target("g41", 9, 9)),
        (b"\x6e\x05\x17\x01\x02hello", Target("g110", 2, 2)),
        (b"\x00\xf7\x00\x00\x00\x01\x03RTU", Target("g0", 0, 0, "device_name")),
        (b"\x46\x05\x5b\x01\x0a\x00" + bytes(10), Target("g70")),
        (b"\x22\x03\x17\x01\x01" + bytes(4), Target("g34", 1, 1)),
    ]
    message = decoded(request(2, b"".join(raw for raw, _ in objects)))
    assert [op.target for op in message.ops] == [target for _, target in objects]
    assert message.flags == ()


def test_values_of_a_command() -> None:
    message = decoded(request(5, crobs(0)))
    (point,) = message.body["objects"][0]["points"]
    assert (point["index"], point["control_code"]) == (0, 0x41)
    assert (point["operation"], point["trip_close"], point["queue"], point["clear"]) == (
        "pulse_on",
        "close",
        False,
        False,
    )
    assert (point["repeat"], point["on_ms"], point["off_ms"]) == (1, 500, 0)
    assert (point["status"], point["status_name"]) == (0, "success")
    assert DNP3.written(message) == [(Op(5, "direct_operate", "control", (1, 10), Target("g12", 0, 0)), 65.0)]


def test_a_trip_is_another_value_than_a_close() -> None:
    """A row that permits the one does not permit the other."""
    raw = bytearray(request(5, crobs(0)))
    at = raw.index(0x41)
    raw[at] = 0x81
    ((_, value),) = DNP3.written(decoded(bytes(raw)))
    assert value == 0x81


@pytest.mark.parametrize(
    ("variation", "raw", "value", "bounds"),
    [
        (1, struct.pack("<i", -70000), -70000, (-70000, -70000)),
        (2, struct.pack("<h", -2), -2, (-2, -2)),
        (3, struct.pack("<f", 1.5), 1.5, (1, 0)),
        (4, struct.pack("<d", 1e300), 1e300, (1, 0)),
    ],
)
def test_analog_outputs(variation: int, raw: bytes, value: float, bounds: tuple[int, int]) -> None:
    pdu = request(4, bytes([41, variation, 0x28, 1, 0, 7, 0]) + raw + b"\0")
    assert [(op.target, number) for op, number in DNP3.written(decoded(pdu))] == [(Target("g41", 7, 7), value)]
    assert (out_of(pdu, OUT_VMIN), out_of(pdu, OUT_VMAX)) == bounds


def test_not_a_number_stays_readable() -> None:
    pdu = request(5, b"\x29\x03\x17\x01\x00" + struct.pack("<f", float("nan")) + b"\0")
    assert decoded(pdu).body["objects"][0]["points"][0]["value"] == "nan"
    ((_, value),) = DNP3.written(decoded(pdu))
    assert value != value


def test_measurements_with_flags_and_times() -> None:
    objects = (
        b"\x01\x02\x00\x03\x04\x81\x01"
        b"\x01\x01\x00\x00\x09\xff\x02"
        b"\x02\x02\x17\x01\x05\x81\x01\x00\x00\x00\x00\x01"
        b"\x1e\x04\x00\x00\x01\xff\xff\x10\x00"
        b"\x20\x01\x28\x01\x00\x02\x00\x21\xfe\xff\xff\xff"
        b"\x34\x02\x07\x01\x41\x00"
    )
    first, packed, event, analog, change, delay = decoded(response(objects)).body["objects"]
    assert first["points"] == [
        {"index": 3, "flags": ["online"], "value": 1},
        {"index": 4, "flags": ["online"], "value": 0},
    ]
    assert packed["values"] == [1] * 8 + [0, 1]
    assert event["points"] == [{"index": 5, "flags": ["online"], "value": 1, "time_ms": 1 + (1 << 40)}]
    assert [point["value"] for point in analog["points"]] == [-1, 16]
    assert change["points"] == [{"index": 2, "flags": ["online", "over_range"], "value": -2}]
    assert delay["points"] == [{"delay_ms": 65}]


def test_indications_by_name() -> None:
    body = decoded(response(iin=0x9081 & 0xFFFF)).body
    assert body["iin"] == ["broadcast", "device_restart", "already_executing", "reserved_2_7"]
    assert body["iin_raw"] == 0x9081


def test_files() -> None:
    opened = struct.pack("<HH6sHIIHHH", 26, 9, bytes(6), 0o644, 0, 0, 2, 1024, 7) + b"/boot.cfg"
    block = struct.pack("<II", 3, 1 | 1 << 31) + b"data"
    for code, variation, raw, wanted in [
        (25, 3, opened, {"file": "/boot.cfg", "mode": 2, "mode_name": "write", "max_block": 1024}),
        (2, 5, block, {"handle": 3, "block": 1, "last": True, "data": b"data".hex(), "data_bytes": 4}),
        (129, 4, struct.pack("<IIHHB", 3, 9, 1024, 7, 1) + b"no", {"status_name": "permission_denied", "text": "no"}),
    ]:
        objects = bytes([70, variation, 0x5B, 1]) + len(raw).to_bytes(2, "little") + raw
        message = decoded(response(objects) if code == 129 else request(code, objects))
        point = message.body["objects"][0]["points"][0]
        assert {name: point[name] for name in wanted} == wanted
        assert message.flags == (("file_refused",) if wanted.get("status_name", "success") != "success" else ())


def test_a_password_is_not_kept() -> None:
    raw = struct.pack("<HHHHI", 12, 4, 16, 6, 0) + b"rootsecret"
    message = decoded(request(29, b"\x46\x02\x5b\x01" + len(raw).to_bytes(2, "little") + raw))
    assert message.body["objects"][0]["points"] == [
        {"bytes": len(raw), "user": "root", "password_bytes": 6, "authentication_key": 0}
    ]


@pytest.mark.parametrize(
    ("size", "behind"), [(22, b"\xee\1\7\1\0"), (22, b"\1"), (22, b"\x46\2\x5b\1"), (200, b""), (22, b"\1\2\0\5\4")]
)
def test_a_password_is_not_shown_where_objects_cannot_be_read(size: int, behind: bytes) -> None:
    raw = struct.pack("<HHHHI", 12, 4, 16, 6, 0) + b"rootsecret"
    message = decoded(request(29, b"\x46\x02\x5b\x01" + size.to_bytes(2, "little") + raw + behind))
    assert message.flags
    assert b"secret".hex() not in str(message.body)
    assert "secret" not in str(message.body)
    assert message.body["raw"] is None


def test_device_attributes_tell_who_it_is() -> None:
    texts = {252: b"Acme", 250: b"RTU \x1b[2J5", 242: b"1.2", 248: b"", 246: b"T1"}
    objects = b"".join(bytes([0, v, 0, 0, 0, 1, len(text)]) + text for v, text in texts.items())
    pdu = response(objects + b"\x00\xf0\x00\x00\x00\x02\x02\x00\x08")
    message = decoded(pdu)
    facts = {name: value for name, value, _ in DNP3.identity(message)}
    assert facts == {"vendor": "Acme", "model": "RTU \\x1b[2J5", "firmware": "1.2", "tag": "T1"}
    assert message.body["objects"][-1]["points"][0]["value"] == 2048
    assert out_of(pdu, OUT_FLAGS) & FLAG_IDENTITY
    assert not out_of(response(crobs(0)), OUT_FLAGS) & FLAG_IDENTITY


def test_link_only_frames() -> None:
    for control, name, slot in [
        (0xC0, "reset_link_states", 16),
        (0xC9, "request_link_status", 25),
        (0x0B, "link_status", 11),
        (0x00, "ack", 0),
        (0x4C, "primary_12", 28),
    ]:
        pdu = link_frame(b"", control)[:8]
        message = decoded(pdu)
        assert (message.kind, message.function_code, message.function) == ("link", None, name)
        assert ("link_function_reserved" in message.flags) == name.startswith("primary_")
        assert out_of(pdu, OUT_CLASS) == slot
        assert DNP3.class_names(slot) == ("link_functions", f"{slot >> 4}/{slot & 15}")


@pytest.mark.parametrize("size", range(20))
def test_short_pdus(size: int) -> None:
    for whole, needed in ((request(1, bytes(9)), 11), (response(bytes(7)), 13)):
        if size == 8 or size >= needed:
            decoded(whole[:size])
        else:
            with pytest.raises(Malformed):
                decoded(whole[:size])


@pytest.mark.parametrize(
    ("pdu", "flag"),
    [
        (response(code=200), "unknown_function"),
        (request(34), "unknown_function"),
        (request(1, destination=1), "source_is_destination"),
        (request(1, destination=0xFFFC), "self_address"),
        (request(1, application=0x80), "request_in_fragments"),
        (request(1, application=0xD0), "unsolicited_bit_mismatch"),
        (request(1, control=0xC9), "data_in_link_function"),
        (response(crobs(1)), "control_refused"),
        (canonical(b"\xc0\x81\0\0", 0xC4), "direction_mismatch"),
    ],
)
def test_oddities_are_flags(pdu: bytes, flag: str) -> None:
    assert flag in decoded(pdu).flags


def test_function_names() -> None:
    assert DNP3.count_names(6) == ("functions", "6", "direct_operate_no_ack")
    assert DNP3.count_names(130) == ("functions", "130", "unsolicited_response")
    assert DNP3.count_names(77) == ("functions", "77", "function_77")
    assert decoded(request(77)).access == "control"


def test_every_layout_has_its_readers() -> None:
    for group, (_, variations) in GROUPS.items():
        for variation, layout in variations.items():
            if size_of(group, variation) >= 0:
                assert set(layout.split()) <= set(FIELDS), (group, variation)
            elif layout == SIZED:
                assert size_of(group, variation) == -1
