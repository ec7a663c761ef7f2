"""The machine's clock, looked at and never set: whether it is synchronised, how far off it may be, when it was stepped.

Frames carry this clock's time, so what it was worth goes into the health records.
"""

import ctypes
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from otmon.capture.kernel import adjtimex
from otmon.limits import MAX_CLOCK_STEPS

_STA_UNSYNC, _STA_NANO = 0x40, 0x2000
_TIME_ERROR: Final = 5
STEP_NS: Final = 500_000_000
"""A larger change of the wall clock against the steady one is a step; NTP slews what is smaller than 128 ms."""
_TRIES: Final = 5
_QUICK_NS: Final = 1_000_000


class _Timex(ctypes.Structure):
    """struct timex (adjtimex(2)) as far as it is read, and room for the rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


class ClockState(NamedTuple):
    """What the kernel knows of its clock; None where it could not be asked.

    `max_error_ns` grows by 500 µs a second while nobody disciplines the clock, up to 16 s.
    """

    synchronised: bool | None
    offset_ns: int | None
    max_error_ns: int | None
    source: str


class Step(NamedTuple):
    """The wall clock was set: when (steady clock, and the new wall clock), and by how much (negative: back)."""

    steady_ns: int
    ts_ns: int
    by_ns: int


def clock_state() -> ClockState:
    """Ask the kernel (adjtimex with modes 0 changes nothing and needs no privilege).

    It knows what NTP, PTP or chrony tell it; chrony does so only with `rtcsync` in its configuration.
    """
    timex = _Timex()
    try:
        result = adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError) as error:
        return ClockState(None, None, None, f"adjtimex: {getattr(error, 'strerror', None) or error}")
    synchronised = not timex.status & _STA_UNSYNC and result != _TIME_ERROR
    unit = 1 if timex.status & _STA_NANO else 1_000
    return ClockState(synchronised, timex.offset * unit, timex.maxerror * 1_000, "adjtimex")


def boot_id() -> str | None:
    """A name for this run of the kernel (random(4)): steady clocks compare only within one. None if unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


def _steady_ns() -> int:
    # Counts on while the machine sleeps, as the wall clock does: waking is no step.
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class ClockSteps:
    """Notices when the wall clock is set: it moves against the steady one. NTP's slewing moves both alike.

    `look` is called every second or so. `last` keeps the newest steps (MAX_CLOCK_STEPS), `count` counts all.
    """

    def __init__(self, wall_ns: Callable[[], int] = time.time_ns, steady_ns: Callable[[], int] = _steady_ns) -> None:
        self._wall_ns = wall_ns
        self._steady_ns = steady_ns
        self.count = 0
        self.last: deque[Step] = deque(maxlen=MAX_CLOCK_STEPS)
        self._offset_ns = self._read()[2]

    def _read(self) -> tuple[int, int, int]:
        """(steady, wall, wall - steady), read close together: being set aside in between would look like a step."""
        best: tuple[int, int, int, int] | None = None
        for _ in range(_TRIES):
            before, wall, after = self._steady_ns(), self._wall_ns(), self._steady_ns()
            if best is None or after - before < best[0]:
                best = after - before, after, wall, wall - (before + after) // 2
            if after - before < _QUICK_NS:
                break
        assert best is not None
        return best[1:]

    def look(self) -> Step | None:
        """The step since the last look, if there was one. Small ones add up until they are one."""
        steady, wall, offset = self._read()
        by_ns = offset - self._offset_ns
        if abs(by_ns) < STEP_NS:
            return None
        self._offset_ns = offset
        self.count += 1
        step = Step(steady, wall, by_ns)
        self.last.append(step)
        return step
