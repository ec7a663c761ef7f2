"""Operations as text: what is written is read again, and what is wrong is said with its column."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otmon.engine import analyze
from otmon.model import Target
from otmon.policy.load import load_policy
from otmon.policy.optext import operation_text, parse_operation
from otmon.policy.words import TextError
from tests.policy.policy_kit import connect, op, registers

ROOT = Path(__file__).parents[2]
POLICY = load_policy(ROOT / "rules" / "plant.yaml")
WRITE = op("10.0.2.11", "10.0.1.13", function="write_single_register", access="write", function_code=6)
BLOCK = Target("block", name="OB1")
TEXTS = {
    "10.0.2.11 -> 10.0.1.13 modbus unit 1 write_single_register 45 = 900": (WRITE._replace(target=registers(45)), 900),
    "hmi-2 -> plc-3 modbus unit 1 6 40-49": (WRITE._replace(target=registers(40, 49)), None),
    "10.0.2.11->10.0.1.13 modbus udp port 5020 unit 1 write_single_register": (
        WRITE._replace(transport="udp", port=5020),
        None,
    ),
    "realm east 10.0.2.20 -> 10.0.1.12 s7comm read_var DB1.DBB0-63": (
        op("10.0.2.20", "10.0.1.12", "s7comm", "read_var", function_code=4, target=Target("DB1", 0, 63), realm="east"),
        None,
    ),
    "scada -> rtu-1 dnp3 master 1 outstation 10 operate g12 3": (
        op("10.0.2.12", "10.0.1.21", "dnp3", "operate", "control", function_code=4, target=Target("g12", 3, 3)),
        None,
    ),
    "10.0.3.50 -> 10.0.1.11 tcp 80": (connect("10.0.3.50", "10.0.1.11", port=80), None),
    "fd00::1 -> fd00::2 udp connect 53": (connect("fd00::1", "fd00::2", "udp", 53), None),
    "10.0.3.50 -> 10.0.1.11 tcp scan": (connect("10.0.3.50", "10.0.1.11", function="scan"), None),
    "10.0.3.50 -> 10.0.1.11 icmp": (connect("10.0.3.50", "10.0.1.11", "icmp"), None),
    "hmi-1 -> plc-2 s7comm delete_block block OB1": (
        op("10.0.2.10", "10.0.1.12", "s7comm", "delete_block", "program", function_code=40, target=BLOCK),
        None,
    ),
    "hmi-1 -> plc-1 modbus unit 1 read_write_multiple_registers/read 4": (
        op("10.0.2.10", "10.0.1.11", function="read_write_multiple_registers", function_code=23, target=registers(4)),
        None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_read(text):
    found = parse_operation(text, POLICY)
    key, value = TEXTS[text]
    if key.protocol == "dnp3":
        key = key._replace(unit=(1, 10))
    assert found == (key, value)
    again = parse_operation(operation_text(*found), POLICY)
    assert again == found


WRONG = {
    "": ("", "a client is missing; write: CLIENT -> SERVER"),
    "10.0.2.11 10.0.1.13 modbus": ("10.0.1.13", "an arrow is missing"),
    "hmi-9 -> plc-1 modbus read_coils": ("hmi-9", "'hmi-9' is neither an address nor an asset; did you mean 'hmi-"),
    "hmi-1 -> plc-1 modbuss 1": ("modbuss", "unknown protocol 'modbuss'; did you mean 'modbus'?"),
    "hmi-1 -> plc-1 modbus unit 300 1": ("300", "'300' is not a unit identifier; write a number from 0 to 255"),
    "hmi-1 -> plc-1 modbus read_coil 3": (
        "read_coil",
        "modbus has no function 'read_coil'; did you mean 'read_coils'?",
    ),
    "hmi-1 -> plc-1 modbus read_coils 9-3": ("9-3", "'9-3' is an empty range; write 3-9"),
    "hmi-1 -> plc-1 modbus read_coils 3 = x": ("x", "'x' is not a number"),
    "hmi-1 -> plc-1 modbus read_coils 3 4": ("4", "'4' is too much"),
    "scada -> rtu-1 dnp3 outstation 10 read": ("outstation", "the master is missing"),
    "scada -> rtu-1 dnp3 master 1 read": ("read", "the outstation is missing"),
    "hmi-1 -> plc-1 modbus diagnostics 3": ("3", "'3': of which address space?"),
    "hmi-1 -> plc-1 modbus read_coils/fly 3": ("read_coils/fly", "unknown access 'fly'"),
    "historian -> plc-1 tcp 70000": ("70000", "'70000' is not a port"),
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_told_with_its_column(text):
    where, wrong = WRONG[text]
    with pytest.raises(TextError) as error:
        parse_operation(text, POLICY)
    assert str(error.value).startswith(f"{text.rindex(where) + 1}: {wrong}")


WORDS = [*["hmi-1", "->", "plc-1", "modbus", "unit", "1", "45", "=", "9-3", "g12", "DB1", "port", "dnp3", "tcp"], '"']


@given(st.text(max_size=60) | st.lists(st.sampled_from(WORDS)).map(" ".join))
def test_any_text_is_read_or_refused(text):
    try:
        key, value = parse_operation(text, POLICY)
    except TextError as error:
        place = error.column
    else:
        place = 1
        assert parse_operation(operation_text(key, value), POLICY).key == key
    assert 1 <= place <= len(text) + 1


def test_every_operation_of_our_captures_survives_as_text():
    captures = sorted(str(path) for path in (ROOT / "captures").glob("*.pcap"))
    for record in analyze(
        captures, policy=None, messages_path=None, jobs=1, progress=None, notice=None
    ).part.operations:
        key = record.key
        text = operation_text(key)
        assert parse_operation(text, POLICY).key == key._replace(initiated_by="client"), text
