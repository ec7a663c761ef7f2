"""How long and how much a sensor remembers, and what it forgets first."""

import sqlite3
from dataclasses import dataclass
from typing import Final, NamedTuple

from otmon.limits import (
    EPISODE_QUIET_NS,
    KEEP_BINDINGS,
    KEEP_BLOCKS,
    KEEP_BYTES,
    KEEP_CONNECTIONS,
    KEEP_FACTS,
    KEEP_HABITS,
    KEEP_HOSTS,
    KEEP_NS,
    KEEP_PERMITTED,
)
from otmon.store.tables import read_counters, write_counters


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept at most."""

    keep_ns: int = KEEP_NS
    """Alerts that ended longer ago, and operations and connections not seen for longer, go."""
    max_bytes: int = KEEP_BYTES
    """Of the database file: the oldest go first until it fits."""
    max_connections: int = KEEP_CONNECTIONS
    max_hosts: int = KEEP_HOSTS
    """Addresses that sent something: forged ones are cheap."""
    max_bindings: int = KEEP_BINDINGS
    max_facts: int = KEEP_FACTS
    max_blocks: int = KEEP_BLOCKS
    max_habits: int = KEEP_HABITS
    max_permitted: int = KEEP_PERMITTED


class Forgotten(NamedTuple):
    """Rows that were removed."""

    connections: int = 0
    alerts: int = 0
    operations: int = 0
    hosts: int = 0
    bindings: int = 0
    facts: int = 0
    blocks: int = 0
    habits: int = 0
    permitted: int = 0

    def __add__(self, other: object) -> "Forgotten":
        """Sum of each."""
        if not isinstance(other, Forgotten):
            return NotImplemented
        return Forgotten(*(mine + more for mine, more in zip(self, other, strict=True)))


_TABLE: Final = {
    **{name: name for name in ("connections", "alerts", "hosts", "blocks", "habits", "permitted")},
    "operations": "operation_rows",
}
_SINCE: Final = {"bindings": "first_ts_ns", "facts": "ts_ns"}
"""When these were learnt; they have no last time."""
_BY_SIZE: Final = ("connections", "alerts", "operations")
"""What goes for size, the least valuable first."""
_PROVING: Final = ("connections", "operations")
"""What an absence is proved from."""
FORGOTTEN_UNTIL: Final = "forgotten_until"
"""Document in `counters`: of _PROVING, the moment before which everything that was last seen then is gone."""
_SHARE: Final = 16
"""For size, a sixteenth of a table goes at a time."""


def _before(db: sqlite3.Connection, kind: str, ts_ns: int) -> int:
    """Remove what was last seen before `ts_ns`."""
    if kind == "alerts":
        db.execute("DELETE FROM episodes WHERE last_ts_ns < ?", (ts_ns,))
    removed = db.execute(f"DELETE FROM {_TABLE[kind]} WHERE last_ts_ns < ?", (ts_ns,)).rowcount
    if removed and kind in _PROVING:
        until = read_counters(db).get(FORGOTTEN_UNTIL, {})
        write_counters(db, {FORGOTTEN_UNTIL: until | {kind: max(ts_ns, until.get(kind, ts_ns))}})
    return removed


def _oldest(db: sqlite3.Connection, kind: str, number: int, end_ns: int) -> int:
    """Remove the `number` that were seen last the longest ago (all of one moment together), if before `end_ns`."""
    query = f"SELECT last_ts_ns FROM {_TABLE[kind]} WHERE last_ts_ns < ? ORDER BY last_ts_ns LIMIT 1 OFFSET ?"
    found = db.execute(query, (end_ns, max(0, number - 1))).fetchone()
    return _before(db, kind, found[0] + 1 if found else end_ns) if number else 0


def _of_nobody(db: sqlite3.Connection, kind: str, end_ns: int) -> int:
    """Remove what was learnt before of addresses that are not remembered themselves."""
    known = "(realm, address) IN (SELECT realm, address FROM hosts)"
    return db.execute(f"DELETE FROM {kind} WHERE {_SINCE[kind]} < ? AND NOT {known}", (end_ns,)).rowcount


def _earliest(db: sqlite3.Connection, kind: str, number: int) -> int:
    """Remove the `number` that were learnt first (all of one moment together)."""
    query = f"SELECT {_SINCE[kind]} FROM {kind} ORDER BY {_SINCE[kind]} LIMIT 1 OFFSET ?"
    found = db.execute(query, (number - 1,)).fetchone() if number > 0 else None
    return db.execute(f"DELETE FROM {kind} WHERE {_SINCE[kind]} <= ?", found).rowcount if found else 0


def _rows(db: sqlite3.Connection, kind: str) -> int:
    return int(db.execute(f"SELECT count(*) FROM {_TABLE.get(kind, kind)}").fetchone()[0])


def used_bytes(db: sqlite3.Connection) -> int:
    """Of the database file, without pages that wait to be given back."""
    (pages,), (free,), (size,) = (
        db.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def forget(db: sqlite3.Connection, keep: Retention, now_ns: int) -> Forgotten:
    """Remove what is too old or too much, in the transaction that is open. An alert that goes on is never removed."""
    end_ns = now_ns - keep.keep_ns
    gone = dict.fromkeys((*_TABLE, *_SINCE), 0)
    for kind in _TABLE:
        gone[kind] += _before(db, kind, min(end_ns, now_ns - EPISODE_QUIET_NS) if kind == "alerts" else end_ns)
    for kind in ("connections", "hosts", "blocks", "habits", "permitted"):
        most = getattr(keep, f"max_{kind}")
        gone[kind] += _oldest(db, kind, max(0, _rows(db, kind) - most), now_ns)
    for kind, most in (("bindings", keep.max_bindings), ("facts", keep.max_facts)):
        gone[kind] += _of_nobody(db, kind, end_ns)
        gone[kind] += _earliest(db, kind, _rows(db, kind) - most)
    of_them = "(ticket, row) IN (SELECT ticket, row FROM permitted)"
    db.execute(f"DELETE FROM permit_writes WHERE last_ts_ns < ? OR NOT {of_them}", (end_ns,))
    # What waits for sinks has a bound of its own: history does not go for it.
    (waiting,) = db.execute("SELECT ifnull(sum(bytes), 0) FROM streams").fetchone()
    for kind in _BY_SIZE:
        end_ns = now_ns - EPISODE_QUIET_NS if kind == "alerts" else now_ns
        share = _rows(db, kind) // _SHARE + 1
        while used_bytes(db) - waiting > keep.max_bytes:
            removed = _oldest(db, kind, share, end_ns)
            gone[kind] += removed
            if not removed:
                break
    return Forgotten(**gone)
