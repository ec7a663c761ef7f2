"""Zones proposed from networks and from what their hosts do, with the reason."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple

from otmon.model import OperationRecord
from otmon.policy.addresses import is_group, network_of, point
from otmon.site.roles import Behaviour, observe, roles_of

Place = tuple[str, str]
"""Realm, address."""
LEVELS: Final = {"plc": 1, "rtu": 1, "scada": 2, "hmi": 2, "engineering": 2, "historian": 3}
"""Purdue level of a role; servers and workstations without control protocols may stand on any above."""
_NAMES: Final = {1: "control", 2: "supervision", 3: "operations", None: "other"}
_NOBODY: Final = (-1, point("0.0.0.0"), point("::"))
"""Text that is no address, and what a host says it is while it has none."""
_NAMED: Final = 4
"""Hosts in a reason."""


class Proposal(NamedTuple):
    """A zone to be written."""

    name: str
    realm: str
    level: int | None
    hosts: tuple[str, ...]
    reason: str


def roles(operations: Iterable[OperationRecord]) -> dict[Place, set[str]]:
    """What each host is, from what it does."""
    seen: dict[Place, Behaviour] = {}
    for record in operations:
        observe(seen, record)
    return {place: roles_of(behaviour) for place, behaviour in seen.items()}


def propose(hosts: Collection[Place], known: Mapping[Place, set[str]], taken: Collection[str]) -> list[Proposal]:
    """A zone for each network, at the level of most of its hosts, and one in it for those of each other level.

    Addresses that are in no private network are zones of their own kind, without a level unless a role gives it.
    """
    networks: dict[Place, list[Place]] = {}
    for realm, address in sorted(hosts, key=lambda host: (host[0], point(host[1]))):
        at = point(address)
        if at not in _NOBODY and not is_group(at):
            network = network_of(address)
            alone = network == address
            networks.setdefault((realm, "" if alone else network), []).append((realm, address))
    drafts: list[tuple[str, str, int | None, tuple[str, ...], str]] = []
    for (realm, network), members in networks.items():
        levels = {host: _level(known.get(host, set())) for host in members}
        counts = Counter(level for level in levels.values() if level is not None)
        most = min(counts, key=lambda level: (-counts[level], level)) if counts and network else None
        kinds: dict[int | None, list[Place]] = {}
        for host in members:
            level = levels[host] if levels[host] is not None else most
            kinds.setdefault(level, []).append(host)
        for level, group in sorted(kinds.items(), key=lambda item: (item[0] != most, item[0] or 0)):
            addresses = tuple(address for _, address in group)
            whole = network and level == most
            drafts.append((realm, network, level, (network,) if whole else addresses, _reason(group, known, level)))
    names = Counter(_NAMES[level] for _, _, level, _, _ in drafts)
    used = {*taken, "any", "outside"}
    return [
        Proposal(_free(_NAMES[level], network if names[_NAMES[level]] > 1 else "", used), realm, level, hosts, reason)
        for realm, network, level, hosts, reason in drafts
    ]


def _level(found: Iterable[str]) -> int | None:
    return min((LEVELS[role] for role in found if role in LEVELS), default=None)


def _reason(group: Iterable[Place], known: Mapping[Place, set[str]], level: int | None) -> str:
    """Who is what, for those whose role gave the level."""
    by_role: dict[str, list[str]] = {}
    for host in group:
        mine = known.get(host, set())
        for role in sorted(role for role in mine if level is None or LEVELS.get(role) == level):
            by_role.setdefault(role, []).append(host[1])
    if not by_role:
        return "no role was seen" if level is None else "of the network, no role was seen"
    text = "; ".join(f"{role}: {_listed(addresses)}" for role, addresses in sorted(by_role.items()))
    return text if level is None else f"level {level} for {text}"


def _listed(addresses: list[str]) -> str:
    more = len(addresses) - _NAMED
    return ", ".join(addresses[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _free(name: str, network: str, used: set[str]) -> str:
    short = network.partition("/")[0].removesuffix(".0")
    base = f"{name}-{short}" if short else name
    number, found = 1, base
    while found in used:
        number += 1
        found = f"{base}-{number}"
    used.add(found)
    return found
