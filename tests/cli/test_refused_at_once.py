"""What can be said at once is said before a minute goes by with compiling."""

import socket
from pathlib import Path
from typing import Any

import pytest

from otmon.cli import run
from otmon.engine import cache

COMMANDS = (["watch"], ["doctor", "span"])


@pytest.fixture(autouse=True)
def nothing_is_compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OTMON_CACHE", str(tmp_path))
    monkeypatch.setattr(cache, "choose", lambda *_: pytest.fail("compiled first"))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_such_interface(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command, "nosuch0"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("otmon: error: nosuch0: no such network interface; there are: ")


@pytest.mark.skipif(not hasattr(socket, "AF_PACKET"), reason="live capture through scapy asks later")
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_permission(command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", refuse)
    assert run([*command, "lo"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line == (
        "otmon: error: lo: no permission to capture: run as root, or give the process the capability CAP_NET_RAW"
    )
