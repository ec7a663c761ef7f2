"""scapy's sniffer in place of the ring: the same frames, the same interface."""

import subprocess
import sys

import pytest

pytest.importorskip("scapy")

from otmon.capture import sniff
from otmon.capture.batch import REC_TS
from otmon.capture.errors import InterfaceError
from otmon.capture.ring import Ring
from otmon.capture.sniff import Sniffer
from tests.live.lab import MONITOR, lab, skip_reason

pytestmark = pytest.mark.skipif(bool(skip_reason()), reason=str(skip_reason()))

FRAMES = [bytes(12) + b"\x88\xb5" + bytes([n]) * (46 + n) for n in range(20)]

SNIFFS = """
import sys, time
from otmon.capture.sniff import Sniffer
with Sniffer(sys.argv[1], 3) as sniffer:
    print(sniffer.state(), flush=True); sys.stdin.readline(); time.sleep(0.5)
    for batch in sniffer.batches():
        for at, lengths, ts_ns, link in batch.records.tolist():
            data = batch.data[at : at + (lengths >> 32)].tobytes()
            print(batch.input, link, abs(ts_ns - time.time_ns()) < 5e9, data.hex())
    print(tuple(sniffer.statistics()), sniffer.info.frames, sniffer.info.format, list(sniffer.batches()))
print(sniffer.state())
"""


def test_the_frames_of_an_interface():
    with lab() as plant:
        command = ("ip", "netns", "exec", plant.namespace("monitor"), sys.executable, "-c", SNIFFS, MONITOR)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, **pipes) as child:
            assert child.stdout.readline() == "up\n"
            plant.inject(FRAMES)
            out, errors = child.communicate("\n", timeout=10)
        assert out.splitlines() == [
            *(f"3 1 True {frame.hex()}" for frame in FRAMES),
            "(20, 0, 0) 20 live []",
            "gone",
        ], errors
        assert plant.counter("monitor", MONITOR) == 0


def test_what_has_no_room_is_counted(monkeypatch):
    monkeypatch.setattr(sniff, "SNIFF_QUEUE_BYTES", 100)
    with lab() as plant, plant.inside("monitor"), Sniffer(MONITOR, 0) as sniffer:
        for n in range(4):
            sniffer._take(Packet(bytes(40), n))
        assert sniffer.statistics() == (2, 2, 0)
        [batch] = sniffer.batches()
        assert batch.records[:, REC_TS].tolist() == [0, 1_000_000_000]
        sniffer._take(Packet(bytes(40), 9))
        assert [(batch.first_frame, len(batch.records)) for batch in sniffer.batches()] == [(3, 1)]


class Packet:
    """What is used of scapy's."""

    def __init__(self, data, time_s):
        self.original, self.time, self.wirelen = data, time_s, None


def test_without_scapy(monkeypatch):
    monkeypatch.setitem(sys.modules, "scapy.sendrecv", None)
    with pytest.raises(InterfaceError, match=r"x0: live capture here needs scapy: pip install 'otmon\[scapy\]'"):
        Sniffer("x0", 0)


def test_no_such_interface():
    with pytest.raises(InterfaceError, match=r"^nope: cannot capture: "):
        Sniffer("nope", 0)


def test_whoever_reads_need_not_know_which():
    for name in ("batches", "close", "fileno", "info", "resume", "state", "statistics"):
        assert hasattr(Sniffer, name)
    public = {name for name in dir(Ring) if not name.startswith("_")} - {"take_over"}  # of several processes
    assert public <= set(dir(Sniffer)) | {"interface_drops", "warning"}
