"""The spool: records that wait in the site database until every sink has them.

A record is spooled in the transaction that makes it so, under an id that is the same whenever the same is said again.
Whoever delivers reads here and writes elsewhere (otmon.delivery.ledger): capture never waits for a sink.
"""

import hashlib
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from otmon.model import OperationRecord, PointRecord
from otmon.site.assets import Asset
from otmon.site.records import operation_record, point_record
from otmon.store.rows import text_of

STREAMS: Final = ("alert", "audit", "asset", "operation", "sensor", "point")
"""What is spooled, by worth: the first is delivered first and never shed, the last is shed first."""
SPOOL_ID: Final = "spool"
"""Meta key: names one spool. Another name: sequence numbers began anew."""
FINAL: Final = "final"
"""Name of the spools of analyses, to which nothing is added."""
SENSOR: Final = "sensor"
"""Meta key: who sees what is spooled; none in an analysis, which sees what its capture holds, whoever makes it."""
_MARK_DIGITS: Final = 8
"""Of a sensor's name in its ids: 32 bits tell the sensors of one site apart."""


Who = Callable[[str, str], Mapping[str, Any]]
"""(realm, address) -> who that is, as otmon.site.site.Site.who says it."""


class Entry(NamedTuple):
    """A record to be spooled."""

    id: str
    ts_ns: int
    record: Mapping[str, Any]


class Waiting(NamedTuple):
    """What a stream holds."""

    records: int
    bytes: int
    oldest_ts_ns: int | None
    last: int
    """Its last sequence number."""
    shed: int
    """Records removed undelivered since the database was begun."""

    def beyond(self, done: int) -> int:
        """Records that wait for somebody who has everything up to this sequence number."""
        return min(self.records, max(0, self.last - done))


def digest(*parts: Any) -> str:
    """20 hex digits (80 bits) of anything JSON can say."""
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:20]


def operation_entry(site: str, operation: OperationRecord, reason: str, who: Who | None = None) -> Entry:
    """`reason`: new, summary (so far) or final (all of a capture). The same state of an operation has the same id.

    `who` adds `client` and `server` as alerts have them; what is known of them then does not change the id.
    """
    record, key = operation_record(operation), operation.key
    said = digest(site, record["operation"], reason != "new" and (record["attempted"], record["last_ts_ns"]))
    ts_ns = operation.first_ts_ns if reason == "new" else operation.last_ts_ns
    sides = {"client": key.client, "server": key.server} if who is not None else {}
    parties = {side: _party(who(key.realm, address)) for side, address in sides.items() if who is not None}
    return Entry(f"{said}-{reason}", ts_ns, record | {"reason": reason} | parties)


def _party(who: Mapping[str, Any]) -> dict[str, Any]:
    """As in alerts."""
    return {"endpoint": who["address"], **{name: who[name] for name in ("asset", "name", "roles", "zone")}}


def point_entry(site: str, point: PointRecord) -> Entry:
    """The same value of the same point at the same time has the same id, whatever was seen before."""
    record = point_record(point)
    return Entry(digest(site, record | {"count": None}), point.ts_ns, record)


def append(db: sqlite3.Connection, stream: str, entries: Iterable[Entry]) -> int:
    """Spool in the transaction that is open; gives how many.

    What two sensors of a site see alike are two observations: the sensor's name belongs to the id.
    """
    before, who = last(db, stream), sensor(db)
    mark = f"-{digest(who)[:_MARK_DIGITS]}" if who else ""
    rows = [
        (stream, before + number, f"{entry.id}{mark}", entry.ts_ns, text_of(dict(entry.record)))
        for number, entry in enumerate(entries, 1)
    ]
    if not rows:
        return 0
    db.executemany("INSERT INTO spool (stream, sequence, id, ts_ns, record) VALUES (?, ?, ?, ?, ?)", rows)
    size = sum(len(row[4]) for row in rows)
    db.execute(
        "INSERT INTO streams VALUES (?, ?, ?, ?, 0) ON CONFLICT (stream) DO UPDATE SET"
        " sequence = excluded.sequence, records = records + excluded.records, bytes = bytes + excluded.bytes",
        (stream, before + len(rows), len(rows), size),
    )
    return len(rows)


def append_alerts(db: sqlite3.Connection, ids: Sequence[str] | None) -> None:
    """Spool these alerts (None: all) as the table has them now."""
    found: Iterable[tuple[str, int, str]] = (
        db.execute("SELECT id, revision, record FROM alerts ORDER BY n").fetchall()
        if ids is None
        else (db.execute("SELECT id, revision, record FROM alerts WHERE id = ?", (name,)).fetchone() for name in ids)
    )
    records = ((name, revision, orjson.loads(record)) for name, revision, record in found)
    append(
        db,
        "alert",
        (
            Entry(f"{name}-{revision}", record["last_ts_ns"], record | {"revision": revision})
            for name, revision, record in records
        ),
    )


def append_audit(db: sqlite3.Connection, site: str, record: Mapping[str, Any]) -> None:
    """Spool what was done (docs/records/audit.schema.json)."""
    said = digest(site, name(db), "audit", last(db, "audit"))
    append(db, "audit", [Entry(said, int(record["ts_ns"]), record)])


def append_assets(db: sqlite3.Connection, site: str, assets: Iterable[Asset]) -> None:
    """Spool the assets of which something changed since they were last spooled; being seen again is no change."""
    told = dict(db.execute("SELECT id, digest FROM told"))
    fresh, current = [], set[str]()
    for asset in assets:
        record = asset.as_record()
        current.add(asset.id)
        said = digest(site, {name: value for name, value in record.items() if name != "last_ts_ns"})
        if told.get(asset.id) != said:
            reason = "changed" if asset.id in told else "new"
            fresh.append((asset.id, said, record | {"reason": reason}))
    db.executemany("DELETE FROM told WHERE id = ?", ((name,) for name in sorted(told.keys() - current)))
    db.executemany("INSERT OR REPLACE INTO told VALUES (?, ?)", ((name, said) for name, said, _ in fresh))
    # The time belongs to the id: an asset that is again what it once was is news.
    append(db, "asset", (Entry(digest(site, record), record["last_ts_ns"], record) for *_, record in fresh))


def begin(db: sqlite3.Connection, name: str | None = None, seen_by: str = "") -> bool:
    """Give the spool its name; False if it has one. `seen_by`: the sensor that sees what is spooled from now on."""
    if seen_by:
        db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (SENSOR, seen_by))
    added = db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (SPOOL_ID, name or secrets.token_hex(8))).rowcount
    return added > 0


def begin_anew(db: sqlite3.Connection) -> None:
    """Another name: whatever a ledger says of sequence numbers is of another spool."""
    db.execute("DELETE FROM meta WHERE key = ?", (SPOOL_ID,))
    begin(db)


def sensor(db: sqlite3.Connection) -> str:
    """The name of the sensor that sees what is spooled; '' for an analysis."""
    (found,) = db.execute("SELECT value FROM meta WHERE key = ?", (SENSOR,)).fetchone() or ("",)
    return str(found)


def name(db: sqlite3.Connection) -> str:
    """The spool's name; '' if nothing was ever spooled."""
    (found,) = db.execute("SELECT value FROM meta WHERE key = ?", (SPOOL_ID,)).fetchone() or ("",)
    return str(found)


def last(db: sqlite3.Connection, stream: str) -> int:
    """The last sequence number of a stream."""
    (found,) = db.execute("SELECT sequence FROM streams WHERE stream = ?", (stream,)).fetchone() or (0,)
    return int(found)


def remove(db: sqlite3.Connection, stream: str, until: int) -> int:
    """Remove a stream's records up to this sequence number."""
    which = "stream = ? AND sequence <= ?"
    (size,) = db.execute(f"SELECT ifnull(sum(length(record)), 0) FROM spool WHERE {which}", (stream, until)).fetchone()
    removed = db.execute(f"DELETE FROM spool WHERE {which}", (stream, until)).rowcount
    db.execute("UPDATE streams SET bytes = bytes - ?, records = records - ? WHERE stream = ?", (size, removed, stream))
    return removed


def prune(db: sqlite3.Connection, delivered: Mapping[str, int]) -> int:
    """Remove what every sink has: stream -> sequence number."""
    return sum(remove(db, stream, until) for stream, until in sorted(delivered.items()))


def waiting(db: sqlite3.Connection) -> dict[str, Waiting]:
    """What each stream holds that was ever used, by worth."""
    known = {row[0]: row[1:] for row in db.execute("SELECT * FROM streams")}
    first = "SELECT ts_ns FROM spool WHERE stream = ? ORDER BY sequence LIMIT 1"
    out = {}
    for stream in STREAMS:
        if stream in known:
            newest, number, size, gone = known[stream]
            (oldest,) = db.execute(first, (stream,)).fetchone() or (None,)
            out[stream] = Waiting(number, size, oldest, newest, gone)
    return out
