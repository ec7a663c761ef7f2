"""How closely a policy holds what was seen: by rows that limit targets, functions, or only hosts, or by none."""

from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple

from otmon.model import OperationKey
from otmon.policy.judge import Policy
from otmon.policy.replay import Groups, Outcome, Replay
from otmon.policy.rows import Row

Level = Literal["address", "function", "host", "none", "free"]
LEVELS: Final[tuple[Level, ...]] = ("address", "function", "host", "none", "free")
"""address: permitted by a row that limits targets; function: that limits functions, access or ports; host: that limits
hosts and protocol alone; none: denied; free: in no need of a row (not monitored, chatter)."""
SCORED: Final = LEVELS[:4]


class Share(NamedTuple):
    """Operations of one level, and how often they were seen."""

    operations: int = 0
    times: int = 0


Shares = dict[Level, Share]
Zones = tuple[str, str]


def level(op: OperationKey, outcome: Outcome) -> Level:
    """How closely an operation is held."""
    if not outcome.permit:
        return "none"
    row = outcome.row
    if row is None:
        return "free"
    # What a row brings with it is limited by what brings it, never by its targets.
    own = row.protocol == op.protocol and op.function not in row.implied
    if own and row.targets is not None:
        return "address"
    return "function" if not own or _limits_functions(row) else "host"


def _limits_functions(row: Row) -> bool:
    return row.functions is not None or row.accesses is not None or row.ports is not None


def coverage(policy: Policy, groups: Groups) -> dict[Zones, Shares]:
    """By zones of client and server; windows and values as in `otmon policy replay`."""
    out: dict[Zones, Shares] = {}
    replay = Replay(policy)
    for op, seen in groups:
        pair = policy.zone_of(op.realm, op.client), policy.zone_of(op.realm, op.server)
        shares = out.setdefault(pair, {})
        for item, outcome in zip(seen, replay.outcomes(op, seen), strict=True):
            at = level(op, outcome)
            known = shares.get(at, Share())
            shares[at] = Share(known.operations + 1, known.times + item.times)
    return out


def total(found: dict[Zones, Shares]) -> Shares:
    """Of all zones together."""
    return {
        at: Share(*map(sum, zip(*(shares.get(at, Share()) for shares in found.values()), strict=True)))
        for at in LEVELS
        if found
    }


def records(found: dict[Zones, Shares]) -> Iterator[dict[str, Any]]:
    """For JSON: the whole (zones null), then each pair of zones. Shares are of what needs a row; null: nothing does."""
    for (client, server), shares in ((None, None), total(found)), *sorted(found.items()):
        out: dict[str, Any] = {"from_zone": client, "to_zone": server}
        for figure in Share._fields:
            counts = {at: getattr(shares.get(at, Share()), figure) for at in LEVELS}
            needed = sum(counts[at] for at in SCORED)
            out[figure] = counts
            out[f"share_of_{figure}"] = {at: round(counts[at] / needed, 6) for at in SCORED} if needed else None
        yield out
