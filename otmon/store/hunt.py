"""What of years of stored operations fits a pattern: one walk through the table, in the order of its key.

Summed by SQLite as it goes (a million operations in about a second); asked about clients, it walks only their part.
"""

import sqlite3
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import orjson

from otmon.model import Fact, HostRecord
from otmon.policy.intervals import Intervals, merge
from otmon.policy.pattern import ANYBODY, Hosts, Pattern
from otmon.store import rows
from otmon.store.tables import KEYS, read_records

SWEEP: Final = 16
"""Units, link addresses or ports that one client asked at one server: no device of a plant has as many as a sweep."""
_KEY: Final = KEYS["operation_rows"][:13]
_SUMS: Final = (
    "count(*), sum(attempted), sum(accepted), sum(rejected), sum(verdict = 'deny'), min(first_ts_ns), max(last_ts_ns),"
    " min(nullif(target_start, -1)), max(max(target_start, target_end)), min(target_name), max(target_name)"
)
"""Of names: a number, which is none, comes before all text."""


class Found(NamedTuple):
    """Operations that one client did to one server alike."""

    realm: str
    client: str
    server: str
    transport: str
    port: int | None
    protocol: str
    function: str
    access: str
    space: str | None
    masters: Intervals
    units: Intervals
    """Of Modbus; link addresses of outstations."""
    operations: int
    times: int
    accepted: int
    rejected: int
    denied: int
    """Operations that the policy of the time denied."""
    first_ts_ns: int
    last_ts_ns: int
    start: int | None
    """The first and the last address of all targets."""
    end: int | None
    first_name: str | None
    last_name: str | None


def hunt(db: sqlite3.Connection, pattern: Pattern) -> list[Found]:
    """Everything that fits, in the order of keys."""
    where, values = conditions(db, pattern)
    query = f"SELECT {', '.join(_KEY)}, {_SUMS} FROM operation_rows WHERE {where} GROUP BY {', '.join(_KEY)}"
    groups: dict[tuple[Any, ...], list[Any]] = {}
    for row in db.execute(query, values):
        realm, client, server, transport, port, protocol, source, destination, unit, _, function, access, space = row[
            :13
        ]
        key = realm, client, server, transport, port, protocol, function, access, space
        groups.setdefault(key, []).append(((source, destination if source != -1 else unit), row[13:]))
    found = [_found(key, parts) for key, parts in groups.items()]
    return _swept(found) if pattern.sweep else found


def remembered(db: sqlite3.Connection) -> tuple[int, int | None, int | None]:
    """(operations, first time, last time) of all that is stored."""
    count, first, last = db.execute("SELECT count(*), min(first_ts_ns), max(last_ts_ns) FROM operation_rows").fetchone()
    return int(count), first, last


def hosts_of(db: sqlite3.Connection, hosts: Hosts) -> Iterator[HostRecord]:
    """Addresses that have sent something."""
    return (host for host in read_records(db, "hosts") if hosts.has(host.address))


def facts_of(db: sqlite3.Connection, name: str, value: str) -> Iterator[Fact]:
    """What was learnt about devices, by globs over its name and value; a bracket means itself."""
    globs = [text.replace("[", "[[]") for text in (name, value)]
    query = "SELECT * FROM facts WHERE name GLOB ? AND value GLOB ? ORDER BY realm, address, name, ts_ns"
    return map(rows.fact, db.execute(query, globs))


def _found(key: tuple[Any, ...], parts: list[Any]) -> Found:
    sums = list(zip(*(sums for _, sums in parts), strict=True))
    port, space = key[4], key[8]
    start = min((value for value in sums[7] if value is not None), default=None)
    names = [name for name in (*sums[9], *sums[10]) if isinstance(name, str)]
    return Found._make(
        (
            *(*key[:4], None if port == -1 else port, *key[5:8], space or None),
            *(merge((at, at) for at in {link[n] for link, _ in parts} - {-1}) for n in (0, 1)),
            *(*map(sum, sums[:4]), sum(filter(None, sums[4])), min(sums[5]), max(sums[6])),
            *(start, None if start is None else max(sums[8]), min(names, default=None), max(names, default=None)),
        )
    )


def _swept(found: list[Found]) -> list[Found]:
    """What belongs to a sweep over units, link addresses or ports."""
    asked: dict[tuple[str, ...], set[tuple[str, int]]] = {}
    for one in found:
        numbers = asked.setdefault((*one[:3], one.protocol), set())
        numbers.update(("unit", at) for low, high in one.units for at in range(low, high + 1))
        if one.function == "connect" and one.port is not None:
            numbers.add(("port", one.port))
    sweeps = {who for who, numbers in asked.items() if len(numbers) >= SWEEP}
    return [one for one in found if one.function == "scan" or (*one[:3], one.protocol) in sweeps]


# --- conditions ------------------------------------------------------------------------------------------------------
def conditions(db: sqlite3.Connection, pattern: Pattern) -> tuple[str, list[Any]]:
    """(what a row of `operation_rows` has to be, its values)."""
    parts = list(_parts(db, pattern))
    return " AND ".join(text for text, _ in parts) or "1", [value for _, values in parts for value in values]


def _parts(db: sqlite3.Connection, pattern: Pattern) -> Iterator[tuple[str, list[Any]]]:
    realms = [pattern.realm] if pattern.realm is not None else _leading(db, "realm", "", [])
    if pattern.realm is not None or pattern.client != ANYBODY:
        yield _in("realm", realms)
    if pattern.client != ANYBODY:
        yield _in("client", _clients(db, realms, pattern.client))
    if pattern.server != ANYBODY:
        yield _in("server", _servers(db, realms, pattern.server))
    if pattern.either is not None:
        clients, servers = (
            _in("client", _clients(db, realms, pattern.either)),
            _in("server", _servers(db, realms, pattern.either)),
        )
        yield f"({clients[0]} OR {servers[0]})", [*clients[1], *servers[1]]
    for column, wanted in (
        ("protocol", pattern.protocol),
        ("transport", pattern.transport),
        ("access", pattern.access),
    ):
        if wanted is not None:
            yield f"{column} = ?", [wanted]
    if pattern.function is not None:
        yield f"({' OR '.join(['function GLOB ?'] * len(pattern.function))})", [*pattern.function]
    for column, numbers in (("port", pattern.ports), ("link_source", pattern.masters)):
        if numbers is not None:
            yield f"{column} BETWEEN ? AND ?", [*numbers]
    if pattern.units is not None:
        yield "(unit BETWEEN ? AND ? OR link_destination BETWEEN ? AND ?)", [*pattern.units, *pattern.units]
    if pattern.target is not None:
        low, high = pattern.target
        yield "target_start BETWEEN 0 AND ? AND max(target_start, target_end) >= ?", [high, low]
    if pattern.space is not None:
        yield "target_space GLOB ?", [pattern.space]
    if pattern.name is not None:
        yield "typeof(target_name) = 'text' AND target_name GLOB ?", [pattern.name]


def _in(column: str, values: list[str]) -> tuple[str, list[Any]]:
    return f"{column} IN (SELECT value FROM json_each(?))", [orjson.dumps(values).decode()]


def _clients(db: sqlite3.Connection, realms: list[str], hosts: Hosts) -> list[str]:
    """Clients there are that are meant."""
    found = {client for realm in realms for client in _leading(db, "client", "realm = ? AND", [realm])}
    return sorted(filter(hosts.has, found))


def _servers(db: sqlite3.Connection, realms: list[str], hosts: Hosts) -> list[str]:
    """Servers there are that are meant."""
    found: set[str] = set()
    for realm in realms:
        for client in _leading(db, "client", "realm = ? AND", [realm]):
            found.update(_leading(db, "server", "realm = ? AND client = ? AND", [realm, client]))
    return sorted(filter(hosts.has, found))


def _leading(db: sqlite3.Connection, column: str, before: str, values: list[str]) -> list[str]:
    """Values of a leading column of the key, each found by one step into it."""
    out = []
    step = f"SELECT min({column}) FROM operation_rows WHERE {before} {column} > ?"
    (value,) = db.execute(step.replace("> ?", ">= ?"), (*values, "")).fetchone()
    while value is not None:
        out.append(value)
        (value,) = db.execute(step, (*values, value)).fetchone()
    return out
