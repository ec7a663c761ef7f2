"""Values seen on the wire, from a sensor's frames to its spool."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from otmon.sensor.watch import Sensor
from otmon.store.sensor import SiteStore
from tests.engine.test_metamorphic import plant
from tests.sensor.deal import Clock, Deal
from tests.sensor.feed import ROOT, frames_of

SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "docs" / "records" / "point.schema.json").read_text()))


def watched(folder: Path, streams: tuple[str, ...], **options: Any) -> list[Any]:
    """The plant's frames, each at its second; what is spooled of points."""
    frames, clock = frames_of("plant.pcap"), Clock()
    began_ns = frames[0].ts_ns
    seconds = sorted({(frame.ts_ns - began_ns) // 10**9 for frame in frames})
    dealt = [(float(s), [f for f in frames if (f.ts_ns - began_ns) // 10**9 == s]) for s in seconds]
    with SiteStore(folder / "site.db", plant().site, spooled=streams) as store:
        sensor = Sensor([Deal("span0", 0, dealt, clock)], store, plant(), monotonic=clock, **options)
        while clock.now_s <= seconds[-1] + 1:
            sensor.step(0)
            clock.now_s += 1.0
        sensor.finish()
    with closing(sqlite3.connect(folder / "site.db")) as db:
        rows = db.execute("SELECT id, ts_ns, record FROM spool WHERE stream = 'point' ORDER BY sequence").fetchall()
    return [(name, ts_ns, json.loads(record)) for name, ts_ns, record in rows]


def test_a_sensor_spools_values_for_whoever_takes_them(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    found = watched(tmp_path / "a", ("alert", "point"))
    assert {record["protocol"] for _, _, record in found} == {"modbus", "dnp3", "s7comm"}
    assert {record["access"] for _, _, record in found} == {"read", "write"}
    for _, ts_ns, record in found:
        SCHEMA.validate(record)
        assert record["ts_ns"] == ts_ns
    assert len({name for name, _, _ in found}) == len(found)
    again = watched(tmp_path / "b", ("point",), seed=5)
    assert again == found, "the same frames at the same times: the same values under the same names"


@pytest.mark.parametrize("streams", [(), ("alert", "operation")])
def test_nobody_takes_them(tmp_path: Path, streams: tuple[str, ...]) -> None:
    assert watched(tmp_path, streams) == []
