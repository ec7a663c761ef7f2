"""Who is who: zones and how they nest, named assets, roles, and the sets of hosts that a policy speaks of."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from otmon.limits import MAX_POLICY_CACHE
from otmon.policy.addresses import broadcast_of, point, range_text
from otmon.policy.errors import MAX_PROBLEMS
from otmon.policy.intervals import Intervals, common, contains_all, covers, merge, size

OUTSIDE: Final = "outside"
"""The zone of all hosts that are in no other one."""


WIDE: Final = 1 << 24
"""Hosts in the largest set that is searched rather than tried."""


class Realms(NamedTuple):
    """Which marks of a frame put it into which realm; each mapping is mark -> realm."""

    names: tuple[str, ...] = ()
    vlans: Mapping[int, str] = {}
    interfaces: Mapping[str, str] = {}
    inputs: Mapping[str, str] = {}
    """By the name of the input file, without its folder."""


class Hosts(NamedTuple):
    """A set of hosts, of one realm or (None) of every realm."""

    ranges: Intervals
    realm: str | None = None
    outside: bool = False
    """Also the hosts in no zone."""

    def holds(self, realm: str, at: int) -> bool:
        """The address, as a number, is one of the ranges."""
        return self.realm in (None, realm) and covers(self.ranges, at, at)


class Zone(NamedTuple):
    """One zone as declared."""

    name: str
    level: float | None
    hosts: Hosts
    monitored: bool | None


class Asset(NamedTuple):
    """One named device as declared."""

    key: str
    name: str
    hosts: Hosts


class Place(NamedTuple):
    """What is known of one address."""

    at: int
    """Its number, -1 if the text is no address."""
    path: tuple[str, ...]
    """Zones from the outermost to the innermost; (outside,) for none."""
    level: float | None
    monitored: bool
    asset: str | None
    roles: tuple[str, ...]


class HostsIndex:
    """Many sets of hosts, asked which of them contain an address."""

    def __init__(self, sets: Iterable[Hosts]) -> None:
        self._ranges: list[tuple[int, int, int, str | None]] = []
        self._wide: list[tuple[int, int, int, str | None]] = []
        self._outside: list[tuple[int, str | None]] = []
        for number, hosts in enumerate(sets):
            for low, high in hosts.ranges:
                # `any` among the others would reach every address and make each search a walk through all of them.
                (self._wide if high - low > WIDE else self._ranges).append((low, high, number, hosts.realm))
            if hosts.outside:
                self._outside.append((number, hosts.realm))
        self._ranges.sort(key=_first)
        self._lows = [low for low, _, _, _ in self._ranges]
        # The furthest end so far: where it falls short of an address, no earlier range reaches it either.
        self._reach = list(accumulate((high for _, high, _, _ in self._ranges), max))

    def containing(self, realm: str, at: int, outside: bool = False) -> frozenset[int]:
        """Numbers of the sets that contain the host."""
        found = [number for number, within in self._outside if outside and (within is None or within == realm)]
        found += [n for low, high, n, within in self._wide if low <= at <= high and (within is None or within == realm)]
        position = bisect_right(self._lows, at) - 1
        while position >= 0 and self._reach[position] >= at:
            _, high, number, within = self._ranges[position]
            if high >= at and (within is None or within == realm):
                found.append(number)
            position -= 1
        return frozenset(found)


def _first(item: tuple[int, int, int, str | None]) -> int:
    return item[0]


def clashes(zones: Sequence[Zone]) -> list[tuple[Zone, Zone, str]]:
    """Pairs of zones that share hosts without one being properly inside the other, with what they share."""
    ranges = sorted((low, high, number) for number, zone in enumerate(zones) for low, high in zone.hosts.ranges)
    out: list[tuple[Zone, Zone, str]] = []
    seen: set[tuple[int, int]] = set()
    reaching: list[tuple[int, int]] = []
    for low, high, number in ranges:
        reaching = [(end, other) for end, other in reaching if end >= low]
        for _, other in reaching:
            pair = (min(number, other), max(number, other))
            if pair not in seen:
                seen.add(pair)
                out += _clash(zones[pair[0]], zones[pair[1]])
        if len(out) >= MAX_PROBLEMS:
            break
        reaching.append((high, number))
    return out


def _clash(first: Zone, second: Zone) -> list[tuple[Zone, Zone, str]]:
    mine, its = first.hosts, second.hosts
    if mine.realm and its.realm and mine.realm != its.realm:
        return []
    shared = common(mine.ranges, its.ranges)
    # Equal sets are as unclear as sets that cut each other.
    if shared is None or contains_all(mine.ranges, its.ranges) != contains_all(its.ranges, mine.ranges):
        return []
    return [(first, second, range_text(*shared))]


class Sites:
    """Places of addresses. `zones` must not clash."""

    def __init__(self, zones: Iterable[Zone], assets: Iterable[Asset], roles: Mapping[str, Hosts]) -> None:
        # Larger zones first: then those that contain an address stand in the order of their nesting.
        self.zones = sorted(zones, key=lambda zone: -size(zone.hosts.ranges))
        self.assets = list(assets)
        self.roles = dict(roles)
        self._roles = sorted(roles)
        self._in_zone = HostsIndex(zone.hosts for zone in self.zones)
        self._in_asset = HostsIndex(asset.hosts for asset in self.assets)
        self._in_role = HostsIndex(roles[name] for name in self._roles)
        ranges = [pair for zone in self.zones for pair in zone.hosts.ranges]
        self.broadcasts = frozenset(at for low, high in ranges if (at := broadcast_of(low, high)) is not None)
        """Directed broadcast addresses of the networks that the policy names."""
        self._places: dict[tuple[str, str], Place] = {}

    def place(self, realm: str, address: str) -> Place:
        """Zone, level, asset and roles of an address; never raises."""
        key = (realm, address)
        known = self._places.get(key)
        if known is None:
            if len(self._places) >= MAX_POLICY_CACHE:
                self._places.clear()
            known = self._places[key] = self.place_at(realm, point(address))
        return known

    def place_at(self, realm: str, at: int) -> Place:
        """As place, for an address as a number."""
        path: list[str] = []
        level: float | None = None
        monitored = False
        for number in sorted(self._in_zone.containing(realm, at)):
            zone = self.zones[number]
            monitored = zone.monitored if zone.monitored is not None else monitored if path else True
            level = zone.level if zone.level is not None else level
            path.append(zone.name)
        asset = min(self._in_asset.containing(realm, at), default=None)
        roles = tuple(self._roles[number] for number in sorted(self._in_role.containing(realm, at)))
        name = None if asset is None else self.assets[asset].name
        return Place(at, tuple(path) or (OUTSIDE,), level, monitored, name, roles)


def union(sets: Iterable[Hosts]) -> list[Hosts]:
    """The same hosts in one set for each realm."""
    by_realm: dict[str | None, list[tuple[int, int]]] = {}
    outside: set[str | None] = set()
    for hosts in sets:
        by_realm.setdefault(hosts.realm, []).extend(hosts.ranges)
        if hosts.outside:
            outside.add(hosts.realm)
    return [Hosts(merge(ranges), realm, realm in outside) for realm, ranges in by_realm.items()]
