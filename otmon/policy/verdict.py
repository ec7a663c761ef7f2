"""What a policy says of one operation."""

from functools import lru_cache
from typing import Final, Literal, NamedTuple

AlertKind = Literal["segmentation", "command", "value", "asset", "protocol", "visibility"]
Severity = Literal["info", "low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "low", "medium", "high", "critical")
SEVERITY: Final[dict[tuple[AlertKind, str], Severity]] = {
    ("segmentation", "read"): "medium",
    ("segmentation", "identify"): "medium",
    ("segmentation", "diagnose"): "medium",
    ("segmentation", "connect"): "medium",
    ("segmentation", "write"): "high",
    ("segmentation", "control"): "critical",
    ("segmentation", "program"): "critical",
    ("command", "read"): "medium",
    ("command", "identify"): "low",
    ("command", "diagnose"): "medium",
    ("command", "connect"): "medium",
    ("command", "write"): "high",
    ("command", "control"): "critical",
    ("command", "program"): "critical",
    ("value", "write"): "high",
    ("value", "control"): "high",
}
"""By kind of violation and access class; what a `never` row denies is critical."""


class Verdict(NamedTuple):
    """Permit or deny, by which row, and if denied, how near the nearest row came."""

    permit: bool
    row: str | None = None
    """Id of the row that permits; or of the `never` row that denies; None: denied by default."""
    kind: AlertKind | None = None
    """segmentation: no conduit joins the two for this protocol; command: one does, but not for this; value.

    None: permitted.
    """
    severity: Severity = "info"
    nearest: str | None = None
    """Id of the row that comes closest."""
    separation: str | None = None
    """What separates the operation from that row: 'Row scada-polls-plcs allows holding registers 40001-40200 there.'"""
    bounds: tuple[int, int] | None = None
    """Permitted only while every written value lies within (inclusive)."""
    inspect: bool = False
    """Values decide, but not as one pair of bounds: each message must go through `judge_values`."""
    review: str | None = None
    """Why a person must look at it: the reason in the policy's `review` list."""
    because: str | None = None
    """The `because` of a never row."""

    @property
    def word(self) -> str:
        """As operations.jsonl has it."""
        return "permit" if self.permit else "deny"


@lru_cache(maxsize=4096)
def granted(row: str, bounds: tuple[int, int] | None = None, inspect: bool = False) -> Verdict:
    """What a row permits: nearly every verdict is one of a few."""
    return Verdict(True, row, bounds=bounds, inspect=inspect)
