"""Explanations and the edits they propose: each is made, loaded, judged and compared."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from otmon.model import OperationKey
from otmon.policy.asked import Asked, permits
from otmon.policy.difference import difference
from otmon.policy.edit import smallest
from otmon.policy.intervals import contains_all
from otmon.policy.lint_rows import Lint
from otmon.policy.load import load_bytes
from otmon.policy.optext import parse_operation
from otmon.policy.rows import joins
from otmon.policy.why import Explainer
from otmon.policy.words import TextError
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
    # The conduit beside it is of three controllers.
    "historian -> plc-1 modbus unit 1 read_coils 3": [
        "  - id: allowed-1",
        "    from: historian",
        "    to: plc-1",
        "    allow:",
        "      - {protocol: modbus, functions: [read_coils], units: 1, addresses: 3}",
    ],
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


WIDENED = {
    "objects: [g12 3]": ("scada -> rtu-1 dnp3 master 1 outstation 10 operate g12 4-5", "objects: [g12 3-5]"),
    "items: [DB1.DBB0-63, DB2.DBB0-15]": (
        "hmi-1 -> plc-2 s7comm read_var DB1.DBW64",
        "items: [DB1.DBB0-65, DB2.DBB0-15]",
    ),
}


@pytest.mark.parametrize("before", WIDENED)
def test_what_goes_on_from_an_item_is_that_item_made_longer(before):
    text, after = WIDENED[before]
    edit = edit_of(ask(text))
    assert edit.text.count(after) == TEXT.count(before) == 1


def test_for_whom_else_a_row_is_widened_is_said():
    text = "hmi-2 -> plc-1 modbus unit 1 read_holding_registers 300-309"
    assert edit_of(ask(text)).what == "widen row panels-read-plc-1, for all of role operator-panel -> plc-1"


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


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases)
def test_the_row_that_an_alert_names_is_the_nearest(case):
    spec, keys = case
    policy = load(spec)
    explainer = Explainer(policy)
    empty = {found.row for found in Lint(policy).rows() if found.rule == "empty-row"}
    for key in keys:
        answer = explainer.why(Asked(key, NOON, None))
        if not answer.permit and not answer.forbidden:
            first = answer.near[0].row.id if answer.near else None
            # Targets of a row that names nothing but what each row brings with it mean nothing.
            plain = {near.row.id for near in answer.near if near.row.plainest}
            assert answer.verdict.nearest == first or {answer.verdict.nearest, first} & (empty | plain)
            assert not any({"client", "server"} <= near.failing for near in answer.near)
            weights = [near.weight for near in answer.near if joins(near.row, key)]
            assert weights == sorted(weights), "those of the protocol come first, the nearest of them first"
            assert all(joins(near.row, key) for near in answer.near[: len(weights)])


def test_of_a_scan_that_some_ports_are_allowed_brings_no_row_nearer():
    """Alerts and explain name the same row: a scan is no connection, and is one of all ports."""
    engineers = {"role": "engineers"}
    spec = {
        "conduits": [
            {"from": engineers, "to": "any", "allow": [{"protocol": "tcp", "ports": [80]}]},
            {"from": "any", "to": engineers, "allow": [{"protocol": "tcp"}], "during": {"days": ["tue"]}},
        ],
        "never": [],
        "office": False,
        "cell": None,
    }
    host = "10.0.0.1"
    scan = OperationKey("default", host, host, "tcp", None, "tcp", None, None, "scan", "connect", None, "client")
    answer = Explainer(load(spec)).why(Asked(scan, NOON, None))
    assert [near.row.id for near in answer.near] == ["c1", "c0"]
    assert answer.verdict.nearest == "c1"


PERMITS = TEXT.replace(
    "conduits:\n",
    """conduits:
  - id: works
    from: office
    to: plc-1
    during: {permit: required, days: [mon], hours: 06:00-18:00}
    allow:
      - {protocol: modbus, access: [write], addresses: 0-9}
""",
)
WORK = "10.0.3.50 -> plc-1 modbus unit 1 write_single_register"


def test_a_row_that_waits_for_a_permit_is_named_and_what_opens_it_is_a_permit():
    policy = load_bytes(PERMITS.encode(), "p")
    answer = ask(f"{WORK} 5 = 900", policy)
    assert answer.verdict.nearest == answer.near[0].row.id == "works"
    assert [lack.text() for lack in answer.near[0].lacks] == ["time: allows it only mon 06:00-18:00 with a permit"]
    assert answer.opens == "works"
    assert permits(policy.opened(), answer.asked)
    # On Sunday no permit opens it.
    assert ask(f"{WORK} 5 = 900", policy, NOON - 86_400 * 10**9).opens is None


def test_what_is_too_wide_for_a_permit_is_given_to_the_row_that_waits_for_it():
    policy = load_bytes(PERMITS.encode(), "p")
    answer = ask(f"{WORK} 12 = 900", policy)
    assert answer.opens is None
    near = answer.near[0]
    edit = smallest(PERMITS, "p", policy, answer.asked, near.row, near.failing - {"time"}, near.by_permit)
    assert "addresses: [0-9, 12]" in edit.text
    changed = load_bytes(edit.text.encode(), "p")
    assert not permits(changed, answer.asked)
    assert permits(changed.opened(), answer.asked)


IMPOSSIBLE = {
    f"{WRITE} 45 = 99999": "99999 does not fit into a holding_register; write a whole number from 0 to 65535",
    f"{WRITE} 45 = -1": "-1 does not fit",
    f"{WRITE} 45 = 1.5": "1.5 does not fit",
    f"{WRITE} 45 = nan": "nan does not fit",
    "10.0.2.11 -> 10.0.1.13 modbus unit 1 write_single_coil 3 = 2": "2 does not fit into a coil",
    "10.0.2.11 -> 10.0.1.13 modbus unit 1 read_coils 70000": "no coil has PDU address 70000; write 0 to 65535",
    "10.0.2.11 -> 10.0.1.13 modbus unit 1 read_coils 65535-65536": "no coil has PDU address 65536",
}


@pytest.mark.parametrize("text", IMPOSSIBLE)
def test_what_no_pdu_can_say_is_an_error(text):
    with pytest.raises(TextError, match=re.escape(IMPOSSIBLE[text])):
        parse_operation(text, POLICY)


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
        if edit.what.startswith("add"):
            box = explainer.axes.box(key, NOON)
            for change in changes:
                assert all(
                    contains_all(box[1], side.client) and contains_all(box[2], side.server) for side in change.boxes
                )


def test_what_means_something_in_one_protocol_alone_is_not_told_of_another():
    answer = ask("hmi-2 -> plc-3 udp 137")
    assert [near.row.protocol for near in answer.near] == ["modbus"] * 3
    assert {lack.axis for near in answer.near for lack in near.lacks} == {"function"}


def test_a_link_address_that_was_not_said_is_not_measured_and_an_outstation_is_no_unit():
    lacks = [lack.text() for lack in ask("scada -> rtu-1 dnp3 cold_restart").near[0].lacks]
    assert lacks[1:] == ["master: allows 1", "outstation: allows 10"]
