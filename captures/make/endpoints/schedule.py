"""Do things at given seconds after a common start, in order of time; an error ends the program."""

import time
from collections.abc import Callable, Iterator

Step = tuple[float, Callable[[], object]]


def every(period_s: float, action: Callable[[], object], first_s: float, last_s: float) -> Iterator[Step]:
    when = first_s
    while when <= last_s:
        yield when, action
        when += period_s


def follow(start: float, steps: list[Step]) -> None:
    for when, action in sorted(steps, key=lambda step: step[0]):
        time.sleep(max(0.0, start + when - time.time()))
        action()
