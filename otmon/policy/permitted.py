"""What a loaded policy permits, as boxes: exactly the operations and values to which `Policy.judge` says yes."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from typing import Final, Literal, NamedTuple

from otmon.model import OperationKey
from otmon.policy.addresses import EVERYTHING, GROUPS, LOCAL, MAC_BASE
from otmon.policy.axes import Axes, Side
from otmon.policy.chatter import CHATTY, DISCOVERY_PORTS
from otmon.policy.functions import REGISTERED_PORTS, TRANSPORTS, Triple
from otmon.policy.intervals import Intervals, covers, merge, without
from otmon.policy.judge import Policy, Rule
from otmon.policy.rows import DNP3_BROADCAST, EVERY_PROTOCOL, WRITING, Row, fits_function
from otmon.policy.space import Box, covered, intersect
from otmon.policy.zones import Hosts, Place
from otmon.wire.linknames import CARRIERS

CONNECT: Final[Triple] = (None, "connect", "connect")
_ALL_PORTS: Final = (1, 65535)


class Permit(NamedTuple):
    """A box, and what in the policy makes it permitted, or (of `never`) forbidden."""

    box: Box
    because: Literal["row", "never", "free", "chatter"]
    row: Row | None
    rule: Rule | None
    implied: bool = False
    """The connections and functions that a row permits without naming them."""


class Permitted(NamedTuple):
    """Permitted is what a box of `permits` has and none of `never`."""

    axes: Axes
    permits: list[Permit]
    never: list[Permit]

    def has(self, op: OperationKey, ts_ns: int, value: float | None = None) -> bool:
        """The operation, all of its target, is permitted (with this value)."""
        box = self.axes.box(op, ts_ns, value)
        return not any(intersect(never.box, box) for never in self.never) and (
            covered(box, [permit.box for permit in self.permits])
        )


def permitted(policy: Policy, axes: Axes) -> Permitted:
    """The boxes of a policy on axes that were made for it (and maybe others)."""
    places = _Places(policy, axes)
    rows = _Rows(axes)
    conduits = [
        Permit(box, "row", row, rule, implied)
        for rule in policy.conduits.rules
        for who in places.pairs(rule)
        for row in rule.rows
        for box, implied in rows.permits(row, who)
    ]
    never = [
        Permit(box, "never", row, rule)
        for rule in policy.never.rules
        for who in places.pairs(rule)
        for row in rule.rows
        for box in rows.forbids(row, who)
    ]
    free = [Permit(box, "free", None, None) for box in places.free()]
    chatter = [Permit(box, "chatter", None, None) for box in places.chatter()] if policy.chatter else []
    return Permitted(axes, [*conduits, *free, *chatter], never)


# --- rows ------------------------------------------------------------------------------------------------------------
class _Kind(NamedTuple):
    """Functions of a row for which its other keys mean the same."""

    implied: bool
    writing: bool
    scan: bool
    numbers: Intervals


class _Rows:
    """Rows to boxes. Rows that name the same functions share the work."""

    def __init__(self, axes: Axes) -> None:
        self._axes = axes
        self._kinds: dict[tuple[object, ...], list[_Kind]] = {}

    def kinds(self, row: Row) -> list[_Kind]:
        """Every function that fits the row, in groups."""
        key = (row.protocol, row.functions, row.codes, row.accesses, row.implied)
        found = self._kinds.get(key)
        if found is None:
            groups: dict[tuple[bool, bool, bool], list[tuple[str, Triple]]] = {}
            for protocol, triple in self._axes.functions:
                if protocol == row.protocol and fits_function(row, _asking(protocol, triple)):
                    _, name, access = triple
                    place = (name in row.implied, access in WRITING, name == "scan")
                    groups.setdefault(place, []).append((protocol, triple))
            found = [_Kind(*place, self._axes.function_set(functions)) for place, functions in groups.items()]
            self._kinds[key] = found
        return found

    def permits(self, row: Row, who: Side) -> Iterator[tuple[Box, bool]]:
        """(box, whether it is only implied)."""
        axes = self._axes
        time, target = axes.time_set(row.window), axes.target_set(row)
        if not time:
            return
        base = who._replace(time=time, **_link(row))
        for kind in self.kinds(row):
            ports = _ports(row, kind, axes)
            if ports:
                yield (
                    base._replace(
                        function=kind.numbers,
                        port=ports,
                        target=axes.all.target if kind.implied else target,
                        **(axes.limits(row) if kind.writing else {}),
                    ),
                    kind.implied,
                )
        if row.protocol in TRANSPORTS:
            carriers = axes.function_set([(transport, CONNECT) for transport in TRANSPORTS[row.protocol]])
            registered = REGISTERED_PORTS[row.protocol]
            yield who._replace(function=carriers, port=row.ports or ((registered, registered),), time=time), True

    def forbids(self, row: Row, who: Side) -> Iterator[Box]:
        """Boxes of a never row."""
        axes = self._axes
        time = axes.time_set(row.window)
        if not time:
            return
        if row.protocol == EVERY_PROTOCOL:
            yield who._replace(time=time)
            return
        base = who._replace(time=time, target=axes.target_set(row, forbidding=True), **_link(row))
        if row.outstations is not None:
            base = base._replace(unit=merge((*row.outstations, (DNP3_BROADCAST, 0xFFFF))))
        # What a row implies is there to make it work; what is forbidden is what it says.
        for kind in self.kinds(row._replace(implied=frozenset())):
            ports = _ports(row, kind, axes)
            if not ports:
                continue
            yield base._replace(function=kind.numbers, port=ports)
            broadcast = without(kind.numbers, axes.reading)
            if row.units is not None and broadcast:
                yield base._replace(function=broadcast, port=ports, unit=((0, 0),))


def _link(row: Row) -> dict[str, Intervals]:
    """Master, unit and outstation, as far as the row limits them."""
    found = {"master": row.masters, "unit": row.units if row.outstations is None else row.outstations}
    return {name: ranges for name, ranges in found.items() if ranges is not None}


def _ports(row: Row, kind: _Kind, axes: Axes) -> Intervals:
    """Ports on which the row permits these functions; a scan needs all ports and has none of its own."""
    if row.ports is None or (kind.scan and covers(row.ports, *_ALL_PORTS)):
        return axes.all.port
    return () if kind.scan else row.ports


def _asking(protocol: str, triple: Triple) -> OperationKey:
    code, function, access = triple
    return OperationKey("", "", "", "", None, protocol, None, code, function, access, None)


def _is_at(path: tuple[str, ...], place: Place) -> bool:
    return place.path == path


# --- hosts -----------------------------------------------------------------------------------------------------------
class _Places:
    """Who is who in each realm of the axes, as sets of addresses."""

    def __init__(self, policy: Policy, axes: Axes) -> None:
        self._sites = policy.sites
        self._axes = axes
        zones = [zone.hosts for zone in policy.sites.zones]
        cuts = {edge for hosts in zones for low, high in hosts.ranges for edge in (low, high + 1)}
        first, last = EVERYTHING[0]
        self._edges = sorted({first, *cuts})
        self._ends = [*(edge - 1 for edge in self._edges[1:]), last]
        self._outside = {
            realm: without(EVERYTHING, merge(pair for hosts in zones for pair in _in(hosts, realm)))
            for realm in axes.realms
        }

    def pairs(self, rule: Rule) -> list[Side]:
        """Boxes of all that clients of the rule could do to its servers: one, unless realms differ."""
        return self._by_realm(
            [
                (realm, self._hosts(rule.from_hosts, realm), self._hosts(rule.to_hosts, realm))
                for realm in self._axes.realms
            ]
        )

    def _hosts(self, sets: Iterable[Hosts], realm: str) -> Intervals:
        ranges = (pair for hosts in sets for pair in _in(hosts, realm, self._outside[realm]))
        return merge(ranges)

    def _by_realm(self, found: Iterable[tuple[str, Intervals, Intervals]]) -> list[Side]:
        same: dict[tuple[Intervals, Intervals], list[str]] = {}
        for realm, clients, servers in found:
            if clients and servers:
                same.setdefault((clients, servers), []).append(realm)
        numbers = {realm: number for number, realm in enumerate(self._axes.realms)}
        return [
            self._axes.all._replace(
                realm=merge((numbers[realm],) * 2 for realm in realms), client=clients, server=servers
            )
            for (clients, servers), realms in same.items()
        ]

    def _where(self, realm: str, wanted: Callable[[Place], bool]) -> Intervals:
        return merge(
            (low, high)
            for low, high in zip(self._edges, self._ends, strict=True)
            if wanted(self._sites.place_at(realm, low))
        )

    def free(self) -> list[Box]:
        """Two hosts neither of which is monitored."""
        sets = {realm: self._where(realm, lambda place: not place.monitored) for realm in self._axes.realms}
        return [*self._by_realm((realm, hosts, hosts) for realm, hosts in sets.items())]

    def chatter(self) -> Iterator[Box]:
        """As `otmon.policy.chatter.is_chatter` says it."""
        axes = self._axes
        said = {protocol: axes.function_set([(protocol, CONNECT)]) for protocol in CHATTY}
        no_tunnel = without(axes.all.port, merge((number, number) for number in CARRIERS))
        discovery = merge((port, port) for port in DISCOVERY_PORTS)
        everybody = merge([*GROUPS, *_mac_groups(), *((at, at) for at in self._sites.broadcasts)])
        every = axes.all
        yield every._replace(server=everybody, function=merge((*said["udp"], *said["icmp"])))
        yield every._replace(server=everybody, function=said["ip"], port=no_tunnel)
        for local in (every._replace(client=LOCAL), every._replace(server=LOCAL)):
            yield local._replace(function=said["icmp"])
            yield local._replace(function=said["udp"], port=discovery)
        same_zone = [
            (realm, hosts, hosts)
            for realm in axes.realms
            for path in dict.fromkeys(self._sites.place_at(realm, low).path for low in self._edges)
            if (hosts := self._where(realm, partial(_is_at, path)))
        ]
        for side in self._by_realm(same_zone):
            yield side._replace(function=said["udp"], port=discovery)


def _in(hosts: Hosts, realm: str, outside: Intervals = ()) -> Iterable[tuple[int, int]]:
    """The set as far as it lies in this realm."""
    if hosts.realm is not None and hosts.realm != realm:
        return ()
    return chain(hosts.ranges, outside if hosts.outside else ())


def _mac_groups() -> Iterator[tuple[int, int]]:
    """MACs with the group bit set."""
    for octet in range(1, 256, 2):
        yield MAC_BASE + (octet << 40), MAC_BASE + (octet + 1 << 40) - 1
