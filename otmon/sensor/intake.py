"""What several sources have ready, in the order of frame times.

Independent sources are merged as far as they are ready. The two sides of a tap wait for each other for a moment: a
conversation is only understood in order; when that would cost frames, order is given up, and counted.
"""

import selectors
import time
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from otmon.capture.batch import REC_TS, Batch
from otmon.sensor.sample import Sample
from otmon.sensor.skew import Skew
from otmon.sensor.source import Source

HOLD_S: Final = 0.08
"""Longest wait for the other side of a tap: a ring hands over a block when it is 50 ms old."""
LOOK_S: Final = 0.005
"""How often the other side is looked at while frames wait."""
SAMPLE_S: Final = 0.25
"""How often a batch of each source is looked at for what a mirror does to frames."""
GIVE_UP_SHARE: Final = 0.5
"""Of a ring's memory: fuller, its frames are given at once, in order or not."""


@dataclass(slots=True)
class Tap:
    """One link, a direction on each of two interfaces."""

    interfaces: tuple[str, str]
    skew: Skew = field(default_factory=Skew)
    last_ts_ns: int = 0
    """Of the last frame given."""
    late: int = 0
    """Frames given after a later one of the other side; they take its time."""


class _Lane:
    """One source, and what is left of its batch."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.tap: Tap | None = None
        self.side = 0
        self.other: _Lane | None = None
        self.batch: Batch | None = None
        self.asked = False
        """Whether its source was asked for batches in this turn."""
        self._batches: Iterator[Batch] | None = None
        self._sample_s = -SAMPLE_S
        self._hurried = False
        self._position = 0
        self._taken = 0
        """Batches that were begun."""
        self._arrived: deque[tuple[int, float]] = deque()
        """(batches that were there by then, when that was noticed)."""

    @property
    def name(self) -> str:
        """Of the interface for which the policy has a realm."""
        return self.tap.interfaces[0] if self.tap is not None else self.source.interface

    @property
    def offset_ns(self) -> int:
        """To be taken off its times."""
        return self.tap.skew.ns if self.tap is not None and self.side else 0

    @property
    def ts_ns(self) -> int:
        """Of the next frame."""
        return int(self._times[self._position]) - self.offset_ns

    def look(self, now_s: float) -> None:
        """A turn begins: note what has arrived."""
        self.asked = False
        if self.tap is None:
            return
        there = self._taken - (self._batches is not None) + self.source.backlog().batches
        if not self._arrived or there > self._arrived[-1][0]:
            self._arrived.append((there, now_s))
        self._forget()

    def _forget(self) -> None:
        """Of batches that were taken, keep the arrival of the last one."""
        while len(self._arrived) > 1 and self._arrived[0][0] < self._taken:
            self._arrived.popleft()

    def fill(self, now_s: float, sample: Sample) -> bool:
        """Have a next frame, if there is one. What is used up goes back to its source."""
        while self.batch is None or self._position >= len(self.batch.records):
            self.batch = None
            if self._batches is None:
                if self.asked:
                    return False
                self.asked, self._batches = True, self.source.batches()
            batch = next(self._batches, None)
            if batch is None:
                self._batches = None
                continue
            self.batch, self._position = batch, 0
            self._taken += 1
            # bisect on a memoryview: searchsorted would copy the column for each of many short runs.
            self._times: Any = batch.records[:, REC_TS].copy().data
            due = now_s - self._sample_s >= SAMPLE_S
            if self.tap is not None:
                self._hurried = self.source.backlog().share > GIVE_UP_SHARE
                if due or not self.tap.skew.settled:
                    self.tap.skew.see(self.side, batch)
            if due:
                self._sample_s = now_s
                sample.see(batch)
        return True

    def free(self, now_s: float) -> bool:
        """Whether its next frame may be given, as far as the other side of a tap is concerned."""
        other = self.other
        if other is None or self.tap is None:
            return True
        # Before anything is known of the skew, what stands first by its stamp may not be first.
        if other.batch is not None and self.tap.skew.known:
            return True
        if self.source.backlog().share > GIVE_UP_SHARE:
            return True
        return self._waited(now_s) and (other.batch is None or other._waited(now_s))

    def _waited(self, now_s: float) -> bool:
        """Whether its batch waited as long as it may."""
        self._forget()
        return now_s - self._arrived[0][1] >= HOLD_S

    def take(self, rival: "tuple[int, bool] | None") -> Batch:
        """The frames before the rival's: (its time, whether it goes first at equal times)."""
        assert self.batch is not None
        begin, end = self._position, len(self.batch.records)
        if rival is not None and not self._hurried:
            bisect = bisect_left if rival[1] else bisect_right
            end = max(begin + 1, bisect(self._times, rival[0] + self.offset_ns, begin, end))
        self._position = end
        data, records, number, first_frame = self.batch
        if self.tap is not None:
            self._stamp(self.tap, begin, records[begin:end, REC_TS])
        return Batch(data, records[begin:end], number, first_frame + begin)

    def _stamp(self, tap: Tap, begin: int, times: Any) -> None:
        """The times of a run as those of the link: never backwards."""
        if self.offset_ns:
            times -= self.offset_ns
        if self._times[begin] - self.offset_ns < tap.last_ts_ns:
            tap.late += int(np.count_nonzero(times < tap.last_ts_ns))
            np.maximum(times, tap.last_ts_ns, out=times)
        tap.last_ts_ns = int(times[-1])


class Intake:
    """Waits for sources and gives what they have; `taps` names pairs of their interfaces."""

    def __init__(
        self,
        sources: Sequence[Source],
        taps: Sequence[tuple[str, str]] = (),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lanes = [_Lane(source) for source in sources]
        self._sample = Sample()
        self._monotonic = monotonic
        self._selector = selectors.DefaultSelector()
        self._polls = any(source.fileno() < 0 for source in sources)
        for source in sources:
            if source.fileno() >= 0:
                self._selector.register(source.fileno(), selectors.EVENT_READ)
        named = {lane.source.interface: lane for lane in self._lanes}
        self.taps = [Tap(pair) for pair in taps]
        for tap in self.taps:
            first, second = (named[name] for name in tap.interfaces)
            first.tap = second.tap = tap
            first.other, second.other, second.side = second, first, 1

    def wait(self, wait_s: float) -> None:
        """Until something arrives, or it is time to look again at what waits for the other side of a tap."""
        if any(lane.batch is not None for lane in self._lanes):
            # A ring is ready to be read for as long as one of its blocks is held.
            time.sleep(min(wait_s, LOOK_S))
        else:
            self._selector.select(0 if self._polls else wait_s)

    def batches(self, flush: bool = False) -> Iterator[tuple[str, Batch]]:
        """(interface that names the realm, frames) of what is ready, at most a round of each source.

        A batch is valid until the next one is asked for. `flush`: nothing waits for anything any more.
        """
        now_s = self._monotonic()
        for lane in self._lanes:
            lane.look(now_s)
        while True:
            filled = [(n, lane) for n, lane in enumerate(self._lanes) if lane.fill(now_s, self._sample)]
            free = sorted((lane.ts_ns, n) for n, lane in filled if flush or lane.free(now_s))
            if not free:
                return
            lane = self._lanes[free[0][1]]
            rival = (free[1][0], free[1][1] < free[0][1]) if len(free) > 1 else None
            yield lane.name, lane.take(rival)

    def take_sample(self) -> Sample:
        """What samples have shown since this was asked last."""
        sample, self._sample = self._sample, Sample()
        return sample

    def close(self) -> None:
        """Let go of the sources, which are not closed."""
        self._selector.close()
