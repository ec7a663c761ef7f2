"""A spool without a site, and a sink that is as bad as it is told to be."""

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from otmon.outputs.sink import DONE, Answer, Outgoing, Refused, TooLarge, Unreachable
from otmon.store import spool
from otmon.store.database import create_tables

SITE, SENSOR = "plant", "sensor-1"
T0 = 1_795_000_000_000_000_000


@contextmanager
def quick_folder() -> Iterator[Path]:
    """In memory where there is such a place: the disk is not what is tested."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="otmon-test-", dir=memory if memory.is_dir() else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


class Spool:
    """`site.db` as whoever fills it sees it."""

    def __init__(self, folder: Path, name: str = "s1") -> None:
        self.path = folder / "site.db"
        self.db = sqlite3.connect(self.path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = OFF")
        create_tables(self.db, SITE)
        spool.begin(self.db, name)
        self.db.execute("COMMIT")
        self.made = 0
        self.ids: dict[str, list[str]] = {stream: [] for stream in spool.STREAMS}
        """Of every record that was appended, by stream."""

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        self.db.execute("BEGIN IMMEDIATE")
        yield self.db
        self.db.execute("COMMIT")

    def append(self, stream: str, number: int, pad: int = 0, **more: Any) -> None:
        """Records as of the stream `audit`, whatever the stream; `pad` is the length of their text."""
        ids = [f"{stream}-{n}" for n in range(self.made, self.made + number)]
        record = {"action": "policy_loaded", "message": "x" * pad, "detail": {}} | more
        with self.writing() as db:
            entries = (spool.Entry(name, T0 + n, record | {"ts_ns": T0 + n}) for n, name in enumerate(ids, self.made))
            spool.append(db, stream, entries)
        self.made += number
        self.ids[stream] += ids

    def there(self) -> set[str]:
        return {name for (name,) in self.db.execute("SELECT id FROM spool")}

    def close(self) -> None:
        self.db.close()


class Crash(BaseException):
    """The process ends here."""


class FakeSink:
    """Takes an id once in each generation, as a data stream does; `mood` says what it does with the next batch.

    ok; away: not reached; lost: took everything, the answer did not come; half: took the first half, the same; killed:
    took everything, and the shipper's process dies; refused; busy: takes every second one. Over `room` records are too
    many, those for which `doomed` holds are never taken.
    """

    def __init__(self, name: str, streams: Sequence[str], doomed: Callable[[str], bool] = lambda _: False) -> None:
        self.name, self.streams, self.doomed = name, frozenset(streams), doomed
        self.generations: list[set[str]] = [set()]
        self.mood, self.room = "ok", 10_000
        self.calls: list[tuple[str, list[int], bool]] = []
        """(stream, sequences, repeated)."""

    def taken(self) -> list[str]:
        return sorted(name for generation in self.generations for name in generation)

    def _take(self, batch: Sequence[Outgoing], repeated: bool) -> None:
        for one in batch:
            if not self.doomed(one.id) and not (repeated and any(one.id in whole for whole in self.generations)):
                self.generations[-1].add(one.id)

    def deliver(self, batch: Sequence[Outgoing], repeated: bool) -> Sequence[Answer]:
        self.calls.append((batch[0].stream, [one.sequence for one in batch], repeated))
        if self.mood == "away":
            raise Unreachable("away")
        if self.mood == "refused":
            raise Refused("refused")
        if len(batch) > self.room:
            raise TooLarge("too large")
        if self.mood == "busy":
            self._take(batch[::2], repeated)
            return [
                Answer("again", "busy") if number % 2 else Answer("dead", "doomed") if self.doomed(one.id) else DONE
                for number, one in enumerate(batch)
            ]
        self._take(batch[: len(batch) // 2] if self.mood == "half" else batch, repeated)
        if self.mood in ("lost", "half"):
            raise Unreachable("no answer")
        if self.mood == "killed":
            raise Crash
        return [Answer("dead", "doomed") if self.doomed(one.id) else DONE for one in batch]

    def close(self) -> None:
        pass
