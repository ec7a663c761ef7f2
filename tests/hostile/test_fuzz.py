"""Frames of real captures, mutated: no exception, nothing internal, sums hold, what comes later is judged."""

import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.engine.scenes import policies
from tests.engine.world import START_NS, Frame, same, see
from tests.hostile.witness import survive
from tests.protocols.segments import packets

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("OTMON_SHARED", ROOT.parent / "shared" / "captures"))
OWN = sorted((ROOT / "captures").glob("*.pcap"))
OTHERS = sorted(
    path for pattern in ("*.pcap", "*.pcapng") for path in SHARED.rglob(pattern) if path.stat().st_size < 200_000
)
MOST = 400
"""Frames taken of one capture."""
RELAXED = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)


@cache
def ethernet(path: Path) -> list[bytes]:
    """Ethernet frames of a capture."""
    data = path.read_bytes()
    found = []
    for link, frame in packets(data):
        if link == 1:
            found.append(frame)
        if len(found) >= MOST:
            break
    return found


MUTATION = st.tuples(
    st.sampled_from(["flip", "byte", "cut", "drop", "twice", "swap", "splice", "insert", "snap", "length"]),
    st.integers(0, 10_000),
    st.integers(0, 2_000),
    st.integers(0, 255),
)
ODD = (0, 1, 2, 3, 4, 5, 0x7F, 0x80, 0xFE, 0xFF)


def mutated(frames: list[bytes], mutations: list[tuple[str, int, int, int]]) -> list[Frame]:
    """`frames` after each (what, which frame, where in it, with what)."""
    data, cuts = [bytearray(f) for f in frames], {}
    for what, which, where, value in mutations:
        i = which % len(data)
        frame = data[i]
        at = where % max(1, len(frame))
        if what == "flip" and frame:
            frame[at] ^= 1 << value % 8
        elif what == "byte" and frame:
            frame[at] = ODD[value % len(ODD)]
        elif what == "length" and len(frame) > at + 1:
            frame[at], frame[at + 1] = (0xFF, 0xFF) if value & 1 else (0, value)
        elif what == "cut":
            del frame[at:]
        elif what == "insert":
            frame[at:at] = bytes([value]) * (1 + value % 40)
        elif what == "splice":
            other = data[(which // 7) % len(data)]
            data[i] = frame[:at] + other[value % max(1, len(other)) :]
        elif what == "snap":
            cuts[i] = at
        elif what == "twice":
            data.insert(i, bytearray(frame))
        elif what == "swap" and i:
            data[i - 1], data[i] = data[i], data[i - 1]
        elif what == "drop" and len(data) > 1:
            del data[i]
    return [Frame(START_NS + n * 1_000_000, bytes(f), cuts.get(n)) for n, f in enumerate(data)]


@st.composite
def windows(draw: Any, paths: list[Path]) -> list[Frame]:
    """Some frames in a row of one capture (or of two, one after the other), mutated."""
    frames: list[bytes] = []
    for _ in range(draw(st.integers(1, 2))):
        whole = ethernet(draw(st.sampled_from(paths)))
        at = draw(st.integers(0, max(0, len(whole) - 1)))
        frames += whole[at : at + draw(st.integers(1, 40))]
    return mutated(frames or [b""], draw(st.lists(MUTATION, min_size=1, max_size=12)))


RULES = st.sampled_from(["none", "permitted", "refused"])


@settings(RELAXED, max_examples=150)
@given(windows(OWN))
def test_own_captures(frames: list[Frame]) -> None:
    survive(frames)


@pytest.mark.skipif(not OTHERS, reason=f"no captures in {SHARED}")
@settings(RELAXED, max_examples=150)
@given(windows(OTHERS or OWN))
def test_captures_by_others(frames: list[Frame]) -> None:
    survive(frames)


@settings(RELAXED, max_examples=50)
@given(windows(OWN + OTHERS), RULES)
def test_mutated_captures_are_metamorphic_too(frames: list[Frame], rules: str) -> None:
    policy = policies()[rules]
    usual = see(frames, policy, seed=1)
    same(usual, see(frames, policy, seed=1, force_slow=True), "all through the slow path")
    same(usual, see(frames, policy, seed=2, batch_frames=3), "three frames a batch, another seed")


@pytest.mark.parametrize("path", OWN + OTHERS, ids=lambda path: path.stem)
def test_every_frame_alone(path: Path) -> None:
    """Without what came before it, each frame is still accounted for."""
    whole = ethernet(path)
    for frame in whole[:: max(1, len(whole) // 8)]:
        see([frame], policies()["refused"])


@pytest.mark.long
@settings(RELAXED, max_examples=4000, derandomize=False)
@given(windows(OWN + OTHERS), RULES)
def test_many(frames: list[Frame], rules: str) -> None:
    policy = policies()[rules]
    same(see(frames, policy, seed=1), see(frames, policy, seed=2, force_slow=True, batch_frames=5), "slow")
