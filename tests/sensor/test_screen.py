"""The view of a sensor that runs: what is gathered, the keyboard, and stdout that is no terminal."""

import fcntl
import os
import pty
import select
import struct
import sys
import termios
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from otmon.sensor.screen import Gatherer, Screen
from tests.sensor.feed import ROOT, frames_of, sensor_of, turn

PLANT = (ROOT / "rules" / "plant.yaml").read_text()
FRAMES = frames_of("plant.pcap")


def test_busy_conduits_with_their_names(tmp_path: Path) -> None:
    with sensor_of(tmp_path, FRAMES, PLANT) as (sensor, clock):
        gatherer = Gatherer(sensor, 1.0)
        turn(sensor, clock, 40)
        scene = gatherer.scene()
        assert scene.now.interfaces[0].frames == len(FRAMES)
        assert 0 < sum(c.frames_s for c in scene.conduits) * 40 <= len(FRAMES)
        busy = {(c.source.name, c.target.name, c.protocol): c for c in scene.conduits}
        assert busy["SCADA", "RTU-1", "dnp3"].operations_s > 0
        assert scene.conduits[0].frames_s == max(c.frames_s for c in scene.conduits)
        assert {alert["severity"] for alert in scene.alerts} >= {"critical"}
        clock.now_s += 100
        gatherer.scene()
        assert gatherer.scene().conduits == []  # silence fades
        assert gatherer.scene().newcomers
        sensor.finish()


def test_a_restarted_sensor_shows_what_goes_on(tmp_path: Path) -> None:
    with sensor_of(tmp_path, FRAMES, PLANT) as (sensor, clock):
        turn(sensor, clock, 40)
        count = len(sensor.episodes.all)
        sensor.finish()
    with sensor_of(tmp_path, FRAMES[:10], PLANT) as (sensor, clock):
        assert len(Gatherer(sensor, 1.0).scene().alerts) == count > 3
        sensor.finish()


def test_lines_where_there_is_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(deque())
    screen.rehearse()
    with sensor_of(tmp_path, FRAMES, PLANT) as (sensor, clock), screen:
        screen.watch(sensor)
        sensor.every(screen.every_s, screen.draw, "the view")
        sensor.every(0.1, screen.listen, "the keyboard")
        turn(sensor, clock, 21)
        assert not screen.ended
        sensor.finish()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "OT PDUs/s" in lines[0]


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Stdin and stdout are one; gives its other end."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    monkeypatch.setenv("TERM", "xterm")
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    with os.fdopen(theirs, "r+b", buffering=0) as raw:
        for name in ("stdin", "stdout"):
            file = os.fdopen(os.dup(raw.fileno()), "r" if name == "stdin" else "w")
            monkeypatch.setattr(sys, name, file)
        yield ours
        monkeypatch.undo()
    os.close(ours)


def read_to(terminal: int, word: bytes) -> bytes:
    got = b""
    while word not in got:
        assert select.select([terminal], [], [], 10)[0], got
        got += os.read(terminal, 65536)
    return got


def test_on_a_terminal_q_ends_and_all_is_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sensor_of(tmp_path, FRAMES, PLANT) as (sensor, _), terminal(monkeypatch) as far:
        before = termios.tcgetattr(far)
        screen = Screen(deque())
        screen.watch(sensor)
        with screen:
            assert termios.tcgetattr(far) != before
            screen.draw()
            drawn = read_to(far, b"frames/s")
            screen.listen()
            assert not screen.ended
            os.write(far, b"xq")
            screen.listen()
            assert screen.ended
        assert b"\x1b[?1049h" in drawn  # the alternate screen
        read_to(far, b"\x1b[?1049l")
        assert termios.tcgetattr(far) == before
        sensor.finish()
