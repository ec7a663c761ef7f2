"""A policy written from traffic: it permits what was seen, and lists for review what no capture may permit.

Rows are merged only where the merged row means the same: neighbouring intervals, functions with the same targets, units
with the same rows, then servers and clients with the same rows.
"""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, NamedTuple

from otmon.model import OperationKey, OperationRecord, Target
from otmon.policy.addresses import broadcast_of, network_of, parse_hosts, point
from otmon.policy.chatter import is_chatter
from otmon.policy.functions import REGISTERED_PORTS, TWO_SIDED, is_function, reason_not_learned
from otmon.policy.intervals import Intervals, merge
from otmon.policy.learn_text import Conduit, networks, write_policy
from otmon.policy.models import OT_PROTOCOLS
from otmon.policy.rows import DATA_SPACES, span
from otmon.policy.zones import Realms

Pair = tuple[str, str, str]
"""Realm, client, server."""
Rows = dict["Learned", "Seen"]
ADDRESSES = "addresses"
"""Stands for the data space that a Modbus function implies."""


class Seen(NamedTuple):
    """Provenance of a row."""

    times: int
    first_ts_ns: int
    last_ts_ns: int

    def plus(self, other: "Seen") -> "Seen":
        """Both together."""
        first, last = min(self.first_ts_ns, other.first_ts_ns), max(self.last_ts_ns, other.last_ts_ns)
        return Seen(self.times + other.times, first, last)


class Learned(NamedTuple):
    """A row to be written. Each field is a set of alternatives; None: no limit."""

    protocol: str
    functions: tuple[str | int, ...] | None
    access: str | None
    units: Intervals | None
    master: int | None
    ports: Intervals | None
    targets: tuple[tuple[str, str | None, Intervals | None], ...] | None
    """(space, name, ranges)."""


class Draft(NamedTuple):
    """A learned policy, and what is in it."""

    text: str
    zones: int
    conduits: int
    rows: int
    """Of all conduits."""
    review: int
    """Rows that are for review."""


class _Line:
    """All that was seen of one function between two hosts, at one unit and port."""

    def __init__(self) -> None:
        self.spaces: dict[tuple[str, str | None], list[tuple[int, int]] | None] = {}
        self.ports: list[tuple[int, int]] | None = []
        self.seen: Seen | None = None

    def add(self, record: OperationRecord, addresses: bool) -> None:
        seen = Seen(record.counts.attempted, record.first_ts_ns, record.last_ts_ns)
        self.seen = seen if self.seen is None else self.seen.plus(seen)
        target = record.key.target
        if target is not None:
            self._touch(target, addresses)

    def _touch(self, target: Target, addresses: bool) -> None:
        plain = addresses and target.space in DATA_SPACES and target.name is None and target.start is not None
        space = (ADDRESSES if plain else target.space, target.name)
        if target.start is None:
            self.spaces[space] = None
        else:
            ranges = self.spaces.setdefault(space, [])
            if ranges is not None:
                ranges.append(span(target))

    def targets(self) -> tuple[tuple[str, str | None, Intervals | None], ...] | None:
        """Neighbours coalesced. Only unknown targets: no limit, there is nothing to set it by."""
        out = [(*space, None if ranges is None else merge(ranges)) for space, ranges in self.spaces.items()]
        return tuple(sorted(out, key=str)) or None


def learn(
    operations: Iterable[OperationRecord],
    *,
    site: str = "default",
    timezone: str = "UTC",
    names: Mapping[tuple[str, str], str] | None = None,
    realms: Realms | None = None,
) -> str:
    """The text of a policy that permits these operations, see `draft`."""
    return draft(operations, site=site, timezone=timezone, names=names, realms=realms).text


def draft(
    operations: Iterable[OperationRecord],
    *,
    site: str = "default",
    timezone: str = "UTC",
    names: Mapping[tuple[str, str], str] | None = None,
    realms: Realms | None = None,
) -> Draft:
    """A policy that permits these operations. `names` gives assets by (realm, address).

    `realms` must be those under which the operations were seen. Nothing is learned of values; operations that stop,
    program, restart or force are listed under `review` and stay denied.
    """
    everything = list(operations)
    hosts = {
        (record.key.realm, address)
        for record in everything
        for address in (record.key.client, record.key.server)
        if point(address) >= 0
    }
    records = [record for record in everything if _is_learned(record.key)]
    records.sort(key=lambda record: _order(record.key))
    spoken: set[tuple[Pair, str, int | None]] = set()
    for record in records:
        key = record.key
        if key.protocol in OT_PROTOCOLS and reason_not_learned(key) is None:
            spoken.add((key[:3], key.transport, key.port))
    lines: dict[tuple[Pair, str | None], dict[Learned, _Line]] = {}
    for record in records:
        key = record.key
        # The connection that carries a protocol is permitted by the protocol's rows.
        if key.function == "connect" and (key[:3], key.transport, key.port) in spoken:
            continue
        where = lines.setdefault((key[:3], reason_not_learned(key)), {})
        where.setdefault(_row(key), _Line()).add(record, key.protocol == "modbus")
    rows = {place: _merged(found) for place, found in lines.items()}
    conduits, review = _conduits(rows)
    text = write_policy(site, timezone, sorted(hosts), names or {}, realms or Realms(), conduits, review)
    zones = int(bool(networks(address for _, address in hosts)))
    counts = (sum(len(conduit.rows) for conduit in entries) for entries in (conduits, review))
    return Draft(text, zones, len(conduits), *counts)


def _is_learned(key: OperationKey) -> bool:
    client, server = point(key.client), point(key.server)
    if client < 0 or server < 0:
        return False
    if key.function_code is None and not is_function(key.protocol, key.function):
        # Neither name nor number that a row could give.
        return False
    broadcast = server == broadcast_of(*parse_hosts(network_of(key.server)))
    return not is_chatter(key, client, server, broadcast, True)


def _order(key: OperationKey) -> str:
    return str(key)


def _row(key: OperationKey) -> Learned:
    """The row of one operation, without its target."""
    port = None if key.port is None else ((key.port, key.port),)
    if key.protocol not in OT_PROTOCOLS:
        function = None if key.function == "connect" else (key.function,)
        return Learned(key.protocol, function, None, None, None, port if key.function == "connect" else None, None)
    code = key.function_code
    name = key.function if code is None or is_function(key.protocol, key.function) else code
    master, unit = key.unit if isinstance(key.unit, tuple) else (None, key.unit)
    return Learned(
        key.protocol,
        (name,),
        key.access if key.function in TWO_SIDED else None,
        None if unit is None else ((unit, unit),),
        master,
        None if key.port == REGISTERED_PORTS[key.protocol] else port,
        None,
    )


# --- merging ---------------------------------------------------------------------------------------------------------
def _merged(lines: Mapping[Learned, _Line]) -> Rows:
    rows: Rows = {}
    for row, line in lines.items():
        assert line.seen is not None
        rows[row._replace(targets=line.targets())] = line.seen
    for axis in ("functions", "units", "ports"):
        rows = _merge_axis(rows, axis)
    return dict(sorted(rows.items(), key=str))


def _merge_axis(rows: Mapping[Learned, Seen], axis: str) -> Rows:
    """Rows that differ in this field alone become one."""
    groups: dict[Hashable, list[tuple[Learned, Seen]]] = {}
    for row, seen in rows.items():
        value = getattr(row, axis)
        rest = row._replace(**{axis: None})  # type: ignore[arg-type] # every axis may be None
        groups.setdefault((rest, value is None), []).append((row, seen))
    out: Rows = {}
    for group in groups.values():
        row, seen = group[0]
        for _, more in group[1:]:
            seen = seen.plus(more)
        if getattr(row, axis) is not None:
            values = [item for other, _ in group for item in getattr(other, axis)]
            joined: Any = tuple(sorted(set(values), key=str)) if axis == "functions" else merge(values)
            row = row._replace(**{axis: joined})
        out[row] = seen
    return out


def _conduits(rows: Mapping[tuple[Pair, str | None], Rows]) -> tuple[list[Conduit], list[Conduit]]:
    """Servers, then clients, with the same rows share a conduit: those that permit, and those to review."""
    by_client: dict[tuple[str, str, str | None, tuple[Learned, ...]], list[tuple[str, Rows]]] = {}
    for ((realm, client, server), reason), found in sorted(rows.items(), key=str):
        by_client.setdefault((realm, client, reason, tuple(found)), []).append((server, found))
    by_servers: dict[tuple[str, tuple[str, ...], str | None, tuple[Learned, ...]], list[tuple[str, list[Rows]]]] = {}
    for (realm, client, reason, same), group in by_client.items():
        place = (realm, tuple(server for server, _ in group), reason, same)
        by_servers.setdefault(place, []).append((client, [found for _, found in group]))
    out: tuple[list[Conduit], list[Conduit]] = ([], [])
    for (realm, servers, reason, same), clients in by_servers.items():
        total: Rows = {}
        for row, seen in ((row, seen) for _, founds in clients for found in founds for row, seen in found.items()):
            total[row] = total[row].plus(seen) if row in total else seen
        conduit = Conduit(
            realm, [client for client, _ in clients], list(servers), reason, [(row, total[row]) for row in same]
        )
        out[reason is not None].append(conduit)
    return out
