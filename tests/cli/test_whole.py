"""The command on the project's own captures, with the real engine: records, accounts, and what is shown of them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

ROOT = Path(__file__).parents[2]
CAPTURES = [ROOT / "captures" / f"{name}.pcap" for name in ("modbus_pymodbus", "dnp3_opendnp3", "s7_snap7")]


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_every_record_is_valid_and_the_sums_hold(capture: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "otmon", "analyze", str(capture), "--messages", "--out", str(out), "--json"]
    # Interpreted, in a process of its own: the choice is made when the engine is imported.
    done = subprocess.run(command, capture_output=True, env={**os.environ, "OTMON_INTERPRET": "1"}, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == (out / "summary.json").read_bytes()
    for kind in ("message", "asset", "operation", "alert", "summary", "run"):
        schema = json.loads((ROOT / "docs" / "records" / f"{kind}.schema.json").read_text())
        check = jsonschema.Draft202012Validator(schema)
        lines = out / {"summary": "summary.json", "run": "run.json"}.get(kind, f"{kind}s.jsonl")
        for record in [json.loads(lines.read_text())] if lines.suffix == ".json" else records(lines):
            check.validate(record)
    summary = json.loads((out / "summary.json").read_text())
    for section, whole in (("frames", "captured"), ("ot_bytes", "seen")):
        counts = summary[section]
        assert sum(counts.values()) - counts[whole] == counts[whole]
    assert summary["operations"] == len(records(out / "operations.jsonl")) > 0
    assert summary["assets"] == len(records(out / "assets.jsonl")) > 0
    pdus = sum(counts["pdus"] for counts in summary["protocols"].values())
    assert pdus == len(records(out / "messages.jsonl"))
