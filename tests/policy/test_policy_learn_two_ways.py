"""Learning from captures and from what a run stored of them gives one policy, alerts of every kind beside."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from otmon.cli import cli
from tests.policy.test_policy_learn_captures import CAPTURES, ROOT

QUICK = [ROOT / "captures" / f"{name}.pcap" for name in ("plant", "secure")]
LONG = [path for path in (*sorted((ROOT / "captures").glob("*.pcap")), *CAPTURES) if path not in QUICK]


def otmon(*arguments: object) -> None:
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments], standalone_mode=False)
    assert not done.exception, done.exception


@pytest.mark.parametrize(
    "path", QUICK + [pytest.param(path, marks=pytest.mark.long) for path in LONG], ids=lambda path: path.name
)
def test_a_capture_and_its_results_teach_the_same(path: Path, tmp_path: Path) -> None:
    otmon("analyze", path, "--out", tmp_path / "results")
    otmon("learn", path, "-o", tmp_path / "capture.yaml")
    otmon("learn", "--data", tmp_path / "results", "-o", tmp_path / "data.yaml")
    one, other = (
        re.sub("# seen (.*), in .*", r"# seen \1", (tmp_path / name).read_text())
        for name in ("capture.yaml", "data.yaml")
    )
    assert one == other
