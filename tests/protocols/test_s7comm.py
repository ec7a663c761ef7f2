"""S7comm: what each function is called and touches, by literal PDUs; TPKT and COTP in pieces."""

import struct

import pytest

from otmon.model import Function, Malformed, Message, Op, Target
from otmon.protocols.s7comm import FUNCTION_GROUPS, S7COMM
from otmon.protocols.s7comm.tables import FUNCTIONS, PI_SERVICES, PLUS_FUNCTIONS, USERDATA_FUNCTIONS
from otmon.wire.contract import (
    FLAG_ENCRYPTED,
    FLAG_EXCEPTION,
    FLAG_IDENTITY,
    FLAG_TRANSFER,
    KIND_LINK,
    KIND_REQUEST,
    KIND_RESPONSE,
    KIND_UNSOLICITED,
    OUT_CLASS,
    OUT_EVIDENCE,
    OUT_EXPECT,
    OUT_FLAGS,
    OUT_FROM_CLIENT,
    OUT_FUNC,
    OUT_KIND,
    OUT_REPLY_KEY,
    OUT_STATUS,
    OUT_TOKEN,
    STATUS_ACCEPTED,
    STATUS_PARTIAL,
    STATUS_REJECTED,
)
from tests.protocols.s7_streams import any_item, cotp, key, s7, words
from tests.protocols.test_s7comm_fuzz import check


def decode(pdu: bytes, from_client: bool = True, request: bytes | None = None) -> Message:
    return S7COMM.decode(pdu, from_client, request)


def pi(name: bytes, argument: bytes) -> bytes:
    head = bytes.fromhex("28000000000000fd") + struct.pack(">H", len(argument))
    return s7(1, head + argument + bytes([len(name)]) + name)


def file_job(function: int, name: bytes) -> bytes:
    return s7(1, bytes([function]) + bytes(7) + bytes([len(name)]) + name)


def userdata(kind: int, group: int, subfunction: int, data: bytes = b"", rest: bytes = b"") -> bytes:
    return s7(7, bytes([0, 1, 0x12, 4 + len(rest), 0x11, kind << 4 | group, subfunction, 0]) + rest, data)


def szl(szl_id: int, *records: bytes) -> bytes:
    payload = struct.pack(">HHHH", szl_id, 0, len(records[0]), len(records)) + b"".join(records)
    return userdata(8, 4, 1, b"\xff\x09" + struct.pack(">H", len(payload)) + payload, bytes(4))


def plus(version: int, body: bytes, trailer: bool = True) -> bytes:
    end = bytes([0x72, version, 0, 0]) if trailer else b""
    return cotp(struct.pack(">BBH", 0x72, version, len(body)) + body + end)


@pytest.mark.parametrize(
    ("pdu", "function", "targets"),
    [
        (s7(1, b"\xf0\0\0\1\0\1\1\xe0"), Function("setup_communication", "read"), [None]),
        (s7(1, b"\4\1" + any_item(2, 4, 10, 0x84, 0)), Function("read_var", "read"), [Target("DB10", 0, 3)]),
        (s7(1, b"\5\1" + any_item(4, 2, 10, 0x84, 800)), Function("write_var", "write"), [Target("DB10", 100, 103)]),
        (s7(1, b"\5\1" + any_item(1, 1, 0, 0x83, 83)), Function("write_var", "write"), [Target("M", 10, 10)]),
        (s7(1, b"\4\1" + any_item(8, 3, 0, 0x82, 16)), Function("read_var", "read"), [Target("Q", 2, 13)]),
        (s7(1, b"\4\1" + any_item(28, 8, 0, 0x1C, 5)), Function("read_var", "read"), [Target("C", 5, 12)]),
        (s7(1, b"\4\1" + any_item(29, 1, 0, 0x1D, 9)), Function("read_var", "read"), [Target("T", 9, 9)]),
        # An element of unknown size may be anywhere in its space.
        (s7(1, b"\4\1" + any_item(77, 1, 3, 0x84, 16)), Function("read_var", "read"), [Target("DB3")]),
        (s7(1, b"\4\1" + any_item(2, 1, 0, 0x42, 8)), Function("read_var", "read"), [Target("area_0x42", 1, 1)]),
        (
            s7(1, b"\4\2" + any_item(2, 1, 1, 0x84, 0) + any_item(2, 2, 0, 0x81, 24)),
            Function("read_var", "read"),
            [Target("DB1", 0, 0), Target("I", 3, 4)],
        ),
        (
            s7(1, bytes.fromhex("0401 1211b003 02004a006c 04004c0194 020051003c")),
            Function("read_var", "read"),
            [Target("DB74", 108, 109), Target("DB76", 404, 407), Target("DB81", 60, 61)],
        ),
        (
            s7(1, b"\4\1\x12\x05\xb2\xff\0\0\x52"),
            Function("read_var", "read"),
            [Target("symbolic", None, None, "ff000052")],
        ),
        (file_job(0x1A, b"_0A00001P"), Function("request_download", "program"), [Target("block", name="DB1")]),
        (file_job(0x1B, b"_0A00001P"), Function("download_block", "program"), [Target("block", name="DB1")]),
        (file_job(0x1C, b"_0A00001P"), Function("download_ended", "program"), [Target("block", name="DB1")]),
        (file_job(0x1D, b"_0800035A"), Function("start_upload", "program"), [Target("block", name="OB35")]),
        (file_job(0x1D, b"\x1b[2J"), Function("start_upload", "program"), [Target("block", name="\\x1b[2J")]),
        (s7(1, bytes.fromhex("1e00000000000007")), Function("upload", "program"), [None]),
        (s7(1, bytes.fromhex("1f00000000000007")), Function("end_upload", "program"), [None]),
        (pi(b"P_PROGRAM", b""), Function("warm_start", "control"), [None]),
        (pi(b"P_PROGRAM", b"C "), Function("cold_start", "control"), [None]),
        (pi(b"P_PROGRAM", b"X"), Function("pi_service", "control"), [Target("pi_service", name="P_PROGRAM")]),
        (
            pi(b"_INSE", b"\2\x000A00001P0E00002P"),
            Function("activate_block", "program"),
            [Target("block", name="DB1"), Target("block", name="FB2")],
        ),
        (pi(b"_DELE", b"\1\x000800001A"), Function("delete_block", "program"), [Target("block", name="OB1")]),
        (pi(b"_MODU", b"EP"), Function("copy_ram_to_rom", "program"), [None]),
        (pi(b"_GARB", b""), Function("compress_memory", "program"), [None]),
        (pi(b"_N_LOGIN_", b"x"), Function("pi_service", "control"), [Target("pi_service", name="_N_LOGIN_")]),
        (s7(1, b"\x29\0\0\0\0\0\x09P_PROGRAM"), Function("plc_stop", "control"), [None]),
        (s7(1, b"\x77"), Function("function_0x77", "control"), [None]),
        (
            userdata(4, 4, 1, bytes.fromhex("ff090004001c0000")),
            Function("read_szl", "identify"),
            [Target("szl", 0x1C, 0x1C, "component_identification")],
        ),
        (userdata(4, 3, 1, bytes.fromhex("0a000000")), Function("list_blocks", "identify"), [None]),
        (
            userdata(4, 3, 2, b"\xff\x09\0\x020A"),
            Function("list_blocks_of_type", "identify"),
            [Target("block_type", name="DB")],
        ),
        (
            userdata(4, 3, 3, b"\xff\x09\0\x080C00004A"),
            Function("block_info", "identify"),
            [Target("block", name="FC4")],
        ),
        (
            userdata(4, 2, 5, bytes.fromhex("ff09000d 00010101 1207b001 0500510172")),
            Function("cyclic_on_change", "read"),
            [Target("DB81", 370, 374)],
        ),
        (userdata(4, 7, 2, bytes.fromhex("ff09000a00191408201159330400")), Function("set_clock", "control"), [None]),
        (userdata(4, 5, 1, b"\xff\x09\0\x08secret12"), Function("set_session_password", "control"), [None]),
        (userdata(4, 1, 12), Function("memory_reset", "program"), [None]),
        (userdata(4, 1, 99), Function("programmer_99", "control"), [None]),
        (userdata(0, 0, 0), Function("mode_stop", "diagnose"), [None]),
        (plus(1, bytes.fromhex("31000004ca00000001000001203600")), Function("create_object", "write"), [None]),
        (plus(2, bytes.fromhex("31000005420000000200000120 3400")), Function("set_multi_variables", "write"), [None]),
        (plus(3, b"\x20" + bytes(32) + b"\x33\0\0\0\x74\4"), Function("notification", "read"), [None]),
        (plus(2, bytes.fromhex("3100000999000000020000012034")), Function("plus_0x0999", "control"), [None]),
        (cotp(bytes.fromhex("1603010005 0100000100")), Function("encrypted", "write"), [None]),
    ],
)
def test_functions_and_targets(pdu: bytes, function: Function, targets: list[Target | None]) -> None:
    message = decode(pdu)
    assert (message.function, message.access) == function
    assert [op.target for op in message.ops] == targets
    assert {(op.function, op.access, op.unit) for op in message.ops} == {(*function, None)}
    assert S7COMM.operations(words(pdu, 1)) == message.ops


def test_setup() -> None:
    request, response = s7(1, b"\xf0\0\0\1\0\2\1\xe0"), s7(3, b"\xf0\0\0\1\0\1\0\xf0")
    _, out = key(request)
    assert [out[slot] for slot in (OUT_KIND, OUT_EXPECT, OUT_FROM_CLIENT, OUT_EVIDENCE)] == [KIND_REQUEST, 1, 1, 2]
    assert [out[slot] for slot in (OUT_CLASS, OUT_FUNC, OUT_TOKEN)] == [1, 0xF0, 7]
    assert decode(request).body["pdu_bytes"] == 480
    body = decode(response, False).body
    assert (body["max_jobs_calling"], body["max_jobs_called"], body["pdu_bytes"]) == (1, 1, 240)
    _, answer = key(response)
    assert answer[OUT_FROM_CLIENT] == 0
    assert [answer[slot] for slot in (OUT_KIND, OUT_STATUS, OUT_CLASS)] == [KIND_RESPONSE, STATUS_ACCEPTED, 3]
    assert (answer[OUT_TOKEN], answer[OUT_REPLY_KEY]) == (out[OUT_TOKEN], out[OUT_REPLY_KEY])


@pytest.mark.parametrize(
    ("pdu", "status"),
    [
        (s7(3, b"\5\2", b"\xff\xff"), STATUS_ACCEPTED),
        (s7(3, b"\5\2", b"\xff\x05"), STATUS_PARTIAL),
        (s7(3, b"\5\2", b"\x0a\x05"), STATUS_REJECTED),
        (s7(3, b"\5\2", b"\xff"), STATUS_PARTIAL),
        (s7(3, b"\4\2", bytes.fromhex("ff040008 0100 ff04001012 34")), STATUS_ACCEPTED),
        (s7(3, b"\4\2", bytes.fromhex("0a000000 ff040008 01")), STATUS_PARTIAL),
        (s7(3, b"\4\2", bytes.fromhex("0a000004 0a000004")), STATUS_REJECTED),
        (s7(3, b"\x1d", b"", 7, 0x8104), STATUS_REJECTED),
        (s7(2, b"", b"", 7, 0xD20C), STATUS_REJECTED),
        (s7(2, b"\x29"), STATUS_ACCEPTED),
        (userdata(8, 4, 1, b"\xff\x09\0\0", bytes(4)), STATUS_ACCEPTED),
        (userdata(8, 4, 1, b"\x0a\0\0\0", b"\0\0\xd4\x01"), STATUS_REJECTED),
        # Nothing to hand over is no refusal.
        (userdata(8, 7, 2, b"\x0a\0\0\0", bytes(4)), STATUS_ACCEPTED),
        (userdata(8, 5, 1, b"\x03\0\0\0", bytes(4)), STATUS_REJECTED),
    ],
)
def test_outcome(pdu: bytes, status: int) -> None:
    _, out = key(pdu)
    assert out[OUT_KIND] == KIND_RESPONSE
    assert out[OUT_STATUS] == status
    assert bool(out[OUT_FLAGS] & FLAG_EXCEPTION) == (status == STATUS_REJECTED)
    assert [op.target for op in decode(pdu, False).ops] == [None]


def test_jobs_of_a_plc() -> None:
    """During a download it is the PLC that asks for the block."""
    for function in (0x1B, 0x1C):
        _, job = key(file_job(function, b"_0A00001P"))
        _, ack = key(s7(3, bytes([function])))
        assert (job[OUT_FROM_CLIENT], ack[OUT_FROM_CLIENT]) == (0, 1)
        assert job[OUT_REPLY_KEY] == ack[OUT_REPLY_KEY]
    _, read = key(s7(1, b"\4\1" + any_item(2, 1, 1, 0x84, 0)))
    _, refusal = key(s7(2, b"", b"", 7, 0xD20C))
    # A refusal names no function; both sides number their jobs, so one of the PLC must not take it.
    assert refusal[OUT_REPLY_KEY] == read[OUT_REPLY_KEY] != job[OUT_REPLY_KEY]


def test_pushed_data_is_unsolicited() -> None:
    pdu = userdata(0, 2, 7, bytes.fromhex("ff090004 00000000"), bytes(4))
    _, out = key(pdu)
    assert (out[OUT_KIND], out[OUT_FROM_CLIENT], out[OUT_EXPECT]) == (KIND_UNSOLICITED, 0, 0)
    assert decode(pdu, False).kind == "unsolicited"
    assert decode(pdu, False).extra == {"rosctr": 7, "userdata": "2/7"}


@pytest.mark.parametrize(
    ("item", "data", "expected"),
    [
        (any_item(2, 1, 5, 0x84, 8), "ff04000807", [(Target("DB5", 1, 1), 7)]),
        (any_item(2, 2, 5, 0x84, 8), "00040010ffff", [(Target("DB5", 1, 2), 65535)]),
        (any_item(2, 4, 5, 0x84, 8), "00040020 00010000", [(Target("DB5", 1, 4), 65536)]),
        (any_item(2, 3, 5, 0x84, 8), "00040018 010203", []),
        (any_item(5, 2, 5, 0x84, 0), "00040020 ffff0002", [(Target("DB5", 0, 1), -1), (Target("DB5", 2, 3), 2)]),
        (any_item(4, 1, 0, 0x83, 80), "00040010 ffff", [(Target("M", 10, 11), 65535)]),
        (any_item(7, 1, 0, 0x83, 80), "00040020 fffffffe", [(Target("M", 10, 13), -2)]),
        (any_item(8, 1, 0, 0x83, 80), "00070004 3fc00000", [(Target("M", 10, 13), 1.5)]),
        (any_item(8, 1, 0, 0x83, 80), "00070004 7fc00000", []),
        (any_item(1, 1, 0, 0x82, 17), "0003000101", [(Target("Q", 2, 2), 1)]),
        (any_item(28, 2, 0, 0x1C, 3), "00090004 00010002", [(Target("C", 3, 3), 1), (Target("C", 4, 4), 2)]),
        # A length that does not fit the address says nothing.
        (any_item(4, 2, 0, 0x83, 80), "00040010 ffff", []),
    ],
)
def test_written_values(item: bytes, data: str, expected: list[tuple[Target, float]]) -> None:
    message = decode(s7(1, b"\5\1" + item, bytes.fromhex(data)))
    assert S7COMM.written(message) == [(Op(5, "write_var", "write", None, target), value) for target, value in expected]


def test_a_read_is_shown_with_its_addresses() -> None:
    request = s7(1, b"\4\2" + any_item(5, 2, 9, 0x84, 32) + any_item(2, 1, 0, 0x81, 0))
    response = s7(3, b"\4\2", bytes.fromhex("ff040020 fffe0003 ff040008 09"))
    first, second = decode(response, False, request).body["items"]
    assert first["values"] == [-2, 3]
    assert (first["asked"]["area"], first["asked"]["db"], first["asked"]["address"]) == ("DB", 9, 4)
    assert (second["value"], second["raw"], second["asked"]["area"]) == (9, "09", "I")
    assert "asked" not in decode(response, False).body["items"][0]
    assert "asked" not in decode(response, False, s7(1, b"\4\1" + any_item(5, 2, 9, 0x84, 32))).body["items"][0]


def test_a_bit_is_a_whole_number() -> None:
    """As every other number that is none with a fraction."""
    request = s7(1, b"\4\1" + any_item(1, 1, 1, 0x84, 3))
    (item,) = decode(s7(3, b"\4\1", bytes.fromhex("ff03000101")), False, request).body["items"]
    assert repr(item["values"]) == "[1]"


def test_timers_and_counters_are_read_as_their_digits() -> None:
    """A timer is an S5TIME, a counter three digits BCD: 0x2123 is 123 s, 0x0123 is 123, and 0x000a is no number."""
    request = s7(1, b"\4\2" + any_item(28, 3, 0, 0x1C, 5) + any_item(29, 2, 0, 0x1D, 3))
    data = bytes.fromhex("ff090006 0123 0999 000a ff090004 2123 0007")
    counters, timers = decode(s7(3, b"\4\2", data), False, request).body["items"]
    assert (counters["counts"], timers["times"]) == ([123, 999, None], [123_000, 70])
    assert timers["values"] == [0x2123, 7], "as they stand on the wire"
    write = s7(1, b"\5\1" + any_item(28, 1, 0, 0x1C, 5), bytes.fromhex("00090002 0123"))
    assert decode(write).body["items"][0]["written"]["counts"] == [123]


def test_words_leave_out_references_and_values() -> None:
    item = any_item(4, 1, 1, 0x84, 0)
    assert words(s7(1, b"\5\1" + item, b"\0\4\0\x10\0\1", 1)) == words(s7(1, b"\5\1" + item, b"\0\4\0\x10\xff\2", 2))
    assert words(s7(1, b"\5\1" + item)) != words(s7(1, b"\4\1" + item))
    one, other = (s7(1, bytes.fromhex(f"1e000000000000{n}"), b"", 5) for n in ("07", "08"))
    assert words(one) == words(other)
    assert words(userdata(4, 5, 1, b"\xff\x09\0\x08secret12")) == words(userdata(4, 5, 1, b"\xff\x09\0\x08public34"))
    bits = [words(s7(1, b"\5\1" + any_item(1, 1, 0, 0x83, bit))) for bit in (80, 81)]
    assert bits[0] != bits[1]


def test_tls_is_encrypted() -> None:
    hello, answer = cotp(b"\x16\3\1\0\5\1\0\0\1\0"), cotp(b"\x16\3\3\0\5\2\0\0\1\0")
    data = cotp(b"\x17\3\3\0\5\xaa\xaa\xaa\xaa\xaa")
    assert key(hello)[1][OUT_FROM_CLIENT] == 1
    assert key(answer)[1][OUT_FROM_CLIENT] == 0
    for way, kind in ((1, KIND_REQUEST), (0, KIND_LINK)):
        _, out = key(data, way)
        assert (out[OUT_KIND], out[OUT_EXPECT], out[OUT_FLAGS], out[OUT_EVIDENCE]) == (kind, 0, FLAG_ENCRYPTED, 1)
    assert decode(data).flags == ("encrypted",)
    assert decode(data, False).ops == ()


def test_plus() -> None:
    request = plus(2, bytes.fromhex("310000054200000002000003c03400"))
    response = plus(2, bytes.fromhex("3200000542000000023400 0000"))
    refused = plus(2, bytes.fromhex("32000005860000000734c08895b080ef91fff4"))
    quiet = plus(3, b"\x20" + bytes(32) + bytes.fromhex("31000004f20000831a70000e4d7400"))
    assert [key(request)[1][slot] for slot in (OUT_KIND, OUT_EXPECT, OUT_TOKEN, OUT_CLASS)] == [
        KIND_REQUEST,
        1,
        2,
        0x72,
    ]
    assert [key(request)[1][slot] for slot in (OUT_FUNC, OUT_EVIDENCE, OUT_FROM_CLIENT)] == [-1, 2, 1]
    assert [key(response)[1][slot] for slot in (OUT_KIND, OUT_TOKEN, OUT_STATUS)] == [KIND_RESPONSE, 2, STATUS_ACCEPTED]
    assert key(request)[1][OUT_REPLY_KEY] == key(response)[1][OUT_REPLY_KEY]
    assert key(refused)[1][OUT_STATUS] == STATUS_REJECTED
    assert decode(refused, False).body["error"] == -12
    assert key(quiet)[1][OUT_EXPECT] == 0
    assert decode(quiet).body["expects_response"] is False
    assert decode(request).body["session"] == 0x3C0
    assert decode(request).extra == {"s7comm_plus": {"version": 2, "opcode": 0x31, "function_code": 0x542}}
    fragment = plus(2, b"\0\4\xc0\xa8\0\2\0\xa3\x9f\5\0\3\1", False)
    assert key(fragment)[1][OUT_KIND] == KIND_LINK
    assert decode(fragment).ops == ()


def test_identity_from_szl() -> None:
    module = struct.pack(">H20sHHH", 1, b"6ES7 315-2EH14-0AB0 ", 0xC0, 3, 1)
    hardware = struct.pack(">H20sHHH", 6, b"6ES7 315-2EH14-0AB0 ", 0xC0, 3, 1)
    firmware = struct.pack(">H20sHHH", 7, b" " * 20, 0xC0, 0x5603, 0x0206)
    loader = struct.pack(">H20sHHH", 0x81, b"Boot Loader", 0, 0x4120, 0x0909)
    message = decode(szl(0x11, module, hardware, firmware, loader), False)
    assert [one["version"] for one in message.body["modules"]] == ["3", "3", "V3.2.6", "A32.9.9"]
    assert S7COMM.identity(message) == (
        ("order_code", "6ES7 315-2EH14-0AB0", 0.95),
        ("vendor", "Siemens AG", 0.9),
        ("hardware", "3", 0.8),
        ("firmware", "V3.2.6", 0.95),
    )
    parts = [struct.pack(">H32s", n, text) for n, text in ((1, b"plant\x1b[31m"), (5, b"S C-1"), (7, b"CPU 315\0x"))]
    told = {name: value for name, value, _ in S7COMM.identity(decode(szl(0x1C, *parts), False))}
    assert told == {"name": "plant\\x1b[31m", "serial": "S C-1", "model": "CPU 315"}
    assert key(szl(0x1C, *parts))[1][OUT_FLAGS] == FLAG_IDENTITY
    assert key(szl(0x424, *parts))[1][OUT_FLAGS] == 0
    # A later part of a list begins in the middle of a record.
    pdu = bytearray(szl(0x1C, *parts))
    pdu[3 + 10 + 8] = 0xD5
    assert S7COMM.identity(decode(bytes(pdu), False)) == ()
    assert key(bytes(pdu))[1][OUT_FLAGS] == FLAG_TRANSFER, "handed up, to be put together"
    assert key(bytes(pdu))[1][OUT_EXPECT] == 2


def test_names() -> None:
    assert S7COMM.count_names(4) == ("functions", "4", "read_var")
    assert S7COMM.count_names(256 + 0x401) == ("userdata", "4/1", "read_szl")
    assert S7COMM.class_names(7) == ("rosctr", "7")
    assert S7COMM.class_names(0x73) == ("s7comm_plus", "3")
    assert S7COMM.class_names(0x7E) == ("s7comm_plus", "254")
    names = {
        function.name
        for table in (FUNCTIONS, PI_SERVICES, PLUS_FUNCTIONS, USERDATA_FUNCTIONS)
        for function in table.values()
    }
    assert {name for group in FUNCTION_GROUPS.values() for name in group} <= names


@pytest.mark.parametrize(
    "pdu",
    [
        b"",
        b"\x02\xf0",
        b"\x02\x90\x80",
        cotp(b"\x32"),
        cotp(b"\x33\1\0\0\0\0\0\1\0\0\4"),
        s7(1, b""),
        s7(4, b"\4"),
        s7(1, b"\4\2" + any_item(2, 1, 1, 0x84, 0)),
        s7(1, b"\4\1" + any_item(2, 1, 1, 0x84, 0))[:-1],
        s7(7, b"\0\1\x12\4\x11\x44\1"),
        s7(7, b"\0\1\x13\4\x11\x44\1\0"),
        s7(1, b"\x28\0\0\0\0\0\0\xfd\xff\xff\5_INSE"),
        cotp(b"\x72\5\0\0"),
        cotp(b"\x72\1\xff\xff"),
        cotp(b"\x17\3\3\0\0\0"),
    ],
)
def test_malformed(pdu: bytes) -> None:
    assert key(pdu)[0] == -1
    assert key(pdu)[1][OUT_EVIDENCE] == 0
    with pytest.raises(Malformed):
        decode(pdu)


@pytest.mark.parametrize(
    ("behind", "number", "flags"),
    [
        ("05000000", 5, ()),
        ("810000000000", 128, ()),  # its last byte is a zero, as are those behind it
        ("8100", 128, ()),
        ("00000000", None, ()),
        ("05000600", None, ("trailing_bytes",)),
        ("81", None, ("trailing_bytes",)),
    ],
)
def test_the_number_behind_a_plus_message_ends_where_it_says(behind: str, number: int | None, flags: tuple) -> None:
    content = bytes.fromhex("31 0000 05b3 0000 0001 0000034c 34" + behind)
    pdu = b"\x02\xf0\x80\x72\x02" + len(content).to_bytes(2, "big") + content + b"\x72\x02\0\0"
    message = check(pdu)
    assert message is not None
    assert message.flags == flags
    assert message.body.get("integrity_id") == number
