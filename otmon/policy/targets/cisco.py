"""A policy as extended access lists of Cisco IOS: `otmon` for IPv4, `otmon6` for IPv6.

The lists keep no state. Replies of TCP pass by their ACK flag (`established`); those of anything else need a line of
their own, the other way round, which lets their sender begin as well.
"""

import ipaddress
from collections.abc import Iterator
from hashlib import sha256
from typing import Final

from otmon.policy.flows import EVERY, Flow, FlowRow, Loss, all_else, full, heading, networks, remarks
from otmon.policy.intervals import Intervals, size
from otmon.policy.judge import Policy

MAX_PAIRS: Final = 4096
"""Lines for the IPv6 networks of one flow; there are no object groups for them on every release."""
MAX_NUMBERS: Final = 64
"""IP protocols of one flow: each is a line."""
_REMARK_CHARS: Final = 100
_NO_STATE: Final = Loss("replies pass without a connection", "looser")


def write(policy: Policy, rows: list[FlowRow]) -> tuple[str, list[FlowRow]]:
    """Text for configuration mode, and the rows with what this target loses besides."""
    told = [all_else("TCP segments that have ACK set pass"), *map(_told, rows)]
    groups: dict[str, list[str]] = {}
    body: list[str] = []
    for version, name in ((4, "ip access-list extended otmon"), (6, "ipv6 access-list otmon6")):
        answers, lines = [], []
        for row in told:
            flows = [flow for flow in row.flows if flow.version == version and _fits(flow)]
            remark = [f" remark {line[:_REMARK_CHARS]}" for line in remarks(row)]
            lines += [*remark, *(f" {line}" for flow in flows for line in _lines(flow, row.permit, groups))]
            if row.permit:
                answers += [f" {line}" for flow in flows for line in _replies(flow, groups)]
        protocol = "ip" if version == 4 else "ipv6"
        body += [f"no {name}", name, " permit tcp any any established", " remark replies", *answers, *lines]
        body += [f" deny {protocol} any any", "!"]
    made = [line for name, members in sorted(groups.items()) for line in (f"object-group network {name}", *members)]
    return "\n".join([*(f"! {line}" for line in heading(policy, "cisco-acl")), *made, *body, ""]), told


def _told(row: FlowRow) -> FlowRow:
    more = []
    if row.permit and any(flow.transport != "tcp" for flow in row.flows):
        more.append(_NO_STATE)
    if not all(map(_fits, row.flows)):
        more.append(Loss("too many IPv6 networks or IP protocols for one row", "stricter" if row.permit else "looser"))
    return row._replace(losses=(*row.losses, *more))


def _fits(flow: Flow) -> bool:
    if flow.transport == "ip" and size(flow.ports) > MAX_NUMBERS:
        return False
    return flow.version == 4 or len(networks(6, flow.client)) * len(networks(6, flow.server)) <= MAX_PAIRS


def _lines(flow: Flow, permit: bool, groups: dict[str, list[str]]) -> Iterator[str]:
    for client in _hosts(flow.version, flow.client, groups):
        for server in _hosts(flow.version, flow.server, groups):
            for protocol, ports in _services(flow):
                yield f"{'permit' if permit else 'deny'} {protocol} {client} {server}{ports}"


def _replies(flow: Flow, groups: dict[str, list[str]]) -> Iterator[str]:
    if flow.transport == "tcp":
        return
    for client in _hosts(flow.version, flow.client, groups):
        for server in _hosts(flow.version, flow.server, groups):
            for protocol, ports in _services(flow):
                yield f"permit {protocol} {server}{ports} {client}"


def _services(flow: Flow) -> Iterator[tuple[str, str]]:
    """(protocol, port condition)."""
    if flow.transport == EVERY:
        yield "ip" if flow.version == 4 else "ipv6", ""
    elif flow.transport == "icmp":
        yield "icmp", ""
    elif flow.transport == "ip":
        yield from ((str(number), "") for low, high in flow.ports for number in range(low, high + 1))
    elif flow.ports == ((0, 0xFFFF),):
        yield flow.transport, ""
    else:
        for low, high in flow.ports:
            yield flow.transport, f" eq {low}" if low == high else f" range {low} {high}"


def _hosts(version: int, hosts: Intervals, groups: dict[str, list[str]]) -> list[str]:
    if hosts == full(version):
        return ["any"]
    found = networks(version, hosts)
    if version == 6:
        return [f"host {net.network_address}" if net.prefixlen == 128 else str(net) for net in found]
    if len(found) == 1:
        net = found[0]
        return [f"host {net.network_address}" if net.prefixlen == 32 else f"{net.network_address} {net.hostmask}"]
    name = "otmon-" + sha256(repr(hosts).encode()).hexdigest()[:12]
    groups[name] = [_member(net) for net in found]
    return [f"object-group {name}"]


def _member(net: ipaddress.IPv4Network | ipaddress.IPv6Network) -> str:
    host = net.num_addresses == 1
    return f" host {net.network_address}" if host else f" {net.network_address} {net.netmask}"
