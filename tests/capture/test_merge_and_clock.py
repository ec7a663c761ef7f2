"""Clock and merge beside brute force; nothing depends on where buffers and batches are cut."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otmon.capture.errors import CaptureError
from otmon.capture.inputs import open_inputs
from otmon.capture.walk import MAX_TS_NS
from otmon.limits import CLOCK_JUMP_NS
from tests.capture import files
from tests.capture.dump import dump
from tests.effort import examples

T = 1_700_000_000_000_000_000
DAY = CLOCK_JUMP_NS
YEARS = 80 * 365 * DAY


def clocks(raw):
    """The rule of DESIGN 1 over a whole list: (clocks, outliers)."""

    def apart(a, b):
        return abs(a - b) > CLOCK_JUMP_NS

    raw, jumps = list(raw), 0
    if len(raw) >= 3 and apart(raw[0], raw[1]) and apart(raw[0], raw[2]) and not apart(raw[1], raw[2]):
        raw[0] = raw[1]
        jumps += 1
    out, good = [], raw[0]
    for index, ts in enumerate(raw):
        following = raw[index + 1] if index + 1 < len(raw) else None
        confirmed = following is not None and (not apart(ts, following) or good < ts < following)
        if apart(ts, good) and not confirmed:
            jumps += 1
        else:
            good = ts
            out.append(max(ts, out[-1] if out else ts))
            continue
        out.append(out[-1])
    return out, jumps


def read_clocks(path, **options):
    frames, (info,) = dump([path], **options)
    return [frame[2] for frame in frames], info.clock_jumps


@pytest.mark.parametrize(
    ("raw", "clock", "jumps"),
    [
        ([5, 3, 9, 9, 2], [5, 5, 9, 9, 9], 0),
        ([T, T + 1, T + YEARS, T + 2], [T, T + 1, T + 1, T + 2], 1),
        ([T, 0, T + 2], [T, T, T + 2], 1),
        ([T + YEARS, T, T + 1], [T, T, T + 1], 1),
        ([0, T, T + 1], [T, T, T + 1], 1),
        ([T, T + YEARS, T + 1], [T, T, T + 1], 1),
        ([T, T + 1, T + 9 * DAY], [T, T + 1, T + 1], 1),
        ([T, T + 2 * DAY, T + 2 * DAY + 1], [T + 2 * DAY, T + 2 * DAY, T + 2 * DAY + 1], 1),
        (
            [T, T + 1, T + 3 * DAY, T + 6 * DAY, T + 6 * DAY + 1],
            [T, T + 1, T + 3 * DAY, T + 6 * DAY, T + 6 * DAY + 1],
            0,
        ),
        ([T, T + 1, T - 9 * DAY, T - 9 * DAY + 1, T + 2], [T, T + 1, T + 1, T + 1, T + 1], 1),
        ([T], [T], 0),
        ([T, T + YEARS], [T, T], 1),
    ],
)
def test_clock(tmp_path, raw, clock, jumps):
    path = tmp_path / "a.pcapng"
    path.write_bytes(files.section() + files.interface(tsresol=9) + b"".join(files.enhanced(ts, b"") for ts in raw))
    assert clocks(raw) == (clock, jumps)
    assert read_clocks(path) == (clock, jumps)
    assert read_clocks(path, buffer_bytes=64, batch_frames=1) == (clock, jumps)


times = st.lists(
    st.one_of(
        st.sampled_from([0, T, T + 1, T + DAY, T + DAY + 1, T + 2 * DAY + 2, T + YEARS, T - 300 * DAY, MAX_TS_NS]),
        st.integers(T, T + 1000),
    ),
    min_size=1,
    max_size=12,
)


@given(raw=times, batch_frames=st.integers(1, 5), buffer_bytes=st.integers(1, 200))
@settings(max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_clock_is_the_rule_wherever_batches_are_cut(tmp_path, raw, batch_frames, buffer_bytes):
    path = tmp_path / "a.pcapng"
    path.write_bytes(files.section() + files.interface(tsresol=9) + b"".join(files.enhanced(ts, b"abc") for ts in raw))
    assert read_clocks(path, batch_frames=batch_frames, buffer_bytes=buffer_bytes) == clocks(raw)


def random_frames(rng, count):
    ts = T
    for _ in range(count):
        ts += rng.choice((0, 0, 1000, 2000, -1000))
        yield ts, rng.randbytes(rng.choice((0, 1, 60, 1500)))


@pytest.mark.parametrize("batch_frames", [1, 2, 7, 32_768])
@pytest.mark.parametrize("buffer_bytes", [1, 100, 4096, 4 << 20])
def test_batch_and_buffer_size_change_nothing(tmp_path, batch_frames, buffer_bytes):
    rng = random.Random(4)
    frames = list(random_frames(rng, 400))
    pcap, pcapng = tmp_path / "a.pcap", tmp_path / "a.pcapng"
    pcap.write_bytes(files.pcap(frames)[:-3])
    blocks = [files.enhanced(ts, data) + files.block("<", 99, bytes(rng.choice((0, 9000)))) for ts, data in frames]
    blocks[200:200] = [files.section(), files.interface(link=113, tsresol=9)]
    pcapng.write_bytes(files.section() + files.interface(tsresol=9) + b"".join(blocks) + b"\x06")
    for path in (pcap, pcapng):
        inputs = open_inputs([str(path)], buffer_bytes=buffer_bytes, batch_frames=batch_frames)
        sizes = [len(batch.records) for batch in inputs]
        assert 0 < min(sizes) <= max(sizes) <= batch_frames
        assert dump([path], buffer_bytes=buffer_bytes, batch_frames=batch_frames) == dump([path])


def test_blocks_between_packets_need_no_memory(tmp_path):
    path = tmp_path / "a.pcapng"
    filler = files.block("<", 99, bytes(30_000)) * 50
    path.write_bytes(files.section() + files.interface() + files.enhanced(T, b"a") + filler + files.enhanced(T, b"b"))
    inputs = open_inputs([str(path)], buffer_bytes=1000)
    assert max(len(batch.data) for batch in inputs) < 100_000
    assert inputs.info[0].frames == 2


def merged(paths):
    """Each input read alone, then one sort."""
    frames = []
    for number, path in enumerate(paths):
        try:
            frames += [(number, *frame[1:]) for frame in dump([path])[0]]
        except CaptureError:
            continue
    return sorted(frames, key=lambda frame: (frame[2], frame[0], frame[1]))


@pytest.mark.parametrize("seed", range(12))
def test_merge_is_a_sort_of_all_inputs(tmp_path, seed):
    rng = random.Random(seed)
    paths = []
    for number in range(rng.randrange(2, 6)):
        path = tmp_path / f"{number}"
        start = rng.choice((0, 0, 5_000, 400_000))
        frames = [(ts + start, data) for ts, data in random_frames(rng, rng.choice((0, 1, 2, 300)))]
        path.write_bytes(files.pcap(frames))
        paths.append(path)
    paths.append(tmp_path / "no such file")
    options = {"buffer_bytes": rng.choice((64, 1 << 20)), "batch_frames": rng.choice((1, 5, 1000))}
    frames, info = dump(paths, **options)
    assert frames == merged(paths)
    assert [entry.frames for entry in info] == [sum(frame[0] == n for frame in frames) for n in range(len(paths))]
    assert info[-1].damaged == {"offset": 0, "reason": "no such file"}
    for number, path in enumerate(paths[:-1]):
        assert info[number] == dump([path])[1][0]


def test_only_inputs_that_overlap_are_open_together(tmp_path):
    paths = []
    for number in range(40):
        paths.append(tmp_path / f"{number}")
        paths[-1].write_bytes(files.pcap([(T + number * 10**9, b"x"), (T + number * 10**9 + 5000, b"y")]))
    inputs = open_inputs([str(path) for path in paths])
    opened = []
    for _ in inputs:
        opened.append(sum(not entry.source._raw.file.closed for entry in inputs._inputs if hasattr(entry, "source")))
    assert len(opened) == 40
    assert max(opened) == 1
