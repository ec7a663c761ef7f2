"""What systemd hears, over real sockets."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from otmon.outputs.notify import Notifier, watchdog_s


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The service manager's end, named in the environment."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@otmon-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(name.replace("@", "\0", 1) if name[0] == "@" else name)
        made.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield made


def test_what_is_said_is_heard(manager: socket.socket) -> None:
    notifier = Notifier()
    notifier.ready("watching eth1")
    notifier.status("20,000 frames/s\nREADY=0 \x1b[31m")
    notifier.alive()
    notifier.stopping()
    assert [manager.recv(4096) for _ in range(4)] == [
        b"READY=1\nSTATUS=watching eth1",
        b"STATUS=20,000 frames/s\\x0aREADY=0 \\x1b[31m",
        b"WATCHDOG=1",
        b"STOPPING=1",
    ]


def test_a_manager_that_went_away_or_does_not_read_stops_nothing(manager: socket.socket) -> None:
    notifier = Notifier()
    for _ in range(5_000):
        notifier.alive()
    manager.close()
    notifier.alive()


@pytest.mark.parametrize("name", ["", "/nonexistent/socket", "@otmon-nobody-listens", "relative", "vsock:2:1"])
def test_without_a_manager_nothing_happens(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    notifier = Notifier()
    notifier.ready("x")
    notifier.alive()
    monkeypatch.delenv("NOTIFY_SOCKET")
    Notifier().stopping()


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_how_often_to_say_so(
    environment: dict[str, str], wanted: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert watchdog_s() == wanted
