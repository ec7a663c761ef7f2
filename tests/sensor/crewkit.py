"""A sensor whose jobs are real processes, over frames that the test deals to each: no ring, no root."""

import mmap
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from otmon.policy.load import load_bytes
from otmon.sensor.clockwatch import ClockWatch
from otmon.sensor.crew import Crew
from otmon.sensor.spread import Spread
from otmon.sensor.watch import Sensor
from otmon.store.sensor import SiteStore
from tests.capture.test_share import job_of
from tests.engine.world import Frame
from tests.sensor.deal import Clock, Deal
from tests.sensor.feed import SYNCHRONISED

PATIENCE_S = 20.0
_FRAMES, _NEXT, _READING = range(3)


def words(count: int) -> Any:
    """Numbers that forked processes share."""
    return np.frombuffer(mmap.mmap(-1, mmap.PAGESIZE), np.int64)[:count]


class SharedClock(Clock):
    """One that the test turns for all processes."""

    def __init__(self) -> None:
        self._ns = words(1)

    @property
    def now_s(self) -> float:
        return int(self._ns[0]) / 1e9

    @now_s.setter
    def now_s(self, value: float) -> None:
        self._ns[0] = int(value * 1e9)


class Passing(Clock):
    """The real one."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()

    @property
    def now_s(self) -> float:
        return time.monotonic() - self._began_s


class Shared(Deal):
    """As a ring does: what was read is known in every process."""

    def __init__(self, *arguments: Any) -> None:
        self.told = words(3)
        self._nothing_comes, self._other_end = os.pipe()
        super().__init__(*arguments)

    frames = property(lambda self: int(self.told[_FRAMES]), lambda self, n: self.told.__setitem__(_FRAMES, n))
    _next = property(lambda self: int(self.told[_NEXT]), lambda self, n: self.told.__setitem__(_NEXT, n))

    def fileno(self) -> int:
        return self._nothing_comes

    def batches(self) -> Any:
        for batch in super().batches():
            self.told[_READING] = 1
            yield batch
            self.told[_READING] = 0

    @property
    def reading(self) -> bool:
        """Somebody has a batch that was not given back."""
        return bool(self.told[_READING])

    def take_over(self) -> None:
        if self.reading:
            self.told[_NEXT] += 1
            self.told[_READING] = 0

    @property
    def info(self) -> Any:
        return replace(super().info, bytes=100 * self.frames)

    def close(self) -> None:
        os.close(self._nothing_comes)
        os.close(self._other_end)


Batches = list[tuple[float, list[Frame]]]


def dealt(frames: Sequence[Frame], jobs: int, at_s: Sequence[float] = (0.0, 30.0)) -> list[Batches]:
    """For each job the frames that it would take, in as many batches as there are moments."""
    ends = [len(frames) * (n + 1) // len(at_s) for n in range(len(at_s))]
    parts = [frames[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    return [
        [(s, [f for f in part if job_of(f.data, jobs) == job]) for s, part in zip(at_s, parts, strict=True)]
        for job in range(jobs)
    ]


class Crewed:
    """The sensor and what it stands on."""

    def __init__(self, sensor: Sensor, crew: Crew, sources: list[Shared], clock: Clock, store: SiteStore) -> None:
        self.sensor, self.crew, self.sources, self.clock, self.store = sensor, crew, sources, clock, store

    def until(self, done: Callable[[], Any]) -> None:
        """Step until it is so."""
        give_up = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < give_up, "it did not come"
            self.sensor.step(0.05)

    def all_taken(self) -> bool:
        """Every batch that is there was read and given back."""
        return all(s._next >= s._there and not s.reading for s in self.sources)

    def pids(self) -> list[int]:
        return [worker.pid for worker in self.crew._workers if worker.pipe is not None]


@contextmanager
def crew_of(
    folder: Path, shares: Sequence[Batches], policy: str | None = None, clock: Clock | None = None, **options: Any
) -> Iterator[Crewed]:
    """A sensor of as many jobs as there are shares of frames; not finished at the end."""
    clock = clock or SharedClock()
    sources = [Shared("span0", n, batches, clock) for n, batches in enumerate(shares)]
    spread = Spread(sources)
    judged = load_bytes(policy.encode(), "p") if policy is not None else None
    watch = ClockWatch(lambda: SYNCHRONISED)
    crew = Crew([spread], judged, monotonic=clock, seed=1)
    with SiteStore(folder / "site.db", judged.site if judged else "default") as store:
        sensor = Sensor([spread], store, judged, front=crew, monotonic=clock, clock=watch, **options)
        try:
            yield Crewed(sensor, crew, sources, clock, store)
        finally:
            crew.close()
