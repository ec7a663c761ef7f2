"""A data folder made by root is handed to the user that the sensor runs as: the folder and what otmon writes in it.

Root does this in a folder that somebody else may own, so nothing is followed: no symbolic link, no second hard link.
"""

import os
import stat
from pathlib import Path
from typing import Final

from otmon.text import safe_text

_SHOWN_CHARS: Final = 1024
FOLDERS: Final = frozenset({"evidence"})
SUFFIXES: Final = frozenset({".db", ".db-wal", ".db-shm", ".db-journal", ".json", ".jsonl", ".graphml", ".pcap"})
"""Ends of the names of what otmon writes (site.db and its journals, records, evidence)."""


class PrivilegeError(Exception):
    """Privileges cannot be given up as asked; str() is one line that says what to do."""


def _shown(path: Path | str) -> str:
    return safe_text(str(path), _SHOWN_CHARS)


def _is_ours(name: str) -> bool:
    return name in FOLDERS or os.path.splitext(name)[1] in SUFFIXES


def _give(descriptor: int, uid: int, gid: int) -> None:
    """The folder behind a descriptor and otmon's files in it. Raises OSError."""
    for name in sorted(filter(_is_ours, os.listdir(descriptor))):
        there = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        if there.st_uid != 0 or not (stat.S_ISDIR(there.st_mode) or stat.S_ISREG(there.st_mode)):
            continue
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        entry = os.open(name, flags, dir_fd=descriptor)
        try:
            now = os.fstat(entry)  # it may have been exchanged since
            if now.st_uid != 0:
                continue
            if stat.S_ISDIR(now.st_mode):
                _give(entry, uid, gid)
            elif stat.S_ISREG(now.st_mode) and now.st_nlink == 1:
                os.fchown(entry, uid, gid)
        finally:
            os.close(entry)
    os.fchown(descriptor, uid, gid)


def hand_over(data: Path, uid: int, gid: int) -> str:
    """Make `data` the user's; returns what was done. Needs root. Raises PrivilegeError.

    What is the user's already stays as it is. A folder of a third user, or a symbolic link, is refused.
    """
    try:
        there = os.lstat(data)
    except OSError as error:
        raise PrivilegeError(f"{_shown(data)}: {error.strerror}; make it: mkdir -p {_shown(data)}") from None
    if stat.S_ISLNK(there.st_mode):
        raise PrivilegeError(f"{_shown(data)}: is a symbolic link, which root does not follow; name the folder itself")
    if not stat.S_ISDIR(there.st_mode):
        raise PrivilegeError(f"{_shown(data)}: is no folder; name another one with --data")
    if there.st_uid not in (0, uid):
        raise PrivilegeError(
            f"{_shown(data)}: belongs to user {there.st_uid}, neither to root nor to the service user ({uid}); "
            f"chown -R {uid}:{gid} it, or name another folder with --data"
        )
    try:
        descriptor = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except PermissionError:  # root without CAP_DAC_OVERRIDE before a folder that is the user's own
        return "the data folder is the user's already"
    except OSError as error:
        raise PrivilegeError(f"{_shown(data)}: {error.strerror}; name another folder with --data") from None
    try:
        now = os.fstat(descriptor)
        if (now.st_dev, now.st_ino) != (there.st_dev, there.st_ino):
            raise PrivilegeError(f"{_shown(data)}: was exchanged while it was looked at; start again")
        _give(descriptor, uid, gid)
    except OSError as error:
        raise PrivilegeError(
            f"{_shown(data)}: cannot be handed to user {uid}: {error.strerror}; chown -R {uid}:{gid} it"
        ) from None
    finally:
        os.close(descriptor)
    return f"the data folder was handed to user {uid}" if there.st_uid == 0 else "the data folder is the user's already"
