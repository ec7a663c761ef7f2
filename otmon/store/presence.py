"""Whom a question is about, and who was never seen: that they did nothing is not proved by seeing nothing of them."""

import heapq
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import Final, NamedTuple

from otmon.policy.addresses import IPV6_BASE, hosts_text, point
from otmon.policy.intervals import Intervals, merge
from otmon.policy.pattern import ANYBODY, Hosts, Pattern
from otmon.policy.wording import ranges_text
from otmon.store.hunt import conditions

NEAR: Final = 3
"""Addresses that are named instead of one that was not seen."""
_LOOKED_AT: Final = 1000
"""Of them, the nearest as numbers; among these those that are written most alike."""


_Has = Callable[[str], bool]


class Unknown(NamedTuple):
    """Somebody or something asked about of which nothing was seen within the time."""

    what: str
    """realm, client, server, host, unit, master or port."""
    asked: str
    first_ts_ns: int | None
    """When it was seen in all that is remembered; None: never."""
    last_ts_ns: int | None
    near: tuple[str, ...]
    """What was seen instead: addresses written alike, or the other numbers there."""


def unknown(db: sqlite3.Connection, pattern: Pattern, start_ns: int, end_ns: int) -> list[Unknown]:
    """All of that from `start_ns` until before `end_ns`. Of several hosts under one name one is enough to be seen."""
    return list(_unknown(db, pattern, start_ns, end_ns))


def _unknown(db: sqlite3.Connection, pattern: Pattern, start_ns: int, end_ns: int) -> Iterator[Unknown]:
    where = Pattern(realm=pattern.realm)
    time = (start_ns, end_ns)
    if pattern.realm is not None:
        found = _seen(db, where, *time)
        if not found.within(*time):
            realms = tuple(realm for (realm,) in db.execute("SELECT DISTINCT realm FROM hosts ORDER BY realm"))
            yield Unknown("realm", pattern.realm, *found, realms[:NEAR])
            return
    absent = set()
    for what, hosts in (("client", pattern.client), ("server", pattern.server), ("host", pattern.either)):
        if hosts is not None and not hosts.anybody:
            found = _seen(db, where._replace(either=hosts), *time)
            if not found.within(*time):
                absent.add(what)
                yield Unknown(what, hosts.text, *found, _near(db, where, hosts) if found == NEVER else ())
    there = where._replace(either=pattern.either, protocol=pattern.protocol)
    at_server, at_client = there._replace(server=pattern.server), there._replace(client=pattern.client)
    numbers = (
        ("unit", "server", pattern.units, at_server, at_server._replace(units=pattern.units)),
        ("master", "client", pattern.masters, at_client, at_client._replace(masters=pattern.masters)),
        ("port", "server", pattern.ports, at_server, at_server._replace(ports=pattern.ports)),
    )
    for what, side, asked, others, wanted in numbers:
        if asked is None or absent & {"host", side}:
            continue  # nothing more is to be said of one who was not there
        found = _seen(db, wanted, *time)
        if not found.within(*time):
            near = ranges_text(_others(db, others, what))
            yield Unknown(what, ranges_text((asked,)), *found, (near,) if near else ())


class _Seen(NamedTuple):
    """From when to when there was something of it; None: never."""

    first_ts_ns: int | None
    last_ts_ns: int | None

    def within(self, start_ns: int, end_ns: int) -> bool:
        """Some of that is within the time."""
        if self.first_ts_ns is None or self.last_ts_ns is None:
            return False
        return self.first_ts_ns < end_ns and self.last_ts_ns >= start_ns


NEVER: Final = _Seen(None, None)


def _seen(db: sqlite3.Connection, pattern: Pattern, start_ns: int, end_ns: int) -> _Seen:
    """From the first to the last operation that fits; where hosts alone are asked about, also what they sent.

    No further than until something within the time is found: of operations and connections there may be very many.
    """
    found, has = NEVER, (pattern.either or ANYBODY).has
    alone = pattern == Pattern(realm=pattern.realm, either=pattern.either)
    for look in (_sent, _done, _connected) if alone else (_done,):
        found = _joined([found, *look(db, pattern, has)])
        if found.within(start_ns, end_ns):
            break
    return found


def _joined(spans: Iterable[_Seen]) -> _Seen:
    known = [(first, last) for first, last in spans if first is not None and last is not None]
    return _Seen(min(first for first, _ in known), max(last for _, last in known)) if known else NEVER


def _sent(db: sqlite3.Connection, pattern: Pattern, has: _Has) -> Iterator[_Seen]:
    return (span for address, span in _hosts(db, pattern) if has(address))


def _done(db: sqlite3.Connection, pattern: Pattern, has: _Has) -> Iterator[_Seen]:
    where, values = conditions(db, pattern)
    query = f"SELECT min(first_ts_ns), max(last_ts_ns) FROM operation_rows WHERE {where}"
    yield _Seen(*db.execute(query, values).fetchone())


def _connected(db: sqlite3.Connection, pattern: Pattern, has: _Has) -> Iterator[_Seen]:
    query = "SELECT client, server, first_ts_ns, last_ts_ns FROM connections WHERE realm = ifnull(?, realm)"
    for client, server, *span in db.execute(query, (pattern.realm,)):
        if has(client) or has(server):
            yield _Seen(*span)


def _hosts(db: sqlite3.Connection, pattern: Pattern) -> Iterator[tuple[str, _Seen]]:
    """(address, when) of whoever sent anything, in the realm asked about."""
    query = "SELECT address, first_ts_ns, last_ts_ns FROM hosts WHERE realm = ifnull(?, realm)"
    return ((address, _Seen(*span)) for address, *span in db.execute(query, (pattern.realm,)))


def _near(db: sqlite3.Connection, pattern: Pattern, hosts: Hosts) -> tuple[str, ...]:
    """Addresses there are that are written like the one asked about; none in place of a network, glob or zone."""
    if hosts.ranges is None or len(hosts.ranges) != 1 or hosts.ranges[0][0] != hosts.ranges[0][1]:
        return ()
    ((at, _),) = hosts.ranges
    known = {address: point(address) for address, _ in _hosts(db, pattern)}
    alike = [address for address, other in known.items() if other >= 0 and (other < IPV6_BASE) == (at < IPV6_BASE)]
    alike = heapq.nsmallest(_LOOKED_AT, alike, lambda address: (abs(known[address] - at), address))
    return tuple(get_close_matches(hosts_text(hosts.ranges)[0], alike, NEAR))


def _others(db: sqlite3.Connection, pattern: Pattern, what: str) -> Intervals:
    """The units, masters or ports that were seen there."""
    where, values = conditions(db, pattern)
    column = {"unit": "max(unit, link_destination)", "master": "link_source", "port": "port"}[what]
    found = db.execute(f"SELECT DISTINCT {column} FROM operation_rows WHERE {where}", values)
    return merge((number, number) for (number,) in found if number >= 0)
