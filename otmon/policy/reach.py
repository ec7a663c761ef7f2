"""Who can get at a point: directly, or by stepping through hosts that may be reached.

What a policy permits is a list of boxes, and each box joins all of its clients to all of its servers. So paths go from
box to box, and sets of hosts are followed instead of hosts: the answer is exact, whatever the size of a zone.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from otmon.model import Target
from otmon.policy.addresses import EVERYTHING
from otmon.policy.axes import POSITIONS, Axes, Side
from otmon.policy.intervals import Intervals, both, merge, overlap, without
from otmon.policy.judge import Policy
from otmon.policy.models import OT_PROTOCOLS
from otmon.policy.pattern import Hosts, Pattern
from otmon.policy.permitted import Permit, permitted
from otmon.policy.rows import DATA_SPACES
from otmon.policy.space import Box, intersect, subtract_all
from otmon.policy.windows import Window
from otmon.protocols.modbus.tables import SPACES

CHANGING: Final = ("write", "control", "program")
"""Access classes that do something to a device."""


class Join(NamedTuple):
    """Hosts of which each may do something to each."""

    conduit: str | None
    """None: hosts that are not monitored, which no conduit joins."""
    row: str | None
    realm: Intervals
    client: Intervals
    server: Intervals
    side: Side
    """All of what is permitted."""
    window: Window | None = None
    """Of the row."""


class Step(NamedTuple):
    """Hosts that reach the point over one more host."""

    hosts: Intervals
    """Clients that were not known before."""
    over: Intervals
    """The hosts that they step through."""
    join: Join


class Reached(NamedTuple):
    """Everybody who can get at a point, in one realm."""

    realm: str
    direct: list[Join]
    steps: list[list[Step]]
    """By the number of hosts between."""


class Map:
    """What a policy permits, as who is joined to whom."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.axes = Axes([policy])
        space = permitted(policy, self.axes)
        self._never = [never.box for never in space.never]
        # Broadcast and discovery get nobody into a host.
        self._permits = [permit for permit in space.permits if permit.because in ("row", "free")]
        stepping = self.axes.function_set(
            (protocol, triple)
            for protocol, triple in self.axes.functions
            if triple[2] == "program" or (protocol in ("tcp", "udp") and triple[1] == "connect")
        )
        everything = self.axes.all
        self.joins = list(self._joins(everything))
        """All that is permitted."""
        self.stepping = list(self._joins(everything._replace(function=stepping), implied=False))
        """Where one may get into a host: plain connections that a row names, and programming."""

    def _joins(self, asked: Side, implied: bool = True) -> Iterator[Join]:
        for permit in self._permits:
            if permit.implied and not implied:
                continue  # the connection that carries Modbus is no way into a host
            box = intersect(permit.box, asked)
            if box is not None:
                pieces = subtract_all(box, [never for never in self._never if intersect(never, box) is not None])
                yield from (_join(permit, piece) for piece in pieces or ())

    def reached(self, asked: Side) -> list[Reached]:
        """Who can do some of what is asked, in each realm in which anybody can."""
        direct = list(self._joins(asked, implied=False))
        out: list[Reached] = []
        for number, realm in enumerate(self.axes.realms):
            here = [join for join in direct if overlap(join.realm, ((number, number),))]
            if here:
                found = Reached(realm, here, list(self._steps(here, ((number, number),))))
                if not out or found[1:] != out[-1][1:]:
                    out.append(found)
        return out

    def _steps(self, direct: Sequence[Join], realm: Intervals) -> Iterator[list[Step]]:
        """Level by level, until nobody is new."""
        known = merge(pair for join in direct for pair in join.client)
        edge = known
        while edge:
            level = []
            fresh: Intervals = ()
            for join in self.stepping:
                over = both(join.server, edge)
                new = without(join.client, known)
                if over and new and overlap(join.realm, realm):
                    level.append(Step(new, over, join))
                    fresh = merge((*fresh, *new))
            known = merge((*known, *fresh))
            edge = fresh
            if level:
                yield level

    def box(self, pattern: Pattern) -> Side:
        """What a pattern asks for, as a box; only what changes something, unless it names functions or access.

        ValueError: it asks for what has no box.
        """
        axes = self.axes
        side = axes.all._replace(client=_hosts(pattern.client), server=_hosts(pattern.either or pattern.server))
        accesses = CHANGING if pattern.access is None else (pattern.access,)
        wanted = [
            (protocol, triple)
            for protocol, triple in axes.functions
            if pattern.protocol in (None, protocol)
            and (triple[2] in accesses if pattern.function is None or pattern.access else True)
            and pattern.names_function(triple[1])
            and (pattern.function is not None or pattern.access is not None or protocol in OT_PROTOCOLS)
            and (not pattern.limits_target or _reaches(protocol, triple[0], pattern.space))
        ]
        side = side._replace(function=axes.function_set(wanted))
        if pattern.ports is not None:
            side = side._replace(port=(pattern.ports,))
        if pattern.units is not None:
            side = side._replace(unit=(pattern.units,))
        if pattern.masters is not None:
            side = side._replace(master=(pattern.masters,))
        if pattern.realm is not None:
            number = axes.realms.index(pattern.realm) if pattern.realm in axes.realms else len(axes.realms) - 1
            side = side._replace(realm=((number, number),))
        return side._replace(target=self._targets(pattern)) if pattern.limits_target else side

    def _targets(self, pattern: Pattern) -> Intervals:
        name, space = pattern.name, pattern.space
        if any(text is not None and ("*" in text or "?" in text) for text in (name, space)):
            raise ValueError("a target without * is needed")
        low, high = pattern.target or (0, POSITIONS - 2)
        out = []
        for one in DATA_SPACES if space is None else (space,):
            known = [called for of, called in self.axes.places if of == one] or [None]
            for called in known if name is None else [name]:
                first, last = self.axes.target(Target(one, low, high, called))
                # The number before the first address is the space as a whole.
                out.append((first if pattern.target else first - 1, last))
        return merge(out)


def _reaches(protocol: str, code: int | None, space: str | None) -> bool:
    """Functions of this protocol and code may have targets in this space; None: one of DATA_SPACES.

    A row that names no targets permits all of them, also those that its functions never have.
    """
    if space is None or space in DATA_SPACES:
        return protocol == "modbus" and (SPACES.get(code or 0) == space if space and code in SPACES else code in SPACES)
    if protocol == "modbus":
        return code not in SPACES and not _OTHERS.match(space)
    return (protocol == "dnp3") == (_OTHERS.match(space) is not None)


_OTHERS: Final = re.compile(r"g\d+\Z")
"""Object groups of DNP3."""


def _join(permit: Permit, box: Box) -> Join:
    side = Side(*box)
    rule, row = permit.rule, permit.row
    return Join(rule and rule.name, row and row.id, side.realm, side.client, side.server, side, row and row.window)


def _hosts(hosts: Hosts) -> Intervals:
    if hosts.anybody:
        return EVERYTHING
    if hosts.ranges is None:
        raise ValueError(f"hosts by name, address or network are needed, not {hosts.glob}")
    return hosts.ranges


def seen_steps(entered: Iterable[tuple[str, str]], goal: Collection[str]) -> list[list[tuple[str, str]]]:
    """From which hosts others were entered that lead to the goal: by the number of hosts between, (host, through).

    `entered`: (client, server) pairs. In the order of the names.
    """
    import networkx

    graph: networkx.DiGraph[str] = networkx.DiGraph((server, client) for client, server in entered)
    layers = networkx.bfs_layers(graph, sorted(host for host in goal if host in graph)) if goal else ()
    out: list[list[tuple[str, str]]] = []
    before: list[str] = []
    for layer in layers:
        if before:
            out.append([(host, min(over for over in before if graph.has_edge(over, host))) for host in sorted(layer)])
        before = layer
    return out
