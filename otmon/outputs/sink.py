"""What leaves otmon, and what a sink answers: the contract between the spool and every sink."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol, runtime_checkable

from otmon.store.spool import STREAMS

__all__ = [
    "DONE",
    "STREAMS",
    "Answer",
    "Outgoing",
    "Placed",
    "Reached",
    "Refused",
    "Sink",
    "SinkError",
    "TooLarge",
    "Unreachable",
]


class Outgoing(NamedTuple):
    """One record on its way out."""

    stream: str
    """One of STREAMS."""
    sequence: int
    """Counts the records of this stream of this sensor from 1: a gap at the other end is a loss."""
    id: str
    """The same for the same record of the same site and sensor, however often it is made. Safe text, 512 bytes."""
    ts_ns: int
    """Time of the frame that the record is of; of the machine for `audit` and `sensor`."""
    site: str
    sensor: str
    """The name of the sensor, or of the machine that analysed a capture."""
    record: dict[str, Any]
    """As in docs/records: alert (with `revision`, which grows with each change), asset, operation, health."""


class Answer(NamedTuple):
    """What became of one record."""

    kind: Literal["done", "again", "dead"]
    """done: it is there (or was). again: not now, send it later. dead: this record will never be taken."""
    reason: str = ""


DONE: Final = Answer("done")


class Reached(NamedTuple):
    """The other end, when it was only spoken to."""

    found: str
    date: str = ""
    """Its clock, as HTTP writes it; empty: not told."""
    until: str = ""
    """Until when its certificate is good, as OpenSSL writes it; empty: not told."""


class SinkError(Exception):
    """Nothing of a batch was answered; str() is one line for people, without secrets."""


class Unreachable(SinkError):
    """The other end is not there or has no room now; what was sent may have arrived."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Refused(SinkError):
    """The other end will not have us (credentials, rights, certificate, wrong server): somebody must mend it."""

    def __init__(self, message: str, mended: Callable[[], bool] | None = None) -> None:
        """`mended`: whether something changed that may be what was wrong; cheap, asked several times a second."""
        super().__init__(message)
        self.mended = mended


class TooLarge(SinkError):
    """The batch is more than the other end takes at once; a part of it may have been taken all the same."""


class Sink(Protocol):
    """Where records go. For one thread; otmon.delivery keeps what was delivered and tries again."""

    @property
    def name(self) -> str:
        """What this sink is called in the ledger, metrics and messages."""

    @property
    def streams(self) -> frozenset[str]:
        """The streams it takes."""

    def rehearse(self) -> None:
        """Load all that delivering needs, while every file can still be read: later rights are given up."""

    def deliver(self, batch: Sequence[Outgoing], repeated: bool) -> Sequence[Answer]:
        """Send records of one stream; an answer for each. Raises SinkError when there is none.

        `repeated`: some of them may have arrived already, their answer was lost.
        """

    def reach(self) -> Reached:
        """Connect, and send no record. Raises SinkError."""

    def close(self) -> None:
        """Let go of connections."""


@runtime_checkable
class Placed(Protocol):
    """A sink of which it matters where records went before: half of them elsewhere are found by nobody."""

    @property
    def place(self) -> str:
        """Where records go."""

    def settle(self, place: str) -> None:
        """Records went there before; so they do again, unless another place was said."""
