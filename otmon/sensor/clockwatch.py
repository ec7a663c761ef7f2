"""What the machine's clock is worth, from one health record to the next."""

import logging
from collections.abc import Callable
from typing import Any

from otmon.capture.system_clock import ClockState, ClockSteps, clock_state
from otmon.sensor.logs import say


class ClockWatch:
    """Looks once a second; the kernel and the steps are injected in tests."""

    def __init__(self, state: Callable[[], ClockState] = clock_state, steps: ClockSteps | None = None) -> None:
        self._ask, self._steps = state, steps or ClockSteps()
        self.state = state()
        self._told = 0

    @property
    def steps(self) -> int:
        """Times it was set since the start."""
        return self._steps.count

    @property
    def unsure(self) -> bool:
        """The kernel says that nobody synchronises it."""
        return self.state.synchronised is False

    def look(self) -> None:
        """Notice what changed, and say it."""
        step, before, self.state = self._steps.look(), self.state, self._ask()
        if step is not None:
            by_s = step.by_ns / 1e9
            say(logging.WARNING, "clock_stepped", f"the machine's clock was set by {by_s:+.3f} s", by_s=by_s)
        if self.state.synchronised != before.synchronised:
            words = {True: "is synchronised", False: "is not synchronised any more", None: "cannot be asked any more"}
            level = logging.INFO if self.state.synchronised else logging.WARNING
            say(level, "clock_state", f"the machine's clock {words[self.state.synchronised]}")

    def record(self) -> dict[str, Any]:
        """For a health record: the state now, and the steps since the last one."""
        told, self._told = self._told, self._steps.count
        return {**self.state._asdict(), "steps": self._steps.count - told}
