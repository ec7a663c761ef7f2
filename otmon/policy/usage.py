"""What of a policy was ever used: for each row the operations that it permitted, as far as they are remembered.

An operation is kept with its first and last time: a row with a window counts as used if it was open at
any time between. Values are not kept, so nothing is said of them.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from otmon.model import OperationKey
from otmon.policy.addresses import hosts_text, point
from otmon.policy.fields import Limit
from otmon.policy.functions import triples
from otmon.policy.intervals import Intervals, both, merge, overlaps, without
from otmon.policy.judge import Cover, Policy, Rule
from otmon.policy.models import PLAIN_PROTOCOLS
from otmon.policy.permits import row_of
from otmon.policy.replay import Groups, Seen
from otmon.policy.rows import DATA_SPACES, Row, Space, names_function, part, span, touches
from otmon.policy.values import Permit, covering
from otmon.policy.windows import Window
from otmon.policy.wording import functions_text, limits_text, listed, ranges_text

_MANY: Final = 1024
"""Ranges that are gathered before they are merged."""


class Used:
    """What was used of one row."""

    def __init__(self) -> None:
        self.clients: set[int] = set()
        self.servers: set[int] = set()
        self.functions: set[str] = set()
        self.units: set[int] = set()
        """Modbus units or DNP3 outstations."""
        self.masters: set[int] = set()
        self.ports: set[int] = set()
        self._targets: dict[Space, list[tuple[int, int]]] = {}
        self._whole: set[Space] = set()
        """Spaces that were touched as a whole, or without an order."""

    def add(self, op: OperationKey, seen: Seen, ranges: Intervals | None) -> None:
        """One operation; `ranges`: what the row permits of its space."""
        self.clients.add(point(op.client))
        self.servers.add(point(op.server))
        self.functions.add(op.function)
        if isinstance(op.unit, tuple):
            self.masters.add(op.unit[0])
            self.units.add(op.unit[1])
        elif op.unit is not None:
            self.units.add(op.unit)
        if op.port is not None:
            self.ports.add(op.port)
        target = seen.target
        if target is None:
            return
        space = (target.space, target.name)
        if target.start is None:
            self._whole.add(space)
            return
        known = self._targets.setdefault(space, [])
        known += [span(target)] if ranges is None else both(ranges, (span(target),))
        if len(known) > _MANY:
            self._targets[space] = list(merge(known))

    def limits(self) -> list[Limit]:
        """All that was touched."""
        spaces = [*self._whole, *(space for space in self._targets if space not in self._whole)]
        return [
            Limit(
                space,
                None if (space, name) in self._whole else merge(self._targets[space, name]),
                None if name is None else frozenset({name}),
            )
            for space, name in sorted(spaces, key=str)
        ]

    def targets(self, spaces: tuple[str, ...], name: str | None) -> Intervals | None:
        """What was touched of these spaces (name None: whatever it is called); None: one of them as a whole."""
        if any(space in spaces and name in (None, other) for space, other in self._whole):
            return None
        return merge(
            pair
            for (space, other), known in self._targets.items()
            if space in spaces and name in (None, other)
            for pair in known
        )


class Usage:
    """Which rows were used, and who was seen at all."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.rows: dict[str, Used] = {}
        """By their ids as the file has them: what was done under a permit is done by the row that needs it."""
        self.hosts: set[int] = set()
        """Addresses seen, as numbers."""

    def run(self, groups: Groups) -> None:
        """Look at all of these operations."""
        policy = self._policy
        for op, seen in groups:
            self.hosts.update((point(op.client), point(op.server)))
            cover = policy.cover_while(op, policy.windows_between(op))
            named = [permit for permit in cover.permits if _is_named(permit[0], op)]
            for item in seen if named else ():
                self._count(op, item, cover, named)

    def look_at(self, addresses: Iterable[str]) -> None:
        """Hosts that were seen, whatever they did."""
        self.hosts.update(map(point, addresses))

    def _count(self, op: OperationKey, seen: Seen, cover: Cover, named: list[Permit]) -> None:
        target = seen.target
        if any(touches(row, target) and _always(row.window, seen) for row in cover.never):
            return
        if (
            target is not None
            and covering([permit for permit in cover.permits if _ever(permit[0].window, seen)], target) is None
        ):
            return
        for row, parts in named:
            ranges = None if parts is None or target is None else part(parts, target)
            inside = target is None or ranges is None or (target.start is not None and overlaps(ranges, *span(target)))
            if inside and _ever(row.window, seen):
                self.rows.setdefault(row_of(row.id), Used()).add(op, seen, ranges)


def _is_named(row: Row, op: OperationKey) -> bool:
    return row.protocol == op.protocol and names_function(row, op)


def _always(window: Window | None, seen: Seen) -> bool:
    return window is None or (window.open(seen.first_ts_ns) and window.open(seen.last_ts_ns))


def _ever(window: Window | None, seen: Seen) -> bool:
    return window is None or window.open(seen.first_ts_ns) or window.next_change(seen.first_ts_ns) <= seen.last_ts_ns


# --- narrower ---------------------------------------------------------------------------------------------------------
def broad(rule: Rule, row: Row, used: Used) -> dict[str, dict[str, str]]:
    """By key of the row: what it allows, and what of that was used; only keys that could be tighter."""
    return {key: {"allows": allows, "used": was} for key, allows, was in _looser(rule, row, used)}


def _looser(rule: Rule, row: Row, used: Used) -> Iterator[tuple[str, str, str]]:
    if row.protocol not in PLAIN_PROTOCOLS and _could(row) - used.functions:
        yield "functions", functions_text(row), listed(sorted(used.functions), str)
    yield from _targets(row, used)
    numbers = {
        "units": (row.units, used.units, row.protocol == "modbus"),
        "master": (row.masters, used.masters, row.protocol == "dnp3"),
        "outstation": (row.outstations, used.units, row.protocol == "dnp3"),
        "ports": (row.ports, used.ports, row.protocol in ("tcp", "udp", "ip") or row.ports is not None),
    }
    for key, (allowed, was, concerns) in numbers.items():
        if concerns and without(allowed or ((0, 0xFFFF),), _points(was)):
            yield key, "any" if allowed is None else ranges_text(allowed), ranges_text(_points(was)) or "none"
    for key, hosts, text, points in (
        ("from", rule.from_hosts, rule.from_text, used.clients),
        ("to", rule.to_hosts, rule.to_text, used.servers),
    ):
        allowed = merge(pair for some in hosts for pair in some.ranges)
        if any(some.outside for some in hosts) or without(allowed, _points(points)):
            yield key, text, listed(hosts_text(_points(points)), str)


def _could(row: Row) -> set[str]:
    """Functions that the row names."""
    return {
        triple[1]
        for triple in triples(row.protocol)
        if names_function(row, OperationKey("", "", "", "", None, row.protocol, None, *triple, None))
    }


def _points(numbers: set[int]) -> Intervals:
    return merge((number, number) for number in numbers)


def _targets(row: Row, used: Used) -> Iterator[tuple[str, str, str]]:
    if row.targets is None or row.parts is None:
        if was := used.limits():
            yield "targets", "any", limits_text(was, None)
        return
    # `addresses` stands for four spaces, of which a device may have one.
    data = {row.parts.get((space, None), ()) for space in DATA_SPACES}
    together = len(data) == 1 and data != {()}
    spaces: list[tuple[tuple[str, ...], str | None, Intervals | None]] = [
        ((space,), name, ranges) for (space, name), ranges in row.parts.items()
    ]
    if together:
        spaces = [item for item in spaces if item[0][0] not in DATA_SPACES]
        spaces.append((DATA_SPACES, None, data.pop()))
    looser = False
    for names, name, ranges in spaces:
        touched = used.targets(names, name)
        looser |= touched is not None and (ranges is None or bool(without(ranges, touched)))
    if looser:
        yield "targets", limits_text(row.targets, None), limits_text(used.limits(), None) or "none that is known"
