"""How long learning has seen is how long somebody watched: not the time between captures, nor a sensor's rest."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from otmon.cli import run
from otmon.sensor.watch import Sensor
from otmon.store.database import SiteDatabase
from otmon.store.sensor import SiteStore
from otmon.store.watched import CONTINUES_NS, by_health, of_captures
from tests.engine.world import START_NS, Frame, write
from tests.hostile.kit import Session
from tests.sensor.deal import Clock, Deal

NS = 1_000_000_000
DAY_NS = 86_400 * NS


def polls(begin_ns: int, seconds: int, unit: int = 1) -> list[Frame]:
    """A read and its answer every second, from the first second to the last."""
    session = Session("10.0.2.10", "10.0.1.20", 50_000, 502)
    out = [Frame(begin_ns + n * 1000, frame) for n, frame in enumerate(session.handshake())]
    for second in range(seconds + 1):
        head = second.to_bytes(2, "big") + b"\0\0"
        pair = (
            session.send(head + b"\0\6" + bytes([unit, 3, 0, 0, 0, 1])),
            session.send(head + b"\0\5" + bytes([unit, 3, 2, 0, 7]), from_client=False),
        )
        last = second == seconds
        out += [Frame(begin_ns + second * NS + (0 if last else 9_000 + n), frame) for n, frame in enumerate(pair)]
    return out


def learnt(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: Any) -> tuple[float, float, str]:
    """(time seen in seconds, quiet share of the only conduit, what it waits for first)."""
    capsys.readouterr()
    assert run(["learn", *map(str, arguments), "-o", str(folder / "out.yaml"), "--force", "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    (conduit,) = [record for record in records if record["kind"] == "conduit"]
    return conduit["observed_s"], conduit["quiet"], next(r["text"] for r in records if r["kind"] == "todo")


def test_captures_days_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write(tmp_path / "1.pcap", polls(START_NS, 60))
    other = write(tmp_path / "2.pcap", polls(START_NS + 3 * DAY_NS, 60))
    expected = (120.0, 1.0, "2.0 minutes seen, no whole day yet: shifts and nightly jobs are not in it")
    assert learnt(capsys, tmp_path, one, other) == expected
    assert learnt(capsys, tmp_path, other, one, "--jobs", "2") == expected
    assert run(["analyze", str(one), str(other), "--out", str(tmp_path / "results")]) == 0
    assert learnt(capsys, tmp_path, "--data", tmp_path / "results") == expected
    assert run(["export", str(tmp_path / "results"), "--out", str(tmp_path / "exported")]) == 0
    assert learnt(capsys, tmp_path, "--data", tmp_path / "exported") == expected
    # What is new in the second capture is new in the second half, whatever lies between.
    third = write(
        tmp_path / "3.pcap", [*polls(START_NS + 3 * DAY_NS, 60), *polls(START_NS + 3 * DAY_NS + 61 * NS, 59, 2)]
    )
    observed_s, quiet, _ = learnt(capsys, tmp_path, one, third)
    assert observed_s == 180.0
    assert quiet == pytest.approx(59 / 180, abs=0.001)


def test_two_taps_at_once_and_files_that_follow_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = write(tmp_path / "1.pcap", polls(START_NS, 60))
    beside = write(tmp_path / "2.pcap", polls(START_NS + 30 * NS, 60))
    assert learnt(capsys, tmp_path, whole, beside)[0] == 90.0
    follows = write(tmp_path / "3.pcap", polls(START_NS + 60 * NS + CONTINUES_NS, 60))
    assert learnt(capsys, tmp_path, whole, follows)[0] == 121.0
    later = write(tmp_path / "4.pcap", polls(START_NS + 60 * NS + CONTINUES_NS + 1000, 60))
    assert learnt(capsys, tmp_path, whole, later)[0] == 120.0


def test_what_captures_show() -> None:
    assert of_captures([]) == of_captures([(None, None)]) == ()
    assert of_captures([(5, 5)]) == ((5, 5),)
    gap = CONTINUES_NS + 2
    assert of_captures([(100, 200), (None, None), (200 + gap, 300 + gap), (50, 150)]) == (
        (50, 200),
        (200 + gap, 300 + gap),
    )


def test_between_two_captures_nothing_is_proved_absent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [write(tmp_path / f"{n}.pcap", polls(START_NS + n * DAY_NS, 60)) for n in range(2)]
    policy = tmp_path / "p.yaml"
    policy.write_text("otmon: 1\nsite: default\nzones: {all: {hosts: [10.0.0.0/8]}}\n")
    assert run(["analyze", *map(str, paths), "--out", str(tmp_path / "results")]) == 0

    def asked(first_s: int, last_s: int) -> dict[str, Any]:
        capsys.readouterr()
        times = (time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(START_NS // NS + s)) for s in (first_s, last_s))
        where = ["--data", str(tmp_path / "results"), "--from", next(times), "--until", next(times)]
        run(["policy", "absent", str(policy), "* -> 10.0.1.20 write", *where, "--json"])
        return dict(json.loads(capsys.readouterr().out)[0])

    assert asked(10, 50)["answer"] == "none"
    hole = asked(50, 70)
    assert (hole["answer"], hole["coverage"]) == ("blind", pytest.approx(0.5))
    assert asked(3600, 7200)["coverage"] == 0.0


def health(first_ns: int, last_ns: int, state: str = "up") -> dict[str, Any]:
    return {"first_ts_ns": first_ns, "ts_ns": last_ns, "interfaces": [{"interface": "eth1", "state": state}]}


def test_what_records_of_health_vouch_for() -> None:
    first, second = [health(0, 10), health(10, 70), health(70, 130)], [health(0, 500), health(500, 560)]
    assert by_health([*first, *second]) == ((10, 129), (500, 559))
    assert by_health([health(70, 60)]) == (), "the clock was set back"


@pytest.mark.parametrize(("state", "seen_s"), [("up", 100.0), ("down", 0.0)])
def test_a_sensor_adds_up_over_restarts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, state: str, seen_s: float
) -> None:
    monkeypatch.setattr(Deal, "state", lambda self: state)
    for begin_ns in (START_NS, START_NS + 5 * DAY_NS):
        clock = Clock()
        batches = [((frame.ts_ns - begin_ns) / NS, [frame]) for frame in polls(begin_ns, 60)]
        with SiteStore(tmp_path / "site.db", "default") as store:
            sensor = Sensor([Deal("span0", 0, batches, clock)], store, monotonic=clock, seed=1)
            while clock.now_s < 60:
                sensor.step(0)
                clock.now_s += 0.5
            sensor.finish()
    # The first record of each run, after ten seconds, does not say when the run began.
    observed_s, quiet, waits = learnt(capsys, tmp_path, "--data", tmp_path)
    assert observed_s == pytest.approx(seen_s, abs=2)
    assert quiet == (1.0 if seen_s else 0.0)
    assert waits.endswith("minutes seen, no whole day yet: shifts and nightly jobs are not in it")
    with SiteDatabase(tmp_path / "site.db") as results:
        assert len(results.watched) == (2 if seen_s else 0)
