"""A sink that appends to a file: one JSON object a line, for whatever reads log files.

Each line is `{"id", "record", "sensor", "sequence", "site", "stream"}` (docs/sinks.md). A batch is on the disk before
it is answered. At least once: after a crash, or when the disk filled up within a batch, lines come a second time, and a
line that was cut off is ended where it was cut. So a reader skips what is not JSON, and takes each `id` once.

Rotation is left to others (logrotate): a file that was moved away is let go of and begun anew before the next batch,
one that was emptied in place is gone on with.
"""

import errno
import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from otmon.outputs.jsonl import envelope, line
from otmon.outputs.sink import DONE, STREAMS, Answer, Outgoing, Reached, Refused, SinkError, Unreachable
from otmon.text import safe_text

MODE: Final = 0o640
"""Of a new file: alerts say where a plant is weak."""
_MENDED_BY_SOMEBODY: Final = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO}
)
"""Errors that no waiting mends."""


class Lines:
    """The sink. The file is opened with the first batch."""

    def __init__(self, path: Path, streams: Iterable[str] = STREAMS, name: str = "lines") -> None:
        self.name, self.streams = name, frozenset(streams)
        self._path = path
        self._file = -1

    def rehearse(self) -> None:
        """Nothing is loaded late."""

    def deliver(self, batch: Sequence[Outgoing], repeated: bool) -> Sequence[Answer]:
        """Append the batch and wait until the disk has it."""
        lines = b"".join(line(envelope(one)) for one in batch)
        try:
            if self._moved():
                self.close()
                self._open()
            _write(self._file, lines if _ended(self._file) else b"\n" + lines)
            os.fsync(self._file)
        except OSError as error:
            # After a failed fsync the same descriptor may answer the next one well (fsync(2)).
            self.close()
            raise self._error(error) from None
        return [DONE] * len(batch)

    def reach(self) -> Reached:
        """The file is opened with the first batch."""
        return Reached(f"a file in {safe_text(str(self._path.parent), 200)}")

    def _moved(self) -> bool:
        """Whether the name stands for another file than the open one, or for none."""
        if self._file < 0:
            return True
        try:
            now, held = os.stat(self._path), os.fstat(self._file)
        except FileNotFoundError:
            return True
        return (now.st_dev, now.st_ino) != (held.st_dev, held.st_ino)

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
        self._file = os.open(self._path, flags, MODE)
        if not stat.S_ISREG(os.fstat(self._file).st_mode):
            raise OSError(errno.ENXIO, "not a file")
        # The name of a new file is on the disk only when its folder is.
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _error(self, error: OSError) -> SinkError:
        kind = Refused if error.errno in _MENDED_BY_SOMEBODY else Unreachable
        return kind(f"{safe_text(str(self._path), 200)} cannot be written: {error.strerror or error}")

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            with suppress(OSError):
                os.close(self._file)
            self._file = -1


def _ended(file: int) -> bool:
    """Whether the file is empty or ends with a whole line."""
    size = os.fstat(file).st_size
    return size == 0 or os.pread(file, 1, size - 1) == b"\n"


def _write(file: int, lines: bytes) -> None:
    left = memoryview(lines)
    while left:
        left = left[os.write(file, left) :]
