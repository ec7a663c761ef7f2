"""What a policy says nothing of: operations between two hosts that no monitored zone of it holds."""

from collections.abc import Iterable
from typing import NamedTuple

from otmon.model import OperationRecord
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
    hosts: set[str] = set()
    for record in operations:
        op = record.key
        if not _judged(policy, record) and not policy.is_chatter(op):
            number += 1
            control += op.access != "connect"
            hosts.update((op.client, op.server))
    return NotJudged(number, control, tuple(sorted(hosts)))


def nothing_judged(policy: Places, operations: Iterable[OperationRecord]) -> NotJudged | None:
    """The same if that is all there is but chatter, and not nothing; else None, and no more is read than shows it."""
    if any(_judged(policy, record) for record in operations):
        return None
    found = not_judged(policy, operations)
    return found if found.operations else None


def _judged(policy: Places, record: OperationRecord) -> bool:
    op = record.key
    return policy.monitored(op.realm, op.client) or policy.monitored(op.realm, op.server) or record.verdict == "deny"
