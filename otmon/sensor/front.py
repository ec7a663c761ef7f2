"""What takes frames and judges them for a sensor: this process alone, or several (otmon.sensor.crew)."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from otmon.alerts.episodes import Episode, Episodes
from otmon.engine.glance import Conduit, Counted
from otmon.engine.run import Run
from otmon.sensor.health import Finding
from otmon.sensor.intake import Intake, Tap
from otmon.sensor.sample import Sample
from otmon.sensor.source import Source
from otmon.site.part import Part

if TYPE_CHECKING:
    from otmon.policy.judge import Policy

Busy = Callable[[], dict[Conduit, tuple[int, int]]]
"""Gives (frames, operations) of each conduit since the last time."""


class Front(Protocol):
    """Whoever uses it sets `commit`, which is called whenever there may be new episodes: they are to be on the disk
    when it returns, and then the frames that raised them are given back.
    """

    commit: Callable[[], None]
    taps: Sequence[Tap]
    episodes: Episodes

    @property
    def last_ts_ns(self) -> int:
        """Time of the last frame, 0 before the first."""

    def wait(self, wait_s: float) -> None:
        """Until something arrives."""

    def take(self, flush: bool = False) -> None:
        """Take all that is ready. `flush`: nothing waits for anything any more."""

    def judge(self, now_ns: int) -> bool:
        """Judge connections, close those that ended; whether a harvest should come soon, because a table is full."""

    def count_hits(self) -> None:
        """Give the episodes what was counted for them."""

    def harvest(self, now_ns: int | None) -> tuple[Part, Sample]:
        """What was seen since the last time, see Collector.harvest, and what samples have shown."""

    def retire(self, now_ns: int) -> list[Episode]:
        """Let go of episodes that ended, once they are written down."""

    def forget(self, now_ns: int) -> None:
        """After a harvest: let go of what was not seen for long."""

    def adopt(self, policy: "Policy") -> None:
        """Judge by this policy from now on."""

    def findings(self) -> Iterator[Finding]:
        """What went wrong here since the last time."""

    def counted(self) -> Counted:
        """Counters since the last harvest."""

    def busy(self) -> Busy:
        """To see which conduits are busy, from look to look."""

    def finish(self) -> None:
        """Nothing more comes: take what is there and settle what is open. `harvest(None)` is to follow."""

    def close(self) -> None:
        """Let go of everything but the sources."""


class Alone:
    """Takes and judges all frames of these sources in this process."""

    def __init__(
        self,
        sources: Sequence[Source],
        policy: "Policy | None",
        taps: Sequence[tuple[str, str]] = (),
        monotonic: Callable[[], float] = time.monotonic,
        **options: Any,
    ) -> None:
        self.commit: Callable[[], None] = lambda: None
        self._run = Run(policy, **options)
        self._intake = Intake(sources, taps, monotonic)
        self.taps: Sequence[Tap] = self._intake.taps
        self.episodes = self._run.episodes
        self.taken: Counter[str] = Counter()
        """Interface -> frames."""
        self.wait, self.close = self._intake.wait, self._intake.close
        self.count_hits, self.retire, self.forget = self._run.count_hits, self._run.retire, self._run.forget
        self.adopt, self.counted = self._run.adopt, self._run.counted

    @property
    def last_ts_ns(self) -> int:
        """Time of the last frame, 0 before the first."""
        return self._run.last_ts_ns

    def take(self, flush: bool = False) -> None:
        """Take all that is ready. `flush`: nothing waits for anything any more."""
        for interface, batch in self._intake.batches(flush):
            self._run.enter(interface)
            self._run.feed(batch)
            self.taken[interface] += len(batch.records)
            self.commit()

    def judge(self, now_ns: int) -> bool:
        """Judge connections, close those that ended; whether a harvest should come soon, because a table is full."""
        self._run.judge_connections(now_ns)
        self._run.sample(now_ns)
        self.commit()
        return self._run.age(now_ns)

    def harvest(self, now_ns: int | None) -> tuple[Part, Sample]:
        """What was seen since the last time, and what samples have shown."""
        return self._run.harvest(now_ns), self._intake.take_sample()

    def findings(self) -> Iterator[Finding]:
        """Who works alone cannot be found to be gone."""
        return iter(())

    def busy(self) -> Busy:
        """To see which conduits are busy, from look to look."""
        return self._run.busy().look

    def finish(self) -> None:
        """Nothing more comes."""
        self.take(flush=True)
        self._run.finish()
