"""A policy does not turn compiled kernels off."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from otmon.engine import cache

ROOT = Path(__file__).parents[2]
SCRIPT = """
import json, sys
from otmon.cli import run
code = run(sys.argv[1:])
from otmon.wire.loads import KERNELS
print(json.dumps([code, KERNELS]))
"""


@pytest.mark.skipif(not cache.is_warm(), reason="no kernels are compiled: otmon warm")
def test_the_engine_is_compiled_whatever_the_policy_names(tmp_path):
    policy, out = ROOT / "rules" / "plant.yaml", tmp_path / "out"
    assert "functions:" in policy.read_text()
    command = ["analyze", ROOT / "captures" / "plant.pcap", "--policy", policy, "--out", out, "--jobs", "1"]
    env = {name: value for name, value in os.environ.items() if name not in ("OTMON_KERNELS", "OTMON_INTERPRET")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, command)], capture_output=True, text=True, check=True, env=env
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [0, str(cache.kernels())]
