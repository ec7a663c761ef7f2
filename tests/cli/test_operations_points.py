"""`otmon operations` calls targets by the points of the tag map that judged them, and by no other."""

import shutil
from pathlib import Path

import pytest

from otmon.cli import run

ROOT = Path(__file__).parents[2]


def test_points_have_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shutil.copy(ROOT / "rules" / "plant.tags.csv", tmp_path)
    policy, out = tmp_path / "plant.yaml", str(tmp_path / "out")
    policy.write_text("tags: plant.tags.csv\n" + (ROOT / "rules" / "plant.yaml").read_text())
    run(["analyze", str(ROOT / "captures" / "plant.pcap"), "--policy", str(policy), "--out", out, "--json"])
    named = {
        "holding_register 45 (Dosing 6)": 1,
        "holding_register 46-48 (Dosing 7,": 1,
        "DB1 0-63 (Mixer speed)": 2,
    }
    for times in (named, dict.fromkeys(named, 0)):
        capsys.readouterr()
        run(["operations", out])
        shown = " ".join(capsys.readouterr().out.split())
        assert {text: shown.count(text) for text in named} == times
        (tmp_path / "plant.tags.csv").write_text("point,asset,protocol,address,type\nX,plc-3,modbus,45,int16\n")
    policy.unlink()
    assert run(["operations", out]) in (0, None)
