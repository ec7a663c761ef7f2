"""Whatever a sink answers and whenever the process dies: each record arrives once, or is a dead letter."""

import sqlite3
import zlib
from contextlib import closing
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otmon.delivery.ledger import NAME, Ledger, delivered
from otmon.delivery.reader import SpoolReader
from otmon.delivery.shipper import Shipper
from otmon.store import relief, spool
from otmon.store.spool import STREAMS
from tests.delivery.kit import SENSOR, Crash, FakeSink, Spool, quick_folder
from tests.effort import examples

MOODS = ("ok", "away", "lost", "half", "killed", "refused", "busy")
SINK_STREAMS = {"all": STREAMS, "some": ("alert", "asset", "point")}
STEPS = st.one_of(
    st.tuples(st.just("append"), st.sampled_from(STREAMS), st.integers(1, 40)),
    st.tuples(st.just("step"), st.sampled_from(tuple(SINK_STREAMS)), st.sampled_from(MOODS)),
    st.tuples(st.just("step"), st.sampled_from(tuple(SINK_STREAMS)), st.sampled_from(MOODS)),
    st.tuples(st.just("room"), st.sampled_from(tuple(SINK_STREAMS)), st.integers(1, 50)),
    st.tuples(st.just("crash"), st.sampled_from(tuple(SINK_STREAMS))),
    st.tuples(st.just("wait"), st.floats(0, 100)),
    st.tuples(st.just("prune")),
    st.tuples(st.just("shed"), st.integers(0, 3_000)),
    st.tuples(st.just("copy")),
    st.tuples(st.just("put back")),
)


def doomed(name: str) -> bool:
    return zlib.crc32(name.encode()) % 11 == 0


class World:
    """One spool, two sinks with a shipper each, and what must hold after every step."""

    def __init__(self, folder: Any) -> None:
        self.folder = folder
        self.spool = Spool(folder)
        self.now_s = 0.0
        self.sinks = {name: FakeSink(name, streams, doomed) for name, streams in SINK_STREAMS.items()}
        self.cursors: dict[tuple[str, str], Any] = {}
        self.shed: set[str] = set()
        self.put_back = False
        """Whether the ledger was: then dead letters since the copy was made are gone if their records are."""
        self.running: dict[str, tuple[SpoolReader, Ledger, Shipper]] = {}
        for name in self.sinks:
            self.begin(name)
        self.copy()

    def begin(self, name: str) -> None:
        reader = SpoolReader(self.spool.path, SENSOR)
        ledger = Ledger(self.folder / NAME, reader.name)
        ledger._db.execute("PRAGMA synchronous = OFF")
        shipper = Shipper(self.sinks[name], reader, ledger, lambda: self.now_s, jitter=lambda: 0.5)
        self.running[name] = reader, ledger, shipper

    def end(self, name: str) -> None:
        reader, ledger, _ = self.running.pop(name)
        reader.__exit__(None, None, None)
        ledger._db.close()

    def step(self, name: str, mood: str) -> float:
        sink = self.sinks[name]
        sink.mood = mood
        _, ledger, shipper = self.running[name]
        ready = {lane.stream for lane in shipper._lanes if lane.ready_s <= self.now_s}
        after = "SELECT 1 FROM spool WHERE stream = ? AND sequence > ?"
        waits = {
            stream: self.spool.db.execute(after, (stream, ledger.cursor(name, stream).done)).fetchone() is not None
            for stream in STREAMS
        }
        calls = len(sink.calls)
        try:
            wait_s = shipper.step()
        except Crash:
            self.end(name)
            self.begin(name)
            wait_s = 0.0
        if mood != "ok":
            sink.generations.append(set())  # the worst moment: what is created from now on is not seen to be there
        for stream, sequences, _ in sink.calls[calls:]:
            assert sequences == sorted(set(sequences))
            worthier = [other for other in SINK_STREAMS[name] if STREAMS.index(other) < STREAMS.index(stream)]
            assert not any(waits[other] and other in ready for other in worthier), "what is worth more goes first"
        return wait_s

    def do(self, what: str, *more: Any) -> None:
        match what, *more:
            case "append", stream, number:
                self.spool.append(stream, number)
            case "step", name, mood:
                self.step(name, mood)
            case "room", name, room:
                self.sinks[name].room = room
            case "crash", name:
                self.end(name)
                self.begin(name)
            case "wait", seconds:
                self.now_s += seconds
            case ("prune",):
                self.prune()
            case "shed", size:
                before = self.spool.there()
                with self.spool.writing() as db:
                    relief.shed(db, size, {})
                self.shed |= before - self.spool.there()
                assert not any(name.startswith("alert") for name in self.shed)
            case ("copy",):
                self.copy()
            case ("put back",):
                for name in self.sinks:
                    self.end(name)
                (self.folder / "copy").rename(self.folder / NAME)
                self.put_back, self.cursors = True, {}
                for name, sink in self.sinks.items():
                    self.begin(name)
                    sink.generations.append(set())
                self.copy()
        self.check()

    def copy(self) -> None:
        (self.folder / "copy").unlink(missing_ok=True)
        with (
            closing(sqlite3.connect(self.folder / NAME)) as now,
            closing(sqlite3.connect(self.folder / "copy")) as then,
        ):
            now.backup(then)

    def prune(self) -> None:
        wanted = {name: sink.streams for name, sink in self.sinks.items()}
        before = self.spool.there()
        with self.spool.writing() as db:
            spool.prune(db, delivered(self.folder, "s1", wanted))
        dead = {one.id for one in self.running["all"][1].dead()}
        for name in before - self.spool.there():
            for sink in self.sinks.values():
                if name.split("-")[0] in sink.streams:
                    assert (self.put_back or name in dead) if doomed(name) else name in sink.taken()

    def check(self) -> None:
        now = self.running["all"][1].cursors()
        for key, cursor in self.cursors.items():
            assert now[key].done >= cursor.done
            assert now[key].sent >= cursor.sent
            assert now[key].done <= max(now[key].sent, cursor.done)
        self.cursors = now

    def drain(self) -> None:
        for name in self.sinks:
            for _ in range(2_000):
                wait_s = self.step(name, "ok")
                self.now_s += wait_s
                if wait_s and not self.running[name][2].waits:
                    break
            else:
                raise AssertionError("it never comes to an end")

    def whole(self) -> None:
        letters = self.running["all"][1].dead()
        for name, sink in self.sinks.items():
            mine = {one for stream in sink.streams for one in self.spool.ids[stream]}
            taken = sink.taken()
            assert len(taken) == len(set(taken)), "nothing is doubled"
            alive = {one for one in mine if not doomed(one)}
            assert alive - self.shed <= set(taken) <= alive, "nothing is lost"
            dead = [one.id for one in letters if one.sink == name]
            assert len(dead) == len(set(dead))
            gone = mine - self.spool.there() if self.put_back else self.shed
            assert (mine - alive) - gone <= set(dead) <= mine - alive
            if not self.shed and not self.put_back:
                state = self.running[name][1].states().get(name)
                assert (0 if state is None else state.delivered + state.dead) == len(mine)


@settings(max_examples=examples(150), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, max_size=60))
def test_each_record_once_whatever_happens(steps: list[tuple[Any, ...]]) -> None:
    with quick_folder() as folder:
        world = World(folder)
        for step in steps:
            world.do(*step)
        world.drain()
        world.whole()
        world.prune()
        assert world.spool.there() == set(), "everybody has everything"
        for name in list(world.running):
            world.end(name)
        world.spool.close()
