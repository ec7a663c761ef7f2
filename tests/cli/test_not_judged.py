"""No alerts is no good news where nothing was judged: the summary, a finding, the sensor and `policy check` say so."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otmon.alerts.advice import topic
from otmon.cli import run
from otmon.policy.load import load_policy
from otmon.store.database import SiteDatabase
from tests.sensor.feed import frames_of, sensor_of, turn

ROOT = Path(__file__).parents[2]
CAPTURE = str(ROOT / "captures" / "plant.pcap")
PLANT = (ROOT / "rules" / "plant.yaml").read_text()

ELSEWHERE = PLANT.replace("10.0.", "10.77.")
"""The policy of another plant."""
OFFICE = """otmon: 1
site: demo-plant
zones:
  office: {hosts: [10.0.3.0/24]}
  plant: {hosts: [10.0.1.0/24], monitored: false}
"""
"""One that says of the office alone what is permitted, which is nothing."""
NEVER = "otmon: 1\nsite: demo-plant\nzones: {}\nnever: [{from: 10.0.2.20, to: any, operations: [{protocol: modbus}]}]\n"

Analysed = Callable[..., tuple[dict[str, Any], list[dict[str, Any]], str, int]]


@pytest.fixture
def analysed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Analysed:
    def analysed(policy: str, *more: str) -> tuple[dict[str, Any], list[dict[str, Any]], str, int]:
        path = tmp_path / "policy.yaml"
        path.write_text(policy)
        code = run(["analyze", CAPTURE, "--policy", str(path), "--out", str(tmp_path / "out"), *more])
        summary = json.loads((tmp_path / "out" / "summary.json").read_text())
        alerts = [json.loads(line) for line in (tmp_path / "out" / "alerts.jsonl").read_text().splitlines()]
        return summary, alerts, capsys.readouterr().out, code

    return analysed


def is_it(alert: dict[str, Any]) -> bool:
    return bool(alert.get("finding", {}).get("reason") == "not_judged")


def counted(policy: str, monitored: str, folder: Path) -> dict[str, int]:
    """The same by looking at each operation; `monitored`: how addresses begin of which the policy says something."""
    (folder / "again.yaml").write_text(policy)
    judge = load_policy(folder / "again.yaml")
    with SiteDatabase(folder / "out" / "site.db") as results:
        found = [one.key for one in results.operations if judge.judge(one.key, one.first_ts_ns).permit]
    found = [key for key in found if not key.server.startswith("2") and not key.client.startswith(monitored)]
    found = [key for key in found if not key.server.startswith(monitored)]
    control = sum(key.protocol in ("modbus", "dnp3", "s7comm") for key in found)
    return {
        "control": control,
        "hosts": len({address for key in found for address in (key.client, key.server)}),
        "operations": len(found),
    }


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_the_policy_of_another_plant_judges_nothing_and_that_is_an_alert(analysed: Analysed, jobs: str) -> None:
    summary, alerts, text, code = analysed(ELSEWHERE, "--fail-on", "medium", "--jobs", jobs)
    (alert,) = alerts
    assert (alert["kind"], alert["severity"], alert["finding"]["reason"], code) == (
        *("visibility", "medium", "not_judged", 1),
    )
    assert alert["title"].startswith("Nothing was judged (48 operations): the hosts are in no monitored zone")
    assert topic(alert) == "not_judged"
    assert summary["not_judged"] == {"control": 44, "hosts": 11, "operations": 48}
    assert "No alerts" not in text
    assert "Not judged: 48 of 49 operations (98 %), 44 of them with control traffic" in " ".join(text.split())


@pytest.mark.parametrize(("policy", "monitored"), [(OFFICE, "10.0.3."), (NEVER, "-"), (ELSEWHERE, "10.77.")])
def test_of_a_part_the_summary_says_how_much_it_is(
    analysed: Analysed, policy: str, monitored: str, tmp_path: Path
) -> None:
    summary, alerts, text, _ = analysed(policy)
    missed = summary["not_judged"]
    assert missed == counted(policy, monitored, tmp_path)
    assert 0 < missed["operations"] < summary["operations"]
    assert (policy == ELSEWHERE) == any(map(is_it, alerts))
    assert f"Not judged: {missed['operations']} of 49 operations" in text


def test_less_than_asked_for_is_not_nothing(
    analysed: Analysed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    analysed(ELSEWHERE)
    assert run(["alerts", "list", str(tmp_path / "out"), "--severity", "high"]) == 0
    assert capsys.readouterr().out == "No alerts of severity high or worse; 1 of less.\n"


def test_where_all_is_judged_nothing_is_said(analysed: Analysed) -> None:
    summary, alerts, text, _ = analysed(PLANT)
    assert summary["not_judged"] == {"control": 0, "hosts": 0, "operations": 0}
    assert len(alerts) == 6
    assert "Not judged" not in text


def test_without_a_policy_nothing_is_said_to_be_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["analyze", CAPTURE, "--out", str(tmp_path / "out")]) == 0
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["not_judged"] is None
    text = capsys.readouterr().out
    assert "No alerts: without --policy it is not judged who may do what." in text
    assert "Not judged" not in text


@pytest.mark.parametrize("until_s", [5, 400])
@pytest.mark.parametrize(("policy", "alerts"), [(ELSEWHERE, 1), (PLANT, 0)])
def test_a_sensor_with_the_policy_of_another_plant_says_so_once(
    tmp_path: Path, policy: str, alerts: int, until_s: int
) -> None:
    with sensor_of(tmp_path, frames_of("plant.pcap"), policy, checkpoint_s=20) as (sensor, clock):
        turn(sensor, clock, until_s)
        sensor.finish()
        found = [one for one in sensor.going_on() if is_it(one)]
    assert len(found) == alerts
    assert all(one["title"].startswith("Nothing was judged (") for one in found)
    with SiteDatabase(tmp_path / "site.db") as stored:
        assert sum("Nothing was judged" in one["title"] for one in stored.alerts) == alerts
