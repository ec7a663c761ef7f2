"""What a policy says nothing of: operations between two hosts that no monitored zone of it holds."""

from collections.abc import Iterable
from typing import NamedTuple

from otmon.model import OperationKey, OperationRecord
from otmon.site.assets import Places


class NotJudged(NamedTuple):
    """How much that is. Chatter, and what a `never` row denied, is not among it."""

    operations: int = 0
    control: int = 0
    """Of control protocols."""
    hosts: tuple[str, ...] = ()
    """Addresses that take part, in the order of their text."""


def not_judged(policy: Places, operations: Iterable[OperationRecord]) -> NotJudged:
    """Count it."""
    number = control = 0
    watched: dict[tuple[str, ...], bool] = {}
    """By realm, client and server: most operations are of few pairs."""
    hosts: set[str] = set()
    for record in operations:
        op = record.key
        known = watched.get(op[:3])
        if known is None:
            known = watched[op[:3]] = _watched(policy, op)
        if not known and record.verdict != "deny" and not policy.is_chatter(op):
            number += 1
            control += op.access != "connect"
            hosts.update((op.client, op.server))
    return NotJudged(number, control, tuple(sorted(hosts)))


def nothing_judged(policy: Places, operations: Iterable[OperationRecord]) -> NotJudged | None:
    """The same if that is all there is but chatter, and not nothing; else None, and no more is read than shows it."""
    if any(record.verdict == "deny" or _watched(policy, record.key) for record in operations):
        return None
    found = not_judged(policy, operations)
    return found if found.operations else None


def _watched(policy: Places, op: OperationKey) -> bool:
    return policy.monitored(op.realm, op.client) or policy.monitored(op.realm, op.server)
