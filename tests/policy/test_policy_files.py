"""The files in rules/: schema, demo plant; and what `otmon policy check` finds."""

import json
from pathlib import Path

import jsonschema
import pytest

from otmon.model import Op, Target
from otmon.policy import check, load_policy
from otmon.policy.errors import PolicyError
from otmon.policy.reader import parse
from otmon.policy.schema import schema, schema_text
from tests.policy.policy_kit import NOON, connect, op, policy, registers
from tests.policy.test_policy_verdicts import STOP, WATER, WRITE

RULES = Path(__file__).parents[2] / "rules"
VALID = jsonschema.Draft202012Validator(schema())


def test_schema_is_current():
    written = (RULES / "otmon.schema.json").read_text(encoding="utf-8")
    assert written == schema_text(), "run: python -m otmon.policy.schema rules/otmon.schema.json"
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("text", [WATER, (RULES / "plant.yaml").read_text(encoding="utf-8")], ids=["water", "plant"])
def test_schema_accepts_what_loads(text):
    VALID.validate(parse(text.encode(), "p").data)


@pytest.mark.parametrize(
    "text",
    [
        "otmon: 2",
        "otmon: 1\nzone: {}",
        "otmon: 1\nzones: {a: {host: x}}",
        "otmon: 1\nconduits: [{id: x, to: any, allow: []}]",
        "otmon: 1\nconduits: [{id: x, from: any, to: {rule: x}, allow: []}]",
        "otmon: 1\nconduits: [{id: x, from: any, to: any, allow: [{protocol: modbus, addresses: [x]}]}]",
        "otmon: 1\nconduits: [{id: x, from: any, to: any, during: {days: [mo]}, allow: []}]",
    ],
)
def test_schema_refuses_what_does_not_load(text):
    with pytest.raises(PolicyError):
        policy(text)
    with pytest.raises(jsonschema.ValidationError):
        VALID.validate(parse(text.encode(), "p").data)


def test_check_finds_what_cannot_have_been_meant(tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text(
        json.dumps(
            {
                "otmon": 1,
                "realms": {"cell": {}},
                "zones": {"a": {"hosts": ["10.0.0.0/24"]}, "empty": {}},
                "never": [{"to": "a", "operations": [{"protocol": "s7comm"}]}],
                "conduits": [
                    {"id": "all", "from": "any", "to": "a", "allow": [{"protocol": "modbus", "access": "read"}]},
                    {
                        "id": "some",
                        "from": "10.0.0.1",
                        "to": "10.0.0.2",
                        "allow": [
                            {"protocol": "modbus", "access": "read", "units": 1},
                            {"protocol": "modbus", "access": "write", "units": 1},
                            {"protocol": "s7comm", "functions": "read_var"},
                        ],
                    },
                ],
            }
        )
    )
    summary = check(file)
    assert summary[:6] == (2, 0, 2, 4, 1, 0)
    assert {finding.says for finding in summary.findings if finding.level == "warning"} == {
        "Zone empty has no hosts.",
        "No frame can be in realm cell: it has no VLAN, interface or input.",
        "Row some/1 adds nothing: row all permits all of it.",
        "Row some/3 can never permit: row never/1 forbids all of it.",
    }
    assert check(RULES / "plant.yaml").findings == ()


def test_the_demo_plant():
    plant = load_policy(RULES / "plant.yaml")
    names = ("plc-1", "plc-2", "plc-3", "rtu-1", "hmi-1", "hmi-2", "scada", "historian", "engineering", "office-pc")
    hosts = dict(
        zip(names, ("1.11", "1.12", "1.13", "1.21", "2.10", "2.11", "2.12", "2.20", "2.30", "3.50"), strict=True)
    )
    at = {name: f"10.0.{host}" for name, host in hosts.items()}
    ordinary = [
        op(at["hmi-1"], at["plc-1"], target=registers(0, 19)),
        op(at["hmi-1"], at["plc-1"], function="write_single_coil", access="write", target=registers(3, 5, "coil")),
        op(at["hmi-1"], at["plc-2"], "s7comm", "setup_communication"),
        op(at["hmi-1"], at["plc-2"], "s7comm", "read_var", target=Target("DB2", 0, 15)),
        op(at["hmi-1"], at["plc-2"], "s7comm", "write_var", "write", target=Target("DB1", 32, 47)),
        op(at["hmi-2"], at["plc-3"], target=registers(0, 9, "input_register"), function="read_input_registers"),
        op(at["historian"], at["plc-3"], target=registers(0, 49)),
        op(at["engineering"], at["plc-2"], "s7comm", "read_szl", "identify", target=Target("szl", 0x1C, 0x1C)),
        op(at["engineering"], at["plc-3"], function="read_device_identification", access="identify"),
        op(at["scada"], at["rtu-1"], "dnp3", "read", target=Target("g60", name="class 0")),
        op(at["scada"], at["rtu-1"], "dnp3", "write", "write", target=Target("g80", 7, 7)),
        op(at["scada"], at["rtu-1"], "dnp3", "operate", "control", target=Target("g12", 3, 3)),
        op(at["scada"], at["rtu-1"], "dnp3", "unsolicited_response", initiated_by="server"),
        op(at["scada"], at["rtu-1"], "dnp3", "confirm"),
        connect(at["scada"], at["rtu-1"], port=20000),
        connect(at["office-pc"], "10.0.3.5", port=80),
        connect(at["office-pc"], "10.0.3.5", "udp", 53),
        connect(at["office-pc"], "10.0.3.5", "icmp"),
        connect(at["office-pc"], "224.0.0.251", "udp", 5353),
    ]
    for key in ordinary:
        assert plant.judge(key, NOON).permit, key
    violations = [
        (op(at["historian"], at["plc-1"], **WRITE, target=registers(10)), "command"),
        (connect(at["office-pc"], at["plc-1"], port=80), "segmentation"),
        (op(at["hmi-1"], at["plc-2"], **STOP), "command"),
        (op(at["scada"], at["rtu-1"], "dnp3", "cold_restart", "control"), "command"),
        (op(at["hmi-2"], at["plc-1"], target=registers(300, 309)), "command"),
    ]
    for key, kind in violations:
        verdict = plant.judge(key, NOON)
        assert (verdict.permit, verdict.kind) == (False, kind), key
        assert verdict.separation is not None
    dosing = op(at["hmi-2"], at["plc-3"], **WRITE, target=registers(45))
    assert plant.judge(dosing, NOON).bounds == (0, 100)
    verdict = plant.judge_values(dosing, [(Op(6, WRITE["function"], "write", 1, registers(45)), 900.0)], NOON)
    assert (verdict.kind, verdict.separation) == ("value", "Row scada-polls-plcs allows 0-100 there.")


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        ("{protocol: ip, numbers: [4, 256]}", "256 cannot occur in `numbers`"),
        ("{protocol: ip, numbers: [50, 6]}", "`ip` is every other protocol, 6 is tcp"),
        ("{protocol: tcp, ports: [80, 70000]}", "70000 cannot occur in `ports`"),
        ("{protocol: modbus, units: [256]}", "256 cannot occur in `units`"),
        ("{protocol: modbus, addresses: [0-65536]}", "65536 cannot occur in `addresses`"),
        ("{protocol: dnp3, outstation: 65536}", "65536 cannot occur in `outstation`"),
    ],
)
def test_numbers_that_no_packet_holds(row, wrong):
    with pytest.raises(PolicyError) as caught:
        policy(f"otmon: 1\nconduits: [{{id: x, from: any, to: any, allow: [{row}]}}]")
    assert wrong in str(caught.value)


@pytest.mark.parametrize("key", ["addresses", "values", "units", "port", "functions", "hours"])
def test_digits_of_other_scripts_are_no_numbers(key):
    text = """
        otmon: 1
        timezone: UTC
        zones:
          control: {hosts: [10.0.1.0/24]}
        conduits:
          - id: a
            from: control
            to: control
            during: {hours: 08:00-17:00}
            allow: [{protocol: modbus, KEY: 0-1}]
    """
    plain, number = ("08:00-17:00", "٠٨:٠٠-١٧:٠٠") if key == "hours" else ("KEY: 0-1", f"{key}: ٠-١")
    with pytest.raises(PolicyError, match=r"[٠-٩]"):
        policy(text.replace(plain, number).replace("KEY", "addresses"))
