"""Health records, and what the machine's clock was worth."""

import json
from pathlib import Path

import jsonschema
import pytest

from otmon.capture.privileges import Dropped, Measure
from otmon.capture.system_clock import ClockSteps
from otmon.sensor.look import look
from otmon.store.database import SiteDatabase
from tests.sensor.feed import ADRIFT, ROOT, SYNCHRONISED, frames_of, sensor_of, turn

PLANT = (ROOT / "rules" / "plant.yaml").read_text()
FRAMES = frames_of("plant.pcap")
DROPPED = Dropped(65534, 65534, (Measure("files", True, "Landlock"), Measure("network", False, "no ports")))
SCHEMA = json.loads((ROOT / "docs" / "records" / "health.schema.json").read_text())


def records(folder: Path) -> list[dict]:
    with SiteDatabase(folder / "site.db") as database:
        return database.health


def test_records_are_what_the_schema_says(tmp_path: Path) -> None:
    with sensor_of(tmp_path, FRAMES, PLANT, dropped=DROPPED) as (sensor, clock):
        turn(sensor, clock, 75)
        sensor.finish()
    found = records(tmp_path)
    for record in found:
        jsonschema.Draft202012Validator(SCHEMA).validate(record)
    assert len(found) == 3  # the first soon after the start, a minute later, at the end
    assert [record["privileges"] for record in found] == [DROPPED.as_record(), None, None]
    assert sum(record["interfaces"][0]["frames"] for record in found) == len(FRAMES)
    assert sum(sum(record["frames"].values()) for record in found) == len(FRAMES)
    assert found[0]["clock"] == {**SYNCHRONISED._asdict(), "steps": 0}


def test_steps_of_the_clock_are_in_the_record_of_their_interval(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wall, steady = [10**18], [0]
    states = [SYNCHRONISED]
    steps = ClockSteps(lambda: wall[0], lambda: steady[0])
    with sensor_of(tmp_path, FRAMES, state=lambda: states[0], steps=steps) as (sensor, clock):
        turn(sensor, clock, 12)
        wall[0] -= 86_400 * 10**9
        states[0] = ADRIFT
        turn(sensor, clock, 14)
        assert look(sensor).clock_steps == 1
        sensor.finish()
    assert [(r["clock"]["steps"], r["clock"]["synchronised"]) for r in records(tmp_path)] == [(0, True), (1, False)]
    assert "clock was set by -86400.000 s" in caplog.text
    assert "is not synchronised any more" in caplog.text


WINDOWED = """otmon: 1
timezone: UTC
zones: {plant: {hosts: [10.0.0.0/8]}}
conduits:
  - {id: WHEN, from: plant, to: plant, DURING allow: [{protocol: modbus, access: write}]}
  - {id: always, from: plant, to: plant, allow: [{protocol: dnp3}, {protocol: tcp}, {protocol: s7comm}]}
"""


@pytest.mark.parametrize(("state", "unsure"), [(ADRIFT, True), (SYNCHRONISED, False)])
def test_an_alert_of_a_row_with_a_window_says_that_the_clock_is_unsure(tmp_path: Path, state, unsure: bool) -> None:
    policy = WINDOWED.replace("WHEN", "at-night").replace("DURING", "during: {hours: 22:00-22:01},")
    with sensor_of(tmp_path, FRAMES, policy, lambda: state) as (sensor, clock):
        turn(sensor, clock, 40)
        titles = [alert["title"] for alert in sensor.told.latest if "Row at-night" in alert["title"]]
        assert titles
        assert all(("clock is not synchronised" in title) == unsure for title in titles)
        sensor.finish()


def test_an_alert_of_a_row_without_a_window_does_not(tmp_path: Path) -> None:
    policy = WINDOWED.replace("WHEN", "by-day").replace("DURING", "")
    with sensor_of(tmp_path, FRAMES, policy, lambda: ADRIFT) as (sensor, clock):
        turn(sensor, clock, 40)
        assert sensor.told.latest
        assert not any("clock" in alert["title"] for alert in sensor.told.latest)
        sensor.finish()


def test_figures_are_those_of_the_whole_run_whenever_one_looks(tmp_path: Path) -> None:
    with sensor_of(tmp_path, FRAMES, PLANT) as (sensor, clock):
        for until_s in (5, 12, 40, 75):
            turn(sensor, clock, until_s)
            figures = look(sensor)
            assert sum(figures.frames.values()) == figures.interfaces[0].frames
            assert sum(figures.alerts.values()) == figures.episodes
        sensor.finish()
        figures = look(sensor)
        part = sensor.store.part()
        assert figures.frames == {**dict.fromkeys(figures.frames, 0), **part.frames}
        assert figures.pdus == {name: counts["pdus"] for name, counts in part.protocols.items()}
        assert figures.stored["operations"] == len(part.operations)
        assert figures.stored["connections"] == len(part.connections)
        assert figures.assets == len(sensor.site.assets) > 5
        assert figures.database_bytes > 10_000
        assert figures.checkpoints == 3
        assert figures.bytes_written > 10_000


def test_what_fails_beside_the_watch_is_given_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with sensor_of(tmp_path, FRAMES) as (sensor, clock):
        calls = []

        def broken() -> None:
            calls.append(1)
            raise OSError("the terminal is gone")

        sensor.every(1.0, broken, "the view")
        turn(sensor, clock, 5)
        assert len(calls) == 1
        assert sensor.front.last_ts_ns
        sensor.finish()
    assert "the view failed and is given up" in caplog.text
