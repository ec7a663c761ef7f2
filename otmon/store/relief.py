"""Keeps a sensor's spool within bounds.

What every sink has goes first. Then, by a written order: what waited too long; of alerts that changed again and again
all but the first and the latest revision; and the oldest of the least worth. An alert itself is never given up.

How long a record waits is counted in the time that sensors ran, not by any clock of the day: a machine without a
battery starts in 1970, and when its clock is set nothing has grown old by that.
"""

import sqlite3
from collections.abc import Mapping
from typing import Final

from otmon.store.spool import STREAMS, last, prune, remove
from otmon.store.tables import read_counters, write_counters

_AGES: Final = "spool_ages"
"""Document in `counters`: how long sensors ran, and marks: what was spooled when they had run so long."""
PASSED_OVER: Final = "passed_over"
"""Document in `counters`: how many revisions."""
PASSED_ROWS: Final = 20_000
"""Revisions passed over at a time: frames wait meanwhile (half a second, of 100,000)."""
_MARKS: Final = 30
"""Marks within the longest age: a record waits at most a thirtieth longer."""
_SHED_SHARE: Final = 16
"""A sixteenth of a stream goes at a time."""
_ENDS: Final = (
    "SELECT (SELECT min(sequence) FROM spool WHERE stream = ?), (SELECT max(sequence) FROM spool WHERE stream = ?)"
)
_ALERT: Final = "substr(id, 1, instr(id, '-') - 1)"
"""Of a spooled alert's id, which is alert id and revision."""
_PASSED_OVER: Final = f"""
WITH ends AS MATERIALIZED (
    SELECT min(sequence) AS first, max(sequence) AS latest FROM spool WHERE stream = 'alert' GROUP BY {_ALERT}
)
SELECT sequence, length(record) FROM spool WHERE stream = 'alert' AND sequence NOT IN (
    SELECT first FROM ends UNION ALL SELECT latest FROM ends
) LIMIT ?"""


def aged(db: sqlite3.Connection, ran_ns: int, max_age_ns: int) -> dict[str, int]:
    """Sensors ran for `ran_ns` more; gives up to which sequence number each stream waits for longer than `max_age_ns`.

    In the transaction that is open.
    """
    state = read_counters(db).get(_AGES) or {"ran_ns": 0, "marks": []}
    state["ran_ns"] += ran_ns
    now_ns, marks = state["ran_ns"], state["marks"]
    old = [until for at_ns, until in marks if now_ns - at_ns >= max_age_ns]
    marks = marks[len(old) :]
    if not marks or now_ns - marks[-1][0] >= max_age_ns // _MARKS:
        marks.append([now_ns, {stream: last(db, stream) for stream in STREAMS}])
    write_counters(db, {_AGES: state | {"marks": marks}})
    return dict(old[-1]) if old else {}


def pass_over(db: sqlite3.Connection) -> int:
    """Remove revisions of alerts that wait between the first and latest one, PASSED_ROWS at most; gives how many."""
    found = db.execute(_PASSED_OVER, (PASSED_ROWS,)).fetchall()
    db.executemany("DELETE FROM spool WHERE stream = 'alert' AND sequence = ?", ((number,) for number, _ in found))
    db.execute(
        "UPDATE streams SET records = records - ?, bytes = bytes - ? WHERE stream = 'alert'",
        (len(found), sum(size for _, size in found)),
    )
    write_counters(db, {PASSED_OVER: passed_over(db) + len(found)})
    return len(found)


def passed_over(db: sqlite3.Connection) -> int:
    """Revisions of alerts that were, since the database was begun: numbers that are missing without a loss."""
    (found,) = db.execute("SELECT value FROM counters WHERE name = ?", (PASSED_OVER,)).fetchone() or ("0",)
    return int(found)


def bytes_of(db: sqlite3.Connection, stream: str | None = None) -> int:
    """What waits of a stream, or of all."""
    query = "SELECT ifnull(sum(bytes), 0) FROM streams WHERE ifnull(?, stream) = stream"
    return int(db.execute(query, (stream,)).fetchone()[0])


def shed(db: sqlite3.Connection, max_bytes: int, old: Mapping[str, int]) -> dict[str, int]:
    """Make room: what is `old` (see `aged`) goes, then the oldest of the least worth until the rest fits. Alerts stay.

    Gives how many of each stream went; `streams` counts them for good.
    """
    gone = {stream: remove(db, stream, old.get(stream, 0)) for stream in STREAMS[1:]}
    for stream in reversed(STREAMS[1:]):
        while bytes_of(db) > max_bytes:
            oldest, newest = db.execute(_ENDS, (stream, stream)).fetchone()
            if oldest is None:
                break
            gone[stream] += remove(db, stream, oldest + (newest - oldest) // _SHED_SHARE)
    for stream, number in gone.items():
        db.execute("UPDATE streams SET shed = shed + ? WHERE stream = ?", (number, stream))
    return {stream: number for stream, number in gone.items() if number}


class Relief:
    """Of one spool. Passing over looks at every alert that waits: not again before there are many more of them."""

    def __init__(self) -> None:
        self._alert_bytes = 0
        """What waited of them after the last time."""

    def give(
        self, db: sqlite3.Connection, delivered: Mapping[str, int], ran_ns: int, max_age_ns: int, max_bytes: int
    ) -> dict[str, int]:
        """Remove what is delivered, too old or too much, see otmon.store.sensor.SiteStore.relieve."""
        prune(db, delivered)
        old = aged(db, ran_ns, max_age_ns) if ran_ns else {}
        self._alert_bytes = min(self._alert_bytes, bytes_of(db, "alert"))
        if bytes_of(db) > max_bytes // 2 and bytes_of(db, "alert") > self._alert_bytes * 17 // 16:
            more = pass_over(db) == PASSED_ROWS
            self._alert_bytes = 0 if more else bytes_of(db, "alert")
        return shed(db, max_bytes, old)
