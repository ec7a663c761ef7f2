"""`otmon policy check`: what a policy holds, and what in it cannot have been meant."""

from pathlib import Path
from typing import NamedTuple

from otmon.policy.intervals import Intervals, contains_all
from otmon.policy.judge import Policy, Rule
from otmon.policy.load import load_policy
from otmon.policy.rows import EVERY_PROTOCOL, Row
from otmon.policy.zones import Hosts


class Summary(NamedTuple):
    """How much there is of each, and warnings, one sentence each."""

    zones: int
    assets: int
    conduits: int
    rows: int
    never: int
    review: int
    warnings: tuple[str, ...]


def check(path: str | Path) -> Summary:
    """Load a policy and look at it. PolicyError as load_policy."""
    policy = load_policy(path)
    rows, never, review = (
        sum(len(rule.rows) for rule in rules.rules) for rules in (policy.conduits, policy.never, policy.review)
    )
    warnings = (*_empty(policy), *_unreachable(policy))
    zones, assets, conduits = len(policy.sites.zones), len(policy.sites.assets), len(policy.conduits.rules)
    return Summary(zones, assets, conduits, rows, never, review, warnings)


def _empty(policy: Policy) -> list[str]:
    out = [f"Zone {zone.name} has no hosts." for zone in policy.sites.zones if not zone.hosts.ranges]
    marked = {*policy.realms.vlans.values(), *policy.realms.interfaces.values(), *policy.realms.inputs.values()}
    out += [
        f"No frame can be in realm {name}: it has no VLAN, interface or input."
        for name in policy.realms.names
        if name not in marked
    ]
    if not any(zone.hosts.ranges and zone.monitored is not False for zone in policy.sites.zones):
        out.append("No zone is monitored: everything is permitted that no `never` row forbids.")
    return out


def _unreachable(policy: Policy) -> list[str]:
    out = []
    rules = policy.conduits.rules
    for number, rule in enumerate(rules):
        bans = [ban for never in policy.never.rules if _same_hosts(never, rule) for ban in never.rows]
        earlier = [row for other in rules[:number] if _same_hosts(other, rule) for row in other.rows]
        for row in rule.rows:
            if ban := next((ban for ban in bans if _includes(ban, row)), None):
                out.append(f"Row {row.id} can never permit: row {ban.id} forbids all of it.")
            elif other := next((other for other in earlier if _includes(other, row)), None):
                out.append(f"Row {row.id} adds nothing: row {other.id} permits all of it.")
            earlier.append(row)
    return out


def _same_hosts(outer: Rule, inner: Rule) -> bool:
    return _contains(outer.from_hosts, inner.from_hosts) and _contains(outer.to_hosts, inner.to_hosts)


def _contains(outer: tuple[Hosts, ...], inner: tuple[Hosts, ...]) -> bool:
    return all(
        any(
            (wide.realm is None or wide.realm == narrow.realm)
            and (wide.outside or not narrow.outside)
            and contains_all(wide.ranges, narrow.ranges)
            for wide in outer
        )
        for narrow in inner
    )


def _includes(outer: Row, inner: Row) -> bool:
    """Whatever the inner row speaks of, the outer one does too."""
    if outer.window is not None and outer.window != inner.window:
        return False
    if outer.protocol == EVERY_PROTOCOL:
        return True
    if outer.protocol != inner.protocol or (outer.values is not None and outer.values != inner.values):
        return False
    if outer.targets is not None and outer.targets != inner.targets:
        return False
    if not (outer.functions is None or (inner.functions is not None and _functions(inner) <= _functions(outer))):
        return False
    if not (outer.accesses is None or (inner.accesses is not None and inner.accesses <= outer.accesses)):
        return False
    pairs = (
        (outer.units, inner.units),
        (outer.masters, inner.masters),
        (outer.outstations, inner.outstations),
        (outer.ports, inner.ports),
    )
    return all(_covers(wide, narrow) for wide, narrow in pairs)


def _functions(row: Row) -> frozenset[str | int]:
    return frozenset((*(row.functions or ()), *row.codes))


def _covers(outer: Intervals | None, inner: Intervals | None) -> bool:
    return outer is None or (inner is not None and contains_all(outer, inner))
