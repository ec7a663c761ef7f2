"""An older site database becomes one of today's, in one transaction."""

import sqlite3
from typing import Any

from otmon import __version__
from otmon.alerts.decisions import Decision
from otmon.store import audit
from otmon.store.decisions import audit_record
from otmon.store.rows import text_of
from otmon.store.schema import MIGRATIONS, SCHEMA


def schema_of(db: sqlite3.Connection) -> int:
    """The schema a file says it has; 0: none. Raises sqlite3.Error if there is no table `meta`."""
    (value,) = db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone() or ("0",)
    return int(value) if value.isdecimal() else 0


class _Log:
    """The hashes of a log that is written from its beginning."""

    def __init__(self) -> None:
        self._last = audit.BEGIN

    def __call__(self, text: str) -> str:
        self._last = audit.chained(self._last, text.encode())
        return self._last


def _decision_entry(*row: Any) -> str:
    """The entry of a row of what the table `decisions` was."""
    alert, decision, person, ts_ns, until_ns, note, ticket, file, taken_ns = row
    found = Decision(alert, person, decision, "", ts_ns, note, ticket, until_ns)
    return text_of(audit_record(found, taken_ns, file))


def migrate(db: sqlite3.Connection) -> None:
    """Bring `db` from a schema in MIGRATIONS to today's; on an error it stays as it was."""
    steps = "".join(MIGRATIONS[schema] for schema in range(schema_of(db), SCHEMA))
    written_by = f"INSERT OR REPLACE INTO meta VALUES ('otmon', '{__version__}');"
    db.create_function("decision_entry", 9, _decision_entry)
    db.create_function("next_hash", 1, _Log())
    try:
        db.executescript(f"BEGIN IMMEDIATE;{steps}{written_by}COMMIT;")
    except sqlite3.Error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
