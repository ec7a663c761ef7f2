"""Rules and expressions name metrics that sensors have, promtool takes them, and each rule rings when it should."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from otmon.outputs.figures import Delivery, Figures, Interface, Spooled
from otmon.outputs.metrics import NAMES, Metrics
from tests.grafana.tools import promtool, run

ROOT = Path(__file__).parents[2]
RULES = ROOT / "grafana/prometheus/otmon.rules.yml"
GROUP = YAML(typ="safe").load(RULES)["groups"][0]["rules"]
BOARD = json.loads((ROOT / "grafana/dashboards/metrics.json").read_text())
EXPRESSIONS = {
    f"{panel['title']} {target['refId']}": target["expr"]
    for panel in BOARD["panels"]
    for target in panel.get("targets", [])
}
PROCESS = {"process_start_time_seconds", "process_resident_memory_bytes"}
"""Of the process itself, which prometheus_client adds."""


def metrics(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:otmon|process)_\w+|\bup\b", expression))


EVERY = [*EXPRESSIONS.items(), *((rule["alert"], rule["expr"]) for rule in GROUP)]


@pytest.mark.parametrize(("name", "expression"), EVERY)
def test_every_metric_is_one_that_sensors_have(name: str, expression: str) -> None:
    assert metrics(expression)
    assert metrics(expression) <= {*NAMES, *PROCESS, "up"}


def test_process_metrics_are_on_the_page() -> None:
    page = Metrics(lambda: Figures(1.0, interfaces=[Interface("eth1", "up", 1, 0, 0, 0, 1, 60)])).page().decode()
    assert {name for name in PROCESS if f"\n{name} " not in page} == set()


def test_every_metric_of_the_sensor_is_shown() -> None:
    shown = {name for expression in EXPRESSIONS.values() for name in metrics(expression)}
    assert set(NAMES) <= shown


def test_labels_are_those_of_the_metrics() -> None:
    page = Metrics(lambda: Figures(1.0, interfaces=[Interface("eth1", "up", 1, 0, 0, 0, 1, 60)], frames={"ot": 1},
                                   ot_bytes={"decoded": 1}, pdus={"modbus": 1},
                                   delivery=[Delivery("elastic", "well", 1, 0, 0, None)],
                                   spool=[Spooled("alert", 1, 1, 0)])).page().decode()  # fmt: skip
    has = dict(re.findall(r"^(otmon_\w+)\{(\w+)=", page, re.MULTILINE))
    for name, expression in EVERY:
        for wanted in re.findall(r"sum by \(([\w, ]+)\)", expression):
            (metric,) = metrics(expression)
            assert set(wanted.split(", ")) <= {"instance", has.get(metric)}, name


# --- promtool --------------------------------------------------------------------------------------------------------


def test_promtool_takes_the_rules_and_the_configuration(tmp_path: Path) -> None:
    program = promtool()
    done = run(program, "check", "config", RULES.with_name("prometheus.yml"), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(GROUP)} rules found" in done.stdout


def _check(program: str, folder: Path, named: dict[str, str]) -> str:
    rules = [{"record": f"panel:{number}", "expr": text} for number, text in enumerate(named.values())]
    (folder / "panels.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    done = run(program, "check", "rules", "panels.yml", cwd=folder)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_promtool_takes_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    values = {"$__rate_interval": "1m", "$__range": "6h", "$instance": ".*"}
    named = {}
    for name, expression in EXPRESSIONS.items():
        for variable, value in values.items():
            expression = expression.replace(variable, value)
        assert "$" not in expression
        named[name] = expression
    program = promtool()
    assert _check(program, tmp_path, named) == ""
    assert "parse error" in _check(program, tmp_path, {"wrong": "rate(otmon_shed_total)[5m"})


# --- rules ring ------------------------------------------------------------------------------------------------------

WELL = {
    'up{job="otmon"}': "1x60",
    'process_start_time_seconds{job="otmon"}': "1000x60",
    'otmon_interface_up{interface="eth1"}': "1x60",
    'otmon_interface_received_total{interface="eth1"}': "0+60000x60",
    'otmon_interface_ring_dropped_total{interface="eth1"}': "0x60",
    'otmon_interface_card_dropped_total{interface="eth1"}': "0x60",
    'otmon_frames_total{bucket="ot"}': "0+50000x60",
    'otmon_frames_total{bucket="copy"}': "0x60",
    "otmon_copies_total": "0x60",
    "otmon_missing_bytes_total": "0x60",
    "otmon_shed_total": "0x60",
    "otmon_checkpoint_age_seconds": "30x60",
    "otmon_database_bytes": "1000000x60",
    "otmon_clock_synchronised": "1x60",
    "otmon_clock_steps_total": "0x60",
    "otmon_policy_in_force": "1x60",
    'otmon_alerts_total{severity="critical"}': "0x60",
    'otmon_alerts_total{severity="low"}': "0x60",
    'otmon_delivery_up{sink="elastic"}': "1x60",
    'otmon_delivery_behind_seconds{sink="elastic"}': "20x60",
    'otmon_spool_shed_total{stream="point"}': "0x60",
}
"""An hour of one sensor that is well, a value each minute."""
TROUBLE: dict[str, tuple[str, str, int, int]] = {
    # series, its values, minute of which it is quiet yet, minute of which it rings
    "OtmonSensorDown": ('up{job="otmon"}', "1x10 0x50", 11, 14),
    "OtmonSensorRestarts": ('process_start_time_seconds{job="otmon"}', "1000x10 2000x2 3000x2 4000x40", 12, 17),
    "OtmonInterfaceDown": ('otmon_interface_up{interface="eth1"}', "1x10 0x50", 11, 13),
    "OtmonInterfaceSilent": ('otmon_interface_received_total{interface="eth1"}', "0+60000x10 600000x50", 15, 23),
    "OtmonFramesDropped": ('otmon_interface_ring_dropped_total{interface="eth1"}', "0x10 0+100x50", 10, 14),
    "OtmonCardDropped": ('otmon_interface_card_dropped_total{interface="eth1"}', "0x10 5x50", 10, 13),
    "OtmonFramesDoubled": ("otmon_copies_total", "0x10 0+40000x50", 15, 35),
    "OtmonTrafficNotCaptured": ("otmon_missing_bytes_total", "0x10 0+10x50", 20, 30),
    "OtmonTablesFull": ("otmon_shed_total", "0x10 7x50", 10, 13),
    "OtmonDiskNotWritten": ("otmon_checkpoint_age_seconds", "0+60x60", 15, 20),
    "OtmonDatabaseLarge": ("otmon_database_bytes", "4000000000x90", 50, 65),
    "OtmonClockNotSynchronised": ("otmon_clock_synchronised", "1x10 0x50", 30, 45),
    "OtmonClockSet": ("otmon_clock_steps_total", "0x10 1x50", 10, 13),
    "OtmonNoPolicy": ("otmon_policy_in_force", "0x90", 50, 65),
    "OtmonCriticalAlert": ('otmon_alerts_total{severity="critical"}', "0x10 1x50", 10, 13),
    "OtmonAlertStorm": ('otmon_alerts_total{severity="low"}', "0x10 0+50x50", 10, 20),
    "OtmonOutputDown": ('otmon_delivery_up{sink="elastic"}', "1x10 0x50", 20, 30),
    "OtmonDeliveryBehind": ('otmon_delivery_behind_seconds{sink="elastic"}', "20x10 4000x50", 20, 30),
    "OtmonSpoolShed": ('otmon_spool_shed_total{stream="point"}', "0x10 0+5x50", 10, 13),
}


def _labelled(series: str) -> str:
    name, _, labels = series.partition("{")
    return f'{name}{{instance="s1",{labels}' if labels else f'{name}{{instance="s1"}}'


def _case(name: str, changes: dict[str, str], asked: dict[str, list[tuple[int, bool]]]) -> dict[str, Any]:
    return {
        "name": name,
        "interval": "1m",
        "input_series": [{"series": _labelled(s), "values": v} for s, v in (WELL | changes).items()],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})',
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": "{}", "value": 1}] if rings else [],
            }
            for alert, moments in asked.items()
            for minute, rings in moments
        ],
    }


def test_every_rule_rings_when_it_should_and_not_before(tmp_path: Path) -> None:
    alerts = [rule["alert"] for rule in GROUP]
    assert set(alerts) == set(TROUBLE)
    cases = [_case("all is well", {}, {alert: [(55, False)] for alert in alerts})]
    for alert, (series, values, quiet, rings) in TROUBLE.items():
        assert series in WELL
        cases.append(_case(alert, {series: values}, {alert: [(quiet, False), (rings, True)]}))
    tests = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": cases}
    (tmp_path / "tests.yml").write_text(json.dumps(tests))
    done = run(promtool(), "test", "rules", "tests.yml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
