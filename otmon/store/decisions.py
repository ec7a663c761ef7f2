"""Decisions about alerts in a site database: a file of them once, and as a whole."""

import sqlite3
from typing import Any, Final

from otmon.alerts.decisions import STATES, Decision, DecisionError, Signed
from otmon.text import safe_text

_INSERT: Final = (
    "INSERT INTO decisions (file, alert, decision, person, ts_ns, taken_ns, until_ns, note, ticket)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_IN_FORCE: Final = (
    "SELECT alert, decision, person, ts_ns, until_ns, note, ticket FROM decisions"
    " WHERE until_ns IS NULL OR until_ns > ? ORDER BY ts_ns, n"
)
FORGET: Final = "DELETE FROM decisions WHERE alert NOT IN (SELECT id FROM alerts)"
"""A file comes once as long as one of its alerts is known; after that it is refused for naming unknown ones."""


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
    return db.execute("SELECT 1 FROM decisions WHERE file = ?", (digest,)).fetchone() is not None


def take(db: sqlite3.Connection, site: str, signed: Signed, now_ns: int) -> None:
    """Keep all of a file, in the transaction that is open. Raises DecisionError, and nothing was kept."""
    look(db, site, signed)
    rows = (
        (signed.digest, d.alert, d.decision, d.by, d.ts, now_ns, d.until, d.note, d.ticket) for d in signed.decisions
    )
    db.executemany(_INSERT, rows)


def audit_record(decision: Decision, now_ns: int) -> dict[str, Any]:
    """docs/records/audit.schema.json."""
    state = STATES[decision.decision]
    detail = {"alert": decision.alert, "by": decision.by, "note": decision.note, "ticket": decision.ticket}
    return {
        "action": f"alert_{state}",
        "detail": {name: value for name, value in detail.items() if value},
        "message": f"{decision.by} {state} alert {decision.alert}.",
        "ts_ns": now_ns,
    }


def in_force(db: sqlite3.Connection, now_ns: int) -> dict[str, dict[str, Any]]:
    """Alert -> the latest decision about it that holds now."""
    return {
        alert: {
            "by": person,
            "decision": decision,
            "note": note,
            "state": STATES[decision],
            "ticket": ticket,
            "ts_ns": ts_ns,
            "until_ns": until_ns,
        }
        for alert, decision, person, ts_ns, until_ns, note, ticket in db.execute(_IN_FORCE, (now_ns,))
    }
