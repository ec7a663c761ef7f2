"""Raw frames onto an interface, many with one system call (sendmmsg), at top speed or at a given rate."""

import ctypes
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from otmon.capture.inputs import open_inputs

CHUNK = 512
"""Frames of one call; the pace is kept between calls."""
_MMSGHDR = np.dtype(
    [
        *(("name", "u8"), ("namelen", "u4"), ("pad0", "u4"), ("iov", "u8"), ("iovlen", "u8")),
        *(("control", "u8"), ("controllen", "u8"), ("flags", "i4"), ("pad1", "u4"), ("sent", "u4"), ("pad2", "u4")),
    ]
)
_IOVEC = np.dtype([("base", "u8"), ("len", "u8")])


class Frames:
    """Frames laid out for sendmmsg."""

    def __init__(self, data: NDArray[np.uint8], offsets: NDArray[np.int64], lengths: NDArray[np.int64]) -> None:
        self.data = np.ascontiguousarray(data)
        self.vectors = np.zeros(len(offsets), _IOVEC)
        self.vectors["base"] = self.data.ctypes.data + offsets
        self.vectors["len"] = lengths
        self.headers = np.zeros(len(offsets), _MMSGHDR)
        self.headers["iov"] = self.vectors.ctypes.data + np.arange(len(offsets)) * _IOVEC.itemsize
        self.headers["iovlen"] = 1

    def __len__(self) -> int:
        return len(self.headers)

    @classmethod
    def of(cls, frames: Sequence[bytes]) -> "Frames":
        """Some frames."""
        lengths = np.array([len(frame) for frame in frames], np.int64)
        return cls(np.frombuffer(b"".join(frames), np.uint8), np.cumsum(lengths) - lengths, lengths)

    @classmethod
    def table(cls, rows: NDArray[np.uint8]) -> "Frames":
        """A frame in every row."""
        count, size = rows.shape
        return cls(rows.reshape(-1), np.arange(count) * size, np.full(count, size))

    @classmethod
    def read(cls, path: Path, limit: int | None = None) -> "Frames":
        """Those of a capture file, at most `limit`."""
        parts, offsets, lengths, base = [], [], [], 0
        for batch in open_inputs([str(path)]):
            records = batch.records[: None if limit is None else max(0, limit - sum(map(len, offsets)))]
            if not len(records):
                break
            begin, size = records[:, 0], records[:, 1] >> 32
            first, end = int(begin[0]), int(begin[-1] + size[-1])
            parts.append(batch.data[first:end].copy())
            offsets.append(begin - first + base)
            lengths.append(size.copy())
            base += end - first
        return cls(np.concatenate(parts), np.concatenate(offsets), np.concatenate(lengths))


class Sender:
    """A raw socket at an interface of this thread's network namespace."""

    def __init__(self, interface: str) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.bind((interface, 0))
        self._send = ctypes.CDLL(None, use_errno=True).sendmmsg
        self._send.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)

    def send(self, frames: Frames, rate: float | None = None, seconds: float | None = None) -> int:
        """Once through, or over and over for so many seconds; returns how many were sent."""
        started, sent, at = time.monotonic(), 0, 0
        chunk = CHUNK if rate is None else max(1, min(CHUNK, int(rate / 200)))
        while at < len(frames):
            now = time.monotonic() - started
            if seconds is not None and now >= seconds:
                break
            if rate is not None and (ahead := sent / rate - now) > 0:
                time.sleep(ahead)
            done = self._some(frames, at, min(chunk, len(frames) - at))
            sent, at = sent + done, at + done
            if seconds is not None and at == len(frames):
                at = 0
        return sent

    def _some(self, frames: Frames, at: int, count: int) -> int:
        address = frames.headers.ctypes.data + at * _MMSGHDR.itemsize
        done = self._send(self._socket.fileno(), address, count, 0)
        if done < 0:
            if ctypes.get_errno() in (11, 12, 105):  # the queue is full: EAGAIN, ENOMEM, ENOBUFS
                return 0
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return done

    def close(self) -> None:
        """Let go."""
        self._socket.close()
