"""Points have one reader: with a tag map jobs would each know what they saw themselves, and the result hang on them."""

import logging
from pathlib import Path
from typing import Any

import pytest

from otmon.cli.sensor import _jobs
from otmon.policy.load import load_policy
from otmon.sensor.watch import Sensor
from otmon.store.sensor import SiteStore
from tests.sensor.deal import Clock, Deal

POLICY = """otmon: 1
zones: {plant: {hosts: [10.0.0.0/16]}}
conduits:
  - {id: sets, from: 10.0.2.1, to: 10.0.1.1, allow: [{protocol: modbus%s}]}
"""


def policy(folder: Path, row: str) -> Any:
    (folder / "tags.csv").write_text("point,asset,protocol,address,type\nT1,10.0.1.1,modbus,40,int16\n")
    (folder / "plant.yaml").write_text(("tags: tags.csv\n" if row else "") + POLICY % row)
    return load_policy(folder / "plant.yaml")


@pytest.mark.parametrize(("row", "jobs"), [("", 4), (", points: [T1], values: 0-10", 1)])
def test_a_tag_map_has_one_reader(tmp_path: Path, row: str, jobs: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert _jobs(4, policy(tmp_path, row)) == jobs
    assert ("warning: the policy has a tag map: one process reads" in capsys.readouterr().err) == (jobs == 1)
    assert (_jobs(1, policy(tmp_path, row)), _jobs(4, None)) == (1, 4)
    assert ("tag map" in capsys.readouterr().err) is False


@pytest.mark.parametrize(("limit", "said"), [("values: 0-10", 0), ("step: 3", 1)])
def test_a_sensor_says_that_it_knows_no_last_value_yet(
    tmp_path: Path, limit: str, said: int, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    with caplog.at_level(logging.INFO, "otmon"), SiteStore(tmp_path / "site.db", "default", spooled=()) as store:
        rules = policy(tmp_path, f", points: [T1], {limit}")
        Sensor([Deal("span0", 0, [], clock)], store, rules, monotonic=clock, seed=1).finish()
    assert caplog.text.count("of points with step or rate (1) the last value is not known yet") == said
