"""A policy as rules of Suricata: `pass` for what is permitted, an alert for all else, one more for what is forbidden.

Suricata looks at `pass` before `alert`, so what is forbidden is taken out of what is permitted.
"""

from collections.abc import Collection, Iterator
from hashlib import sha256
from typing import Final

from otmon.policy.flows import (
    EVERY,
    NUMBERS,
    Flow,
    FlowRow,
    Loss,
    carved,
    covered,
    full,
    heading,
    networks,
    plain,
    remarks,
    rest_of,
)
from otmon.policy.intervals import Intervals
from otmon.policy.judge import Policy

FIRST_SID: Final = 1_000_000
_SIDS: Final = 900_000
"""The range that Suricata keeps for local rules."""
MAX_NETWORKS: Final = 64
"""On one side of a rule: a rule has at most 8,192 characters."""
_NO_DIRECTION: Final = Loss("protocols above IP but TCP, UDP and ICMP: either side may begin", "looser")
_OTHERS: Final = "ip_proto:!1; ip_proto:!6; ip_proto:!17; ip_proto:!58;"


def write(policy: Policy, rows: list[FlowRow]) -> tuple[str, list[FlowRow]]:
    """Text of a rule file, and the rows with what this target loses besides."""
    passing = {row.row: row.flows for row in carved(rows)}
    told = [_told(row, passing[row.row]) if row.permit else row for row in rows]
    sids = _Sids()
    lines = [f"# {line}" for line in heading(policy, "suricata")]
    for row in told:
        lines += [f"# {line}" for line in remarks(row)]
        for flow in passing[row.row] if row.permit else row.flows:
            lines += _rules(flow, row, sids)
    text = "otmon - no row permits this connection"
    lines += ["# all else", f'alert ip any any -> any any (msg:"{text}"; flow:to_server; {sids.next("")})']
    lines.append(f'alert ip any any -> any any (msg:"{text}"; {_OTHERS} {sids.next("")})')
    return "\n".join([*lines, ""]), told


def _told(row: FlowRow, flows: Collection[Flow]) -> FlowRow:
    """`flows`: what is written of it."""
    others = [flow._replace(transport="ip", ports=NUMBERS) if flow.transport == EVERY else flow for flow in flows]
    others = [flow for flow in others if flow.transport == "ip"]
    one_way = any(not covered(flow._replace(client=flow.server, server=flow.client), others) for flow in others)
    return row._replace(losses=(*row.losses, _NO_DIRECTION)) if one_way else row


class _Sids:
    """Numbers that a row keeps when other rows come and go."""

    def __init__(self) -> None:
        self._taken: set[int] = set()

    def next(self, name: str) -> str:
        number = int.from_bytes(sha256(name.encode()).digest()[:4]) % _SIDS
        while number in self._taken:
            number = (number + 1) % _SIDS
        self._taken.add(number)
        return f"sid:{FIRST_SID + number}; rev:1;"


def _rules(flow: Flow, row: FlowRow, sids: _Sids) -> Iterator[str]:
    verb, noun = ("pass", "row") if row.permit else ("alert", "never")
    for client in _hosts(flow.version, flow.client):
        for server in _hosts(flow.version, flow.server):
            for protocol, ports, option in _services(flow):
                arrow = "<>" if row.permit and protocol == "ip" else "->"
                message = f'msg:"otmon - {noun} {plain(row.row, 100)}"; {option}{sids.next(row.row)}'
                yield f"{verb} {protocol} {client} any {arrow} {server} {ports} ({message})"


def _services(flow: Flow) -> Iterator[tuple[str, str, str]]:
    """(protocol, ports, options). Of a connection only what its client sends is looked at."""
    if flow.transport in ("tcp", "udp", EVERY):
        ports = ",".join(str(low) if low == high else f"{low}:{high}" for low, high in flow.ports)
        whole = flow.transport == EVERY or flow.ports == ((0, 0xFFFF),)
        for protocol in ("tcp", "udp") if flow.transport == EVERY else (flow.transport,):
            yield protocol, "any" if whole else f"[{ports}]", "flow:to_server; "
    if flow.transport in ("icmp", EVERY):
        yield "icmp", "any", "flow:to_server; "
    if flow.transport == EVERY:
        yield "ip", "any", f"{_OTHERS} "
    elif flow.transport == "ip":
        absent = _each(rest_of(flow.ports))
        if len(absent) < 128:
            yield "ip", "any", "".join(f"ip_proto:!{number}; " for number in absent)
        else:
            yield from (("ip", "any", f"ip_proto:{number}; ") for number in _each(flow.ports))


def _each(ports: Intervals) -> list[int]:
    return [number for low, high in ports for number in range(low, high + 1)]


def _hosts(version: int, hosts: Intervals) -> list[str]:
    every = ["0.0.0.0/0" if version == 4 else "::/0"]
    found = every if hosts == full(version) else [_network(str(net)) for net in networks(version, hosts)]
    return [f"[{','.join(found[at : at + MAX_NETWORKS])}]" for at in range(0, len(found), MAX_NETWORKS)]


def _network(text: str) -> str:
    return text.removesuffix("/32") if "." in text else text.removesuffix("/128")
