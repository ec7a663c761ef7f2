"""`otmon policy diff|explain|test|replay`: exit codes, errors all at once, records, annotations, JUnit."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import pytest

from otmon.cli import run
from otmon.site.part import Part
from otmon.site.site import Site
from otmon.store.database import write_database
from tests.policy.policy_kit import op, registers
from tests.policy.test_policy_learn import record

ROOT = Path(__file__).parents[2]
PLANT = ROOT / "rules" / "plant.yaml"


@pytest.fixture
def edited(tmp_path: Path) -> Path:
    path = tmp_path / "edited.yaml"
    path.write_text(PLANT.read_text().replace("values: 0-100", "values: 0-120"))
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("commands") / "out"
    assert run(["analyze", str(ROOT / "captures" / "plant.pcap"), "--policy", str(PLANT), "--out", str(folder)]) == 0
    return folder


def otmon(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run(["policy", *map(str, words)])
    return code, *capsys.readouterr()


def test_two_files_that_mean_the_same_say_nothing(capsys, tmp_path):
    same = tmp_path / "same.yaml"
    same.write_text("# signed\n" + PLANT.read_text().replace("addresses: 0-19", "addresses: [0-9, 10-19]"))
    assert otmon(capsys, "diff", PLANT, same) == (0, "", "")
    assert otmon(capsys, "diff", PLANT, same, "--json") == (0, "[]\n", "")


def test_a_difference_as_records(capsys, edited, data):
    code, out, _ = otmon(capsys, "diff", PLANT, edited, "--json", "--data", data)
    (record,) = json.loads(out)
    assert code == 1
    assert (record["change"], record["row"], record["exact"]) == ("allowed", "scada-polls-plcs/3", True)
    assert record["operations"][0]["values"] == "above 100 and up to 120"
    assert record["seen"] == {"operations": 0, "times": 0}


def test_a_conduit_that_waits_for_a_permit_is_a_difference_and_is_counted_as_if_it_were_given(capsys, tmp_path, data):
    waits = tmp_path / "waits.yaml"
    conduit = "  - {id: works, from: historian, to: control, during: {permit: required}, allow: [{protocol: modbus}]}"
    stops = "  - {id: stops, from: any, to: plc-2, during: {permit: required}, allow: [{protocol: s7comm}]}"
    waits.write_text(PLANT.read_text().replace("conduits:\n", f"conduits:\n{conduit}\n{stops}\n"))
    code, out, _ = otmon(capsys, "diff", PLANT, waits, "--json", "--data", data)
    works, stop = json.loads(out)
    assert code == 1
    assert (works["change"], works["row"], stop["row"]) == ("allowed", "works", "stops")
    assert {box["when"] for record in (works, stop) for box in record["operations"]} == {"with a permit"}
    # A never row keeps forbidding the write that the capture holds; the stop would be permitted.
    assert works["seen"]["operations"] == 0
    assert stop["seen"]["operations"] >= 1
    code, out, _ = otmon(capsys, "reach", waits, "* -> plc-2 s7comm plc_stop")
    assert "stops: any but historian -> plc-2: s7comm plc_stop, with a permit" in out


def test_reach_says_of_whom_nothing_is_known_and_each_seen_thing_once(capsys, data):
    out = otmon(capsys, "reach", PLANT, "* -> 10.0.1.99 modbus", "--data", data)[1]
    assert "unknown: server 10.0.1.99 was never seen" in out
    record = json.loads(otmon(capsys, "reach", PLANT, "* -> 10.0.1.99 modbus", "--data", data, "--json")[1])[-1]
    assert (record["kind"], record["asked"]) == ("unknown", "10.0.1.99")
    out = otmon(capsys, "reach", PLANT, "* -> rtu-1 read", "--data", data)[1]
    seen = [line.split(", ")[0] for line in out[out.index("Seen:") :].splitlines()[1:]]
    assert len(seen) == len(set(seen)) > 0


@pytest.mark.parametrize("command", [["diff"], ["replay", "--data", "nowhere", "--against"]])
def test_errors_of_both_policies_are_told_together(capsys, tmp_path, command):
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(
            "otmon: 1\nzone: {}\nconduits: [{id: x, from: any, to: any, allow: [{protocol: modbuss}]}]\n"
        )
    code, out, err = otmon(capsys, *command, tmp_path / "a.yaml", tmp_path / "b.yaml")
    assert (code, out) == (2, "")
    assert err.count(":2:1: zone: unknown key 'zone'; did you mean 'zones'?") == 2
    assert err.count("'modbuss' is not known here; did you mean 'modbus'?") == 2


def test_explain_as_records_and_its_errors(capsys, data):
    code, out, _ = otmon(capsys, "explain", PLANT, "hmi-1 -> plc-2 s7comm plc_stop", "--json")
    (record,) = json.loads(out)
    assert (code, record["permit"], record["kind"], record["near"][0]["row"]) == (
        0,
        False,
        "command",
        "hmi-1-runs-plc-2/1",
    )
    assert record["diff"].startswith(f"--- {PLANT}\n+++ {PLANT}\n@@ ")
    for words, wrong in (
        (["hmi-1 -> plc-2 s7comm plc_sto"], "operation:23: s7comm has no function 'plc_sto'; did you mean 'plc_stop'?"),
        (["0b949d1bdc"], "(to explain an alert, say where it is: --data DIR)"),
        (["0b949d1bff", "--data", data], "no alert '0b949d1bff'"),
        (["hmi-1 -> plc-2 icmp", "--at", "noon"], "--at: 'noon' is not a time; write 2026-03-02T03:00"),
    ):
        code, out, err = otmon(capsys, "explain", PLANT, *words)
        assert (code, out) == (2, "")
        assert wrong in err


def test_an_operation_can_be_explained_beside_data(capsys, data):
    words = "10.0.3.50 -> plc-1 tcp 80"
    assert otmon(capsys, "explain", PLANT, words, "--data", data) == otmon(capsys, "explain", PLANT, words)


def test_every_alert_of_an_analysis_can_be_explained(capsys, data):
    capsys.readouterr()
    assert run(["alerts", "list", str(data), "--json"]) == 0
    alerts = json.loads(capsys.readouterr().out)
    assert {alert["kind"] for alert in alerts} == {"command", "segmentation", "value"}
    for alert in alerts:
        code, out, _ = otmon(capsys, "explain", PLANT, alert["id"][:8], "--data", data, "--json")
        answers = json.loads(out)
        assert (code, [answer["permit"] for answer in answers]) == (0, [False] * len(answers))
        assert answers[0]["row"] == alert["row"]
        if alert["row"] is None:
            assert answers[0]["kind"] == alert["kind"]
            assert answers[0]["diff"]


def test_failures_as_text_annotations_junit_and_records(capsys, tmp_path, edited):
    tests = tmp_path / "edited.test.yaml"
    tests.write_text((ROOT / "rules" / "plant.test.yaml").read_text().replace("2026-02-11", "50% <&>"))
    code, out, _ = otmon(capsys, "test", tmp_path, "--junit", tmp_path / "r.xml")
    assert code == 1
    assert out.splitlines()[-1] == "4 tests in 1 file: 1 failed"
    code, out, _ = otmon(capsys, "test", tests, "--github")
    assert code == 1
    assert out.startswith(f"::error file={tests},line=8,col=5,title=policy test::hmi-2 -> plc-3 modbus")
    suite = ElementTree.parse(tmp_path / "r.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("4", "1")
    assert [case.get("line") for case in suite if len(case)] == ["8"]
    code, out, _ = otmon(capsys, "test", tests, "--json")
    assert [record["passed"] for record in json.loads(out)] == [True, False, True, True]


WRONG = """otmon-test: 1
test: 3
tests:
  - {operation: hmi-2 -> plc-3 modbus unit 1 read_coils 3, expects: deny}
  - operation: [1]
    expect: deny
"""
WRONGER = """otmon-test: 1
policy: plant.yaml
at: noon
tests:
  - {operation: hmi-2 -> plc-3 modbus unit 1 read_coil 3, expect: deny, at: 2026-03-02T10:00}
  - {operation: hmi-2 -> plc-3 modbus unit 1 read_coils 3, expect: scada-polls-plc/1}
"""


def test_everything_wrong_in_a_test_file_is_told_at_once(capsys, tmp_path):
    (tmp_path / "plant.yaml").write_text(PLANT.read_text())
    (tmp_path / "plant.test.yaml").write_text(WRONG)
    (tmp_path / "more.test.yaml").write_text(WRONGER)
    (tmp_path / "lost.test.yaml").write_text("otmon-test: 1\ntests: []\n")
    (tmp_path / "newer.test.yaml").write_text("otmon-test: 2\ntests: []\n")
    code, out, err = otmon(capsys, "test", tmp_path)
    assert (code, out) == (2, "")
    for line in (
        "plant.test.yaml:2:1: test: unknown key 'test'; did you mean 'tests'?",
        "plant.test.yaml:4:60: tests[0].expects: unknown key 'expects'; did you mean 'expect'?",
        "plant.test.yaml:4:5: tests[0].expect: missing; write the id of the row that decides, `permit` or `deny`",
        "plant.test.yaml:5:5: tests[1].operation: '[1]' is not text",
        "more.test.yaml:5:6: tests[0].operation: character 30: modbus has no function 'read_coil'; did you mean",
        "more.test.yaml:3:1: at: 'noon' is not a time; write 2026-03-02T10:00",
        "more.test.yaml:6:60: tests[1].expect: no row 'scada-polls-plc/1' in",
        "lost.test.yaml:1:1: no policy",
        "newer.test.yaml:1:1: otmon-test: format 2 of a file of tests: this otmon ",
    ):
        assert line in err, err


def test_a_policy_with_windows_wants_to_know_when(capsys, tmp_path):
    text = PLANT.read_text().replace(
        "    to: [plc-2, plc-3]\n    allow:", "    to: [plc-2, plc-3]\n    during: {days: mon}\n    allow:"
    )
    (tmp_path / "p.yaml").write_text(text)
    test = "  - {operation: engineering-station -> plc-2 s7comm read_szl, expect: WHAT}\n"
    path = tmp_path / "p.test.yaml"
    path.write_text("otmon-test: 1\ntests:\n" + test.replace("WHAT", "deny"))
    code, _, err = otmon(capsys, "test", tmp_path)
    assert (code, "missing: the policy has windows of time; write 2026-03-02T10:00" in err) == (2, True)
    for day, expect in (("2026-03-02", "permit"), ("2026-03-03", "deny")):
        path.write_text(f"otmon-test: 1\nat: {day}\ntests:\n" + test.replace("WHAT", expect))
        assert otmon(capsys, "test", tmp_path)[0] == 0


def test_no_tests_is_an_error(capsys, tmp_path):
    assert otmon(capsys, "test", tmp_path)[0] == 2
    assert otmon(capsys, "test", tmp_path / "nowhere")[2] == f"otmon: error: {tmp_path}/nowhere: no such file\n"


def test_replay_as_tables_and_records(capsys, edited, data):
    code, out, _ = otmon(capsys, "replay", PLANT, "--data", data)
    assert code == 0
    assert "49 operations: 5 would have been denied." in out
    records = json.loads(otmon(capsys, "replay", PLANT, "--data", data, "--json")[1])
    assert sum(record["operations"] for record in records) == 49
    assert sum(record["operations"] for record in records if record["verdict"] == "deny") == 5
    code, out, _ = otmon(capsys, "replay", edited, "--data", data, "--against", PLANT)
    assert (code, out) == (0, "0 of 49 operations change.\n")


def test_replay_says_that_nothing_was_judged(capsys, data, tmp_path):
    elsewhere = tmp_path / "elsewhere.yaml"
    elsewhere.write_text(Path(PLANT).read_text().replace("10.0.", "10.77."))
    said = "No row decided about any of them: the hosts are in no monitored zone, or all is chatter.\n"
    out = otmon(capsys, "replay", str(elsewhere), "--data", data)[1]
    assert out.endswith(f"49 operations: 0 would have been denied.\n{said}")
    assert said not in otmon(capsys, "replay", PLANT, "--data", data)[1]


def test_a_missing_choice_is_one_line(capsys):
    """click lists choices one a line, behind tabs."""
    code, out, err = otmon(capsys, "compile", PLANT)
    wrong = "otmon: error: Missing option '--to'. Choose from: nftables, cisco-acl, suricata, zeek\n"
    assert (code, out, err) == (2, "", wrong)


def test_one_is_told_as_one(capsys, edited, tmp_path):
    key = op("10.0.2.11", "10.0.1.13", "modbus", "write_single_register", "write", target=registers(45))
    write_database(tmp_path / "site.db", Site(Part(operations=[record(key)])), [])
    out = otmon(capsys, "replay", PLANT, "--data", tmp_path)[1]
    assert "\n1 operation: 0 would have been denied.\n1 was permitted by rows that limit values;" in out
    edited.write_text(PLANT.read_text().replace("addresses: 40-49", "addresses: 40-44"))
    assert "1 of 1 operation changes.\n" in otmon(capsys, "replay", edited, "--data", tmp_path, "--against", PLANT)[1]
    out = otmon(capsys, "coverage", PLANT, "--data", tmp_path)[1]
    assert out.endswith("1 operation needs a row: 100.0 % / 100.0 % is held to its addresses.\n")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("alerts", ["alerts", "list", "{}"]),
        ("alerts", ["alerts", "ack", "0b949d1b", "{}", "--by", "A. Mayer"]),
        ("audit_by_action", ["permit", "list", "{}"]),
        ("audit_by_action", ["policy", "explain", PLANT, "0b949d1b", "--data", "{}"]),
        ("operation_rows", ["policy", "replay", PLANT, "--data", "{}"]),
        ("operation_rows", ["hunt", "* -> *", "--data", "{}"]),
    ],
)
def test_a_damaged_database_is_one_line(capsys, data, tmp_path, table, words):
    damaged = tmp_path / "site.db"
    raw = bytearray((data / "site.db").read_bytes())
    with closing(sqlite3.connect(data / "site.db")) as db:
        (size,) = db.execute("PRAGMA page_size").fetchone()
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    raw[size * (root - 1) : size * root] = b"\xaa" * size
    damaged.write_bytes(raw)
    capsys.readouterr()
    assert run([str(word).format(damaged) for word in words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"otmon: error: {damaged}: is damaged (")
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", ["a\n::error::b", "a\x1bb", os.fsdecode(b"a\xff"), "a,b:c%"])
def test_names_and_texts_of_any_kind_break_no_report(capsys, tmp_path, name):
    tests = tmp_path / f"{name}.test.yaml"
    (tmp_path / f"{name}.yaml").write_text(PLANT.read_text())
    tests.write_text(
        'otmon-test: 1\ntests:\n  - {operation: "hmi-1 -> plc-2 s7comm plc_stop block \\"\\e\\n::x\\"", expect: permit}'
    )
    report = tmp_path / "report.xml"
    for words, lines in ((["--github"], 1), (["--junit", report], 3)):
        code, out, _ = otmon(capsys, "test", tests, *words)
        assert (code, out.count("\n")) == (1, lines)
        assert out.replace("\n", "").isprintable()
        assert not any(line.startswith("::") for line in out.splitlines()[lines == 1 :])
    assert len(list(ElementTree.parse(report).iter("failure"))) == 1
