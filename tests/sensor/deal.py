"""A source that deals out frames in batches, each ready at a moment of a clock that the test turns."""

from bisect import bisect_right
from typing import Any

import numpy as np

from otmon.capture.batch import LINK_ETHERNET, REC_COLUMNS, Backlog, Batch
from otmon.capture.reader import InputInfo
from otmon.capture.ring import RingStatistics
from tests.engine.world import Frame


def batch_of(frames: list[Frame], number: int = 0, first: int = 1) -> Batch:
    records = np.zeros((len(frames), REC_COLUMNS), np.int64)
    at = 0
    for row, (ts_ns, data, cut) in enumerate(frames):
        kept = len(data) if cut is None else cut
        records[row] = at, kept << 32 | len(data), ts_ns, LINK_ETHERNET
        at += kept
    data = b"".join(data[:cut] for _, data, cut in frames)
    return Batch(np.frombuffer(data, np.uint8).copy(), records, number, first)


class Clock:
    """time.monotonic of a test."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Deal:
    """`batches_of`: (moment from which on it is ready, frames), in order."""

    interface_drops = 0
    warning = None

    def __init__(
        self, interface: str, number: int, batches_of: list[tuple[float, list[Frame]]], clock: Clock, room: int = 64
    ) -> None:
        self.interface, self._number, self._clock, self._room = interface, number, clock, room
        self._batches, self._ready_s = [frames for _, frames in batches_of], [ready_s for ready_s, _ in batches_of]
        self._next = self.frames = 0

    def fileno(self) -> int:
        return -1

    @property
    def _there(self) -> int:
        return bisect_right(self._ready_s, self._clock())

    def batches(self) -> Any:
        while self._next < self._there:
            frames = self._batches[self._next]
            self.frames += len(frames)
            try:
                yield batch_of(frames, self._number, self.frames - len(frames) + 1)
            finally:
                self._next += 1

    def backlog(self) -> Backlog:
        there = self._there - self._next
        return Backlog(there, there / self._room)

    def statistics(self) -> RingStatistics:
        return RingStatistics(self.frames, 0, 0)

    def state(self) -> str:
        return "up"

    def resume(self) -> bool:
        return True

    @property
    def info(self) -> InputInfo:
        return InputInfo(self.interface, None, "live", None, [], self.frames, 0, 0, None, None, None, 0)

    def close(self) -> None:
        pass
