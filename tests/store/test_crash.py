"""kill -9 at random moments: what was said to be kept is there, once, and nothing is there by halves."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from otmon.store.sensor import SiteStore
from tests.store.crash_child import OPERATIONS

ROOT = Path(__file__).parents[2]


def live_and_die(path: Path, rng: random.Random) -> list[list[str]]:
    """What a child said before it was killed."""
    command = [sys.executable, "-m", "tests.store.crash_child", str(path)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as child:
        assert child.stdout is not None
        first = child.stdout.readline()
        time.sleep(rng.random() * 0.15)
        child.send_signal(signal.SIGKILL)
        # A line may be torn: only whole ones were said.
        said = (first + child.stdout.read()).rpartition("\n")[0].splitlines()
    return [line.split() for line in said]


def check(path: Path, alerts: set[str], steps: int) -> int:
    """Steps that are in the database, all of them whole."""
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA quick_check").fetchone() == ("ok",)
    db.close()
    with SiteStore(path, "default") as store:
        assert store.notices == []
        kept = [episode.id for episode in store.episodes()]
        assert len(kept) == len(set(kept))
        assert alerts <= set(kept), "an alert that was told is lost"
        part = store.part()
        whole = part.frames.get("captured", 0)
        assert whole >= steps, "a checkpoint that was told is lost"
        shared = [op.counts.accepted for op in part.operations if op.key.client.startswith("10.1.")]
        assert shared == [whole] * (OPERATIONS if whole else 0)
        assert sum(op.counts.accepted for op in part.operations) == whole * (OPERATIONS + 1)
        assert sum(host.frames for host in part.hosts) == 100 * whole
        return whole


def kills(tmp_path: Path, number: int) -> None:
    rng, alerts, steps = random.Random(number), set[str](), 0
    for _ in range(number):
        said = live_and_die(tmp_path / "site.db", rng)
        alerts |= {text for kind, text in said if kind == "alert"}
        steps = check(tmp_path / "site.db", alerts, steps + sum(kind == "step" for kind, _ in said))
    assert steps > number
    assert os.listdir(tmp_path) == ["site.db"]


def test_5_kills(tmp_path: Path) -> None:
    kills(tmp_path, 5)


@pytest.mark.long
def test_100_kills(tmp_path: Path) -> None:
    kills(tmp_path, 100)
