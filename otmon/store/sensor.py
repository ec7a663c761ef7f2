"""The site database of a sensor: open for years, added to at checkpoints, safe at any moment.

Every call is one transaction that is on the disk when it returns, or raises and has changed nothing.
"""

import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from otmon.alerts.decisions import Signed
from otmon.alerts.episodes import Episode
from otmon.alerts.keep import as_text, restore
from otmon.alerts.permits import PermitOrder
from otmon.limits import MAX_HEALTH_RECORDS, MAX_JOURNAL_BYTES
from otmon.model import BlockRecord, ConnectionRecord, Habit, OperationKey, OperationRecord
from otmon.policy.permits import WorkPermit
from otmon.site.part import UNITE, Part, Records, add_tree, united
from otmon.site.site import Site
from otmon.store import audit, decisions, permits, spool, summaries
from otmon.store.errors import StoreGone
from otmon.store.journal import Journal
from otmon.store.opening import NAMELESS, lock, open_database, trouble
from otmon.store.relief import Relief
from otmon.store.retention import Forgotten, Retention, forget
from otmon.store.rows import add_histograms, connection_row, operation_row, other_way, text_of
from otmon.store.statements import ADD_OPERATION, KNOWN, REMOVE_EMPTY
from otmon.store.tables import (
    KEYS,
    RECORDS,
    counters_of,
    insert,
    read_block,
    read_counters,
    read_habits,
    read_operations,
    read_outline,
    read_part,
    write_alerts,
    write_counters,
    write_derived,
    write_records,
)

_RESERVED: Final = frozenset({"otmon", "schema", "site"})

_SPOOLED: Final = "spooled"
"""Meta key: the streams that were spooled when the database was opened last."""


def _revision(db: sqlite3.Connection, name: str) -> int:
    """Of an alert; 0: there is none yet."""
    (revision,) = db.execute("SELECT revision FROM alerts WHERE id = ?", (name,)).fetchone() or (0,)
    return int(revision)


class SiteStore:
    """The database of one sensor, made if there is none. For one thread of one process, which holds the folder.

    Raises StoreError if another otmon holds the folder, or the file is another site's, of a newer schema or not
    writable. A damaged file is set aside: `notices` says so. Every call may raise StoreFull, which changes nothing.
    """

    def __init__(
        self,
        path: Path,
        site: str,
        *,
        keep: Retention | None = None,
        spooled: Collection[str] = (),
        sensor: str = "",
    ) -> None:
        """`sensor`: who sees what is spooled; whoever did before if it is not said."""
        self.path = path
        self.spooled = frozenset(spooled)
        """Streams that somebody takes."""
        self.keep = keep or Retention()
        self.notices: list[str] = []
        self.who: spool.Who | None = None
        """Who the ends of a spooled operation are, as far as it is known."""
        self._held = lock(path.parent)
        try:
            self._db = open_database(path, site, self.notices)
        except BaseException:
            os.close(self._held)
            raise
        self._db.create_function("add_histograms", 2, add_histograms, deterministic=True)
        self._journal = Journal(self._db, path)
        self._file = self._identity()
        self._relief = Relief()
        self._begin_spooling(sensor)

    def _begin_spooling(self, sensor: str) -> None:
        """Alerts that were found while nobody took alerts are spooled as soon as somebody does."""
        now = " ".join(sorted(self.spooled))
        before = self.meta(_SPOOLED) or ""
        if now == before and sensor in ("", self.meta(spool.SENSOR)):
            return
        with self._writing() as db:
            spool.begin(db, seen_by=sensor)
            if "alert" in self.spooled and "alert" not in before.split():
                spool.append_alerts(db, None)
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_SPOOLED, now))

    def begin_spool_anew(self) -> None:
        """The ledger is of a later state of this database, which was put back from a copy: nothing of it holds."""
        with self._writing() as db:
            spool.begin_anew(db)

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def look(self) -> None:
        """Raises StoreGone if the file at `path` is no longer the one that is open."""
        if self._identity() != self._file:
            raise StoreGone(
                f"{self.path}: removed or replaced while it was in use: what was seen since then is lost; "
                "start again to begin a new one (otmon install-service makes the folder anew)"
            )

    @property
    def site(self) -> str:
        """The site's name."""
        return self.meta("site") or NAMELESS

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Move the log into the database and let go of the folder. One plain file stays, unless somebody reads it."""
        self._journal.empty()
        with suppress(sqlite3.Error):
            self._db.execute("PRAGMA journal_mode = DELETE")
        self._db.close()
        os.close(self._held)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction. Raises StoreError or StoreFull, and then it never was."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._db.execute("COMMIT")
        except BaseException as error:
            if self._db.in_transaction:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
            if not isinstance(error, sqlite3.Error):
                raise
            self._journal.empty()  # what was written in vain takes room that may be all there was
            raise trouble(self.path, error) from error
        if self._journal.log_bytes > MAX_JOURNAL_BYTES:
            self._journal.move()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._db
        except sqlite3.Error as error:
            raise trouble(self.path, error) from error

    # --- adding ------------------------------------------------------------------------------------------------------

    def add(self, part: Part) -> None:
        """Add what was seen since the last call: see otmon.site.part.merge. Of episodes `alerts` takes care.

        Two differences: a connection that was handed over before is replaced, and an operation takes the newest
        verdict that was given (a policy may have changed its mind).
        """
        with self._writing() as db:
            if "operation" in self.spooled:
                seen: dict[OperationKey, OperationRecord] = {}
                for op in part.operations:
                    if op.counts.attempted > 0:
                        seen.setdefault(op.key, op)  # there may be several rows of one: it is new once
                fresh = (op for op in seen.values() if not self._knows(db, op))
                spool.append(db, "operation", (spool.operation_entry(self.site, op, "new", self.who) for op in fresh))
            if "point" in self.spooled:
                spool.append(db, "point", (spool.point_entry(self.site, point) for point in part.points))
            db.executemany(ADD_OPERATION, map(operation_row, part.operations))
            permits.add(db, part.permitted, part.permit_writes)
            # A connection that turned out to be part of a scan, or to speak a control protocol, was taken back.
            back = (operation_row(op) for op in part.operations if op.counts.attempted < 0)
            db.executemany(REMOVE_EMPTY, (row[: len(KEYS["operation_rows"])] for row in back))
            self._connections(db, part.connections)
            for name, (key, join) in UNITE.items():
                self._unite(db, name, list(united(getattr(part, name), key, join).values()), join)
            write_counters(db, add_tree(read_counters(db), counters_of(part)))
        self._journal.move()

    @staticmethod
    def _knows(db: sqlite3.Connection, operation: OperationRecord) -> bool:
        key = operation_row(operation)[: len(KEYS["operation_rows"])]
        return db.execute(KNOWN, key).fetchone() is not None

    def _connections(self, db: sqlite3.Connection, connections: Records[ConnectionRecord]) -> None:
        rows = list(map(connection_row, connections))
        key = " AND ".join(f"{name} = ?" for name in KEYS["connections"])
        db.executemany(f"DELETE FROM connections WHERE {key}", map(other_way, rows))
        if rows:
            db.executemany(insert("connections", len(rows[0]), "INSERT OR REPLACE"), rows)

    def _unite(self, db: sqlite3.Connection, name: str, records: list[Any], join: Callable[[Any, Any], Any]) -> None:
        """Join records with those that are there; what does not change is not written."""
        table, row_of, record_of = RECORDS[name]
        key = KEYS[table]
        query = f"SELECT * FROM {table} WHERE {' AND '.join(f'{column} = ?' for column in key)}"
        changed = []
        for record in records:
            known = db.execute(query, row_of(record)[: len(key)]).fetchone()
            whole = record if known is None else join(record_of(known), record)
            if known is None or row_of(whole) != known:
                changed.append(whole)
        write_records(db, table, row_of, changed)

    def alerts(self, episodes: Iterable[Episode], records: Iterable[Mapping[str, Any]]) -> None:
        """Keep these episodes and these alerts (as in alerts.jsonl) as they are now, by id."""
        states = ((e.id, e.first_ts_ns, e.last_ts_ns, as_text(e)) for e in episodes)
        with self._writing() as db:
            db.executemany(insert("episodes", 4, "INSERT OR REPLACE"), states)
            self._alerts(db, list(records))

    def _alerts(self, db: sqlite3.Connection, records: Sequence[Mapping[str, Any]]) -> None:
        names = [record["id"] for record in records]
        before = {name: _revision(db, name) for name in names} if "alert" in self.spooled else {}
        write_alerts(db, records)
        spool.append_alerts(db, [name for name, revision in before.items() if _revision(db, name) != revision])

    def describe(self, site: Site, alerts: Iterable[Mapping[str, Any]] = ()) -> None:
        """Say anew who is who, for readers: endpoints and assets, and alerts whose wording depends on it."""
        with self._writing() as db:
            write_derived(db, site)
            self._alerts(db, list(alerts))
            if "asset" in self.spooled:
                spool.append_assets(db, self.site, site.assets)
        self._journal.move()

    def health(self, record: Mapping[str, Any]) -> None:
        """Append a record of health; the oldest goes when there are MAX_HEALTH_RECORDS. Needs `ts_ns`."""
        with self._writing() as db:
            added = db.execute(
                "INSERT INTO health (ts_ns, record) VALUES (?, ?)", (record["ts_ns"], text_of(dict(record)))
            ).lastrowid
            db.execute("DELETE FROM health WHERE n <= ?", ((added or 0) - MAX_HEALTH_RECORDS,))
            if "sensor" in self.spooled:
                ts_ns = int(record["ts_ns"])
                name = spool.digest(self.site, spool.name(db), "sensor", added)
                spool.append(db, "sensor", [spool.Entry(name, ts_ns, record)])

    def set_meta(self, key: str, value: str) -> None:
        """Keep a small text. Raises ValueError for the keys by which the file is known."""
        if key in _RESERVED:
            raise ValueError(f"{key} is not to be set")
        with self._writing() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def forget(self, now_ns: int) -> Forgotten:
        """Remove what `keep` says is too old or too much, and give the room back; what went is counted for good."""
        with self._writing() as db:
            gone = forget(db, self.keep, now_ns)
            if any(gone):
                write_counters(db, {"forgotten": (self._forgotten() + gone)._asdict()})
        if any(gone):
            with suppress(sqlite3.Error):  # it is gone already; the room follows the next time
                self._db.executescript("PRAGMA incremental_vacuum")  # `execute` gives back one page
            self._journal.move()
        return gone

    # --- the spool ---------------------------------------------------------------------------------------------------

    def audit(self, record: Mapping[str, Any]) -> None:
        """Enter what was done with the sensor (docs/records/audit.schema.json) in the log, and spool it."""
        with self._writing() as db:
            audit.append(db, self.site, [record], spooled="audit" in self.spooled)

    def decide(self, signed: Signed, now_ns: int) -> None:
        """Keep a file of decisions about alerts, and tell of each. Raises DecisionError, and nothing was kept."""
        with self._writing() as db:
            decisions.take(db, self.site, signed, now_ns, spooled="audit" in self.spooled)

    def permit(self, order: PermitOrder, now_ns: int) -> None:
        """Open or close a permit. Raises DecisionError, and nothing was changed."""
        with self._writing() as db:
            permits.take(db, self.site, order, now_ns, spooled="audit" in self.spooled)

    def permits(self) -> tuple[WorkPermit, ...]:
        """Permits that a policy must know."""
        with self._reading() as db:
            return permits.current(db)

    def summarise(self, now_ns: int) -> int:
        """Spool the next operations of a round of summaries, see `otmon.store.summaries.due`; gives how many."""
        if "operation" not in self.spooled:
            return 0
        with self._writing() as db:
            seen = summaries.due(db, now_ns)
            return spool.append(
                db, "operation", (spool.operation_entry(self.site, op, "summary", self.who) for op in seen)
            )

    def relieve(self, delivered: Mapping[str, int], ran_ns: int, max_age_ns: int, max_bytes: int) -> dict[str, int]:
        """Remove from the spool what every sink has (stream -> sequence number), then what is too old or too much.

        `ran_ns`: how long the sensor ran since it was last said. Gives what went undelivered: otmon.store.relief.
        """
        with self._writing() as db:
            return self._relief.give(db, delivered, ran_ns, max_age_ns, max_bytes)

    @property
    def spool_name(self) -> str:
        """Names the spool whose sequence numbers count."""
        with self._reading() as db:
            return spool.name(db)

    def waiting(self) -> dict[str, spool.Waiting]:
        """What the spool holds, by stream."""
        with self._reading() as db:
            return spool.waiting(db)

    # --- reading back ------------------------------------------------------------------------------------------------

    def _forgotten(self) -> Forgotten:
        return Forgotten(**read_counters(self._db).get("forgotten", {}))

    @property
    def forgotten(self) -> Forgotten:
        """What `forget` removed since the database was begun."""
        with self._reading():
            return self._forgotten()

    def meta(self, key: str) -> str | None:
        """A small text; None if it was never set."""
        with self._reading() as db:
            found = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return found[0] if found else None

    def episodes(self, live_since_ns: int | None = None) -> list[Episode]:
        """Episodes that lasted until `live_since_ns` or longer (None: all), by first occurrence and id."""
        query = "SELECT state FROM episodes WHERE last_ts_ns >= ? ORDER BY first_ts_ns, id"
        since = -(1 << 63) if live_since_ns is None else live_since_ns
        with self._reading() as db:
            return [restore(state) for (state,) in db.execute(query, (since,))]

    def operations(self) -> Iterator[OperationRecord]:
        """In the order of their keys, read as they are asked for. Do not add meanwhile."""
        with self._reading() as db:
            yield from read_operations(db)

    def blocks(self, record: BlockRecord) -> list[BlockRecord]:
        """Rows of the ledger that are of the same block."""
        with self._reading() as db:
            return list(read_block(db, record))

    def habits(self, habits: Iterable[Habit]) -> list[Habit]:
        """The same habits of the same addresses, as they are known."""
        with self._reading() as db:
            return list(read_habits(db, habits))

    def part(self, in_place: bool = False) -> Part:
        """Everything as one Part, records in the order of otmon.site.part.merge.

        `in_place`: operations and connections stay in the database and are read as they are gone through; there may be
        more of them than memory holds. Do not add meanwhile.
        """
        with self._reading() as db:
            part = read_part(db, self._reading if in_place else None)
        part.episodes = list(self.episodes())
        return part

    def outline(self) -> Part:
        """What assets are made of, see `read_outline`; small beside the whole."""
        return read_outline(self._reading)

    def sizes(self) -> dict[str, int]:
        """Rows of operations, connections, hosts and alerts. Reads them all: not to be asked often."""
        tables = {"operations": "operation_rows", "connections": "connections", "hosts": "hosts", "alerts": "alerts"}
        with self._reading() as db:
            return {name: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for name, table in tables.items()}

    @property
    def bytes_written(self) -> int:
        """Bytes this process has written to the database and its log: see Journal. Moves the log to know."""
        self._journal.move()
        return self._journal.bytes_written
