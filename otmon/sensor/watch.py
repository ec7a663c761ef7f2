"""The sensor's loop: read, judge, commit new alerts at once and everything else at checkpoints."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from otmon.alerts.devices import note_changes, note_strangers
from otmon.alerts.episodes import Episode
from otmon.alerts.record import as_record
from otmon.capture.errors import safe_path
from otmon.engine.points import points_per_s
from otmon.sensor import care, inbox, orders
from otmon.sensor.clockwatch import ClockWatch
from otmon.sensor.dispatch import LOOK_S, Dispatch
from otmon.sensor.frametime import FrameTime
from otmon.sensor.front import Alone, Front
from otmon.sensor.health import SENSORS_OWN, Finding, Health, findings, report
from otmon.sensor.logs import say
from otmon.sensor.source import Source
from otmon.sensor.told import LATEST, Told
from otmon.sensor.totals import Totals
from otmon.site.habits import strangers
from otmon.site.ledger import enter, same_block
from otmon.site.not_judged import nothing_judged
from otmon.site.part import UNITE, Part, bounded, joined, united
from otmon.site.site import Site
from otmon.store.audit import AuditFull
from otmon.store.errors import StoreFull
from otmon.store.sensor import SiteStore

if TYPE_CHECKING:
    from otmon.capture.privileges import Dropped
    from otmon.policy.judge import Policy

WAIT_S: Final = 0.1
"""Longest wait for frames: how late a signal, a connection to be judged or a checkpoint may be noticed."""
JUDGE_CONNECTIONS_S: Final = 0.25
CHECKPOINT_S: Final = 60.0
FIRST_S: Final = 10.0
"""The first checkpoint comes early: whoever has just started a sensor looks whether it works."""
CROWDED_CHECKPOINT_S: Final = 2.0
"""The same while a table is nearly full: what is told can be forgotten."""
BYTES_PER_S: Final = 20_000
"""Most that checkpoints write on average (72 MB an hour: an SD card lives); they come less often if they write more."""
LOOK_AT_POLICY_S: Final = 2.0
DESCRIBE_S: Final = 300.0
"""How often assets are worked out anew."""
FORGET_S: Final = 3600.0
"""How often what is too old is removed from the database."""
FULL_S: Final = 60.0
"""How often a full disk is said in the log."""
AGAIN_S: Final = 1.0
"""How long alerts wait after they could not be written."""
RUNNING: Final = "running"
"""Meta key: "1" while a sensor runs; found at the start, the one before was ended by force."""


class Sensor:
    """Watches sources until told to stop. `monotonic` is time.monotonic, injected in tests.

    Between frames the time is that of the last one plus what has passed since: setting the machine's clock does not
    touch it. `front`: who takes and judges the frames of these sources, if that is not done in this process; `options`
    are those of Run. Raises StoreError, StoreGone (one of them) if the database was taken away.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        store: SiteStore,
        policy: "Policy | None" = None,
        *,
        taps: Sequence[tuple[str, str]] = (),
        front: Front | None = None,
        orders: "orders.Orders | None" = None,
        monotonic: Callable[[], float] = time.monotonic,
        checkpoint_s: float = CHECKPOINT_S,
        clock: ClockWatch | None = None,
        dropped: "Dropped | None" = None,
        **options: Any,
    ) -> None:
        self.sources = list(sources)
        self.policy = policy
        options = {"points_per_s": points_per_s(store.spooled), **options}
        self.front: Front = front or Alone(sources, policy, taps, monotonic, **options)
        self.store = store
        self._orders = orders
        self._monotonic = monotonic
        self._checkpoint_s = checkpoint_s
        self._time = FrameTime(monotonic)
        self._say_who(Site(store.outline(), policy, store.site))
        self._resume()
        self._unsaved: Part | None = None
        """What a full disk did not take."""
        self.clock = clock or ClockWatch()
        self.health = Health(self.sources, self.front.taps, clock=self.clock, dropped=dropped)
        self.totals, self.told = Totals(monotonic()), Told()
        self.totals.count(store)
        self._care = care.Care(self.sources, monotonic())
        now_s = monotonic()
        self._due: dict[Callable[[], None], float] = {
            self._judge_connections: now_s,
            self._look_after: now_s,
            self._look_at_inbox: now_s,
            self._look_at_policy: now_s,  # after the inbox: a permit holds from the moment at which it was taken
            self.checkpoint: now_s + min(checkpoint_s, FIRST_S),
            self.describe: now_s + min(checkpoint_s, FIRST_S) + 0.5,
            self._forget: now_s + FORGET_S,
        }
        self._every = {
            self._judge_connections: JUDGE_CONNECTIONS_S,
            self._look_after: care.LOOK_S,
            self._look_at_policy: LOOK_AT_POLICY_S,
            self._look_at_inbox: inbox.LOOK_S,
            self.checkpoint: checkpoint_s,
            self.describe: DESCRIBE_S,
            self._forget: FORGET_S,
        }
        self._policy_asked = False
        self._inbox = inbox.Inbox(store)
        self.dispatch: Dispatch | None = None
        self._beat: Callable[[], None] = lambda: None
        self._said_full_s = self._again_s = -FULL_S
        self.front.commit = self._taken
        self.audit("sensor_started", "The sensor watches.", interfaces=", ".join(s.interface for s in self.sources))
        if policy is not None:
            self.audit("policy_loaded", "A policy is in force.", path=safe_path(policy.path), sha256=policy.sha256)
            if policy.watched:
                text = "the last value is not known yet: their limits hold from the first read or write of each on"
                say(logging.WARNING, "points_unknown", f"of points with step or rate ({len(policy.watched)}) {text}")

    def _resume(self) -> None:
        """Go on with the episodes of an earlier run."""
        self.episodes = self.front.episodes
        # What could not be seen is worked out anew from what is stored when files are written.
        self.episodes.resume(e for e in self.store.episodes() if e.op is not None or e.key.function in SENSORS_OWN)
        if self.store.meta(RUNNING) == "1":
            message = "the sensor was ended by force: counts since its last checkpoint are lost, alerts are not"
            say(logging.WARNING, "ended_by_force", message)
            latest_ts_ns = max((e.last_ts_ns for e in self.episodes.all), default=0)
            for episode in self.episodes.all:
                # What had been quiet for long before was over, and its count is whole.
                episode.at_least |= latest_ts_ns - episode.last_ts_ns <= 2 * self.episodes.quiet_ns
        self.store.set_meta(RUNNING, "1")
        self._committed = len(self.episodes.all)
        self._saved = {e.id: e.state for e in self.episodes.all if not e.at_least}
        self._known = {e.id for e in self.episodes.all}
        """Alerts that were told."""

    def watch(self, stopping: Callable[[], bool], beat: Callable[[], None] = lambda: None) -> None:
        """Until `stopping()`; `beat` is called at every turn, ten times a second or more."""
        self._beat = beat
        while not stopping():
            self.step()
            beat()

    def step(self, wait_s: float = WAIT_S) -> None:
        """Wait for frames, take all that are ready, do what is due."""
        self.front.wait(wait_s)
        self.front.take()
        self._time.see(self.front.last_ts_ns)
        now_s = self._monotonic()
        for task, due_s in self._due.items():
            if now_s >= due_s:
                self._due[task] = now_s + self._every[task]
                task()

    def _taken(self) -> None:
        """A batch of frames was taken."""
        self._commit()
        self._beat()

    def every(self, seconds: float, task: Callable[[], None], name: str) -> None:
        """Do something beside: the view, metrics. What fails is given up, and the watch goes on."""

        def guarded() -> None:
            try:
                task()
            except Exception:
                logging.getLogger("otmon").exception("%s failed and is given up; the watch goes on", name)
                self._every[guarded] = float("inf")
                self._due[guarded] = float("inf")

        self._due[guarded], self._every[guarded] = self._monotonic(), seconds

    def deliver(self, dispatch: Dispatch) -> None:
        """From now on look after the spool too."""
        self.dispatch = dispatch
        self._due[self._look_after_spool], self._every[self._look_after_spool] = self._monotonic(), LOOK_S

    def _look_after_spool(self) -> None:
        found: list[Finding] = []
        dispatch = self.dispatch
        if dispatch is not None and self._try(lambda: found.extend(dispatch.look(self.now_ns()))):
            self._report(found)

    def audit(self, action: str, message: str, **detail: str) -> None:
        """Enter what was done with the sensor in the audit log (docs/records/audit.schema.json)."""
        record = {"action": action, "detail": detail, "message": message, "ts_ns": time.time_ns()}
        try:
            self._try(lambda: self.store.audit(record))
        except AuditFull as error:
            say(logging.ERROR, "audit_full", f"not in the audit log: {message} {error}")

    def steady_s(self) -> float:
        """The clock that nobody sets."""
        return self._monotonic()

    def going_on(self) -> list[dict[str, Any]]:
        """The newest alerts of those that did not end, as records, oldest first."""
        return [as_record(episode, self.site) for episode in self.episodes.all[-LATEST:]]

    def now_ns(self) -> int:
        """The time by frames; that of the machine before the first one."""
        return self._time.now_ns()

    # --- what is due -------------------------------------------------------------------------------------------------

    def _judge_connections(self) -> None:
        crowded = self.front.judge(self.now_ns())
        self._commit()
        if crowded:
            soon_s = self._monotonic() + CROWDED_CHECKPOINT_S
            self._due[self.checkpoint] = min(self._due[self.checkpoint], soon_s)

    def _look_after(self) -> None:
        self.clock.look()
        self.store.look()
        self._report(self._care.look(self._monotonic()))
        self._report(self.front.findings())

    def ask_for_policy(self) -> None:
        """Read the policy's file again, changed or not (SIGHUP)."""
        self._policy_asked = True

    def _look_at_policy(self) -> None:
        if self._orders is None or self.policy is None:
            return
        asked, self._policy_asked = self._policy_asked, False
        broken, fresh = self._orders.broken, None
        found: list[Policy | None] = []
        orders_ = self._orders
        if self._try(lambda: found.append(orders_.fresh(asked))):
            (fresh,) = found
        if self._orders.broken is not None and self._orders.broken != broken:
            self._report([Finding("policy_broken", str(self._orders.path), 0, {"error": self._orders.broken})])
            self.audit("policy_broken", self._orders.broken, path=str(self._orders.path))
        if fresh is not None:
            if fresh.sha256 != self.policy.sha256:
                orders.say_adopted(self._orders.path, self.policy, fresh)
                changed = {"path": safe_path(fresh.path), "sha256": fresh.sha256, "before": self.policy.sha256}
                self.audit("policy_changed", "Another policy is in force.", **changed)
            self.checkpoint()  # what was seen by now is compared, and kept as the old policy judged it
            for line in orders.change(self.policy, fresh, self.store.outline().operations, self.now_ns()).lines():
                say(logging.WARNING, "policy_change", line)
            self.policy = self._orders.policy = fresh
            self.front.adopt(fresh)
            self.describe()

    def _look_at_inbox(self) -> None:
        self._try(self._inbox.look)

    def _report(self, found: Iterable[Finding]) -> None:
        for finding in found:
            report(self.episodes, finding, self.now_ns())
        self._commit()

    def _forget(self) -> None:
        self._try(lambda: self.store.forget(self.now_ns()))

    # --- what is written ---------------------------------------------------------------------------------------------

    def _commit(self) -> None:
        """New alerts go to disk before the next batch is read."""
        if self._committed == len(self.episodes.all) or self._monotonic() < self._again_s:
            return
        self.front.count_hits()
        if self._save(self.episodes.all[self._committed :]):
            self._committed = len(self.episodes.all)

    def _save(self, episodes: Sequence[Episode]) -> bool:
        """Write these episodes and their records; False if there is no room."""
        for episode in episodes:
            episode.keep_name()
        fresh = {episode.id for episode in episodes if episode.id not in self._known}
        if self.clock.unsure and self.policy is not None:
            for episode in episodes:
                if episode.id in fresh and {episode.key.row, episode.verdict.nearest} & self.policy.windowed:
                    episode.detail["clock"] = "unsynchronised"
        records = [as_record(episode, self.site) for episode in episodes]
        if not self._try(lambda: self.store.alerts(episodes, records)):
            return False
        self.told.tell([record for record in records if record["id"] in fresh])
        self._known |= fresh
        for episode in episodes:
            self._saved[episode.id] = episode.state
        return True

    def _try(self, write: Callable[[], object]) -> bool:
        """Whether it could be written; what could not is kept and tried again."""
        try:
            write()
        except StoreFull as error:
            now_s = self._monotonic()
            if now_s - self._said_full_s >= FULL_S:
                say(logging.ERROR, "disk_full", str(error))
                report(self.episodes, Finding("disk_full", "", 0, {"error": str(error)}), self.now_ns())
                self._said_full_s = now_s
            self._again_s = now_s + AGAIN_S
            return False
        return True

    def checkpoint(self, final: bool = False) -> None:
        """Write everything that grew; the next one waits until what was written is paid for."""
        started_s, written = self._monotonic(), self.totals.bytes_written  # alerts and assets in between count, too
        part, sample = self.front.harvest(None if final else self.now_ns())
        self.totals.add(part)
        if part.points_shed:
            say(logging.WARNING, "points_shed", f"{part.points_shed} values or messages with values were left out")
        delivery = [] if self.dispatch is None else self.dispatch.record()
        record = self.health.record(self.now_ns(), part, delivery)
        for finding in (*findings(record, part, sample), *self.front.findings()):
            report(self.episodes, finding, self.now_ns())
        self._enter(part)
        self._unsaved = part if self._unsaved is None else bounded(joined(self._unsaved, part))
        unsaved = self._unsaved
        if self._try(lambda: self.store.add(unsaved)):
            self._unsaved = None
        changed = [e for e in self.episodes.all if self._saved.get(e.id) != e.state]
        if self._save(changed):
            for episode in self.front.retire(self.now_ns()):
                self._saved.pop(episode.id, None)
                self._known.discard(episode.id)
            self._committed = len(self.episodes.all)
        self.front.forget(self.now_ns())
        self._try(lambda: self.store.health(record))
        self.totals.checkpoint(self._monotonic(), self.store)
        cost_s = (self.totals.bytes_written - written) / BYTES_PER_S
        self._due[self.checkpoint] = started_s + max(self._checkpoint_s, cost_s)

    def _enter(self, part: Part) -> None:
        """Compare blocks of logic, and how clients speak, with what is known of them, whichever job saw it."""
        waiting = self._unsaved or Part()
        part.blocks, changes = enter(
            part.blocks, lambda one: [*self.store.blocks(one), *same_block(one, waiting.blocks)]
        )
        note_changes(self.episodes, changes)
        key, join = UNITE["habits"]
        known = united([*self.store.habits(part.habits), *waiting.habits], key, join)
        now = [join(known[key(one)], one) if key(one) in known else one for one in part.habits]
        note_strangers(self.episodes, strangers(now, known))

    def _say_who(self, site: Site) -> None:
        self.site, self.store.who = site, site.who

    def describe(self) -> None:
        """Work out the assets from all that is known, for readers of the database and for the next alerts."""
        self._say_who(Site(self.store.outline(), self.policy, self.store.site))
        self._try(lambda: self.store.describe(self.site))
        missed = None if self.policy is None else nothing_judged(self.policy, self.site.operations)
        if missed is not None and missed.control:
            self._report([Finding("not_judged", "", 0, {"operations": str(missed.operations)})])
        self.totals.count(self.store)

    def finish(self) -> bool:
        """Nothing more comes: settle what is open and write it; whether it all could be written."""
        self.front.finish()
        self.audit("sensor_stopped", "The sensor was told to end.")
        self.checkpoint(final=True)
        self.describe()
        self._try(lambda: self.store.set_meta(RUNNING, "0"))
        for source in self.sources:
            source.close()
        self.front.close()
        return self._unsaved is None and self._committed == len(self.episodes.all)
