"""Alerts of a running sensor: one for each violation, with the outcome it came to in the end."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otmon.cli import run as command
from otmon.policy.load import load_bytes
from otmon.sensor.orders import Orders
from otmon.sensor.watch import Sensor
from otmon.store.database import SiteDatabase
from otmon.store.sensor import SiteStore
from tests.engine.world import START_NS, Frame
from tests.hostile.kit import Session
from tests.sensor.deal import Clock, Deal

DENY = """
otmon: 1
site: works
zones:
  control: {hosts: [10.0.0.0/24]}
"""
PERMIT = """
otmon: 1
site: works
zones:
  control: {hosts: [10.0.0.0/24]}
conduits:
  - {id: any, from: control, to: control, allow: [{protocol: tcp}]}
"""


def timed(at_s: float, *frames: bytes) -> list[Frame]:
    return [Frame(START_NS + int((at_s + i / 1000) * 1e9), frame) for i, frame in enumerate(frames)]


def watched(
    folder: Path, frames: list[Frame], until_s: float, policy: Path, then: Callable[[Sensor, float], None] | None = None
) -> list[dict[str, Any]]:
    """The alerts in the database of a sensor to which each frame comes at its time."""
    clock, judged = Clock(), load_bytes(policy.read_bytes(), "p")
    batches = [((frame.ts_ns - START_NS) / 1e9, [frame]) for frame in frames]
    with SiteStore(folder / "site.db", judged.site) as store:
        orders = Orders(policy, judged)
        sensor = Sensor([Deal("span0", 0, batches, clock)], store, judged, orders=orders, monotonic=clock, seed=1)
        while clock.now_s < until_s:
            sensor.step(0)
            if then is not None:
                then(sensor, clock.now_s)
            clock.now_s += 0.05
        sensor.finish()
    with SiteDatabase(folder / "site.db") as database:
        return [alert for alert in database.alerts if alert["kind"] == "segmentation"]


@pytest.fixture
def deny(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(DENY)
    return path


def test_a_connection_that_is_judged_late_adds_to_the_alert_that_was_told(tmp_path: Path, deny: Path) -> None:
    silent = Session("10.0.0.1", "10.0.0.2", 40001, 22)
    quick = Session("10.0.0.1", "10.0.0.2", 40002, 80)
    frames = [
        *timed(0, *silent.handshake()),
        *timed(1, *quick.handshake(), quick.send(b"GET /"), quick.send(b"HTTP/1.0", from_client=False)),
        *timed(7, silent.send(b"x"), silent.send(b"y", from_client=False)),
    ]
    (alert,) = watched(tmp_path, frames, 20, deny)
    assert (alert["count"], len(alert["targets"])) == (2, 2)


def test_an_answer_that_comes_late_is_in_the_alert(tmp_path: Path, deny: Path) -> None:
    slow = Session("10.0.0.1", "10.0.0.2", 40001, 22)
    syn, answer, ack = slow.handshake()
    told: list[str] = []

    def then(sensor: Sensor, now_s: float) -> None:
        told.extend(alert["outcome"] for alert in sensor.going_on() if 0.9 < now_s < 1)

    (alert,) = watched(tmp_path, [*timed(0, syn), *timed(1, answer, ack)], 80, deny, then)
    assert set(told) == {"unanswered"}
    assert (alert["outcome"], alert["count"]) == ("accepted", 1)
    assert "opened a TCP connection" in alert["title"]


def test_what_goes_on_and_is_denied_from_now_on_is_told(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(PERMIT)
    long = Session("10.0.0.1", "10.0.0.2", 40001, 22)
    frames = timed(0, *long.handshake(), long.send(b"x"), long.send(b"y", from_client=False))
    frames += [frame for second in range(1, 30) for frame in timed(second, long.send(b"z"))]

    def then(sensor: Sensor, now_s: float) -> None:
        if 10 <= now_s < 10.05:
            assert not sensor.going_on()
            policy.write_text(DENY)

    (alert,) = watched(tmp_path, frames, 30, policy, then)
    assert alert["first_ts_ns"] > START_NS + 9 * 10**9


def test_no_command_replaces_the_folder_of_a_sensor(
    tmp_path: Path, deny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    watched(data, timed(0, *Session("10.0.0.1", "10.0.0.2", 40001, 22).handshake()), 10, deny)
    for name in ("summary.json", "run.json"):
        (data / name).write_text('{"otmon": "0.1.0"}')
    capture = Path(__file__).parents[2] / "captures" / "plant.pcap"
    for arguments in (["analyze", str(capture)], ["export", str(data)]):
        assert command([*arguments, "--out", str(data)]) == 2
        assert "holds the database of a sensor" in capsys.readouterr().err
    with SiteDatabase(data / "site.db") as database:
        assert len(database.alerts) == 1


def test_a_sensor_without_a_policy_takes_the_name_of_its_first_one(tmp_path: Path, deny: Path) -> None:
    with SiteStore(tmp_path / "site.db", "default"):
        pass
    with SiteStore(tmp_path / "site.db", "works") as store:
        assert store.site == "works"
        assert any("of site works" in notice for notice in store.notices)
    with SiteStore(tmp_path / "site.db", "default") as store:
        assert store.site == "works"
