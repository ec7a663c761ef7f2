"""Ctrl-C while several processes work: the shares they have are merged, written and marked."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

PLANT = Path(__file__).parents[2] / "captures" / "plant.pcap"


def processes(running: int, out: Path) -> bool:
    """Whether the others have been started; they import for a while yet."""
    return bool(Path(f"/proc/{running}/task/{running}/children").read_text())


def messages(running: int, out: Path) -> bool:
    """Whether all of them write messages."""
    parts = list(out.parent.rglob("[01].jsonl"))
    return len(parts) == 2 and all(part.stat().st_size for part in parts)


@pytest.mark.parametrize("begun", [processes, messages])
def test_partial_results_of_all_processes(tmp_path: Path, begun: Callable[[int, Path], bool]) -> None:
    raw = PLANT.read_bytes()
    big, out = tmp_path / "big.pcap", tmp_path / "out"
    big.write_bytes(raw + raw[24:] * 400)  # many seconds of work, with every message in full
    command = [sys.executable, "-m", "otmon", "analyze", str(big), "--jobs", "2", "--messages", "--out", str(out)]
    running = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not begun(running.pid, out):
        time.sleep(0.01)
        assert running.poll() is None
    time.sleep(0.2)
    os.killpg(running.pid, signal.SIGINT)
    _, errors = running.communicate(timeout=120)
    assert running.returncode == 130, errors
    assert errors.count("\n") == 1, errors
    summary = json.loads((out / "summary.json").read_text())
    frames = summary["frames"]
    assert summary["partial"] is True
    assert sum(v for k, v in frames.items() if k != "captured") == frames["captured"]


def test_no_command_shows_help_as_it_is() -> None:
    done = subprocess.run([sys.executable, "-m", "otmon"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage:")
