"""Explanations and the edits they propose: each is made, loaded, judged and compared."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from otmon.policy.difference import difference
from otmon.policy.edit import Asked, permits, smallest
from otmon.policy.intervals import contains_all
from otmon.policy.load import load_bytes
from otmon.policy.optext import parse_operation
from otmon.policy.why import Explainer
from tests.effort import examples
from tests.policy.policy_kit import NOON
from tests.policy.test_policy_brute_force import cases, load, text_of

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "rules" / "plant.yaml").read_text()
POLICY = load_bytes(TEXT.encode(), "plant.yaml")
WRITE = "10.0.2.11 -> 10.0.1.13 modbus unit 1 write_single_register"


def ask(text, policy=POLICY, ts_ns=NOON):
    key, value = parse_operation(text, policy)
    return Explainer(policy).why(Asked(key, ts_ns, value))


def edit_of(answer, text=TEXT, policy=POLICY):
    near = answer.near[0]
    return smallest(text, "plant.yaml", policy, answer.asked, near.row, near.failing)


LINES = {
    f"{WRITE} 45 = 50": ("Row scada-polls-plcs/3 permits it.", []),
    "8.8.8.8 -> 9.9.9.9 tcp 80": ("Neither host is in a monitored zone.", []),
    "10.0.2.11 -> 10.0.2.255 udp 137": ("It is broadcast or discovery (chatter), which the policy permits.", []),
    f"{WRITE} 45 = 900": (
        "Its value is outside what the rows that permit it allow.",
        ["value: allows 0-100, 800 beyond"],
    ),
    f"{WRITE} 48-51": ("No row permits it.", ["target: allows addresses 40-49, 2 outside"]),
    "10.0.2.11 -> 10.0.1.13 modbus unit 3 read_input_registers 4": ("No row permits it.", ["unit: allows 1, 2 beyond"]),
    "hmi-1 -> plc-2 s7comm plc_stop": ("No row permits it.", ["function: allows s7comm read_var"]),
    "historian -> plc-1 modbus unit 1 write_single_register 3": (
        "Row historian-only-reads forbids it: the office can reach the historian.",
        [],
    ),
}


@pytest.mark.parametrize("text", LINES)
def test_what_is_said(text):
    answer = ask(text)
    because, lacks = LINES[text]
    found = [lack.text() for near in answer.near[:1] for lack in near.lacks]
    assert (answer.because, found) == (because, lacks)


EDITS = {
    f"{WRITE} 45 = 900": ["        values: [0-100, 900]"],
    f"{WRITE} 48-51": ["        addresses: 40-51"],
    f"{WRITE} 45-46 = 900": ["        values: [0-100, 900]"],
    "10.0.2.11 -> 10.0.1.11 modbus unit 1 read_holding_registers 300-309": [
        "      - {protocol: modbus, functions: [read_holding_registers], units: 1, addresses: [0-19, 300-309]}"
    ],
    "hmi-1 -> plc-2 s7comm read_var DB7.DBW4": [
        "      - {protocol: s7comm, functions: [read_var], items: [DB1.DBB0-63, DB2.DBB0-15, DB7.DBB4-5]}"
    ],
    "scada -> rtu-1 dnp3 master 1 outstation 10 operate g12 5": [
        "      - {protocol: dnp3, functions: [select, operate], master: 1, outstation: 10, objects: [g12 3, g12 5]}"
    ],
    "hmi-1 -> plc-2 s7comm plc_stop": ["      - {protocol: s7comm, functions: [plc_stop]}"],
    "10.0.3.50 -> plc-1 tcp 80": [
        "  - id: allowed-1",
        "    from: office-workstation",
        "    to: plc-1",
        "    allow:",
        "      - {protocol: tcp, ports: 80}",
    ],
}


@pytest.mark.parametrize("text", EDITS)
def test_an_edit_touches_nothing_else(text):
    edit = edit_of(ask(text))
    diff = edit.diff(TEXT, "plant.yaml").splitlines()[2:]
    assert [line[1:] for line in diff if line.startswith("+")] == EDITS[text]
    assert sum(line.startswith("-") for line in diff) == (not edit.what.startswith("add"))
    assert permits(load_bytes(edit.text.encode(), "p"), ask(text).asked)


def test_what_a_never_row_forbids_has_no_edit():
    answer = ask("historian -> plc-1 modbus unit 1 write_single_register 3")
    assert answer.forbidden
    assert smallest(TEXT, "plant.yaml", POLICY, answer.asked, None, frozenset()) is None


PLANT = "zones: {plant: {hosts: [10.0.0.0/24]}}\n"
STYLES = {
    "a file without conduits": f"otmon: 1\n{PLANT.rstrip()}",
    "conduits in one line": f"otmon: 1\n{PLANT}"
    "conduits: [{id: a, from: any, to: 10.0.0.9, allow: [{protocol: modbus, units: 9}]}]\n",
    "no list yet": f"otmon: 1\nconduits: []\n{PLANT}",
    "dashes at the edge": "otmon: 1\nconduits:\n- id: a # here\n  from: any\n  to: 10.0.0.9\n  allow:\n"
    f"  - protocol: modbus\n    units: 9 # nine\n{PLANT}",
    "rows in a zone, CRLF": "otmon: 1\r\nzones:\r\n  plant:\r\n    hosts: [10.0.0.0/24]\r\n"
    "    allow:\r\n      - {protocol: modbus, units: 9}\r\n",
}


@pytest.mark.parametrize("text", STYLES.values(), ids=STYLES)
@pytest.mark.parametrize("words", ["unit 1 read_coils 7", "unit 9 write_single_coil 3", "port 5020 unit 9 read_coils"])
def test_files_of_every_style_can_be_edited(text, words):
    policy = load_bytes(text.encode(), "p")
    for server in ("10.0.0.2", "10.0.0.9"):
        answer = ask(f"10.0.0.1 -> {server} modbus {words}", policy)
        near = answer.near[0] if answer.near else None
        if not answer.permit:
            edit = smallest(text, "p", policy, answer.asked, near and near.row, near.failing if near else frozenset())
            assert permits(load_bytes(edit.text.encode(), "p"), answer.asked)
            assert text.count("#") == edit.text.count("#"), "comments stay"


@settings(max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases)
def test_whatever_is_denied_and_not_forbidden_can_be_permitted_and_no_more_than_said(case):
    spec, keys = case
    policy = load(spec)
    explainer = Explainer(policy)
    text = text_of(spec)
    for key in keys[:6]:
        answer = explainer.why(Asked(key, NOON, None))
        assert answer.permit == policy.judge(key, NOON).permit
        if answer.permit or answer.forbidden:
            continue
        near = answer.near[0] if answer.near else None
        edit = smallest(text, "p", policy, answer.asked, near and near.row, near.failing if near else frozenset())
        changed = load_bytes(edit.text.encode(), "p")
        assert changed.judge(key, NOON).permit
        changes = difference(policy, changed).changes
        assert all(change.allowed for change in changes), "nothing is lost"
        if edit.what.startswith("add conduit"):
            box = explainer.axes.box(key, NOON)
            for change in changes:
                assert all(
                    contains_all(box[1], side.client) and contains_all(box[2], side.server) for side in change.boxes
                )
