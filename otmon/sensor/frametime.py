"""The time by frames, between frames too."""

import time
from collections.abc import Callable


class FrameTime:
    """That of the last frame plus what has passed since then on a clock that nobody sets (time.monotonic)."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._last_ts_ns, self._seen_s = 0, monotonic()

    def see(self, last_ts_ns: int) -> None:
        """The time of the last frame by now."""
        if last_ts_ns != self._last_ts_ns:
            self._last_ts_ns, self._seen_s = last_ts_ns, self._monotonic()

    def now_ns(self) -> int:
        """The time now; that of the machine before the first frame."""
        if not self._last_ts_ns:
            return time.time_ns()
        return self._last_ts_ns + int((self._monotonic() - self._seen_s) * 1e9)
