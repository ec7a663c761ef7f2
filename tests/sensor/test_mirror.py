"""What a sensor says of its mirror, and of its taps, while it runs."""

from pathlib import Path

import pytest

from otmon.engine import analyze
from otmon.policy.load import load_policy
from otmon.sensor.watch import Sensor
from otmon.store.sensor import SiteStore
from tests.sensor.deal import Clock, Deal
from tests.sensor.test_intake import CAPTURES, frames_of, split
from tests.sensor.test_span import MIRRORS

FAULTS = {
    "as it should be": set(),
    "both directions of all ports": {"doubled"},
    "both sides of a router": set(),
    "both LANs of PRP": set(),
    "one direction": {"one_way"},
    "tags in one direction": {"tagged_one_way"},
    "loss in the switch": {"switch_loss"},
}
POLICY = CAPTURES.parent / "rules" / "plant.yaml"


@pytest.mark.parametrize("name", FAULTS)
def test_a_sensor_names_the_fault(name: str, tmp_path: Path) -> None:
    frames, clock = MIRRORS[name][0](frames_of("plant.pcap")), Clock()
    # A sample is taken four times a second: blocks come as they do from a ring.
    dealt = [(at / 2000, frames[at : at + 500]) for at in range(0, len(frames), 500)]
    with SiteStore(tmp_path / "site.db", "default") as store:
        sensor = Sensor([Deal("eth1", 0, dealt, clock)], store, monotonic=clock)
        for _ in range(10):
            sensor.step(0)
            clock.now_s += 0.25
        sensor.finish()
        own = {e.key.function: e for e in store.episodes() if e.key.protocol == "eth1"}
    assert set(own) == FAULTS[name]


def test_a_tap_is_watched_as_its_link(tmp_path: Path) -> None:
    policy = load_policy(POLICY)
    sources, clock, until_s = split(frames_of("plant.pcap"), 3_000_000, 5)
    with SiteStore(tmp_path / "site.db", policy.site) as store:
        sensor = Sensor(sources, store, policy, taps=[("tap0", "tap1")], monotonic=clock)
        while clock.now_s < until_s:
            sensor.step(0)
            clock.now_s += 0.01
        sensor.checkpoint()
        (record,) = [record for record in sensor_health(tmp_path) if record["taps"]][-1:]
        sensor.finish()
        part = store.part()
        seen = sorted((e.key, e.count) for e in store.episodes())
    (tap,) = record["taps"]
    assert tap["interfaces"] == ["tap0", "tap1"]
    assert abs(tap["skew_ns"] - 3_000_000) < 500_000
    assert tap["late_frames"] == 0
    wanted = analyze([str(CAPTURES / "plant.pcap")], policy=policy).part
    assert seen == sorted((e.key, e.count) for e in wanted.episodes)
    assert {o.key: o.counts.as_dict() for o in part.operations} == {
        o.key: o.counts.as_dict() for o in wanted.operations
    }


def sensor_health(folder: Path) -> list[dict]:
    from otmon.store.database import SiteDatabase

    with SiteDatabase(folder / "site.db") as back:
        return back.health
