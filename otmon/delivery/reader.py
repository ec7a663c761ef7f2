"""Reads the spool while the sensor writes it: one short read at a time, nothing held open in between."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import orjson

from otmon.limits import MAX_BATCH_BYTES
from otmon.outputs.sink import Outgoing
from otmon.store import relief, spool
from otmon.store.errors import StoreError
from otmon.store.uri import read_only
from otmon.text import safe_text

_BUSY_S: Final = 5.0
_SHOWN_CHARS: Final = 2_000
SPOILT: Final = "it was spoilt on the disk, in the spool"
"""Why such a record is a dead letter."""


class Damaged(dict[str, Any]):
    """What is left of a record that the disk has spoilt: nobody can be sent that."""


class SpoolReader:
    """The spool of a site database. For one thread. Raises StoreError if it cannot be read (now)."""

    def __init__(self, path: Path, sensor: str = "") -> None:
        """`sensor`: who delivers an analysis; what a sensor saw is its own, whoever delivers it."""
        self.path = path
        db = None
        try:
            db = sqlite3.connect(read_only(path), uri=True, isolation_level=None, timeout=_BUSY_S)
            db.text_factory = _text
            self.site = str(db.execute("SELECT value FROM meta WHERE key = 'site'").fetchone()[0])
            self.name = spool.name(db)
            self.sensor = spool.sensor(db) or sensor
            self._db = db
        except (sqlite3.Error, TypeError) as error:
            if db is not None:
                db.close()
            raise StoreError(f"{path}: its spool cannot be read ({error})") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._db
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: its spool cannot be read ({error})") from None

    def read(self, stream: str, after: int, limit: int) -> list[Outgoing]:
        """Up to `limit` records of a stream (MAX_BATCH_BYTES of them) after a sequence number, in order."""
        query = (
            "SELECT sequence, id, ts_ns, record, length(record) FROM spool WHERE stream = ? AND sequence > ?"
            " ORDER BY sequence LIMIT ?"
        )
        with self._reading() as db:
            rows = db.execute(query, (stream, after, limit)).fetchall()
        return list(self._within(stream, rows))

    def _within(self, stream: str, rows: list[Any]) -> Iterator[Outgoing]:
        room = MAX_BATCH_BYTES
        for number, (sequence, name, ts_ns, record, size) in enumerate(rows):
            room -= size
            if number and room < 0:
                return
            yield Outgoing(stream, sequence, _id(name), ts_ns, self.site, self.sensor, _record(record))

    def waiting(self) -> dict[str, spool.Waiting]:
        """What each stream holds."""
        with self._reading() as db:
            return spool.waiting(db)

    def passed_over(self) -> int:
        """Revisions of alerts that wait no more since a later one does."""
        with self._reading() as db:
            return relief.passed_over(db)


def _text(raw: bytes) -> str:
    """A byte that is no text spoils no other row."""
    return raw.decode(errors="surrogateescape")


def _id(name: object) -> str:
    return name if isinstance(name, str) and name.isascii() else safe_text(str(name), 512)


def _record(text: Any) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except (ValueError, TypeError):
        found = None
    return found if isinstance(found, dict) else Damaged(damaged=safe_text(str(text), _SHOWN_CHARS))
