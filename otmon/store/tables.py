"""What analysing and watching do alike with the tables: fill them, rewrite what is derived, read everything back."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import chain, count
from typing import Any, Final, Generic, TypeVar

import orjson

from otmon.model import BlockRecord, Habit, OperationKey, OperationRecord
from otmon.policy.replay import Sightings
from otmon.site.part import Part
from otmon.site.site import Site
from otmon.store import rows
from otmon.store.rows import Row, text_of

_T = TypeVar("_T")

COUNTERS: Final = ("frames", "ot_bytes", "protocols", "visibility", "unsupported")
"""Fields of a Part that are trees of numbers: one document each in `counters`."""
TOTALS: Final = ("lost_datagrams", "shed", "folded", "partial")
"""Fields of a Part that are one number: together the document `totals`."""

RECORDS: Final[dict[str, tuple[str, Callable[[Any], Row], Callable[[Row], Any]]]] = {
    # field of a Part -> table, row of a record, record of a row; SELECT * of a key's order is the order of `merge`.
    "operations": ("operation_rows", rows.operation_row, rows.operation),
    "connections": ("connections", rows.connection_row, rows.connection),
    "hosts": ("hosts", rows.host_row, rows.host),
    "bindings": ("bindings", rows.binding_row, rows.binding),
    "facts": ("facts", rows.fact_row, rows.fact),
    "blocks": ("blocks", rows.block_row, rows.block),
    "habits": ("habits", rows.habit_row, rows.habit),
}
KEYS: Final = {
    "operation_rows": (
        *("realm", "client", "server", "transport", "port", "protocol", "link_source", "link_destination", "unit"),
        *("function_code", "function", "access", "target_space", "target_start", "target_end", "target_name"),
        "initiated_by",
    ),
    "connections": (
        *("first_ts_ns", "first_input", "first_frame", "realm", "client", "client_port", "server", "server_port"),
        "transport",
    ),
    "hosts": ("realm", "address"),
    "bindings": ("realm", "mac", "address", "ethertype", "proof"),
    "facts": ("realm", "address", "link_source", "link_destination", "unit", "name", "value", "protocol"),
    "blocks": (
        *("realm", "server", "protocol", "link_source", "link_destination", "unit", "kind", "number", "name"),
        *("file_system", "direction", "client", "state", "length", "sha256"),
    ),
    "habits": ("realm", "address", "protocol", "kind"),
}
"""Primary keys, in the order of their columns (the first of their table but for `facts`, where they are too)."""


def insert(table: str, columns: int, verb: str = "INSERT") -> str:
    """The statement that inserts a whole row."""
    return f"{verb} INTO {table} VALUES ({','.join('?' * columns)})"


def write_records(db: sqlite3.Connection, table: str, row_of: Callable[[Any], Row], records: Iterable[Any]) -> None:
    """New rows; one that is there is replaced."""
    found = map(row_of, records)
    for first in found:
        db.executemany(insert(table, len(first), "INSERT OR REPLACE"), chain((first,), found))


def counters_of(part: Part) -> dict[str, Any]:
    """The documents of table `counters`."""
    return {name: getattr(part, name) for name in COUNTERS} | {"totals": {n: int(getattr(part, n)) for n in TOTALS}}


def read_counters(db: sqlite3.Connection) -> dict[str, Any]:
    """Every document by its name."""
    return {name: orjson.loads(value) for name, value in db.execute("SELECT name, value FROM counters")}


def write_counters(db: sqlite3.Connection, documents: Mapping[str, Any]) -> None:
    """Replace these documents."""
    values = [(name, text_of(document)) for name, document in sorted(documents.items())]
    db.executemany("INSERT OR REPLACE INTO counters VALUES (?, ?)", values)


def write_alerts(db: sqlite3.Connection, records: Iterable[Mapping[str, Any]]) -> None:
    """Alerts as in alerts.jsonl: one that is known keeps its place."""
    db.executemany(
        "INSERT INTO alerts (id, record) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record,"
        " revision = revision + 1 WHERE record <> excluded.record",
        ((record["id"], text_of(record)) for record in records),
    )


def _endpoint_rows(site: Site) -> Iterator[Row]:
    for asset in site.assets:
        roles = orjson.dumps(asset.roles).decode()
        for endpoint in asset.endpoints:
            yield *endpoint, asset.id, asset.zone, asset.name, roles
    for realm, address in sorted(site.spoken - site.asset_of.keys()):
        who = site.who(realm, address)
        yield realm, address, None, None, None, who["zone"], who["name"], orjson.dumps(who["roles"]).decode()


def _rewrite(db: sqlite3.Connection, table: str, columns: Sequence[str], rows_: Iterable[Row]) -> None:
    """Numbered rows are what the table holds from now on; a row that stays as it was is not written again."""
    changed = " OR ".join(f"{name} IS NOT excluded.{name}" for name in columns)
    numbers = count(1)
    db.executemany(
        f"INSERT INTO {table} (n, {', '.join(columns)}) VALUES (?{', ?' * len(columns)}) ON CONFLICT (n) DO UPDATE SET"
        f" {', '.join(f'{name} = excluded.{name}' for name in columns)} WHERE {changed}",
        ((next(numbers), *row) for row in rows_),
    )
    db.execute(f"DELETE FROM {table} WHERE n >= ?", (next(numbers),))


def write_derived(db: sqlite3.Connection, site: Site) -> None:
    """Endpoints and assets, for readers."""
    names = ("realm", "address", "protocol", "unit", "asset", "zone", "name", "roles")
    _rewrite(db, "endpoints", names, _endpoint_rows(site))
    _rewrite(db, "assets", ("record",), ((text_of(asset.as_record()),) for asset in site.assets))


Reading = Callable[[], AbstractContextManager[sqlite3.Connection]]
"""Gives the database, and says what is wrong with it."""


class Stored(Generic[_T]):
    """Records that stay in the database and are read each time they are gone through. Do not write meanwhile."""

    def __init__(self, reading: Reading, query: str, record_of: Callable[[Row], _T]) -> None:
        self._reading, self._query, self._record_of = reading, query, record_of

    def __iter__(self) -> Iterator[_T]:
        """In the order of the query."""
        with self._reading() as db:
            yield from map(self._record_of, db.execute(self._query))

    def __len__(self) -> int:
        """Counted anew."""
        with self._reading() as db:
            return int(db.execute(f"SELECT count(*) FROM ({self._query})").fetchone()[0])


def _ordered(name: str) -> tuple[str, Callable[[Row], Any]]:
    """Query and reader of one field of a Part, in the order of `otmon.site.part.merge`."""
    table, _, record_of = RECORDS[name]
    return f"SELECT * FROM {table} ORDER BY {', '.join(KEYS[table])}", record_of


def read_records(db: sqlite3.Connection, name: str) -> Iterator[Any]:
    """Records of one field of a Part."""
    query, record_of = _ordered(name)
    return map(record_of, db.execute(query))


def read_block(db: sqlite3.Connection, record: BlockRecord) -> Iterator[BlockRecord]:
    """Rows of the ledger that are of the same block: of one controller, wherever in it."""
    place = KEYS["blocks"][: KEYS["blocks"].index("file_system")]
    query = f"SELECT * FROM blocks WHERE {' AND '.join(f'{name} = ?' for name in place)}"
    return map(rows.block, db.execute(query, rows.block_row(record)[: len(place)]))


def read_habits(db: sqlite3.Connection, habits: Iterable[Habit]) -> Iterator[Habit]:
    """What is known of the same habits of the same addresses."""
    query = f"SELECT * FROM habits WHERE {' AND '.join(f'{name} = ?' for name in KEYS['habits'])}"
    for habit in habits:
        yield from map(rows.habit, db.execute(query, habit[:4]))


def read_operations(db: sqlite3.Connection, after: Sequence[Any] = (), limit: int = -1) -> Iterator[OperationRecord]:
    """In the order of their keys, read as they are asked for; `limit` of them that come after a key."""
    table, _, record_of = RECORDS["operations"]
    columns = ", ".join(KEYS[table])
    beyond = f"WHERE ({columns}) > ({','.join('?' * len(after))})" if after else ""
    return map(record_of, db.execute(f"SELECT * FROM {table} {beyond} ORDER BY {columns} LIMIT ?", (*after, limit)))


_WITHOUT_TARGET: Final = KEYS["operation_rows"][:12]
_GROUPS: Final = "SELECT DISTINCT {0} FROM operation_rows ORDER BY {0}".format(", ".join(_WITHOUT_TARGET))
_OF_GROUP: Final = (
    "SELECT target_space, target_start, target_end, target_name, attempted, first_ts_ns, last_ts_ns, initiated_by"
    f" FROM operation_rows WHERE {' AND '.join(f'{column} = ?' for column in _WITHOUT_TARGET)}"
    " ORDER BY target_space, target_start, target_end, target_name, initiated_by"
)
_BATCH: Final = 4096


def read_groups(db: sqlite3.Connection) -> Iterator[tuple[OperationKey, Sightings]]:
    """Operations without their targets, each with the targets it was seen on: a million in seconds.

    A group of many targets comes in parts. What the rows of a group share is read once.
    """
    for group in db.execute(_GROUPS):
        found = db.execute(_OF_GROUP, group)
        while part := found.fetchmany(_BATCH):
            yield rows.operation_key((*group, "", -1, -1, -1, part[0][7])), Sightings(part)


_OUTLINE: Final = (
    f"SELECT {', '.join(_WITHOUT_TARGET)}, '', -1, -1, -1, min(initiated_by),"
    " sum(attempted), sum(accepted), sum(rejected), sum(partial), sum(unanswered), sum(unseen), sum(pending),"
    " sum(bytes), min(first_ts_ns), max(last_ts_ns), 0, 0, '{}', '{}', max(ifnull(verdict, 'permit')), NULL"
    f" FROM operation_rows GROUP BY {', '.join(_WITHOUT_TARGET)}"
)
"""In the order of the primary key, so that nothing has to be sorted. Denied: every one of them was."""


def read_outline(reading: Reading) -> Part:
    """What assets are made of: hosts, what is known of them, and operations without their targets, which stay there."""
    part = Part(operations=Stored(reading, _OUTLINE, rows.operation))
    with reading() as db:
        for name in ("hosts", "bindings", "facts", "habits"):
            setattr(part, name, list(read_records(db, name)))
    return part


LONG: Final = frozenset({"operations", "connections"})
"""Records of which there may be a million."""


def read_part(db: sqlite3.Connection, in_place: Reading | None = None) -> Part:
    """Everything but episodes; `in_place`: what is long stays in the database, and is read there."""
    counters = read_counters(db)
    totals = counters.get("totals", {})
    part = Part(
        lost_datagrams=totals.get("lost_datagrams", 0),
        shed=totals.get("shed", 0),
        folded=totals.get("folded", 0),
        partial=bool(totals.get("partial", 0)),
    )
    for name in COUNTERS:
        setattr(part, name, counters.get(name, {}))
    for name in RECORDS:
        if in_place is not None and name in LONG:
            setattr(part, name, Stored(in_place, *_ordered(name)))
        else:
            setattr(part, name, list(read_records(db, name)))
    return part
