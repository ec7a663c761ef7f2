"""Permits in a site database: entries of the audit log that open and close them, and what was done under each."""

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

from otmon.alerts.decisions import DecisionError
from otmon.alerts.permits import PermitOrder
from otmon.limits import MAX_OPEN_PERMITS, MAX_PERMITS
from otmon.model import OperationRecord, PermitWrite
from otmon.policy.permits import WorkPermit, ticket_of
from otmon.site.records import key_record, operation_record
from otmon.store import audit
from otmon.store.decisions import moment, moment_ns, taken
from otmon.store.rows import text_of
from otmon.text import safe_text

_ENTRIES: Final = (
    "SELECT n, json_extract(entry, '$.action'), CAST(entry AS BLOB) FROM audit"
    " WHERE json_extract(entry, '$.action') IN ('permit_opened', 'permit_closed') ORDER BY n"
)
_DAMAGED: Final = (
    "SELECT n, CASE WHEN json_valid(entry) THEN json_extract(entry, '$.action') ELSE 'permit_closed' END AS action,"
    " CAST(entry AS BLOB) FROM audit WHERE action IN ('permit_opened', 'permit_closed') ORDER BY n"
)
"""The same where some entries are not even JSON: each of them may have closed a permit."""
_COUNTS: Final = ("attempted", "accepted", "rejected", "partial", "unanswered", "unseen", "pending", "bytes")
_ADD: Final = (
    "INSERT INTO permitted VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (ticket, row, operation) DO UPDATE SET "
    + ", ".join(f"{name} = {name} + excluded.{name}" for name in _COUNTS)
    + ", first_ts_ns = min(first_ts_ns, excluded.first_ts_ns), last_ts_ns = max(last_ts_ns, excluded.last_ts_ns)"
)


_ADD_WRITE: Final = (
    "INSERT INTO permit_writes VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (ticket, row, operation) DO UPDATE SET"
    " last_value = excluded.last_value, times = times + excluded.times, last_ts_ns = excluded.last_ts_ns"
)
_BEFORE: Final = (
    "SELECT last_value FROM permit_writes WHERE operation = ? AND last_ts_ns < ? ORDER BY last_ts_ns DESC LIMIT 1"
)


def every(db: sqlite3.Connection) -> list[WorkPermit]:
    """All that were ever opened, the oldest first.

    An entry that somebody wrote by hand and cannot be read opens nothing; if it closes, nobody knows what: everything.
    """
    found: list[WorkPermit] = []
    for number, action, entry in _entries(db):
        try:
            found = _followed(found, orjson.loads(entry))
        except (KeyError, ValueError, TypeError, AttributeError):  # `otmon audit verify` says which it is
            if action == "permit_closed":
                found = [_shut(permit, number, entry) for permit in found]
    return found


def _entries(db: sqlite3.Connection) -> list[tuple[int, str, bytes]]:
    """(number, action, entry) of those about permits."""
    try:
        return db.execute(_ENTRIES).fetchall()
    except sqlite3.OperationalError:
        return db.execute(_DAMAGED).fetchall()


def _shut(permit: WorkPermit, number: int, entry: bytes) -> WorkPermit:
    """Closed when the entry was written; if that cannot be read, it was never open."""
    try:
        at_ns = _written_ns(orjson.loads(entry))
    except (KeyError, ValueError, TypeError, AttributeError):
        at_ns = permit.since_ns
    if at_ns >= permit.until_ns:
        return permit
    by = f"entry {number} of the audit log, which cannot be read"
    return permit._replace(until_ns=max(at_ns, permit.since_ns), closed_by=by)


def _written_ns(record: dict[str, Any]) -> int:
    """When the entry was written. Raises ValueError for what is no moment."""
    at_ns = record["ts_ns"]
    if not isinstance(at_ns, int) or abs(at_ns) >= 1 << 63:
        raise ValueError(at_ns)
    return at_ns


def _followed(found: list[WorkPermit], record: dict[str, Any]) -> list[WorkPermit]:
    """The permits after one more entry."""
    detail = record["detail"]
    if not all(isinstance(text, str) for text in detail.values()):
        raise TypeError(detail)
    if record["action"] == "permit_opened":
        # What was judged before stays as it was judged, whatever was asked for.
        since_ns, until_ns = max(moment_ns(detail["from"]), _written_ns(record)), moment_ns(detail["until"])
        who = detail["ticket"], detail["conduit"], detail["by"]
        return [*found, WorkPermit(*who, since_ns, max(since_ns, until_ns), None, detail.get("note", ""))]
    now_ns = moment_ns(detail["closed"])
    return [
        permit._replace(
            until_ns=max(now_ns, permit.since_ns), closed_by=detail["by"], closed_note=detail.get("note", "")
        )
        if permit.ticket == detail["ticket"] and now_ns < permit.until_ns
        else permit
        for permit in found
    ]


def current(db: sqlite3.Connection) -> tuple[WorkPermit, ...]:
    """Those that a policy must know, by their ends: of those that ended the latest too, so that alerts name them."""
    return tuple(sorted(every(db), key=lambda permit: permit.until_ns)[-MAX_PERMITS:])


def look(db: sqlite3.Connection, site: str, order: PermitOrder, now_ns: int) -> list[WorkPermit]:
    """The permits that it closes. Raises DecisionError if it cannot be followed."""
    if order.site != site:
        raise DecisionError(f"of site {safe_text(order.site, 60)}, this is site {site}")
    if taken(db, order.digest):
        raise DecisionError("it was taken already: an order counts once")
    alive = [permit for permit in every(db) if permit.until_ns > now_ns]
    mine = [permit for permit in alive if permit.ticket == order.ticket]
    if order.order == "close":
        if not mine:
            raise DecisionError(f"no permit is open under ticket {order.ticket}")
        return mine
    if order.until_ns <= max(order.since_ns, now_ns):
        raise DecisionError("it would end before it begins, or before now")
    if any(permit.conduit == order.conduit for permit in mine):
        raise DecisionError(f"conduit {order.conduit} is open under ticket {order.ticket} already: close it first")
    if len(alive) >= MAX_OPEN_PERMITS:
        raise DecisionError(f"{MAX_OPEN_PERMITS} permits are open, which is all there can be: close one")
    return []


def take(db: sqlite3.Connection, site: str, order: PermitOrder, now_ns: int, *, spooled: bool) -> None:
    """Follow it, in the transaction that is open. Raises DecisionError, and nothing was changed."""
    closes = look(db, site, order, now_ns)
    detail = {"by": order.by, "file": order.digest, "note": order.note, "ticket": order.ticket}
    if order.order == "open":
        since = moment(max(order.since_ns, now_ns))
        detail |= {"conduit": order.conduit, "from": since, "until": moment(order.until_ns)}
        message = f"{order.by} opened conduit {order.conduit} under ticket {order.ticket}."
    else:
        detail |= {"conduit": ", ".join(permit.conduit for permit in closes), "closed": moment(now_ns)}
        message = f"{order.by} closed the permits of ticket {order.ticket}."
    action = {"open": "permit_opened", "close": "permit_closed"}[order.order]
    said = {name: text for name, text in detail.items() if text}
    entry = {"action": action, "detail": said, "message": message, "ts_ns": now_ns}
    audit.append(db, site, [entry], spooled=spooled)


# --- what was done under them ----------------------------------------------------------------------------------------


def add(db: sqlite3.Connection, operations: Iterable[OperationRecord], written: Iterable[PermitWrite]) -> None:
    """Of what was seen, keep beside what a ticket permitted, and the values that were written."""
    db.executemany(_ADD, _rows(operations))
    rows = (
        (ticket_of(w.row), w.row, text_of(key_record(w.key)), w.first_value, w.last_value, w.times, *w[5:])
        for w in written
    )
    db.executemany(_ADD_WRITE, rows)


def written(db: sqlite3.Connection, ticket: str) -> Iterator[dict[str, Any]]:
    """Points that were set under a ticket: `operation` as in operations.jsonl, first and last value, `times`, and when.

    `before`: what was set there last under any ticket, if that was seen; by first time.
    """
    names = ("row", "operation", "first_value", "last_value", "times", "first_ts_ns", "last_ts_ns")
    query = f"SELECT {', '.join(names)} FROM permit_writes WHERE ticket = ? ORDER BY first_ts_ns, row, operation"
    for row in db.execute(query, (ticket,)).fetchall():
        found = dict(zip(names, row, strict=True))
        (before,) = db.execute(_BEFORE, (found["operation"], found["first_ts_ns"])).fetchone() or (None,)
        yield found | {"operation": orjson.loads(found["operation"]), "before": before}


def _rows(operations: Iterable[OperationRecord]) -> Iterator[tuple[Any, ...]]:
    for record in operations:
        ticket = ticket_of(record.row)
        if ticket is not None and record.verdict == "permit":
            said = operation_record(record)
            yield (
                *(ticket, record.row, text_of(said["operation"]), *(said[name] for name in _COUNTS)),
                *(record.first_ts_ns, record.last_ts_ns),
            )


def done(db: sqlite3.Connection, ticket: str) -> Iterator[dict[str, Any]]:
    """Operations under a ticket: `row`, `operation` as in operations.jsonl, counts and times; by row and first time."""
    names = ("row", "operation", *_COUNTS, "first_ts_ns", "last_ts_ns")
    query = f"SELECT {', '.join(names)} FROM permitted WHERE ticket = ? ORDER BY row, first_ts_ns, operation"
    for row in db.execute(query, (ticket,)):
        found = dict(zip(names, row, strict=True))
        if found["attempted"] > 0:  # a connection that turned out to be of a control protocol was taken back
            yield found | {"operation": orjson.loads(found["operation"])}
