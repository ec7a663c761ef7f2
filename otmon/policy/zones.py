"""Who is who: zones and how they nest, named assets, roles, and the sets of hosts that a policy speaks of."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from otmon.limits import MAX_POLICY_CACHE
from otmon.policy.addresses import broadcast_of, point, range_text
from otmon.policy.intervals import Intervals, common, contains_all, merge, overlaps

OUTSIDE: Final = "outside"
"""The zone of all hosts that are in no other one."""


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
    """Many sets of hosts, asked which of them contain an address. Single hosts are looked up, networks gone through."""

    def __init__(self, sets: Iterable[Hosts]) -> None:
        self._single: dict[int, list[tuple[int, str | None]]] = {}
        self._wide: list[tuple[int, int, int, str | None]] = []
        self._outside: list[tuple[int, str | None]] = []
        for number, hosts in enumerate(sets):
            for low, high in hosts.ranges:
                # A handful of neighbours is not worth a range of its own.
                if high - low < 4:
                    for at in range(low, high + 1):
                        self._single.setdefault(at, []).append((number, hosts.realm))
                else:
                    self._wide.append((low, high, number, hosts.realm))
            if hosts.outside:
                self._outside.append((number, hosts.realm))

    def containing(self, realm: str, at: int, outside: bool = False) -> frozenset[int]:
        """Numbers of the sets that contain the host."""
        found = [number for number, within in self._single.get(at, ()) if within is None or within == realm]
        found += [n for low, high, n, within in self._wide if low <= at <= high and (within is None or within == realm)]
        if outside:
            found += [number for number, within in self._outside if within is None or within == realm]
        return frozenset(found)


def clashes(zones: Iterable[Zone]) -> list[tuple[Zone, Zone, str]]:
    """Pairs of zones that share hosts without one being properly inside the other, with what they share."""
    out = []
    known: list[Zone] = []
    for zone in zones:
        for other in known:
            if zone.hosts.realm and other.hosts.realm and zone.hosts.realm != other.hosts.realm:
                continue
            shared = common(other.hosts.ranges, zone.hosts.ranges)
            if shared is None:
                continue
            within = contains_all(other.hosts.ranges, zone.hosts.ranges)
            around = contains_all(zone.hosts.ranges, other.hosts.ranges)
            # Equal sets are as unclear as sets that cut each other.
            if within == around:
                out.append((other, zone, range_text(*shared)))
        known.append(zone)
    return out


class Sites:
    """Places of addresses. `zones` must not clash."""

    def __init__(self, zones: Iterable[Zone], assets: Iterable[Asset], roles: Mapping[str, Hosts]) -> None:
        # Larger zones first: then those that contain an address stand in the order of their nesting.
        self.zones = sorted(zones, key=lambda zone: -sum(high - low + 1 for low, high in zone.hosts.ranges))
        self.assets = list(assets)
        self._roles = sorted(roles)
        self._in_zone = HostsIndex(zone.hosts for zone in self.zones)
        self._in_asset = HostsIndex(asset.hosts for asset in self.assets)
        self._in_role = HostsIndex(roles[name] for name in self._roles)
        ranges = [pair for zone in self.zones for pair in zone.hosts.ranges]
        self._broadcasts = frozenset(at for low, high in ranges if (at := broadcast_of(low, high)) is not None)
        self._places: dict[tuple[str, str], Place] = {}

    def place(self, realm: str, address: str) -> Place:
        """Zone, level, asset and roles of an address; never raises."""
        key = (realm, address)
        known = self._places.get(key)
        if known is None:
            if len(self._places) >= MAX_POLICY_CACHE:
                self._places.clear()
            known = self._places[key] = self._find(realm, point(address))
        return known

    def is_broadcast(self, at: int) -> bool:
        """Directed broadcast of a network that the policy names."""
        return at in self._broadcasts

    def _find(self, realm: str, at: int) -> Place:
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


def touches(hosts: Iterable[Hosts], other: Hosts) -> bool:
    """Some host may be in both."""
    return any(
        overlaps(mine.ranges, low, high)
        for mine in hosts
        if mine.realm is None or other.realm is None or mine.realm == other.realm
        for low, high in other.ranges
    )
