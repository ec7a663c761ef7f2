"""The time in which somebody watched: that of the captures of a result folder, or that of a sensor's records of health.

Time in which nobody watched says nothing: neither that something was absent, nor that nothing new came.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from otmon.policy.intervals import Intervals, merge
from otmon.store.tables import read_counters, write_counters

CONTINUES_NS: Final = 1_000_000_000
"""A capture that begins no later than this after the end of another one goes on with it: a sniffer changed files."""
_NAME: Final = "watched"


def of_captures(spans: Iterable[tuple[int | None, int | None]]) -> Intervals:
    """From the first and the last time of each; None: it has no frames. A capture is taken to be whole in between."""
    known = ((first, last + CONTINUES_NS) for first, last in spans if first is not None and last is not None)
    return tuple((first, last - CONTINUES_NS) for first, last in merge(known))


def by_health(records: Iterable[Mapping[str, Any]]) -> Intervals:
    """What records of health vouch for: the first one of a run does not say when the run began."""
    spans = ((record["first_ts_ns"], record["ts_ns"] - 1) for record in records)
    return merge((first, last) for first, last in spans if 0 < first <= last)


def write(db: sqlite3.Connection, spans: Intervals) -> None:
    """Keep it of captures."""
    write_counters(db, {_NAME: spans})


def of_folder(db: sqlite3.Connection) -> Intervals:
    """What was kept of captures; of a folder that has nothing of it, from the first host to the last."""
    kept = read_counters(db).get(_NAME)
    if kept is not None:
        return tuple((first, last) for first, last in kept)
    first, last = db.execute("SELECT min(first_ts_ns), max(last_ts_ns) FROM hosts").fetchone()
    return () if first is None else ((first, last),)


def watched(db: sqlite3.Connection) -> Intervals:
    """Time in which some interface was up, or a capture was made, as inclusive ranges of ns."""
    records = [orjson.loads(record) for (record,) in db.execute("SELECT record FROM health ORDER BY n")]
    if not records:
        return of_folder(db)
    return by_health(one for one in records if any(tap["state"] == "up" for tap in one["interfaces"]))
