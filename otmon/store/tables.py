"""What analysing and watching do alike with the tables: fill them, rewrite what is derived, read everything back."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Final, TypeVar

import orjson

from otmon.model import OperationRecord
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
}
"""Primary keys, in the order of their columns (the first of their table but for `facts`, where they are too)."""


def insert(table: str, columns: int, verb: str = "INSERT") -> str:
    """The statement that inserts a whole row."""
    return f"{verb} INTO {table} VALUES ({','.join('?' * columns)})"


def write_records(db: sqlite3.Connection, table: str, row_of: Callable[[Any], Row], records: Sequence[Any]) -> None:
    """New rows; one that is there is replaced."""
    if records:
        db.executemany(insert(table, len(row_of(records[0])), "INSERT OR REPLACE"), map(row_of, records))


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
        "INSERT INTO alerts (id, record) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record"
        " WHERE record <> excluded.record",
        ((record["id"], text_of(record)) for record in records),
    )


def _endpoint_rows(site: Site) -> Iterator[Row]:
    for asset in site.assets:
        roles = orjson.dumps(asset.roles).decode()
        for endpoint in asset.endpoints:
            yield *endpoint, asset.id, asset.zone, asset.name, roles
    spoken_to = {(op.key.realm, address) for op in site.operations for address in (op.key.client, op.key.server)}
    for realm, address in sorted(spoken_to - site.asset_of.keys()):
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


def read_records(db: sqlite3.Connection, name: str) -> Iterator[Any]:
    """Records of one field of a Part, in the order of `otmon.site.part.merge`."""
    table, _, record_of = RECORDS[name]
    return map(record_of, db.execute(f"SELECT * FROM {table} ORDER BY {', '.join(KEYS[table])}"))


def read_operations(db: sqlite3.Connection) -> Iterator[OperationRecord]:
    """In the order of their keys, read as they are asked for."""
    return read_records(db, "operations")


_WITHOUT_TARGET: Final = KEYS["operation_rows"][:12]
_OUTLINE: Final = (
    f"SELECT {', '.join(_WITHOUT_TARGET)}, '', -1, -1, -1, initiated_by, sum(attempted), sum(accepted), sum(rejected),"
    " sum(partial), sum(unanswered), sum(unseen), sum(pending), sum(bytes), min(first_ts_ns), max(last_ts_ns), 0, 0,"
    f" '{{}}', '{{}}', verdict, NULL FROM operation_rows GROUP BY {', '.join(_WITHOUT_TARGET)}, initiated_by, verdict"
)


def read_outline(db: sqlite3.Connection) -> Part:
    """What assets are made of: operations without their targets, hosts, bindings and facts."""
    part = Part(operations=[rows.operation(row) for row in db.execute(_OUTLINE)])
    for name in ("hosts", "bindings", "facts"):
        setattr(part, name, list(read_records(db, name)))
    return part


def read_part(db: sqlite3.Connection) -> Part:
    """Everything but episodes."""
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
        setattr(part, name, list(read_records(db, name)))
    return part
