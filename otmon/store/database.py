"""Writing a site database in one transaction, and reading one back as the records it was written from.

What `otmon analyze` writes is one plain file that can be read from a read-only medium; what a sensor writes can be read
while it writes.
"""

import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from otmon import __version__
from otmon.alerts.decisions import Signed
from otmon.alerts.keep import restore
from otmon.alerts.permits import PermitOrder
from otmon.model import BlockRecord, ConnectionRecord, Fact, HostRecord, OperationKey, OperationRecord
from otmon.policy.functions import Triple
from otmon.policy.intervals import Intervals
from otmon.policy.pattern import Hosts, Pattern
from otmon.policy.permits import WorkPermit
from otmon.policy.replay import Sightings
from otmon.site.assets import Asset, by_place
from otmon.site.evidence import Place
from otmon.site.part import Part
from otmon.site.site import Site
from otmon.store import audit, decisions, permits, spool, watched
from otmon.store.absence import Absence, absence
from otmon.store.errors import StoreError, StoreFull
from otmon.store.hunt import Found, facts_of, hosts_of, hunt, remembered
from otmon.store.migrate import migrate, schema_of
from otmon.store.presence import Unknown, unknown
from otmon.store.schema import MIGRATIONS, SCHEMA, TABLES
from otmon.store.tables import (
    RECORDS,
    counters_of,
    read_groups,
    read_part,
    read_records,
    write_alerts,
    write_counters,
    write_derived,
    write_records,
)
from otmon.store.uri import read_only

__all__ = ["SiteDatabase", "StoreError", "StoreFull", "create_tables", "write_database"]


def create_tables(db: sqlite3.Connection, site_name: str) -> None:
    """Tables of an empty database, in a transaction that is left open."""
    # Set before the first table: what retention removes can be given back to the disk.
    db.executescript("PRAGMA auto_vacuum = INCREMENTAL; BEGIN IMMEDIATE;" + TABLES)
    meta = {"otmon": __version__, "schema": str(SCHEMA), "site": site_name}
    db.executemany("INSERT INTO meta VALUES (?, ?)", sorted(meta.items()))


def write_database(
    path: Path,
    site: Site,
    alerts: Iterable[Mapping[str, Any]],
    *,
    seen: Intervals | None = None,
    spooled: Collection[str] = (),
) -> None:
    """A new database at `path`; `alerts` are records as in alerts.jsonl. Same content, same logical dump.

    `seen`: the time that was watched, if that is known. `spooled`: the streams of which everything waits in it to be
    delivered, in its final state.
    """
    db = sqlite3.connect(path, isolation_level=None)
    try:
        # Nobody reads a new file before it is whole: it needs no journal, and is made safe once, at the end.
        db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
        create_tables(db, site.name)
        write_derived(db, site)
        write_counters(db, counters_of(site.part))
        if seen is not None:
            watched.write(db, seen)
        for name, (table, row_of, _) in RECORDS.items():
            write_records(db, table, row_of, getattr(site.part, name))
        permits.add(db, site.part.permitted, site.part.permit_writes)
        write_alerts(db, alerts)
        if spooled:
            _spool_all(db, site, spooled)
        db.execute("COMMIT")
    finally:
        db.close()
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _spool_all(db: sqlite3.Connection, site: Site, streams: Collection[str]) -> None:
    spool.begin(db, spool.FINAL)
    if "alert" in streams:
        # A later run over more of the same traffic finds an alert more often: that is a later revision of it.
        db.execute("UPDATE alerts SET revision = max(1, count)")
        spool.append_alerts(db, None)
    if "asset" in streams:
        spool.append_assets(db, site.name, site.assets)
    if "operation" in streams:
        spool.append(
            db, "operation", (spool.operation_entry(site.name, op, "final", site.who) for op in site.operations)
        )


def _open(path: Path) -> sqlite3.Connection:
    """A snapshot of the database, whoever writes it. Raises sqlite3.Error."""
    base = read_only(path)
    # The last sensor may have left the file in write-ahead mode: read from a read-only medium it needs to be told that
    # nothing is missing from it, which holds only while there is no log beside it.
    modes = [base] if path.with_name(path.name + "-wal").exists() else [base, base + "&immutable=1"]
    for uri in modes:
        db = sqlite3.connect(uri, uri=True, isolation_level=None)
        try:
            db.execute("BEGIN")
            schema_of(db)
            return db
        except sqlite3.Error as error:
            db.close()
            if uri == modes[-1] or not isinstance(error, sqlite3.OperationalError):
                raise
    raise AssertionError  # the last mode gives or raises


class SiteDatabase:
    """A site database opened for reading; serves as the source of a graph (`otmon.site.graph.Seen`).

    It shows the moment at which it was opened. Raises StoreError if the file is none of otmon's or of a newer schema;
    one of an older schema is brought to today's in memory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._db = _open(path)
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
                raise StoreError(f"{path}: {error}: read it as the sensor's user, or copy its folder first") from None
            raise StoreError(f"{path}: not a site database of otmon ({error})") from None
        try:
            schema = schema_of(self._db)
            if schema in MIGRATIONS:
                self._db = _migrated(self._db)
            elif schema != SCHEMA:
                raise StoreError(f"{path}: schema {schema}, this otmon reads schemas up to {SCHEMA}")
            self.meta: dict[str, str] = dict(self._db.execute("SELECT key, value FROM meta"))
            self.name = self.meta["site"]
        except (sqlite3.Error, KeyError) as error:
            self._db.close()
            raise StoreError(f"{path}: not a site database of otmon ({error})") from None
        except StoreError:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def _json(self, table: str) -> Iterator[dict[str, Any]]:
        for (record,) in self._db.execute(f"SELECT record FROM {table} ORDER BY n"):
            yield orjson.loads(record)

    @cached_property
    def assets(self) -> list[Asset]:
        """Devices, by first sight."""
        return [Asset.from_record(record) for record in self._json("assets")]

    @cached_property
    def operations(self) -> list[OperationRecord]:
        """In the order of their keys."""
        return list(read_records(self._db, "operations"))

    def groups(self) -> Iterator[tuple[OperationKey, Sightings]]:
        """Operations that differ in their target alone, together; read as they are asked for."""
        return read_groups(self._db)

    def functions(self) -> set[tuple[str, Triple]]:
        """(protocol, (code, name, access class)) of every operation."""
        query = "SELECT DISTINCT protocol, function_code, function, access FROM operations"
        return {(row[0], (row[1], row[2], row[3])) for row in self._db.execute(query)}

    def hunt(self, pattern: Pattern) -> list[Found]:
        """Stored operations that fit a pattern, those alike together."""
        return hunt(self._db, pattern)

    def absence(self, pattern: Pattern, start_ns: int, end_ns: int) -> Absence:
        """What of a pattern was seen within a time, and what could not be seen."""
        return absence(self._db, pattern, start_ns, end_ns)

    def unknown(self, pattern: Pattern) -> list[Unknown]:
        """Of whom that a pattern asks about nothing at all is remembered."""
        return unknown(self._db, pattern, -(2**63), 2**63 - 1)

    def hosts_of(self, hosts: Hosts) -> list[HostRecord]:
        """Addresses that have sent something."""
        return list(hosts_of(self._db, hosts))

    def facts_of(self, name: str, value: str) -> list[Fact]:
        """What was learnt about devices, by globs over name and value."""
        return list(facts_of(self._db, name, value))

    def remembered(self) -> tuple[int, int | None, int | None]:
        """(operations, first time, last time) of all that is stored."""
        return remembered(self._db)

    @cached_property
    def connections(self) -> list[ConnectionRecord]:
        """By first frame."""
        return list(read_records(self._db, "connections"))

    @cached_property
    def blocks(self) -> list[BlockRecord]:
        """Blocks of controller logic that were moved, by controller."""
        return list(read_records(self._db, "blocks"))

    @cached_property
    def alerts(self) -> list[dict[str, Any]]:
        """Records as in alerts.jsonl."""
        return list(self._json("alerts"))

    def decisions(self, now_ns: int) -> dict[str, dict[str, Any]]:
        """Alert -> the latest decision about it that holds now."""
        return decisions.in_force(self._db, now_ns)

    def look_at(self, signed: Signed) -> None:
        """Raises DecisionError if a file of decisions cannot be taken."""
        decisions.look(self._db, self.name, signed)

    def took(self, digest: str) -> bool:
        """Whether the file of decisions with this signature was taken."""
        return decisions.taken(self._db, digest)

    def decided(self, alert: str) -> list[dict[str, Any]]:
        """Every decision and note about an alert, the oldest first (docs/records/audit.schema.json)."""
        return decisions.history(self._db, alert)

    def permits(self) -> list[WorkPermit]:
        """All that were ever opened, the oldest first."""
        return permits.every(self._db)

    def look_at_permit(self, order: PermitOrder, now_ns: int) -> None:
        """Raises DecisionError if a permit cannot be opened or closed."""
        permits.look(self._db, self.name, order, now_ns)

    def done_under(self, ticket: str) -> Iterator[dict[str, Any]]:
        """Operations that a ticket permitted; see `otmon.store.permits.done`."""
        return permits.done(self._db, ticket)

    def written_under(self, ticket: str) -> Iterator[dict[str, Any]]:
        """Points that were set under a ticket; see `otmon.store.permits.written`."""
        return permits.written(self._db, ticket)

    def audit_log(self) -> Iterator[audit.Entry]:
        """The audit log."""
        return audit.entries(self._db)

    def verify_log(self, kept: str | None = None) -> audit.Looked:
        """Whether the audit log is as it was written; see `otmon.store.audit.verify`."""
        return audit.verify(self._db, kept)

    @cached_property
    def health(self) -> list[dict[str, Any]]:
        """Records of a sensor's health, the oldest first."""
        return list(self._json("health"))

    @cached_property
    def watched(self) -> Intervals:
        """The time in which somebody watched, as ranges of ns; see `otmon.store.watched`."""
        return watched.watched(self._db)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._db
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: cannot be read any more ({error})") from None

    def part(self, in_place: bool = False) -> Part:
        """Everything as the engine handed it over; episodes only if a sensor wrote the database.

        `in_place`: operations and connections stay in the database and are read as they are gone through.
        """
        part = read_part(self._db, self._reading if in_place else None)
        states = self._db.execute("SELECT state FROM episodes ORDER BY first_ts_ns, id")
        part.episodes = [restore(state) for (state,) in states]
        return part

    @cached_property
    def asset_of(self) -> dict[Place, Asset]:
        """(realm, address) -> device."""
        return by_place(self.assets)

    def who(self, realm: str, address: str) -> dict[str, Any]:
        """Who an address is, as `otmon.site.site.Site.who` said when the database was written."""
        asset = self.asset_of.get((realm, address))
        query = "SELECT zone, name, roles FROM endpoints WHERE address = ? AND realm = ? LIMIT 1"
        zone, name, roles = self._db.execute(query, (address, realm)).fetchone() or (None, None, "[]")
        found = {"zone": zone, "name": name, "roles": orjson.loads(roles)}
        return {"address": address, "asset": asset and asset.id, "realm": realm, **found}


def _migrated(old: sqlite3.Connection) -> sqlite3.Connection:
    memory = sqlite3.connect(":memory:", isolation_level=None)
    old.backup(memory)
    old.close()
    migrate(memory)
    return memory
