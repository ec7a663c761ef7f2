"""One job of a sensor, in a process of its own: takes its share of the frames, and tells the sensor through a pipe.

It never lets go of a block of frames before the alerts in it are on the disk: it says `Raised` and waits for COMMITTED.
Whatever else it is asked meanwhile it does afterwards. Everything else it tells when asked, or once a second.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection
from typing import Any, Final, NamedTuple

from otmon.alerts.episodes import Episode
from otmon.engine.glance import Conduit, Counted
from otmon.sensor.frametime import FrameTime
from otmon.sensor.front import Alone, Busy
from otmon.sensor.sample import Sample
from otmon.site.part import Part

WAIT_S: Final = 0.1
"""Longest wait for frames: how late an order may be noticed."""
JUDGE_CONNECTIONS_S: Final = 0.25
PULSE_S: Final = 1.0

# --- from the sensor -------------------------------------------------------------------------------------------------
COMMITTED: Final = "committed"
FINISH: Final = "finish"
ADOPT: Final = "adopt"
"""A policy follows once `READY` was said: then nobody sends, and a long message cannot meet another one."""


class Harvest(NamedTuple):
    """Tell what was seen."""

    final: bool


# --- to the sensor ---------------------------------------------------------------------------------------------------
READY: Final = "ready"
FINISHED: Final = "finished"


class Raised(NamedTuple):
    """New episodes. What comes next waits until they are committed."""

    episodes: list[Episode]


class Harvested(NamedTuple):
    """What was seen since the last harvest."""

    part: Part
    sample: Sample
    episodes: list[Episode]
    """Those that are otherwise than they were told."""
    taken: dict[str, int]
    """Interface -> frames since the job began."""


class Pulse(NamedTuple):
    """It is alive."""

    last_ts_ns: int
    counted: Counted
    busy: dict[Conduit, tuple[int, int]]
    """Empty if nobody looks."""
    crowded: bool
    """A harvest should come soon."""


class Job:
    """Works until the sensor lets go of the pipe."""

    def __init__(
        self,
        front: Alone,
        pipe: Connection,
        episodes: Iterable[Episode],
        *,
        look: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._front, self._pipe, self._monotonic = front, pipe, monotonic
        front.commit = self._raise
        front.episodes.resume(episodes)
        self._sent = {episode.id: episode.state for episode in front.episodes.all}
        self._raised = len(front.episodes.all)
        self._time = FrameTime(monotonic)
        self._busy: Busy = front.busy() if look else dict
        self._orders: deque[Any] = deque()
        self._crowded = False
        self._judge_s = self._pulse_s = monotonic()

    def work(self) -> None:
        """Raises EOFError or ConnectionError in the end."""
        while True:
            self._front.wait(WAIT_S)
            self._front.take()
            self._time.see(self._front.last_ts_ns)
            now_s = self._monotonic()
            if now_s >= self._judge_s:
                self._judge_s = now_s + JUDGE_CONNECTIONS_S
                self._crowded |= self._front.judge(self._time.now_ns())
            if now_s >= self._pulse_s:
                self._pulse_s = now_s + PULSE_S
                self._pulse()
            while self._pipe.poll():
                self._orders.append(self._pipe.recv())
            while self._orders:
                self._obey(self._orders.popleft())

    def _pulse(self) -> None:
        self._pipe.send(Pulse(self._front.last_ts_ns, self._front.counted(), self._busy(), self._crowded))
        self._crowded = False

    def _raise(self) -> None:
        """New episodes are on the disk when this returns."""
        new = self._front.episodes.all[self._raised :]
        if not new:
            return
        self._front.count_hits()
        self._pipe.send(Raised(self._told(new)))
        self._raised = len(self._front.episodes.all)
        while (order := self._pipe.recv()) != COMMITTED:
            self._orders.append(order)

    def _told(self, episodes: list[Episode]) -> list[Episode]:
        for episode in episodes:
            episode.keep_name()
            self._sent[episode.id] = episode.state
        return episodes

    def _obey(self, order: Any) -> None:
        if isinstance(order, Harvest):
            self._harvest(order.final)
        elif order == ADOPT:
            self._pipe.send(READY)
            self._front.adopt(self._pipe.recv())
            self._raise()
        elif order == FINISH:
            self._front.finish()
            self._raise()
            self._pipe.send(FINISHED)
            while True:  # what arrives from now on is not taken
                self._obey(self._pipe.recv())

    def _harvest(self, final: bool) -> None:
        front, now_ns = self._front, self._time.now_ns()
        part, sample = front.harvest(None if final else now_ns)
        part.episodes = []
        changed = self._told([e for e in front.episodes.all if self._sent.get(e.id) != e.state])
        self._pipe.send(Harvested(part, sample, changed, dict(front.taken)))
        for episode in front.retire(now_ns):
            self._sent.pop(episode.id, None)
        self._raised = len(front.episodes.all)
        front.forget(now_ns)


def leave_open(kept: Iterable[int]) -> None:
    """In a process that was forked: close every file but these and the standard ones.

    The database, the listening sockets and the other pipes are the sensor's alone, and a pipe ends only when nobody
    holds it.
    """
    last = 2
    for descriptor in sorted({number for number in kept if number > 2}):
        os.closerange(last + 1, descriptor)
        last = descriptor
    os.closerange(last + 1, os.sysconf("SC_OPEN_MAX"))
