"""otmon.ndjson is what the panels make, and what Kibana 8.8 and later take: forms, references, fields, requests."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from otmon.outputs.elastic.fields import FIELDS
from otmon.outputs.kibana import dashboards
from otmon.outputs.kibana.objects import CORE, MIGRATED, ndjson, saved_objects
from otmon.outputs.kibana.panels import GRID_COLUMNS, Panel, Query, placed
from otmon.outputs.kibana.requests import index_of, request
from tests.elastic.kibana_requests import fields_of, request_of

FILE = Path(dashboards.__file__).parents[1] / "otmon.ndjson"
OBJECTS = [json.loads(line) for line in FILE.read_text().splitlines()]
BY_ID = {(one["type"], one["id"]): one for one in OBJECTS}
DOCS = Path(__file__).parents[2] / "docs"
PANELS = {place.id: place.panel for dashboard in dashboards.DASHBOARDS for place in placed(dashboard)}
PAGES = [one for one in OBJECTS if one["type"] == "dashboard"]
LUCENE_FIELD = re.compile(r"([\w.@]+):")
"""In a query of ours: a name before a colon."""


def ids(value: Any) -> str:
    return str(value["id"])


def test_the_file_is_in_step() -> None:
    assert FILE.read_text() == ndjson(saved_objects()), "run: python -m otmon.outputs.kibana.write"


def test_ids_are_ours_and_there_once() -> None:
    assert len(BY_ID) == len(OBJECTS)
    assert all(re.fullmatch(r"otmon-[a-z0-9-]+", one["id"]) for one in OBJECTS)
    assert {one["id"] for one in PAGES} == {f"otmon-{one.name}" for one in dashboards.DASHBOARDS}
    titles = Counter(one["attributes"]["title"] for one in PAGES)
    assert max(titles.values()) == 1


@pytest.mark.parametrize("thing", OBJECTS, ids=ids)
def test_an_object_has_the_form_of_kibana_8_8(thing: dict[str, Any]) -> None:
    assert set(thing) == {
        *("type", "id", "attributes", "references", "coreMigrationVersion", "typeMigrationVersion", "managed"),
    }
    assert thing["type"] in ("index-pattern", "search", "visualization", "dashboard")
    assert thing["coreMigrationVersion"] == CORE == "8.8.0"
    assert thing["typeMigrationVersion"] == MIGRATED[thing["type"]]
    attributes = thing["attributes"]
    for name in ("visState", "uiStateJSON", "panelsJSON", "optionsJSON", "fieldAttrs", "fieldFormatMap"):
        if name in attributes:
            json.loads(attributes[name])
    assert isinstance(attributes["title"], str)
    assert len({one["name"] for one in thing["references"]}) == len(thing["references"])
    for one in thing["references"]:
        assert set(one) == {"type", "id", "name"}
        assert (one["type"], one["id"]) in BY_ID
    if thing["type"] in ("search", "visualization"):
        source = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
        named = [source["indexRefName"]] if "indexRefName" in source else []
        assert [one["name"] for one in thing["references"]] == named


def test_objects_come_after_what_they_refer_to() -> None:
    seen = set[tuple[str, str]]()
    for one in OBJECTS:
        assert {(each["type"], each["id"]) for each in one["references"]} <= seen
        seen.add((one["type"], one["id"]))


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_panels_refer_to_objects_and_do_not_overlap(page: dict[str, Any]) -> None:
    attributes = page["attributes"]
    references = {one["name"]: one for one in page["references"]}
    taken = set[tuple[int, int]]()
    for panel in json.loads(attributes["panelsJSON"]):
        reference = references.pop(f"{panel['panelIndex']}:{panel['panelRefName']}")
        assert reference["type"] == panel["type"]
        assert panel["gridData"]["i"] == panel["panelIndex"]
        x, y, w, h = (panel["gridData"][name] for name in "xywh")
        cells = {(column, row) for column in range(x, x + w) for row in range(y, y + h)}
        assert x + w <= GRID_COLUMNS
        assert not cells & taken
        taken |= cells
    for name, control in json.loads(attributes["controlGroupInput"]["panelsJSON"]).items():
        assert control["explicitInput"]["id"] == name
        assert FIELDS[control["explicitInput"]["fieldName"]].type in ("keyword", "ip")
        del references[f"controlGroup_{name}:optionsListDataView"]
    assert not references
    assert attributes["timeRestore"] is True


def test_links_lead_to_pages() -> None:
    texts = [json.loads(one["attributes"]["visState"]) for one in OBJECTS if one["type"] == "visualization"]
    links = [
        link
        for state in texts
        if state["type"] == "markdown"
        for link in re.findall(r"\(#/view/([^)]+)\)", state["params"]["markdown"])
    ]
    assert len(links) == len(PAGES) * (len(PAGES) - 1)
    assert set(links) == {page["id"] for page in PAGES}


@pytest.mark.parametrize("name", sorted(PANELS))
def test_the_file_asks_what_the_panel_asks(name: str) -> None:
    panel = PANELS[name]
    thing = BY_ID.get(("visualization", name)) or BY_ID["search", name]
    assert request_of(thing, BY_ID, "1h") == expected(panel)


def expected(panel: Panel) -> Any:
    body = request(panel, "1h")
    if body is None:
        return None
    assert isinstance(panel, Query)
    return index_of(panel.stream), body


@pytest.mark.parametrize("thing", [one for one in OBJECTS if one["type"] != "index-pattern"], ids=ids)
def test_every_field_is_in_the_table(thing: dict[str, Any]) -> None:
    texts = [json.loads(text) for text in strings(thing) if text.startswith(("{", "["))]
    wanted = fields_of([thing, texts])
    found = request_of(thing, BY_ID, "1h") if thing["type"] != "dashboard" else None
    if found is not None:
        wanted |= fields_of(found[1])
        for query in re.findall(r'"query_string": {"query": "(.*?)", ', json.dumps(found[1])):
            wanted |= set(LUCENE_FIELD.findall(query)) | set(re.findall(r"_exists_:([\w.@]+)", query))
    if thing["type"] == "search":
        wanted |= set(thing["attributes"]["columns"])
    unknown = wanted - set(FIELDS) - {"_exists_"}
    # In a Vega picture encodings name what its transforms made.
    unknown -= {"client", "server", "permitted", "denied", "unjudged", "verdict", "words"}
    assert not unknown


def strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for one in values for text in strings(one)]


def test_a_field_asked_for_is_in_that_stream() -> None:
    for name, panel in PANELS.items():
        if isinstance(panel, Query) and panel.stream in ("alert", "asset", "operation", "audit", "sensor", "point"):
            body = request(panel) or {}
            wrong = {field for field in fields_of(body) if panel.stream not in FIELDS[field].streams}
            assert not wrong, name


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_page_has_a_small_picture(page: dict[str, Any]) -> None:
    picture = DOCS / "pictures" / f"kibana-{page['id'].removeprefix('otmon-')}.png"
    assert 10_000 < picture.stat().st_size < 150_000


def test_alerts_are_never_counted_by_document() -> None:
    for thing in OBJECTS:
        if thing["type"] == "visualization":
            state = json.loads(thing["attributes"]["visState"])
            assert not any(agg["type"] == "count" for agg in state["aggs"])
