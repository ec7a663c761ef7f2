"""Beside a sensor: whoever delivers is killed, the sensor is killed, the other end hangs, another sensor comes."""

import logging
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from otmon.delivery.courier import Courier
from otmon.delivery.ledger import NAME, Ledger, LedgerError, hold
from otmon.outputs.sink import DONE, Answer, Outgoing
from otmon.store.spool import STREAMS
from tests.delivery.kit import SENSOR, FakeSink, Spool


class FileSink:
    """Takes an id once, in a database, since it is in another process each time."""

    name, streams = "file", frozenset(STREAMS)

    def __init__(self, folder: Path, hang_s: float = 0.0) -> None:
        self.path, self.hang_s = folder / "taken.db", hang_s
        with self.open() as db:
            db.execute("CREATE TABLE IF NOT EXISTS taken (id TEXT PRIMARY KEY, pid INTEGER)")
            db.execute("CREATE TABLE IF NOT EXISTS repeated (id TEXT)")

    def open(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=30)

    def deliver(self, batch: Sequence[Outgoing], repeated: bool) -> Sequence[Answer]:
        if self.hang_s:
            time.sleep(self.hang_s)
        with self.open() as db:
            db.executemany("INSERT OR IGNORE INTO taken VALUES (?, ?)", ((one.id, os.getpid()) for one in batch))
            db.executemany("INSERT INTO repeated VALUES (?)", ((one.id,) for one in batch if repeated))
        return [DONE for _ in batch]

    def close(self) -> None:
        pass

    def taken(self) -> list[str]:
        with self.open() as db:
            return sorted(row[0] for row in db.execute("SELECT id FROM taken"))

    def repeated(self) -> set[str]:
        with self.open() as db:
            return {row[0] for row in db.execute("SELECT id FROM repeated")}

    def pids(self) -> set[int]:
        with self.open() as db:
            return {row[0] for row in db.execute("SELECT DISTINCT pid FROM taken")}


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otmon.delivery.courier.AGAIN_S", 0.2)
    monkeypatch.setattr("otmon.delivery.shipper.IDLE_S", 0.1)


def until(true: Callable[[], object], timeout_s: float = 60.0) -> float:
    began_s = time.monotonic()
    while not true():
        assert time.monotonic() - began_s < timeout_s, "it never came to be"
        time.sleep(0.02)
    return time.monotonic() - began_s


def begun(spool: Spool, sink: FileSink) -> Courier:
    courier = Courier(spool.path, lambda: [sink], SENSOR, {})
    courier.begin(lambda: None)
    courier.go()
    return courier


def test_what_is_left_goes_out_at_the_end(tmp_path: Path) -> None:
    spool, sink = Spool(tmp_path), FileSink(tmp_path)
    courier = begun(spool, sink)
    spool.append("alert", 10)
    until(lambda: len(sink.taken()) == 10)
    spool.append("alert", 3_000)
    began_s = time.monotonic()
    courier.end()
    assert time.monotonic() - began_s < 5.5
    assert sink.taken() == sorted(spool.ids["alert"])
    assert not courier.alive()


def test_whoever_delivers_is_killed_again_and_again(tmp_path: Path) -> None:
    spool, sink = Spool(tmp_path), FileSink(tmp_path)
    courier = begun(spool, sink)
    killed: set[int] = set()
    for _ in range(5):
        spool.append("alert", 20)
        until(lambda: len(sink.taken()) == spool.made)
        (pid,) = sink.pids() - killed
        os.kill(pid, signal.SIGKILL)
        killed.add(pid)
        assert courier.alive()
    spool.append("alert", 20)
    until(lambda: len(sink.taken()) == spool.made)
    courier.end()
    assert sink.taken() == sorted(spool.ids["alert"])


@pytest.mark.parametrize("hang_s", [0.0, 60.0])
def test_the_sensor_is_killed_and_another_one_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hang_s: float
) -> None:
    """Also where the other end hangs: nobody waits for it longer than for what is left."""
    monkeypatch.setattr("otmon.delivery.courier.LEFT_S", 1.0)
    spool, sink = Spool(tmp_path), FileSink(tmp_path, hang_s)
    spool.append("alert", 10)
    pid = os.fork()
    if not pid:
        with suppress(BaseException):
            begun(spool, sink)
            time.sleep(600)
        os._exit(1)
    until(lambda: held(tmp_path))
    if not hang_s:
        until(sink.taken)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    gone_s = until(lambda: not held(tmp_path))
    assert gone_s < 10, "1 s for what is left, on a machine that does other things too"
    spool.append("alert", 10)
    another = FileSink(tmp_path)
    courier = begun(spool, another)
    until(lambda: len(another.taken()) == 20)
    courier.end()
    assert another.taken() == sorted(spool.ids["alert"])


@pytest.mark.parametrize("names", [("",), ("", "-wal", "-shm")])
def test_the_ledger_is_removed_while_it_is_in_use(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Said in one line, begun anew, and nothing is lost; what had arrived is known to have been sent perhaps."""
    log = logging.FileHandler(tmp_path / "log")
    logging.getLogger("otmon").addHandler(log)
    try:
        spool, sink = Spool(tmp_path), FileSink(tmp_path)
        courier = begun(spool, sink)
        for number in (10, 20, 30):
            spool.append("alert", 10)
            until(lambda: len(sink.taken()) == number)  # noqa: B023 (it is waited for at once)
            for name in names:
                (tmp_path / f"{NAME}{name}").unlink(missing_ok=True)
        spool.append("alert", 10)
        until(lambda: len(sink.taken()) == 40)
        courier.end()
    finally:
        logging.getLogger("otmon").removeHandler(log)
    lines = (tmp_path / "log").read_text().splitlines()
    assert len(lines) == 3
    assert all("delivery.db: removed, or replaced by an older copy: what waits is sent again" in line for line in lines)
    with Ledger(tmp_path / NAME, "s1", readonly=True) as ledger:
        assert ledger.cursor("file", "alert").done == 40
        assert ledger.unsure(FakeSink("another", ["alert"]))
    assert set(spool.ids["alert"][:30]) <= sink.repeated()


@pytest.mark.parametrize(("way", "looked_up"), [("log removed", 10), ("log kept", 20), ("written over", 30)])
def test_the_ledger_is_put_back_from_a_copy_while_it_is_in_use(tmp_path: Path, way: str, looked_up: int) -> None:
    """With its log SQLite makes of the copy what it was; what is written over an open database may never be seen."""
    spool, sink = Spool(tmp_path), FileSink(tmp_path)
    courier = begun(spool, sink)
    spool.append("alert", 10)
    until(lambda: len(sink.taken()) == 10)
    courier.end()
    copy = (tmp_path / NAME).read_bytes()
    courier = begun(spool, sink)
    spool.append("alert", 10)
    until(lambda: len(sink.taken()) == 20)
    assert sink.repeated() == set()
    if way == "written over":
        (tmp_path / NAME).write_bytes(copy)
    else:
        (tmp_path / "copy").write_bytes(copy)
        (tmp_path / "copy").rename(tmp_path / NAME)
    for name in ("-wal", "-shm") if way == "log removed" else ():
        (tmp_path / f"{NAME}{name}").unlink()
    spool.append("alert", 10)
    until(lambda: len(sink.taken()) == 30)
    courier.end()
    assert set(spool.ids["alert"][looked_up:]) <= sink.repeated()
    assert not sink.repeated() & set(spool.ids["alert"][:10]), "the copy knew of them"
    with Ledger(tmp_path / NAME, "s1", readonly=True) as ledger:
        assert ledger.cursor("file", "alert").done == 30


def held(folder: Path) -> bool:
    try:
        os.close(hold(folder))
    except LedgerError:
        return True
    return False


def test_the_same_trouble_is_said_once(tmp_path: Path) -> None:
    log = logging.FileHandler(tmp_path / "log")
    logging.getLogger("otmon").addHandler(log)
    try:
        spool, sink = Spool(tmp_path), FileSink(tmp_path)
        spool.close()
        spool.path.write_bytes(b"no database" * 1_000)
        courier = begun(spool, sink)
        time.sleep(1.5)
        courier.end()
    finally:
        logging.getLogger("otmon").removeHandler(log)
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert "delivery to file waits" in line
    assert "its spool cannot be read" in line


def test_a_database_that_is_locked_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otmon.delivery.reader._BUSY_S", 0.1)
    spool, sink = Spool(tmp_path), FileSink(tmp_path)
    spool.db.execute("PRAGMA journal_mode = DELETE")
    spool.append("alert", 10)
    courier = Courier(spool.path, lambda: [sink], SENSOR, {})
    courier.begin(lambda: None)  # before the lock, of which a fork would believe that it is its own
    spool.db.execute("BEGIN EXCLUSIVE")
    courier.go()
    time.sleep(1)
    assert sink.taken() == []
    spool.db.execute("COMMIT")
    until(lambda: len(sink.taken()) == 10)
    courier.end()
