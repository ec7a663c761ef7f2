"""The site database: what goes in comes out, the same for the same input, one closed file."""

import os
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from otmon.site.export import graphml
from otmon.site.graph import build_graph
from otmon.site.part import Part, merge
from otmon.site.site import Site
from otmon.store.database import SiteDatabase, StoreError, write_database
from tests.effort import examples
from tests.site.plant import HOSTILE, Names, parts, plant
from tests.site.test_part import plain

TITLES = ("one", "'; DROP TABLE assets; --")
ALERTS = [
    {"id": f"{n:020x}", "severity": "high", "title": title, "count": 3, "first_ts_ns": 5}
    for n, title in enumerate(TITLES)
]


def dump(path: Path) -> list[str]:
    db = sqlite3.connect(path)
    try:
        return list(db.iterdump())
    finally:
        db.close()


def test_everything_comes_back(tmp_path: Path) -> None:
    site = Site(merge([plant(HOSTILE[:3])]), Names())
    write_database(tmp_path / "site.db", site, ALERTS)
    with SiteDatabase(tmp_path / "site.db") as back:
        assert plain(Part(operations=back.operations)) == plain(Part(operations=site.operations))
        assert back.connections == site.part.connections
        assert [a.as_record() for a in back.assets] == [a.as_record() for a in site.assets]
        assert back.alerts == ALERTS
        assert back.name == "water-works"
        assert graphml(build_graph(back)) == graphml(build_graph(site))
        for address in ("10.0.1.13", "10.0.3.9"):
            assert back.who("default", address) == site.who("default", address)


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts())
def test_any_part_comes_back(tmp_path: Path, part: Part) -> None:
    path = tmp_path / "site.db"
    path.unlink(missing_ok=True)
    site = Site(merge([part]))
    write_database(path, site, ())
    with SiteDatabase(path) as back:
        assert plain(Part(operations=back.operations)) == plain(Part(operations=site.operations))
        assert back.connections == site.part.connections
        assert graphml(build_graph(back)) == graphml(build_graph(site))


def test_same_input_same_bytes(tmp_path: Path) -> None:
    for name in ("a.db", "b.db"):
        write_database(tmp_path / name, Site(merge([plant()]), Names()), ALERTS)
    assert dump(tmp_path / "a.db") == dump(tmp_path / "b.db")
    assert (tmp_path / "a.db").read_bytes() == (tmp_path / "b.db").read_bytes()


def test_one_file_readable_from_a_read_only_folder(tmp_path: Path) -> None:
    write_database(tmp_path / "site.db", Site(plant()), ALERTS)
    assert os.listdir(tmp_path) == ["site.db"]
    assert (tmp_path / "site.db").read_bytes()[18:20] == b"\x01\x01", "not left in write-ahead mode"


def test_columns_for_sql(tmp_path: Path) -> None:
    write_database(tmp_path / "site.db", Site(merge([plant()]), Names()), ALERTS)
    db = sqlite3.connect(tmp_path / "site.db")
    assert db.execute("SELECT severity, count FROM alerts").fetchall() == [("high", 3)] * 2
    assert db.execute("SELECT zone, level FROM assets WHERE name = 'PLC-3'").fetchall() == [("control", 1.0)]
    query = """SELECT DISTINCT o.function FROM operations o JOIN endpoints e ON e.address = o.server
               WHERE e.zone = 'control' AND o.verdict = 'deny'"""
    assert db.execute(query).fetchall() == [("write_single_register",)]
    db.close()


@pytest.mark.parametrize("content", [b"", b"not a database" * 100, b"SQLite format 3\0" + b"\xff" * 4000])
def test_foreign_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "site.db").write_bytes(content)
    with pytest.raises(StoreError, match="not a site database"):
        SiteDatabase(tmp_path / "site.db")


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    write_database(tmp_path / "site.db", Site(plant()), ())
    db = sqlite3.connect(tmp_path / "site.db")
    db.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    db.commit()
    db.close()
    with pytest.raises(StoreError, match="schema 99"):
        SiteDatabase(tmp_path / "site.db")
