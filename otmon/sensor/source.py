"""What the sensor asks of where frames come from: a ring, the portable sniffer, or a file replayed in tests."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from otmon.capture.batch import Backlog, Batch
    from otmon.capture.reader import InputInfo


class Statistics(Protocol):
    """Frames over the life of a source: received + dropped is all that came."""

    @property
    def received(self) -> int:
        """Given, or waiting to be given."""

    @property
    def dropped(self) -> int:
        """Lost because nobody read in time."""

    @property
    def freezes(self) -> int:
        """Times the ring was full."""


class Source(Protocol):
    """One interface."""

    interface: str

    def fileno(self) -> int:
        """To wait on; -1: there is nothing to wait on, ask again soon."""

    def batches(self) -> "Iterator[Batch]":
        """What is ready now."""

    def backlog(self) -> "Backlog":
        """How much waits to be read."""

    def statistics(self) -> Statistics:
        """Counters so far."""

    @property
    def interface_drops(self) -> int:
        """Frames the network card or its driver lost."""

    def state(self) -> str:
        """up, down or gone."""

    def resume(self) -> bool:
        """Try to listen again after the interface was gone."""

    @property
    def info(self) -> "InputInfo":
        """What was read so far."""

    def close(self) -> None:
        """Let go."""


class Reading(NamedTuple):
    """The counters of one source at one moment."""

    interface: str
    state: str
    received: int
    dropped: int
    freezes: int
    interface_drops: int
    frames: int
    """Read and processed."""


def read(source: Source) -> Reading:
    """A source's counters now."""
    counters = source.statistics()
    return Reading(
        source.interface,
        source.state(),
        counters.received,
        counters.dropped,
        counters.freezes,
        source.interface_drops,
        source.info.frames,
    )
