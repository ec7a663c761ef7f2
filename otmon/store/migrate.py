"""An older site database becomes one of today's, in one transaction."""

import sqlite3

from otmon import __version__
from otmon.store.schema import MIGRATIONS, SCHEMA


def schema_of(db: sqlite3.Connection) -> int:
    """The schema a file says it has; 0: none. Raises sqlite3.Error if there is no table `meta`."""
    (value,) = db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone() or ("0",)
    return int(value) if value.isdecimal() else 0


def migrate(db: sqlite3.Connection) -> None:
    """Bring `db` from a schema in MIGRATIONS to today's; on an error it stays as it was."""
    steps = "".join(MIGRATIONS[schema] for schema in range(schema_of(db), SCHEMA))
    written_by = f"INSERT OR REPLACE INTO meta VALUES ('otmon', '{__version__}');"
    try:
        db.executescript(f"BEGIN IMMEDIATE;{steps}{written_by}COMMIT;")
    except sqlite3.Error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
