"""Decisions that come to a running sensor: files in `inbox` in its data folder, where `otmon alerts import` puts them.

Who signed them was looked at there. Whoever can write here can write to the database itself, so it is not asked again;
what they say is.
"""

import logging
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from otmon.alerts import permits
from otmon.alerts.decisions import MAX_BYTES, DecisionError, parse
from otmon.alerts.sentence import plural
from otmon.sensor.logs import say
from otmon.store.errors import StoreFull, StoreGone
from otmon.store.sensor import SiteStore

NAME: Final = "inbox"
SUFFIX: Final = ".decisions"
PERMIT: Final = ".permit"
ASIDE: Final = ".aside"
"""After the name of what could not be taken, for somebody to look at."""
LOOK_S: Final = 2.0


def put(folder: Path, raw: bytes, digest: str, suffix: str = SUFFIX) -> Path:
    """Leave a file for the sensor of a data folder, as the folder's owner. Raises OSError."""
    path = folder / NAME / f"{digest}{suffix}"
    beside = f"{digest}.new"
    with _opened(folder) as above:
        owner = os.fstat(above)
        with suppress(FileExistsError):
            os.mkdir(NAME, 0o700, dir_fd=above)
        with _opened(NAME, above) as inbox:
            _give(inbox, owner)
            with suppress(FileNotFoundError):
                os.unlink(beside, dir_fd=inbox)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(beside, flags, 0o600, dir_fd=inbox), "wb") as file:
                file.write(raw)
                _give(file.fileno(), owner)
            os.replace(beside, path.name, src_dir_fd=inbox, dst_dir_fd=inbox)
    return path


@contextmanager
def _opened(folder: Path | str, above: int | None = None) -> Iterator[int]:
    """A folder; within another one no symbolic link is followed. Raises OSError."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if above is None else os.O_NOFOLLOW)
    found = os.open(folder, flags, dir_fd=above)
    try:
        yield found
    finally:
        os.close(found)


def _give(file: int, owner: os.stat_result) -> None:
    if os.geteuid() == 0:
        os.fchown(file, owner.st_uid, owner.st_gid)


def _read(name: str, inbox: int) -> bytes:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(name, flags, dir_fd=inbox), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise DecisionError("not a file")
        return file.read(MAX_BYTES + 1)


class Inbox:
    """Of one store."""

    def __init__(self, store: SiteStore) -> None:
        self._store, self._folder = store, store.path.parent
        self._left: set[str] = set()
        """What could be neither removed nor renamed, and is not looked at again."""
        self._said = ""
        """Why it could not be looked into, when that was last said."""

    def look(self) -> None:
        """Take what has come. Raises StoreFull and StoreGone, which are the database's own trouble: it stays there."""
        try:
            with _opened(self._folder) as above, _opened(NAME, above) as inbox:
                for name in sorted(os.listdir(inbox)):
                    if name.endswith((SUFFIX, PERMIT)) and name not in self._left:
                        self._take(name, inbox)
            self._said = ""
        except FileNotFoundError:
            pass
        except OSError as error:
            reason = error.strerror or str(error)
            if reason != self._said:
                self._said = reason
                say(logging.WARNING, "decisions_refused", f"{self._folder / NAME} cannot be looked into: {reason}")

    def _take(self, name: str, inbox: int) -> None:
        try:
            raw = _read(name, inbox)
            if name.endswith(PERMIT):
                order = permits.parse(raw)
                self._store.permit(order, time.time_ns())
                number, digest = 1, order.digest
            else:
                signed = parse(raw)
                self._store.decide(signed, time.time_ns())
                number, digest = len(signed.decisions), signed.digest
        except DecisionError as error:
            _say_refused(str(error))
            self._away(name, inbox)
        except (StoreFull, StoreGone):
            raise
        except Exception as error:  # of whatever kind: a file must not end a sensor, and again at each start
            why = error.strerror if isinstance(error, OSError) and error.strerror else f"{error!r}"
            _say_refused(f"{why}; {name} is now {name}{ASIDE}")
            self._aside(name, inbox)
        else:
            what = "an order about permits was followed" if name.endswith(PERMIT) else ""
            what = what or f"{plural(number, 'decision')} about alerts {'was' if number == 1 else 'were'} taken over"
            say(logging.INFO, "decisions", what, file=digest[:12])
            self._away(name, inbox)

    def _away(self, name: str, inbox: int) -> None:
        try:
            os.unlink(name, dir_fd=inbox)
        except OSError:
            self._aside(name, inbox)

    def _aside(self, name: str, inbox: int) -> None:
        try:
            os.rename(name, name + ASIDE, src_dir_fd=inbox, dst_dir_fd=inbox)
        except OSError:
            self._left.add(name)


def _say_refused(why: str) -> None:
    say(logging.WARNING, "decisions_refused", f"decisions were not taken over: {why}")
