"""A sensor remembers the logic of controllers: over checkpoints, restarts and jobs."""

from pathlib import Path
from typing import Any

import pytest

from otmon.engine import analyze
from otmon.sensor.export import tell
from otmon.store.database import SiteDatabase
from otmon.store.errors import StoreFull
from tests.engine.test_transfers import DOWN, OB1, OTHER, UP, sha, story
from tests.engine.world import START_NS, Frame, plain, scratch, write
from tests.sensor.feed import sensor_of, turn

STEPS = (("upload", UP, OB1), ("download", DOWN, OTHER), ("upload", UP, OTHER), ("upload", UP, OB1))


def timed(frames: list[bytes], second: float = 0.0) -> list[Frame]:
    return [Frame(START_NS + int(second * 1e9) + n * 1_000_000, frame) for n, frame in enumerate(frames)]


def watched(folder: Path, frames: list[Frame], until_s: float = 75) -> None:
    with sensor_of(folder, frames) as (sensor, clock):
        turn(sensor, clock, until_s)
        sensor.finish()


def logic(folder: Path) -> list[dict[str, Any]]:
    with SiteDatabase(folder / "site.db") as database:
        return [alert for alert in database.alerts if alert["kind"] == "asset"]


def test_a_sensor_keeps_what_analyze_writes(tmp_path: Path) -> None:
    frames = timed(story(*STEPS, clients=("10.0.2.30", "10.0.2.31")))
    watched(tmp_path, frames)
    usual = analyze([str(write(scratch() / "a.pcap", frames))]).part
    with SiteDatabase(tmp_path / "site.db") as database:
        part = database.part()
        assert plain([b._asdict() for b in part.blocks]) == plain([b._asdict() for b in usual.blocks])
        _, alerts = tell(part, None, "default")
    assert [a["id"] for a in alerts if a["kind"] == "asset"] == [e.id for e in usual.episodes if e.key.kind == "asset"]
    assert len(logic(tmp_path)) == 1


def test_a_change_is_noticed_over_a_restart(tmp_path: Path) -> None:
    watched(tmp_path, timed(story(("upload", UP, OB1))))
    assert logic(tmp_path) == []
    watched(tmp_path, timed(story(("upload", UP, OTHER)), 7200))
    (alert,) = logic(tmp_path)
    assert "2023-11-14 22:13:20Z" in alert["title"]
    watched(tmp_path, timed(story(("download", DOWN, OB1)), 14_400))
    watched(tmp_path, timed(story(("upload", UP, OB1)), 21_600))
    assert len(logic(tmp_path)) == 1, "the download was seen in another run"
    with SiteDatabase(tmp_path / "site.db") as database:
        found = sorted((b.direction, b.sha256, b.transfers) for b in database.blocks)
    assert found == sorted([("download", sha(OB1), 1), ("upload", sha(OB1), 2), ("upload", sha(OTHER), 1)])


def test_what_a_full_disk_did_not_take_is_compared_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = timed(story(("upload", UP, OB1)))
    later = timed(story(("upload", UP, OTHER)), 40)
    with sensor_of(tmp_path, [*frames, *later]) as (sensor, clock):
        monkeypatch.setattr(sensor.store, "add", lambda part: (_ for _ in ()).throw(StoreFull("full")))
        turn(sensor, clock, 150)
        assert [e.key.function for e in sensor.episodes.all if e.op is not None] == ["logic_changed_unseen"]
        monkeypatch.undo()
        sensor.finish()
    assert len(logic(tmp_path)) == 1
