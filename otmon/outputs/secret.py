"""Secrets (keys of APIs, keys for signing) from a file that nobody else can read, or from the environment.

Never from the command line: every user of a machine sees every other's arguments in /proc.
"""

import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from otmon.text import safe_text

MAX_SECRET_BYTES: Final = 65_536
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class SecretError(Exception):
    """There is no secret to be had; str() is one line for people, and holds nothing of it."""


@dataclass(frozen=True, slots=True)
class Secret:
    """Printable text on one line; not shown when it is printed itself."""

    text: str = field(repr=False)


def _checked(raw: bytes, whence: str) -> Secret:
    if len(raw) > MAX_SECRET_BYTES:
        raise SecretError(f"{whence} holds more than {MAX_SECRET_BYTES:,} bytes: that is no secret")
    try:
        text = raw.removesuffix(b"\n").removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        raise SecretError(f"{whence} is not UTF-8 text; write it as hexadecimal digits or Base64") from None
    if not text.strip():
        raise SecretError(f"{whence} is empty")
    if not text.isprintable():
        raise SecretError(f"{whence} holds more than one line or control characters; a secret is one line of text")
    return Secret(text)


def _for_all(file: os.stat_result, path: Path) -> bool:
    """Whether others than the owner may read or replace it.

    systemd lets a service read its credentials by an access list, which shows as a group's right (systemd.exec(5),
    LoadCredential=); the folder is closed to everybody else.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    return bool(file.st_mode & _OTHERS) and not (folder and path.parent == Path(folder))


def _whence(path: Path) -> str:
    return f"the secret in {safe_text(str(path), 200)}"


def _open(path: str, flags: int) -> int:
    # A pipe under this name must not hold up the start.
    return os.open(path, flags | os.O_NONBLOCK)


def private_file(path: Path) -> bytes:
    """What a file holds that its owner alone may read, MAX_SECRET_BYTES + 1 at most. Raises SecretError."""
    whence = _whence(path)
    try:
        with open(path, "rb", opener=_open) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise SecretError(f"{whence} cannot be read: not a file")
            if _for_all(found, path):
                mode = stat.S_IMODE(found.st_mode)
                raise SecretError(f"{whence} is open to others (mode {mode:04o}); close it with chmod 600")
            return file.read(MAX_SECRET_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SecretError(f"{whence} cannot be read: {reason}") from None


def secret_file(path: Path) -> Secret:
    """What the file holds, without the newline at its end. Raises SecretError."""
    return _checked(private_file(path), _whence(path))


class SecretFile:
    """What a file holds now; where it cannot be read any more, what it held. Raises SecretError at first."""

    def __init__(self, path: Path) -> None:
        self._path, self._last = path, secret_file(path)

    @property
    def text(self) -> str:
        """One that was replaced counts at once."""
        with suppress(SecretError):
            self._last = secret_file(self._path)
        return self._last.text


def secret_variable(name: str) -> Secret:
    """What the environment variable holds. Raises SecretError."""
    raw = os.environb.get(os.fsencode(name))
    if raw is None:
        raise SecretError(f"the environment variable {safe_text(name, 64)} is not set")
    return _checked(raw, f"the secret in the environment variable {safe_text(name, 64)}")
