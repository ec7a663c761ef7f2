"""A tenth of the site that a sensor promises to hold, in a process of its own (`make bench-live`: the whole)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.limits import ALERTS, CONNECTIONS, HOSTS, OPERATIONS

SHARE = 10
GROWTH_MIB = 340
"""Beyond the empty sensor; most of it are tables that are as large for ten times as much."""
END_MIB = 60
"""What writing the files at the end may take beside: a tenth of 600."""


@pytest.mark.long
def test_memory_of_a_tenth_of_the_site() -> None:
    command = [sys.executable, "-m", "benchmarks.limits", "--share", str(SHARE)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    found = json.loads(done.stdout)
    assert found["assets"] == found["hosts"] == HOSTS // SHARE
    assert found["connections"] == CONNECTIONS // SHARE
    assert found["operations"] == OPERATIONS // SHARE
    assert (found["alerts"], found["shed"]) == (ALERTS, 0)
    assert found["steady_peak_mib"] - found["start_mib"] < GROWTH_MIB
    assert found["peak_mib"] - found["steady_peak_mib"] < END_MIB
