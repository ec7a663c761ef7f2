"""Modbus: what each function is called and touches, by literal ADUs of the specification and of attacks."""

import numpy as np
import pytest

from otmon.model import Function, Malformed, Message, Op, Target
from otmon.protocols.modbus import MODBUS
from otmon.protocols.modbus.tables import function_of
from otmon.wire.contract import (
    FLAG_DAMAGED,
    OUT_EVIDENCE,
    OUT_EXPECT,
    OUT_FLAGS,
    OUT_FROM_CLIENT,
    OUT_SIZE,
    OUT_WORDS,
    PERHAPS,
)
from tests.protocols.modbus_corpus import adu


def decode(code: int, data: str, from_client: bool = True, request: bytes | None = None) -> Message:
    return MODBUS.decode(adu(code, bytes.fromhex(data)), from_client, request)


def key(code: int, data: str, from_client: int = 1) -> tuple[np.ndarray, tuple[Op, ...]]:
    pdu, out = adu(code, bytes.fromhex(data)), np.zeros(OUT_SIZE, np.int64)
    words = MODBUS.key(np.frombuffer(pdu, np.uint8), 0, len(pdu), from_client, out)
    return out, MODBUS.operations(out[OUT_WORDS : OUT_WORDS + words].tolist()) if words > 0 else ()


@pytest.mark.parametrize(
    ("code", "data", "function", "targets"),
    [
        # The examples of V1.1b3 chapter 6.
        (1, "0013 0013", Function("read_coils", "read"), [Target("coil", 19, 37)]),
        (2, "00c4 0016", Function("read_discrete_inputs", "read"), [Target("discrete_input", 196, 217)]),
        (3, "006b 0003", Function("read_holding_registers", "read"), [Target("holding_register", 107, 109)]),
        (4, "0008 0001", Function("read_input_registers", "read"), [Target("input_register", 8, 8)]),
        (5, "00ac ff00", Function("write_single_coil", "write"), [Target("coil", 172, 172)]),
        (6, "0001 0003", Function("write_single_register", "write"), [Target("holding_register", 1, 1)]),
        (7, "", Function("read_exception_status", "diagnose"), [None]),
        (8, "0000 a537", Function("diagnostics", "diagnose"), [None]),
        (8, "0001 0000", Function("diagnostics_restart", "control"), [None]),
        (8, "0004 0000", Function("diagnostics_force_listen_only", "control"), [None]),
        (8, "000a 0000", Function("diagnostics_clear_counters", "diagnose"), [None]),
        (8, "0013 0000", Function("diagnostics_reserved", "control"), [None]),
        (8, "0100 0000", Function("diagnostics_reserved", "control"), [None]),
        (11, "", Function("get_comm_event_counter", "diagnose"), [None]),
        (12, "", Function("get_comm_event_log", "diagnose"), [None]),
        (15, "0013 000a 02 cd01", Function("write_multiple_coils", "write"), [Target("coil", 19, 28)]),
        (
            16,
            "0001 0002 04 000a0102",
            Function("write_multiple_registers", "write"),
            [Target("holding_register", 1, 2)],
        ),
        (17, "", Function("report_server_id", "identify"), [None]),
        (
            20,
            "0e 06 0004 0001 0002 06 0003 0009 0002",
            Function("read_file_record", "read"),
            [Target("file_record", 1, 2, "4"), Target("file_record", 9, 10, "3")],
        ),
        (
            21,
            "0d 06 0004 0007 0003 06af 04be 100d",
            Function("write_file_record", "write"),
            [Target("file_record", 7, 9, "4")],
        ),
        (22, "0004 00f2 0025", Function("mask_write_register", "write"), [Target("holding_register", 4, 4)]),
        (
            23,
            "0003 0006 000e 0003 06 00ff00ff00ff",
            Function("read_write_multiple_registers", "write"),
            [Target("holding_register", 3, 8), Target("holding_register", 14, 16)],
        ),
        (24, "04de", Function("read_fifo_queue", "read"), [Target("fifo", 1246, 1246)]),
        (43, "0e 01 00", Function("read_device_identification", "identify"), [None]),
        (43, "0d 00 11 22", Function("canopen_general_reference", "control"), [None]),
        (43, "55 00", Function("encapsulated_interface_transport", "control"), [None]),
        (90, "00 02", Function("umas_read_id", "identify"), [None]),
        (90, "00 20 00 1300 0000 0000 6400", Function("umas_read_memory_block", "read"), [None]),
        (90, "01 23 00", Function("umas_write_variables", "write"), [None]),
        (90, "01 31 0001 0100 0000", Function("umas_upload_block", "program"), [None]),
        (90, "00 41 ff00", Function("umas_stop_plc", "control"), [None]),
        (90, "00 99", Function("umas_0x99", "program"), [None]),
        (65, "0102", Function("function_65", "control"), [None]),
        (125, "0102", Function("function_125", "program"), [None]),
        (0, "", Function("function_0", "control"), [None]),
    ],
)
def test_requests_name_their_function_and_targets(code: int, data: str, function: Function, targets: list) -> None:
    message = decode(code, data)
    assert (message.function, message.access, message.kind) == (*function, "request")
    access = ["read", "write"] if code == 23 else [function.access] * len(targets)
    ops = tuple(Op(code, function.name, a, 1, target) for a, target in zip(access, targets, strict=True))
    assert message.ops == ops
    out, of_key = key(code, data)
    assert of_key == ops
    assert out[OUT_EXPECT] == (PERHAPS if message.function.endswith("listen_only") else 1)
    assert set(message.flags) <= {"unknown_function", "sub_function_reserved"}


def test_claimed_range_is_judged_whatever_the_specification_says_of_it() -> None:
    for code, data, target, flags in [
        (3, "0000 ffff", Target("holding_register", 0, 65534), {"quantity_out_of_range"}),
        (3, "ffff 0002", Target("holding_register", 65535, 65535), {"address_overflow"}),
        (4, "0001 0000", Target("input_register", 1, 1), {"quantity_out_of_range"}),
        (15, "0000 0064 01 ff", Target("coil", 0, 99), {"byte_count_mismatch"}),
        # Nobody knows whether a device goes by the quantity or by the bytes.
        (15, "0000 0003 02 ffff", Target("coil", 0, 15), {"byte_count_mismatch"}),
        (15, "0000 0003 01 ff", Target("coil", 0, 2), set()),
        (16, "000a 0001 06 0001 0002 0003", Target("holding_register", 10, 12), {"byte_count_mismatch"}),
        (16, "000a 0000 02 0001", Target("holding_register", 10, 10), {"byte_count_mismatch", "quantity_out_of_range"}),
        (
            16,
            "000a 0100 02 0007",
            Target("holding_register", 10, 265),
            {"byte_count_mismatch", "quantity_out_of_range"},
        ),
    ]:
        message = decode(code, data)
        assert [op.target for op in message.ops] == [target]
        assert set(message.flags) == flags
        assert key(code, data)[1] == message.ops


@pytest.mark.parametrize(
    ("code", "data", "from_client"),
    [
        (3, "0000 0001 00", True),
        (3, "0000 00", True),
        (3, "04 0001", False),
        (3, "03 000102", False),
        (20, "08 06 0004 0001 0002 06", True),
        (20, "02 00 06", False),
        (43, "0e 01 01 00 00 01 00 05 41", False),
        (0x83, "02", True),
        (0x83, "02 00", False),
    ],
)
def test_length_that_contradicts_the_function_is_malformed(code: int, data: str, from_client: bool) -> None:
    with pytest.raises(Malformed):
        decode(code, data, from_client)
    out, ops = key(code, data, int(from_client))
    assert ops == ()
    assert out[4] == code & 127


@pytest.mark.parametrize(
    ("code", "data", "targets"),
    [
        (5, "0013", [Target("coil", 19, 19)]),
        (6, "0001 0003 00", [Target("holding_register", 1, 1)]),
        (6, "00", [Target("holding_register")]),
        # A device may go by the quantity, by the count of bytes, or by what came.
        (15, "0000 0008 02 ff", [Target("coil", 0, 15)]),
        (15, "0000 0007 01 ff00", [Target("coil", 0, 15)]),
        (16, "0000 0001 14 0007 00", [Target("holding_register", 0, 9)]),
        (16, "0000 0001 02 0007 0008 0009", [Target("holding_register", 0, 2)]),
        (
            23,
            "0003 0006 000e 0003 06 0001 0002 0003 0004",
            [Target("holding_register", 3, 8), Target("holding_register", 14, 17)],
        ),
        (16, "0000 0001 02 0007 00", [Target("holding_register", 0, 0)]),
        (16, "ffff ffff 00 0007", [Target("holding_register", 65535, 65535)]),
        (16, "0000 00", [Target("holding_register")]),
        # A record length that would wrap a 16-bit count of bytes: CVE-2022-20685.
        (21, "0e 06 0004 0007 ffff 00000000000000", [Target("file_record", 7, 65535, "4")]),
        (21, "07 06 0004 0007 ffff", [Target("file_record", 7, 65535, "4")]),
        (21, "", [Target("file_record")]),
        (22, "0004 00f2", [Target("holding_register", 4, 4)]),
        (23, "0003 0006 000e 0003 06", [Target("holding_register", 3, 8), Target("holding_register", 14, 16)]),
        (23, "0003 0006 000e", [Target("holding_register"), Target("holding_register")]),
    ],
)
def test_write_of_a_wrong_length_is_judged_by_what_it_claims(code: int, data: str, targets: list[Target]) -> None:
    message = decode(code, data)
    assert "malformed" in message.flags
    assert message.body["raw"] == adu(code, bytes.fromhex(data)).hex()
    assert [op.target for op in message.ops] == targets
    out, ops = key(code, data)
    assert ops == message.ops
    assert out[OUT_FLAGS] & FLAG_DAMAGED
    assert {value for _, value in MODBUS.written(message)} == {0, 65535}
    assert not list(MODBUS.points(message))


def test_response_takes_its_range_from_the_request() -> None:
    asked = adu(1, bytes.fromhex("0013 0013"))
    message = decode(1, "03 cd6b05", False, asked)
    values = [1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0, 1]
    assert message.body == {"transaction_id": 1, "address": 19, "quantity": 19, "values": values}
    assert decode(1, "03 cd6b05", False).body["values"] == [*values, 0, 0, 0, 0, 0]
    assert decode(1, "02 cd6b", False, asked).flags == ("byte_count_mismatch",)
    assert decode(3, "02 0007", False, asked).body == {"transaction_id": 1, "values": [7]}
    registers = decode(3, "06 022b 0000 0064", False, adu(3, bytes.fromhex("006b 0003")))
    assert registers.body == {"transaction_id": 1, "address": 107, "quantity": 3, "values": [555, 0, 100]}
    assert decode(6, "0001 0004", False, adu(6, bytes.fromhex("0001 0003"))).flags == ("echo_mismatch",)


def test_exceptions() -> None:
    message = decode(0x83, "02", False)
    assert (message.function_code, message.function, message.flags) == (3, "read_holding_registers", ("exception",))
    assert message.body == {"transaction_id": 1, "exception_code": 2, "exception": "illegal_data_address"}
    assert decode(0x83, "63", False).flags == ("exception", "exception_code_reserved")
    restart = decode(0x88, "01", False, adu(8, bytes.fromhex("0001 0000")))
    assert restart.function == "diagnostics_restart"


def test_direction_and_evidence_come_from_the_layout() -> None:
    for code, data, direction, evidence in [
        (3, "0000 0001", 1, 2),
        (3, "0300 0001", 1, 2),  # three bytes would be half a register: no response
        (1, "0300 0001", -1, 2),
        (3, "02 0007", 0, 2),
        (0x83, "02", 0, 2),
        (0x83, "63", 0, 1),
        (6, "0001 0002", -1, 2),
        (65, "0001 0002", -1, 1),
        (90, "00 fe", 0, 1),
        (3, "0000 0001 00", -1, 1),
    ]:
        out, _ = key(code, data, -1)
        assert (out[OUT_FROM_CLIENT], out[OUT_EVIDENCE]) == (direction, evidence), (code, data)


def test_values_written() -> None:
    def pairs(code: int, data: str) -> list[tuple[int | None, float]]:
        return [(op.target.start, value) for op, value in MODBUS.written(decode(code, data)) if op.target]

    assert pairs(5, "00ac ff00") == [(172, 1)]
    assert pairs(5, "00ac 1234") == [(172, 0x1234)]
    assert pairs(15, "0013 000a 02 cd01") == [(19 + i, v) for i, v in enumerate([1, 0, 1, 1, 0, 0, 1, 1, 1, 0])]
    assert pairs(16, "0001 0002 04 000a0102") == [(1, 10), (2, 258)]
    assert pairs(23, "0003 0006 000e 0002 04 00ff0001") == [(14, 255), (15, 1)]
    assert pairs(21, "0d 06 0004 0007 0003 06af 04be 100d") == [(7, 0x6AF), (8, 0x4BE), (9, 0x100D)]
    assert pairs(3, "006b 0003") == []
    assert MODBUS.written(decode(6, "0001 0003", False)) == ()


@pytest.mark.parametrize(
    ("and_mask", "or_mask"), [(0xF2, 0x25), (0, 0x25), (0xFFFF, 0), (0x00FF, 0xFF00), (0x8001, 0x7FFF)]
)
def test_masked_write_is_bounded_by_all_that_can_result(and_mask: int, or_mask: int) -> None:
    message = decode(22, f"0004 {and_mask:04x} {or_mask:04x}")
    results = {register & and_mask | or_mask & ~and_mask for register in range(65536)}
    values = [value for _, value in MODBUS.written(message)]
    assert {min(values), max(values)} == {min(results), max(results)}
    assert set(values) <= results


def test_identity_is_safe_text() -> None:
    objects = [b"Acme\x1b[2J", b"PLC-1 <b>", b"V2.0", b"", b"Press line", b"M7\x00", b"hall 3", b"x" * 100]
    body = b"".join(bytes([i, len(text)]) + text for i, text in enumerate(objects))
    message = MODBUS.decode(adu(43, bytes([14, 2, 0x82, 0, 0, len(objects)]) + body), False, None)
    facts = {(name, value) for name, value, _ in MODBUS.identity(message)}
    assert facts == {
        ("vendor", "Acme\\x1b[2J"),
        ("model", "PLC-1 <b>"),
        ("firmware", "V2.0"),
        ("model", "Press line"),
        ("model", "M7\\x00"),
        ("name", "hall 3"),
    }
    text = b"\x10\xffZeek Modbus\n1.2\xff"
    server = MODBUS.decode(adu(17, bytes([len(text)]) + text), False, None)
    assert [fact[:2] for fact in MODBUS.identity(server)] == [("model", "Zeek Modbus 1.2")]


def test_names_of_the_counters() -> None:
    assert MODBUS.count_names(3) == ("functions", "3", "read_holding_registers")
    assert MODBUS.count_names(77) == ("functions", "77", "function_77")
    assert {function_of(code).access for code in range(128)} == {
        "read",
        "write",
        "control",
        "program",
        "diagnose",
        "identify",
    }


def test_flags_of_the_key() -> None:
    assert key(22, "0004 00f2 0025")[0][OUT_FLAGS] == 4
    assert key(43, "0e 01 01 00 00 00", 0)[0][OUT_FLAGS] == 8
    assert key(17, "01 41", 0)[0][OUT_FLAGS] == 8
    assert key(0x85, "05", 0)[0][OUT_FLAGS] == 1


def test_umas_reads_coils_and_registers_by_place() -> None:
    # A %M and a %MW, as a programming tool's animation table asks for them.
    asked = adu(90, bytes.fromhex("0024 02 02 02 0400 0100 02 03 2d00 0100"))
    places = [
        {"space": "coil", "address": 4, "quantity": 1},
        {"space": "holding_register", "address": 45, "quantity": 1},
    ]
    assert MODBUS.decode(asked, True, None).body["places"] == places
    assert decode(90, "00fe 02 0000 01 0000 5203", False, asked).body["values"] == [1, 850]
    for odd in ("00fe 02 0000 01 0000 52", "00fe 01 0000 01", "00fe", "00fe 02 0100 01 0000 5203"):
        assert "values" not in decode(90, odd, False, asked).body
    assert "places" not in MODBUS.decode(adu(90, bytes.fromhex("0024 02 02 02 0400 0100")), True, None).body
