"""`otmon alerts accept` end to end on the demo: what was accepted is gone, and nothing else changed."""

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from otmon.cli import answer, run
from otmon.cli.common import Stop
from otmon.policy.alerted import asked
from otmon.policy.difference import difference
from otmon.policy.load import load_policy

ROOT = Path(__file__).parents[2]
CAPTURE = ROOT / "captures" / "plant.pcap"
APPROVED = ("--until", "2027-03-01", "--ticket", "OT-118", "--by", "A. Mayer")


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's policy, its tests, and what it says of the demo's capture."""
    folder = tmp_path_factory.mktemp("plant")
    for name in ("plant.yaml", "plant.test.yaml"):
        shutil.copy(ROOT / "rules" / name, folder)
    analyse(folder)
    return folder


@pytest.fixture
def plant(analysed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(analysed, tmp_path / "plant"))


def analyse(folder: Path, out: str = "out") -> None:
    run(["analyze", str(CAPTURE), "--policy", str(folder / "plant.yaml"), "--out", str(folder / out), "--json"])


def alerts(folder: Path) -> dict[str, dict[str, Any]]:
    lines = (folder / "alerts.jsonl").read_text().splitlines()
    return {record["id"]: record for record in map(json.loads, lines)}


def accept(folder: Path, name: str, *more: str, approved: tuple[str, ...] = APPROVED) -> int:
    policy = str(folder / "plant.yaml")
    return run(["alerts", "accept", name, str(folder / "out"), *approved, "--policy", policy, *more])


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def of(folder: Path, function: str) -> str:
    (found,) = (name for name, one in alerts(folder / "out").items() if one["operation"]["function"] == function)
    return found


def test_each_alert_of_the_demo_is_accepted_and_nothing_else_changes(
    plant: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = alerts(plant / "out")
    old = load_policy(plant / "plant.yaml")
    # What is dangerous is denied by a test beside the policy: a person takes that out first.
    tests = (plant / "plant.test.yaml").read_text().splitlines(keepends=True)
    (plant / "plant.test.yaml").write_text("".join(line for line in tests if "plc_stop" not in line))
    accepted = []
    for name, one in before.items():
        if one["row"] is not None:
            assert accept(plant, name, "--dangerous") == 2
            assert "historian-only-reads/1 forbids it" in capsys.readouterr().err
            continue
        assert accept(plant, name, "--dangerous") == 0, capsys.readouterr().err
        accepted.append(name)
        assert run(["policy", "test", str(plant / "plant.test.yaml")]) == 0
        capsys.readouterr()
        assert accept(plant, name, "--dangerous") == 2
        assert "the policy permits it already" in capsys.readouterr().err
    assert len(accepted) == len(before) - 1 == 5

    new = load_policy(plant / "plant.yaml")
    changes = difference(old, new).changes
    causes = {change.cause.row.id for change in changes if change.cause.row is not None}
    assert all(change.allowed for change in changes)
    assert causes == {f"accepted-{name[:8]}@OT-118" for name in accepted}

    analyse(plant, "again")
    capsys.readouterr()
    again = alerts(plant / "again")
    assert again == {name: one for name, one in before.items() if name not in accepted}
    operations = [
        {
            json.dumps(record["operation"], sort_keys=True): record | {"verdict": None, "row": None}
            for record in map(json.loads, (plant / out / "operations.jsonl").read_text().splitlines())
        }
        for out in ("out", "again")
    ]
    assert operations[0] == operations[1]

    # By number of operations: replay remembers no values, so a value alert is none of its denials anyway.
    assert run(["policy", "replay", str(plant / "plant.yaml"), "--data", str(plant / "out"), "--json"]) == 0
    denied = [one for one in json.loads(capsys.readouterr().out) if one["verdict"] == "deny"]
    assert [one["row"] for one in denied] == ["historian-only-reads/1"]

    assert run(["audit", "list", str(plant / "out"), "--json"]) == 0
    log = json.loads(capsys.readouterr().out)
    assert [(one["action"], one["detail"]["alert"], one["detail"]["ticket"]) for one in log] == [
        ("alert_accepted", name, "OT-118") for name in accepted
    ]
    assert all(
        one["detail"]["note"] == f"add conduit accepted-{one['detail']['alert'][:8]} to plant.yaml" for one in log
    )


def test_after_its_last_day_the_alert_is_back_and_names_the_permit(plant: Path) -> None:
    policy = load_policy(plant / "plant.yaml")
    assert accept(plant, of(plant, "read_holding_registers")) == 0
    found = load_policy(plant / "plant.yaml")
    record = alerts(plant / "out")[of(plant, "read_holding_registers")]
    (one,) = asked(record)
    last = 1_803_942_000 * 10**9  # 2027-03-02T00:00 in Vienna
    assert not policy.judge(one.key, last - 1).permit
    assert found.judge(one.key, last - 1).permit
    late = found.judge(one.key, last)
    assert not late.permit
    assert late.separation == f"Permit OT-118 of row accepted-{record['id'][:8]} ended 2027-03-01."


def test_the_diff_is_shown_first_and_a_dry_run_writes_nothing(plant: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(plant)
    assert accept(plant, of(plant, "connect"), "--dry-run") == 0
    out, err = capsys.readouterr()
    assert (files(plant), err) == (before, "")
    assert accept(plant, of(plant, "connect")) == 0
    assert capsys.readouterr().out == out
    assert out.count("\n+++ ") == 2
    assert files(plant) != before


def test_comments_and_line_ends_stay(plant: Path) -> None:
    for name in ("plant.yaml", "plant.test.yaml"):
        (plant / name).write_bytes((plant / name).read_bytes().replace(b"\n", b"\r\n"))
    before = files(plant)
    assert accept(plant, of(plant, "connect")) == 0
    after = files(plant)
    for name, text in after.items():
        assert text.count(b"\r\n") == text.count(b"\n")
        lines = iter(text.splitlines())
        assert all(line in lines for line in before[name].splitlines()), "every line is still there, in its order"


def test_without_tests_a_file_of_them_is_begun(plant: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (plant / "plant.test.yaml").unlink()
    assert accept(plant, of(plant, "connect")) == 0
    assert run(["policy", "test", str(plant)]) == 0
    assert "1 test in 1 file: 0 failed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("function", "more", "approved", "said"),
    [
        ("plc_stop", (), APPROVED, "say --dangerous to accept it all the same"),
        ("plc_stop", ("--dangerous",), APPROVED, "expected deny"),
        ("connect", (), ("--until", "2026-11-21", *APPROVED[2:]), "--until 2026-11-21 is not after the alert"),
        ("connect", (), ("--until", "soon", *APPROVED[2:]), "'soon' is not a date; write 2026-12-01"),
    ],
)
def test_what_is_refused_changes_nothing(
    plant: Path,
    function: str,
    more: tuple[str, ...],
    approved: tuple[str, ...],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = files(plant)
    assert accept(plant, of(plant, function), *more, approved=approved) == 2
    out, err = capsys.readouterr()
    assert said in err
    assert (err.count("\n"), out) == (1, "")
    assert files(plant) == before
    assert run(["audit", "list", str(plant / "out")]) == 0
    assert capsys.readouterr().out == "The audit log is empty.\n"


def test_an_alert_about_which_no_row_decides_is_refused_with_the_reason(
    capsys: pytest.CaptureFixture[str], plant: Path
) -> None:

    name = of(plant, "connect")
    with closing(sqlite3.connect(plant / "out" / "site.db")) as db, db:
        (text,) = db.execute("SELECT record FROM alerts WHERE id = ?", (name,)).fetchone()
        for changed, said in (
            (
                {"kind": "visibility", "operation": None, "finding": {"reason": "gap"}},
                "of kind visibility (gap): no row",
            ),
            ({"flags": ["another_reading"]}, "contradicts itself"),
            ({"more_targets": 1}, "write the row by hand"),
        ):
            db.execute("UPDATE alerts SET record = ? WHERE id = ?", (json.dumps(json.loads(text) | changed), name))
            db.commit()
            assert accept(plant, name) == 2
            assert said in capsys.readouterr().err


@pytest.mark.parametrize("failing", ["plant.yaml", "plant.test.yaml"])
def test_both_files_or_none(
    plant: Path, failing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, replace = files(plant), Path.replace

    def full(self: Path, target: Path) -> Path:
        if Path(target).name == failing and b"accepted-" in self.read_bytes():
            raise OSError(28, "No space left on device", str(target))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    assert accept(plant, of(plant, "connect")) == 2
    assert "No space left on device; nothing was accepted" in capsys.readouterr().err
    assert files(plant) == before


def test_what_an_editor_saved_meanwhile_is_not_lost(
    plant: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fsync, policy = os.fsync, plant / "plant.yaml"

    def saved(file: int) -> None:
        policy.write_text("saved meanwhile")
        fsync(file)

    monkeypatch.setattr(os, "fsync", saved)
    before = files(plant)
    assert accept(plant, of(plant, "connect")) == 2
    assert "plant.yaml: was changed meanwhile; nothing was accepted" in capsys.readouterr().err
    assert files(plant) == before | {"plant.yaml": b"saved meanwhile"}


def test_a_link_in_the_folder_is_not_written_through(plant: Path) -> None:
    (plant / "other").write_text("of somebody else")
    (plant / ".plant.yaml.new").symlink_to("other")
    assert accept(plant, of(plant, "connect")) == 0
    assert (plant / "other").read_text() == "of somebody else"
    assert not (plant / "plant.yaml").is_symlink()


def test_what_cannot_be_shown_does_not_come_into_the_policy(plant: Path) -> None:
    approved = ("--until", "2027-03-01", "--ticket", "OT\n118", "--by", "A. Mayer\u202e")
    assert accept(plant, of(plant, "connect"), approved=approved) == 0
    text = (plant / "plant.yaml").read_text()
    assert "OT\\x0a118" in text
    assert "A. Mayer\\u202e" in text


def test_what_the_database_does_not_take_leaves_the_files(plant: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object) -> bool:
        raise Stop("locked")

    before = files(plant)
    monkeypatch.setattr(answer, "hand_over", busy)
    assert accept(plant, of(plant, "connect")) == 2
    assert files(plant) == before


def test_what_is_shown_of_a_policy_turns_no_text(plant: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line that reads from right to left on a terminal may show another policy than the file is."""
    path = plant / "plant.yaml"
    lines = path.read_text().splitlines()
    for number in (n for n, line in reversed(list(enumerate(lines))) if "values: 0-100" in line or not line.strip()):
        lines.insert(number, "        # \u202epermitted\u202c by nobody")
    path.write_text("\n".join([*lines, "# \u2066the end"]) + "\n")
    assert accept(plant, of(plant, "read_holding_registers"), "--dry-run") == 0
    shown = capsys.readouterr().out
    question = "hmi-2 -> plc-3 modbus unit 1 write_single_register 45 = 120"
    assert run(["policy", "explain", str(path), question]) == 0
    for out in (shown, capsys.readouterr().out):
        assert "\n@@ " in out
        assert not set("\u202e\u202c\u2066") & set(out)
        assert "\\u202e" in out or "\\u2066" in out


def test_of_one_write_the_value_is_known_whatever_was_wrong_with_it(analysed: Path) -> None:
    (record,) = (one for one in alerts(analysed / "out").values() if " wrote 77 to " in one["title"])
    assert (record["kind"], record["count"]) == ("command", 1)
    assert [one.value for one in asked(record)] == [77.0]
    # The title of more writes has the first value, which need not be that of the others.
    assert [one.value for one in asked(record | {"count": 2})] == [None]


def test_a_name_cannot_say_what_was_written(analysed: Path) -> None:
    """Names come from devices too: the value is what stands behind the name."""
    (record,) = (one for one in alerts(analysed / "out").values() if one["kind"] == "value")
    (true,) = (one.value for one in asked(record))
    who = record["client"]
    lie = "PLC wrote 5 to "
    told = record["title"].replace(who["name"], lie, 1)
    assert [one.value for one in asked(record | {"title": told, "client": who | {"name": lie}})] == [true]
