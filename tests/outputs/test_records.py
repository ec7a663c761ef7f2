"""Every record that is written is what its schema says; so is every example; and text is harmless in all of them."""

import csv
import io
import json
import unicodedata
from pathlib import Path
from typing import Any

import jsonschema
import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otmon.outputs.csvtext import FORMULA, to_csv
from otmon.outputs.jsonl import document, line
from otmon.outputs.results import Clock, write_results, write_run
from otmon.outputs.summary import summary_record
from otmon.site.part import Part
from otmon.site.site import Site
from otmon.store.database import SiteDatabase
from otmon.text import safe_text
from tests.outputs.results import DAMAGED, INPUT, alerts_of, part_with_alerts
from tests.site.plant import FRAMES, HOSTILE, OT_BYTES, Names
from tests.store.test_database import dump

RECORDS = Path(__file__).parents[2] / "docs" / "records"
KINDS = ("summary", "asset", "operation", "alert", "message", "run", "health", "audit", "point", "block")
POLICY = {"path": "rules/plant.yaml", "sha256": "ab" * 32}


def checker(kind: str) -> Any:
    return jsonschema.Draft202012Validator(json.loads((RECORDS / f"{kind}.schema.json").read_text()))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in path.read_text().splitlines()]


@pytest.mark.parametrize("kind", KINDS)
def test_examples_are_valid_and_literal(kind: str) -> None:
    check = checker(kind)
    check.check_schema(check.schema)
    example = json.loads((RECORDS / f"{kind}.example.json").read_text())
    check.validate(example)
    for name in check.schema["required"]:
        with pytest.raises(jsonschema.ValidationError):
            check.validate({key: value for key, value in example.items() if key != name})
    with pytest.raises(jsonschema.ValidationError):
        check.validate({**example, "unheard_of": 1})


def test_examples_are_true() -> None:
    summary = json.loads((RECORDS / "summary.example.json").read_text())
    for section, whole in (("frames", "captured"), ("ot_bytes", "seen")):
        assert sum(summary[section].values()) == 2 * summary[section][whole]
    operation = json.loads((RECORDS / "operation.example.json").read_text())
    outcomes = ("accepted", "rejected", "partial", "unanswered", "unseen", "pending")
    assert operation["attempted"] == sum(operation[name] for name in outcomes)


def write(folder: Path, names: tuple[str, ...], policy: Any = None) -> Site:
    folder.mkdir()
    site = Site(part_with_alerts(names), policy)
    write_results(folder, site, [INPUT, DAMAGED], alerts_of(site), POLICY if policy else None)
    write_run(folder, Clock().record(30, 1, False))
    return site


@pytest.mark.parametrize("policy", [None, Names()])
def test_a_folder_of_hostile_names(tmp_path: Path, policy: Any) -> None:
    site = write(tmp_path / "out", HOSTILE, policy)
    out = tmp_path / "out"
    for kind in ("summary", "run"):
        checker(kind).validate(json.loads((out / f"{kind}.json").read_text()))
    for kind, name in (("asset", "assets"), ("operation", "operations"), ("alert", "alerts"), ("block", "blocks")):
        check = checker(kind)
        records = lines(out / f"{name}.jsonl")
        assert records
        for record in records:
            check.validate(record)
            assert list(record) == sorted(record)
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["assets"], summary["operations"]) == (len(site.assets), len(site.operations))
    assert summary["alerts"] == {"info": 1, "low": 0, "medium": 0, "high": 1, "critical": 1}
    assert "partial" not in summary
    assert networkx.read_graphml(out / "graph.graphml", force_multigraph=True).number_of_edges() == 9
    for path in out.iterdir():
        text = "\n".join(dump(path)) if path.suffix == ".db" else path.read_text()
        assert not harmful(text), path


def harmful(text: str) -> list[str]:
    return [char for char in text if unicodedata.category(char)[0] in "CM" and char not in "\n\t"]


def test_same_input_same_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name, HOSTILE, Names())
    for path in (tmp_path / "a").iterdir():
        if path.name != "run.json":
            assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_the_database_gives_the_same_records(tmp_path: Path) -> None:
    write(tmp_path / "out", HOSTILE, Names())
    with SiteDatabase(tmp_path / "out" / "site.db") as back:
        assert back.alerts == lines(tmp_path / "out" / "alerts.jsonl")
        assert [json.loads(line(a.as_record())) for a in back.assets] == lines(tmp_path / "out" / "assets.jsonl")


def test_an_interrupted_run_says_so() -> None:
    part = Part(frames=dict.fromkeys(FRAMES, 0), ot_bytes=dict.fromkeys(OT_BYTES, 0), partial=True)
    part.visibility = dict.fromkeys(("missing_bytes", "one_sided", "gaps", "copies"), 0)
    record = summary_record(Site(part), [], [])
    assert record["partial"] is True
    checker("summary").validate(json.loads(document(record)))


@pytest.mark.parametrize("name", HOSTILE)
def test_no_formula_leaves_in_csv(name: str) -> None:
    safe = safe_text(name)
    text = to_csv([{"a": safe, "b": [safe, "x"], "c": {"d": safe}, "e": -3}], ("a", "b", "c.d", "e", "absent"))
    header, row = csv.reader(io.StringIO(text, newline=""))
    assert header == ["a", "b", "c.d", "e", "absent"]
    assert row[0].removeprefix("'") == safe or row[0] == safe
    assert not any(value.startswith(FORMULA) for value in row[:3])
    assert row[3:] == ["-3", ""]


@given(st.text(max_size=20))
def test_csv_round_trip(text: str) -> None:
    (row,) = list(csv.reader(io.StringIO(to_csv([{"a": text, "b": 1}], ("a", "b")), newline="")))[1:]
    assert row[0] == ("'" + text if text.startswith(FORMULA) else text)
