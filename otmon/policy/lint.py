"""`otmon policy check`: what a policy holds, and what in it cannot have been meant."""

from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import NamedTuple, Protocol

from otmon.policy.addresses import LOCAL, parse_hosts
from otmon.policy.compile import ANY
from otmon.policy.errors import Path, quoted
from otmon.policy.findings import Finding
from otmon.policy.intervals import contains_all, covers, merge, overlap, overlaps
from otmon.policy.judge import Policy
from otmon.policy.lint_rows import Lint
from otmon.policy.load import Source, load_source
from otmon.policy.permits import row_of
from otmon.policy.reader import read_bytes
from otmon.policy.usage import Usage, broad
from otmon.policy.zones import OUTSIDE, Hosts, Zone


class Report(Protocol):
    """Takes a finding."""

    def __call__(self, rule: str, at: Path, says: str, used: dict[str, dict[str, str]] | None = None) -> None:
        """`at`: its path in the document."""


class Summary(NamedTuple):
    """How much there is of each, and what was found, in the order of the file."""

    zones: int
    assets: int
    conduits: int
    rows: int
    never: int
    review: int
    findings: tuple[Finding, ...]


def check(path: str | FilePath, usage: Usage | None = None) -> Summary:
    """Load a policy and look at it; `usage`: also at what was seen. PolicyError as load_policy."""
    return look(load_source(read_bytes(str(path)), str(path)), usage)


def look(source: Source, usage: Usage | None = None) -> Summary:
    """As check, for a policy that is loaded."""
    policy = source.policy
    # A row of named points is one for each device that has some, all of one id.
    rows, never, review = (
        len({row.id for rule in rules.rules for row in rule.rows})
        for rules in (policy.conduits, policy.never, policy.review)
    )
    found: list[Finding] = []

    def report(rule: str, at: Path, says: str, used: dict[str, dict[str, str]] | None = None) -> None:
        place = source.document.problem(at, says)
        found.append(Finding(place.line, place.column, rule, place.key, says, used))

    _whole(source, report)
    lint = Lint(policy)
    for rule, row, says in lint.rows():
        report(rule, source.rows[row], says)
    for zone in policy.sites.zones:
        if _is_monitored(policy, zone) and not _spoken_of(policy, zone) and lint.silent(zone):
            report("unreachable-zone", ("zones", zone.name), f"No row permits anything from or to zone {zone.name}.")
    if usage is not None and _is_unrelated(source, usage):
        seen = f"{len(usage.hosts):,} addresses that were seen"
        says = f"The policy names none of the {seen}, and permits nothing of what they did."
        report("unrelated-data", ("zones",), says)
        usage = None
    _hosts(source, usage, report)
    if usage is not None:
        _used(source, usage, report)
    zones, assets = len(policy.sites.zones), len(policy.sites.assets)
    conduits = len(source.model.conduits) + sum(bool(zone.allow) for zone in source.model.zones.values())
    return Summary(zones, assets, conduits, rows, never, review, tuple(sorted(found, key=_place)))


def _place(finding: Finding) -> tuple[int, int, str, str]:
    return (*finding[:3], finding.says)


def _whole(source: Source, report: Report) -> None:
    policy = source.policy
    for zone in policy.sites.zones:
        if not zone.hosts.ranges:
            report("empty-zone", ("zones", zone.name), f"Zone {zone.name} has no hosts.")
    marked = {*policy.realms.vlans.values(), *policy.realms.interfaces.values(), *policy.realms.inputs.values()}
    for name in policy.realms.names:
        if name not in marked:
            says = f"No frame can be in realm {name}: it has no VLAN, interface or input."
            report("dead-realm", ("realms", name), says)
    if not any(zone.hosts.ranges and zone.monitored is not False for zone in policy.sites.zones):
        says = "No zone is monitored: everything is permitted that no `never` row forbids."
        report("nothing-monitored", ("zones",), says)


def _is_monitored(policy: Policy, zone: Zone) -> bool:
    ranges = zone.hosts.ranges
    return bool(ranges) and policy.sites.place_at(zone.hosts.realm or "", ranges[0][0]).monitored


def _spoken_of(policy: Policy, zone: Zone) -> bool:
    """It waits for review, or needs no row: of link-local addresses the policy permits the chatter."""
    if policy.chatter and contains_all(LOCAL, zone.hosts.ranges):
        return True
    sides = (hosts for rule in policy.review.rules for hosts in (*rule.from_hosts, *rule.to_hosts))
    return any(_share(hosts, zone.hosts) for hosts in sides)


def _share(one: Hosts, other: Hosts) -> bool:
    same_realm = one.realm is None or other.realm is None or one.realm == other.realm
    return same_realm and overlap(one.ranges, other.ranges)


# --- hosts ------------------------------------------------------------------------------------------------------------
def _hosts(source: Source, usage: Usage | None, report: Report) -> None:
    inside = merge(pair for zone in source.policy.sites.zones for pair in zone.hosts.ranges)
    seen = merge((at, at) for at in usage.hosts) if usage is not None else None
    for at, text in _named(source):
        low, high = parse_hosts(text)
        if inside and not covers(inside, low, high):
            what = "lies partly outside every zone" if overlaps(inside, low, high) else "is in no zone"
            report("unknown-host", at, f"{quoted(text)[1:-1]} {what}.")
        if seen is not None and not overlaps(seen, low, high):
            report("unseen-host", at, f"{quoted(text)[1:-1]} was never seen.")
    for zone in source.policy.sites.zones if seen is not None else ():
        if zone.hosts.ranges and not any(overlaps(seen or (), low, high) for low, high in zone.hosts.ranges):
            report("unseen-host", ("zones", zone.name), f"No host of zone {zone.name} was ever seen.")


def _is_unrelated(source: Source, usage: Usage) -> bool:
    """Nothing that the policy names was seen: to say so of each host and row would say nothing."""
    zones = [pair for zone in source.policy.sites.zones for pair in zone.hosts.ranges]
    named = merge([*zones, *(parse_hosts(text) for _, text in _named(source))])
    return bool(named) and not usage.rows and not any(overlaps(named, at, at) for at in usage.hosts)


def _named(source: Source) -> Iterator[tuple[Path, str]]:
    """Each address or network that stands for itself, not as a part of a zone."""
    model = source.model
    for name, asset in model.assets.items():
        yield from ((("assets", name, "hosts", n), text) for n, text in enumerate(asset.hosts))
    for name, members in model.roles.items():
        yield from ((("roles", name, n), text) for n, text in enumerate(members) if text not in model.assets)
    words = {ANY, OUTSIDE, *model.zones, *model.assets}
    for key in ("conduits", "never", "review"):
        for n, rule in enumerate(getattr(model, key)):
            for end, selectors in (("from", rule.from_), ("to", rule.to)):
                for i, selector in enumerate(selectors or ()):
                    yield from (((key, n, end, i), text) for text in selector.host if text not in words)


# --- what was used ----------------------------------------------------------------------------------------------------
def _used(source: Source, usage: Usage, report: Report) -> None:
    for rule in source.policy.conduits.rules:
        for row in rule.rows:
            used = usage.rows.get(row_of(row.id))
            at = source.rows[row.id]
            if used is None:
                report("never-hit-row", at, f"Row {row.id} permits nothing that was ever seen.")
            elif looser := broad(rule, row, used):
                parts = (f"{key} {pair['used']} of {pair['allows']}" for key, pair in looser.items())
                report("broad-row", at, f"Row {row.id} is wider than its use: {'; '.join(parts)}.", looser)
