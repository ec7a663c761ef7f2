"""`.delivery.db.lock` beside a ledger: held by whoever delivers, and it knows how often the ledger was written.

So a ledger that was removed, or that somebody put back from a copy, is not taken for the one that was written last:
what it does not know to be sent may have been sent.
"""

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

NAME: Final = ".delivery.db.lock"
_OPEN: Final = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
_DIGITS: Final = 20
_END: Final = b"%0*d" % (_DIGITS, 2**62)
"""What SQLite can hold ends soon after: more was never counted."""


def writes(folder: Path) -> int:
    """How often a ledger was written here, at least; 0: there was none, or nothing could be noted."""
    with suppress(OSError):
        file = os.open(folder / NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            found = os.read(file, _DIGITS)
            return int(found) if len(found) == _DIGITS and found.isdigit() and found < _END else 0
        finally:
            os.close(file)
    return 0


def note(folder: Path, number: int) -> None:
    """From now on a ledger that was written fewer than `number` times is not believed.

    The first is on the disk before anything is sent; of later ones a power cut may take the last few, which are never
    ahead of the ledger's own.
    """
    before = writes(folder)
    if number <= before:
        return
    with suppress(OSError):  # a folder that is full, or no lock file: then a ledger that is removed is not missed
        file = os.open(folder / NAME, _OPEN, 0o600)
        try:
            os.pwrite(file, b"%0*d\n" % (_DIGITS, number), 0)
            if not before:
                os.fsync(file)
        finally:
            os.close(file)


def hold(folder: Path, wait_s: float = 0.0) -> int | None:
    """Descriptor that holds a folder's delivery until it is closed; None: another one does. Raises OSError."""
    held = os.open(folder / NAME, _OPEN, 0o600)
    end_s = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return held
        except OSError:
            if time.monotonic() >= end_s:
                os.close(held)
                return None
            time.sleep(0.1)
