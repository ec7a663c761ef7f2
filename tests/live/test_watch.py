"""`otmon watch` from end to end: real processes at the mirror port of a small plant."""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from tests.live.lab import HOSTS, MONITOR, skip_reason
from tests.live.sensor import (
    CAPTURES,
    POLICY,
    ROOT,
    Watching,
    alerts,
    arguments,
    data_folder,
    handshake,
    otmon,
    records,
    rows,
    rules,
    same_order,
    tcp,
    until,
    write,
)

pytestmark = pytest.mark.skipif(bool(skip_reason()), reason=str(skip_reason()))


@contextmanager
def tcpdump(plant, path):
    """Captures at the monitor's port while the block runs: whole frames, none of which is longer than that.

    With its own length, 256 KiB, its buffer holds some hundred frames, and what comes at once is dropped.
    """
    process = plant.start(
        "monitor", *f"tcpdump -i {MONITOR} -s 4096 -B 65536 --immediate-mode -U -Z root -w".split(), str(path)
    )
    assert any("listening on" in line for line in process.stderr)
    yield
    time.sleep(0.5)  # the last frames reach its file
    process.send_signal(signal.SIGTERM)
    process.wait(10)


# --- the same as a file ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "policy", [pytest.param(POLICY, id="judged"), pytest.param(None, id="unjudged", marks=pytest.mark.long)]
)
def test_watched_and_captured_traffic_is_understood_alike(plant, data, policy):
    frames = same_order(CAPTURES)
    path, out = data.parent / "tcpdump.pcap", data.parent / "out"
    watching = Watching(plant, *arguments(data, policy))
    sent_by_monitor = plant.counter("monitor", MONITOR)
    with tcpdump(plant, path):
        plant.inject(frames)
        until(lambda: plant.counter("monitor", MONITOR, "rx") >= len(frames))
    assert watching.end() == 0
    assert sent_by_monitor == plant.counter("monitor", MONITOR) == 0
    judged = ["--policy", policy] if policy is not None else []
    subprocess.run(otmon("analyze", path, "--out", out, *judged), check=True, capture_output=True)
    for name, least in (("operations.jsonl", 170), ("assets.jsonl", 10), ("alerts.jsonl", 70 if policy else 0)):
        assert records(data, name) == records(out, name), name
        assert len(records(data, name)) >= least
    [listed] = rows(data, "SELECT count(*) FROM alerts")
    assert listed == (len(records(data, "alerts.jsonl")),)


# --- how soon --------------------------------------------------------------------------------------------------------


def latencies(data, count, patience_s=30):
    """Seconds from an alert's first frame to when a reader of the database sees it, for `count` alerts."""
    seen = {}
    give_up = time.monotonic() + patience_s
    while len(seen) < count:
        assert time.monotonic() < give_up, f"{len(seen)} of {count} alerts came"
        for name, first_ts_ns in rows(data, "SELECT id, first_ts_ns FROM alerts"):
            seen.setdefault(name, (time.time_ns() - first_ts_ns) / 1e9)
        time.sleep(0.005)
    return sorted(seen.values())


def test_alerts_are_in_the_database_within_a_second(plant, data):
    watching = Watching(plant, *arguments(data))
    seen = []
    for number in range(100):
        plant.inject(write(f"10.0.2.{100 + number}"))
        if number % 10 == 9:
            seen += latencies(data, number + 1)[:10]
    assert watching.end() == 0
    assert len(alerts(data)) == 100
    assert seen[-1] < 1
    assert sorted(seen)[98] < 1


@pytest.mark.long
def test_a_forbidden_plain_connection_is_in_the_database_within_a_second(plant, data):
    path = data.parent / "policy.yaml"
    rules(path, "read")
    watching = Watching(plant, *arguments(data, path))
    with plant.inside("plc"), socket.create_server((HOSTS["plc"], 8080)) as server:
        with plant.inside("attacker"), socket.create_connection((HOSTS["plc"], 8080), 5) as client:
            server.accept()[0].close()
            client.recv(1)
        assert latencies(data, 1)[0] < 1
    with plant.inside("hmi"), pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOSTS["plc"], 8081), 5)
    assert latencies(data, 2)[0] < 1
    assert watching.end() == 0
    first, second = alerts(data)
    assert [first["client"]["endpoint"], first["operation"]["port"]] == [HOSTS["attacker"], 8080]
    assert [second["outcome"], second["operation"]["port"]] == ["rejected", 8081]


# --- restarts --------------------------------------------------------------------------------------------------------


def test_killed_and_started_again_it_goes_on_with_its_episodes(plant, data):
    watching = Watching(plant, *arguments(data))
    plant.inject(write("10.0.2.20") + write("10.0.2.21"))
    before = until(lambda: len(found := alerts(data)) == 2 and found)
    assert not any(alert.get("count_at_least") for alert in before)
    watching.end(signal.SIGKILL)
    assert alerts(data) == before
    watching = Watching(plant, *arguments(data))
    assert alerts(data) == before
    plant.inject(write("10.0.2.20", port=40_001))
    time.sleep(0.3)
    assert watching.end() == 0
    assert any("ended by force" in line for line in watching.said)
    after = alerts(data)
    assert [alert["id"] for alert in after] == [alert["id"] for alert in before]
    assert [(alert["count"], alert.get("count_at_least")) for alert in after] == [(2, True), (1, True)]


def test_ended_and_started_again_it_counts_on_exactly(plant, data):
    ids = set()
    for run in range(3):
        watching = Watching(plant, *arguments(data))
        plant.inject(write("10.0.2.20", port=40_000 + run))
        until(lambda: len(alerts(data)) == 1)
        time.sleep(0.3)
        assert watching.end() == 0
        assert not any("force" in line for line in watching.said)
        [alert] = alerts(data)
        assert (alert["count"], "count_at_least" in alert) == (run + 1, False)
        ids.add(alert["id"])
    assert len(ids) == 1
    assert sum(count for (count,) in rows(data, "SELECT attempted FROM operations WHERE protocol = 'modbus'")) == 3


# --- the policy changes ----------------------------------------------------------------------------------------------


def test_a_changed_policy_is_taken_over_and_a_broken_one_is_not(plant, data):
    path = data.parent / "policy.yaml"
    rules(path, "read, write")
    watching = Watching(plant, *arguments(data, path))
    plant.inject(write("10.0.2.1"))
    path.write_text("otmon: [")
    [told] = until(lambda: alerts(data))
    assert (told["kind"], "policy.yaml" in told["title"]) == ("visibility", True)
    plant.inject(write("10.0.2.1", port=40_001))
    rules(path, "read")
    watching.hears("replaces")
    assert len(alerts(data)) == 1  # the old policy was in force until now
    plant.inject(write("10.0.2.1", port=40_002))
    alert = until(lambda: alerts(data)[1:])[0]
    assert (alert["kind"], alert["client"]["endpoint"]) == ("command", "10.0.2.1")
    # Size and time as before: nobody but SIGHUP makes it look.
    status = path.stat()
    rules(path, "read, write")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    watching.process.send_signal(signal.SIGHUP)
    watching.hears("replaces")
    plant.inject(write("10.0.2.2"))
    time.sleep(0.5)
    assert watching.end() == 0
    assert len(alerts(data)) == 2
    assert any("newly permitted: 10.0.2.1 -> 10.0.1.11 modbus" in line for line in watching.said)


# --- the interface goes ----------------------------------------------------------------------------------------------


@pytest.mark.long
def test_an_interface_that_was_removed_is_listened_to_again(plant, data):
    watching = Watching(plant, *arguments(data))
    plant.cut()
    try:
        [told] = until(lambda: alerts(data))
        assert (told["kind"], MONITOR in told["title"]) == ("visibility", True)
    finally:
        plant.cable()
        plant.mirror()
    watching.hears(f"{MONITOR} is back", 60)
    status = Path(f"/proc/{watching.process.pid}/status").read_text()
    uids, capabilities = (status.partition(word)[2].split() for word in ("Uid:", "CapEff:"))
    assert "0" not in uids[:4]
    assert int(capabilities[0], 16) == 0
    plant.inject(write("10.0.2.1"))
    until(lambda: len(alerts(data)) == 2)
    assert watching.end() == 0


@pytest.mark.long
def test_a_policy_that_is_read_again_is_told(plant, data):
    policy = rules(data.parent / "policy.yaml", "read")
    watching = Watching(plant, *arguments(data, policy))
    watching.process.send_signal(signal.SIGHUP)
    line = watching.hears("policy_unchanged")
    assert f"policy {policy.name} unchanged: " in line
    rules(policy, "read, write")
    line = watching.hears("policy_adopted")
    assert policy.name in line
    assert not [word for word in line.replace("=", " ").split() if len(word) > 40]
    assert watching.end() == 0


def test_a_database_that_was_taken_away_ends_it(plant, data):
    watching = Watching(plant, *arguments(data))
    shutil.rmtree(data)
    line = watching.hears("error: ")
    assert "removed or replaced" in line
    assert str(data / "site.db") in line
    assert watching.process.wait(10) == 3
    data.mkdir()
    assert Watching(plant, *arguments(data)).end() == 0


@pytest.mark.long
def test_no_room_at_the_end_is_one_line_and_no_usage_error(plant):
    with data_folder(mib=4) as data:
        watching = Watching(plant, *arguments(data))
        plant.inject(same_order(CAPTURES[:1]))
        until(lambda: rows(data, "SELECT 1 FROM health"))
        with suppress(OSError), (data / "ballast").open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        assert watching.end() == 3
        [line] = [line for line in watching.said if line.startswith("otmon: error: ")]
        assert f"then otmon export {data}" in line
        assert not any("Traceback" in line for line in watching.said)


# --- bad input -------------------------------------------------------------------------------------------------------


def refused(plant, *command):
    """The one line that a command says before it ends with 2."""
    done = plant.run("monitor", *map(str, command), timeout_s=60)
    assert done.returncode == 2, done
    [line] = done.stderr.splitlines()
    assert line.startswith("otmon: error: ")
    assert not done.stdout
    return line


def test_no_such_interface(plant, data):
    assert MONITOR in refused(plant, *otmon("watch", "nosuch0", "--data", data))
    assert not list(data.iterdir())


def test_no_permission(plant, data):
    line = refused(plant, "setpriv", "--bounding-set=-net_raw", *otmon("watch", *arguments(data)))
    assert "CAP_NET_RAW" in line
    assert not list(data.iterdir())


def test_without_permission_nothing_is_compiled_first(plant, tmp_path):
    cold = ("env", f"OTMON_CACHE={tmp_path}", "setpriv", "--bounding-set=-net_raw")
    for words in (("watch", MONITOR), ("doctor", "span", MONITOR)):
        started = time.monotonic()
        assert "CAP_NET_RAW" in refused(plant, *cold, *otmon(*words))
        assert time.monotonic() - started < 5


def test_a_filter_that_is_none(plant, data):
    assert "nonsense" in refused(plant, *otmon("watch", *arguments(data), "--filter", "nonsense nowhere"))


@pytest.mark.long
def test_a_data_folder_that_cannot_be_written(plant, data):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", data], check=True)
    try:
        assert str(data) in refused(plant, *otmon("watch", *arguments(data)))
    finally:
        subprocess.run(["umount", data], check=True)
    (data / "file").touch()
    assert str(data) in refused(plant, *otmon("watch", *arguments(data / "file")))


@pytest.mark.long
def test_a_second_sensor_on_one_folder(plant, data):
    watching = Watching(plant, *arguments(data))
    assert "another otmon" in refused(plant, *otmon("watch", *arguments(data)))
    assert watching.end() == 0


def test_a_database_of_a_newer_schema(plant, data):
    Watching(plant, *arguments(data)).end()
    with closing(sqlite3.connect(data / "site.db")) as db:
        db.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
        db.commit()
    before = (data / "site.db").read_bytes()
    assert "schema 99" in refused(plant, *otmon("watch", *arguments(data)))
    assert (data / "site.db").read_bytes() == before


def test_a_damaged_database_is_set_aside(plant, data):
    damaged = b"SQLite format 3\0" + bytes(range(256)) * 100
    (data / "site.db").write_bytes(damaged)
    watching = Watching(plant, *arguments(data))
    assert any("damaged" in line and "set aside" in line for line in watching.said)
    plant.inject(write("10.0.2.20"))
    until(lambda: alerts(data))
    assert watching.end() == 0
    [aside] = data.glob("site.db.damaged-*")
    assert aside.read_bytes() == damaged


# --- ended while it starts -------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ended_during_the_start_it_leaves_no_traceback(plant, data, number):
    started = time.monotonic()
    watching = Watching(plant, *arguments(data))
    start_s = time.monotonic() - started
    assert watching.end(number) == 0
    for part in (0.1, 0.25, 0.4, 0.6, 0.8, 0.95):
        watching = Watching(plant, *arguments(data), wait=False)
        time.sleep(part * start_s)
        code = watching.end(number)
        assert code in (0, 130, -number), (part, watching.said)
        # Before it comes to otmon, Python itself may tell what it was doing.
        assert not any(f"{ROOT}/otmon/" in line for line in watching.said), (part, watching.said)


def test_frames_of_a_closed_port_and_of_an_old_kind_do_not_stop_it(plant, data):
    """Odd ones between good ones: runts, a jumbo's head, a truncated handshake."""
    watching = Watching(plant, *arguments(data))
    odd = [bytes(14), b"\xff" * 60, tcp("10.0.2.1", "10.0.1.1", 1, 502, 0, 0, 0xFF)[:40]]
    plant.inject(odd + handshake("10.0.2.1", "10.0.1.1", 1, 502)[:1] + odd + write("10.0.2.20") + odd)
    until(lambda: alerts(data))
    assert watching.end() == 0
