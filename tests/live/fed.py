"""A source for otmon.sensor.watch.Sensor whose ring the test fills: no kernel, no interface, any clock."""

from collections.abc import Iterator, Sequence

import numpy as np

from otmon.capture.batch import LINK_ETHERNET, REC_COLUMNS, Batch
from otmon.capture.clock import CLOCK_SIZE, far_settle
from otmon.capture.reader import InputInfo
from otmon.capture.ring import RingStatistics
from tests.capture.rings import Walked, of

FRAMES_A_BLOCK = 8_192


class Fed:
    """Frames come from blocks as the kernel writes them, or as tables of equally long frames (which is faster)."""

    def __init__(self, interface: str = "fed0") -> None:
        self.interface = interface
        self.interface_drops = 0
        self.dropped = 0
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []
        self._clock = np.zeros(CLOCK_SIZE, np.int64)
        self._state: np.ndarray | None = None

    def blocks(self, *blocks: Sequence[tuple[int, bytes]]) -> None:
        """Blocks of (time by the machine's clock, frame)."""
        for frames in blocks:
            walked = Walked(of(*frames), self._state)
            self._state = walked.state
            self._waiting.append((walked.buf, walked.records))

    def table(self, rows: np.ndarray, first_ts_ns: int, step_ns: int) -> None:
        """A frame in every row."""
        count, size = rows.shape
        records = np.zeros((count, REC_COLUMNS), np.int64)
        records[:, 0] = np.arange(count) * size
        records[:, 1] = size << 32 | size
        records[:, 2] = first_ts_ns + np.arange(count) * step_ns
        records[:, 3] = LINK_ETHERNET
        data = np.ascontiguousarray(rows).reshape(-1)
        for at in range(0, count, FRAMES_A_BLOCK):
            self._waiting.append((data, records[at : at + FRAMES_A_BLOCK]))

    def fileno(self) -> int:
        return -1

    def batches(self) -> Iterator[Batch]:
        while self._waiting:
            data, records = self._waiting.pop(0)
            far_settle(records, len(records), len(records), 1, self._clock)
            yield Batch(data, records, 0, int(self._clock[2]) - len(records) + 1)

    def statistics(self) -> RingStatistics:
        return RingStatistics(self.info.frames, self.dropped, 0)

    def state(self) -> str:
        return "up"

    def resume(self) -> bool:
        return True

    @property
    def info(self) -> InputInfo:
        frames = int(self._clock[2])
        return InputInfo(
            path=self.interface, sha256=None, format="live", compression=None, link_types=["Ethernet"], frames=frames,
            bytes=int(self._clock[3]), truncated=0, damaged=None, first_ts_ns=int(self._clock[6]),
            last_ts_ns=int(self._clock[0]), clock_jumps=int(self._clock[5]),
        )  # fmt: skip

    def close(self) -> None:
        """Nothing is held."""
