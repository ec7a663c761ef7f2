"""The bytes of one capture file: opened, hashed while they are read, taken out of gzip or zstd; never all in memory."""

import hashlib
import os
import stat
import sys
import zlib
from typing import Any, Final, Protocol

import zstandard

from otmon.capture.errors import CaptureError, DamagedError
from otmon.capture.zstdframes import FrameWatch
from otmon.limits import HASH_BYTES

_CHUNK_BYTES: Final = 128 * 1024
_MAX_ZSTD_WINDOW_BYTES: Final = 128 * 1024 * 1024
"""The zstd command's own bound for decompression without --long."""
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_OS_REASONS: Final = {
    FileNotFoundError: "no such file",
    PermissionError: "permission denied: make it readable for this user",
    IsADirectoryError: "is a directory: name the capture files in it",
}


class _Stream(Protocol):
    def readinto(self, target: Any) -> int: ...


def os_reason(error: OSError) -> str:
    """What is wrong with a file, in a few words."""
    return next((text for kind, text in _OS_REASONS.items() if isinstance(error, kind)), error.strerror or str(error))


def _standard_input() -> Any:
    if sys.stdin is None:
        raise OSError("standard input is closed")
    # Unbuffered, so that a slow pipe is not waited for until a whole buffer is full.
    return getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)


class _Raw:
    """The file as it is on disk; its first bytes can be looked at, and it can be hashed as it goes by."""

    def __init__(self, path: str, hash_all: bool) -> None:
        try:
            self.file = _standard_input() if path == "-" else open(path, "rb", buffering=0)  # noqa: SIM115 - `close` closes it
            mode = os.fstat(self.file.fileno()) if path != "-" else None
        except OSError as error:
            raise CaptureError(path, 0, os_reason(error)) from None
        except ValueError:
            raise CaptureError(path, 0, "is not a file name") from None
        self.size = mode.st_size if mode and stat.S_ISREG(mode.st_mode) else None
        self.hash = hashlib.sha256() if hash_all or (self.size is not None and self.size <= HASH_BYTES) else None
        self.done = 0
        self.ended = False
        self._peeked = b""

    def peek(self, count: int) -> bytes:
        while len(self._peeked) < count:
            more = self.file.read(count - len(self._peeked))
            if not more:
                break
            self._peeked += more
        return self._peeked

    def readinto(self, target: Any) -> int:
        if self._peeked:
            count = min(len(self._peeked), len(target))
            target[:count] = self._peeked[:count]
            self._peeked = self._peeked[count:]
        else:
            try:
                count = self.file.readinto(target) or 0
            except OSError as error:
                raise DamagedError(f"cannot be read any further: {os_reason(error)}") from None
        if count == 0:
            self.ended = True
        self.done += count
        if self.hash is not None:
            self.hash.update(target[:count])
        return int(count)


class _Expander:
    """Expands in steps of its own, so that where damage shows does not depend on what is asked for."""

    _rest = memoryview(b"")

    def readinto(self, target: Any) -> int:
        if not self._rest:
            self._rest = memoryview(self._expand())
        count = min(len(self._rest), len(target))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def _expand(self) -> bytes:
        """At most _CHUNK_BYTES more; nothing at the end."""
        raise NotImplementedError


class _Gzip(_Expander):
    """gzip members, one behind the other (RFC 1952)."""

    def __init__(self, raw: _Raw) -> None:
        self._raw = raw
        self._buffer = memoryview(bytearray(_CHUNK_BYTES))
        self._input: Any = b""
        self._member: Any = zlib.decompressobj(31)
        self._begun = False
        self._broken = False

    def _expand(self) -> bytes:
        while not self._broken:
            if self._member.eof:
                self._input, self._member, self._begun = self._member.unused_data, zlib.decompressobj(31), False
            if not self._input:
                self._input = bytes(self._buffer[: self._raw.readinto(self._buffer)])
                if not self._input:
                    if self._begun:
                        raise DamagedError("cut short: the gzip data ends too early")
                    return b""
            # Zero padding behind the last member is allowed by gzip(1).
            if not self._begun and not self._input.strip(b"\0"):
                self._input = b""
                continue
            self._begun = True
            before = self._member.copy()
            try:
                out: bytes = self._member.decompress(self._input, _CHUNK_BYTES)
                self._input = self._member.unconsumed_tail
            except zlib.error:
                out, self._broken = self._salvage(before), True
            if out:
                return out
        raise DamagedError("the gzip data is damaged")

    def _salvage(self, member: Any) -> bytes:
        """What comes out before the damage: an error takes all output of its call with it, so the steps get smaller."""
        out, step = b"", _CHUNK_BYTES
        while step:
            trial = member.copy()
            try:
                piece = trial.decompress(self._input, step)
            except zlib.error:
                step //= 2
                continue
            if not piece:
                break
            out += piece
            member, self._input = trial, trial.unconsumed_tail
        return out


class _Zstd(_Expander):
    """zstd frames, one behind the other (RFC 8878)."""

    def __init__(self, raw: _Raw) -> None:
        self._watch = FrameWatch(raw)
        decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_ZSTD_WINDOW_BYTES)
        source: Any = self._watch
        self._stream = decompressor.stream_reader(source, read_size=_CHUNK_BYTES, read_across_frames=True)

    def _expand(self) -> bytes:
        try:
            out = self._stream.read1(_CHUNK_BYTES)
        except zstandard.ZstdError:
            raise DamagedError("the zstd data is damaged") from None
        if not out and not self._watch.complete:
            raise DamagedError("cut short: the zstd data ends too early")
        return out


class Source:
    """Reads one path, `-` being standard input.

    `compression` is None, gzip or zstd; `done` and `size` (None if unknown) count bytes on disk; `again` says that the
    path can be opened a second time. Raises CaptureError if it cannot be opened.
    """

    def __init__(self, path: str, hash_all: bool = False) -> None:
        self._path = path
        self._raw = _Raw(path, hash_all)
        self.size = self._raw.size
        self.again = self.size is not None
        try:
            magic = self._raw.peek(4)
        except OSError as error:
            self.close()
            raise CaptureError(path, 0, os_reason(error)) from None
        self.compression = "gzip" if magic[:2] == _GZIP else "zstd" if magic == _ZSTD else None
        self._stream: _Stream = self._raw
        if self.compression:
            self._stream = _Gzip(self._raw) if self.compression == "gzip" else _Zstd(self._raw)

    @property
    def done(self) -> int:
        """Bytes on disk that were read so far."""
        return self._raw.done

    def readinto(self, target: Any) -> int:
        """Fill the start of a writable memoryview; 0 at the end. Raises DamagedError behind the last good byte."""
        return self._stream.readinto(target)

    def sha256(self, drain: bool) -> str | None:
        """Hash of the file on disk, its unread rest included if `drain`; None unless all of it was read and hashed."""
        if self._raw.hash is None:
            return None
        scratch = memoryview(bytearray(_CHUNK_BYTES))
        try:
            while drain and self._raw.readinto(scratch):
                pass
        except DamagedError:
            return None
        return self._raw.hash.hexdigest() if self._raw.ended else None

    def close(self) -> None:
        """Close the file (standard input stays open)."""
        if self._path != "-":
            self._raw.file.close()
