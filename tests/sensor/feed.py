"""A sensor over frames of a capture, with a clock that the test turns."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from otmon.capture.inputs import open_inputs
from otmon.capture.system_clock import ClockState, ClockSteps
from otmon.policy.load import load_bytes
from otmon.sensor.clockwatch import ClockWatch
from otmon.sensor.watch import Sensor
from otmon.store.sensor import SiteStore
from tests.engine.world import Frame
from tests.sensor.deal import Clock, Deal

ROOT = Path(__file__).parents[2]
SYNCHRONISED = ClockState(True, -5_000, 21_000, "test")
ADRIFT = ClockState(False, 0, 16_000_000_000, "test")


def frames_of(name: str) -> list[Frame]:
    found = []
    for batch in open_inputs([str(ROOT / "captures" / name)]):
        found += [Frame(ts, batch.data[a : a + (n >> 32)].tobytes()) for a, n, ts, _ in batch.records.tolist()]
    return found


class Fed(Deal):
    """As an interface that `watch` has: it counts bytes, too."""

    @property
    def info(self) -> Any:
        return replace(super().info, bytes=100 * self.frames)


@contextmanager
def sensor_of(
    folder: Path,
    frames: Sequence[Frame],
    policy: str | None = None,
    state: Callable[[], ClockState] = lambda: SYNCHRONISED,
    steps: ClockSteps | None = None,
    **options: Any,
) -> Iterator[tuple[Sensor, Clock]]:
    """Frames come in two batches, at 0 s and at 30 s."""
    clock, half = Clock(), len(frames) // 2
    source = Fed("span0", 0, [(0.0, list(frames[:half])), (30.0, list(frames[half:]))], clock)
    judged = load_bytes(policy.encode(), "p") if policy is not None else None
    watch = ClockWatch(state, steps)
    with SiteStore(folder / "site.db", judged.site if judged else "default") as store:
        yield Sensor([source], store, judged, monotonic=clock, clock=watch, seed=1, **options), clock


def turn(sensor: Sensor, clock: Clock, until_s: float) -> None:
    """A step each second."""
    while clock.now_s < until_s:
        sensor.step(0)
        clock.now_s += 1.0
