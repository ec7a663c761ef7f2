"""A sensor's store: what was added is there, together, once; readers see it while it is written."""

import os
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otmon.alerts.record import as_record
from otmon.site.export import graphml
from otmon.site.graph import build_graph
from otmon.site.part import Part, merge
from otmon.site.site import Site
from otmon.store import sensor
from otmon.store.database import SiteDatabase, StoreError, StoreFull, write_database
from otmon.store.sensor import SiteStore
from tests.alerts.stub import T0, episode, operation
from tests.alerts.stub import Site as Stub
from tests.effort import examples
from tests.site.plant import HOSTILE, Names, connection, op, parts, plant
from tests.site.test_part import plain
from tests.store.kit import deltas, episode_view, whole_of

FEW = settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FILE = "site.db"


def fresh(folder: Path, site: str = "default") -> SiteStore:
    for path in folder.glob("site.db*"):
        path.unlink()
    return SiteStore(folder / FILE, site)


@FEW
@given(st.lists(parts(), min_size=1, max_size=4))
def test_adding_is_merging(tmp_path: Path, given_: list[Part]) -> None:
    with fresh(tmp_path) as store:
        for part in given_:
            store.add(part)
        assert plain(store.part()) == whole_of(given_)
        assert [o.key for o in store.operations()] == [o.key for o in store.part().operations]
    with SiteStore(tmp_path / FILE, "default") as store:
        assert plain(store.part()) == whole_of(given_)


@pytest.mark.parametrize("number", [1, 2, 5])
def test_a_run_in_checkpoints_is_the_run(tmp_path: Path, number: int) -> None:
    run = merge([plant(HOSTILE[:3])])
    with fresh(tmp_path) as store:
        for part in deltas(run, number, number):
            store.add(part)
        assert plain(store.part()) == plain(run)


def test_a_connection_that_learns_its_client_is_still_one(tmp_path: Path) -> None:
    early = connection(assumed_roles=True)
    late = connection("10.0.1.13", "10.0.2.11", client_port=502, server_port=49152, frames=(25, 30))
    with fresh(tmp_path) as store:
        store.add(Part(connections=[early]))
        store.add(Part(connections=[late]))
        assert store.part().connections == [late]


def test_the_newest_verdict_counts(tmp_path: Path) -> None:
    with fresh(tmp_path) as store:
        for verdict, row in (("deny", "never-1"), ("permit", "a"), (None, None)):
            store.add(Part(operations=[op(verdict=verdict, row=row)]))
        (one,) = store.operations()
        assert (one.verdict, one.row, one.counts.attempted) == ("permit", "a", 30)


def test_alerts_by_id(tmp_path: Path) -> None:
    one = episode(operation())
    other = episode(operation(client="10.0.9.9"))
    with fresh(tmp_path) as store:
        store.alerts([one], [as_record(one, Stub())])
        one.note(None, one.total, T0, T0 + 9)
        store.alerts([one, other], [as_record(one, Stub()), as_record(other, Stub())])
        found = {e.id: episode_view(e) for e in store.episodes()}
        assert found == {e.id: episode_view(e) for e in (one, other)}
        assert [e.id for e in store.episodes(live_since_ns=T0 + 1)] == [one.id]
    with SiteDatabase(tmp_path / FILE) as back:
        assert back.alerts == [as_record(one, Stub()), as_record(other, Stub())]


def test_a_reader_sees_one_moment_while_the_sensor_writes(tmp_path: Path) -> None:
    site = Site(merge([plant()]), Names())
    with fresh(tmp_path, site.name) as store:
        store.add(plant())
        store.describe(site)
        with SiteDatabase(tmp_path / FILE) as back:
            store.add(plant())
            store.describe(Site(Part()))
            assert plain(Part(operations=back.operations)) == plain(Part(operations=site.operations))
            assert [a.as_record() for a in back.assets] == [a.as_record() for a in site.assets]
            assert graphml(build_graph(back)) == graphml(build_graph(site))
            assert plain(back.part()) == plain(merge([plant()]))
        with SiteDatabase(tmp_path / FILE) as back:
            assert plain(back.part()) == whole_of([plant(), plant()])
            assert back.assets == []


def test_a_sensor_goes_on_with_what_analyze_wrote(tmp_path: Path) -> None:
    site = Site(merge([plant()]), Names())
    write_database(tmp_path / FILE, site, ())
    with SiteStore(tmp_path / FILE, site.name) as store:
        assert store.notices == []
        assert plain(store.part()) == plain(site.part)
        store.add(plant())
        assert plain(store.part()) == whole_of([plant(), plant()])


def test_closing_leaves_one_plain_file(tmp_path: Path) -> None:
    fresh(tmp_path).close()
    assert os.listdir(tmp_path) == [FILE]
    assert (tmp_path / FILE).read_bytes()[18:20] == b"\x01\x01"


def test_small_texts_and_health(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensor, "MAX_HEALTH_RECORDS", 3)
    with fresh(tmp_path) as store:
        assert store.meta("clock") is None
        for text in ("1", "2"):
            store.set_meta("clock", text)
        assert store.meta("clock") == "2"
        with pytest.raises(ValueError, match="schema"):
            store.set_meta("schema", "9")
        for n in range(5):
            store.health({"ts_ns": n, "frames": 10 * n})
    with SiteDatabase(tmp_path / FILE) as back:
        assert back.health == [{"ts_ns": n, "frames": 10 * n} for n in (2, 3, 4)]


def test_describing_the_same_again_writes_next_to_nothing(tmp_path: Path) -> None:
    site = Site(merge([plant()]))
    with fresh(tmp_path) as store:
        store.describe(site)
        before = store.bytes_written
        store.describe(site)
        assert store.bytes_written - before <= 2 * 4120
        assert before > 8192


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="needs Linux to say what a process writes")
def test_bytes_written_are_what_the_process_wrote(tmp_path: Path) -> None:
    def handed_over() -> int:
        lines = Path("/proc/self/io").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("wchar"))

    with fresh(tmp_path) as store:
        store.add(many(5000))
        known, before = store.bytes_written, handed_over()
        for n in range(20):
            store.add(many(100, 40 * n))
            one = episode(operation(client=f"10.5.0.{n}"))
            store.alerts([one], [{"id": one.id, "title": "x" * 5000}])
        # A page that changed twice before it was moved is written to the database once and counted twice.
        assert 0.99 <= (store.bytes_written - known) / (handed_over() - before) < 1.3


def test_one_sensor_a_folder(tmp_path: Path) -> None:
    with fresh(tmp_path):
        with pytest.raises(StoreError, match="in use by another otmon"):
            SiteStore(tmp_path / FILE, "default")
        with pytest.raises(StoreError, match="in use by another otmon"):
            SiteStore(tmp_path / "other.db", "default")
    fresh(tmp_path).close()


def test_another_site_and_a_newer_schema_are_refused(tmp_path: Path) -> None:
    fresh(tmp_path, "north").close()
    with pytest.raises(StoreError, match="of site north, the policy is of site south"):
        SiteStore(tmp_path / FILE, "south")
    db = sqlite3.connect(tmp_path / FILE)
    db.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    db.execute("CREATE TABLE other (x)")
    db.commit()
    db.close()
    with pytest.raises(StoreError, match="schema 99"):
        SiteStore(tmp_path / FILE, "north")
    assert os.listdir(tmp_path) == [FILE]


def broken(kind: str, path: Path) -> None:
    if kind == "no database":
        path.write_bytes(b"not a database" * 100)
    elif kind == "torn":
        content = path.read_bytes()
        path.write_bytes(content[:8192] + os.urandom(4096) + content[12288:])
    elif kind == "short":
        path.write_bytes(path.read_bytes()[: 5 * 4096])
    else:
        db = sqlite3.connect(path)
        db.execute("DROP TABLE facts")
        db.close()


@pytest.mark.parametrize("kind", ["no database", "torn", "short", "no table"])
def test_a_damaged_file_is_set_aside(tmp_path: Path, kind: str) -> None:
    for _ in range(2):
        with SiteStore(tmp_path / FILE, "default") as store:
            store.add(plant())
        broken(kind, tmp_path / FILE)
        content = (tmp_path / FILE).read_bytes()
        with SiteStore(tmp_path / FILE, "default") as store:
            (notice,) = store.notices
            assert "set aside as site.db.damaged-20" in notice
            assert plain(store.part()) == plain(Part())
            store.add(plant())
        assert content in [path.read_bytes() for path in tmp_path.glob("site.db.damaged-*")]
        assert "\n" not in notice
    assert len(list(tmp_path.glob("site.db.damaged-*"))) == 2


@pytest.mark.parametrize("content", [b"", None])
def test_a_file_that_was_never_begun_is_begun(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / FILE).write_bytes(content)
    with SiteStore(tmp_path / FILE, "default") as store:
        assert store.notices == []


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be locked"):
        SiteStore(tmp_path / "none" / FILE, "default")


def many(number: int, first: int = 0) -> Part:
    return Part(operations=[op(client=f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}") for n in range(first, first + number)])


def test_a_full_disk_changes_nothing_and_passes(tmp_path: Path) -> None:
    with fresh(tmp_path) as store:
        store.add(plant())
        (pages,) = store._db.execute("PRAGMA page_count").fetchone()
        store._db.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(StoreFull, match="free space"):
            store.add(many(1000))
        assert plain(store.part()) == plain(merge([plant()]))
        store._db.execute("PRAGMA max_page_count = 1000000")
        store.add(many(1000))
        assert len(store.part().operations) == 1000 + len(plant().operations)


CAPTURES = Path(__file__).parents[2] / "captures"


@pytest.mark.parametrize("name", ["modbus_pymodbus", "dnp3_opendnp3", "s7_snap7"])
def test_a_capture_in_checkpoints_is_the_capture(tmp_path: Path, name: str) -> None:
    from otmon.engine import analyze

    run = analyze([str(CAPTURES / f"{name}.pcap")]).part
    assert run.operations
    assert run.facts or name == "dnp3_opendnp3"
    with fresh(tmp_path) as store:
        for part in deltas(run, 4, 7):
            store.add(part)
        store.alerts(run.episodes, [one.as_record(Stub()) for one in run.episodes])
        back = store.part()
        assert [episode_view(one) for one in back.episodes] == [episode_view(one) for one in run.episodes]
        back.episodes = run.episodes = []
        assert plain(back) == plain(run)
