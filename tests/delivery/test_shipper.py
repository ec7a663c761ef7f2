"""How a shipper waits, splits and goes on; what the ledger remembers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from otmon.delivery import ledger as ledger_module
from otmon.delivery.again import again
from otmon.delivery.ledger import NAME, Cursor, Ledger, LedgerError
from otmon.delivery.reader import SpoolReader
from otmon.delivery.report import report
from otmon.delivery.shipper import STOPPED_S, Shipper
from otmon.limits import MAX_BATCH_BYTES, MAX_BATCH_RECORDS
from otmon.outputs.sink import Refused, TooLarge, Unreachable
from otmon.store import spool
from tests.delivery.kit import SENSOR, T0, FakeSink, Spool, quick_folder


class Bench:
    """A spool, a sink and a clock that is set by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spool = Spool(folder)
        self.sink = FakeSink("fake", spool.STREAMS)
        self.now_s = 0.0
        self.reader = SpoolReader(self.spool.path, SENSOR)
        self.ledger = Ledger(folder / NAME, "s1")

    def shipper(self, records_per_s: float | None = None) -> Shipper:
        return Shipper(
            self.sink,
            self.reader,
            self.ledger,
            lambda: self.now_s,
            records_per_s=records_per_s,
            jitter=lambda: 1.0,
        )


@pytest.fixture
def bench() -> Iterator[Bench]:
    with quick_folder() as folder:
        made = Bench(folder)
        with made.reader, made.ledger:
            yield made
        made.spool.close()


def sizes(sink: FakeSink) -> list[int]:
    return [len(sequences) for _, sequences, _ in sink.calls]


def test_a_limit_is_found_and_stayed_under(bench: Bench) -> None:
    bench.spool.append("alert", 3_000)
    bench.sink.room = 100
    shipper = bench.shipper()
    while len(bench.sink.taken()) < 3_000:
        assert shipper.step() == 0
    refused = sum(size > 100 for size in sizes(bench.sink))
    assert refused <= len(bench.sink.calls) / 3
    assert bench.ledger.dead() == []


def test_one_record_that_is_too_large_is_set_aside_alone(bench: Bench) -> None:
    bench.spool.append("alert", 5)
    bench.spool.append("alert", 1, pad=MAX_BATCH_BYTES + 1)
    bench.spool.append("alert", 5)
    assert [len(bench.reader.read("alert", after, 1_000)) for after in (0, 5, 6)] == [5, 1, 5]
    deliver = bench.sink.deliver

    def small(batch, repeated):  # type: ignore[no-untyped-def]  # as deliver, which it stands for
        if any(len(one.record["message"]) > MAX_BATCH_BYTES for one in batch):
            raise TooLarge("too large")
        return deliver(batch, repeated)

    bench.sink.deliver = small  # type: ignore[method-assign]  # the test plays the sink
    shipper = bench.shipper()
    while len(bench.sink.taken()) < 10:
        shipper.step()
    (letter,) = bench.ledger.dead()
    assert (letter.id, letter.reason) == ("alert-5", "too large")
    assert bench.ledger.states()["fake"].dead == 1


def test_what_does_not_arrive_is_sent_in_smaller_pieces(bench: Bench) -> None:
    """A narrow link: a large request never ends in time."""
    bench.spool.append("operation", 1_000)
    shipper = bench.shipper()
    deliver = bench.sink.deliver

    def narrow(batch, repeated):  # type: ignore[no-untyped-def]  # as deliver, which it stands for
        if len(batch) > 40:
            bench.sink.mood = "half"
        try:
            return deliver(batch, repeated)
        finally:
            bench.sink.mood = "ok"

    bench.sink.deliver = narrow  # type: ignore[method-assign]  # the test plays the sink
    for _ in range(500):
        bench.now_s += shipper.step()
    assert len(bench.sink.taken()) == 1_000
    assert sizes(bench.sink)[:6] == [1_000, 500, 250, 125, 62, 31]


def test_with_a_rate_an_alert_does_not_wait_behind_the_rest(bench: Bench) -> None:
    bench.spool.append("point", 2_000)
    shipper = bench.shipper(records_per_s=2.0)
    assert shipper.step() == 5.0
    bench.spool.append("alert", 1)
    bench.now_s += 5.0
    shipper.step()
    assert [(stream, len(found)) for stream, found, _ in bench.sink.calls] == [("point", 10), ("alert", 1)]


@pytest.mark.parametrize("rate", [None, 0.01, 1e9])
def test_a_rate_keeps_batches_within_bounds(bench: Bench, rate: float | None) -> None:
    bench.spool.append("alert", 3)
    shipper = bench.shipper(rate)
    assert 1 <= shipper._most <= MAX_BATCH_RECORDS
    shipper.step()
    assert bench.sink.taken()


def test_a_refusal_waits_a_minute_or_until_something_changed(bench: Bench) -> None:
    bench.spool.append("alert", 1)
    changed = False
    shipper = bench.shipper()

    def refuse(*_: object) -> None:
        raise Refused("no such key", lambda: changed)

    taken, bench.sink.deliver = bench.sink.deliver, refuse  # type: ignore[assignment, method-assign]  # the test plays the sink
    assert shipper.step() == STOPPED_S
    assert bench.ledger.states()["fake"][:2] == ("stopped", "no such key")
    bench.now_s += 1
    assert shipper.step() == STOPPED_S - 1
    changed = True
    assert shipper.step() == STOPPED_S, "asked again at once, and refused again"
    bench.sink.deliver = taken  # type: ignore[method-assign]  # the test plays the sink
    bench.now_s += 1
    assert shipper.step() == 0, "and all of it goes on"
    assert bench.ledger.states()["fake"].state == "well"


def test_backoff_grows_to_five_minutes_and_begins_anew(bench: Bench) -> None:
    bench.spool.append("alert", 2)
    shipper, waits = bench.shipper(), []
    bench.sink.mood = "away"
    for _ in range(12):
        waits.append(shipper.step())
        bench.now_s += waits[-1]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    bench.sink.mood = "ok"
    shipper.step()
    bench.sink.mood = "away"
    assert shipper.step() == 1
    bench.sink.deliver = lambda *_: (_ for _ in ()).throw(Unreachable("wait", 7.0))  # type: ignore[method-assign]  # the test plays the sink
    bench.now_s += 1
    assert shipper.step() == 7, "as it asked for"


def test_what_waits_for_a_sink_that_was_never_reached_is_told(bench: Bench) -> None:
    bench.spool.append("alert", 3)
    bench.spool.append("point", 4)
    bench.sink.mood = "away"
    bench.shipper().step()
    (sink,) = report(bench.folder, now_ns=T0 + 5_000_000_000)["sinks"]
    assert (sink["sink"], sink["state"], sink["waiting"]) == ("fake", "away", 7)
    assert sink["behind_s"] == pytest.approx(5.0, abs=0.01)


def test_the_ledger_of_another_spool_is_not_believed(bench: Bench) -> None:
    bench.spool.append("alert", 9)
    bench.shipper().step()
    assert bench.ledger.cursor("fake", "alert") == Cursor(9, 9)
    with Ledger(bench.folder / NAME, "another") as other:
        assert other.cursor("fake", "alert") == Cursor()
        assert other.cursors() == {}
        other.sending("fake", "alert", 4)
        assert other.cursor("fake", "alert") == Cursor(0, 4), "begun anew, not gone on with"
    assert bench.ledger.cursor("fake", "alert") == Cursor()


def test_dead_letters_are_capped_and_counted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "MAX_DEAD", 10)
    bench.sink.doomed = lambda _: True
    shipper = bench.shipper()
    for number in (8, 5, 9):
        bench.spool.append("alert", number)
        shipper.step()
    state = bench.ledger.states()["fake"]
    assert (state.dead, state.dropped, len(bench.ledger.dead())) == (22, 12, 10)
    assert [one.id for one in bench.ledger.dead()] == [f"alert-{n}" for n in range(12, 22)]


def test_a_sink_that_was_taken_out_is_not_spoken_of_unless_it_left_letters(bench: Bench) -> None:
    for name, doomed in (("gone", False), ("letters", True), ("here", False)):
        bench.sink = FakeSink(name, spool.STREAMS, lambda _, doomed=doomed: doomed)  # type: ignore[misc]  # bound here
        bench.spool.append("alert", 1)
        bench.shipper().step()
    bench.ledger.only(["here", "new"])
    assert list(bench.ledger.states()) == ["here", "letters"]
    assert bench.ledger.cursor("gone", "alert").done == 1, "should it come back"


def test_a_reader_that_comes_before_the_tables_sees_nothing(tmp_path: Path) -> None:
    (tmp_path / NAME).touch()
    with Ledger(tmp_path / NAME, "s1", readonly=True) as ledger:
        assert (ledger.cursors(), ledger.states(), ledger.dead()) == ({}, {}, [])
    (tmp_path / NAME).write_bytes(b"no database at all, but long enough to look like one" * 40)
    with pytest.raises(LedgerError), Ledger(tmp_path / NAME, "s1", readonly=True) as ledger:
        ledger.states()


def test_dead_letters_are_sent_again_in_pieces_that_fit(bench: Bench) -> None:
    bench.spool.append("alert", 30, pad=1_000)
    bench.spool.append("asset", 3)
    bench.sink.doomed = lambda _: True
    shipper = bench.shipper()
    shipper.step(), shipper.step()
    bench.sink.doomed, bench.sink.room = (lambda name: name == "alert-7"), 4
    left = again(bench.sink, bench.ledger, bench.spool.path, bench.ledger.dead(), SENSOR)
    assert [(one.id, reason) for one, reason in left] == [("alert-7", "doomed")]
    assert [one.id for one in bench.ledger.dead()] == ["alert-7"]
    assert len(bench.sink.taken()) == 32
    bench.sink.doomed, bench.sink.room = (lambda _: False), 0
    ((one, reason),) = again(bench.sink, bench.ledger, bench.spool.path, bench.ledger.dead(), SENSOR)
    assert (one.id, reason) == ("alert-7", "too large")
