"""Every form of capture file, written byte by byte, read back."""

import gzip
import hashlib
import io
import os
import struct
import subprocess
import sys
from types import SimpleNamespace

import pytest
import zstandard

from otmon.capture.batch import LINK_ETHERNET, LINK_NULL, LINK_RAW, LINK_SLL, LINK_SLL2, LINK_UNSUPPORTED
from otmon.capture.errors import CaptureError
from otmon.capture.inputs import open_inputs
from otmon.capture.walk import MAX_TS_NS
from tests.capture import files
from tests.capture.dump import dump

T = 1_700_000_000_123_456_789
FRAMES = [(T, b"first frame"), (T + 5_000_000, b""), (T + 7_000_001, bytes(range(256)))]


def write(tmp_path, data, name="a.cap"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


def times_and_bytes(frames):
    return [(ts, data) for _, _, ts, data, _, _ in frames]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nano", [False, True])
def test_pcap(tmp_path, order, nano):
    path = write(tmp_path, files.pcap(FRAMES, order, nano, wire=[11, 60, 1000]))
    frames, (info,) = dump([path])
    step = 1 if nano else 1000
    assert times_and_bytes(frames) == [(ts // step * step, data) for ts, data in FRAMES]
    assert [(number, wire) for _, number, _, _, wire, _ in frames] == [(1, 11), (2, 60), (3, 1000)]
    assert (info.format, info.compression, info.link_types) == ("pcap", None, ["ethernet"])
    assert (info.frames, info.bytes, info.truncated, info.damaged) == (3, 267, 2, None)
    assert (info.first_ts_ns, info.last_ts_ns) == (frames[0][2], frames[2][2])
    assert info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("number", "link", "name"),
    [
        (0, LINK_NULL, "null"),
        (1, LINK_ETHERNET, "ethernet"),
        (12, LINK_RAW, "raw-ip"),
        (14, LINK_RAW, "raw-ip"),
        (101, LINK_RAW, "raw-ip"),
        (108, LINK_NULL, "loop"),
        (113, LINK_SLL, "linux-cooked"),
        (228, LINK_RAW, "raw-ipv4"),
        (229, LINK_RAW, "raw-ipv6"),
        (276, LINK_SLL2, "linux-cooked-v2"),
        (147, LINK_UNSUPPORTED | 147 << 32, "linktype-147"),
        (195, LINK_UNSUPPORTED | 195 << 32, "linktype-195"),
    ],
)
def test_link_types(tmp_path, number, link, name):
    frames, (info,) = dump([write(tmp_path, files.pcap(FRAMES, link=number))])
    assert [frame[5] for frame in frames] == [link] * 3
    assert info.link_types == [name]


def test_pcapng_sections_interfaces_and_blocks(tmp_path):
    data = (
        files.section("<", files.option("<", 2, b"a comment on the hardware"))
        + files.block("<", 0x0000000A, b"secrets")
        + files.interface("<")
        + files.interface("<", link=113, tsresol=9)
        + files.enhanced(T // 1000, b"a", options=files.option("<", 1, b"hello") + bytes(4))
        + files.enhanced(T + 1, b"bc", number=1)
        + files.block("<", 0x0BAD, b"custom")
        + files.simple(b"def")
        + files.obsolete(T // 1000 + 9, b"ghij")
        + files.section(">")
        + files.interface(">", link=147, tsresol=0)
        + files.enhanced(T // 10**9 + 2, b"klmno", ">")
        + files.section("<")
        + files.interface("<", link=1, tsresol=0x80 | 10, tsoffset=T // 10**9)
        + files.enhanced((3 << 10) + 512, b"p", wire=9)
    )
    frames, (info,) = dump([write(tmp_path, data)])
    second = T // 10**9 * 10**9
    assert times_and_bytes(frames) == [
        (T // 1000 * 1000, b"a"),
        (T + 1, b"bc"),
        (T + 1, b"def"),
        (T // 1000 * 1000 + 9000, b"ghij"),
        (second + 2 * 10**9, b"klmno"),
        (second + 3_500_000_000, b"p"),
    ]
    links = [frame[5] for frame in frames]
    assert links == [LINK_ETHERNET, LINK_SLL | 1 << 16, LINK_ETHERNET, LINK_ETHERNET, 147 << 32, LINK_ETHERNET]
    assert info.link_types == ["ethernet", "linux-cooked", "linktype-147"]
    assert (info.format, info.truncated, info.damaged) == ("pcapng", 1, None)


def exact_ns(units, resolution, offset_s):
    scale = 2 ** (resolution & 0x7F) if resolution & 0x80 else 10**resolution
    ns = min(MAX_TS_NS, units * 10**9 // scale)  # what is out of range stays so, whatever the offset
    return max(0, min(MAX_TS_NS, ns + max(1 - MAX_TS_NS, min(MAX_TS_NS - 1, offset_s * 10**9))))


@pytest.mark.parametrize(
    "resolution", [0, 3, 6, 9, 10, 12, 18, 0x80, 0x81, 0x94, 0x9E, 0xA0, 0xA1, 0xBF, 0xC0, 0xFF, 127]
)
def test_time_resolutions(tmp_path, resolution):
    # Finer than a quarter nanosecond (or than any clock: 10**-19 s and below) the last digits may differ.
    slack = 20 * 10**9 if 18 < resolution < 128 else 1 if resolution > 0xA0 else 0
    for offset_s in (0, 5, -5, 2**62, -(2**62)):
        for units in (0, 1, 123456789, T // 1000, T, 2**62, 2**63 - 1, 2**63, 2**64 - 1):
            data = (
                files.section() + files.interface(tsresol=resolution, tsoffset=offset_s) + files.enhanced(units, b"x")
            )
            ((_, _, ts, _, _, _),), _ = dump([write(tmp_path, data)], buffer_bytes=4096, batch_frames=4)
            assert abs(ts - exact_ns(units, resolution, offset_s)) <= slack, (units, offset_s)


def test_interfaces_past_the_cap_are_counted_as_unsupported(tmp_path):
    data = (
        files.section()
        + files.interface() * 300
        + b"".join(files.enhanced(T, b"x", number=n) for n in (0, 255, 256, 299))
    )
    frames, (info,) = dump([write(tmp_path, data)])
    assert [frame[5] & 0xFFFF for frame in frames] == [LINK_ETHERNET, LINK_ETHERNET, LINK_UNSUPPORTED, LINK_UNSUPPORTED]
    assert info.damaged is None


def test_a_frame_is_never_shorter_on_the_wire_than_captured(tmp_path):
    frames, (info,) = dump([write(tmp_path, files.pcap(FRAMES, wire=[0, 0, 5]))])
    assert [frame[4] for frame in frames] == [11, 0, 256]
    assert info.truncated == 0


ZSTD = zstandard.ZstdCompressor(write_checksum=True)


def zstd_stream(data):
    stream = zstandard.ZstdCompressor(level=1).compressobj()
    return stream.compress(data) + stream.flush()


COMPRESSIONS = {
    "gzip": gzip.compress,
    "two gzip members and padding": lambda data: gzip.compress(data[:300]) + gzip.compress(data[300:]) + bytes(512),
    "zstd": ZSTD.compress,
    "zstd frames, one skippable": lambda data: (
        ZSTD.compress(data[:300]) + struct.pack("<II", 0x184D2A53, 5) + b"12345" + ZSTD.compress(data[300:])
    ),
    "zstd stream of unknown length": zstd_stream,
}


@pytest.mark.parametrize("how", COMPRESSIONS)
@pytest.mark.parametrize(
    "plain", [files.pcap(FRAMES * 500), files.section() + files.interface() + files.enhanced(T, b"ab") * 900]
)
def test_compressed(tmp_path, how, plain):
    packed = COMPRESSIONS[how](plain)
    frames, (info,) = dump([write(tmp_path, packed, "a.packed")])
    expected, (plain_info,) = dump([write(tmp_path, plain)])
    assert frames == expected
    assert info.compression == "gzip" if "gzip" in how else "zstd"
    assert (info.format, info.frames, info.damaged) == (plain_info.format, len(expected), None)
    assert info.sha256 == hashlib.sha256(packed).hexdigest()


@pytest.mark.parametrize("pack", [gzip.compress, ZSTD.compress, zstd_stream])
def test_compressed_and_cut_at_every_byte(tmp_path, pack):
    noise = [(T + n, hashlib.sha256(b"%d" % n).digest()) for n in range(20)]
    packed = pack(files.pcap(noise, nano=True))
    for cut in range(len(packed)):
        try:
            frames, (info,) = dump([write(tmp_path, packed[:cut])])
        except CaptureError:
            continue
        assert times_and_bytes(frames) == noise[: len(frames)]
        assert info.damaged is not None, cut


def test_standard_input(tmp_path, monkeypatch):
    data = files.pcap(FRAMES)
    for hash_all in (False, True):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
        frames, (info,) = dump(["-"], hash_all=hash_all)
        assert len(frames) == 3
        assert info.path == "-"
        assert info.sha256 == (hashlib.sha256(data).hexdigest() if hash_all else None)
    command = [sys.executable, "-m", "tests.capture.dump", "64", "2", "-"]
    result = subprocess.run(command, input=data, capture_output=True, check=True, cwd=os.getcwd())
    assert result.stdout.startswith(b"[3, ")


def test_named_pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = subprocess.Popen(
        [sys.executable, "-c", "import sys; open(sys.argv[1], 'wb').write(sys.stdin.buffer.read())", path],
        stdin=subprocess.PIPE,
    )
    writer.stdin.write(files.pcap(FRAMES))
    writer.stdin.close()
    other = write(tmp_path, files.pcap(FRAMES))
    frames, info = dump([path, other])
    assert writer.wait() == 0
    assert [(entry.frames, entry.damaged) for entry in info] == [(3, None)] * 2
    assert [frame[0] for frame in frames] == [0, 1, 0, 1, 0, 1]


def test_hash_only_of_short_files_unless_asked(tmp_path, monkeypatch):
    monkeypatch.setattr("otmon.capture.source.HASH_BYTES", 100)
    path = write(tmp_path, files.pcap(FRAMES))
    assert dump([path])[1][0].sha256 is None
    assert dump([path], hash_all=True)[1][0].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_progress_ends_at_the_size_of_the_files(tmp_path):
    paths = [write(tmp_path, gzip.compress(files.pcap(FRAMES * 9)), f"{n}.gz") for n in range(3)]
    with open_inputs([str(path) for path in paths], buffer_bytes=64, batch_frames=2) as inputs:
        seen = [inputs.progress[0] for _ in inputs]
        total = sum(path.stat().st_size for path in paths)
        assert inputs.progress == (total, total)
    assert seen == sorted(seen)
    assert seen[-1] <= total
