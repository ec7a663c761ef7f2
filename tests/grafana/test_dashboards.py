"""Dashboards are what the tables say, ask for fields that documents have, and are what Grafana's schema allows."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from grafana import make
from otmon.outputs.elastic.fields import FIELDS
from otmon.outputs.sink import STREAMS
from tests.grafana.tools import SCHEMA, run, schema_folder

ROOT = Path(__file__).parents[2]
HERE = ROOT / "grafana"
BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((HERE / "dashboards").glob("*.json"))}
PANELS = [(name, panel) for name, board in BOARDS.items() for panel in board["panels"]]
SOURCES = YAML(typ="safe").load(HERE / "provisioning/datasources/otmon.yaml")["datasources"]
RULES = YAML(typ="safe").load(HERE / "provisioning/alerting/otmon.yaml")["groups"][0]["rules"]
TARGETS = [(f"{name}: {panel['title']}", target) for name, panel in PANELS for target in panel.get("targets", [])]
TARGETS += [
    (rule["uid"], part["model"] | {"datasource": {"uid": part["datasourceUid"]}})
    for rule in RULES
    for part in rule["data"]
    if part["datasourceUid"] != "__expr__"
]
ELASTIC = [pytest.param(target, id=name) for name, target in TARGETS if "timeField" in target]
NUMBERS = {"long", "integer", "float", "double", "date"}


def test_files_are_what_the_tables_make() -> None:
    made = make.files()
    assert {f"dashboards/{name}.json" for name in BOARDS} <= set(made)
    stale = [name for name, content in made.items() if (HERE / name).read_text() != content]
    assert not stale, "python -m grafana.make"


def test_every_question_of_the_plant_has_its_dashboard() -> None:
    assert set(BOARDS) == {
        *("overview", "triage", "assets", "conduits", "operations", "modbus", "dnp3", "s7"),
        *("visibility", "sensors", "metrics"),
    }


@pytest.mark.parametrize(
    ("name", "panel"), PANELS, ids=lambda value: value if isinstance(value, str) else value["title"]
)
def test_a_panel_asks_a_question_and_explains_itself(name: str, panel: dict[str, Any]) -> None:
    if panel["type"] == "text":
        assert len(panel["options"]["content"]) > 80
    else:
        assert panel["title"].endswith("?")
        assert len(panel["description"]) > 10
        assert panel["description"].endswith(".")


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_panels_do_not_overlap_and_ids_are_one_each(board: dict[str, Any]) -> None:
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in board["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(taken) == len(set(taken))
    assert all(x < 24 for x, _ in taken)
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def named(query: str) -> set[str]:
    """Fields that a query names."""
    plain = query.replace("(*:*)", "")
    return set(re.findall(r"([\w@.]+):", plain)) - {"_exists_"} | set(re.findall(r"_exists_:([\w.]+)", plain))


def has(stream: str, field: str) -> bool:
    wanted = STREAMS if stream == "all" else (stream,)
    return field in FIELDS and set(wanted) <= FIELDS[field].streams


@pytest.mark.parametrize("target", ELASTIC)
def test_every_field_is_one_that_the_documents_have(target: dict[str, Any]) -> None:
    stream = target["datasource"]["uid"].removeprefix("otmon-")
    query = re.sub(r"\$\{\w+:raw\}", "x", target["query"])
    assert {field for field in named(query) if not has(stream, field)} == set()
    for metric in target["metrics"]:
        if "field" in metric:
            assert has(stream, metric["field"]), metric
            kind = FIELDS[metric["field"]].type
            assert kind == "keyword" if metric["type"] == "cardinality" else kind in NUMBERS, metric
    for bucket in target["bucketAggs"]:
        if bucket["type"] == "filters":
            continue
        assert has(stream, bucket["field"]), bucket
        kind = FIELDS[bucket["field"]].type
        assert {"nested": kind == "nested", "date_histogram": kind == "date"}.get(
            bucket["type"], kind in {"keyword", "long"}
        )
        if "missing" in bucket.get("settings", {}):
            assert kind == "keyword", f"{bucket['field']}: a word cannot stand for what is missing"


@pytest.mark.parametrize(("name", "panel"), [(n, p) for n, p in PANELS if "transformations" in p])
def test_every_column_is_one_that_the_documents_have(name: str, panel: dict[str, Any]) -> None:
    stream = panel["datasource"]["uid"].removeprefix("otmon-")
    for step in panel["transformations"]:
        if step["id"] == "filterFieldsByName":
            assert all(has(stream, field) for field in step["options"]["include"]["names"]), step


@pytest.mark.parametrize("target", [p for p in ELASTIC if p.values[0]["datasource"]["uid"] == "otmon-alert"])
def test_alerts_are_counted_by_id(target: dict[str, Any]) -> None:
    assert "count" not in {metric["type"] for metric in target["metrics"]}


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_every_data_source_and_variable_is_there(board: dict[str, Any]) -> None:
    known = {source["uid"] for source in SOURCES}
    asked = [*board["panels"], *board["templating"]["list"]]
    assert {part["datasource"]["uid"] for part in asked if "datasource" in part} <= known
    variables = {one["name"] for one in board["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]\w*)", json.dumps([panel.get("targets") for panel in board["panels"]])))
    assert used == variables
    for one in board["templating"]["list"]:
        if "otmon-" in str(one.get("query")) or str(one.get("query")).startswith('{"find"'):
            assert json.loads(one["query"])["field"] in FIELDS


def test_links_lead_to_dashboards() -> None:
    text = json.dumps(BOARDS)
    assert set(re.findall(r"/d/otmon-(\w+)", text)) <= set(BOARDS)
    assert '"asDropdown": true' in text


def test_alert_rules_name_labels_that_their_answers_have() -> None:
    known = {source["uid"] for source in SOURCES} | {"__expr__"}
    assert len({rule["uid"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert {part["datasourceUid"] for part in rule["data"]} <= known
        buckets = rule["data"][0]["model"]["bucketAggs"]
        labels = set(re.findall(r'index \$labels "([^"]+)"', rule["annotations"]["summary"]))
        assert labels <= {bucket.get("field") for bucket in buckets}, rule["uid"]
        assert len(rule["data"][0]["model"]["metrics"]) == 1, "a table of one number for each row"


# --- @grafana/schema -------------------------------------------------------------------------------------------------


def wrong() -> dict[str, Any]:
    """Boards with one mistake each."""
    board = BOARDS["overview"]
    first, stat = board["panels"][0], board["panels"][1]
    target = stat["targets"][0]
    return {
        "version": board | {"schemaVersion": "41"},
        "place": board | {"panels": [first | {"gridPos": first["gridPos"] | {"h": "9"}}]},
        "choice": board | {"panels": [stat | {"options": stat["options"] | {"colorMode": "loud"}}]},
        "option": board | {"panels": [stat | {"options": stat["options"] | {"colour": "value"}}]},
        "query": board | {"panels": [stat | {"targets": [target | {"bucketAggs": [{"id": "1", "type": "rate"}]}]}]},
        "colour": board
        | {"panels": [stat | {"fieldConfig": {"defaults": {"color": {"mode": "no"}}, "overrides": []}}]},
        "variable": board | {"templating": {"list": [board["templating"]["list"][0] | {"hide": "no"}]}},
    }


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What TypeScript says of each dashboard it does not like, ours and wrong ones, in one run of it."""
    folder = tmp_path_factory.mktemp("boards")
    (folder / "node_modules").symlink_to(schema_folder() / "node_modules")
    for path in ("package.json", "board.ts", "tsconfig.json"):
        shutil.copy(SCHEMA / path, folder)
    ours = {path.stem: path.read_text() for path in (HERE / "dashboards").glob("*.json")}
    for name, text in (ours | {f"wrong_{name}": json.dumps(board) for name, board in wrong().items()}).items():
        lines = ("import type { Board } from './board.js';", f"export const board: Board = {text};", "")
        (folder / f"{name}.ts").write_text("\n".join(lines))
    done = run("node", "node_modules/typescript/bin/tsc", "-p", "tsconfig.json", "--pretty", "false", cwd=folder)
    found = dict(re.findall(r"^([\w-]+)\.ts\(.*?: (error .*)$", done.stdout, re.MULTILINE))
    assert found, done.stdout + done.stderr
    assert not re.search(r"^error ", done.stdout, re.MULTILINE), done.stdout  # of no file
    return found


def test_dashboards_are_what_grafanas_schema_allows(said: dict[str, str]) -> None:
    assert {name: error for name, error in said.items() if not name.startswith("wrong_")} == {}


def test_the_schema_would_find_something(said: dict[str, str]) -> None:
    assert {name for name in said if name.startswith("wrong_")} == {f"wrong_{name}" for name in wrong()}
