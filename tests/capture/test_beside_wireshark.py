"""Frame counts, lengths and times of every real capture beside tshark's."""

import shutil
import subprocess

import pytest

from otmon.capture.errors import CaptureError
from tests.capture import files
from tests.capture.dump import dump
from tests.protocols.segments import CAPTURES

PATHS = sorted(
    path for path in CAPTURES.rglob("*") if path.suffix in (".pcap", ".pcapng", ".cap", ".dump", ".gz", ".zst")
)
needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def tshark(path):
    command = ["tshark", "-n", "-r", path, "-T", "fields"]
    for field in ("frame.time_epoch", "frame.cap_len", "frame.len"):
        command += ["-e", field]
    # Nothing above the frame is asked for: without dissection it is quicker.
    command += ["--disable-protocol", "eth"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    return [(int(ts.replace(".", "")), int(captured), int(wire)) for ts, captured, wire in rows]


def running_maximum(values):
    out = []
    for value in values:
        out.append(max(value, out[-1]) if out else value)
    return out


def compare(path):
    frames, (info,) = dump([path])
    theirs = tshark(path)
    assert [(len(frame[3]), frame[4]) for frame in frames] == [(captured, wire) for _, captured, wire in theirs]
    if info.clock_jumps == 0:
        assert [frame[2] for frame in frames] == running_maximum([ts for ts, _, _ in theirs])
    return len(frames)


@needs_tshark
@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.long)])
def test_real_captures(step):
    if not PATHS:
        pytest.skip(f"no real captures at {CAPTURES}")
    seen = 0
    for path in PATHS[::step]:
        try:
            seen += compare(path)
        except CaptureError:
            assert tshark(path) == [], path
    assert seen > 1_000


@needs_tshark
def test_own_pcapng(tmp_path):
    ts = 1_700_000_000_123_456_789
    path = tmp_path / "a.pcapng"
    path.write_bytes(
        files.section(">")
        + files.interface(">", tsresol=9)
        + files.interface(">", tsresol=0x80 | 30, tsoffset=1_600_000_000)
        + files.enhanced(ts, bytes(60), ">", wire=90)
        + files.enhanced((200_000_000 << 30) + (1 << 29) + 12345, bytes(61), ">", number=1)
        + files.block(">", 77, bytes(8))
        + files.section()
        + files.interface(tsresol=3)
        + files.enhanced(ts // 10**6 + 200_000_000_000, bytes(64), options=files.option("<", 1, b"why") + bytes(4))
        + files.obsolete(ts // 10**6 + 200_000_000_001, bytes(65))
    )
    assert compare(path) == 4
