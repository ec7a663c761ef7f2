"""Frames of real captures, mutated: no exception, nothing internal, sums hold, what comes later is judged."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.effort import examples
from tests.engine.scenes import policies
from tests.engine.world import Frame, same, see
from tests.fuzz.mutate import KINDS, OTHERS, OWN, SHARED, ethernet, mutated
from tests.hostile.witness import survive

RELAXED = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)


MUTATION = st.tuples(
    st.sampled_from(KINDS),
    st.integers(0, 10_000),
    st.integers(0, 2_000),
    st.integers(0, 255),
)


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


@settings(RELAXED, max_examples=examples(150))
@given(windows(OWN))
def test_own_captures(frames: list[Frame]) -> None:
    survive(frames)


@pytest.mark.skipif(not OTHERS, reason=f"no captures in {SHARED}")
@settings(RELAXED, max_examples=examples(150))
@given(windows(OTHERS or OWN))
def test_captures_by_others(frames: list[Frame]) -> None:
    survive(frames)


@settings(RELAXED, max_examples=examples(50))
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
