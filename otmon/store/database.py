"""Writing a site database in one transaction, and reading it back as the records it was written from.

It is one plain file that can be read from a read-only medium.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import orjson

from otmon import __version__
from otmon.model import ConnectionRecord, Counts, OperationKey, OperationRecord, Target
from otmon.site.assets import Asset, by_place
from otmon.site.evidence import Place
from otmon.site.site import Site
from otmon.store.schema import SCHEMA, TABLES

_NO_TARGET = (None, None, None, None)


class StoreError(Exception):
    """A database that cannot be read; str() is one line for people."""


def _hist(hist: dict[int, int]) -> str:
    return "{}" if not hist else orjson.dumps(hist, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SORT_KEYS).decode()


def _operation_row(operation: OperationRecord) -> tuple[Any, ...]:
    key, counts, size, first_ts_ns, last_ts_ns, first_frame, intervals, responses, verdict, row = operation
    realm, client, server, transport, port, protocol, unit, code, function, access, target, initiated_by = key
    units = (None, *unit) if isinstance(unit, tuple) else (unit, None, None)
    return (
        *(None, realm, client, server, transport, port, protocol, *units, code, function, access),
        *(_NO_TARGET if target is None else target),
        *(initiated_by, counts.attempted, counts.accepted, counts.rejected, counts.partial, counts.unanswered),
        *(counts.unseen, counts.pending, size, first_ts_ns, last_ts_ns, *first_frame),
        *(_hist(intervals), _hist(responses), verdict, row),
    )


def _operation(row: Sequence[Any]) -> OperationRecord:
    unit = row[7] if row[8] is None else (row[8], row[9])
    target = None if row[13] is None else Target(*row[13:17])
    key = OperationKey._make((*row[1:7], unit, *row[10:13], target, row[17]))
    counts = Counts(**dict(zip(Counts.FIELDS, row[18:25], strict=True)))
    intervals, responses = ({int(k): v for k, v in orjson.loads(text).items()} for text in row[30:32])
    return OperationRecord._make((key, counts, *row[25:28], tuple(row[28:30]), intervals, responses, *row[32:34]))


def _connection_row(connection: ConnectionRecord) -> tuple[Any, ...]:
    c = connection
    return (
        *(None, c.realm, c.client, c.client_port, c.server, c.server_port, c.transport, c.protocol, c.assumed_roles),
        *(orjson.dumps(c.vlans).decode(), c.first_ts_ns, c.last_ts_ns, *c.first_frame, *c.frames, *c.bytes),
        *(c.gaps, c.missing_bytes, c.one_sided, c.encrypted_bytes, c.midstream),
        *(c.malformed_bytes, c.unrecognised_bytes, c.answer),
    )


def _connection(row: Sequence[Any]) -> ConnectionRecord:
    vlans = tuple(orjson.loads(row[9]))
    first_frame, frames, sizes = row[12:14], row[14:16], row[16:18]
    fields = (*row[1:8], bool(row[8]), vlans, row[10], row[11], first_frame, frames, sizes, *row[18:20], bool(row[20]))
    return ConnectionRecord._make((*fields, row[21], bool(row[22]), *row[23:26]))


def _endpoint_rows(site: Site) -> Iterator[tuple[Any, ...]]:
    for asset in site.assets:
        roles = orjson.dumps(asset.roles).decode()
        for endpoint in asset.endpoints:
            yield *endpoint, asset.id, asset.zone, asset.name, roles
    spoken_to = {(op.key.realm, address) for op in site.operations for address in (op.key.client, op.key.server)}
    for realm, address in sorted(spoken_to - site.asset_of.keys()):
        who = site.who(realm, address)
        yield realm, address, None, None, None, who["zone"], who["name"], orjson.dumps(who["roles"]).decode()


def _insert(db: sqlite3.Connection, table: str, columns: int, rows: Iterable[Sequence[Any]]) -> None:
    db.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * columns)})", rows)


def write_database(path: Path, site: Site, alerts: Iterable[Mapping[str, Any]]) -> None:
    """A new database at `path`; `alerts` are records as in alerts.jsonl. Same content, same logical dump."""
    db = sqlite3.connect(path, isolation_level=None)
    try:
        # Nobody reads a new file before it is whole: it needs no journal, and is made safe once, at the end.
        db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN;" + TABLES)
        meta = {"otmon": __version__, "schema": str(SCHEMA), "site": site.name}
        _insert(db, "meta", 2, sorted(meta.items()))
        _insert(db, "endpoints", 8, _endpoint_rows(site))
        records = [(None, orjson.dumps(a.as_record(), option=orjson.OPT_SORT_KEYS).decode()) for a in site.assets]
        db.executemany("INSERT INTO assets (n, record) VALUES (?, ?)", records)
        _insert(db, "operations", 34, map(_operation_row, site.operations))
        _insert(db, "connections", 26, map(_connection_row, site.part.connections))
        records = [(None, orjson.dumps(alert, option=orjson.OPT_SORT_KEYS).decode()) for alert in alerts]
        db.executemany("INSERT INTO alerts (n, record) VALUES (?, ?)", records)
        db.execute("COMMIT")
    finally:
        db.close()
    with path.open("rb") as file:
        os.fsync(file.fileno())


class SiteDatabase:
    """A site database opened for reading; serves as the source of a graph (`otmon.site.graph.Seen`).

    Raises StoreError if the file is none of otmon's or of a newer schema.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
        try:
            self.meta: dict[str, str] = dict(self._db.execute("SELECT key, value FROM meta"))
        except sqlite3.Error as error:
            self._db.close()
            raise StoreError(f"{path}: not a site database of otmon ({error})") from None
        if self.meta.get("schema") != str(SCHEMA):
            self._db.close()
            raise StoreError(f"{path}: schema {self.meta.get('schema')}, this otmon reads schema {SCHEMA}")
        self.name = self.meta["site"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def _rows(self, table: str) -> Iterator[Any]:
        return iter(self._db.execute(f"SELECT * FROM {table} ORDER BY n"))

    def _records(self, table: str) -> Iterator[dict[str, Any]]:
        for (record,) in self._db.execute(f"SELECT record FROM {table} ORDER BY n"):
            yield orjson.loads(record)

    @cached_property
    def assets(self) -> list[Asset]:
        """Devices, by first sight."""
        return [Asset.from_record(record) for record in self._records("assets")]

    @cached_property
    def operations(self) -> list[OperationRecord]:
        """In the order of their keys."""
        return [_operation(row) for row in self._rows("operations")]

    @cached_property
    def connections(self) -> list[ConnectionRecord]:
        """By first frame."""
        return [_connection(row) for row in self._rows("connections")]

    @cached_property
    def alerts(self) -> list[dict[str, Any]]:
        """Records as in alerts.jsonl."""
        return list(self._records("alerts"))

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
