"""Bounds of values that no register can hold are bounds all the same."""

from pathlib import Path

from otmon.policy import load_policy
from tests.engine.world import see_files

ROOT = Path(__file__).parents[2]


def test_bounds_beyond_64_bits(tmp_path: Path) -> None:
    text = (ROOT / "rules" / "plant.yaml").read_text()
    assert "values: 0-100\n" in text
    (tmp_path / "policy.yaml").write_text(text.replace("values: 0-100\n", f"values: {10**25}-{10**26}\n"))
    found = see_files([ROOT / "captures" / "plant.pcap"], load_policy(tmp_path / "policy.yaml"), messages=False)
    assert [alert for alert in found.alerts() if alert["kind"] == "value"]
