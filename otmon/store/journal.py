"""The write-ahead log: moved into the database when it is worth it, and how much was written by that."""

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final

FRAME_HEADER_BYTES: Final = 24
"""Before each page in the log (sqlite.org/walformat.html)."""


class Journal:
    """Moves the log of one connection, which must not do so itself, and counts pages.

    A page is written once to the log (counted exactly) and once to the database (counted as often as it was in the log,
    though SQLite writes a page that changed repeatedly in between only once: an upper bound).
    """

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self._log = path.with_name(path.name + "-wal")
        (self._page,) = db.execute("PRAGMA page_size").fetchone()
        self.bytes_written = 0
        """Of what was moved so far."""
        self._salt, self._logged, self._moved = self._read_salt(), 0, 0

    def _read_salt(self) -> bytes:
        """Changes each time SQLite begins the log anew."""
        with suppress(OSError), self._log.open("rb") as file:
            return file.read(24)[16:]
        return b""

    @property
    def log_bytes(self) -> int:
        """Size of the log's file."""
        with suppress(OSError):
            return self._log.stat().st_size
        return 0

    def move(self) -> None:
        """Checkpoint. Never raises: what is in the log is safe there, and the next one tries again."""
        salt = self._read_salt()
        if salt != self._salt:
            self._salt, self._logged, self._moved = salt, 0, 0
        try:
            _, logged, moved = self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error:
            return
        written = max(0, logged - self._logged) * (self._page + FRAME_HEADER_BYTES)
        self.bytes_written += written + max(0, moved - self._moved) * self._page
        self._logged, self._moved = logged, moved

    def empty(self) -> None:
        """Checkpoint and give the log's room back, unless somebody reads. Never raises."""
        self.move()
        with suppress(sqlite3.Error):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
