"""The audit log: what otmon and people did that changes what is judged, seen or decided. Entries are only added.

Each has the SHA-256 (FIPS 180-4) of the hash before it, in 64 hexadecimal digits, followed by the entry itself as JSON
with sorted keys and without spaces. Whoever kept one hash elsewhere can prove that nothing up to it was changed; see
docs/policy.md for what that does not prove.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import orjson

from otmon.limits import MAX_AUDIT_ENTRIES
from otmon.store import spool
from otmon.store.errors import StoreError
from otmon.store.rows import text_of
from otmon.text import safe_text

BEGIN: Final = "0" * 64
"""What stands for the hash before the first entry."""


class Entry(NamedTuple):
    """One entry, as it lies there."""

    number: int
    """From 1."""
    before: str
    hash: str
    text: bytes

    def record(self) -> dict[str, Any]:
        """docs/records/audit.schema.json, with its place in the log."""
        try:
            found = orjson.loads(self.text)
            said = {"action": str(found["action"]), "ts_ns": int(found["ts_ns"]), "message": str(found["message"])}
            said["detail"] = {str(name): str(value) for name, value in found["detail"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):  # somebody wrote it by hand
            said = {"action": "unreadable", "ts_ns": 0, "message": safe_text(str(self.text), 400), "detail": {}}
        return {"number": self.number, "before": self.before, "hash": self.hash, **said}


class Looked(NamedTuple):
    """What a look at the whole log found."""

    entries: int
    head: str
    """Hash of the last entry."""
    wrong: str | None
    """What is wrong with the first entry that is wrong; None: nothing is."""


class AuditFull(StoreError):
    """The log takes no more."""


def chained(before: str, text: bytes) -> str:
    """The hash of an entry."""
    return hashlib.sha256(before.encode() + text).hexdigest()


def head(db: sqlite3.Connection) -> tuple[int, str]:
    """(number, hash) of the last entry; (0, BEGIN) if there is none."""
    found = db.execute("SELECT n, hash FROM audit ORDER BY n DESC LIMIT 1").fetchone() or (0, BEGIN)
    return int(found[0]), str(found[1])


def _highest(db: sqlite3.Connection) -> int:
    """The highest number that was ever given, as SQLite keeps it beside the table."""
    (highest,) = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'audit'").fetchone() or (0,)
    return int(highest)


def append(db: sqlite3.Connection, site: str, records: Iterable[Mapping[str, Any]], *, spooled: bool) -> None:
    """Add entries (docs/records/audit.schema.json) in the transaction that is open.

    Where somebody takes them they are spooled too, each with its number and hash: what is kept there proves what
    stands here. Raises AuditFull.
    """
    number, before = head(db)
    # Where an end was cut off, what follows does not take its numbers: the gap stays, and `verify` finds it.
    number = max(number, _highest(db))
    for record in records:
        number += 1
        if number > MAX_AUDIT_ENTRIES:
            raise AuditFull(
                f"the audit log holds {MAX_AUDIT_ENTRIES:,} entries, which is all it takes: export it, and go on in a "
                "new data folder"
            )
        text = text_of(dict(record))
        before = chained(before, text.encode())
        db.execute("INSERT INTO audit (n, hash, entry) VALUES (?, ?, ?)", (number, before, text))
        if spooled:
            place = {"log_entry": str(number), "log_hash": before}
            spool.append_audit(db, site, {**record, "detail": {**record["detail"], **place}})


def entries(db: sqlite3.Connection) -> Iterator[Entry]:
    """In their order; `before` is what the entry before says of itself."""
    before = BEGIN
    # As bytes: nothing that somebody wrote there by hand can fail to be read.
    for number, own, text in db.execute("SELECT n, CAST(hash AS BLOB), CAST(entry AS BLOB) FROM audit ORDER BY n"):
        said = own.decode("ascii", "backslashreplace")
        yield Entry(number, before, said, text)
        before = said


def verify(db: sqlite3.Connection, kept: str | None = None) -> Looked:
    """Look at every entry, up to the first that is wrong. `kept`: a hash that was the head once."""
    last, count, seen = BEGIN, 0, kept in (None, BEGIN)
    try:
        for entry in entries(db):
            wrong = _wrong(entry, count + 1)
            if wrong is not None:
                return Looked(count, last, wrong)
            count, last = entry.number, entry.hash
            seen = seen or last == kept
    except sqlite3.DatabaseError as error:
        return Looked(count, last, f"entry {count + 1} cannot be read: the database is damaged ({error})")
    highest = _highest(db)
    if highest > count:
        gone = f"entry {highest} is" if highest == count + 1 else f"entries {count + 1} to {highest} are"
        return Looked(count, last, f"{gone} gone: the end of the log was cut off")
    if not seen:
        return Looked(count, last, f"no entry has the hash {kept}: entries were cut off, or this is another log")
    return Looked(count, last, None)


def _wrong(entry: Entry, expected: int) -> str | None:
    if entry.number != expected:
        return f"entry {expected} is missing: {entry.number} comes in its place"
    if chained(entry.before, entry.text) != entry.hash:
        return f"entry {expected} was changed, or what stands before it: its hash is not that of its content"
    return None
