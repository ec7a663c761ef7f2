"""The machine's clock, with clocks of our own: the real one is read, never set."""

import time
import uuid

import pytest

from otmon.capture import system_clock
from otmon.capture.system_clock import ClockSteps, Step, boot_id, clock_state
from otmon.limits import MAX_CLOCK_STEPS

S = 1_000_000_000
DAY = 86_400 * S


class Clocks:
    """A wall clock and a steady one; reading takes `cost_ns`, once `stall_ns` more."""

    def __init__(self) -> None:
        self.steady = 7 * S
        self.wall = 1_700_000_000 * S
        self.stall_ns = 0

    def read_wall(self) -> int:
        wall = self.wall
        self.run(self.stall_ns)
        self.stall_ns = 0
        return wall

    def read_steady(self) -> int:
        self.run(100)
        return self.steady

    def run(self, ns: int) -> None:
        self.steady += ns
        self.wall += ns

    def watch(self) -> ClockSteps:
        return ClockSteps(self.read_wall, self.read_steady)


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


def test_time_alone_is_no_step(clocks: Clocks) -> None:
    steps = clocks.watch()
    for _ in range(100):
        clocks.run(3_600 * S)
        assert steps.look() is None
    assert steps.count == 0


@pytest.mark.parametrize("by", [-DAY, 365 * DAY, S // 2, -S // 2 - 1000, S])
def test_a_step_is_told_once_with_its_size(clocks: Clocks, by: int) -> None:
    steps = clocks.watch()
    clocks.wall += by
    step = steps.look()
    assert isinstance(step, Step)
    assert abs(step.by_ns - by) < 1000
    assert step.ts_ns == pytest.approx(clocks.wall, abs=1000)
    assert steps.look() is None
    assert (steps.count, list(steps.last)) == (1, [step])


def test_small_steps_add_up(clocks: Clocks) -> None:
    steps = clocks.watch()
    found = []
    for _ in range(10):
        clocks.wall += S // 5
        found.append(steps.look())
    assert [step is not None for step in found] == [False, False, True] * 3 + [False]


def test_a_process_set_aside_between_two_readings_sees_no_step(clocks: Clocks) -> None:
    steps = clocks.watch()
    clocks.stall_ns = 60 * S
    assert steps.look() is None


def test_the_list_is_capped_and_the_count_is_not(clocks: Clocks) -> None:
    steps = clocks.watch()
    for _ in range(MAX_CLOCK_STEPS * 3):
        clocks.wall += S
        steps.look()
    assert (steps.count, len(steps.last)) == (MAX_CLOCK_STEPS * 3, MAX_CLOCK_STEPS)


def test_the_real_clocks_do_not_step() -> None:
    steps = ClockSteps()
    time.sleep(0.01)
    assert steps.look() is None


def test_the_kernel_is_asked() -> None:
    state = clock_state()
    assert state.source == "adjtimex"
    assert isinstance(state.synchronised, bool)
    assert state.max_error_ns is not None
    assert state.max_error_ns >= 0


@pytest.mark.parametrize(
    ("status", "result", "synchronised", "offset_ns"),
    [(0, 0, True, 5_000), (0x2000, 0, True, 5), (0x40, 5, False, 5_000), (0, 5, False, 5_000)],
)
def test_what_the_kernel_says(
    monkeypatch: pytest.MonkeyPatch, status: int, result: int, synchronised: bool, offset_ns: int
) -> None:
    def adjtimex(pointer: object) -> int:
        timex = pointer._obj  # type: ignore[attr-defined]  # what ctypes.byref points to has no public name
        assert timex.modes == 0
        timex.status, timex.offset, timex.maxerror = status, 5, 16
        return result

    monkeypatch.setattr(system_clock, "adjtimex", adjtimex)
    assert clock_state() == (synchronised, offset_ns, 16_000, "adjtimex")


def test_a_kernel_that_does_not_say_is_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(system_clock, "adjtimex", refuse)
    assert clock_state() == (None, None, None, "adjtimex: Operation not permitted")


def test_this_run_of_the_kernel_has_a_name() -> None:
    name = boot_id()
    assert name is None or uuid.UUID(name)
