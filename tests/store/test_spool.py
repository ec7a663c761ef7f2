"""The spool's own sums are what its table holds; alerts are never shed; what is said again has the id it had."""

import sqlite3
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otmon.limits import SUMMARY_NS
from otmon.site.assets import Asset
from otmon.site.part import Part
from otmon.store import relief, spool
from otmon.store.schema import TABLES
from otmon.store.sensor import SiteStore
from otmon.store.spool import STREAMS, Entry
from tests.alerts.stub import episode, operation
from tests.effort import examples
from tests.site.plant import op

TEXTS = st.text(max_size=60) | st.just("pump 🛢 \x00\u2028") | st.just("x" * 3_000)
STEPS = st.one_of(
    st.tuples(st.just("append"), st.sampled_from(STREAMS), st.lists(TEXTS, max_size=20)),
    st.tuples(st.just("append"), st.sampled_from(STREAMS), st.lists(TEXTS, max_size=20)),
    st.tuples(st.just("prune"), st.dictionaries(st.sampled_from(STREAMS), st.integers(0, 60)), st.none()),
    st.tuples(st.just("shed"), st.integers(0, 20_000), st.integers(0, 200)),
)


def empty() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript(TABLES)
    return db


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_counters_are_what_the_table_holds(steps: list[tuple[Any, ...]]) -> None:
    db = empty()
    there: dict[str, list[tuple[int, int, int]]] = {stream: [] for stream in STREAMS}
    """(sequence, ts_ns, size), kept by hand."""
    last, gone, clock = dict.fromkeys(STREAMS, 0), dict.fromkeys(STREAMS, 0), 0
    for what, first, second in steps:
        if what == "append":
            entries = []
            for text in second:
                clock += 1
                last[first] += 1
                entries.append(Entry(f"{first}-{clock}", clock, {"text": text}))
                there[first].append((last[first], clock, len(orjson.dumps({"text": text}).decode())))
            assert spool.append(db, first, entries) == len(entries)
        elif what == "prune":
            spool.prune(db, first)
            for stream, until in first.items():
                there[stream] = [one for one in there[stream] if one[0] > until]
        else:
            before = {stream: list(found) for stream, found in there.items()}
            shed = relief.shed(db, first, dict.fromkeys(STREAMS, second))
            for stream in STREAMS:
                left = {row[0] for row in db.execute("SELECT sequence FROM spool WHERE stream = ?", (stream,))}
                there[stream] = [one for one in before[stream] if one[0] in left]
                assert there[stream] == before[stream][len(before[stream]) - len(there[stream]) :], "the oldest go"
                assert shed.get(stream, 0) == len(before[stream]) - len(there[stream])
                gone[stream] += shed.get(stream, 0)
                assert stream == "alert" or all(number > second for number, _, _ in there[stream])
            assert "alert" not in shed
            size = sum(one[2] for found in there.values() for one in found)
            assert size <= first or not any(there[stream] for stream in STREAMS[1:])
            for worthier, lesser in pairwise(STREAMS[1:]):
                young = sum(number > second for number, _, _ in before[worthier])
                assert not there[lesser] or len(there[worthier]) == young, "the less worth goes first"
        for stream, found in spool.waiting(db).items():
            assert found.records == len(there[stream])
            assert found.bytes == sum(one[2] for one in there[stream])
            assert found.oldest_ts_ns == (there[stream][0][1] if there[stream] else None)
            assert (found.last, found.shed) == (last[stream], gone[stream])


def ids(store: SiteStore, stream: str) -> list[str]:
    with store._reading() as db:
        return [row[0] for row in db.execute("SELECT id FROM spool WHERE stream = ? ORDER BY sequence", (stream,))]


def test_a_revision_grows_only_when_the_record_changed(tmp_path: Path) -> None:
    one = episode(operation())
    with SiteStore(tmp_path / "site.db", "s", spooled=STREAMS) as store:
        for title in ("a", "a", "b", "b", "a"):
            store.alerts([one], [{"id": one.id, "title": title, "last_ts_ns": 5}])
        assert ids(store, "alert") == [f"{one.id}-{revision}" for revision in (1, 2, 3)]
        with store._reading() as db:
            records = [orjson.loads(row[0]) for row in db.execute("SELECT record FROM spool ORDER BY sequence")]
    assert [(record["title"], record["revision"]) for record in records] == [("a", 1), ("b", 2), ("a", 3)]


def test_alerts_of_before_are_told_once_somebody_listens(tmp_path: Path) -> None:
    one = episode(operation())
    with SiteStore(tmp_path / "site.db", "s") as store:
        store.alerts([one], [{"id": one.id, "last_ts_ns": 5}])
        assert ids(store, "alert") == []
    for _ in range(2):
        with SiteStore(tmp_path / "site.db", "s", spooled=STREAMS) as store:
            assert ids(store, "alert") == [f"{one.id}-1"]


def some(*seen_ns: int) -> list[Any]:
    return [op(client=f"10.8.0.{n}")._replace(first_ts_ns=1, last_ts_ns=at) for n, at in enumerate(seen_ns, 1)]


def test_rounds_of_summaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otmon.store.summaries.SUMMARY_ROWS", 2)
    with SiteStore(tmp_path / "site.db", "s", spooled=STREAMS) as store:
        store.add(Part(operations=some(10, 10, 10, 10, 10)))
        assert len(ids(store, "operation")) == 5
        assert store.summarise(100) == 0, "the first round begins SUMMARY_NS after the first look"
        assert store.summarise(100 + SUMMARY_NS - 1) == 0
        store.add(Part(operations=some(10, 150, 10, 10, 160)))
        assert [store.summarise(100 + SUMMARY_NS) for _ in range(4)] == [0 + 1, 0, 1, 0], "two rows at a call"
        told = ids(store, "operation")
        assert len(told) == len(set(told)) == 7
        assert all(name.endswith("-summary") for name in told[5:])
        assert store.summarise(99 + 2 * SUMMARY_NS) == 0
        assert [store.summarise(100 + 2 * SUMMARY_NS) for _ in range(4)] == [0] * 4, "nothing was seen since"


def asset(ip: str, last_ts_ns: int) -> Any:
    class Known:
        id = "asset-1"

        @staticmethod
        def as_record() -> dict[str, Any]:
            return {"id": "asset-1", "ip": ip, "last_ts_ns": last_ts_ns}

    return Known()


def told(db: sqlite3.Connection, found: Sequence[Asset]) -> list[str]:
    before = spool.last(db, "asset")
    spool.append_assets(db, "s", found)
    return [row[0] for row in db.execute("SELECT id FROM spool WHERE sequence > ?", (before,))]


def test_an_asset_is_told_when_it_changes_and_when_it_changes_back() -> None:
    db = empty()
    (first,) = told(db, [asset("10.0.0.1", 1)])
    assert told(db, [asset("10.0.0.1", 2)]) == [], "being seen again is no change"
    (second,) = told(db, [asset("10.0.0.2", 3)])
    (third,) = told(db, [asset("10.0.0.1", 4)])
    assert len({first, second, third}) == 3, "the third is news, and not the first said again"
    assert told(empty(), [asset("10.0.0.1", 1)]) == [first], "the same capture says the same"


def test_what_two_sensors_see_alike_are_two_observations(tmp_path: Path) -> None:
    """The alert is one and the same, its documents are not; an analysis says the same whoever makes it."""
    one, found = episode(operation()), {}
    for number, sensor in enumerate(("north", "south", "north", "")):
        with SiteStore(tmp_path / f"{number}.db", "s", spooled=STREAMS, sensor=sensor) as store:
            store.alerts([one], [{"id": one.id, "last_ts_ns": 5}])
            store.add(Part(operations=some(10)))
            found[number] = ids(store, "alert") + ids(store, "operation")
        with SiteStore(tmp_path / f"{number}.db", "s", spooled=STREAMS) as store:
            store.alerts([one], [{"id": one.id, "last_ts_ns": 6}])
            assert ids(store, "alert")[1].endswith(found[number][0].removeprefix(f"{one.id}-1")), "as it was called"
    assert not set(found[0]) & set(found[1])
    assert found[0] == found[2]
    assert found[3][0] == f"{one.id}-1"
    assert all(names[0].startswith(f"{one.id}-1") for names in found.values())


NS, DAY_NS = 10**9, 86_400 * 10**9


def test_what_waits_grows_old_by_the_time_sensors_ran(tmp_path: Path) -> None:
    """Thirty days of it, in runs of ten hours; what any clock of the day says of the records is nothing to it."""
    spooled_at: dict[int, int] = {}
    ran_h = 0
    for _run in range(80):
        with SiteStore(tmp_path / "site.db", "s", spooled=STREAMS) as store:
            for _ in range(2):
                store.audit({"action": "a", "message": "", "detail": {}, "ts_ns": 1})
                store.alerts([], [{"id": "a", "last_ts_ns": 1, "n": ran_h}])
                spooled_at[store.waiting()["audit"].last] = ran_h
                ran_h += 5
                store.relieve({}, 5 * 3_600 * NS, 30 * DAY_NS, 1 << 30)
            with store._reading() as db:
                (oldest,) = db.execute("SELECT min(sequence) FROM spool WHERE stream = 'audit'").fetchone()
            age_h = ran_h - spooled_at[oldest]
            assert age_h == ran_h or 720 <= age_h <= 720 + 24 + 5, "a thirtieth more at most"
    assert ran_h == 800
    assert store_counts(tmp_path)["alert"] == len(spooled_at), "alerts stay"


def store_counts(folder: Path) -> dict[str, int]:
    with SiteStore(folder / "site.db", "s", spooled=STREAMS) as store:
        return {stream: one.records for stream, one in store.waiting().items()}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 30)), max_size=60), st.integers(0, 30))
def test_of_an_alert_the_first_and_the_latest_go_on_waiting(told: list[tuple[int, int]], delivered: int) -> None:
    db, kept = empty(), list[tuple[str, int]]()
    for revision, (alert, size) in enumerate(told):
        name = f"{alert:020x}-{revision}-12345678"
        spool.append(db, "alert", [Entry(name, 1, {"text": "x" * size})])
        kept.append((name, spool.last(db, "alert")))
    spool.append(db, "audit", [Entry("audit", 1, {})])
    spool.prune(db, {"alert": delivered})
    kept = [one for one in kept if one[1] > delivered]
    of = {name[:20]: [one for one in kept if one[0][:20] == name[:20]] for name, _ in kept}
    ends = sorted({found[end] for found in of.values() for end in (0, -1)}, key=lambda one: one[1])
    assert relief.pass_over(db) == len(kept) - len(ends)
    rows = db.execute("SELECT id, sequence FROM spool WHERE stream = 'alert' ORDER BY sequence").fetchall()
    assert rows == ends
    waiting = spool.waiting(db).get("alert")
    if waiting is not None:
        (size,) = db.execute("SELECT ifnull(sum(length(record)), 0) FROM spool WHERE stream = 'alert'").fetchone()
        assert (waiting.records, waiting.bytes, waiting.shed) == (len(ends), size, 0)
    assert relief.pass_over(db) == 0
    assert relief.passed_over(db) == len(kept) - len(ends)


def test_revisions_are_passed_over_when_the_spool_is_half_full(tmp_path: Path) -> None:
    with SiteStore(tmp_path / "site.db", "s", spooled=STREAMS) as store:
        store.audit({"action": "a", "message": "", "detail": {}, "ts_ns": 1})
        for n in range(100):
            store.alerts([], [{"id": f"a{n % 3}", "last_ts_ns": n, "pad": "x" * 100}])
            before = store.waiting()["alert"]
            assert store.relieve({}, 0, DAY_NS, 20_000) == {}, "nothing was lost"
            after = store.waiting()["alert"]
            assert after.records == before.records or before.bytes > 9_000
            assert after.bytes < 11_000
        assert store.waiting()["audit"].records == 1
        with store._reading() as db:
            there = [name for (name,) in db.execute("SELECT id FROM spool WHERE stream = 'alert' ORDER BY sequence")]
    assert {"a0-1", "a1-1", "a2-1"} < set(there)
    assert there[-1] == "a0-34", "the latest is there"


def test_passing_over_is_done_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relief, "PASSED_ROWS", 7)
    with SiteStore(tmp_path / "site.db", "s", spooled=STREAMS) as store:
        for n in range(32):
            store.alerts([], [{"id": "a", "last_ts_ns": n}])
        left = []
        for _ in range(6):
            store.relieve({}, 0, DAY_NS, 1)
            left.append(store.waiting()["alert"].records)
    assert left == [25, 18, 11, 4, 2, 2]
