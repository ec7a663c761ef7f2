"""Decisions about alerts in a site database: entries of the audit log, taken a file at a time, and which hold."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from otmon.alerts.decisions import STATES, Decision, DecisionError, Signed
from otmon.alerts.sentence import plural
from otmon.store import audit
from otmon.text import safe_text

_IN_FORCE: Final = (
    "SELECT alert, decision, person, decided, until, note, ticket FROM decisions"
    " WHERE decision <> 'note' AND (until IS NULL OR until > ?) ORDER BY decided, n"
)
_OF_ALERT: Final = "SELECT entry FROM audit WHERE n IN (SELECT n FROM decisions WHERE alert = ?) ORDER BY n"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def moment(ts_ns: int) -> str:
    """ISO 8601 in UTC with microseconds: texts sort as their times do. OverflowError: its nanoseconds need 65 bits."""
    if not -(1 << 63) <= ts_ns < 1 << 63:
        raise OverflowError("a time before 1678 or after 2262")
    found = _EPOCH + timedelta(microseconds=ts_ns // 1000)
    return found.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment_ns(text: str) -> int:
    """Back to nanoseconds."""
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1) * 1000


def look(db: sqlite3.Connection, site: str, signed: Signed) -> None:
    """Raises DecisionError if a file cannot be taken."""
    if taken(db, signed.digest):
        raise DecisionError("it was taken already: a file counts once")
    known = {name for (name,) in db.execute("SELECT id FROM alerts")}
    for number, decision in enumerate(signed.decisions, 2):
        if decision.site != site:
            raise DecisionError(f"line {number}: of site {safe_text(decision.site, 60)}, this is site {site}")
        if decision.alert not in known:
            raise DecisionError(f"line {number}: no alert {decision.alert} here")


def taken(db: sqlite3.Connection, digest: str) -> bool:
    """Whether a file was taken."""
    return (
        db.execute("SELECT 1 FROM audit WHERE json_extract(entry, '$.detail.file') = ?", (digest,)).fetchone()
        is not None
    )


def take(db: sqlite3.Connection, site: str, signed: Signed, now_ns: int, *, spooled: bool) -> None:
    """Keep all of a file, in the transaction that is open. Raises DecisionError, and nothing was kept."""
    look(db, site, signed)
    audit.append(db, site, _entries(signed, now_ns), spooled=spooled)


def _entries(signed: Signed, now_ns: int) -> Iterator[dict[str, Any]]:
    if not signed.here:
        number = len(signed.decisions)
        detail = {"decisions": str(number), "file": signed.digest, "signed": moment(signed.signed)}
        message = f"{plural(number, 'signed decision')} about alerts {'was' if number == 1 else 'were'} taken over."
        yield {"action": "decisions_imported", "detail": detail, "message": message, "ts_ns": now_ns}
    for decision in signed.decisions:
        yield audit_record(decision, now_ns, signed.digest)


def audit_record(decision: Decision, now_ns: int, file: str) -> dict[str, Any]:
    """docs/records/audit.schema.json."""
    state = STATES[decision.decision]
    detail = {
        "alert": decision.alert,
        "by": decision.by,
        "decided": moment(decision.ts),
        "decision": decision.decision,
        "file": file,
        "note": decision.note,
        "ticket": decision.ticket,
        "until": None if decision.until is None else moment(decision.until),
    }
    return {
        "action": f"alert_{state}",
        "detail": {name: value for name, value in detail.items() if value},
        "message": f"{decision.by} {state} alert {decision.alert}.",
        "ts_ns": now_ns,
    }


def history(db: sqlite3.Connection, alert: str) -> list[dict[str, Any]]:
    """Every decision and note about an alert, as docs/records/audit.schema.json, the oldest first."""
    return [orjson.loads(entry) for (entry,) in db.execute(_OF_ALERT, (alert,))]


def in_force(db: sqlite3.Connection, now_ns: int) -> dict[str, dict[str, Any]]:
    """Alert -> the latest decision about it that holds now."""
    return {
        alert: {
            "by": person,
            "decision": decision,
            "note": note,
            "state": STATES[decision],
            "ticket": ticket,
            "ts_ns": moment_ns(decided),
            "until_ns": None if until is None else moment_ns(until),
        }
        for alert, decision, person, decided, until, note, ticket in db.execute(_IN_FORCE, (moment(now_ns),))
    }
