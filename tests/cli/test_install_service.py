"""`otmon install-service`: with --dry-run nothing happens; without, each step in its order, in a folder of the test."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from otmon.cli import run
from otmon.outputs import service

POLICY = str(Path(__file__).parents[2] / "rules" / "plant.yaml")


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Commands that would have been run; the unit goes to a folder of the test."""
    commands: list[str] = []

    def record(command: list[str], check: bool) -> SimpleNamespace:
        commands.append(command[0])
        return SimpleNamespace(returncode=3 if command[0] == "chmod" and "fail" in os.environ else 0)

    monkeypatch.setattr(subprocess, "run", record)
    monkeypatch.setattr(service, "UNIT", tmp_path / "otmon.service")
    monkeypatch.setattr(service.Service, "out_of_sight", lambda self, code: [])
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(Path, "exists", lambda self, **_: True)
    return commands


def test_a_dry_run_does_nothing(ran: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["install-service", "eth1", "--policy", POLICY, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("# What would be done, as root:\n#   useradd ")
    assert f"\nExecStart={Path(sys.executable).with_name('otmon')} watch eth1 --policy " in out
    assert (ran, list(tmp_path.iterdir())) == ([], [])


def test_a_dry_run_needs_no_root_and_says_what_would_not_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert run(["install-service", "eth1", "--dry-run", "--data", "/home/me/data"]) == 0
    assert "install otmon in /opt" in capsys.readouterr().err


def test_everything_is_done_in_its_order(ran: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["install-service", "eth1", "--user", "nobody"]) == 0
    assert ran == ["install", "install", "env", "chmod", "systemctl"]
    assert [path.name for path in tmp_path.iterdir()] == ["otmon.service"]
    unit = tmp_path / "otmon.service"
    assert unit.stat().st_mode & 0o777 == 0o644
    assert "User=nobody\n" in unit.read_text()
    assert capsys.readouterr().out.endswith("Installed. Start it:  systemctl enable --now otmon\n")


def test_what_fails_stops_it(
    ran: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("fail", "1")
    assert run(["install-service", "eth1", "--user", "nobody"]) == 2
    assert "this failed with 3, and nothing after it was done: chmod -R" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_outputs_of_a_configuration_are_let_out_and_their_secrets_handed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, owner in (("root.key", 0), ("own.secret", 65534)):
        (tmp_path / name).write_text("secret")
        if os.geteuid() == 0:
            os.chown(tmp_path / name, owner, -1)
    (tmp_path / "c.yaml").write_text(
        "interfaces: [eth1]\nlines: e.jsonl\nelastic: {url: 'https://10.1.2.3:9200', key-file: root.key, "
        "proxy: 'http://10.1.2.4:3128'}\nwebhook: {url: 'https://[fd00::1]/', secret-file: own.secret}\nsyslog: {url: 'udp://10.1.2.5'}\n"
    )
    assert run(["install-service", "--config", str(tmp_path / "c.yaml"), "--user", "nobody", "--dry-run"]) == 0
    unit = capsys.readouterr().out
    assert "\nIPAddressAllow=localhost 10.1.2.3 10.1.2.4 10.1.2.5 fd00::1\n" in unit
    assert f"\nLoadCredential=elastic:{tmp_path}/root.key\n" in unit
    assert ("LoadCredential=webhook" in unit) == bool(os.geteuid())
    (tmp_path / "root.key").unlink()
    assert run(["install-service", "--config", str(tmp_path / "c.yaml"), "--dry-run"]) == 2
    assert capsys.readouterr().err.endswith("root.key: No such file or directory: an output needs it\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["eth 1"], "is no name of an interface"),
        (["eth1", "--user", "root"], "is no user for a service"),
        (["eth1", "--data", "/a'b"], "a unit needs an absolute path"),
        (["eth1", "--policy", "/nonexistent.yaml"], "/nonexistent.yaml"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    ran: list[str], arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["install-service", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert ran == []


def test_only_root_installs(
    ran: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert run(["install-service", "eth1"]) == 2
    assert "only root can install a service" in capsys.readouterr().err
    assert ran == []


def test_where_the_service_could_not_see_it_nothing_is_installed(
    ran: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(service.Service, "out_of_sight", lambda self, code: [Path("/home/me/venv")])
    assert run(["install-service", "eth1"]) == 2
    assert "/home/me/venv: the service cannot see it there" in capsys.readouterr().err
    assert ran == []
