"""What learning leaves to a person, and for which reason of a fixed list."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from otmon.model import OperationKey, OperationRecord
from otmon.policy.functions import REASONS, reason_not_learned
from otmon.policy.models import OT_PROTOCOLS
from otmon.policy.rows import WRITING

Place = tuple[str, str]
"""Realm, address."""
Conversation = tuple[str, str, str, str]
"""Realm, client, server, protocol."""
SCAN_TARGETS: Final = 16
"""Servers, or operations on one server, that a host tried in vain: so many, and more than half of what it tried."""
UNANSWERING: Final = frozenset({"udp", "icmp", "ip"})
"""Plain protocols in which nobody need answer."""


def cleanly(record: OperationRecord) -> int:
    """How often it was seen to go well: neither refused nor left without an answer."""
    counts = record.counts
    bad = counts.rejected if record.key.protocol in UNANSWERING else counts.rejected + counts.unanswered
    return counts.attempted - bad


def scanners(operations: Iterable[OperationRecord]) -> frozenset[Place]:
    """Hosts that looked for what there is: ports of a server, servers, or units, functions and targets of a server."""
    found: set[Place] = set()
    servers: dict[Place, dict[str, bool]] = {}
    targets: dict[tuple[Place, str], list[int]] = {}
    for record in operations:
        key = record.key
        host, well = (key.realm, key.client), cleanly(record) > 0
        if key.function == "scan":
            found.add(host)
        tried = servers.setdefault(host, {})
        tried[key.server] = tried.get(key.server, False) or well
        if key.protocol in OT_PROTOCOLS:
            counts = targets.setdefault((host, key.server), [0, 0])
            counts[well] += 1
    found |= {host for host, tried in servers.items() if _in_vain(len(tried) - sum(tried.values()), len(tried))}
    return frozenset(found | {host for (host, _), (bad, good) in targets.items() if _in_vain(bad, bad + good)})


def _in_vain(bad: int, tried: int) -> bool:
    return bad >= SCAN_TARGETS and 2 * bad > tried


def refusals(
    operations: Iterable[OperationRecord],
    min_count: int,
    asked: Mapping[Place, int],
    doubted: Collection[Conversation] = (),
    scanned: Callable[[Place], bool] = lambda _: False,
) -> Callable[[OperationRecord], str | None]:
    """Says of one of these operations why learning does not permit it; None: it may.

    `asked`: when a device first asked for the time, ns. `doubted`: of whose bytes two readings were seen.
    `scanned`: hosts that were scanning when something was learned before.
    """
    scanning = scanners(operations)

    def reason(record: OperationRecord) -> str | None:
        key: OperationKey = record.key
        client = key.realm, key.client
        if (client in scanning or scanned(client)) and key.function != "scan":
            return REASONS["scanner"]
        asked_ns = asked.get((key.realm, key.server))
        why = reason_not_learned(key, asked_ns is not None and asked_ns <= record.first_ts_ns)
        if why is None and key.access in WRITING and (*key[:3], key.protocol) in doubted:
            return REASONS["conflict"]
        return why or (REASONS["few"] if cleanly(record) < min_count else None)

    return reason
