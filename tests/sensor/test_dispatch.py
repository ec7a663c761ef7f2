"""What a sensor makes of its ledger and spool when somebody else, or a disk, has spoilt them."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from otmon.delivery.ledger import NAME, Ledger
from otmon.delivery.reader import SpoolReader
from otmon.delivery.shipper import Shipper
from otmon.outputs.sink import DONE, Answer, Outgoing, Refused, Unreachable
from otmon.sensor.dispatch import AWAY_NS, STUCK_S, Dispatch
from otmon.store.retention import Retention
from otmon.store.sensor import SiteStore

NS = 1_000_000_000


class Fake:
    """Takes everything, or does what it is told."""

    name = "fake"
    streams = frozenset({"audit", "sensor"})

    def __init__(self, behave: Callable[[Outgoing], Answer] = lambda one: DONE) -> None:
        self.behave, self.got, self.repeats = behave, [], []

    def deliver(self, batch: Sequence[Outgoing], repeated: bool) -> Sequence[Answer]:
        self.got += [one.id for one in batch]
        self.repeats.append(repeated)
        return [self.behave(one) for one in batch]

    def rehearse(self) -> None: ...

    def reach(self) -> Any: ...

    def close(self) -> None: ...


def store(folder: Path, **rest: Any) -> SiteStore:
    return SiteStore(folder / "site.db", "site", spooled=("audit", "sensor"), **rest)


def say(kept: SiteStore, number: int, size: int = 10) -> None:
    for n in range(number):
        kept.audit({"action": "x", "detail": {}, "message": "m" * size, "ts_ns": n * NS})


def ship(folder: Path, sink: Fake, steps: int = 30) -> None:
    with SpoolReader(folder / "site.db", "s") as reader, Ledger(folder / NAME, reader.name) as ledger:
        shipper = Shipper(sink, reader, ledger, lambda: 0.0)
        for _ in range(steps):
            shipper.step()


def reasons(found: Sequence[Any]) -> list[str]:
    return [finding.reason for finding in found]


def test_a_database_put_back_from_a_copy_is_delivered_again(tmp_path: Path) -> None:
    with store(tmp_path) as kept:
        say(kept, 10)
    copy = (tmp_path / "site.db").read_bytes()
    with store(tmp_path) as kept:
        say(kept, 50)
        ship(tmp_path, Fake())
        Dispatch(kept, [Fake()], lambda: True).look(0)
        assert kept.waiting()["audit"].records == 0
    (tmp_path / "site.db").write_bytes(copy)
    sink = Fake()
    with store(tmp_path) as kept:
        dispatch = Dispatch(kept, [sink], lambda: True)
        say(kept, 5)
        dispatch.look(0)
        assert kept.waiting()["audit"].records == 15, "nothing of it is taken for delivered"
        ship(tmp_path, sink)
    assert len(sink.got) == 15
    assert all(sink.repeats), "ten of them had arrived"


def test_a_damaged_ledger_is_set_aside_and_what_waits_is_looked_up(tmp_path: Path) -> None:
    sink = Fake()
    with store(tmp_path) as kept:
        say(kept, 20)
        ship(tmp_path, Fake())
        (tmp_path / NAME).write_bytes(b"not a database at all" * 100)
        dispatch = Dispatch(kept, [sink], lambda: True)
        assert reasons(dispatch.look(0)) == ["sink_away"]
        say(kept, 3)
        ship(tmp_path, sink)
        assert len(sink.got) == 23
        assert all(sink.repeats), "any of them may have arrived"
        assert [path.name for path in tmp_path.glob("delivery.db.damaged-*")]
        dispatch.look(0)
        assert kept.waiting()["audit"].records == 0


def test_the_spool_stays_bounded_while_the_ledger_is_damaged(tmp_path: Path) -> None:
    with store(tmp_path) as kept:
        say(kept, 100, 1000)
        (tmp_path / NAME).write_bytes(b"not a database at all" * 100)
        found = Dispatch(kept, [Fake()], lambda: True, max_bytes=20_000).look(0)
        assert "spool_shed" in reasons(found)
        assert kept.waiting()["audit"].bytes <= 20_000


def test_a_sink_that_fails_in_a_way_of_its_own_is_told_and_not_hammered(tmp_path: Path) -> None:
    def fail(one: Outgoing) -> Answer:
        raise OverflowError("1e999")

    sink = Fake(fail)
    with store(tmp_path) as kept:
        say(kept, 3)
        ship(tmp_path, sink)
        assert len(sink.repeats) == 1, "the next try is later"
        (_state,) = Dispatch(kept, [sink], lambda: True).sinks or [None]
        with Ledger(tmp_path / NAME, kept.spool_name, readonly=True) as ledger:
            assert ledger.states()["fake"].state == "away"
            assert "OverflowError" in ledger.states()["fake"].reason


def test_a_delivery_that_hangs_is_told(tmp_path: Path) -> None:
    now_s = 0.0
    with store(tmp_path) as kept:
        say(kept, 3)
        dispatch = Dispatch(kept, [Fake()], lambda: True, monotonic=lambda: now_s)
        assert dispatch.look(0) == []
        now_s = STUCK_S + 1
        assert reasons(dispatch.look(0)) == ["sink_away"]
        assert dispatch.look(0) == []


def test_a_sink_that_refuses_us_is_told_once_and_again_when_it_does_so_again(tmp_path: Path) -> None:
    """401, 403, a certificate: in an alert of this sensor, since the other end sees none."""

    def refuse(one: Outgoing) -> Answer:
        raise Refused("Elasticsearch at https://x: does not know us: is the API key right and still valid?")

    with store(tmp_path) as kept:
        dispatch = Dispatch(kept, [Fake(refuse)], lambda: True)
        for _ in range(2):
            say(kept, 3)
            ship(tmp_path, Fake(refuse))
            (found,) = dispatch.look(0)
            assert (found.reason, found.interface) == ("sink_stopped", "fake")
            assert "does not know us" in str(found.detail)
            assert dispatch.look(0) == []
            ship(tmp_path, Fake())
            assert dispatch.look(0) == []


@pytest.mark.parametrize("set_back_ns", [0, 365 * 86_400 * NS])
def test_a_sink_that_is_away_is_told_after_five_minutes_whatever_the_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, set_back_ns: int
) -> None:
    def away(one: Outgoing) -> Answer:
        raise Unreachable("nobody there")

    now_s, set_ns = 0.0, time.time_ns() - set_back_ns
    with store(tmp_path) as kept:
        say(kept, 3)
        ship(tmp_path, Fake(away))
        monkeypatch.setattr("otmon.sensor.dispatch.time.time_ns", lambda: set_ns)
        dispatch = Dispatch(kept, [Fake()], lambda: True, monotonic=lambda: now_s)
        assert dispatch.look(0) == []
        now_s = AWAY_NS / 1e9 - 1
        assert dispatch.look(0) == []
        now_s += 1
        assert reasons(dispatch.look(0)) == ["sink_away"]
        assert dispatch.look(0) == []


def test_records_refused_for_good_are_told(tmp_path: Path) -> None:
    sink = Fake(lambda one: Answer("dead", "no"))
    with store(tmp_path) as kept:
        dispatch = Dispatch(kept, [sink], lambda: True)
        ship(tmp_path, Fake(), steps=1)
        dispatch.look(0)
        say(kept, 3)
        ship(tmp_path, sink)
        found = dispatch.look(0)
        assert [(one.reason, one.frames) for one in found] == [("sink_refused", 3)]
        assert dispatch.look(0) == []


def test_what_waits_for_a_sink_costs_no_history(tmp_path: Path) -> None:
    from tests.site.plant import plant

    with store(tmp_path, keep=Retention(max_bytes=400_000)) as kept:
        kept.add(plant())
        before = kept.sizes()["operations"]
        say(kept, 800, 1000)
        kept.forget(plant().operations[0].last_ts_ns)
        assert kept.sizes()["operations"] == before > 0


@pytest.mark.parametrize("first", [("audit",), ()])
def test_alerts_found_while_nobody_took_them_are_told_to_who_comes(tmp_path: Path, first: tuple[str, ...]) -> None:
    from tests.alerts.stub import Site, episode, operation

    one = episode(operation())
    one.keep_name()
    with SiteStore(tmp_path / "site.db", "site", spooled=first) as kept:
        from otmon.alerts.record import as_record

        kept.alerts([one], [as_record(one, Site())])
    for spooled, waits in ((("alert",), 1), (("alert",), 1), ((), 1), (("alert", "audit"), 2)):
        with SiteStore(tmp_path / "site.db", "site", spooled=spooled) as kept:
            assert kept.waiting()["alert"].records == waits, spooled


def test_assets_that_are_gone_are_not_remembered(tmp_path: Path) -> None:
    from otmon.site.site import Site
    from tests.site.plant import plant

    with SiteStore(tmp_path / "site.db", "site", spooled=("asset",)) as kept:
        kept.describe(Site(plant()))
        (told,) = kept._db.execute("SELECT count(*) FROM told").fetchone()
        assert told > 0
        from otmon.site.part import Part

        kept.describe(Site(Part()))
        assert kept._db.execute("SELECT count(*) FROM told").fetchone() == (0,)


def test_the_log_says_at_once_how_an_output_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And once, until that changes."""
    caplog.set_level("INFO", "otmon")
    answers = [Unreachable("no route"), DONE, DONE]

    class Moody(Fake):
        def deliver(self, batch: Sequence[Outgoing], repeated: bool) -> Sequence[Answer]:
            answer = answers.pop(0)
            if isinstance(answer, Unreachable):
                raise answer
            return super().deliver(batch, repeated)

    sink = Moody()
    with store(tmp_path) as kept:
        dispatch = Dispatch(kept, [sink], lambda: True)
        for _ in range(3):
            say(kept, 1)
            ship(tmp_path, sink, 1)
            dispatch.look(0)
            dispatch.look(0)
    lines = [record.getMessage() for record in caplog.records if record.__dict__.get("event") == "output"]
    assert lines == ["fake is not reached, and is tried again: no route", "fake takes what is sent"]


def test_what_waits_for_an_output_that_was_taken_out_is_dropped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where no output is left at all everything goes on waiting: `otmon deliver` may still be asked for it."""
    with store(tmp_path) as kept:
        say(kept, 5)
        kept.health({"ts_ns": 1})
    with SiteStore(tmp_path / "site.db", "site") as kept:
        assert {name: one.records for name, one in kept.waiting().items()} == {"audit": 5, "sensor": 1}

    class Audit(Fake):
        streams = frozenset({"audit"})

    with SiteStore(tmp_path / "site.db", "site", spooled=("audit",)) as kept:
        dispatch = Dispatch(kept, [Audit()], lambda: True)
        assert dispatch.look(0) == [], "the operator did it: no alert"
        assert {name: one.records for name, one in kept.waiting().items()} == {"audit": 5, "sensor": 0}
        dispatch.look(0)
    lines = [record.getMessage() for record in caplog.records if record.__dict__.get("event") == "spool_dropped"]
    assert lines == ["1 records (sensor) waited for no output of the configuration: dropped"]
