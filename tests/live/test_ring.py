"""The ring on real interfaces, in network namespaces of its own."""

import fcntl
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from otmon.capture.batch import LINK_RAW
from otmon.capture.bpf import compile_filter
from otmon.capture.errors import InterfaceError
from otmon.capture.interfaces import link_type
from otmon.capture.ring import Ring
from tests.live.lab import HOSTS, MONITOR, lab, skip_reason
from tests.live.sensor import until

pytestmark = pytest.mark.skipif(bool(skip_reason()), reason=str(skip_reason()))

MACS = bytes.fromhex("020000000010020000000020")
S = 1_000_000_000


@pytest.fixture(scope="module")
def plant():
    """Its cables carry what a veth can at most."""
    with lab(mtu=65535) as made:
        yield made


@pytest.fixture
def ring_on(plant):
    """Opens rings at the monitor's interface, and closes them."""
    rings = []

    def opened(interface=MONITOR, host="monitor", **options):
        with plant.inside(host):
            rings.append(Ring(interface, 7, **{"blocks": 8, "timeout_ms": 10} | options))
        return rings[-1]

    yield opened
    for ring in rings:
        ring.close()
        assert ring.broken_blocks == 0


def frame(size, number=0):
    return MACS + b"\x08\x00" + random.Random(number * 65536 + size).randbytes(size - 14)


def tagged(data, *tags):
    return data[:12] + b"".join(struct.pack(">HH", tpid, tci) for tpid, tci in tags) + data[12:]


def taken(ring, count, wait_s=2.0):
    """Frames until there are `count`, and whatever else comes within a block's time."""
    frames, end_s = [], time.monotonic() + wait_s
    while time.monotonic() < end_s:
        for batch in ring.batches():
            assert batch.input == 7
            assert batch.first_frame == len(frames) + 1
            assert batch.records.flags.c_contiguous
            frames += [batch.data[at : at + (n >> 32)].tobytes() for at, n in batch.records[:, :2].tolist()]
        if len(frames) >= count:
            end_s = min(end_s, time.monotonic() + 0.05)
        select.select([ring], [], [], 0.02)
    return frames


def waited(ring):
    """The first blocks that come."""
    assert select.select([ring], [], [], 2)[0]
    return ring.batches()


def test_frames_are_read_byte_for_byte(plant, ring_on):
    frames = [frame(size, n) for n, size in enumerate([14, 60, 61, 64, 590, 1514, 9014, 30_000, 65_549, 60])]
    ring, before_ns = ring_on(), time.time_ns()
    plant.inject(frames)
    assert taken(ring, len(frames)) == frames
    info = ring.info
    assert (info.path, info.format, info.link_types, info.sha256) == (MONITOR, "live", ["ethernet"], None)
    assert (info.frames, info.bytes, info.truncated) == (len(frames), sum(map(len, frames)), 0)
    assert before_ns <= info.first_ts_ns <= info.last_ts_ns <= time.time_ns()
    assert ring.statistics() == (len(frames), 0, 0)


def test_tags_are_back_in_place(plant, ring_on):
    frames = [
        tagged(frame(60), (0x8100, 0x6064)),
        tagged(frame(1514), (0x8100, 1)),
        tagged(frame(64), (0x88A8, 200), (0x8100, 100)),
        tagged(frame(64), (0x8100, 200), (0x8100, 100), (0x8100, 7)),
        tagged(frame(64), (0x8100, 0)),
        frame(60),
    ]
    ring = ring_on()
    plant.inject(frames)
    assert taken(ring, len(frames)) == frames


def test_what_hosts_send_is_seen_once(plant, ring_on):
    ring = ring_on()
    for n, host in enumerate(HOSTS):
        plant.inject([frame(60, n)], host)
    assert sorted(taken(ring, 3)) == sorted(frame(60, n) for n in range(3))


SERVER = """
import socket
s = socket.create_server(("10.77.0.10", 5000)); print("ready", flush=True)
c = s.accept()[0]
while c.recv(1 << 20): pass
"""
CLIENT = """
import socket
with socket.create_connection(("10.77.0.10", 5000)) as c: c.sendall(bytes(2_000_000))
"""


def test_offloaded_frames_beyond_the_mtu(ring_on):
    with lab(offloads=True) as plant, plant.inside("monitor"), Ring(MONITOR, 7) as ring:
        server = plant.start("plc", sys.executable, "-c", SERVER)
        assert server.stdout.readline() == "ready\n"
        assert plant.run("hmi", sys.executable, "-c", CLIENT).returncode == 0
        server.wait(5)
        frames = taken(ring, 100)
        assert max(map(len, frames)) > 20_000
        assert sum(len(f) - 14 - 20 - (f[46] >> 4) * 4 for f in frames if f[12:14] == b"\x08\x00") >= 2_000_000
        assert ring.info.truncated == 0
        assert ring.statistics() == (len(frames), 0, 0)


def test_a_frame_longer_than_a_block_is_cut_and_counted(plant, ring_on):
    ring = ring_on(block_bytes=4096)
    plant.inject([frame(9014), frame(60)])
    long, short = taken(ring, 2)
    assert 3500 < len(long) < 4096
    assert frame(9014).startswith(long)
    assert short == frame(60)
    assert (ring.info.frames, ring.info.truncated) == (2, 1)


def test_received_and_dropped_are_all_that_was_sent(plant, ring_on):
    ring = ring_on(blocks=2, block_bytes=65536)
    plant.inject([frame(1000, n) for n in range(400)])
    read = len(taken(ring, 0))
    plant.inject([frame(1000, n) for n in range(400)])
    statistics = ring.statistics()
    assert 0 < statistics.received < 800
    assert statistics.received + statistics.dropped == 800
    assert statistics.freezes >= 1
    seen = []
    for batch in ring.batches():
        assert batch.first_frame == read + len(seen) + 1
        seen += batch.records.tolist()
    read += len(seen)
    while extra := sum(len(batch.records) for batch in ring.batches()):
        read += extra
    assert read == statistics.received == ring.info.frames
    ring.close()
    assert ring.statistics() == statistics


def test_a_block_goes_back_when_the_iterator_is_closed(plant, ring_on):
    ring = ring_on(blocks=2)
    for n in range(6):  # more than the ring has blocks
        plant.inject([frame(60, n)])
        assert select.select([ring], [], [], 2)[0]
        for batch in ring.batches():
            assert batch.first_frame == n + 1
            break
    assert ring.statistics() == (6, 0, 0)


def test_nothing_is_ever_sent(plant, ring_on):
    before = plant.counter("monitor", MONITOR)
    ring = ring_on()
    plant.inject([frame(60)])
    taken(ring, 1)
    ring.close()
    assert plant.counter("monitor", MONITOR) == before == 0


def test_what_the_machine_sends_is_left_out(plant, ring_on):
    ring = ring_on("eth0", "plc")
    plant.inject([frame(60, 1)], "plc")
    plant.inject([frame(60, 2)], "hmi")
    assert taken(ring, 1) == [frame(60, 2)]


def test_loopback_is_ethernet_and_seen_once(plant, ring_on):
    ring = ring_on("lo", "plc")
    with plant.inside("plc"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.sendto(b"hello", sock.getsockname())
    frames = [data for data in taken(ring, 1) if data.endswith(b"hello")]
    assert [(len(data), data[:14]) for data in frames] == [(14 + 20 + 8 + 5, bytes(12) + b"\x08\x00")]
    assert ring.info.link_types == ["ethernet"]


@pytest.mark.skipif(not Path("/dev/net/tun").exists(), reason="no /dev/net/tun")
def test_raw_ip_of_a_tunnel(plant, ring_on):
    packet = bytes.fromhex("4500001c00000000401166cf0a4d00140a4d000a 1f9001f600080000")
    with plant.inside("monitor"), open("/dev/net/tun", "r+b", buffering=0) as tunnel:
        fcntl.ioctl(tunnel, 0x400454CA, struct.pack("16sH22x", b"tun7", 0x1001))  # TUNSETIFF: IFF_TUN, IFF_NO_PI
        ring = ring_on("tun7")
        assert ring.state() == "down"
        plant.ip("monitor", "link set tun7 up")
        assert ring.state() == "up"
        tunnel.write(packet)
        [batch] = waited(ring)
        [(at, lengths, _, link)] = batch.records.tolist()
        assert (batch.data[at : at + (lengths >> 32)].tobytes(), link) == (packet, LINK_RAW)
        assert ring.info.link_types == ["raw-ip"]


def test_no_stray_frames_of_other_interfaces(plant, ring_on):
    plant.ip("monitor", "link add stray0 type veth peer name stray1")
    for name in ("stray0", "stray1"):
        plant.ip("monitor", f"link set {name} up")
    code = "import socket,time\ns=socket.socket(17,3,0); s.bind(('stray1',0))\nprint(1, flush=True)\n"
    sender = plant.start("monitor", sys.executable, "-c", code + "while 1: s.send(bytes(60)); time.sleep(0.0005)")
    sender.stdout.readline()
    for _ in range(5):
        assert taken(ring_on(), 0, wait_s=0.1) == []
    sender.kill()
    plant.ip("monitor", "link del stray0")


def test_a_filter(plant, ring_on):
    with plant.inside("monitor"):
        program = compile_filter("ether[14] = 0x55", link_type(MONITOR))
    ring = ring_on(bpf=program)
    yes, no = MACS + b"\x08\x00\x55" + bytes(50), MACS + b"\x08\x00\x54" + bytes(50)
    plant.inject([no, yes, no, yes, tagged(yes, (0x8100, 5))])
    assert taken(ring, 3) == [yes, yes, tagged(yes, (0x8100, 5))]
    assert ring.statistics().received == 3


def test_another_process_goes_on_where_one_died(plant, ring_on):
    """It was killed with a block in its hands: that block is counted, given back and not read again."""
    ring = ring_on()
    frames = [conversation(port, back=False) for port in range(30)]
    plant.inject(frames[:10])
    assert taken(ring, 10) == frames[:10]
    plant.inject(frames[10:20])
    until(lambda: ring.backlog().batches)
    child = os.fork()
    if not child:
        while True:
            for _ in ring.batches():
                os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    read = ring.info.frames
    assert 10 < read <= 20, "what it read is known here"
    plant.inject(frames[20:])
    ring.take_over()
    assert ring.info.frames == read
    rest: list[bytes] = []
    while len(rest) < 30 - read:
        for batch in ring.batches():
            assert batch.first_frame == read + len(rest) + 1
            rest += [batch.data[at : at + (n >> 32)].tobytes() for at, n in batch.records[:, :2].tolist()]
    assert rest == frames[read:]
    assert (ring.info.frames, ring.statistics().received) == (30, 30)
    ring.take_over()
    assert ring.info.frames == 30


def conversation(port, back):
    """A UDP datagram between two hosts, either way."""
    hosts, at = (b"\x0a\x4d\0\x14", b"\x0a\x4d\0\x0a"), (20000 + port, 502)
    if back:
        hosts, at = hosts[::-1], at[::-1]
    ip = bytes.fromhex("4500002000000000401100 00".replace(" ", "")) + b"".join(hosts)
    total = sum(struct.unpack(">10H", ip))
    ip = ip[:10] + struct.pack(">H", 0xFFFF - (total % 0xFFFF)) + ip[12:]
    return MACS + b"\x08\x00" + ip + struct.pack(">HHHH", *at, 12, 0) + b"abcd" + bytes(14)


def test_an_interface_that_is_made_anew(ring_on):
    with lab() as plant, plant.inside("monitor"), Ring(MONITOR, 7) as ring:
        plant.inject([frame(60, 1)])
        assert ring.state() == "up"
        assert ring.resume()
        plant.cut()
        assert select.select([ring], [], [], 1)[0], "poll tells of it"
        first = taken(ring, 1)
        assert not select.select([ring], [], [], 0)[0], "once"
        assert (ring.state(), ring.resume()) == ("gone", False)
        assert ring.warning == f"{MONITOR}: is gone: waiting for it"
        plant.cable()
        assert ring.state() == "gone", "one of the same name is another one"
        assert ring.resume()
        assert (ring.state(), ring.warning) == ("up", None)
        plant.inject([frame(60, 2)])
        [batch] = waited(ring)
        assert (first, batch.first_frame) == ([frame(60, 1)], 2)
        assert batch.data[batch.records[0, 0] :][:60].tobytes() == frame(60, 2)
        assert promiscuous(plant) == 1
        ring.close()
        assert promiscuous(plant) == 0
        assert (ring.state(), ring.resume()) == ("gone", False)


def promiscuous(plant):
    words = plant.ip("monitor", f"-d link show {MONITOR}").split()
    return int(words[words.index("promiscuity") + 1])


def test_an_interface_without_a_link_goes_on_by_itself(ring_on):
    with lab() as plant, plant.inside("monitor"), Ring(MONITOR, 7) as ring:
        for where in ("switch", "monitor"):  # no link; down
            plant.ip(where, f"link set {MONITOR} down")
            until(lambda: ring.state() == "down")  # the kernel notices a link in its own time
            assert ring.warning == f"{MONITOR}: is down or has no link: no frames can arrive"
            plant.ip(where, f"link set {MONITOR} up")
            until(lambda: ring.state() == "up")
            assert ring.resume()
        plant.inject([frame(60)])
        assert taken(ring, 1) == [frame(60)]


def test_a_clock_set_back_is_listed(plant, ring_on):
    """The machine's clock is not ours to set: the ring is told that it was an hour later before."""
    from otmon.capture import tpacket

    ring = ring_on()
    ring._state[tpacket.LATEST_NS] = ahead = time.time_ns() + 3600 * S
    plant.inject([frame(60)])
    taken(ring, 1)
    [(ts_ns, step_ns)] = ring.steps
    assert ts_ns == ahead == ring.info.first_ts_ns
    assert abs(step_ns - 3600 * S) < 2 * S
    assert ring.clock_steps == 1


def test_batches_outlive_the_ring(plant, ring_on):
    ring = ring_on()
    plant.inject([frame(60)])
    assert select.select([ring], [], [], 2)[0]
    batches = ring.batches()
    batch = next(batches)
    ring.close()
    assert batch.data[batch.records[0, 0] :][:60].tobytes() == frame(60)
    assert list(batches) == list(ring.batches()) == []


def test_interface_drops_are_counted_from_the_start(plant, ring_on, monkeypatch):
    from otmon.capture import interfaces

    counts = iter([100, 103, 103, 2])
    monkeypatch.setattr(interfaces, "drops", lambda interface: next(counts))
    ring = ring_on()
    assert [ring.interface_drops for _ in range(3)] == [3, 3, 5]


@pytest.mark.parametrize("name", ["nope", "", "a-name-that-is-much-too-long", "a\0b", "\x1b[31m"])
def test_no_such_interface(ring_on, name):
    with pytest.raises(InterfaceError) as caught:
        ring_on(name)
    line = str(caught.value)
    assert line.endswith(f"no such network interface; there are: lo, {MONITOR}")
    assert line.isprintable()


def test_no_memory(ring_on):
    with pytest.raises(InterfaceError, match=r"span0: no memory for a receive ring of 8,192 MiB: lower the number of"):
        ring_on(blocks=1 << 20, block_bytes=8192)


UNPRIVILEGED = """
import os, sys
from otmon.capture.ring import Ring
os.setgid(65534); os.setuid(65534)
Ring(sys.argv[1], 0)
"""
RESUMES = """
import os, select, sys
from otmon.capture.ring import Ring
ring = Ring(sys.argv[1], 0, blocks=2)
os.setgid(65534); os.setuid(65534)
print("open", flush=True); sys.stdin.readline()
print(ring.state(), ring.resume(), ring.state(), flush=True); sys.stdin.readline()
print(sum(len(batch.records) for batch in ring.batches()), ring.statistics().received, flush=True)
"""


def test_no_permission(plant):
    done = plant.run("monitor", sys.executable, "-c", UNPRIVILEGED, MONITOR)
    assert done.stderr.splitlines()[-1].endswith(
        "span0: no permission to capture: run as root, or give the process the capability CAP_NET_RAW"
    )


def test_resumes_without_privileges():
    with lab() as plant:
        command = ["ip", "netns", "exec", plant.namespace("monitor"), sys.executable, "-c", RESUMES, MONITOR]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, **pipes) as child:
            assert child.stdout.readline() == "open\n"
            plant.cut()
            plant.cable()
            child.stdin.write("\n")
            child.stdin.flush()
            assert child.stdout.readline() == "gone True up\n"
            assert promiscuous(plant) == 1
            plant.inject([frame(60)])
            time.sleep(0.2)
            assert child.communicate("\n")[0] == "1 1\n"
