"""A folder is delivered, by one at a time, and what everybody has leaves it."""

import json
import os
import sqlite3
from pathlib import Path

import pytest

from otmon.delivery.again import again
from otmon.delivery.ledger import NAME, Ledger, LedgerError, hold
from otmon.delivery.once import deliver_all, states
from otmon.delivery.report import report
from otmon.outputs.folder import dead_letters, undelivered
from otmon.store import spool
from otmon.store.database import SiteDatabase
from otmon.store.errors import StoreError
from tests.delivery.kit import SENSOR, T0, FakeSink, Spool


def filled(folder: Path, name: str = spool.FINAL) -> Spool:
    made = Spool(folder, name)
    made.append("alert", 20)
    made.append("asset", 10)
    return made


def test_what_everybody_has_leaves_the_spool(tmp_path: Path) -> None:
    made = filled(tmp_path)
    well, away = FakeSink("well", spool.STREAMS), FakeSink("away", ("alert",))
    away.mood = "away"
    assert deliver_all(tmp_path, [well, away], SENSOR, patience_s=0) == {"well": 0, "away": 20}
    assert len(made.there()) == 20, "assets only one of them wanted"
    away.mood = "ok"
    assert deliver_all(tmp_path, [well, away], SENSOR) == {"well": 0, "away": 0}
    assert made.there() == set()
    assert well.taken() == sorted(made.ids["alert"] + made.ids["asset"])
    assert away.taken() == sorted(made.ids["alert"])
    assert {one.state for one in states(tmp_path).values()} == {"well"}


def test_of_a_sensors_spool_nothing_is_removed(tmp_path: Path) -> None:
    """It may have other sinks, which nobody named here."""
    made = filled(tmp_path, "a sensor's")
    sink = FakeSink("well", spool.STREAMS)
    assert deliver_all(tmp_path, [sink], SENSOR) == {"well": 0}
    assert len(made.there()) == 30
    calls = len(sink.calls)
    assert deliver_all(tmp_path, [sink], SENSOR) == {"well": 0}
    assert len(sink.calls) == calls, "and nothing is sent again"


def test_one_at_a_time(tmp_path: Path) -> None:
    filled(tmp_path)
    held = hold(tmp_path)
    with pytest.raises(LedgerError, match="another otmon delivers"):
        deliver_all(tmp_path, [FakeSink("well", spool.STREAMS)], SENSOR)
    os.close(held)
    assert deliver_all(tmp_path, [FakeSink("well", spool.STREAMS)], SENSOR) == {"well": 0}


def test_a_link_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / f".{NAME}.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        hold(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_sink_that_refuses_is_asked_once(tmp_path: Path) -> None:
    filled(tmp_path)
    sink = FakeSink("closed", spool.STREAMS)
    sink.mood = "refused"
    assert deliver_all(tmp_path, [sink], SENSOR) == {"closed": 30}
    assert len(sink.calls) == 1
    assert states(tmp_path)["closed"][:2] == ("stopped", "refused")


class PlacedSink(FakeSink):
    """`said`: somebody says where its records go."""

    def __init__(self, place: str, said: bool) -> None:
        super().__init__("placed", spool.STREAMS)
        self.place, self.said = place, said

    def settle(self, place: str) -> None:
        self.place = self.place if self.said else place


def test_where_records_went_before_they_go_again(tmp_path: Path) -> None:
    made = filled(tmp_path)
    for place, said, goes in (("north", True, "north"), ("default", False, "north"), ("south", True, "south")):
        made.append("alert", 1)
        sink = PlacedSink(place, said)
        assert deliver_all(tmp_path, [sink], SENSOR) == {"placed": 0}
        assert sink.place == goes
        assert sink.taken()


def test_an_old_capture_is_not_behind_by_its_age(tmp_path: Path) -> None:
    made = filled(tmp_path)
    (tmp_path / "run.json").touch()
    os.utime(tmp_path / "run.json", ns=(0, T0 + 60 * 10**9))
    sink = FakeSink("away", spool.STREAMS)
    sink.mood = "away"
    deliver_all(tmp_path, [sink], SENSOR, patience_s=0)
    (told,) = report(tmp_path, now_ns=T0 + 90 * 10**9)["sinks"]
    assert (told["waiting"], told["behind_s"]) == (made.made, 30.0)
    sink.mood = "ok"
    deliver_all(tmp_path, [sink], SENSOR)
    assert report(tmp_path)["sinks"][0]["behind_s"] is None


def test_a_locked_spool_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = filled(tmp_path)
    made.db.execute("PRAGMA locking_mode = EXCLUSIVE")
    monkeypatch.setattr("otmon.delivery.reader._BUSY_S", 0.1)
    made.db.execute("PRAGMA journal_mode = DELETE")
    made.db.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="locked"):
        deliver_all(tmp_path, [FakeSink("well", spool.STREAMS)], SENSOR)


def test_a_ledger_that_cannot_be_written_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otmon.delivery.ledger._BUSY_S", 0.1)
    made = filled(tmp_path)
    sink = FakeSink("well", spool.STREAMS)
    deliver_all(tmp_path, [sink], SENSOR)
    made.append("alert", 5)
    other = sqlite3.connect(tmp_path / NAME, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LedgerError, match="locked"):
        deliver_all(tmp_path, [sink], SENSOR)
    other.execute("ROLLBACK")
    assert deliver_all(tmp_path, [sink], SENSOR) == {"well": 0}
    assert len(sink.taken()) == 35


def test_a_ledger_put_back_from_a_copy_is_not_believed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What it does not know to be answered is looked up, what it knows is not; said once."""
    sink = FakeSink("fake", ["alert"])
    made = Spool(tmp_path)
    made.append("alert", 10)
    deliver_all(tmp_path, [sink], SENSOR)
    copy = (tmp_path / NAME).read_bytes()
    made.append("alert", 20)
    deliver_all(tmp_path, [sink], SENSOR)
    (tmp_path / NAME).write_bytes(copy)
    sink.generations.append(set())
    made.append("alert", 5)
    for _ in range(2):
        assert deliver_all(tmp_path, [sink], SENSOR) == {"fake": 0}
    assert [repeated for *_, repeated in sink.calls] == [False, False, True]
    assert sink.calls[-1][1] == list(range(11, 36))
    assert sink.taken() == sorted(made.ids["alert"])
    assert caplog.text.count("replaced by an older copy") == 1
    made.close()


@pytest.mark.parametrize(
    "change",
    ["record = '{\"a\": '", "record = x'ff00fe'", "record = '3'", "record = CAST(x'7b22ff227d' AS TEXT)"],
)
def test_a_record_that_the_disk_spoilt_holds_up_no_other(tmp_path: Path, change: str) -> None:
    made, sink = filled(tmp_path), FakeSink("fake", spool.STREAMS)
    made.db.execute(f"UPDATE spool SET {change} WHERE stream = 'alert' AND sequence IN (1, 7)")
    assert deliver_all(tmp_path, [sink], SENSOR) == {"fake": 0}
    assert sink.taken() == sorted(set(made.ids["alert"] + made.ids["asset"]) - {"alert-0", "alert-6"})
    calls = len(sink.calls)
    with Ledger(tmp_path / NAME) as ledger:
        letters = ledger.dead()
        refused = again(sink, ledger, made.path, letters, SENSOR)
    assert ([one for one, _ in refused], len(sink.calls)) == (letters, calls), "there is nothing to send"
    assert [(one.id, one.reason) for one in letters] == [
        (name, "it was spoilt on the disk, in the spool") for name in ("alert-0", "alert-6")
    ]
    assert all(json.loads(one.record)["damaged"] for one in letters)
    made.close()


@pytest.mark.parametrize("kept", [b"9" * 20, b"\0" * 21, b"-1", b"", b"\xff" * 5_000, b"a ledger was begun here\n"])
def test_whatever_the_lock_file_holds(tmp_path: Path, kept: bytes) -> None:
    made, sink = filled(tmp_path), FakeSink("fake", spool.STREAMS)
    (tmp_path / f".{NAME}.lock").write_bytes(kept)
    assert deliver_all(tmp_path, [sink], SENSOR) == {"fake": 0}
    made.append("alert", 1)
    assert deliver_all(tmp_path, [sink], SENSOR) == {"fake": 0}
    assert not any(repeated for *_, repeated in sink.calls)
    assert len(sink.taken()) == 31
    made.close()


def test_only_spoilt_records(tmp_path: Path) -> None:
    """One of them with an id that is no text."""
    made, sink = filled(tmp_path), FakeSink("fake", spool.STREAMS)
    made.db.execute("UPDATE spool SET record = '[]', id = CAST(x'edb080' AS TEXT)")
    assert deliver_all(tmp_path, [sink], SENSOR) == {"fake": 0}
    assert sink.calls == []
    assert states(tmp_path)["fake"].dead == 30
    made.close()


def test_a_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"\xff\x1b%?#")
    folder.mkdir()
    made, sink = filled(folder), FakeSink("fake", spool.STREAMS)
    assert undelivered(folder) == 30
    assert deliver_all(folder, [sink], SENSOR) == {"fake": 0}
    assert report(folder)["sinks"][0]["delivered"] == 30
    assert dead_letters(folder) == undelivered(folder) == 0
    with SiteDatabase(folder / "site.db"):
        pass
    made.close()
