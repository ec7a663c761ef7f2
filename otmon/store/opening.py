"""Opening a sensor's database: alone, whole, of this site and of today's schema."""

import os
import sqlite3
import time
from pathlib import Path
from typing import Final

from otmon.limits import DATABASE_CACHE_KIB, MAX_JOURNAL_BYTES
from otmon.store.database import create_tables
from otmon.store.errors import StoreBusy, StoreError, StoreFull, StoreHeld
from otmon.store.migrate import migrate, schema_of
from otmon.store.schema import SCHEMA, TABLE_NAMES

_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_FULL: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


BUSY_S: Final = 0.5
"""How long a write waits for another program: frames wait meanwhile."""
NAMELESS: Final = "default"
"""Site of a sensor without a policy: it takes the name of the first policy, or goes on under the one that is there."""


def trouble(path: Path, error: sqlite3.Error) -> StoreError:
    """What to tell people of an error."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _FULL:
        return StoreFull(f"{path}: not written ({error}): free space on its disk, or keep less")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreBusy(f"{path}: not written: another program has locked it; close it")
    if code in _DAMAGED:
        return StoreError(f"{path}: damaged ({error}): start otmon again, it sets the file aside and begins a new one")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StoreError(f"{path}: cannot be written ({error}): the folder and the file must be this user's")
    return StoreError(f"{path}: {error}")


def lock(folder: Path) -> int:
    """Descriptor that holds the folder against a second sensor until it is closed. Raises StoreError."""
    try:
        import fcntl

        held = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError) as error:
        raise StoreError(
            f"{folder}: cannot be locked ({error}): name a folder that exists and is this user's"
        ) from None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        raise StoreHeld(f"{folder}: in use by another otmon: stop that one or choose another --data") from None
    return held


def open_database(path: Path, site: str, notices: list[str]) -> sqlite3.Connection:
    """The database, new if there was none or only a damaged one, which is set aside and told in `notices`.

    Raises StoreError: another site's, of a newer schema, not writable; StoreFull.
    """
    damage = None
    try:
        db = _connect(path)
        try:
            damage = _damage(db)
            if damage is None:
                _adopt(db, path, site, notices)
                return _ready(db)
        except BaseException:
            db.close()
            raise
        db.close()
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
            raise trouble(path, error) from None
        damage = str(error)
    aside = _set_aside(path)
    notices.append(f"{path}: damaged ({damage}): set aside as {aside.name}, a new one is begun")
    db = _connect(path)
    try:
        _adopt(db, path, site, notices)
        return _ready(db)
    except sqlite3.Error as error:
        db.close()
        raise trouble(path, error) from None


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, timeout=BUSY_S)


def _ready(db: sqlite3.Connection) -> sqlite3.Connection:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA wal_autocheckpoint = 0")  # otmon.store.journal does it, where a failure harms nothing
    db.execute(f"PRAGMA journal_size_limit = {MAX_JOURNAL_BYTES}")
    db.execute(f"PRAGMA cache_size = -{DATABASE_CACHE_KIB}")
    return db


def _names(db: sqlite3.Connection) -> set[str]:
    return {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _damage(db: sqlite3.Connection) -> str | None:
    """What is wrong with the file; None: nothing, or it is empty."""
    (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        return str(found).splitlines()[-1]
    names = _names(db)
    if not names:
        return None
    schema = schema_of(db) if "meta" in names else 0
    missing = TABLE_NAMES.get(schema, frozenset({"meta"})) - names
    return None if schema and not missing else f"no table {', '.join(sorted(missing)) or 'of otmon'}"


def _adopt(db: sqlite3.Connection, path: Path, site: str, notices: list[str]) -> None:
    if not _names(db):
        create_tables(db, site)
        db.execute("COMMIT")
        return
    schema = schema_of(db)
    (name,) = db.execute("SELECT value FROM meta WHERE key = 'site'").fetchone() or ("",)
    if schema > SCHEMA:
        raise StoreError(f"{path}: schema {schema}, this otmon writes schema {SCHEMA}: install the newer otmon again")
    if name == NAMELESS != site:
        db.execute("UPDATE meta SET value = ? WHERE key = 'site'", (site,))
        notices.append(f"{path}: of no site until now; from now on of site {site}")
    elif site not in (name, NAMELESS):
        raise StoreError(f"{path}: of site {name}, the policy is of site {site}: choose another --data for this site")
    if schema < SCHEMA:
        migrate(db)
        notices.append(f"{path}: schema {schema} brought to {SCHEMA}")
    if db.execute("PRAGMA auto_vacuum").fetchone() != (2,):
        # Once for a file that was begun without: later it could not give room back.
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("VACUUM")


def _set_aside(path: Path) -> Path:
    """Rename the file and its log, never over another."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{stamp}-{number}")
    for suffix in ("-wal", "-shm", ""):
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.rename(aside.with_name(aside.name + suffix))
    return aside
