"""Every Elasticsearch panel, variable and alert rule of Grafana, asked of a real node with the demo's and real data."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from elasticsearch import AuthorizationException
from ruamel.yaml import YAML

from otmon.cli import cli
from otmon.outputs.elastic.connection import elastic as settings_of
from otmon.outputs.elastic.fields import FIELDS
from otmon.outputs.elastic.install import Installation
from otmon.outputs.elastic.sink import ElasticSink
from tests.elastic.server import Node
from tests.grafana import data
from tests.grafana.model import Json, Row, lines, replaced, rows, search, transformed

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("OTMON_SHARED", ROOT.parent / "shared" / "captures"))
OTHERS = ("Modbus_dataset/*moving_two_files*", "zeek__zeek/**/*dnp3*link_only*", "gymgit__s7-pcaps/*")
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "grafana/dashboards").glob("*.json"))}
PANELS = [
    pytest.param(board, panel, id=f"{name}: {panel['title']}")
    for name, board in DASHBOARDS.items()
    for panel in board["panels"]
    if panel.get("datasource", {}).get("type") == "elasticsearch"
]
RULES = YAML(typ="safe").load(ROOT / "grafana/provisioning/alerting/otmon.yaml")["groups"][0]["rules"]
SOURCES = {
    one["uid"]: one
    for one in YAML(typ="safe").load(ROOT / "grafana/provisioning/datasources/otmon.yaml")["datasources"]
}


class Asked:
    """Asks as Grafana does: one _msearch for each panel, on the index of its data source."""

    def __init__(self, node: Node, namespace: str) -> None:
        self.client, self.namespace = node.client(), namespace
        self.start_ms = self.end_ms = 0

    def ask(self, uid: str, body: Json) -> Json:
        index = SOURCES[uid]["jsonData"]["index"]
        assert index.endswith("-*")
        header = {
            "index": f"{index[:-1]}{self.namespace}",
            "search_type": "query_then_fetch",
            "ignore_unavailable": True,
        }
        answer = self.client.msearch(searches=[header, body], max_concurrent_shard_requests=5)["responses"][0]
        assert answer["status"] == 200, answer.get("error")
        assert answer["_shards"]["failed"] == 0, answer
        return dict(answer)

    def target(self, board: Json, target: Json, chosen: dict[str, Any] | None = None) -> Json:
        variables = {one["name"]: one for one in board["templating"]["list"]}
        query = replaced(target["query"], variables, chosen or {}, self.start_ms, self.end_ms)
        interval_ms = max(1000, (self.end_ms - self.start_ms) // 1000)
        body = search(target, query, self.start_ms, self.end_ms, interval_ms)
        return self.ask(target["datasource"]["uid"], body)

    def offer(self, variable: Json) -> list[str]:
        """The values that a variable offers."""
        wanted = json.loads(variable["query"])
        assert wanted["find"] == "terms"
        body = {
            "size": 0,
            "query": {"range": {"@timestamp": {"gte": self.start_ms, "lte": self.end_ms, "format": "epoch_millis"}}},
            "aggs": {"1": {"terms": {"field": wanted["field"], "size": wanted["size"], "order": {"_key": "asc"}}}},
        }
        found = self.ask(variable["datasource"]["uid"], body)
        return [bucket["key"] for bucket in found["aggregations"]["1"]["buckets"]]


@pytest.fixture(scope="module")
def asked(elastic: Node, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    namespace = "grafana"
    made = Asked(elastic, namespace)
    Installation(made.client, namespace).install()
    environment = {"OTMON_ELASTIC_URL": elastic.url, "OTMON_ELASTIC_NAMESPACE": namespace}
    runs = [[str(ROOT / "captures/plant.pcap"), "--policy", str(ROOT / "rules/plant.yaml")]]
    runs += [[str(path)] for path in sorted((ROOT / "captures").glob("*.pcap")) if path.stem != "plant"]
    runs += [[str(path)] for pattern in OTHERS for path in sorted(SHARED.rglob(pattern))[:2]]
    for number, arguments in enumerate(runs):
        folder = tmp_path_factory.mktemp("run") / str(number)
        done = CliRunner().invoke(cli, ["analyze", *arguments, "--out", str(folder)], env=environment)
        assert done.exit_code in (0, 3), done.output
    sink = ElasticSink(settings_of(elastic.url, {"namespace": namespace}))
    newest = made.client.search(index=f"logs-otmon.*-{namespace}", size=1, sort="@timestamp:desc")
    data.send(sink, data.examples(newest["hits"]["hits"][0]["_source"]["otmon"]["ts_ns"]))
    sink.close()
    made.client.indices.refresh(index=f"*-otmon.*-{namespace}")
    ends = {"first": {"min": {"field": "event.start"}}, "last": {"max": {"field": "@timestamp"}}}
    found = made.client.search(index=f"*-otmon.*-{namespace}", size=0, aggs=ends)["aggregations"]
    made.start_ms, made.end_ms = int(found["first"]["value"]) - 1, int(found["last"]["value"]) + 1
    return made


@pytest.fixture(scope="module")
def ringing(asked: Asked, elastic: Node) -> dict[str, set[str]]:
    """By rule: the sensors (or sites) it should ring for; `quiet` was last heard two hours ago, `awake` just now."""
    sink = ElasticSink(settings_of(elastic.url, {"namespace": asked.namespace}))
    now_ns = data.now_ns()
    data.send(sink, data.examples(now_ns - 120 * data.MINUTE_NS, "quiet"))
    data.send(sink, data.examples(now_ns - 6 * data.MINUTE_NS, "awake"))
    data.send(sink, data.storm(now_ns - data.MINUTE_NS, "awake", 60))
    sink.close()
    asked.client.indices.refresh(index=f"*-otmon.*-{asked.namespace}")
    rings = {rule["uid"]: {"awake"} for rule in RULES}
    return rings | {"otmon-silent": {"quiet"}, "otmon-storm": {data.SITE}, "otmon-new-devices": {data.SITE}}


NUMBER = (int, float)
TYPES: dict[str, Any] = {
    **dict.fromkeys(("keyword", "text", "ip", "date"), str),
    **dict.fromkeys(("long", "integer"), int),
    **dict.fromkeys(("float", "double"), NUMBER),
    "boolean": bool,
    "nested": dict,
}
"""Of values, by type of field."""


def table(asked: Asked, board: Json, panel: Json, chosen: dict[str, Any] | None = None) -> list[Row]:
    (target,) = panel["targets"]
    found = rows(target, asked.target(board, target, chosen))
    for row in found:
        for column, value in row.items():
            if column.startswith("otmon.audit.detail."):
                continue
            values = value if isinstance(value, list) else [value]
            expected = TYPES[FIELDS[column].type] if column in FIELDS else NUMBER
            assert all(isinstance(one, expected) for one in values if one is not None), (column, value)
    return transformed(panel, found)


def panel_of(name: str, title: str) -> tuple[Json, Json]:
    board = DASHBOARDS[name]
    return board, next(panel for panel in board["panels"] if panel["title"] == title)


@pytest.mark.parametrize(("board", "panel"), PANELS)
def test_a_panel_has_an_answer_of_the_right_type(asked: Asked, board: Json, panel: Json) -> None:
    if panel["type"] == "timeseries":
        for target in panel["targets"]:
            found = lines(target, asked.target(board, target))
            values = [value for line in found.values() for value in line if value is not None]
            assert values
            assert all(isinstance(value, NUMBER) for value in values)
        return
    found = table(asked, board, panel)
    assert found
    for header in found[0]:
        assert any(row.get(header) not in (None, "", []) for row in found), f"nothing under {header}"


def test_alerts_are_counted_once_however_often_they_changed(asked: Asked) -> None:
    board, panel = panel_of("overview", "How many medium alerts?")
    ((figure,),) = [list(row.values())[-1:] for row in table(asked, board, panel)]
    search_all = {"term": {"otmon.alert.severity": "medium"}}
    hits = asked.client.search(index=f"logs-otmon.alert-{asked.namespace}", size=1000, query=search_all)["hits"]["hits"]
    ids = [hit["_source"]["otmon"]["alert"]["id"] for hit in hits]
    assert figure == len(set(ids)) < len(ids)


def test_a_list_shows_the_newest_state_of_each_alert(asked: Asked) -> None:
    board, panel = panel_of("overview", "What happened last?")
    found = table(asked, board, panel)
    assert len({row["Alert"] for row in found}) == len(found)
    assert [row["Times"] for row in found if row["Alert"] == f"{2:020x}"] == [2]
    stop = next(row for row in found if "stopped the CPU of PLC-2" in row["What happened"])
    assert (stop["Severity"], stop["Did the device obey?"]) == ("critical", "accepted")


def test_one_alert_from_its_sentence_to_its_evidence(asked: Asked) -> None:
    board, panel = panel_of("triage", "What happened?")
    stop = next(row for row in table(asked, board, panel) if "stopped the CPU of PLC-2" in row["What happened"])
    chosen = {"alert": stop["Alert"]}
    said = {
        title: table(asked, *panel_of("triage", title), chosen)
        for title in ("Why is it an alert?", "Between whom?", "What exactly was done?", "Which frames prove it?")
    }
    assert {len(one) for one in said.values()} == {1}
    (whom,), (what,) = said["Between whom?"], said["What exactly was done?"]
    assert (whom["Name"], whom["Zone"], whom["Its name"], whom["Its zone"]) == (
        "HMI-1",
        "supervision",
        "PLC-2",
        "control",
    )
    assert (what["Function"], what["Attempted"], what["Accepted"]) == ("plc_stop", 1, 1)
    assert said["Which frames prove it?"][0]["Frames (input:frame)"][0].startswith("1:")


def test_a_matrix_has_zones_on_both_sides(asked: Asked) -> None:
    found = table(asked, *panel_of("conduits", "Where does the policy say no?"))
    corner = next(name for name in found[0] if "\\" in name)
    supervision = next(row for row in found if row[corner] == "supervision")
    assert supervision["control"] >= 4


@pytest.mark.parametrize(
    "board", [one for name, one in DASHBOARDS.items() if name != "metrics"], ids=lambda b: b["uid"]
)
def test_variables_offer_what_is_there_and_narrow_what_is_shown(asked: Asked, board: Json) -> None:
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            offered = asked.offer(variable)
            assert offered, variable["name"]
            if variable["name"] == "site":
                assert data.SITE in offered
    panel = next(one for one in board["panels"] if one["type"] in ("stat", "bargauge", "table"))
    everything, ours, nowhere = (
        len(str(table(asked, board, panel, {"site": site})))
        for site in (["$__all"], [data.SITE, "a b:c"], ["no (such)"])
    )
    assert nowhere == len("[]") < ours <= everything


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["uid"])
def test_an_alert_rule_rings_for_whom_it_should(asked: Asked, ringing: dict[str, set[str]], rule: Json) -> None:
    question, threshold = rule["data"]
    (condition,) = threshold["model"]["conditions"]
    kind, (limit,) = condition["evaluator"]["type"], condition["evaluator"]["params"]
    end_ms = data.now_ns() // 1_000_000
    start_ms = end_ms - 1000 * question["relativeTimeRange"]["from"]
    body = search(question["model"], question["model"]["query"], start_ms, end_ms, 60_000)
    found = rows(question["model"], asked.ask(question["datasourceUid"], body))
    assert found
    rings = set()
    for row in found:
        (figure,) = (value for name, value in row.items() if name not in FIELDS and name != "filter")
        assert isinstance(figure, NUMBER)
        assert all(isinstance(row[one["field"]], str) for one in question["model"]["bucketAggs"] if "field" in one)
        if figure > limit if kind == "gt" else figure < limit:
            rings.add(row.get("observer.name", row["otmon.site"]))
    rings -= {data.SENSOR}  # of the captures: within the day or not, as the calendar has it
    assert rings == ringing[rule["uid"]]


def test_the_user_that_compose_makes_for_grafana_reads_and_nothing_else(elastic_secure: Node, tmp_path: Path) -> None:
    """The script of deploy/compose.yaml is run as it stands, with the node's address in place of the container's."""
    if shutil.which("curl") is None:
        pytest.skip("no curl here")
    script = YAML(typ="safe", pure=True).load(ROOT / "deploy/compose.yaml")["services"]["users"]["command"][0]
    for there, here in {
        "$$": "$",
        "https://elasticsearch:9200": elastic_secure.url,
        "machine elasticsearch login elastic": "machine 127.0.0.1 login admin",
        "/tmp/netrc": str(tmp_path / "netrc"),
        "--cacert /authority/ca.pem": "",
    }.items():
        assert there in script
        script = script.replace(there, here)
    passwords = {
        "ELASTIC_PASSWORD": "secret",
        "KIBANA_PASSWORD": "for-kibana",
        "GRAFANA_READER_PASSWORD": "for-grafana",
    }
    done = subprocess.run(["bash", "-euc", script], env=os.environ | passwords, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    Installation(elastic_secure.client(), "reader").install()
    grafana = elastic_secure.client(basic_auth=("otmon_grafana", "for-grafana"))
    asked = grafana.msearch(searches=[{"index": "*-otmon.*-*"}, {"size": 0}])["responses"][0]
    assert asked["status"] == 200
    assert grafana.indices.get_mapping(index="logs-otmon.alert-*")
    for index in ("logs-otmon.alert-reader", "other"):
        with pytest.raises(AuthorizationException):
            grafana.index(index=index, op_type="create", document={"@timestamp": "2026-01-01"})
    with pytest.raises(AuthorizationException):
        grafana.search(index="other")
