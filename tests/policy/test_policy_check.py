"""What `otmon policy check` finds and how it says so: text, JSON and SARIF."""

import json
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from otmon.cli.policy import policy as command
from otmon.model import Target
from otmon.policy.findings import NEED_DATA, RULES
from otmon.policy.lint import look
from otmon.policy.load import load_source
from otmon.policy.replay import Seen
from otmon.policy.usage import Usage
from tests.policy.policy_kit import NOON, connect, op, registers, sightings

ALL_WRONG = """\
otmon: 1
realms: {cell: {}}
zones:
  a: {hosts: [10.0.0.0/24]}
  b: {hosts: [10.0.9.0/24]}
  empty: {}
assets:
  lost: {hosts: [10.9.9.9]}
never:
  - {to: a, operations: [{protocol: s7comm}]}
conduits:
  - id: all
    from: any
    to: a
    allow: [{protocol: modbus, access: read}]
  - id: some
    from: 10.0.0.1
    to: 10.0.0.2
    allow:
      - {protocol: modbus, access: [read, write], addresses: 0-99}
      - {protocol: s7comm, functions: read_var}
      - {protocol: modbus, access: read, units: 1}
      - {protocol: modbus, addresses: 0-9, units: 1, access: write}
      - {protocol: modbus, functions: [read_coils], access: write}
  - {id: wide, from: 10.0.0.1, to: any, allow: [{protocol: s7comm, functions: read_var}]}
  - id: split
    from: 10.0.0.3
    to: 10.0.0.4
    allow:
      - {protocol: modbus, access: write, addresses: 0-9}
      - {protocol: modbus, access: write, addresses: 10-19}
      - {protocol: modbus, access: write, addresses: 5-14}
      - {protocol: tcp, ports: [80, 443]}
      - {protocol: tcp, ports: [443, 80]}
"""
SAYS = [
    "2:10 dead-realm No frame can be in realm cell: it has no VLAN, interface or input.",
    "5:3 unseen-host No host of zone b was ever seen.",
    "6:3 empty-zone Zone empty has no hosts.",
    "8:18 unknown-host 10.9.9.9 is in no zone.",
    "8:18 unseen-host 10.9.9.9 was never seen.",
    "15:13 broad-row Row all is wider than its use: functions read_holding_registers of read operations; "
    "targets addresses 3-4 of any; units 1 of any; from 10.0.0.1 of any; to 10.0.0.2 of a.",
    "20:9 broad-row Row some/1 is wider than its use: functions read_holding_registers of read/write operations; "
    "targets addresses 3-4 of addresses 0-99; units 1 of any.",
    "21:9 contradictory-row Row some/2 can never permit: row never/1 forbids all of it.",
    "21:9 never-hit-row Row some/2 permits nothing that was ever seen.",
    "22:9 broad-row Row some/3 is wider than its use: functions read_holding_registers of read operations; "
    "targets addresses 3-4 of any.",
    "22:9 shadowed-row Row some/3 adds nothing: row all permits all of it.",
    "23:9 never-hit-row Row some/4 permits nothing that was ever seen.",
    "23:9 shadowed-row Row some/4 adds nothing: row some/1 permits all of it.",
    "24:9 empty-row Row some/5 names no operation that could be.",
    "24:9 never-hit-row Row some/5 permits nothing that was ever seen.",
    "25:49 never-hit-row Row wide permits nothing that was ever seen.",
    "25:49 partly-forbidden-row Row wide permits less than it names: row never/1 forbids a part of it.",
    "27:5 unseen-host 10.0.0.3 was never seen.",
    "28:5 unseen-host 10.0.0.4 was never seen.",
    "30:9 never-hit-row Row split/1 permits nothing that was ever seen.",
    "31:9 never-hit-row Row split/2 permits nothing that was ever seen.",
    "32:9 never-hit-row Row split/3 permits nothing that was ever seen.",
    "32:9 shadowed-row Row split/3 adds nothing: rows split/1, split/2 together permit all of it.",
    "33:9 never-hit-row Row split/4 permits nothing that was ever seen.",
    "34:9 duplicate-row Row split/5 means exactly what row split/4 means.",
    "34:9 never-hit-row Row split/5 permits nothing that was ever seen.",
]


def found(text, groups=None):
    source = load_source(text.encode(), "p")
    usage = None
    if groups is not None:
        usage = Usage(source.policy)
        usage.run(groups)
    return [f"{f.line}:{f.column} {f.rule} {f.says}" for f in look(source, usage).findings]


READ = op("10.0.0.1", "10.0.0.2", function_code=3)
SEEN = [(READ, sightings(Seen(registers(3, 4), 7, NOON, NOON)))]


@pytest.mark.parametrize(
    ("host", "unrelated"), [("10.5.0.7", True), ("10.0.0.9", False), ("10.9.9.9", False), ("10.9.9.8", True)]
)
def test_data_of_another_network_are_said_to_be_so_once(host, unrelated):
    """10.9.9.9 is an asset in no zone; what `any` may do is no host of the policy."""
    elsewhere = op("10.77.0.1", host, function_code=3)
    said = found(ALL_WRONG, [(elsewhere, sightings(Seen(registers(3, 4), 7, NOON, NOON)))])
    needs = [line for line in said if line.split()[1] in NEED_DATA]
    says = (
        "unrelated-data The policy names none of the 2 addresses that were seen, and permits nothing of what they did."
    )
    if unrelated:
        assert [line.partition(" ")[2] for line in needs] == [says]
        assert [line for line in said if line not in needs] == found(ALL_WRONG)
    else:
        assert "unrelated-data" not in " ".join(needs)
        assert len(needs) > 9


def test_everything_is_found_at_its_place():
    assert found(ALL_WRONG, SEEN) == SAYS
    assert found(ALL_WRONG) == [says for says in SAYS if says.split()[1] not in NEED_DATA]


def test_what_is_found_in_other_files():
    more = found("otmon: 1\nzones: {z: {hosts: [10.0.0.0/24]}}\n")
    assert more == ["2:9 unreachable-zone No row permits anything from or to zone z."]
    assert found("otmon: 1\n")[0].startswith("1:1 nothing-monitored ")
    fired = {says.split()[1] for says in [*SAYS, *more, *found("otmon: 1\n")]}
    # unrelated-data: above; invalid and tangled-row: below.
    assert fired | {"invalid", "tangled-row", "unrelated-data"} == set(RULES)


def test_what_would_take_too_long_is_said_and_not_guessed(monkeypatch):
    monkeypatch.setattr("otmon.policy.lint_rows.MAX_PIECES", 0)
    says = found(ALL_WRONG)
    assert "32:9 tangled-row Row split/3 meets too many others to say whether it adds anything." in says
    assert not any("shadowed-row Row split/3" in said for said in says)
    # One row that says it all is found all the same.
    assert "23:9 shadowed-row Row some/4 adds nothing: row some/1 permits all of it." in says


@pytest.mark.parametrize(
    ("row", "key", "used"),
    [
        ("{protocol: modbus, functions: [3], units: 1, addresses: 3-4}", READ, None),
        ("{protocol: modbus, functions: [3, 4], units: 1, addresses: 3-4}", READ,
         {"functions": {"allows": "function 3, function 4", "used": "read_holding_registers"}}),
        ("{protocol: modbus, functions: [3], units: 1-2, targets: [{space: holding_register}]}",
         READ, {"targets": {"allows": "all holding registers", "used": "addresses 3-4"},
                "units": {"allows": "1-2", "used": "1"}}),
        ("{protocol: tcp, ports: 80}", connect("10.0.0.1", "10.0.0.2", port=80), None),
        ("{protocol: tcp}", connect("10.0.0.1", "10.0.0.2", port=80), {"ports": {"allows": "any", "used": "80"}}),
        ("{protocol: icmp}", connect("10.0.0.1", "10.0.0.2", "icmp"), None),
    ],
)  # fmt: skip
def test_a_row_is_broad_only_where_it_could_be_tighter(row, key, used):
    rule = f"{{id: x, from: 10.0.0.1, to: 10.0.0.2, allow: [{row}]}}"
    text = f"otmon: 1\nzones: {{z: {{hosts: [10.0.0.0/24]}}}}\nconduits: [{rule}]"
    source = load_source(text.encode(), "p")
    usage = Usage(source.policy)
    usage.run([(key, sightings(Seen(registers(3, 4) if key.protocol == "modbus" else None, 1, NOON, NOON)))])
    findings = [finding for finding in look(source, usage).findings if finding.rule != "unseen-host"]
    assert [finding.used for finding in findings] == ([] if used is None else [used])


def test_a_row_with_a_window_was_used_if_it_was_open_in_between():
    text = """
otmon: 1
timezone: UTC
zones: {z: {hosts: [10.0.0.0/24]}}
conduits:
  - {id: x, from: z, to: z, during: {hours: 14:00-15:00}, allow: [{protocol: s7comm, items: [DB1]}]}
"""
    hour = 3600 * 10**9
    key = op("10.0.0.1", "10.0.0.2", "s7comm", "read_var", function_code=4)
    for last, hit in ((NOON + hour, False), (NOON + 2 * hour, True), (NOON + 9 * hour, True)):
        rules = [says.split()[1] for says in found(text, [(key, sightings(Seen(Target("DB1", 0, 3), 2, NOON, last)))])]
        assert ("never-hit-row" in rules) != hit


# --- the command ------------------------------------------------------------------------------------------------------
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"enum": ["2.1.0"]},
        "runs": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["tool"],
                "additionalProperties": False,
                "properties": {
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "additionalProperties": False,
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name"],
                                "additionalProperties": False,
                                "properties": {
                                    "name": {"type": "string"},
                                    "version": {"type": "string"},
                                    "rules": {
                                        "type": "array",
                                        "uniqueItems": True,
                                        "items": {
                                            "type": "object",
                                            "required": ["id"],
                                            "additionalProperties": False,
                                            "properties": {
                                                "id": {"type": "string"},
                                                "shortDescription": {"$ref": "#/$defs/text"},
                                                "help": {"$ref": "#/$defs/text"},
                                                "defaultConfiguration": {
                                                    "type": "object",
                                                    "additionalProperties": False,
                                                    "properties": {"level": {"$ref": "#/$defs/level"}},
                                                },
                                            },
                                        },
                                    },
                                },
                            }
                        },
                    },
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["message"],
                            "additionalProperties": False,
                            "properties": {
                                "ruleId": {"type": "string"},
                                "ruleIndex": {"type": "integer", "minimum": -1},
                                "level": {"$ref": "#/$defs/level"},
                                "message": {"$ref": "#/$defs/text"},
                                "locations": {"type": "array", "items": {"$ref": "#/$defs/location"}},
                            },
                        },
                    },
                },
            },
        },
    },
    "additionalProperties": False,
    "$defs": {
        "level": {"enum": ["none", "note", "warning", "error"]},
        "text": {
            "type": "object",
            "required": ["text"],
            "additionalProperties": False,
            "properties": {"text": {"type": "string"}},
        },
        "location": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "physicalLocation": {
                    "type": "object",
                    "required": ["artifactLocation"],
                    "additionalProperties": False,
                    "properties": {
                        "artifactLocation": {
                            "type": "object",
                            "additionalProperties": False,
                            "properties": {"uri": {"type": "string", "format": "uri-reference"}},
                        },
                        "region": {
                            "type": "object",
                            "additionalProperties": False,
                            "properties": {
                                "startLine": {"type": "integer", "minimum": 1},
                                "startColumn": {"type": "integer", "minimum": 1},
                            },
                        },
                    },
                }
            },
        },
    },
}
"""The parts of the published schema (OASIS, sarif-schema-2.1.0.json) that are used, with what it requires of them."""


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("wrong.yaml").write_text(ALL_WRONG)
    Path("bad file.yaml").write_text("otmon: 1\nsite: [x]\nzoness: {}\n")
    return lambda *words: CliRunner().invoke(command, ["check", *words], standalone_mode=False)


def test_the_command_says_it_in_lines_and_in_json(run):
    done = run("wrong.yaml")
    lines = done.stdout.splitlines()
    assert done.return_value == 0
    assert lines[0] == f"wrong.yaml:2:10: warning: {SAYS[0].split(' ', 2)[2]} [dead-realm]"
    assert lines[1] == f"    {RULES['dead-realm'].do}"
    assert lines[-1].startswith("wrong.yaml: right (")
    records = json.loads(run("wrong.yaml", "--json").stdout)
    assert [f"{r['line']}:{r['column']} {r['rule']} {r['says']}" for r in records] == found(ALL_WRONG)
    assert records[2] == {
        "rule": "unknown-host", "level": "note", "file": "wrong.yaml", "line": 8, "column": 18,
        "key": "assets.lost.hosts[0]", "says": "10.9.9.9 is in no zone.", "do": RULES["unknown-host"].do,
    }  # fmt: skip


def test_the_command_fails_on_what_it_is_told_to(run):
    Path("notes.yaml").write_text("otmon: 1\nzones: {z: {hosts: [10.0.0.0/24]}}\n")
    codes = [
        run(file, "--fail-on", level).return_value
        for file in ("wrong.yaml", "notes.yaml")
        for level in ("warning", "note")
    ]
    assert codes == [1, 1, 0, 1]


@pytest.mark.parametrize(("file", "code"), [("wrong.yaml", 0), ("bad file.yaml", 2)])
def test_sarif_is_as_its_schema_wants_it(run, file, code):
    done = run(file, "--sarif", "out.sarif")
    written = json.loads(Path("out.sarif").read_text())
    jsonschema.validate(written, SARIF, format_checker=jsonschema.FormatChecker())
    (said,) = written["runs"]
    rules = [rule["id"] for rule in said["tool"]["driver"]["rules"]]
    assert rules == list(RULES)
    assert (done.return_value if done.exception is None else done.exception.code) == code
    assert all(rules[result["ruleIndex"]] == result["ruleId"] for result in said["results"])
    places = [result["locations"][0]["physicalLocation"] for result in said["results"]]
    if code == 2:
        assert [result["ruleId"] for result in said["results"]] == ["invalid", "invalid"]
        assert places[1] == {
            "artifactLocation": {"uri": "bad%20file.yaml"},
            "region": {"startLine": 3, "startColumn": 1},
        }
    else:
        shown = [f"{at['region']['startLine']}:{at['region']['startColumn']}" for at in places]
        assert shown == [says.split()[0] for says in found(ALL_WRONG)]
