"""The result folder: written beside its place and put there in one step, so that nobody ever sees half of it."""

import ctypes
import json
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from otmon.store.uri import read_only

FILES: Final = frozenset(
    {
        *("summary.json", "run.json", "assets.jsonl", "operations.jsonl", "alerts.jsonl", "messages.jsonl"),
        *("blocks.jsonl", "graph.graphml", "site.db", "site.db-wal", "site.db-shm", "site.db-journal", "evidence"),
        *("delivery.db", "delivery.db-wal", "delivery.db-shm", ".delivery.db.lock"),
    }
)
"""What otmon writes; a folder with anything else in it is not replaced."""
_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2


class FolderError(Exception):
    """The results cannot go where they should; str() is one line for people."""


def is_result(path: Path) -> bool:
    """Whether otmon wrote this folder: both of its marks are there and name it."""
    try:
        marks = [json.loads((path / name).read_bytes()) for name in ("summary.json", "run.json")]
    except (OSError, ValueError, RecursionError):
        return False
    return all(isinstance(mark, dict) and "otmon" in mark for mark in marks)


def is_sensors(path: Path) -> bool:
    """Whether a sensor keeps its database there: years may be in it."""
    database = path / "site.db"
    if not database.is_file():
        return False
    try:
        with closing(sqlite3.connect(read_only(database), uri=True)) as db:
            return db.execute("SELECT 1 FROM meta WHERE key = 'running'").fetchone() is not None
    except sqlite3.Error:
        return False


def _rows(database: Path, table: str) -> int:
    if not database.is_file():
        return 0
    try:
        with closing(sqlite3.connect(read_only(database), uri=True)) as db:
            return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    except sqlite3.Error:
        return 0  # none of ours, or older than spools


def undelivered(path: Path) -> int:
    """Records in a folder's spool."""
    return _rows(path / "site.db", "spool")


def dead_letters(path: Path) -> int:
    """Records that were refused for good and are kept with the reason."""
    return _rows(path / "delivery.db", "dead")


def _check(path: Path, shown: Path) -> None:
    if not path.exists():
        return
    if not path.is_dir():
        raise FolderError(f"{shown}: is a file; --out names a folder")
    found = sorted(entry.name for entry in path.iterdir())
    if not found:
        return
    if waiting := undelivered(path):
        raise FolderError(
            f"{shown}: {waiting:,} records there wait to be delivered: `otmon deliver {shown}` does it, or name another"
            " folder with --out"
        )
    if refused := dead_letters(path):
        raise FolderError(
            f"{shown}: {refused:,} records there were refused for good: `otmon elastic dead list {shown}` shows them,"
            " `dead drop` forgets them; or name another folder with --out"
        )
    if is_sensors(path):
        raise FolderError(f"{shown}: holds the database of a sensor (otmon watch); name another folder with --out")
    if not is_result(path):
        raise FolderError(f"{shown}: is not empty and holds no results of otmon; name another folder with --out")
    strange = next((name for name in found if name not in FILES), None)
    if strange is not None:
        raise FolderError(f"{shown}: holds {strange!r}, which otmon did not write; move it away or name another folder")


def _exchange(left: Path, right: Path) -> bool:
    """Swap two folders in one step (Linux renameat2); False where the system or file system cannot."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    status: int = rename(_AT_FDCWD, os.fsencode(left), _AT_FDCWD, os.fsencode(right), _RENAME_EXCHANGE)
    return status == 0


class ResultFolder:
    """A context: `.work` is where to write; leaving it without an error puts the folder in its place.

    Raises FolderError on entering if the place is taken by something else, before any work is done.
    """

    def __init__(self, path: Path) -> None:
        self.shown = path
        self.path = path.resolve()
        self.work = self.path

    def __enter__(self) -> Self:
        try:
            _check(self.path, self.shown)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.work = Path(tempfile.mkdtemp(prefix=f".{self.path.name[:64]}.", dir=self.path.parent))
            mask = os.umask(0o077)
            os.umask(mask)
            self.work.chmod(0o777 & ~mask)
        except OSError as error:
            raise FolderError(f"{self.shown}: {error.strerror or error}") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._commit()
        except OSError as problem:
            raise FolderError(f"{self.shown}: {problem.strerror or problem}") from None
        finally:
            shutil.rmtree(self.work, ignore_errors=True)

    def _commit(self) -> None:
        # Whatever came there while we worked is looked at again: nothing of somebody else's is removed.
        _check(self.path, self.shown)
        if not self.path.exists() or not any(self.path.iterdir()):
            self.work.rename(self.path)
        elif not _exchange(self.work, self.path):
            aside = self.work.with_name(self.work.name + ".old")
            self.path.rename(aside)
            self.work.rename(self.path)
            shutil.rmtree(aside, ignore_errors=True)
