"""Every panel of otmon.ndjson, as the request it stands for, on a real node with the demo's and real captures' data."""

import json
import math
import secrets
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from elasticsearch import Elasticsearch

from otmon.outputs.elastic.fields import FIELDS
from otmon.outputs.kibana.panels import Matrix
from tests.elastic.drawing import draw
from tests.elastic.kibana_requests import request_of
from tests.elastic.preview import answers, clear, fill, search
from tests.elastic.server import Node
from tests.elastic.test_kibana_objects import BY_ID, PANELS, dashboards

ASKING = sorted(name for kind, name in BY_ID if kind in ("visualization", "search") and name in PANELS)
NUMERIC = ("long", "integer", "float", "double")


class Filled(NamedTuple):
    client: Elasticsearch
    namespace: str
    documents: int


@pytest.fixture(scope="module")
def filled(elastic: Node) -> Iterator[Filled]:
    with elastic.client() as client:
        name = f"kib{secrets.token_hex(4)}"
        yield Filled(client, name, fill(client, name, time.time_ns()))
        clear(client, name)


def ask(filled: Filled, index: str, body: dict[str, Any]) -> dict[str, Any]:
    ours = ",".join(part.removesuffix("*") + f"*{filled.namespace}" for part in index.split(","))
    return search(filled.client, ours, body, "now-30d")


@pytest.mark.parametrize("name", ASKING)
def test_a_panel_finds_something_of_the_right_type(filled: Filled, name: str) -> None:
    found = request_of(BY_ID.get(("visualization", name)) or BY_ID["search", name], BY_ID, "10m")
    if found is None:
        return
    index, body = found
    answer = ask(filled, index, body)
    assert answer["_shards"]["failed"] == 0
    assert answer["_shards"]["successful"] > 0
    assert answer["hits"]["total"]["value"] > 0
    if "aggs" in body:
        assert typed(body["aggs"], answer["aggregations"]) > 0
    else:
        for hit in answer["hits"]["hits"]:
            assert set(hit["fields"]) <= set(body["fields"])
        assert {field for hit in answer["hits"]["hits"] for field in hit["fields"]} == set(body["fields"])
    assert draw(PANELS[name], answer)


def typed(asked: dict[str, Any], found: dict[str, Any]) -> int:
    """How many figures there are: keys of buckets are of their field's type, and figures are figures."""
    figures = 0
    for name, agg in asked.items():
        kind, params = next((kind, params) for kind, params in agg.items() if kind != "aggs")
        result = found[name]
        if kind in ("terms", "date_histogram", "composite"):
            for bucket in result["buckets"]:
                if kind == "terms" and FIELDS[params["field"]].type in NUMERIC:
                    assert isinstance(bucket["key"], (int, float))
                figures += typed(agg["aggs"], bucket)
            if not result["buckets"]:
                return 0
        elif kind == "top_hits":
            (hit,) = result["hits"]["hits"]
            assert set(hit.get("fields", {})) <= set(params["fields"])
            figures += len(hit.get("fields", {}))
        else:
            value = result["value"]
            assert value is None or math.isfinite(value)
            assert kind != "cardinality" or isinstance(value, int)
            figures += value is not None
    return figures


def buckets(filled: Filled, name: str) -> list[dict[str, Any]]:
    index, body = request_of(BY_ID["visualization", name], BY_ID, "10m") or ("", {})
    (outer,) = [one for one in ask(filled, index, body)["aggregations"].values() if "buckets" in one]
    return list(outer["buckets"])


def panel_called(title: str) -> str:
    (name,) = [name for name, panel in PANELS.items() if panel.title == title]
    return name


def test_alerts_are_counted_once_though_each_change_is_a_document(filled: Filled) -> None:
    index, body = request_of(
        BY_ID["visualization", panel_called("How many alerts are urgent (critical or high)?")], BY_ID, "1h"
    ) or ("", {})
    answer = ask(
        filled,
        index,
        body | {"query": {"bool": {"filter": [body["query"], {"term": {"otmon.site": "water-works-3"}}]}}},
    )
    assert answer["aggregations"]["1"]["value"] == 4
    assert answer["hits"]["total"]["value"] == 8


def test_a_row_says_what_the_newest_revision_says(filled: Filled) -> None:
    rows = buckets(filled, panel_called("What needs attention first?"))
    assert [row["1"]["value"] for row in rows] == sorted((row["1"]["value"] for row in rows), reverse=True)
    for row in rows:
        (hit,) = row["3"]["hits"]["hits"]
        assert hit["sort"] == [2]


def test_the_matrix_has_a_cell_for_every_conduit(filled: Filled) -> None:
    (name,) = [name for name, panel in PANELS.items() if isinstance(panel, Matrix)]
    pairs = {tuple(one["key"].values()): one["operations"]["value"] for one in buckets(filled, name)}
    assert pairs["supervision", "control", "permit"] > 0
    assert pairs["supervision", "control", "deny"] > 0
    assert pairs["office", "control", "deny"] == 1
    assert pairs[None, None, None] > 0  # captures without a policy


def test_hostile_text_stays_text(filled: Filled) -> None:
    (overview,) = [one for one in dashboards.DASHBOARDS if one.name == "overview"]
    hostile = "<script>alert(1)</script>"
    found = json.loads(json.dumps(answers(filled.client, overview, {})).replace("HMI-2", hostile))
    pages = "".join(draw(PANELS[name], answer) for name, answer in found.items())
    assert "&lt;script&gt;" in pages
    assert "<script" not in pages
