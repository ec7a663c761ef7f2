"""The jobs of a sensor: processes that share its frames by address pair, while this one owns the database.

Each is forked from here, so it has what was opened before (its rings) and no more rights than this process, and one
that died is simply forked anew: it goes on with the same rings, the policy in force and the alerts that are known here.
"""

import gc
import logging
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe, wait
from typing import TYPE_CHECKING, Any, Final

from otmon.alerts.episodes import MANY, Episode, Episodes
from otmon.capture.kernel import PR_SET_PDEATHSIG, prctl
from otmon.engine.glance import Conduit, Counted
from otmon.sensor import job as j
from otmon.sensor.front import Alone, Busy
from otmon.sensor.health import Finding
from otmon.sensor.hearing import Nonsense, hear
from otmon.sensor.intake import Tap
from otmon.sensor.logs import say
from otmon.sensor.sample import Sample
from otmon.sensor.spread import Shared, Spread
from otmon.site.part import Part, add_counts, merge

if TYPE_CHECKING:
    from otmon.policy.judge import Policy

STUCK_S: Final = 60.0
"""A job that says nothing for so long is ended by force: it speaks once a second, and after each block of frames."""
AWAY_S: Final = 5.0
"""If nobody listened for longer, all were stopped together, or the disk took long: what the jobs say comes late."""
END_S: Final = 5.0
"""Longest wait for jobs that were told to end."""
FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 60.0
"""Before a job that died begins again; doubled up to the longest, and the first again if it lived for longer."""
SLACK_NS: Final = 300 * 1_000_000_000
"""Alerts that ended are kept for longer here than in the jobs, whose clocks may be behind."""
_NOTHING: Final = Counted({}, {}, {})


class _Worker:
    """One job as it is seen from here."""

    def __init__(self, number: int, rings: Sequence[Shared]) -> None:
        self.number, self.rings = number, rings
        self.pid = 0
        self.pipe: Connection | None = None
        """None: it does not run."""
        self.answer: Any = None
        self.counted = _NOTHING
        self.crowded = False
        self.read = [ring.info.frames for ring in rings]
        """Frames of each ring that were told, or lost."""
        self.taken: dict[str, int] = {}
        self.began_s = self.heard_s = 0.0
        self.wait_s, self.again_s = FIRST_WAIT_S, 0.0


class Crew:
    """In place of `Alone`. `confine` is called in each job, first of all; `look`: somebody will ask how busy conduits
    are; `options`: of Run.
    """

    def __init__(
        self,
        sources: Sequence[Spread],
        policy: "Policy | None",
        *,
        look: bool = False,
        confine: Callable[[], object] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
        **options: Any,
    ) -> None:
        self.commit: Callable[[], None] = lambda: None
        self.taps: Sequence[Tap] = ()
        self.episodes = Episodes(policy.site if policy is not None else "default")
        self.last_ts_ns = 0
        self._sources, self._policy, self._confine = sources, policy, confine
        self._looked_at, self._monotonic, self._options = look, monotonic, options
        self._workers = [_Worker(n, rings) for n, rings in enumerate(zip(*(s.rings for s in sources), strict=True))]
        self._known: dict[str, Episode] = {}
        self._owners: dict[str, int] = {}
        """Id of an episode -> the job that told of it."""
        self._listened_s = self._back_s = monotonic()
        self._findings: list[Finding] = []
        self._busy: dict[Conduit, tuple[int, int]] = {}

    # --- processes ---------------------------------------------------------------------------------------------------

    def _start(self, worker: _Worker) -> None:
        # What is known by now goes on; an alert that all pairs share, in one job alone.
        self._known = {e.id: e for e in self.episodes.all}
        going_on = [e for e in self.episodes.all if e.op is not None and (e.key.client != MANY or not worker.number)]
        ours, theirs = Pipe()
        parent = os.getpid()
        worker.pid = os.fork()
        if not worker.pid:
            self._work(worker, theirs, going_on, parent)
        theirs.close()
        worker.pipe, worker.taken = ours, {}
        worker.began_s = worker.heard_s = self._monotonic()

    def _work(self, worker: _Worker, pipe: Connection, going_on: Sequence[Episode], parent: int) -> None:
        """In the process of the job; ends with it."""
        status = 1
        try:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)  # the sensor says when to end
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() == parent:
                j.leave_open([pipe.fileno(), *(ring.fileno() for ring in worker.rings)])
                gc.freeze()  # what is the sensor's is not touched, and its pages stay shared
                self._confine()
                share = len(self._workers)
                front = Alone(worker.rings, self._policy, monotonic=self._monotonic, share=share, **self._options)
                j.Job(front, pipe, going_on, look=self._looked_at, monotonic=self._monotonic).work()
        except (EOFError, ConnectionError):
            status = 0  # the sensor let go of it
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def _bury(self, worker: _Worker) -> None:
        """It is dead, or is to be."""
        assert worker.pipe is not None
        worker.pipe.close()
        worker.pipe = None
        os.kill(worker.pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(worker.pid, 0)[1])
        lost = self._lost(worker)
        for episode in self.episodes.all:
            going_on = self.last_ts_ns - episode.last_ts_ns <= 2 * self.episodes.quiet_ns
            if episode.op is not None and going_on and self._owners.get(episode.id, worker.number) == worker.number:
                episode.at_least = True
        worker.counted, now_s = _NOTHING, self._monotonic()
        if now_s - worker.began_s > LONGEST_WAIT_S:
            worker.wait_s = FIRST_WAIT_S
        worker.again_s = now_s + worker.wait_s
        worker.wait_s = min(2 * worker.wait_s, LONGEST_WAIT_S)
        message = f"job {worker.number} ended by force ({status}): {lost:,} frames that it had read were not counted"
        say(logging.ERROR, "job_ended", message, job=worker.number, frames=lost)
        interfaces = ", ".join(source.interface for source in self._sources)
        self._findings.append(Finding("job_ended", interfaces, lost))

    def _lost(self, worker: _Worker) -> int:
        """Frames that it read and did not tell of."""
        total = 0
        for n, (source, ring) in enumerate(zip(self._sources, worker.rings, strict=True)):
            ring.take_over()
            frames = ring.info.frames
            lost = frames - worker.read[n] - worker.taken.get(source.interface, 0)
            worker.read[n] = frames
            source.lost += lost
            total += lost
        return total

    # --- messages ----------------------------------------------------------------------------------------------------

    @staticmethod
    def _tell(worker: _Worker, order: Any) -> None:
        """A job that is dead is buried when all that it said was heard."""
        if worker.pipe is not None:
            with suppress(OSError):
                worker.pipe.send(order)

    def _ask(self, order: Any) -> list[_Worker]:
        """Those that answered; meanwhile all are heard."""
        asked = [worker for worker in self._workers if worker.pipe is not None]
        for worker in asked:
            worker.answer = None
            self._tell(worker, order)
        while any(worker.pipe is not None and worker.answer is None for worker in asked):
            self._listen(j.WAIT_S)
            self.commit()
        return [worker for worker in asked if worker.answer is not None]

    def _listen(self, wait_s: float) -> None:
        """Hear one message of each job that says something, and see to those that do not."""
        pipes = {worker.pipe: worker for worker in self._workers if worker.pipe is not None}
        ready = wait(list(pipes), wait_s)
        now_s, before_s = self._monotonic(), self._listened_s
        self._listened_s = now_s
        if now_s - before_s > AWAY_S:
            self._back_s = now_s
        for pipe, worker in pipes.items():
            if pipe in ready:
                self._hear(worker, pipe)
            elif worker.pipe is not None and now_s - max(worker.heard_s, self._back_s) > STUCK_S:
                self._bury(worker)

    def _hear(self, worker: _Worker, pipe: Connection) -> None:
        try:
            message = hear(pipe)
        except (EOFError, OSError, Nonsense) as error:
            if isinstance(error, Nonsense):
                sentence = f"job {worker.number} said what no job says: {error}"
                say(logging.ERROR, "job_nonsense", sentence, job=worker.number)
            self._bury(worker)
            return
        worker.heard_s = self._monotonic()
        if isinstance(message, j.Raised):
            self._mirror(worker, message.episodes)
            self.commit()
            self._tell(worker, j.COMMITTED)
        elif isinstance(message, j.Pulse):
            self.last_ts_ns = max(self.last_ts_ns, message.last_ts_ns)
            worker.counted = message.counted
            worker.crowded |= message.crowded
            for conduit, (frames, operations) in message.busy.items():
                before = self._busy.get(conduit, (0, 0))
                self._busy[conduit] = before[0] + frames, before[1] + operations
        else:
            if isinstance(message, j.Harvested):
                worker.taken, worker.counted = message.taken, _NOTHING
                self._mirror(worker, message.episodes)
            worker.answer = message

    def _mirror(self, worker: _Worker, episodes: Sequence[Episode]) -> None:
        """Episodes here are as they are in the jobs."""
        for episode in episodes:
            self._owners[episode.id] = worker.number
            known = self._known.setdefault(episode.id, episode)
            if known is episode:
                self.episodes.resume([episode])
            else:
                known.become(episode)
            self.last_ts_ns = max(self.last_ts_ns, episode.last_ts_ns)

    # --- as otmon.sensor.front says ----------------------------------------------------------------------------------

    def wait(self, wait_s: float) -> None:
        """Until something arrives. Begins the jobs that do not run."""
        now_s = self._monotonic()
        for worker in self._workers:
            if worker.pipe is None and now_s >= worker.again_s:
                if worker.pid:
                    say(logging.WARNING, "job_begun", f"job {worker.number} begins anew", job=worker.number)
                try:
                    self._start(worker)
                except OSError as error:  # no process to be had: what its ring cannot hold meanwhile is counted
                    message = f"job {worker.number} cannot begin: {error.strerror}"
                    say(logging.ERROR, "job_ended", message, job=worker.number)
                    worker.again_s = now_s + LONGEST_WAIT_S
        pipes = [worker.pipe for worker in self._workers if worker.pipe is not None]
        if pipes:
            wait(pipes, wait_s)
        else:
            time.sleep(wait_s)

    def take(self, flush: bool = False) -> None:
        """Hear what the jobs say."""
        self._listen(0)

    def judge(self, now_ns: int) -> bool:
        """Jobs judge on their own; whether one of them wants a harvest soon."""
        crowded = any(worker.crowded for worker in self._workers)
        for worker in self._workers:
            worker.crowded = False
        return crowded

    def count_hits(self) -> None:
        """Jobs did before they told."""

    def harvest(self, now_ns: int | None) -> tuple[Part, Sample]:
        """What all jobs have seen since the last time."""
        told = [worker.answer for worker in self._ask(j.Harvest(now_ns is None))]
        sample = Sample()
        for one in told:
            sample.add(one.sample)
        return merge([one.part for one in told]), sample

    def retire(self, now_ns: int) -> list[Episode]:
        """Let go of episodes that ended, once they are written down."""
        ended = self.episodes.retire(now_ns - SLACK_NS)
        for episode in ended:
            self._known.pop(episode.id, None)
            self._owners.pop(episode.id, None)
        return ended

    def forget(self, now_ns: int) -> None:
        """Jobs do after each harvest."""

    def adopt(self, policy: "Policy") -> None:
        """Judge by this policy from now on."""
        self._policy = policy
        for worker in self._ask(j.ADOPT):
            self._tell(worker, policy)

    def findings(self) -> Iterator[Finding]:
        """Jobs that died since the last time."""
        found, self._findings = self._findings, []
        return iter(found)

    def counted(self) -> Counted:
        """Counters since the last harvest, a second old."""
        total = _NOTHING
        for worker in self._workers:
            total = Counted(*(add_counts(a, b) for a, b in zip(total, worker.counted, strict=True)))
        return total

    def busy(self) -> Busy:
        """To see which conduits are busy, from look to look."""
        return self._look

    def _look(self) -> dict[Conduit, tuple[int, int]]:
        found, self._busy = self._busy, {}
        return found

    def finish(self) -> None:
        """Nothing more comes. Frames wait for a job that does not run, too."""
        for worker in self._workers:
            worker.again_s = 0.0
        self.wait(0)
        self._ask(j.FINISH)

    def close(self) -> None:
        """End the jobs."""
        running = [worker for worker in self._workers if worker.pipe is not None]
        for worker in running:
            assert worker.pipe is not None
            worker.pipe.close()
            worker.pipe = None
        until_s = time.monotonic() + END_S
        for worker in running:
            while not os.waitpid(worker.pid, os.WNOHANG)[0]:
                time.sleep(0.01)
                if time.monotonic() > until_s:
                    os.kill(worker.pid, signal.SIGKILL)
