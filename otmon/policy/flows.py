"""What a policy means to a device that sees connections alone: who may open which port of whom, row by row.

A firewall or another monitor sees neither functions nor units, addresses, values or realms. What a row loses on the
way is told with it, and whether the result permits more than the row (`looser`) or less (`stricter`).
"""

import ipaddress
from collections.abc import Iterable, Iterator
from string import ascii_letters, digits
from typing import Final, Literal, NamedTuple
from urllib.parse import quote

from otmon.policy import space
from otmon.policy.addresses import IPV6_BASE, MAC_BASE, hosts_text
from otmon.policy.axes import Axes, Side
from otmon.policy.difference_report import CAUSES
from otmon.policy.intervals import Intervals, both, merge, without
from otmon.policy.judge import Policy
from otmon.policy.models import OT_PROTOCOLS
from otmon.policy.permitted import CONNECT, Permit, permitted
from otmon.policy.phrases import Phrases
from otmon.policy.rows import Row
from otmon.policy.space import Box, subtract_all, union
from otmon.policy.wording import functions_text, limits_text, ports_text, units_text, values_text

Effect = Literal["looser", "stricter"]
PORTS: Final[Intervals] = ((0, 0xFFFF),)
NUMBERS: Final[Intervals] = ((0, 0), (2, 5), (7, 16), (18, 57), (59, 255))
"""IP protocols that are neither ICMP, TCP, UDP nor ICMPv6."""
_VALID: Final = {"tcp": PORTS, "udp": PORTS, "icmp": ((0, 0),), "ip": NUMBERS}
_FAMILIES: Final = ((0, IPV6_BASE - 1), (IPV6_BASE, MAC_BASE - 1))
EVERY: Final = "any"
"""Transport of a flow of all protocols and ports."""
_STRETCH: Final = 1 << 16
"""Each transport has a stretch of one axis where flows are subtracted from each other."""


class Loss(NamedTuple):
    """What of a row the target cannot say."""

    what: str
    effect: Effect


class Flow(NamedTuple):
    """Connections from any of the clients to any of the servers, of one address family."""

    version: int
    """4 or 6."""
    client: Intervals
    """Addresses as numbers of that family."""
    server: Intervals
    transport: str
    """tcp, udp, icmp, ip, or EVERY."""
    ports: Intervals
    """Of tcp and udp; protocol numbers of ip."""


class FlowRow(NamedTuple):
    """One row of the policy. A row without flows is there for its losses."""

    row: str
    permit: bool
    flows: tuple[Flow, ...]
    losses: tuple[Loss, ...]


def flow_rows(policy: Policy, windows: bool = False) -> list[FlowRow]:
    """What forbids first, then what permits, each in the order of the file; then rows that never permit.

    `windows`: rows that permit at times are written as if they always did; else they are left out. Rows that need a
    permit always are.
    """
    axes = Axes([policy])
    boxes = permitted(policy, axes)
    phrases = Phrases(axes, policy)
    groups: dict[tuple[str, bool], list[Permit]] = {}
    for permit in (*boxes.never, *boxes.permits):
        name = permit.row.id if permit.row is not None else CAUSES[permit.because]
        groups.setdefault((name, permit.because != "never"), []).append(permit)
    rows = [_flow_row(name, permits, found, axes, phrases, windows) for (name, permits), found in groups.items()]
    return [*rows, *_never_open(policy, {name for name, _ in groups})]


def _never_open(policy: Policy, written: set[str]) -> Iterator[FlowRow]:
    """Rows that have no moment: they would go unmentioned."""
    rows = {row.id: row for rule in policy.conduits.rules for row in rule.rows}
    for row in rows.values():
        if row.window is not None and row.id not in written:
            yield FlowRow(row.id, True, (), (Loss(f"only {row.window.text()}: never; left out", "stricter"),))


def _flow_row(name: str, permits: bool, found: list[Permit], axes: Axes, phrases: Phrases, windows: bool) -> FlowRow:
    sides = [Side(*permit.box) for permit in found]
    row = found[0].row
    losses = list(_limits(row)) if row is not None and row.protocol in OT_PROTOCOLS else []
    realms = [side.realm for side in sides if side.realm != axes.all.realm]
    if realms:
        losses.append(f"only in realm {phrases.realms(merge(pair for found in realms for pair in found))}")
    times = [side.time for side in sides if side.time != axes.all.time]
    if times:
        window = row.window if row is not None else None
        when = window.text() if window is not None else phrases.times(times[0])
        if permits and (not windows or (row is not None and row.needs_permit)):
            # To let it pass at all times would be what its window is there to prevent.
            return FlowRow(name, True, (), (Loss(f"only {when}; left out", "stricter"),))
        losses.append(f"only {when}")
    said = Loss("; ".join(losses), "looser")
    if not permits and losses:
        # Forbidding more than the row does would cut off what the policy permits.
        return FlowRow(name, False, (), (said._replace(what=f"forbids {said.what}"),))
    flows = [flow for side in sides for flow in _flows(side, axes)]
    told = [said] if losses else []
    if row is not None and any(_has_mac(side) for side in sides):
        told.append(Loss("hosts named by their MAC", "stricter" if permits else "looser"))
    if row is not None and not flows and not (told and told[-1].effect == "stricter"):
        told = [Loss(f"{functions_text(row)}: no connection belongs to it", "stricter" if permits else "looser")]
    return FlowRow(name, permits, tuple(_joined(flows)), tuple(told))


def _limits(row: Row) -> Iterator[str]:
    """What connections do not show: that it is this protocol at all, and what of it."""
    yield f"{row.protocol}: {functions_text(row)}"
    if units_text(row):
        yield units_text(row)
    if row.targets is not None:
        yield limits_text(row.targets, None)
    if row.values is not None:
        yield f"values {values_text(row.values)}"
    if row.points is not None and row.limited:
        yield "values, steps and rates of named points"
    if row.ports is not None:
        yield ports_text(row)


def _has_mac(side: Side) -> bool:
    """Some MACs, not all."""
    every = ((MAC_BASE, MAC_BASE + (1 << 48) - 1),)
    return any(both(hosts, every) not in ((), every) for hosts in (side.client, side.server))


def _flows(side: Side, axes: Axes) -> Iterator[Flow]:
    for transport, valid in _VALID.items():
        if not both(side.function, axes.function_set([(transport, CONNECT)])):
            continue
        ports = valid if transport == "icmp" else both(side.port, valid)
        for version, (first, last) in zip((4, 6), _FAMILIES, strict=True):
            client, server = (_within(hosts, first, last) for hosts in (side.client, side.server))
            if ports and client and server:
                yield Flow(version, client, server, transport, ports)


def _within(hosts: Intervals, first: int, last: int) -> Intervals:
    return tuple((low - first, high - first) for low, high in both(hosts, ((first, last),)))


# --- algebra ---------------------------------------------------------------------------------------------------------
_ORDER: Final = tuple(_VALID)
_ALL: Final = merge(
    (n * _STRETCH + low, n * _STRETCH + high) for n, valid in enumerate(_VALID.values()) for low, high in valid
)


def _box(flow: Flow) -> Box:
    services = _ALL
    if flow.transport != EVERY:
        base = _ORDER.index(flow.transport) * _STRETCH
        services = tuple((base + low, base + high) for low, high in flow.ports)
    return ((flow.version,) * 2,), flow.client, flow.server, services


def _unboxed(box: Box) -> Iterator[Flow]:
    ((version, _),), client, server, services = box
    if services == _ALL:
        yield Flow(version, client, server, EVERY, ())
        return
    for number, transport in enumerate(_ORDER):
        base = number * _STRETCH
        inside = both(services, ((base, base + _STRETCH - 1),))
        if inside:
            ports = tuple((low - base, high - base) for low, high in inside)
            yield Flow(version, client, server, transport, ports)


def _joined(flows: Iterable[Flow]) -> list[Flow]:
    """The same connections, in fewer flows."""
    boxes = union(map(_box, flows))
    return [flow for box in sorted(boxes) for flow in _unboxed(box)]


def covered(flow: Flow, flows: Iterable[Flow]) -> bool:
    """All of its connections are among theirs."""
    return space.covered(_box(flow), list(map(_box, flows)))


def carved(rows: Iterable[FlowRow]) -> list[FlowRow]:
    """As much without order: what is forbidden is taken out of what is permitted. What permits alone is given."""
    denied: list[Box] = []
    out = []
    for row in rows:
        if not row.permit:
            denied += map(_box, row.flows)
            continue
        left = [box for flow in row.flows for box in subtract_all(_box(flow), denied) or ()]
        out.append(row._replace(flows=tuple(flow for box in sorted(union(left)) for flow in _unboxed(box))))
    return out


# --- words -----------------------------------------------------------------------------------------------------------
def full(version: int) -> Intervals:
    """Every address of a family."""
    return ((0, (1 << (32 if version == 4 else 128)) - 1),)


def ranges(version: int, hosts: Intervals) -> list[str]:
    """Each an address, a network, or first-last."""
    base = IPV6_BASE if version == 6 else 0
    return hosts_text(tuple((low + base, high + base) for low, high in hosts))


def networks(version: int, hosts: Intervals) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """The fewest networks that are the same set."""
    make: type[ipaddress.IPv4Address] | type[ipaddress.IPv6Address] = (
        ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
    )
    return [net for low, high in hosts for net in ipaddress.summarize_address_range(make(low), make(high))]


def plain(text: str, most: int = 400, more: str = "") -> str:
    """For strings of any target: letters, digits and a few signs (and `more`); all else as %XX of its UTF-8."""
    safe = _PLAIN | frozenset(more)
    out = "".join(c if c in safe else quote(c, safe="", errors="backslashreplace") for c in text[:most])
    return out if len(text) <= most else out + "..."


_PLAIN: Final = frozenset(ascii_letters + digits + " ._-/,=+()@")
_COMMENT: Final = ":;"


def all_else(what: str) -> FlowRow:
    """A loss that is no row's: of what no row permits."""
    return FlowRow("all else", False, (), (Loss(what, "looser"),))


def rest_of(ports: Intervals) -> Intervals:
    """IP protocol numbers that are not among these."""
    return without(((0, 255),), ports)


def heading(policy: Policy, target: str) -> list[str]:
    """First lines of every output."""
    return [
        f"otmon policy compile --to {target}",
        f"policy {plain(policy.path)}, site {plain(policy.site)}, sha256 {policy.sha256}",
        "Connections alone: what a row says beyond them is lost, and told beside it.",
    ]


def remarks(row: FlowRow) -> list[str]:
    """Comments before the lines of a row."""
    if row.row == "all else":
        return [f"{loss.effect}: {loss.what}" for loss in row.losses]
    lines = [f"{'row' if row.permit else 'never'} {plain(row.row, more=_COMMENT)}"]
    return lines + [f"  {loss.effect}: {plain(loss.what, more=_COMMENT)}" for loss in row.losses]
