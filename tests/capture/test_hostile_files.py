"""Damaged, cut, empty, foreign and endless files (H01-H11): what is good is read, the rest is said."""

import gzip
import json
import os
import struct
import subprocess
import sys

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otmon.capture.errors import CaptureError
from otmon.capture.inputs import open_inputs
from otmon.limits import MAX_FRAME_BYTES
from tests.capture import files
from tests.capture.dump import dump
from tests.effort import examples

T = 1_700_000_000_000_000_000
FRAMES = [(T, b"first one"), (T + 1000, b"second")]
PCAP = files.pcap(FRAMES)
START = files.section() + files.interface()
PCAPNG = START + b"".join(files.enhanced(ts // 1000, data) for ts, data in FRAMES)


def write(tmp_path, data, name="a.cap"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


def refused(path):
    with pytest.raises(CaptureError) as caught:
        open_inputs([str(path)])
    line = str(caught.value)
    assert "\n" not in line
    assert caught.value.path == str(path)
    return line


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcap_cut_at_every_byte(tmp_path, order):
    whole = files.pcap(FRAMES, order)
    ends = [24, 24 + 16 + 9, len(whole)]
    for cut in range(len(whole) + 1):
        path = write(tmp_path, whole[:cut])
        if cut < 24:
            refused(path)
            continue
        frames, (info,) = dump([path])
        good = sum(end <= cut for end in ends) - 1
        assert [frame[3] for frame in frames] == [data for _, data in FRAMES[:good]]
        assert (info.damaged is None) == (cut in ends)
        if info.damaged:
            assert info.damaged == {"offset": ends[good], "reason": "cut short: the file ends inside this record"}


def test_pcapng_cut_at_every_byte(tmp_path):
    first = len(START) + len(files.enhanced(T, b"first one"))
    ends = [28, len(START), first, len(PCAPNG)]
    for cut in range(len(PCAPNG) + 1):
        path = write(tmp_path, PCAPNG[:cut])
        if cut < 24:
            refused(path)
            continue
        frames, (info,) = dump([path])
        assert len(frames) == (cut >= first) + (cut >= len(PCAPNG))
        assert (info.damaged is None) == (cut in ends)


@pytest.mark.parametrize("length", [0xFFFFFFF0, 0, 1, 4, 11, 13, 28, 16 * 1024 * 1024 + 4, 0x7FFFFFFC])
def test_impossible_block_lengths(tmp_path, length):
    bad = struct.pack("<II", 6, length) + bytes(60)
    frames, (info,) = dump([write(tmp_path, PCAPNG + bad)])
    assert len(frames) == 2
    assert info.damaged == {"offset": len(PCAPNG), "reason": "impossible block length"}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (files.enhanced(T, b"x")[:-4] + b"\0\0\0\0", "impossible block length"),
        (files.enhanced(T, b"x", number=1), "packet of an interface that was not described"),
        (files.block("<", 6, struct.pack("<IIIII", 0, 0, 0, 5, 5) + b"abcd"), "impossible block length"),
        (files.block("<", 6, struct.pack("<IIIII", 0, 0, 0, 2**31, 2**31) + b"abcd"), None),
        (files.section() + files.simple(b"x"), "packet of an interface that was not described"),
        (files.section()[:8] + b"nope" + files.section()[12:], "section without a byte-order mark"),
        (files.section()[:12] + b"\x02\0" + files.section()[14:], "pcapng version 2.0 is not known (1.0 is)"),
    ],
)
def test_damage_in_pcapng_keeps_what_came_before(tmp_path, bad, reason):
    frames, (info,) = dump([write(tmp_path, PCAPNG + bad + files.enhanced(T, b"behind"))])
    assert [frame[3] for frame in frames] == [b"first one", b"second"]
    assert info.damaged is not None
    assert reason in (info.damaged["reason"], None)


@pytest.mark.parametrize("captured", [MAX_FRAME_BYTES + 1, 0x7FFFFFFF, 0xFFFFFFFF])
def test_frames_too_long(tmp_path, captured):
    bad = struct.pack("<IIII", 1, 1, captured, captured) + bytes(100)
    frames, (info,) = dump([write(tmp_path, PCAP + bad)])
    assert len(frames) == 2
    assert info.damaged["offset"] == len(PCAP)
    assert "longer than 262,144 bytes" in info.damaged["reason"]


def test_longest_frame_is_read_with_the_smallest_buffer(tmp_path):
    longest = [(T, bytes(MAX_FRAME_BYTES)), (T, b"x"), (T, bytes(MAX_FRAME_BYTES))]
    frames, (info,) = dump([write(tmp_path, files.pcap(longest))], buffer_bytes=1)
    assert [len(frame[3]) for frame in frames] == [MAX_FRAME_BYTES, 1, MAX_FRAME_BYTES]
    assert info.damaged is None


def test_snap_length_of_simple_packets(tmp_path):
    data = files.section() + files.interface(snaplen=4) + files.simple(b"abcd", wire=900) + files.simple(b"ab")
    frames, (info,) = dump([write(tmp_path, data)])
    assert [(frame[3], frame[4]) for frame in frames] == [(b"abcd", 900), (b"ab", 2)]
    assert info.truncated == 1


def test_floods_of_interfaces_and_options(tmp_path):
    many = files.section() + files.interface() * 200_000 + files.enhanced(T, b"x", number=199_999)
    assert dump([write(tmp_path, many)])[1][0].frames == 1
    options = files.section() + files.block(
        "<", 1, struct.pack("<HHI", 1, 0, 0) + files.option("<", 2, b"") * 1_000_000
    )
    assert dump([write(tmp_path, options + files.enhanced(T, b"x"))])[1][0].frames == 1


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (b"<!DOCTYPE html><html>" * 9, "not a pcap or pcapng capture (it starts with 3c 21 44 4f)"),
        (gzip.compress(b"<!DOCTYPE html><html>", mtime=0), "not a pcap or pcapng capture"),
        (gzip.compress(gzip.compress(PCAP, mtime=0), mtime=0), "not a pcap or pcapng capture"),
        (gzip.compress(PCAP, mtime=0)[:12], "gzip data ends too early"),
        (gzip.compress(PCAP, mtime=0)[:10] + b"\xff" * 50, "gzip data is damaged"),
        (zstandard.compress(PCAP)[:10], "zstd data ends too early"),
        (zstandard.compress(PCAP)[:6] + b"\xff" * 50, "zstd data is damaged"),
        (b"PK\x03\x04" + bytes(30), "zip archive"),
        (b"\xfd7zXZ\0" + bytes(30), "xz"),
        (b"\x34\xcd\xb2\xa1" + bytes(30), "editcap"),
        (PCAP[:4] + b"\x09\0" + PCAP[6:], "pcap version 9.4"),
        (b"\x0a\x0d\x0d\x0a" + bytes(40), "not a pcap or pcapng capture"),
        (b"\x0a\x0d\x0d\x0a\x0c\0\0\0\x4d\x3c\x2b\x1a" + bytes(40), "impossible block length"),
    ],
)
def test_no_captures(tmp_path, data, words):
    assert words in refused(write(tmp_path, data))


def test_files_that_cannot_be_opened(tmp_path):
    assert "no such file" in refused(tmp_path / "absent")
    assert "is a directory" in refused(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    assert "symbolic links" in refused(tmp_path / "loop")
    assert "file name" in refused("a\0b")
    assert "not a pcap" in refused("/dev/zero")
    assert str(CaptureError("a\x1b[31m\nb", 0, "no")) == "a\\x1b[31m\\x0ab: no"
    if os.geteuid():
        path = write(tmp_path, PCAP)
        path.chmod(0)
        assert "permission denied" in refused(path)


def test_file_header_alone_is_a_capture_without_frames(tmp_path):
    for data in (PCAP[:24], files.section(), START):
        frames, (info,) = dump([write(tmp_path, data)])
        assert (frames, info.frames, info.damaged, info.first_ts_ns) == ([], 0, None, None)


def test_others_are_read_when_one_cannot_be(tmp_path):
    good, bad = write(tmp_path, PCAP), write(tmp_path, b"nothing", "bad")
    frames, info = dump([bad, good, tmp_path, good])
    assert [frame[:2] for frame in frames] == [(1, 1), (3, 1), (1, 2), (3, 2)]
    assert [entry.format for entry in info] == [None, "pcap", None, "pcap"]
    assert info[2].damaged == {"offset": 0, "reason": "is a directory: name the capture files in it"}
    with pytest.raises(CaptureError):
        open_inputs([str(bad), str(tmp_path)])


def test_damage_inside_gzip_keeps_what_came_before(tmp_path):
    frames = [(T + n * 1000, os.urandom(200)) for n in range(5000)]
    packed = bytearray(gzip.compress(files.pcap(frames)))
    packed[len(packed) // 2 : len(packed) // 2 + 50] = bytes(50)
    seen, (info,) = dump([write(tmp_path, packed)])
    assert 0 < len(seen) < 5000
    assert [frame[3] for frame in seen[:1000]] == [data for _, data in frames[:1000]]
    assert info.damaged is not None
    assert info.sha256 is not None


BOMB = """
import resource, sys
from otmon.capture.inputs import open_inputs
inputs = open_inputs([sys.argv[1]])
for warm in inputs:
    break
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
frames = sum(len(batch.records) for batch in open_inputs([sys.argv[1]]))
print(frames, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_bombs_keep_memory_flat(tmp_path, pack):
    empty = 2_000_000
    path = write(tmp_path, pack(PCAP[:24] + bytes(16 * empty)))
    result = subprocess.run([sys.executable, "-c", BOMB, str(path)], capture_output=True, text=True, check=True)
    frames, grown_kib = map(int, result.stdout.split())
    assert frames == empty
    assert grown_kib < 24 * 1024


def test_file_descriptors_are_given_back(tmp_path):
    path = write(tmp_path, PCAP)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        dump([path, path])
        for batch in open_inputs([str(path)]):
            del batch
        refused(write(tmp_path, b"none", "b"))
    assert len(os.listdir("/proc/self/fd")) == before


seeds = st.sampled_from([PCAP, PCAPNG, files.pcap(FRAMES, ">", True), gzip.compress(PCAP), zstandard.compress(PCAPNG)])


@st.composite
def mutants(draw):
    data = bytearray(draw(seeds) * draw(st.integers(1, 2)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 8))] = draw(st.binary(max_size=8))
    return bytes(data)


@given(data=st.one_of(st.binary(max_size=200), mutants()), cut=st.integers(1, 100))
@settings(max_examples=examples(600), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes(tmp_path, data, cut):
    path = write(tmp_path, data)
    try:
        frames, (info,) = dump([path])
    except CaptureError:
        refused(path)
        return
    assert (frames, [info]) == dump([path], buffer_bytes=cut, batch_frames=cut)
    assert info.frames == len(frames)
    assert info.bytes == sum(len(frame[3]) for frame in frames)
    assert [frame[2] for frame in frames] == sorted(frame[2] for frame in frames)
    json.dumps([info.path, info.damaged])


def test_interpreted_gives_the_same(tmp_path):
    paths = []
    for number in range(0, len(PCAP), 3):
        paths.append(write(tmp_path, PCAP[:number] + b"\xff" + PCAP[number + 1 :], f"p{number}"))
    for number in range(0, len(PCAPNG), 3):
        paths.append(write(tmp_path, PCAPNG[:number] + b"\x7f" + PCAPNG[number + 1 :], f"n{number}"))
    command = [sys.executable, "-m", "tests.capture.dump", "100", "2", *map(str, paths)]
    outputs = []
    for interpret in ("0", "1"):
        env = {**os.environ, "OTMON_INTERPRET": interpret}
        outputs.append(subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout)
    assert outputs[0] == outputs[1]
    assert outputs[0].count("\n") == len(paths)
