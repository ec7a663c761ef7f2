"""Delivers what waits in a result folder, and then is done."""

import os
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from otmon.delivery.ledger import NAME, Ledger, State, delivered, hold
from otmon.delivery.reader import SpoolReader
from otmon.delivery.shipper import Shipper
from otmon.outputs.sink import Sink
from otmon.store import spool
from otmon.store.errors import StoreError
from otmon.store.journal import Journal

PATIENCE_S: Final = 10.0
"""How long a sink that takes nothing is tried."""
Progress = Callable[[int, int], None]


def deliver_all(
    folder: Path,
    sinks: Sequence[Sink],
    sensor: str,
    *,
    patience_s: float = PATIENCE_S,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Deliver a folder's spool to each sink in turn; gives how many records still wait for each.

    What they have leaves the spool of an analysis; a sensor looks after its own, and knows who else waits for it.
    Raises StoreError, LedgerError, OSError.
    """

    held = hold(folder)
    try:
        with SpoolReader(folder / "site.db", sensor) as reader, Ledger(folder / NAME, reader.name) as ledger:
            for sink in sinks:
                ledger.settle(sink, keep=True)
                _deliver(sink, reader, ledger, patience_s, progress)
            left = {sink.name: _left(sink, reader, ledger) for sink in sinks}
            name = reader.name
        if name == spool.FINAL:
            _clear(folder, delivered(folder, name, {sink.name: sink.streams for sink in sinks}))
    finally:
        os.close(held)
    return left


def _left(sink: Sink, reader: SpoolReader, ledger: Ledger) -> int:
    waiting = reader.waiting()
    return sum(
        found.beyond(ledger.cursor(sink.name, stream).done)
        for stream, found in waiting.items()
        if stream in sink.streams
    )


def _deliver(sink: Sink, reader: SpoolReader, ledger: Ledger, patience_s: float, progress: Progress | None) -> None:
    shipper = Shipper(sink, reader, ledger, time.monotonic)
    whole = left = _left(sink, reader, ledger)
    end_s = time.monotonic() + patience_s
    while left:
        wait_s = shipper.step()
        before, left = left, _left(sink, reader, ledger)
        if left < before:
            end_s = time.monotonic() + patience_s
        if progress is not None:
            progress(whole - left, whole)
        if wait_s and left:
            if time.monotonic() + wait_s > end_s or ledger.states()[sink.name].state == "stopped":
                return
            time.sleep(wait_s)
    ledger.say(sink.name, "well")


def _clear(folder: Path, done: Mapping[str, int]) -> None:
    """Remove what every sink has from the spool. Raises StoreError."""
    path = folder / "site.db"
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            spool.prune(db, done)
            db.execute("COMMIT")
            db.executescript("PRAGMA incremental_vacuum")
            Journal(db, path).empty()
    except sqlite3.Error as error:
        raise StoreError(f"{path}: what was delivered could not be removed from it ({error})") from None


def states(folder: Path) -> dict[str, State]:
    """How each sink is that was ever delivered to from there."""
    if not (folder / NAME).exists():
        return {}
    with Ledger(folder / NAME, readonly=True) as ledger:
        return ledger.states()
