"""`otmon doctor` on the command line: its table, its records, its exit code."""

import json
from pathlib import Path

import pytest

from otmon.capture import check_host, check_interface, trial
from otmon.capture.check import Check
from otmon.cli import run

FINE = Check("machine", "clock", "ok", "synchronised")
POOR = Check("machine", "memory", "warning", "10 MiB available", "That is little.")
BAD = Check("eth1", "link", "wrong", "down\x1b[31m", "It receives nothing.", "ip link set eth1 up")


@pytest.fixture(autouse=True)
def found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OTMON_CACHE", str(tmp_path))
    monkeypatch.setattr(check_host, "host_checks", lambda interfaces: [FINE, POOR])
    monkeypatch.setattr(check_interface, "interface_checks", lambda name: [BAD] if name == "eth1" else [FINE])


def test_warnings_are_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "machine, memory: 10 MiB available\n  That is little.\n" in out
    assert "0 wrong" in out


def test_something_wrong_is_exit_code_1_with_the_command_that_mends_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "eth0", "eth1"]) == 1
    out = capsys.readouterr().out
    assert "\n    ip link set eth1 up\n" in out
    assert "\x1b" not in out


def test_records(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["doctor", "eth1", "--data", str(tmp_path / "none"), "--json"]) == 1
    records = json.loads(capsys.readouterr().out)
    assert all(record.keys() == FINE.as_record().keys() for record in records)
    assert records[0] == FINE.as_record()
    [folder] = [record for record in records if record["name"] == "folder"]
    assert folder["level"] == "ok"
    assert folder["found"].startswith("not there yet")


def test_it_runs_here_for_real(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(trial, "promiscuous", lambda name, number: None)
    assert run(["doctor", "lo", "--json"]) in (0, 1)
    names = {record["name"] for record in json.loads(capsys.readouterr().out)}
    assert {"versions", "clock", "packet engine", "offloads"} <= names


@pytest.mark.parametrize("words", [["doctor"], ["doctor", "check"], ["doctor", "--json"], ["doctor", "check", "eth0"]])
def test_check_is_what_doctor_does(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 0
    assert "memory" in capsys.readouterr().out


def test_both_commands_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--help"]) == 0
    out = capsys.readouterr().out
    assert "check" in out
    assert "span" in out


def test_no_such_mirror_port(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "span", "no-such-if"]) == 2
    assert "no such network interface" in capsys.readouterr().err
