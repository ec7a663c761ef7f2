"""A database of every schema there was is brought to today's, where it lies and in memory."""

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from otmon.protocols.modbus.tables import UMAS_FUNCTIONS
from otmon.site.assets import Asset
from otmon.site.export import graphml
from otmon.site.graph import build_graph
from otmon.site.part import Part
from otmon.store import schema
from otmon.store.database import SiteDatabase, StoreError
from otmon.store.opening import open_database
from otmon.store.schema import SCHEMA, TABLE_NAMES, TABLES
from otmon.store.sensor import SiteStore
from tests.site.plant import op
from tests.site.test_part import plain
from tests.store.make_versions import FOLDER, episodes, site, write

VERSIONS = sorted(FOLDER.glob("schema-*.db"))


def as_stored(asset: Asset) -> dict[str, Any]:
    """Without what older versions did not say: which protocols without units it answers in."""
    record = asset.as_record()
    said = [e for e in record["endpoints"] if e["protocol"] is None or e["unit"] is not None]
    return {**record, "endpoints": said}


def same_as_today(back: SiteDatabase) -> None:
    whole = site()
    assert back.operations
    assert plain(Part(operations=back.operations)) == plain(Part(operations=whole.operations))
    assert back.connections == whole.part.connections
    assert back.alerts == [one.as_record(whole) for one in episodes()]
    assert [as_stored(a) for a in back.assets] == [as_stored(a) for a in whole.assets]
    assert graphml(build_graph(back)) == graphml(build_graph(whole))
    assert back.who("default", "10.0.3.9") == whole.who("default", "10.0.3.9")


@pytest.mark.parametrize("path", VERSIONS, ids=lambda path: path.stem)
def test_every_version_is_read_without_being_changed(path: Path, tmp_path: Path) -> None:
    copy = shutil.copy(path, tmp_path / "site.db")
    with SiteDatabase(copy) as back:
        same_as_today(back)
    assert copy.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("path", VERSIONS, ids=lambda path: path.stem)
def test_every_version_is_migrated(path: Path, tmp_path: Path) -> None:
    copy = shutil.copy(path, tmp_path / "site.db")
    with SiteStore(copy, site().name) as store:
        (notice,) = store.notices
        assert notice.endswith(f"brought to {SCHEMA}")
        known = site().operations[0]
        store.add(Part(operations=[known, op(client="10.77.0.1")]))
        assert len(list(store.operations())) == len(site().operations) + 1
        tables = dict(store._db.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"))
        assert store._db.execute("PRAGMA auto_vacuum").fetchone() == (2,)
        assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    fresh = sqlite3.connect(":memory:")
    fresh.executescript(TABLES)
    assert tables == dict(fresh.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"))
    fresh.close()
    with SiteStore(copy, site().name) as store:
        assert store.notices == []
    shutil.copy(path, tmp_path / "again.db")
    with SiteStore(tmp_path / "again.db", site().name):
        pass
    with SiteDatabase(tmp_path / "again.db") as back:
        same_as_today(back)


def test_operations_of_umas_are_those_of_today(tmp_path: Path) -> None:
    """Each service was a target of one function; the accesses are those of the protocol's table."""
    copy = shutil.copy(FOLDER / "schema-2.db", tmp_path / "site.db")
    old = {
        f"umas_{name}": name for name in ("read_id", "read_variables", "write_variables", "stop_plc", "upload_block")
    }
    with sqlite3.connect(copy) as db:
        row = list(db.execute("SELECT * FROM operation_rows LIMIT 1").fetchone())
        row[5], row[9:12] = "modbus", [90, "umas", "program"]
        for name in (*old.values(), "0x99"):
            row[12:16] = "service", -1, -1, name
            db.execute(f"INSERT INTO operation_rows VALUES ({', '.join('?' * len(row))})", row)
    db.close()
    with SiteStore(copy, site().name) as store:
        found = {o.key.function: o.key for o in store.operations() if o.key.function.startswith("umas")}
    assert found.keys() == {*old, "umas_0x99"}
    for code, function in UMAS_FUNCTIONS.items():
        if function.name in old:
            assert (found[function.name].function_code, found[function.name].access) == (90, function.access), code
    assert {key.target for key in found.values()} == {None}


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = shutil.copy(VERSIONS[0], tmp_path / "site.db")
    before = copy.read_bytes()
    steps = schema.MIGRATIONS | {1: schema.MIGRATIONS[1] + "INSERT INTO nowhere VALUES (1);"}
    monkeypatch.setattr("otmon.store.migrate.MIGRATIONS", steps)
    with pytest.raises(StoreError, match="nowhere"):
        open_database(copy, site().name, [])
    assert copy.read_bytes() == before


def test_a_whole_file_has_the_tables_that_are_asked_for(tmp_path: Path) -> None:
    db = sqlite3.connect(write(tmp_path))
    assert {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")} == TABLE_NAMES[
        SCHEMA
    ]
    db.close()


def test_there_is_a_file_of_every_older_schema() -> None:
    assert [path.stem for path in VERSIONS] == [f"schema-{n}" for n in range(1, SCHEMA)]
    assert all(path.stat().st_size < 100_000 for path in VERSIONS)
