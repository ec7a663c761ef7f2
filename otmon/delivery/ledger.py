"""`delivery.db`: how far each sink has come, and what it will never take.

Beside the site database and written by whoever delivers alone, so that neither the sensor nor the delivery ever waits
for the other's lock.
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from otmon.delivery import witness
from otmon.limits import MAX_DEAD
from otmon.outputs.sink import Outgoing, Placed, Sink
from otmon.store.rows import text_of
from otmon.store.uri import read_only

NAME: Final = "delivery.db"
_BUSY_S: Final = 5.0
_LOST: Final = (
    "removed, or replaced by an older copy: what waits is sent again where it has not arrived; what was refused "
    "before may be missing"
)
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_TABLES: Final = (
    """
CREATE TABLE IF NOT EXISTS cursors (
    sink TEXT NOT NULL, stream TEXT NOT NULL, spool TEXT NOT NULL, done INTEGER NOT NULL, sent INTEGER NOT NULL,
    PRIMARY KEY (sink, stream)
) WITHOUT ROWID
""",
    """
CREATE TABLE IF NOT EXISTS dead (
    n INTEGER PRIMARY KEY, sink TEXT NOT NULL, stream TEXT NOT NULL, sequence INTEGER NOT NULL, id TEXT NOT NULL,
    ts_ns INTEGER NOT NULL, at_ns INTEGER NOT NULL, reason TEXT NOT NULL, record TEXT NOT NULL
)
""",
    """
CREATE TABLE IF NOT EXISTS sinks (
    sink TEXT PRIMARY KEY, state TEXT NOT NULL, reason TEXT NOT NULL, since_ns INTEGER NOT NULL,
    looked_ns INTEGER NOT NULL, delivered INTEGER NOT NULL, dead INTEGER NOT NULL, dropped INTEGER NOT NULL
) WITHOUT ROWID
""",
    "CREATE TABLE IF NOT EXISTS places (sink TEXT PRIMARY KEY, place TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS writes (number INTEGER NOT NULL)",
)
UNKNOWN: Final = -1
_OPENING: Final = threading.Lock()
"""Each sink has a thread with a ledger of its own: one begins a new file, the others find it begun."""


class LedgerError(Exception):
    """The ledger cannot be used; str() is one line for people."""


class LedgerGone(LedgerError):
    """It is not the one that was opened: whoever opens it again says so."""


class Cursor(NamedTuple):
    """How far a sink has come in a stream."""

    done: int = 0
    """Everything up to this sequence number was answered."""
    sent: int = 0
    """Everything up to this one may have been sent; UNKNOWN: nobody knows."""


class State(NamedTuple):
    """How a sink is."""

    state: str
    """well, away (it is tried again), stopped (somebody must mend something)."""
    reason: str
    since_ns: int
    looked_ns: int
    """When it was last heard of: whoever delivers writes this every few seconds."""
    delivered: int
    dead: int
    """Records it will never take, ever."""
    dropped: int
    """Of these, those not kept any more."""


class Dead(NamedTuple):
    """A record that a sink will never take."""

    n: int
    sink: str
    stream: str
    sequence: int
    id: str
    ts_ns: int
    at_ns: int
    reason: str
    record: str


class Ledger:
    """For one thread. Raises LedgerError."""

    def __init__(self, path: Path, spool: str = "", *, readonly: bool = False) -> None:
        """`spool`: the name of the spool that sequence numbers count; another one's cursors mean nothing here."""
        self.path, self._spool, self._readonly = path, spool, readonly
        self._file: tuple[int, int] | None = None
        """The file that is written; None: it is only read."""
        try:
            if readonly:
                self._db = self._open(read_only(path))
                return
            with _OPENING:
                try:
                    self._db = self._ready()
                except sqlite3.DatabaseError as error:
                    if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
                        raise
                    self._set_aside()
                    self._db = self._ready()
                self._file = _identity(path)
        except (sqlite3.Error, OSError) as error:
            raise LedgerError(f"{path}: {error}: its folder must be this user's, with room on the disk") from None

    @staticmethod
    def _open(uri: str) -> sqlite3.Connection:
        return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_BUSY_S)

    def _ready(self) -> sqlite3.Connection:
        """What the folder's ledger is, or a new one: then all that waits may have been sent, if there was one."""
        if not self.path.exists():
            self._clean()
        db = self._open(self.path.resolve().as_uri())
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("BEGIN IMMEDIATE")
            for table in _TABLES:
                db.execute(table)
            db.execute("SELECT * FROM cursors").fetchall()
            known, number = self._written(db), witness.writes(self.path.parent)
            if known < number:
                logging.getLogger("otmon").warning("%s: %s", self.path, _LOST)
                db.execute("UPDATE cursors SET sent = ?", (UNKNOWN,))
                db.execute("PRAGMA user_version = 1")
            self._count(db, max(known, number) + 1)
            db.execute("COMMIT")
            witness.note(self.path.parent, max(known, number) + 1)
        except BaseException:
            db.close()
            raise
        return db

    @staticmethod
    def _written(db: sqlite3.Connection) -> int:
        """How often this ledger was written; in a transaction that is open."""
        (number,) = db.execute("SELECT number FROM writes").fetchone() or (0,)
        return number if isinstance(number, int) else 0

    @staticmethod
    def _count(db: sqlite3.Connection, number: int) -> None:
        db.execute("INSERT OR REPLACE INTO writes (rowid, number) VALUES (1, ?)", (number,))

    def _set_aside(self) -> None:
        """The file is damaged. What it said was delivered may come again, and is looked up first."""
        aside = self.path.with_name(f"{self.path.name}.damaged-{time.time_ns()}")
        self.path.rename(aside)
        self._clean()
        logging.getLogger("otmon").warning("%s: damaged: set aside as %s, a new one is begun", self.path, aside.name)

    def _clean(self) -> None:
        """A log without its ledger is of one that is gone."""
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def _look(self) -> None:
        """Raises LedgerGone if the file is not the one that is open."""
        if self._file is not None and _identity(self.path) != self._file:
            # With the log of the one that was open a copy would look like it.
            witness.note(self.path.parent, witness.writes(self.path.parent) + 1)
            raise LedgerGone(f"{self.path}: {_LOST}")

    def unsure(self, sink: Sink) -> bool:
        """Whether all that waits may have been sent: a ledger was lost, or the one there is counted another spool."""
        rows = self._rows("SELECT stream, spool, sent FROM cursors WHERE sink = ?", sink.name)
        found = [(spool, sent) for stream, spool, sent in rows if stream in sink.streams]
        if not found:
            return self._rows("PRAGMA user_version") == [(1,)]
        return any(spool != self._spool or sent == UNKNOWN for spool, sent in found)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None and _identity(self.path) == self._file:
            with suppress(sqlite3.Error):  # one plain file is left, unless somebody reads it
                self._db.execute("PRAGMA journal_mode = DELETE")
        self._db.close()

    def _rows(self, query: str, *values: object) -> list[Any]:
        self._look()
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            if self._readonly and "no such table" in str(error):
                return []  # its writer is about to make them
            raise LedgerError(f"{self.path}: cannot be read ({error})") from None

    def cursor(self, sink: str, stream: str) -> Cursor:
        """Of this spool; the beginning if nothing of it was sent. Raises LedgerGone where nobody knows."""
        query = "SELECT done, sent FROM cursors WHERE sink = ? AND stream = ? AND spool = ?"
        found = Cursor(*next(iter(self._rows(query, sink, stream, self._spool)), Cursor()))
        if found.sent == UNKNOWN:
            raise LedgerGone(f"{self.path}: {_LOST}")
        return found

    def cursors(self) -> dict[tuple[str, str], Cursor]:
        """(sink, stream) -> cursor."""
        query = "SELECT sink, stream, done, sent FROM cursors WHERE spool = ? ORDER BY sink, stream"
        return {(sink, stream): Cursor(*both) for sink, stream, *both in self._rows(query, self._spool)}

    def _write(self, *steps: tuple[str, Iterable[Sequence[object]]]) -> None:
        self._look()
        try:
            self._db.execute("BEGIN IMMEDIATE")
            number = self._written(self._db) + 1
            if number <= witness.writes(self.path.parent):
                self._db.execute("ROLLBACK")
                raise LedgerGone(f"{self.path}: {_LOST}")
            for statement, rows in steps:
                self._db.executemany(statement, rows)
            self._count(self._db, number)
            self._db.execute("COMMIT")
            witness.note(self.path.parent, number)
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise LedgerError(f"{self.path}: not written ({error}): free space on its disk") from None

    def begin(self, sink: str, sent: Mapping[str, int]) -> None:
        """These streams are delivered to the sink: what waits for it can be told. `sent`: so far perhaps already."""
        self._write((_SENT, [(sink, stream, self._spool, until) for stream, until in sent.items()]))

    def sending(self, sink: str, stream: str, until: int) -> None:
        """Before a batch goes out: what ends here may have arrived from now on."""
        self._write((_SENT, [(sink, stream, self._spool, until)]))

    def answered(
        self, sink: str, stream: str, until: int, delivered: int, dead: Sequence[tuple[Outgoing, str]] = ()
    ) -> None:
        """Everything up to `until` was answered: `delivered` of it taken, `dead` (record, reason) never will be."""
        now_ns = time.time_ns()
        graves = [
            (sink, one.stream, one.sequence, one.id, one.ts_ns, now_ns, reason, text_of(one.record))
            for one, reason in dead
        ]
        self._write(
            ("UPDATE cursors SET done = max(done, ?) WHERE sink = ? AND stream = ?", [(until, sink, stream)]),
            ("INSERT INTO dead VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", graves),
            (_COUNT, [(sink, "well", "", now_ns, now_ns, delivered, len(graves), 0)]),
            *self._bury(sink if graves else None),
        )

    def _bury(self, sink: str | None) -> list[tuple[str, list[tuple[object, ...]]]]:
        """Dead letters over the cap go, the oldest first, counted."""
        if sink is None:
            return []
        over = "SELECT n FROM dead WHERE sink = ? ORDER BY n DESC LIMIT -1 OFFSET ?"
        count = f"UPDATE sinks SET dropped = dropped + (SELECT count(*) FROM ({over})) WHERE sink = ?"
        return [
            (count, [(sink, MAX_DEAD, sink)]),
            (f"DELETE FROM dead WHERE n IN ({over})", [(sink, MAX_DEAD)]),
        ]

    def say(self, sink: str, state: str, reason: str = "") -> None:
        """How the sink is now."""
        now_ns = time.time_ns()
        self._write((_COUNT, [(sink, state, reason, now_ns, now_ns, 0, 0, 0)]))

    def settle(self, sink: Sink, *, keep: bool) -> None:
        """Remember where a sink's records go. `keep`: there where they went before, unless another place was said."""
        if not isinstance(sink, Placed):
            return
        before = self.place(sink.name)
        if keep and before is not None:
            sink.settle(before)
        if before != sink.place:
            self._write(("INSERT OR REPLACE INTO places VALUES (?, ?)", [(sink.name, sink.place)]))

    def place(self, sink: str) -> str | None:
        """Where a sink's records went."""
        found = self._rows("SELECT place FROM places WHERE sink = ?", sink)
        return str(found[0][0]) if found else None

    def states(self) -> dict[str, State]:
        """sink -> how it is."""
        return {row[0]: State(*row[1:]) for row in self._rows("SELECT * FROM sinks ORDER BY sink")}

    def only(self, sinks: Iterable[str]) -> None:
        """Say nothing any more of sinks that are none of these, but of those whose dead letters are kept."""
        others = self.states().keys() - set(sinks)
        gone = "DELETE FROM sinks WHERE sink = ? AND sink NOT IN (SELECT sink FROM dead)"
        if others:
            self._write((gone, [(sink,) for sink in sorted(others)]))

    # --- dead letters ------------------------------------------------------------------------------------------------

    def dead(self, numbers: Sequence[int] = ()) -> list[Dead]:
        """All, or those with these numbers, the oldest first."""
        rows = map(Dead._make, self._rows("SELECT * FROM dead ORDER BY n"))
        return [row for row in rows if not numbers or row.n in numbers]

    def letters(self) -> dict[str, int]:
        """sink -> dead letters that are kept."""
        return dict(self._rows("SELECT sink, count(*) FROM dead GROUP BY sink"))

    def drop(self, letters: Iterable[Dead]) -> None:
        """Forget these."""
        self._write(("DELETE FROM dead WHERE n = ?", [(letter.n,) for letter in letters]))


_SENT: Final = (
    "INSERT INTO cursors VALUES (?, ?, ?, 0, ?) ON CONFLICT (sink, stream) DO UPDATE SET"
    " done = CASE WHEN spool = excluded.spool THEN done ELSE 0 END,"
    " sent = CASE WHEN spool = excluded.spool THEN max(sent, excluded.sent) ELSE excluded.sent END,"
    " spool = excluded.spool"
)
_COUNT: Final = (
    "INSERT INTO sinks VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sink) DO UPDATE SET"
    " since_ns = CASE WHEN state = excluded.state THEN since_ns ELSE excluded.since_ns END,"
    " state = excluded.state, reason = excluded.reason, looked_ns = excluded.looked_ns,"
    " delivered = delivered + excluded.delivered, dead = dead + excluded.dead"
)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def hold(folder: Path, wait_s: float = 0.0) -> int:
    """Descriptor that holds a folder's delivery until it is closed. Raises LedgerError if another one does."""
    held = witness.hold(folder, wait_s)
    if held is None:
        raise LedgerError(f"{folder}: another otmon delivers from there already")
    return held


def cursors(folder: Path, spool: str) -> dict[tuple[str, str], Cursor]:
    """(sink, stream) -> cursor, of a folder's ledger; none if there is none. Raises LedgerError."""
    if not (folder / NAME).exists():
        return {}
    with Ledger(folder / NAME, spool, readonly=True) as ledger:
        return ledger.cursors()


def delivered(folder: Path, spool: str, wanted: Mapping[str, frozenset[str]]) -> dict[str, int]:
    """stream -> sequence number up to which each of the sinks that want it was answered. `wanted`: sink -> streams."""
    found = cursors(folder, spool)
    streams = {stream for taken in wanted.values() for stream in taken}
    return {
        stream: min(found.get((sink, stream), Cursor()).done for sink, taken in wanted.items() if stream in taken)
        for stream in sorted(streams)
    }
