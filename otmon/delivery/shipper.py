"""Moves one sink on: the next batch of the worthiest stream that is ready, and what to do with the answers.

No clock and no sleep of its own: `step` says how long to wait. A batch is marked as sent before it goes out and as
answered after, so whoever comes after a crash knows what may have arrived, and says so to the sink.
"""

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from otmon.delivery.ledger import Ledger
from otmon.delivery.reader import SPOILT, Damaged, SpoolReader
from otmon.limits import MAX_BACKOFF_S, MAX_BATCH_RECORDS
from otmon.outputs.sink import Outgoing, Refused, Sink, SinkError, TooLarge, Unreachable
from otmon.store.spool import STREAMS
from otmon.text import safe_text

FIRST_BACKOFF_S: Final = 0.5
STOPPED_S: Final = 60.0
"""A sink that refuses us is asked again so seldom: somebody has to mend it, and a lock-out must not be provoked."""
IDLE_S: Final = 0.5
SHARE_S: Final = 5.0
"""With a rate, a batch is what may be sent in this time: an alert waits no longer behind what is worth less."""


@dataclass(slots=True)
class _Lane:
    """A stream on its way to the sink."""

    stream: str
    todo: list[Outgoing] = field(default_factory=list)
    """Of the batch under way: what was not answered for good."""
    until: int = 0
    """The batch's last sequence number."""
    unsure: bool = False
    """Some of `todo` may have arrived."""
    delivered: int = 0
    dead: list[tuple[Outgoing, str]] = field(default_factory=list)
    limit: int = MAX_BATCH_RECORDS
    """Of a request: half after one that was too large or did not arrive, and grows again with those that do."""
    ready_s: float = 0.0
    backoff_s: float = FIRST_BACKOFF_S


class Shipper:
    """Delivers to one sink. `monotonic` and `jitter` (0 to 1) are given by tests."""

    def __init__(
        self,
        sink: Sink,
        reader: SpoolReader,
        ledger: Ledger,
        monotonic: Callable[[], float],
        *,
        records_per_s: float | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.sink, self._reader, self._ledger = sink, reader, ledger
        self._monotonic, self._jitter = monotonic, jitter
        self._per_s = records_per_s
        self._most = min(MAX_BATCH_RECORDS, max(1, int((records_per_s or MAX_BATCH_RECORDS) * SHARE_S)))
        self._lanes = [_Lane(stream, limit=self._most) for stream in STREAMS if stream in sink.streams]
        sent = dict.fromkeys((lane.stream for lane in self._lanes), 0)
        if ledger.unsure(sink):
            sent |= {stream: one.last for stream, one in reader.waiting().items() if stream in sent}
        ledger.begin(sink.name, sent)
        self._not_before_s = 0.0
        """The whole sink waits: it is away, refuses us, or has had its share."""
        self._mended: Callable[[], bool] | None = None
        """Whether what it refused us for was mended."""
        self._away_s = FIRST_BACKOFF_S
        self.waits = False
        """Whether something is left that could not be delivered now."""

    def step(self) -> float:
        """Deliver one batch, if there is one and the sink may be asked. Gives seconds until there may be more to do.

        Raises StoreError or LedgerError: nothing can be read or kept now; what was sent is marked as sent.
        """
        now_s = self._monotonic()
        if now_s < self._not_before_s and not (self._mended is not None and self._mended()):
            return self._not_before_s - now_s
        self._mended, self._not_before_s = None, 0.0
        self.waits = False
        later_s = IDLE_S
        for lane in self._lanes:
            if now_s < lane.ready_s:
                self.waits = True
                later_s = min(later_s, lane.ready_s - now_s)
            elif lane.todo or self._load(lane):
                self._deliver(lane)
                return max(0.0, self._not_before_s - self._monotonic())
        return later_s

    def _load(self, lane: _Lane) -> bool:
        """The next batch of a lane. What may have been sent before goes alone: the sink looks closer at it."""
        cursor = self._ledger.cursor(self.sink.name, lane.stream)
        batch = self._reader.read(lane.stream, cursor.done, lane.limit)
        if not batch:
            return False
        before = [one for one in batch if one.sequence <= cursor.sent]
        batch, lane.unsure = before or batch, bool(before)
        lane.until = batch[-1].sequence
        lane.todo = [one for one in batch if not isinstance(one.record, Damaged)]
        lane.dead = [(one, SPOILT) for one in batch if isinstance(one.record, Damaged)]
        return True

    def _deliver(self, lane: _Lane) -> None:
        if not lane.unsure:
            self._ledger.sending(self.sink.name, lane.stream, lane.until)
        batch = lane.todo[: lane.limit]
        if not batch:
            self._close(lane)
            return
        try:
            answers = self.sink.deliver(batch, lane.unsure)
        except TooLarge as error:
            lane.unsure = True  # a part of it may have been taken
            self._split(lane, batch, str(error))
        except Refused as error:
            lane.unsure = True
            self._stop("stopped", str(error), STOPPED_S)
            self._mended = error.mended
        except Unreachable as error:
            lane.unsure = True
            lane.limit = max(1, len(batch) // 2)  # over a narrow link a smaller one may arrive in time
            self._away_s = min(self._away_s * 2, MAX_BACKOFF_S)
            self._stop("away", str(error), error.retry_after_s or self._away_s * (0.5 + self._jitter() / 2))
        except SinkError as error:
            lane.unsure = True
            self._stop("away", str(error), MAX_BACKOFF_S)
        except Exception as error:  # a fault of ours, or an answer that nobody thought of
            logging.getLogger("otmon").exception("delivery to %s failed and is tried again", self.sink.name)
            lane.unsure = True
            self.sink.close()
            self._stop("away", f"a fault in otmon: {type(error).__name__}: {safe_text(str(error), 200)}", MAX_BACKOFF_S)
        else:
            self._away_s = FIRST_BACKOFF_S
            self._settle(lane, batch, answers)

    def _split(self, lane: _Lane, batch: Sequence[Outgoing], reason: str) -> None:
        if len(batch) > 1:
            lane.limit = max(1, len(batch) // 2)
            return
        lane.dead.append((batch[0], reason))
        lane.todo = lane.todo[1:]
        self._close(lane)

    def _stop(self, state: str, reason: str, wait_s: float) -> None:
        self.waits = True
        self._not_before_s = self._monotonic() + min(wait_s, MAX_BACKOFF_S)
        self._ledger.say(self.sink.name, state, reason)

    def _settle(self, lane: _Lane, batch: Sequence[Outgoing], answers: Sequence[object]) -> None:
        again, busy = [], ""
        for one, answer in zip(batch, answers, strict=True):
            match answer:
                case ("again", reason):
                    again.append(one)
                    busy = str(reason)
                case ("dead", reason):
                    lane.dead.append((one, str(reason)))
                case _:
                    lane.delivered += 1
        lane.todo = again + lane.todo[len(batch) :]
        if again:
            self.waits = True
            lane.backoff_s = min(lane.backoff_s * 2, MAX_BACKOFF_S)
            lane.ready_s = self._monotonic() + lane.backoff_s * (0.5 + self._jitter() / 2)
            self._ledger.say(self.sink.name, "away", busy)
            return
        lane.backoff_s = FIRST_BACKOFF_S
        lane.limit = min(self._most, lane.limit + lane.limit // 4 + 1)
        if self._per_s:
            self._not_before_s = self._monotonic() + len(batch) / self._per_s
            self.waits = True  # nobody has looked yet whether there is more
        self._close(lane)

    def _close(self, lane: _Lane) -> None:
        """The batch is over when nothing of it is left."""
        if lane.todo:
            return
        self._ledger.answered(self.sink.name, lane.stream, lane.until, lane.delivered, lane.dead)
        lane.delivered, lane.dead, lane.unsure = 0, [], False
