"""A disk that is full under the spool and the ledger: it is said, and nothing is lost or sent as if it were new."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from otmon.delivery.ledger import NAME, Ledger, LedgerError
from otmon.delivery.once import deliver_all
from otmon.outputs.sink import Outgoing
from otmon.store.errors import StoreFull
from otmon.store.sensor import SiteStore
from otmon.store.spool import FINAL, STREAMS
from tests.delivery.kit import SENSOR, FakeSink, Spool


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Of 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"needs the right to mount: {done.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(disk: Path) -> Path:
    with suppress(OSError), (disk / "other").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    return disk / "other"


def test_a_full_disk_under_the_ledger(disk: Path) -> None:
    made = Spool(disk, FINAL)
    made.append("alert", 300)
    made.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    sink = FakeSink("well", STREAMS)
    other = fill(disk)
    with pytest.raises(LedgerError, match="disk"):
        deliver_all(disk, [sink], SENSOR)
    assert sink.calls == [], "nothing goes out that could not be remembered"
    other.unlink()
    assert deliver_all(disk, [sink], SENSOR) == {"well": 0}
    assert sink.taken() == sorted(made.ids["alert"])


def test_a_disk_that_fills_up_between_sending_and_answer(disk: Path) -> None:
    made = Spool(disk, FINAL)
    made.append("alert", 300)
    made.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    sink = FakeSink("well", STREAMS, doomed=lambda name: name.endswith("7"))
    deliver, other = sink.deliver, None

    def filling(batch: list[Outgoing], repeated: bool) -> object:
        nonlocal other
        answers = deliver(batch, repeated)
        if other is None:
            other = fill(disk)
            sink.generations.append(set())  # rolled over: what is created again would be doubled
        return answers

    sink.deliver = filling  # type: ignore[assignment, method-assign]  # the test plays the sink
    with suppress(LedgerError):  # or SQLite found room in pages that it had already
        deliver_all(disk, [sink], SENSOR)
    assert other is not None
    other.unlink()
    assert deliver_all(disk, [sink], SENSOR) == {"well": 0}
    assert sink.taken() == sorted(name for name in made.ids["alert"] if not name.endswith("7"))
    with Ledger(disk / NAME, FINAL, readonly=True) as ledger:
        assert sorted(one.id for one in ledger.dead()) == sorted(n for n in made.ids["alert"] if n.endswith("7"))


def test_a_full_disk_under_the_spool(disk: Path) -> None:
    """What could not be spooled never was, and is spooled when it is said again."""
    with SiteStore(disk / "site.db", "s", spooled=STREAMS) as store:
        store.audit({"action": "a", "message": "", "detail": {}, "ts_ns": 1})
        other = fill(disk)
        with pytest.raises(StoreFull):
            store.audit({"action": "a", "message": "x" * 1_000_000, "detail": {}, "ts_ns": 1})
        before = store.waiting()["audit"]
        other.unlink()
        store.audit({"action": "a", "message": "", "detail": {}, "ts_ns": 2})
        after = store.waiting()["audit"]
        assert (after.records, after.last) == (before.records + 1, before.last + 1)
        assert store.relieve({"audit": after.last}, 0, 0, 1 << 30) == {}
        assert store.waiting()["audit"].records == 0
