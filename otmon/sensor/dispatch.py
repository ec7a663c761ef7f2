"""A sensor's spool: relieved of what every sink has, kept within bounds, and how the sinks are is said."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

from otmon.delivery.ledger import LedgerError, cursors, delivered
from otmon.delivery.report import report
from otmon.limits import SPOOL_BYTES, SPOOL_NS
from otmon.outputs.sink import Sink
from otmon.sensor.health import Finding
from otmon.sensor.logs import say
from otmon.store.errors import StoreError
from otmon.store.sensor import SiteStore

LOOK_S: Final = 10.0
"""How often the spool is relieved: what is delivered lies twice until then."""
AGE_S: Final = 3600.0
"""How often what waits grows older."""
STUCK_S: Final = 600.0
"""More than the longest wait between two tries of a sink that is away."""
AWAY_NS: Final = 300 * 1_000_000_000
"""A sink that was not reached for so long is worth an alert: the plant's own people see that the SOC sees nothing."""

_LOGGED: Final[dict[str, tuple[int, str]]] = {
    "well": (logging.INFO, "takes what is sent"),
    "away": (logging.WARNING, "is not reached, and is tried again"),
    "stopped": (logging.ERROR, "refuses what is sent, until that is mended"),
    "ended": (logging.ERROR, "gets nothing: the process that delivers has ended"),
}


class Dispatch:
    """Looks after the spool of a store for these sinks. `alive`: whether somebody delivers."""

    def __init__(
        self,
        store: SiteStore,
        sinks: Sequence[Sink],
        alive: Callable[[], bool],
        *,
        max_bytes: int = SPOOL_BYTES,
        max_age_ns: int = SPOOL_NS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._alive = store, alive
        self._wanted = {sink.name: sink.streams for sink in sinks}
        self._max_bytes, self._max_age_ns = max_bytes, max_age_ns
        self._monotonic = monotonic
        self._aged_s = monotonic()
        """When the spool was last told how long the sensor ran."""
        self._dead: dict[str, int] = {}
        self._heard: dict[str, tuple[int, float]] = {}
        self._said: dict[str, tuple[str, int]] = {}
        """sink -> the trouble that was reported."""
        self._away: dict[str, tuple[int, float]] = {}
        """sink -> since when it is as it is, and when that was first seen."""
        self._logged: dict[str, str] = {}
        """sink -> its state when the log last said it."""
        self._stands: dict[str, list[dict[str, Any]]] = {"sinks": [], "waiting": []}
        """As otmon.delivery.report.report, of the last look."""

        self._compare()

    def _compare(self) -> None:
        """A ledger that is ahead of the spool is of a database that was put back from a copy."""
        last = {stream: found.last for stream, found in self._store.waiting().items()}
        with suppress(LedgerError):
            found = cursors(self._store.path.parent, self._store.spool_name)
            if any(max(cursor) > last.get(stream, 0) for (_, stream), cursor in found.items()):
                message = "the database is older than what was delivered from it: all that waits is delivered again"
                say(logging.WARNING, "spool_anew", message)
                self._store.begin_spool_anew()

    @property
    def sinks(self) -> list[dict[str, Any]]:
        """How each of our sinks was at the last look; none is said to be well if nobody delivers."""
        ended = {} if self._alive() else {"state": "ended"}
        return [sink | ended for sink in self._stands["sinks"] if sink["sink"] in self._wanted]

    @property
    def streams(self) -> list[dict[str, Any]]:
        """What each stream held then."""
        return self._stands["waiting"]

    def record(self) -> list[dict[str, Any]]:
        """For the health record."""
        return [{name: sink[name] for name in ("sink", "state", "waiting", "behind_s", "dead")} for sink in self.sinks]

    def look(self, now_ns: int) -> list[Finding]:
        """What is to be done every LOOK_S; gives what went wrong since the last look. Raises StoreError."""
        folder, found = self._store.path.parent, list[Finding]()
        try:
            done = delivered(folder, self._store.spool_name, self._wanted)
            self._stands = report(folder, wanted=self._wanted)
        except (LedgerError, StoreError) as error:
            done, found = {}, self._trouble("delivery", "away", 0, str(error))
        done |= self._of_nobody()
        self._log()
        shed = self._store.relieve(done, self._ran_ns(), self._max_age_ns, self._max_bytes)
        self._store.summarise(now_ns)
        return [*found, *self._shed(shed), *self._sinks(), *self._refused(), *self._stuck()]

    def _of_nobody(self) -> dict[str, int]:
        """What waits for an output that was taken out of the configuration: nobody will ever come for it."""
        taken = frozenset().union(*self._wanted.values())
        left = {stream: one for stream, one in self._store.waiting().items() if one.records and stream not in taken}
        if left:
            number = sum(one.records for one in left.values())
            message = f"{number:,} records ({', '.join(left)}) waited for no output of the configuration: dropped"
            say(logging.WARNING, "spool_dropped", message, records=number)
        return {stream: one.last for stream, one in left.items()}

    def _ran_ns(self) -> int:
        """For how long the sensor ran, once an hour: every time it is told it is written."""
        now_s = self._monotonic()
        if now_s - self._aged_s < AGE_S:
            return 0
        ran_s, self._aged_s = now_s - self._aged_s, now_s
        return int(ran_s * 1e9)

    def _log(self) -> None:
        """How a sink is, when that changed: an alert comes only after minutes, and whoever set it up looks now."""
        for sink in self.sinks:
            name, state = sink["sink"], sink["state"]
            if self._logged.get(name) != state:
                self._logged[name] = state
                level, words = _LOGGED[state]
                reason = f": {sink['reason']}" if state != "well" and sink["reason"] else ""
                say(level, "output", f"{name} {words}{reason}", sink=name, state=state)

    def _shed(self, shed: dict[str, int]) -> Iterator[Finding]:
        for stream, number in shed.items():
            yield Finding("spool_shed", stream, number)

    def _refused(self) -> Iterator[Finding]:
        """Records that will never be taken, since the last look."""
        dead = {sink["sink"]: sink["dead"] for sink in self.sinks}
        for name in self._wanted:
            now = dead.get(name, 0)
            before, self._dead[name] = self._dead.get(name, now), now
            if now > before:
                yield Finding("sink_refused", name, now - before)

    def _stuck(self) -> Iterator[Finding]:
        """Sinks of which nothing was heard for long though something waits: the delivery hangs."""
        now_s = self._monotonic()
        heard = {sink["sink"]: (sink["looked_ns"], sink["waiting"]) for sink in self.sinks}
        for name in self._wanted:
            looked_ns, waiting = heard.get(name, (0, sum(one["records"] for one in self.streams)))
            if not waiting or self._heard.get(name, (None,))[0] != looked_ns:
                self._heard[name] = (looked_ns, now_s)
            elif now_s - self._heard[name][1] >= STUCK_S:
                yield from self._trouble(name, "away", looked_ns, "nothing was heard of its delivery for ten minutes")

    def _sinks(self) -> Iterator[Finding]:
        now_ns = time.time_ns()
        if not self._alive():
            yield from self._trouble("delivery", "ended", 0, "the process that delivers has ended; restart the sensor")
        for sink in self.sinks:
            # By either clock: one that was set back would say for a year that it is not yet time.
            since_ns, seen_s = self._away.get(sink["sink"], (0, 0.0))
            if since_ns != sink["since_ns"]:
                self._away[sink["sink"]] = (sink["since_ns"], seen_s := self._monotonic())
            waited_ns = max(now_ns - sink["since_ns"], int((self._monotonic() - seen_s) * 1e9))
            away = sink["state"] == "away" and waited_ns >= AWAY_NS
            if sink["state"] == "stopped" or away:
                yield from self._trouble(sink["sink"], sink["state"], sink["since_ns"], sink["reason"])
            elif sink["state"] == "well":
                self._said.pop(sink["sink"], None)

    def _trouble(self, sink: str, state: str, since_ns: int, reason: str) -> list[Finding]:
        """Each trouble once."""
        if self._said.get(sink) == (state, since_ns):
            return []
        self._said[sink] = (state, since_ns)
        return [Finding("sink_away" if state == "away" else "sink_stopped", sink, 0, {"error": reason})]
