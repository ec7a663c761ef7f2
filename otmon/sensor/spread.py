"""One interface that several rings share: looked after here, read elsewhere (otmon.sensor.crew)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from otmon.capture.batch import Backlog, Batch
from otmon.sensor.source import Source

if TYPE_CHECKING:
    from otmon.capture.reader import InputInfo


class Shared(Source, Protocol):
    """A source that another, forked process reads; what it says of itself is true in both."""

    @property
    def warning(self) -> str | None:
        """One line for people if nothing can arrive now."""

    def take_over(self) -> None:
        """That process died: whatever it was reading is given back unread, and counted as read."""


class Counters(NamedTuple):
    """As otmon.sensor.source.Statistics."""

    received: int
    dropped: int
    freezes: int


class Spread:
    """The rings of one interface as one source. Frames that were lost with a process count as dropped."""

    def __init__(self, rings: Sequence[Shared]) -> None:
        self.rings = rings
        self.interface = rings[0].interface
        self.lost = 0
        """Frames read by processes that died before they told of them."""

    def fileno(self) -> int:
        """Nobody waits here."""
        return -1

    def batches(self) -> Iterator[Batch]:
        """Nothing is read here."""
        return iter(())

    def backlog(self) -> Backlog:
        """How much waits to be read, in the fullest ring."""
        return max((ring.backlog() for ring in self.rings), key=lambda backlog: backlog.share)

    def statistics(self) -> Counters:
        """Counters so far."""
        found = [ring.statistics() for ring in self.rings]
        return Counters(
            sum(one.received for one in found) - self.lost,
            sum(one.dropped for one in found) + self.lost,
            sum(one.freezes for one in found),
        )

    @property
    def interface_drops(self) -> int:
        """Frames the network card or its driver lost: every ring sees the same counter."""
        return self.rings[0].interface_drops

    def state(self) -> str:
        """up, down, or gone as soon as one ring does not listen."""
        states = {ring.state() for ring in self.rings}
        return next(state for state in ("gone", "down", "up") if state in states)

    def resume(self) -> bool:
        """Try to listen again after the interface was gone."""
        back = [ring.resume() for ring in self.rings]
        return all(back)

    @property
    def warning(self) -> str | None:
        """One line for people if nothing can arrive now."""
        return self.rings[0].warning

    @property
    def info(self) -> "InputInfo":
        """What was read so far."""
        found = [ring.info for ring in self.rings]
        return replace(
            found[0],
            frames=sum(one.frames for one in found) - self.lost,
            bytes=sum(one.bytes for one in found),
            truncated=sum(one.truncated for one in found),
            first_ts_ns=min((one.first_ts_ns for one in found if one.first_ts_ns), default=None),
            last_ts_ns=max((one.last_ts_ns for one in found if one.last_ts_ns), default=None),
            clock_jumps=sum(one.clock_jumps for one in found),
        )

    def close(self) -> None:
        """Let go."""
        for ring in self.rings:
            ring.close()
