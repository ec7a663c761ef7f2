"""A policy as a table of nftables (nft(8)) for a host that forwards: first what is forbidden, then what is permitted.

Connection tracking lets replies and related ICMP errors through.
"""

from otmon.policy.flows import EVERY, Flow, FlowRow, all_else, full, heading, plain, ranges, remarks
from otmon.policy.intervals import Intervals
from otmon.policy.judge import Policy

_TOP = """\
table inet otmon
delete table inet otmon
table inet otmon {
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept"""
_FAMILY = {4: ("ip", "ipv4", "icmp"), 6: ("ip6", "ipv6", "ipv6-icmp")}


def write(policy: Policy, rows: list[FlowRow]) -> tuple[str, list[FlowRow]]:
    """Text for `nft -f`, and the rows with what this target loses besides."""
    rows = [all_else("ICMP errors about permitted connections pass"), *rows]
    lines = [f"# {line}" for line in heading(policy, "nftables")] + [_TOP]
    for row in rows:
        lines += [f"    # {line}" for line in remarks(row)]
        lines += [f"    {_rule(flow, row)}" for flow in row.flows]
    return "\n".join([*lines, "  }", "}", ""]), rows


def _rule(flow: Flow, row: FlowRow) -> str:
    family, nfproto, icmp = _FAMILY[flow.version]
    parts = [
        f"{family} {side} {_set(ranges(flow.version, hosts))}"
        for side, hosts in (("saddr", flow.client), ("daddr", flow.server))
        if hosts != full(flow.version)
    ] or [f"meta nfproto {nfproto}"]
    if flow.transport in ("tcp", "udp"):
        whole = flow.ports == ((0, 0xFFFF),)
        parts.append(f"meta l4proto {flow.transport}" if whole else f"{flow.transport} dport {_numbers(flow.ports)}")
    elif flow.transport != EVERY:
        parts.append(f"meta l4proto {icmp if flow.transport == 'icmp' else _numbers(flow.ports)}")
    return " ".join([*parts, "accept" if row.permit else "drop", f'comment "{plain(row.row, 100)}"'])


def _set(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{{ {', '.join(items)} }}"


def _numbers(ports: Intervals) -> str:
    return _set([str(low) if low == high else f"{low}-{high}" for low, high in ports])
