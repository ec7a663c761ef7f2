"""One table: its own rules, the templates and the page that are made from it."""

import json
import re
from pathlib import Path
from typing import Any

from otmon.model import Counts
from otmon.outputs.elastic import fielddocs
from otmon.outputs.elastic.documents import DATA_STREAMS
from otmon.outputs.elastic.fields import FIELDS, FITS, Field, of_stream
from otmon.outputs.elastic.rows_otmon import BYTE_BUCKETS, FRAME_BUCKETS, OUTCOMES
from otmon.outputs.elastic.templates import COMMON, VERSION, templates
from otmon.outputs.sink import STREAMS
from otmon.wire import columns

ROOT = Path(__file__).parents[3]
ECS_ROOTS = {"@timestamp", "message", "ecs", "event", "rule", "source", "destination", "network", "related", "observer",
             "threat", "host", "device", "error", "otmon"}  # fmt: skip


def leaves(properties: dict[str, Any], above: str = "") -> dict[str, dict[str, Any]]:
    found = {}
    for name, node in properties.items():
        if "type" in node:
            found[above + name] = {key: value for key, value in node.items() if key != "properties"}
        found |= leaves(node.get("properties", {}), f"{above}{name}.")
    return found


def test_names_and_types_are_of_a_kind() -> None:
    for field in FIELDS.values():
        assert re.fullmatch(r"@?[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*", field.name), field
        assert field.name.partition(".")[0] in ECS_ROOTS, field
        assert field.type in FITS or field.type == "alias", field
        assert field.streams, field
        assert field.about.endswith("."), field
        assert (field.example is None) == (field.type == "nested"), field
        above = field.name.rpartition(".")[0]
        assert above not in FIELDS or FIELDS[above].type == "nested", field


def test_examples_are_of_the_type() -> None:
    for field in FIELDS.values():
        if field.type not in ("alias", "nested"):
            assert field.fit(field.example) == field.example, field


def test_every_field_of_a_stream_is_in_its_templates_once() -> None:
    made = {one.name: one.body for one in templates()}
    for stream in STREAMS:
        index = made[DATA_STREAMS[stream]]
        found: dict[str, dict[str, Any]] = {}
        for name in index["composed_of"]:
            properties = made.get(name, {}).get("template", {}).get("mappings", {}).get("properties", {})
            assert not found.keys() & leaves(properties).keys()
            found |= leaves(properties)
        assert found == {field.name: field.mapping for field in of_stream(stream)}
        assert set(index["composed_of"]) - made.keys() == set(index["ignore_missing_component_templates"])
        assert index["template"]["lifecycle"]["data_retention"].endswith("d")


def test_templates_are_versioned_strict_below_otmon_and_carry_nothing_a_node_may_lack() -> None:
    text = json.dumps([one.body for one in templates()])
    lacking = ("lifecycle.name", "scaled_float", "match_only_text", "constant_keyword", "wildcard", "best_compression")
    assert not [word for word in lacking if word in text]
    for one in templates():
        assert one.body["version"] == one.body["_meta"]["version"] == VERSION
        mappings = one.body["template"].get("mappings") if one.kind == "component" else None
        if mappings is not None:
            assert mappings["dynamic"] is False
            assert mappings["properties"]["otmon"]["dynamic"] == "strict"


def test_one_namespace_has_index_templates_of_its_own_that_come_first() -> None:
    everywhere, here = ({one.name: one for one in templates(*space)} for space in ((), ("plant-3",)))
    assert here.keys() - everywhere.keys() == {f"{name}-plant-3" for name in DATA_STREAMS.values()}
    for name in DATA_STREAMS.values():
        assert everywhere[name].body["index_patterns"] == [f"{name}-*"]
        assert here[f"{name}-plant-3"].body["index_patterns"] == [f"{name}-plant-3"]
        assert 200 <= everywhere[name].body["priority"] < here[f"{name}-plant-3"].body["priority"] <= 500


def test_buckets_and_outcomes_are_those_of_the_engine() -> None:
    assert set(FRAME_BUCKETS) == set(columns.FRAME_BUCKETS)
    assert set(BYTE_BUCKETS) == set(columns.BYTE_BUCKETS)
    assert tuple(OUTCOMES) == Counts.FIELDS


def test_the_page_is_made_from_the_table() -> None:
    page = (ROOT / "docs" / "elastic-fields.md").read_text()
    assert page == fielddocs.page(ROOT / "docs" / "records"), "run python -m otmon.outputs.elastic.fielddocs"
    rows = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
    own = [field.name for stream in STREAMS for field in of_stream(stream) if field.streams != COMMON]
    assert rows == [field.name for field in FIELDS.values() if field.streams == COMMON] + own


def test_values_are_cut_to_what_a_field_takes() -> None:
    def fit(kind: str, value: Any) -> Any:
        return Field("otmon.x", kind, frozenset(STREAMS), "X.", None).fit(value)

    assert len(fit("keyword", "x" * 5000)) == 1024
    assert len(fit("text", "漢" * 50_000).encode()) <= 32_766
    assert fit("keyword", "🛢" * 600) == "🛢" * 511 + "…"  # 1,024 as Java counts
    assert fit("keyword", "🛢" * 512) == "🛢" * 512
    assert fit("float", 1e39) is None
    assert fit("long", 2**80) == 2**63 - 1
    assert fit("long", -(2**80)) == -(2**63)
    assert fit("double", 10**400) is None
    assert fit("double", float("nan")) is None
    assert fit("ip", ["10.0.0.1", "*", "fe80::1%eth0", "fe80::1"]) == ["10.0.0.1", "fe80::1"]
    assert len(fit("keyword", ["x"] * 1000)) == 256
