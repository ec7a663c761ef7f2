"""Ctrl-C while several processes work: the shares they have are merged, written and marked."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PLANT = Path(__file__).parents[2] / "captures" / "plant.pcap"


def test_partial_results_of_all_processes(tmp_path: Path) -> None:
    raw = PLANT.read_bytes()
    big, out = tmp_path / "big.pcap", tmp_path / "out"
    big.write_bytes(raw + raw[24:] * 400)  # many seconds of work, with every message in full
    command = [sys.executable, "-m", "otmon", "analyze", str(big), "--jobs", "2", "--messages", "--out", str(out)]
    running = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    time.sleep(4)
    os.killpg(running.pid, signal.SIGINT)
    _, errors = running.communicate(timeout=120)
    assert running.returncode == 130, errors
    assert "Traceback" not in errors
    summary = json.loads((out / "summary.json").read_text())
    frames = summary["frames"]
    assert summary["partial"] is True
    assert sum(v for k, v in frames.items() if k != "captured") == frames["captured"]


def test_no_command_shows_help_as_it_is() -> None:
    done = subprocess.run([sys.executable, "-m", "otmon"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage:")
