"""Frames of several sources in the order of their times: merged as a sort would, taps within bounds."""

import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otmon.capture.inputs import open_inputs
from otmon.engine import analyze
from otmon.engine.run import Run
from otmon.sensor.intake import HOLD_S, Intake
from otmon.sensor.skew import MAX_SKEW_NS
from otmon.site.part import Part
from tests.effort import examples
from tests.engine.world import START_NS, Frame
from tests.sensor.deal import Clock, Deal

CAPTURES = Path(__file__).parents[2] / "captures"
BLOCK_S = 0.05
"""A ring hands over a block when it is so old."""


def frames_of(name: str) -> list[Frame]:
    found = []
    for batch in open_inputs([str(CAPTURES / name)]):
        found += [Frame(ts, batch.data[a : a + (n >> 32)].tobytes()) for a, n, ts, _ in batch.records.tolist()]
    return found


def blocks(frames: Sequence[Frame], times_s: Sequence[float], rng: random.Random, most: int = 20):
    """Cut at random; a block is there at the latest when its first frame is BLOCK_S old, and none before its last."""
    dealt, at = [], 0
    while at < len(frames):
        end = at + rng.randint(1, most)
        while times_s[min(end, len(frames)) - 1] > times_s[at] + BLOCK_S:
            end -= 1
        end = min(end, len(frames))
        ready_s = max(times_s[end - 1], times_s[at] + BLOCK_S * rng.random())
        dealt.append((max(ready_s, dealt[-1][0] if dealt else 0), list(frames[at:end])))
        at = end
    return dealt


def turn(intake: Intake, clock: Clock, until_s: float, step_s: float = 0.005):
    """Every frame as (name, input, number, time), in the order given, to the end."""
    out = []

    def take(flush: bool = False):
        for name, batch in intake.batches(flush):
            times = batch.records[:, 2].tolist()
            out.extend((name, batch.input, batch.first_frame + n, ts) for n, ts in enumerate(times))
            yield batch

    while clock.now_s < until_s:
        intake.wait(0)
        yield from take()
        clock.now_s += step_s
    yield from take(flush=True)
    turn.out = out


def split(frames: Sequence[Frame], skew_ns: int, seed: int, sides=None):
    """A tap: by who sends; the second side's stamps are late by the skew. What it does not shift is when it arrives."""
    rng, clock = random.Random(seed), Clock()
    sides = sides or (lambda frame: int(frame.data[6:12] > frame.data[:6] and not frame.data[0] & 1))
    start = frames[0].ts_ns
    sources = []
    for side in (0, 1):
        mine = [f for f in frames if sides(f) == side]
        times_s = [(f.ts_ns - start) / 1e9 for f in mine]
        mine = [f._replace(ts_ns=f.ts_ns + side * skew_ns) for f in mine]
        sources.append(Deal(f"tap{side}", side, blocks(mine, times_s, rng), clock))
    return sources, clock, (frames[-1].ts_ns - start) / 1e9 + 1


def outcome(part: Part):
    """What must not depend on how frames came."""
    operations = {op.key: op.counts.as_dict() for op in part.operations}
    return {
        "operations": operations,
        "frames": {k: v for k, v in part.frames.items() if k != "captured"},
        "bytes": part.ot_bytes,
        "protocols": part.protocols,
        "visibility": part.visibility,
        "hosts": {h[:2] for h in part.hosts},
        "facts": {f[:6] for f in part.facts},
        "connections": sorted((c.client, c.server, c.server_port or 0, c.frames, c.bytes) for c in part.connections),
    }


@cache
def expected(name: str):
    return outcome(analyze([str(CAPTURES / f"{name}.pcap")]).part)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize("skew_ns", [0, 40_000, 4_000_000, -5_000_000])
@pytest.mark.parametrize("name", ["plant", "modbus_pymodbus", "dnp3_opendnp3", "s7_download"])
def test_a_tap_is_the_link(name: str, skew_ns: int, seed: int) -> None:
    sources, clock, until_s = split(frames_of(f"{name}.pcap"), skew_ns, seed)
    intake = Intake(sources, [("tap0", "tap1")], clock)
    run = Run(seed=1)
    for batch in turn(intake, clock, until_s):
        run.feed(batch)
    run.finish()
    assert outcome(run.harvest()) == expected(name)
    assert intake.taps[0].late == 0
    times = [ts for *_, ts in turn.out]
    assert times == sorted(times)
    assert {name for name, *_ in turn.out} == {"tap0"}


def numbered(source: int, times: Sequence[int]) -> list[Frame]:
    return [Frame(ts, bytes(12) + b"\x88\xb5" + bytes([source])) for ts in sorted(times)]


@settings(max_examples=examples(100), deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 300), min_size=1, max_size=20), min_size=1, max_size=4),
    st.integers(0, 2**32),
    st.booleans(),
)
def test_it_is_a_sort(times: list[list[int]], seed: int, tapped: bool) -> None:
    """Milliseconds. What is ready at once is merged; with taps, the sides of each are sorted whatever their blocks."""
    rng, clock = random.Random(seed), Clock()
    sources = []
    for number, mine in enumerate(times):
        frames = numbered(number, [START_NS + ms * 10**6 for ms in mine])
        dealt = blocks(frames, [ms / 1000 for ms in sorted(mine)], rng, 5)
        sources.append(Deal(f"if{number}", number, dealt if tapped else [(0, f) for _, f in dealt], clock))
    taps = [(f"if{n}", f"if{n + 1}") for n in range(0, len(times) - 1, 2)] if tapped else []
    for _ in turn(Intake(sources, taps, clock), clock, 0.5):
        pass
    out = [(ts, number, frame) for _, number, frame, ts in turn.out]
    for group in [{0, 1}, {2, 3}] if tapped else [set(range(4))]:
        mine = [row for row in out if row[1] in group]
        assert mine == sorted(mine)
    everything = {(START_NS + ms * 10**6, n, k) for n, mine in enumerate(times) for k, ms in enumerate(sorted(mine), 1)}
    assert set(out) == everything
    assert len(out) == len(everything)


def test_frames_wait_no_longer_than_the_hold() -> None:
    clock = Clock()
    quiet = Deal("b", 1, [], clock)
    loud = Deal("a", 0, [(n * BLOCK_S, numbered(0, [START_NS + int(n * BLOCK_S * 1e9)])) for n in range(40)], clock)
    waited = [
        clock.now_s - batch.first_frame * BLOCK_S + BLOCK_S
        for batch in turn(Intake([loud, quiet], [("a", "b")], clock), clock, 3, 0.005)
    ]
    assert len(waited) == 40
    assert max(waited) <= HOLD_S + 2 * 0.005


def test_a_ring_that_fills_gives_up_order_and_counts_it() -> None:
    clock = Clock()
    flood = [(0.0, numbered(0, [START_NS + n * 1000])) for n in range(60)]
    slow = [(0.01, numbered(1, [START_NS + 5000]))]
    intake = Intake([Deal("a", 0, flood, clock), Deal("b", 1, slow, clock)], [("a", "b")], clock)
    assert len(list(intake.batches())) == 60 - 32
    clock.now_s = 0.02
    assert not list(intake.batches())
    clock.now_s = 0.11
    assert [b.input for _, b in intake.batches()] == [1] + [0] * 32
    assert intake.taps[0].late == 1


def test_one_connection_with_nonsense_does_not_move_the_estimate() -> None:
    frames = frames_of("plant.pcap")
    sources, clock, until_s = split(frames, 2_000_000, 1)
    intake = Intake(sources, [("tap0", "tap1")], clock)
    for _ in turn(intake, clock, until_s):
        pass
    skew = intake.taps[0].skew
    assert skew.known
    assert abs(skew.ns - 2_000_000) < 500_000
    for side in (0, 1):
        for n in range(20):
            skew._send(side, (n, side, 1), START_NS)
            skew._hear(1 - side, (n, side, 1), START_NS - MAX_SKEW_NS * (1 + n))
    skew._settle()
    assert abs(skew.ns - 2_000_000) < 500_000


def test_a_flood_on_both_sides_is_given_in_whole_blocks() -> None:
    clock = Clock()
    sides = [
        [
            (0.0, numbered(side, [START_NS + (2 * n + side) * 1000 for n in range(at, at + 10)]))
            for at in range(0, 600, 10)
        ]
        for side in (0, 1)
    ]
    sources = [Deal(name, side, sides[side], clock) for side, name in enumerate("ab")]
    intake = Intake(sources, [("a", "b")], clock)
    given = [(batch.input, len(batch.records)) for _, batch in intake.batches()]
    assert sum(n for _, n in given) >= 2 * 280
    assert max(n for _, n in given) == 10
    assert intake.taps[0].late > 0
    clock.now_s = 1.0
    given += [(batch.input, len(batch.records)) for _, batch in intake.batches()]
    assert sum(n for _, n in given) == 1200
    assert given[-1][1] == 1


def test_a_batch_of_one_frame_is_stamped_once() -> None:
    clock = Clock()
    sources = [Deal(name, side, [(0.0, numbered(side, [START_NS]))], clock) for side, name in enumerate("ab")]
    intake = Intake(sources, [("a", "b")], clock)
    intake.taps[0].skew.ns = -700
    given = [(batch.input, int(batch.records[0, 2]) - START_NS) for _, batch in intake.batches(flush=True)]
    assert given == [(0, 0), (1, 700)]
    assert intake.taps[0].late == 0
