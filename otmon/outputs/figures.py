"""What a running sensor can say of itself at one moment: the sensor fills it, metrics and the view show it."""

from dataclasses import dataclass, field
from typing import NamedTuple


class Interface(NamedTuple):
    """One interface; counters since the start."""

    name: str
    state: str
    """up, down or gone."""
    received: int
    dropped: int
    freezes: int
    interface_drops: int
    frames: int
    bytes: int


class Delivery(NamedTuple):
    """One sink; counters since its ledger was begun."""

    sink: str
    state: str
    """well, away (it is tried again), stopped (somebody must mend something), ended (nobody delivers)."""
    delivered: int
    dead: int
    """Records it will never take."""
    waiting: int
    behind_s: float | None
    """Age of the oldest record that waits; None: none does."""


class Spooled(NamedTuple):
    """What a stream of the spool holds; `shed` since the database was begun."""

    stream: str
    records: int
    bytes: int
    shed: int


@dataclass(slots=True)
class Figures:
    """Counters are since the start of the process; what lies in the database is as of the last checkpoint."""

    monotonic_s: float
    """For rates."""
    interfaces: list[Interface] = field(default_factory=list)
    frames: dict[str, int] = field(default_factory=dict)
    """By bucket."""
    ot_bytes: dict[str, int] = field(default_factory=dict)
    """By bucket, but those that wait for the rest of their PDU."""
    ot_bytes_pending: int = 0
    pdus: dict[str, int] = field(default_factory=dict)
    """By protocol."""
    visibility: dict[str, int] = field(default_factory=dict)
    """missing_bytes, gaps, one_sided, copies; until the last checkpoint."""
    shed: int = 0
    stored: dict[str, int] = field(default_factory=dict)
    """Rows in the database: operations, connections, hosts, alerts."""
    assets: int = 0
    episodes: int = 0
    """Going on."""
    alerts: dict[str, int] = field(default_factory=dict)
    """New ones by severity."""
    checkpoints: int = 0
    bytes_written: int = 0
    checkpoint_age_s: float = 0.0
    database_bytes: int = 0
    synchronised: bool | None = None
    clock_offset_ns: int | None = None
    clock_steps: int = 0
    policy: bool = False
    """A policy is in force."""
    delivery: list[Delivery] = field(default_factory=list)
    spool: list[Spooled] = field(default_factory=list)
