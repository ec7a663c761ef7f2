"""A disk that is full or read-only: nothing is lost, and it is said."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from otmon.site.part import Part, merge
from otmon.store.database import SiteDatabase, StoreError, StoreFull
from otmon.store.sensor import SiteStore
from tests.alerts.stub import episode, operation
from tests.site.plant import op, plant
from tests.site.test_part import plain


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"needs the right to mount: {done.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def many(number: int) -> Part:
    return Part(operations=[op(client=f"10.8.{n >> 8}.{n & 255}") for n in range(number)])


def test_a_full_disk(mount: Path) -> None:
    with SiteStore(mount / "site.db", "default") as store:
        store.add(plant())
        with pytest.raises(StoreFull, match="free space") as error:
            store.add(many(20_000))
        assert "\n" not in str(error.value)
        assert plain(store.part()) == plain(merge([plant()]))
        fill = mount / "other"
        with pytest.raises(OSError, match="No space"):
            fill.write_bytes(b"x" * 2_000_000)
        alert = episode(operation())
        with pytest.raises(StoreFull):
            store.alerts([alert], [{"id": alert.id, "title": "x" * 100_000}])
        assert store.episodes() == []
        fill.unlink()
        store.alerts([alert], [{"id": alert.id}])
        store.add(many(10))
        assert [one.id for one in store.episodes()] == [alert.id]
        assert len(store.part().operations) == 10 + len(plant().operations)
    with SiteDatabase(mount / "site.db") as back:
        assert len(back.alerts) == 1


def test_a_full_disk_at_the_start(mount: Path) -> None:
    with pytest.raises(OSError, match="No space"):
        (mount / "other").write_bytes(b"x" * 2_000_000)
    with pytest.raises(StoreFull):
        SiteStore(mount / "site.db", "default")
    (mount / "other").unlink()
    with SiteStore(mount / "site.db", "default") as store:
        assert store.notices == []


def test_read_from_a_read_only_medium(mount: Path, tmp_path: Path) -> None:
    with SiteStore(tmp_path / "site.db", "default") as store:
        store.add(plant())
        store._journal.empty()
        shutil.copy(tmp_path / "site.db", mount / "site.db")
    for name in ("log.db", "log.db-wal"):
        shutil.copy(mount / "site.db", mount / name)
    assert (mount / "site.db").read_bytes()[18:20] == b"\x02\x02", "left in write-ahead mode, as by a kill"
    subprocess.run(["mount", "-o", "remount,ro", mount], check=True)
    with pytest.raises(StoreError, match="copy its folder"):
        SiteDatabase(mount / "log.db")
    with SiteDatabase(mount / "site.db") as back:
        assert plain(back.part()) == plain(merge([plant()]))
    assert "site.db-shm" not in os.listdir(mount)
