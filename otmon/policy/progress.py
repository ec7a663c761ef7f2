"""How much learning has seen of what there is: estimates for each conduit, and what to wait for.

Good-Turing: of all messages, the share whose operation was never seen before is about the share of operations seen
once (I. J. Good, Biometrika 40, 1953). Chao1, in its bias-corrected form, says how many operations there are at least
(A. Chao, Encyclopedia of Statistical Sciences, 2005). Both take messages for independent draws, which polls are not:
what has come at a fixed time each day is not foreseen by either. So learning has not ended before a day was watched and
nothing new came for half of all the time. Time between two captures, or while a sensor stood still, is none of it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from otmon.model import OperationKey, OperationRecord
from otmon.policy.intervals import Intervals, both
from otmon.policy.learn_file import row_places
from otmon.policy.propose import Place
from otmon.policy.refuse import scanners

ENOUGH_MASS: Final = 0.001
"""One message in a thousand may be of an operation that is not in the policy."""
ENOUGH_NS: Final = 24 * 3600 * 10**9
ENOUGH_QUIET: Final = 0.5
"""Share of the time in which nothing new may have come."""


class Estimate(NamedTuple):
    """What is not seen yet, judged by what was seen how often."""

    operations: int
    times: int
    unseen_mass: float
    """Share of messages whose operation was not seen: 0 to 1."""
    unseen: float
    """Operations not seen, at least."""


def estimate(times: Iterable[int]) -> Estimate:
    """From how often each operation was seen."""
    counts = [n for n in times if n > 0]
    total, once, twice = sum(counts), counts.count(1), counts.count(2)
    mass = once / total if total else 1.0
    return Estimate(len(counts), total, mass, once * (once - 1) / (2 * (twice + 1)))


class Progress(NamedTuple):
    """How far learning has come with one conduit."""

    conduit: str
    estimate: Estimate
    observed_s: float
    """Time that was watched, of the whole input."""
    quiet: float
    """Share of that time, at its end, in which no new operation of the conduit came."""

    @property
    def complete(self) -> bool:
        """Complete enough."""
        seen = self.observed_s * 1e9 >= ENOUGH_NS and self.quiet >= ENOUGH_QUIET
        return seen and self.estimate.unseen_mass <= ENOUGH_MASS

    def as_record(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "complete": self.complete,
            "conduit": self.conduit,
            "observed_s": round(self.observed_s, 3),
            "operations": self.estimate.operations,
            "quiet": round(self.quiet, 4),
            "times": self.estimate.times,
            "unseen_mass": round(self.estimate.unseen_mass, 6),
            "unseen_operations": round(self.estimate.unseen, 1),
        }


def progress(
    data: Mapping[str, Any], rows: Mapping[str, Sequence[OperationRecord]], watched: Intervals
) -> list[Progress]:
    """Of each conduit of a policy (as plain data) of which something was seen, by its rows' operations.

    `watched`: when somebody watched, as ranges of ns.
    """
    places, conduits = row_places(data), dict[str, dict[OperationKey, OperationRecord]]()
    for row, found in rows.items():
        at = places[row]
        if at[0] == "conduits":
            name = data["conduits"][at[1]]["id"]
            conduits.setdefault(name, {}).update((record.key, record) for record in found)
    whole = _length(watched)
    return [
        Progress(
            name,
            estimate(record.counts.attempted for record in known.values()),
            whole / 1e9,
            _since(watched, max(record.first_ts_ns for record in known.values())) / max(whole, 1),
        )
        for name, known in conduits.items()
    ]


def _length(watched: Intervals) -> int:
    return sum(last - first for first, last in watched)


def _since(watched: Intervals, ts_ns: int) -> int:
    """How much of that time came after a moment."""
    return _length(both(watched, ((ts_ns, 2**63 - 1),)))


def is_complete(found: Sequence[Progress]) -> bool:
    """Learning may end: every conduit is complete enough."""
    return bool(found) and all(conduit.complete for conduit in found)


# --- what to wait for ------------------------------------------------------------------------------------------------
class _Awaited(NamedTuple):
    role: str
    title: str
    what: str
    protocol: str | None
    is_it: Callable[[OperationKey], bool]


def _sets(key: OperationKey) -> bool:
    return key.access in ("write", "control")


_AWAITED: Final = (
    _Awaited("engineering", "engineering station", "upload", None, lambda key: "upload" in key.function),
    _Awaited("engineering", "engineering station", "download", None, lambda key: "download" in key.function),
    _Awaited("hmi", "operator panel", "write", None, _sets),
    _Awaited("scada", "control centre", "write or control", None, _sets),
    _Awaited(
        *("scada", "DNP3 master", "integrity poll (class 0)", "dnp3"),
        lambda key: key.function == "read" and key.target is not None and key.target.name == "class 0",
    ),
)
"""What hosts of a role do sooner or later."""


def todo(records: Sequence[OperationRecord], roles: Mapping[Place, set[str]], watched: Intervals) -> list[str]:
    """What was not seen yet and will come, one line each; `watched`: when somebody watched, as ranges of ns.

    What a host that was scanning does is not waited for, whatever it looks like.
    """
    if not records:
        return ["nothing was seen yet"]
    out, whole = [], _length(watched)
    if whole < ENOUGH_NS:
        hours = whole / 3.6e12
        span = f"{hours:.1f} hours" if hours >= 1 else f"{hours * 60:.1f} minutes"
        out.append(f"{span} seen, no whole day yet: shifts and nightly jobs are not in it")
    elif whole < 7 * ENOUGH_NS:
        out.append(f"{whole / ENOUGH_NS:.1f} days seen, no whole week yet: weekends may differ")
    asks: dict[Place, list[OperationKey]] = {}
    for record in records:
        asks.setdefault((record.key.realm, record.key.client), []).append(record.key)
    scanning = scanners(records)
    for host, found in sorted(roles.items()):
        if host in scanning:
            continue
        for role, title, what, protocol, is_it in _AWAITED:
            mine = [key for key in asks.get(host, ()) if protocol in (None, key.protocol)]
            if role in found and mine and not any(map(is_it, mine)):
                out.append(f"{title} {host[1]} seen, no {what} seen yet")
    return out
