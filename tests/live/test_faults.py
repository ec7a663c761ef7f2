"""What can happen to a sensor in years: each fault once, for real where that is possible."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from benchmarks.live.sender import Frames, Sender
from otmon.policy.load import load_policy
from otmon.sensor.watch import Sensor
from otmon.store.database import SiteDatabase
from otmon.store.sensor import SiteStore
from tests.live.fed import Fed
from tests.live.lab import MONITOR, skip_reason
from tests.live.sensor import (
    Watching,
    alerts,
    arguments,
    data_folder,
    handshake,
    rows,
    rules,
    sums,
    tcp,
    until,
    write,
)

pytestmark = pytest.mark.long
needs_lab = pytest.mark.skipif(bool(skip_reason()), reason=str(skip_reason()))
KILLS = 100
STOPPED_S = 60
DAY_NS = 86_400 * 1_000_000_000
T = 1_795_000_000_000_000_000
MEMORY_KIB = 1024 * 1024


@contextmanager
def meanwhile(work):
    """`work(stop)` in a thread while the block runs; its result is in the list."""
    stop, results = threading.Event(), []
    thread = threading.Thread(target=lambda: results.append(work(stop)), daemon=True)
    thread.start()
    try:
        yield results
    finally:
        stop.set()
        thread.join(60)
    assert results, "the thread failed"


# --- kill -9 ----------------------------------------------------------------------------------------------------------


@needs_lab
def test_nothing_alerted_is_lost_or_doubled_by_kill_9(plant, data):
    """100 kills at random moments while new and known violations go on."""
    rng = random.Random(4)
    policy = rules(data.parent / "policy.yaml", "read")
    child = Path(__file__).with_name("kill_child.py")
    line = ["ip", "netns", "exec", plant.namespace("monitor"), sys.executable, str(child), str(data), str(policy)]
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        line,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )

    def violations(stop):
        number = 0
        while not stop.wait(0.005):
            new, known = f"10.{1 + number // 60_000}.{number // 250 % 240}.{1 + number % 250}", f"10.9.9.{number % 20}"
            plant.inject(write(new) + write(known, port=1024 + number % 60_000))
            number += 1
        return number

    try:
        with meanwhile(violations):
            reported = {}
            for _ in range(KILLS):
                process.stdin.write("\n")
                process.stdin.flush()
                word, pid = process.stdout.readline().split()
                assert word == "armed"
                there = {alert["id"]: alert["count"] for alert in alerts(data)}
                assert not [name for name, count in reported.items() if there.get(name, -1) < count]
                end = time.monotonic() + rng.uniform(0.02, 0.6)
                while time.monotonic() < end:
                    reported |= {alert["id"]: alert["count"] for alert in alerts(data)}
                    time.sleep(0.03)
                os.kill(int(pid), signal.SIGKILL)
                assert process.stdout.readline() == "ended\n"
    finally:
        process.stdin.close()
        process.wait(10)
    found = alerts(data)
    assert len(reported) > KILLS
    counts = {alert["id"]: alert["count"] for alert in found}
    assert not [name for name, count in reported.items() if counts.get(name, -1) < count]
    clients = [alert["client"]["endpoint"] for alert in found if alert["kind"] == "command"]
    assert len(clients) == len(set(clients))
    assert any(alert.get("count_at_least") for alert in found)


# --- no room ----------------------------------------------------------------------------------------------------------


@needs_lab
def test_a_full_disk_stops_nothing_and_alerts_come_once_there_is_room(plant):
    with data_folder(mib=4) as data:
        policy = rules(data.parent / "policy.yaml", "read")
        watching = Watching(plant, *arguments(data, policy))
        plant.inject(write("10.1.1.1"))
        until(lambda: len(alerts(data)) == 1)
        ballast = data / "ballast"
        _fill(ballast)
        plant.inject([frame for n in range(200) for frame in write(f"10.1.2.{n}")])
        watching.hears("not written")
        time.sleep(2)
        assert len(alerts(data)) < 201
        assert watching.process.poll() is None
        ballast.unlink()
        until(lambda: len([a for a in alerts(data) if a["kind"] == "command"]) == 201)
        until(lambda: [a for a in alerts(data) if a["kind"] == "visibility" and "disk" in a["title"].lower()])
        plant.inject(write("10.1.3.1"))
        assert watching.end() == 0
        assert len([a for a in alerts(data) if a["kind"] == "command"]) == 202
        assert not any("Traceback" in line for line in watching.said)


def _fill(path):
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


# --- stopped ----------------------------------------------------------------------------------------------------------


@needs_lab
def test_stopped_for_a_minute_every_frame_is_processed_or_counted_as_dropped(plant, data):
    policy = rules(data.parent / "policy.yaml", "read, write")
    watching = Watching(plant, *arguments(data, policy))
    frames = Frames.of([*handshake("10.1.1.1", "10.1.1.2", 40_000, 80), *_data(2_000)])
    before = plant.counter("monitor", MONITOR, "rx")
    with plant.inside("switch"):
        sender = Sender(MONITOR)

    def flow(stop):
        sent = 0
        while not stop.is_set():
            sent += sender.send(frames, 2_000)
        return sent

    with meanwhile(flow) as sent:
        time.sleep(1)
        watching.process.send_signal(signal.SIGSTOP)
        time.sleep(STOPPED_S)
        watching.process.send_signal(signal.SIGCONT)
        time.sleep(2)
    sender.close()
    time.sleep(1)
    assert plant.counter("monitor", MONITOR, "rx") - before == sent[0]
    assert watching.end() == 0
    total = sums(data)
    assert total["frames"] + total["dropped"] == sent[0]
    assert total["received"] == total["frames"]
    assert total["dropped"] > 0
    told = [alert["title"] for alert in alerts(data) if alert["kind"] == "visibility"]
    assert any(f"{total['dropped']:,}" in title for title in told), told


def _data(count):
    """Full frames of one stream."""
    payload = bytes(1_400)
    return [tcp("10.1.1.1", "10.1.1.2", 40_000, 80, 1_001 + n * 1_400, 2_001, 0x18, payload) for n in range(count)]


# --- the clock --------------------------------------------------------------------------------------------------------


class Time:
    """time.monotonic of a test."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize("frames_a_block", [1, 4], ids=["sparse", "dense"])
@pytest.mark.parametrize("step_ns", [-DAY_NS, 365 * DAY_NS], ids=["back", "forward"])
def test_the_clock_is_set(tmp_path, monkeypatch, step_ns, frames_a_block):
    """Frames are stamped with the machine's clock; nothing else is asked of it."""
    policy = load_policy(rules(tmp_path / "policy.yaml", "read"))
    source, monotonic = Fed(), Time()
    clock_ns = [T]
    monkeypatch.setattr(time, "time_ns", lambda: clock_ns[0])
    monkeypatch.setattr(time, "time", lambda: clock_ns[0] / 1e9)
    with SiteStore(tmp_path / "site.db", policy.site) as store:
        sensor = Sensor([source], store, policy, monotonic=monotonic)

        def show(frames):
            for at in range(0, len(frames), frames_a_block):
                source.blocks([(clock_ns[0] + n, f) for n, f in enumerate(frames[at : at + frames_a_block])])
                pass_s(0.05)

        def pass_s(seconds):
            clock_ns[0] += int(seconds * 1e9)
            monotonic.now_s += seconds
            sensor.step(0)

        show(write("10.1.1.1"))
        pass_s(10)
        before = sensor.now_ns()
        clock_ns[0] += step_ns
        show(write("10.1.1.1", port=40_001))
        show(write("10.1.1.2"))
        pass_s(120)
        elapsed_s = (sensor.now_ns() - before) / 1e9
        show(write("10.1.1.3"))
        pass_s(120)
        sensor.finish()
    found = SiteDatabase(tmp_path / "site.db")
    denied = [a for a in found.alerts if a["kind"] == "command"]
    assert {a["client"]["endpoint"] for a in denied} == {"10.1.1.1", "10.1.1.2", "10.1.1.3"}
    if step_ns < 0:  # time goes on from the last frame: an episode goes on
        assert 110 <= elapsed_s < 125
        assert [a["count"] for a in denied] == [2, 1, 1]
    else:  # time follows: the machine's clock is believed
        assert abs(elapsed_s * 1e9 - step_ns) < DAY_NS
        assert denied[-1]["first_ts_ns"] > T + step_ns
    starts = [record["ts_ns"] for record in found.health]
    assert starts == sorted(starts)
    assert len(starts) < 10
    assert sum(op.counts.attempted for op in found.operations if op.key.protocol == "modbus") == 4


# --- floods -----------------------------------------------------------------------------------------------------------


def varied(frame, count, **columns):
    """`count` copies of a frame; columns: offset -> big-endian number for each copy, as (width, numbers)."""
    rows = np.tile(np.frombuffer(frame, np.uint8), (count, 1))
    for at, (width, numbers) in columns.items():
        offset = int(at[1:])
        for n in range(width):
            rows[:, offset + n] = numbers >> (8 * (width - 1 - n)) & 0xFF
    return rows


SOURCE, SOURCE_PORT, DESTINATION = 26, 34, 30


@needs_lab
def test_100_000_syns_a_second_cost_known_traffic_nothing(plant, data):
    """New clients without end from outside; a panel goes on reading and writing what it may not."""
    policy = rules(data.parent / "policy.yaml", "read")
    watching = Watching(plant, *arguments(data, policy))
    numbers = np.arange(300_000)
    syn = tcp("10.200.0.0", "10.1.1.2", 1, 502, 1, 0, 0x02)
    flood = Frames.table(
        varied(syn, 300_000, _26=(4, (10 << 24 | 200 << 16) + numbers // 8), _34=(2, numbers % 8 + 5000))
    )
    plant.inject(handshake("10.1.1.1", "10.1.1.2", 40_000, 502))
    before_kib = watching.memory_kib()

    def known(stop):
        asked = 0
        while not stop.wait(0.01):
            plant.inject(_read("10.1.1.1", "10.1.1.2", 40_000, asked))
            asked += 1
        return asked

    with meanwhile(known) as asked:
        with plant.inside("switch"):
            sender = Sender(MONITOR)
        started = time.monotonic()
        sent = sender.send(flood, 100_000)
        rate = sent / (time.monotonic() - started)
        sender.close()
    # On the known connection: new ones are shed while the table is full.
    place = 12 * asked[0], 9 * asked[0]
    plant.inject(_write("10.1.1.1", "10.1.1.2", 40_000, *place))
    started = time.monotonic()
    client = "json_extract(record, '$.client.endpoint')"
    query = f"SELECT id FROM alerts WHERE kind = 'command' AND {client} = '10.1.1.1'"
    until(lambda: rows(data, query), 120)
    alerted_s = time.monotonic() - started
    peak_kib = watching.memory_kib()
    time.sleep(1)
    ending = time.monotonic()
    assert watching.end(patience_s=240) == 0
    print(f"\nended after {time.monotonic() - ending:.1f} s")
    total = sums(data)
    print(f"\n{rate:,.0f} SYN/s, {total}, memory {before_kib:,} -> {peak_kib:,} KiB")
    print(f"an alert beside it after {alerted_s:.1f} s, {len(alerts(data)):,} in all")
    assert total["frames"] + total["dropped"] == sent + 3 + 2 * asked[0] + 2
    assert peak_kib < MEMORY_KIB
    assert total["shed"] > 0
    told = [alert["title"] for alert in alerts(data) if alert["kind"] == "visibility"]
    assert any(f"{total['shed']:,}" in title for title in told), told
    with SiteDatabase(data / "site.db") as found:
        reads = [op for op in found.operations if op.key.client == "10.1.1.1" and op.key.access == "read"]
    lost = total["dropped"]
    assert asked[0] - lost <= sum(op.counts.attempted for op in reads) <= asked[0]
    assert all(op.verdict == "permit" for op in reads)


def _read(client, server, port, number):
    """A permitted Modbus read, its `number`th on the connection, and the answer (an exception, of 9 bytes)."""
    ask = number.to_bytes(2, "big") + b"\0\0\0\x06\x01\x03\0\x10\0\x01"
    answer = number.to_bytes(2, "big") + b"\0\0\0\x03\x01\x83\x02"
    said, heard = 1_001 + 12 * number, 2_001 + 9 * number
    return [
        tcp(client, server, port, 502, said, heard, 0x18, ask),
        tcp(server, client, 502, port, heard, said + 12, 0x18, answer),
    ]


def _write(client, server, port, said, heard):
    """A Modbus write, so many bytes into the streams, and its answer."""
    pdu = b"\x77\x77\0\0\0\x06\x01\x06\0\x01\0\x07"
    return [
        tcp(client, server, port, 502, 1_001 + said, 2_001 + heard, 0x18, pdu),
        tcp(server, client, 502, port, 2_001 + heard, 1_013 + said, 0x18, pdu),
    ]


def test_a_million_new_operations_are_bounded_and_known_ones_keep_their_judgement(tmp_path):
    """Every request on 40 connections is one that was never seen: unit, register and count differ."""
    policy = load_policy(rules(tmp_path / "policy.yaml", "read"))
    source, million = Fed(), 1_000_000
    with SiteStore(tmp_path / "site.db", policy.site) as store:
        sensor = Sensor([source], store, policy)

        def show(rows, ts_ns, step_ns=1_000):
            source.table(rows, ts_ns, step_ns)
            sensor.step(0)

        for frame in write("10.1.1.1", "10.1.2.1"):
            show(np.frombuffer(frame, np.uint8)[None, :], T)
        before_kib = _resident_kib()
        connections, each = 40, million // 40
        peak_kib = before_kib
        for number in range(connections):
            client, server, ts_ns = "10.1.1.5", f"10.1.3.{number + 1}", T + (number + 1) * 1_500_000_000
            for frame in handshake(client, server, 40_000, 502):
                show(np.frombuffer(frame, np.uint8)[None, :], ts_ns)
            asked = np.arange(each)
            [ask, answer] = _read(client, server, 40_000, 0)
            shown = np.zeros((2 * each, len(ask)), np.uint8)  # (Ethernet pads the answer)
            shown[0::2] = varied(
                ask, each, _38=(4, 1_001 + 12 * asked), _42=(4, 2_001 + 9 * asked), _54=(2, asked),
                _60=(1, asked % 247 + 1), _62=(2, asked // 247 * 64),
            )  # fmt: skip
            shown[1::2] = varied(
                answer.ljust(len(ask), b"\0"), each, _38=(4, 2_001 + 9 * asked), _42=(4, 1_001 + 12 * (asked + 1)),
                _54=(2, asked), _60=(1, asked % 247 + 1),
            )  # fmt: skip
            show(shown, ts_ns + 10_000)
            peak_kib = max(peak_kib, _resident_kib())
        # The known violation goes on; a new one is seen.
        for client, port in (("10.1.1.1", 40_001), ("10.1.1.9", 40_000)):
            for frame in write(client, "10.1.2.1", port=port):
                show(np.frombuffer(frame, np.uint8)[None, :], T + 100_000_000_000)
        sensor.finish()
    with SiteDatabase(tmp_path / "site.db") as found:
        asked = sum(op.counts.attempted for op in found.operations if op.key.client == "10.1.1.5")
        kept = len(found.operations)
        denied = {a["client"]["endpoint"]: a["count"] for a in found.alerts if a["kind"] == "command"}
        folded = sum(op.counts.attempted for op in found.operations if op.key.target is None)
        shed = sum(record["shed"] for record in found.health)
    print(f"\n{asked:,} asked, {kept:,} kept apart, {folded:,} without target, shed {shed:,}")
    print(f"memory {before_kib:,} -> {peak_kib:,} KiB")
    assert asked + shed == million
    assert denied == {"10.1.1.1": 2, "10.1.1.9": 1}
    assert kept < million
    assert folded >= million - kept
    assert peak_kib < MEMORY_KIB


def _resident_kib():
    return int(Path("/proc/self/status").read_text().partition("RssAnon:")[2].split()[0])
