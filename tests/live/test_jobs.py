"""`otmon watch --jobs` at the mirror port of a small plant: the same as without, and what one lost process costs."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from otmon.capture.ring import Ring
from otmon.capture.share import share
from tests.capture.machine import untagged
from tests.capture.test_share import job_of
from tests.live.lab import MONITOR, skip_reason
from tests.live.sensor import (
    CAPTURES,
    Watching,
    alerts,
    arguments,
    otmon,
    plain,
    rows,
    rules,
    same_order,
    sums,
    until,
    write,
)

pytestmark = pytest.mark.skipif(bool(skip_reason()), reason=str(skip_reason()))

CLIENTS = ["10.0.2.1", "10.0.2.2"]
"""They write to the same server, in different jobs of two."""


def jobs_of(watching: Watching) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(watching.process.pid)], capture_output=True, text=True)
    return sorted(map(int, found.stdout.split()))


def placed(value: Any, places: dict[tuple[int, int], int]) -> Any:
    """Frames by their place in the traffic, under names that `plain` leaves alone."""
    if isinstance(value, list):
        return [placed(item, places) for item in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, item in value.items():
        if name in ("frame", "first_frame"):
            found["place"] = places[tuple(item)]
        elif name == "frames" and isinstance(item, list):
            found["places"] = sorted(places[tuple(frame)] for frame in item)
        else:
            found[name] = placed(item, places)
    return found


def told(folder: Path, name: str, places: dict[tuple[int, int], int]) -> list[str]:
    lines = (json.loads(line) for line in (folder / name).read_text().splitlines())
    return sorted(json.dumps(plain(placed(line, places)), sort_keys=True) for line in lines)


def places_of(frames: list[bytes], jobs: int) -> dict[tuple[int, int], int]:
    """(input, number) -> place. Records count inputs from 1."""
    counts, places = [0] * jobs, {}
    for place, frame in enumerate(frames, 1):
        job = job_of(untagged(frame), jobs) if jobs > 1 else 0
        counts[job] += 1
        places[job + 1, counts[job]] = place
    return places


def test_jobs_understand_what_one_process_understands(plant, data):
    frames = same_order(CAPTURES)
    for jobs in (1, 3):
        (data / str(jobs)).mkdir()
        watching = Watching(plant, *arguments(data / str(jobs)), "--jobs", str(jobs))
        before = plant.counter("monitor", MONITOR, "rx")
        plant.inject(frames)
        until(lambda before=before: plant.counter("monitor", MONITOR, "rx") - before >= len(frames))
        time.sleep(0.3)
        assert watching.end() == 0
        total = sums(data / str(jobs))
        assert (total["frames"], total["dropped"]) == (len(frames), 0)
    assert plant.counter("monitor", MONITOR) == 0
    for name, least in (("operations.jsonl", 170), ("assets.jsonl", 10), ("alerts.jsonl", 70)):
        one, many = (told(data / str(jobs), name, places_of(frames, jobs)) for jobs in (1, 3))
        assert one == many, name
        assert len(one) >= least


@pytest.mark.long
def test_the_kernel_gives_each_frame_to_the_job_that_the_program_says(plant):
    frames = [frame for frame in same_order(CAPTURES) if len(frame) >= 60]
    with plant.inside("monitor"):
        rings = [Ring(MONITOR, n, blocks=8, bpf=share(n, 3)) for n in range(3)]
    plant.inject(frames)
    time.sleep(0.2)
    for n, ring in enumerate(rings):
        seen = [
            batch.data[at : at + (size >> 32)].tobytes()
            for batch in ring.batches()
            for at, size in batch.records[:, :2].tolist()
        ]
        assert seen == [frame for frame in frames if job_of(untagged(frame), 3) == n]
        assert ring.statistics().dropped == 0
        ring.close()


def test_a_job_that_is_killed_costs_its_frames_and_no_alert(plant, data):
    assert len({job_of(write(client)[0], 2) for client in CLIENTS}) == 2
    watching = Watching(plant, *arguments(data), "--jobs", "2")
    for client in CLIENTS:
        plant.inject(write(client))
    before = until(lambda: len(found := alerts(data)) == 2 and found)
    sent = 2 * len(write(CLIENTS[0]))
    for turn in range(3):
        for pid in jobs_of(watching):
            os.kill(pid, signal.SIGKILL)
        watching.hears("ended by force")
        watching.hears("ended by force")
        plant.inject(write(CLIENTS[turn % 2], port=41_000 + turn))  # nobody reads: it waits in the ring
        sent += len(write(CLIENTS[0]))
        watching.hears("begins anew")
        watching.hears("begins anew")
        status = Path(f"/proc/{jobs_of(watching)[0]}/status").read_text()
        uids, capabilities = (status.partition(word)[2].split() for word in ("Uid:", "CapEff:"))
        assert "0" not in uids[:4]
        assert int(capabilities[0], 16) == 0
        time.sleep(1)  # it has read what waited; else the next kill would leave that in the ring, and cost nothing
    assert watching.end() == 0
    after = [alert for alert in alerts(data) if alert["kind"] != "visibility"]
    assert [alert["id"] for alert in after] == [alert["id"] for alert in before]
    # The first of each was counted as it was told, and what was counted after the last kill.
    assert sorted(alert["count"] for alert in after) == [1, 2]
    assert all(alert["count_at_least"] for alert in after)
    assert any("ended by force" in alert["title"] for alert in alerts(data))
    total = sums(data)
    assert total["frames"] + total["dropped"] == total["received"] + total["dropped"] == sent
    assert rows(data, "SELECT count(DISTINCT id) = count(*) FROM alerts") == [(1,)]


@pytest.mark.long
def test_killed_as_a_whole_it_leaves_nobody_behind(plant, data):
    watching = Watching(plant, *arguments(data), "--jobs", "2")
    plant.inject(write(CLIENTS[0]))
    before = until(lambda: alerts(data))
    pids = until(lambda: len(found := jobs_of(watching)) == 2 and found)
    for pid in pids:  # neither the database nor another one's pipe
        held = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
        assert not any(str(data) in name for name in held)
        assert sum(name.startswith("socket:") for name in held) == 2
    watching.end(signal.SIGKILL)
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    assert alerts(data) == before
    watching = Watching(plant, *arguments(data), "--jobs", "3")
    plant.inject(write(CLIENTS[0], port=40_001))
    time.sleep(0.5)
    assert watching.end() == 0
    [after] = alerts(data)
    assert (after["id"], after["count"], after["count_at_least"]) == (before[0]["id"], 2, True)


@pytest.mark.long
def test_an_interface_that_was_removed_is_listened_to_by_all_jobs(plant, data):
    watching = Watching(plant, *arguments(data), "--jobs", "2")
    plant.cut()
    try:
        [told] = until(lambda: alerts(data))
        assert (told["kind"], MONITOR in told["title"]) == ("visibility", True)
    finally:
        plant.cable()
        plant.mirror()
    watching.hears(f"{MONITOR} is back", 60)
    for client in CLIENTS:
        plant.inject(write(client))
    until(lambda: len(alerts(data)) == 3)
    assert watching.end() == 0


@pytest.mark.long
def test_a_changed_policy_holds_in_all_jobs_and_alerts_come_within_a_second(plant, data):
    path = data.parent / "policy.yaml"
    rules(path, "read, write")
    watching = Watching(plant, *arguments(data, path), "--jobs", "2")
    for client in CLIENTS:
        plant.inject(write(client))
    time.sleep(0.5)
    assert not alerts(data)
    rules(path, "read")
    watching.hears("replaces")
    time.sleep(0.5)
    for client in CLIENTS:
        plant.inject(write(client, port=40_001))
    sent_s = time.monotonic()
    until(lambda: len(alerts(data)) == 2)
    assert time.monotonic() - sent_s < 1
    assert watching.end() == 0


@pytest.mark.parametrize(
    ("words", "why"),
    [(["--tap", "lo+span0", "--jobs", "2"], "--tap exclude"), (["span0", "--jobs", "0"], "not a number of jobs")],
)
def test_what_does_not_go_together(plant, data, words, why):
    done = plant.run("monitor", *otmon("watch", *words, "--data", data), timeout_s=60)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert why in line
    assert not list(data.iterdir())
