"""Delivers beside a sensor, in a process of its own that is begun before the sensor gives up its rights.

Two processes: one that only waits, and one that delivers, begun again when it dies. Both end when the sensor does,
which they see by the end of a pipe: the second one then has a few seconds for what is left.
"""

import contextlib
import logging
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn

from otmon.delivery.ledger import NAME, Ledger, LedgerError, LedgerGone, hold
from otmon.delivery.reader import SpoolReader
from otmon.delivery.shipper import Shipper
from otmon.outputs.sink import Sink
from otmon.store.errors import StoreError

LEFT_S: Final = 5.0
"""For what is left when the sensor has ended."""
AGAIN_S: Final = 2.0
"""Before a delivery that failed is begun again."""
LOOK_S: Final = 10.0
"""How often a sink that is well is said to be so."""
_LOCK_S: Final = 20.0


def deliver(
    database: Path,
    sink: Sink,
    sensor: str,
    stopping: Callable[[], bool],
    *,
    records_per_s: float | None = None,
    left_s: float | None = None,
) -> bool:
    """Deliver to one sink until `stopping`, then what is left for `left_s`; whether nothing is left.

    Without `left_s` nothing is begun after `stopping`. Raises StoreError, LedgerError.
    """
    with SpoolReader(database, sensor) as reader, Ledger(database.with_name(NAME), reader.name) as ledger:
        ledger.settle(sink, keep=False)  # a sensor's configuration says where, and what it leaves out is said too
        shipper = Shipper(sink, reader, ledger, time.monotonic, records_per_s=records_per_s)
        end_s, looked_s, idle = None, -LOOK_S, False
        while True:
            if end_s is None and stopping():
                end_s, idle = time.monotonic() + (left_s or 0.0), False  # what came since the last look is to go too
            if end_s is not None and (idle or time.monotonic() >= end_s):
                return idle
            wait_s = shipper.step()
            idle = wait_s > 0 and not shipper.waits
            if idle and time.monotonic() - looked_s >= LOOK_S:
                ledger.say(sink.name, "well")
                looked_s = time.monotonic()
            if wait_s and not (end_s is not None and idle):
                time.sleep(min(wait_s, 0.25))


class Courier:
    """The delivery of one sensor. `begin` before threads are started and rights are given up; never raises after."""

    def __init__(
        self, database: Path, sinks: Callable[[], Sequence[Sink]], sensor: str, rates: Mapping[str, float | None]
    ) -> None:
        self._database, self._sinks, self._sensor, self._rates = database, sinks, sensor, rates
        self._pipe = -1
        self._pid = 0

    def begin(self, drop: Callable[[], object]) -> None:
        """Begin the processes; `drop` gives up their rights, in each of them."""
        read, self._pipe = os.pipe2(os.O_CLOEXEC)
        self._pid = os.fork()
        if self._pid:
            os.close(read)
            return

        def work() -> None:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)  # the sensor says when: it has more to write until then
            os.close(self._pipe)
            drop()
            if os.read(read, 1):  # nothing: the sensor could not start
                self._wait(read)

        _live(work, "the delivery ended")

    def go(self) -> None:
        """The site database is there."""
        with contextlib.suppress(BrokenPipeError):  # nobody delivers, which `alive` says
            os.write(self._pipe, b"g")

    def end(self, wait_s: float = LEFT_S + 1) -> None:
        """The sensor has written all it will write."""
        if self._pipe < 0:
            return
        os.close(self._pipe)
        self._pipe = -1
        end_s = time.monotonic() + wait_s
        while time.monotonic() < end_s:
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(self._pid, os.WNOHANG) == (0, 0):
                    time.sleep(0.05)
                    continue
            return

    def alive(self) -> bool:
        """Whether the first process is there."""
        if not self._pid:
            return False
        with contextlib.suppress(ChildProcessError):
            return os.waitpid(self._pid, os.WNOHANG) == (0, 0)
        return False

    # --- in the processes --------------------------------------------------------------------------------------------

    def _wait(self, pipe: int) -> None:
        while True:
            pid = os.fork()
            if not pid:
                _live(lambda: self._deliver_all(pipe), "the delivery failed and is begun again")
            os.waitpid(pid, 0)
            if _ended(pipe):
                return
            time.sleep(AGAIN_S)

    def _deliver_all(self, pipe: int) -> None:
        held = hold(self._database.parent, _LOCK_S)
        try:
            sinks = self._sinks()
            with contextlib.suppress(LedgerError), Ledger(self._database.with_name(NAME)) as ledger:
                ledger.only(sink.name for sink in sinks)
            threads = [
                threading.Thread(target=self._one, args=(sink, pipe), name=sink.name, daemon=True) for sink in sinks
            ]
            for thread in threads:
                thread.start()
            while not _ended(pipe) and any(thread.is_alive() for thread in threads):
                time.sleep(0.1)
            end_s = time.monotonic() + LEFT_S
            for thread in threads:  # whoever still waits for an answer then is left behind: it is known what was sent
                thread.join(max(0.0, end_s - time.monotonic()))
        finally:
            os.close(held)

    def _one(self, sink: Sink, pipe: int) -> None:
        """A sink until the end. What fails here (a locked or full disk, a fault of ours) is tried again."""
        said = ""
        while not _ended(pipe):
            try:
                deliver(
                    self._database,
                    sink,
                    self._sensor,
                    lambda: _ended(pipe),
                    records_per_s=self._rates.get(sink.name),
                    left_s=LEFT_S,
                )
            except LedgerGone:
                pass  # which is said when it is opened again
            except (StoreError, LedgerError) as error:
                if str(error) != said:
                    logging.getLogger("otmon").warning("delivery to %s waits: %s", sink.name, error)
                said = str(error)
            except Exception as error:
                if repr(error) != said:
                    logging.getLogger("otmon").exception("delivery to %s failed and is begun again", sink.name)
                said = repr(error)
            select.select([pipe], [], [], AGAIN_S)
        sink.close()


def _live(work: Callable[[], None], trouble: str) -> NoReturn:
    """All that a forked process does: it ends here, whatever happens, and never goes on as the one it was made of."""
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        logging.getLogger("otmon").exception(trouble)
    finally:
        os._exit(code)


def _ended(pipe: int) -> bool:
    """Whether the sensor is gone: nobody holds the other end."""
    return bool(select.select([pipe], [], [], 0)[0])
