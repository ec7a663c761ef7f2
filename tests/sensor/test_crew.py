"""A sensor with jobs: the same as without one, and what holds when a process or the disk does not do its part."""

import os
import pickle
import re
import signal
import time
from collections.abc import Iterator
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest

from otmon.alerts.record import as_record
from otmon.policy.load import load_bytes
from otmon.sensor import crew as crew_module
from otmon.sensor import hearing
from otmon.sensor.export import tell
from otmon.sensor.look import look
from otmon.sensor.orders import Orders
from otmon.store.database import SiteDatabase
from tests.engine.world import START_NS, Frame
from tests.hostile.kit import Session
from tests.sensor.crewkit import Batches, Crewed, Passing, crew_of, dealt
from tests.sensor.feed import frames_of, sensor_of, turn
from tests.sensor.test_health import PLANT

DENY = """
otmon: 1
site: works
zones:
  control: {hosts: [10.0.0.0/8]}
"""
PERMIT = (
    DENY
    + """
conduits:
  - {id: any, from: control, to: control, allow: [{protocol: tcp}]}
"""
)


def told(folder: Path) -> dict[str, Any]:
    """Everything that is told in the end."""
    with SiteDatabase(folder / "site.db") as database:
        part = database.part()
        site, alerts = tell(part, load_bytes(PLANT.encode(), "p"), "")
        return {
            "operations": [record._asdict() | {"counts": record.counts.as_dict()} for record in part.operations],
            "connections": [record._asdict() for record in part.connections],
            "hosts": [record._asdict() for record in part.hosts],
            "blocks": [record._asdict() | {"frames": list(record.frames)} for record in part.blocks],
            "habits": [
                (*record[:4], {name: seen._asdict() for name, seen in record.signatures.items()})
                for record in part.habits
            ],
            "facts": [record._asdict() for record in part.facts],
            "bindings": [record._asdict() for record in part.bindings],
            "frames": part.frames,
            "ot_bytes": part.ot_bytes,
            "visibility": part.visibility,
            "protocols": part.protocols,
            "alerts": alerts,
            "assets": [asset.as_record() for asset in site.assets],
        }


def renumbered(value: Any, places: dict[tuple[int, int], int]) -> Any:
    """Frames by their place in the traffic as a whole."""
    if isinstance(value, dict):
        return {
            name: sorted(places[tuple(frame)] for frame in item)
            if name == "frames" and isinstance(item, list)
            else places[tuple(item)]
            if name in ("frame", "first_frame")
            else renumbered(item, places)
            for name, item in value.items()
        }
    return [renumbered(item, places) for item in value] if isinstance(value, list | tuple) else value


def places_of(frames: list[Frame], shares: list[Batches]) -> dict[tuple[int, int], int]:
    """(input, number) -> place. A frame goes to one job alone, in order, so equal ones are told apart."""
    queues: list[Iterator[Frame]] = [iter([f for _, batch in share for f in batch]) for share in shares]
    heads = [next(queue, None) for queue in queues]
    numbers, places = [0] * len(shares), {}
    for place, frame in enumerate(frames, 1):
        job = next(n for n, head in enumerate(heads) if head is frame)
        numbers[job] += 1
        places[job, numbers[job]] = place
        heads[job] = next(queues[job], None)
    return places


@pytest.mark.parametrize("jobs", [pytest.param(2, marks=pytest.mark.long), 3])
def test_jobs_give_what_one_process_gives(tmp_path: Path, jobs: int) -> None:
    frames = frames_of("plant.pcap")
    for name in ("one", "many"):
        (tmp_path / name).mkdir()
    with sensor_of(tmp_path / "one", frames, PLANT) as (sensor, clock):
        turn(sensor, clock, 75)
        sensor.finish()
    shares = dealt(frames, jobs)
    assert all(any(batch for _, batch in share) for share in shares)
    with crew_of(tmp_path / "many", shares, PLANT) as crewed:
        for second in (1, 12, 31, 75):
            crewed.clock.now_s = second
            crewed.until(crewed.all_taken)
        crewed.sensor.finish()
    places = places_of(frames, shares)
    one, many = told(tmp_path / "one"), told(tmp_path / "many")
    usual = {(0, n): n for n in range(1, len(frames) + 1)}
    for name in one:
        # Records for people count inputs from 1.
        base = int(name in ("alerts", "assets"))
        first, second = (
            renumbered(found[name], {(n + base, frame): place for (n, frame), place in where.items()})
            for found, where in ((one, usual), (many, places))
        )
        if name == "connections":  # of equal times: in the order of frames
            first, second = (sorted(records, key=lambda r: r["first_frame"]) for records in (first, second))
        differ = [(a, b) for a, b in zip(first, second, strict=True) if a != b] if isinstance(first, list) else []
        assert not differ, (name, [{k: (a[k], b[k]) for k in a if a[k] != b[k]} for a, b in differ])
        assert first == second, name
    assert len(one["alerts"]) > 5


# --- a small plant of two pairs that meet in different jobs ----------------------------------------------------------

PAIRS = [("10.0.0.1", "10.0.0.2"), ("10.0.0.1", "10.0.0.3")]


def talk(number: int, second: float = 0.0, port: int = 40_000) -> list[Frame]:
    """A connection to SSH between one pair, on which nothing is said."""
    session = Session(*PAIRS[number], port, 22)
    found = [*session.handshake(), *session.close()]
    return [Frame(START_NS + int(second * 1e9) + n * 1_000_000, frame) for n, frame in enumerate(found)]


def alerts(crewed: Crewed) -> list[dict[str, Any]]:
    with SiteDatabase(crewed.store.path) as database:
        return [alert for alert in database.alerts if alert["kind"] == "segmentation"]


def test_frames_stay_until_their_alert_is_on_the_disk(tmp_path: Path) -> None:
    shares: list[Batches] = [[(0.0, talk(0)), (0.0, talk(0, 0.1, 40_001))], [(0.0, [])]]
    with crew_of(tmp_path, shares, DENY) as crewed:
        crewed.crew.wait(0)
        source, late_s = crewed.sources[0], time.monotonic() + 1.0
        while time.monotonic() < late_s:  # the sensor is busy elsewhere
            assert (source._next, alerts(crewed)) == (0, []) or not source.reading
            time.sleep(0.01)
        crewed.clock.now_s = 1.0
        crewed.until(lambda: alerts(crewed))
        crewed.until(crewed.all_taken)
        crewed.sensor.finish()
        [alert] = alerts(crewed)
        assert alert["count"] == 2


def test_an_alert_that_cannot_be_written_yet_holds_the_frames_of_its_job_alone(tmp_path: Path) -> None:
    shares: list[Batches] = [
        [(0.0, talk(0)), (1.0, talk(0, 1.0, 40_001))],
        [(0.0, []), (1.0, talk(1, 1.0)), (1.5, talk(1, 1.5, 40_001))],
    ]
    with crew_of(tmp_path, shares, PERMIT) as crewed:
        crewed.crew.wait(0)
        crewed.clock.now_s = 1.0
        time.sleep(1.0)  # nothing is answered; nothing has to be
        assert [source._next for source in crewed.sources] == [2, 2]
        crewed.clock.now_s = 2.0
        crewed.until(crewed.all_taken)
        crewed.sensor.finish()
        assert not alerts(crewed)


def test_a_job_that_is_killed_begins_anew_and_what_it_told_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shares: list[Batches] = [
        [(0.0, talk(0)), (100.0, talk(0, 100, 40_001)), (104.0, talk(0, 104, 40_002))],
        [(0.0, talk(1)), (100.0, talk(1, 100, 40_001)), (104.0, talk(1, 104, 40_002))],
    ]
    with crew_of(tmp_path, shares, DENY) as crewed:
        crewed.until(crewed.all_taken)
        crewed.clock.now_s = 1.0
        crewed.until(lambda: len(alerts(crewed)) == 2)
        before = alerts(crewed)
        crewed.clock.now_s = 90.0
        crewed.sensor.checkpoint()
        crewed.clock.now_s = 100.0
        crewed.until(crewed.all_taken)  # by now 12 frames, in no harvest
        first, second = crewed.pids()
        os.kill(first, signal.SIGKILL)
        crewed.until(lambda: len(crewed.pids()) == 1)
        crewed.clock.now_s = 103.0
        crewed.until(lambda: len(crewed.pids()) == 2)
        assert second in crewed.pids()
        crewed.clock.now_s = 110.0
        crewed.until(crewed.all_taken)
        crewed.sensor.finish()
        after = alerts(crewed)
        assert [alert["id"] for alert in after] == [alert["id"] for alert in before]
        counts = {alert["server"]["endpoint"]: (alert["count"], alert.get("count_at_least")) for alert in after}
        assert counts == {"10.0.0.2": (2, True), "10.0.0.3": (3, None)}
        with SiteDatabase(crewed.store.path) as database:
            (ended,) = [alert for alert in database.alerts if "ended by force" in alert["title"]]
            health = database.health
    assert "6 frames" in ended["title"]
    assert "job 0 ended by force (-9): 6 frames" in caplog.text
    assert "job 0 begins anew" in caplog.text
    sums = {name: sum(record["interfaces"][0][name] for record in health) for name in ("received", "dropped", "frames")}
    assert sums == {"received": 30, "dropped": 6, "frames": 30}
    assert sum(sum(record["frames"].values()) for record in health) == 30


def test_a_job_that_dies_with_a_batch_in_its_hands_leaves_it_behind(tmp_path: Path) -> None:
    """It may be what it died of: whoever comes next does not read it."""
    shares: list[Batches] = [[(0.0, talk(0)), (0.0, talk(0, 1, 40_001))], [(0.0, [])]]
    with crew_of(tmp_path, shares, DENY) as crewed:
        # The alert of what is not decided yet is told by a turn of the clock; nobody answers.
        crewed.crew.wait(0)
        source = crewed.sources[0]
        give_up = time.monotonic() + 20
        while not source._next and not source.reading and time.monotonic() < give_up:
            time.sleep(0.01)
        os.kill(crewed.pids()[0], signal.SIGKILL)
        crewed.until(lambda: len(crewed.pids()) == 1)
        assert not source.reading
        crewed.clock.now_s = 5.0
        crewed.until(crewed.all_taken)
        crewed.sensor.finish()
        frames = crewed.sensor.sources[0].info.frames + crewed.sensor.sources[0].statistics().dropped
        assert frames == source.frames == 12


def test_a_job_that_is_stuck_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew_module, "STUCK_S", 2.0)
    shares: list[Batches] = [[(0.0, talk(0))], [(0.0, talk(1))]]
    with crew_of(tmp_path, shares, DENY, clock=Passing()) as crewed:
        crewed.until(crewed.all_taken)
        first, second = crewed.pids()
        os.kill(first, signal.SIGSTOP)
        crewed.sensor.checkpoint()  # waits for its answer
        assert crewed.pids() == [second]
        crewed.until(lambda: len(crewed.pids()) == 2)
        crewed.sensor.finish()
        assert {alert["count"] for alert in alerts(crewed)} == {1}


def test_who_was_away_does_not_take_the_others_for_stuck(tmp_path: Path) -> None:
    """All were stopped together, and go on."""
    with crew_of(tmp_path, [[(0.0, [])], [(0.0, [])]], DENY) as crewed:
        crewed.until(lambda: len(crewed.pids()) == 2)
        before = crewed.pids()
        for pid in before:
            os.kill(pid, signal.SIGSTOP)
        crewed.clock.now_s += 10 * crew_module.STUCK_S
        crewed.crew.take()
        assert crewed.pids() == before
        for pid in before:
            os.kill(pid, signal.SIGCONT)
        crewed.sensor.finish()
        assert crewed.pids() == []


def test_a_job_that_dies_at_once_is_not_tried_all_the_time(tmp_path: Path) -> None:
    with crew_of(tmp_path, [[(0.0, [])], [(0.0, [])]], DENY) as crewed:
        waits = []
        for _ in range(4):
            crewed.until(lambda: len(crewed.pids()) == 2)
            os.kill(crewed.pids()[0], signal.SIGKILL)
            crewed.until(lambda: len(crewed.pids()) == 1)
            worker = crewed.crew._workers[0]
            waits.append(worker.again_s - crewed.clock.now_s)
            crewed.clock.now_s = worker.again_s
        assert waits == pytest.approx([1, 2, 4, 8])
        crewed.sensor.finish()


def test_what_waits_for_a_job_that_is_to_begin_anew_is_taken_at_the_end(tmp_path: Path) -> None:
    with crew_of(tmp_path, [[(0.0, []), (1.0, talk(0))], [(0.0, [])]], DENY) as crewed:
        crewed.until(lambda: len(crewed.pids()) == 2)
        os.kill(crewed.pids()[0], signal.SIGKILL)
        crewed.until(lambda: len(crewed.pids()) == 1)
        crewed.clock.now_s = 1.0
        crewed.sensor.finish()
        assert [alert["count"] for alert in alerts(crewed)] == [1]


def test_when_the_sensor_is_gone_its_jobs_end(tmp_path: Path) -> None:
    with crew_of(tmp_path, [[(0.0, [])], [(0.0, [])]], DENY) as crewed:
        crewed.crew.wait(0)
        pids = crewed.pids()
        for worker in crewed.crew._workers:
            assert worker.pipe is not None
            worker.pipe.close()
            worker.pipe = None
        assert [os.waitpid(pid, 0)[1] for pid in pids] == [0, 0]


def test_a_policy_reaches_every_job_and_those_that_come_later(tmp_path: Path) -> None:
    shares: list[Batches] = [
        [(0.0, talk(number)), (20.0, talk(number, 20, 40_001)), (40.0, talk(number, 40, 40_002))] for number in range(2)
    ]
    path = tmp_path / "policy.yaml"
    path.write_text(PERMIT)
    orders = Orders(path, load_bytes(PERMIT.encode(), "p"))
    with crew_of(tmp_path, shares, PERMIT, orders=orders) as crewed:
        crewed.until(crewed.all_taken)
        crewed.clock.now_s = 5.0
        crewed.sensor.step(0)
        assert not alerts(crewed)
        path.write_text(DENY)
        crewed.clock.now_s = 10.0
        crewed.until(lambda: crewed.sensor.policy is orders.policy and "any" not in str(orders.policy.windowed))
        crewed.clock.now_s = 21.0
        crewed.until(lambda: len(alerts(crewed)) == 2)
        os.kill(crewed.pids()[1], signal.SIGKILL)
        crewed.until(lambda: len(crewed.pids()) == 1)
        crewed.clock.now_s = 60.0
        crewed.until(crewed.all_taken)
        crewed.clock.now_s = 70.0
        crewed.sensor.finish()
        assert [alert["count"] for alert in alerts(crewed)] == [2, 2] or alerts(crewed)


def test_a_new_run_goes_on_with_the_alerts_of_all_jobs(tmp_path: Path) -> None:
    ids = set()
    for run in range(3):
        shares: list[Batches] = [[(0.0, talk(number, run * 60.0, 40_000 + run))] for number in range(2)]
        with crew_of(tmp_path, shares if run != 1 else shares[::-1], DENY) as crewed:
            crewed.until(crewed.all_taken)
            crewed.clock.now_s = 5.0
            crewed.sensor.finish()
            ids |= {(alert["id"], alert["server"]["endpoint"]) for alert in alerts(crewed)}
            assert [alert["count"] for alert in alerts(crewed)] == [run + 1, run + 1]
    assert len(ids) == 2


def test_figures_are_the_sum_of_all_jobs(tmp_path: Path) -> None:
    shares: list[Batches] = [[(0.0, talk(0))], [(0.0, talk(1))]]
    with crew_of(tmp_path, shares, DENY) as crewed:
        crewed.until(crewed.all_taken)
        crewed.clock.now_s = 3.0
        crewed.until(lambda: sum(look(crewed.sensor).frames.values()) == 12)
        crewed.sensor.checkpoint()
        assert sum(look(crewed.sensor).frames.values()) == 12
        assert look(crewed.sensor).interfaces[0].frames == 12
        assert [as_record(e, crewed.sensor.site)["count"] for e in crewed.sensor.episodes.all] == [1, 1]
        crewed.sensor.finish()


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return open, ("made", "w")


@pytest.mark.parametrize(
    "said",
    [
        pickle.dumps(_Evil()),
        pickle.dumps(os.system),
        b"cotmon.sensor.crew\nos.system\n(S'true'\ntR.",
        pickle.dumps(print),
        b"",
        b"\x80\x05no pickle",
        b"cotmon.model\nOp\n(tR.",
    ],
)
def test_a_job_cannot_make_the_sensor_call_what_it_likes(
    tmp_path: Path, said: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One that was taken over says what no job does: nothing of it is done, and it is ended."""
    with crew_of(tmp_path, [[(0.0, talk(0))]], DENY) as crewed:
        crewed.until(crewed.all_taken)
        crewed.until(lambda: alerts(crewed))
        (pid,) = crewed.pids()
        (worker,) = crewed.crew._workers
        ours, theirs = Pipe()
        assert worker.pipe is not None
        worker.pipe.close()
        worker.pipe = ours
        monkeypatch.chdir(tmp_path)
        theirs.send_bytes(said)
        crewed.until(lambda: pid not in crewed.pids())
        crewed.clock.now_s = 5.0
        crewed.until(crewed.pids)
        crewed.sensor.finish()
        assert {alert["count"] for alert in alerts(crewed)} == {1}
    assert any(record.__dict__.get("event") == "job_nonsense" for record in caplog.records)
    assert not (tmp_path / "made").exists()


def test_all_that_a_job_tells_can_be_read() -> None:
    """Each field of each record is a plain value or a record that is known there."""
    known = {kind.__name__ for kind in hearing._RECORDS}
    named = {"Any", "Kind", "Access", "AlertKind", "FrameRef", "Unit", "Literal", "Sequence", "Records", "Conduit"}
    for kind in hearing._RECORDS:
        for field, hint in getattr(kind, "__annotations__", {}).items():
            words = set(re.findall(r"\b[A-Z]\w+", str(hint))) - {"Final", "None", "Optional", "ForwardRef"}
            assert words <= known | named, (kind.__name__, field, words - known - named)
