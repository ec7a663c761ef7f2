"""A policy as a script of Zeek: a notice for each connection that no row permits, or that a row forbids."""

from typing import Final

from otmon.policy.flows import EVERY, Flow, FlowRow, all_else, full, heading, networks, plain, remarks
from otmon.policy.intervals import Intervals
from otmon.policy.judge import Policy

_TOP: Final = """\
@load base/frameworks/notice

module Otmon;

export {
  redef enum Notice::Type += { Not_Permitted };
  type Flow: record {
    row: string;
    permit: bool;
    clients: set[subnet];
    servers: set[subnet];
    proto: transport_proto;
    low: count;
    high: count;
  };
}

# The first that fits decides.
global flows: vector of Flow = vector("""
_BOTTOM: Final = """\
);

event new_connection(c: connection)
  {
  local proto = get_port_transport_proto(c$id$resp_p);
  local number = port_to_count(c$id$resp_p);
  local said = "no row permits this connection";
  if ( proto != tcp && proto != udp && proto != icmp )
    return;
  for ( i in flows )
    {
    local flow = flows[i];
    if ( flow$proto == proto && c$id$orig_h in flow$clients && c$id$resp_h in flow$servers
         && (proto == icmp || (flow$low <= number && number <= flow$high)) )
      {
      if ( flow$permit )
        return;
      said = fmt("row %s forbids this connection", flow$row);
      break;
      }
    }
  NOTICE([$note=Not_Permitted, $msg=said, $conn=c,
          $identifier=cat(c$id$orig_h, c$id$resp_h, c$id$resp_p)]);
  }
"""
_NO_OTHERS: Final = "IP protocols but TCP, UDP and ICMP are not looked at"


def write(policy: Policy, rows: list[FlowRow]) -> tuple[str, list[FlowRow]]:
    """Text of a script, and the rows with what this target loses besides."""
    told = [all_else(_NO_OTHERS), *rows]
    body = []
    for row in told:
        body += [f"  # {line}" for line in remarks(row)]
        body += [f"  {item}," for flow in row.flows for item in _items(flow, row)]
    if (last := max((n for n, line in enumerate(body) if line.endswith("),")), default=None)) is not None:
        body[last] = body[last][:-1]
    return "\n".join([*(f"# {line}" for line in heading(policy, "zeek")), _TOP, *body, _BOTTOM]), told


def _items(flow: Flow, row: FlowRow) -> list[str]:
    services = {"ip": (), EVERY: ("tcp", "udp", "icmp")}.get(flow.transport, (flow.transport,))
    sides = f"$clients={_hosts(flow.version, flow.client)}, $servers={_hosts(flow.version, flow.server)}"
    permit = "T" if row.permit else "F"
    return [
        f'Flow($row="{plain(row.row)}", $permit={permit}, {sides}, $proto={service}, $low={low}, $high={high})'
        for service in services
        for low, high in (flow.ports if service == flow.transport != "icmp" else ((0, 0xFFFF),))
    ]


def _hosts(version: int, hosts: Intervals) -> str:
    every = ["0.0.0.0/0" if version == 4 else "[::]/0"]
    found = every if hosts == full(version) else [_subnet(str(net)) for net in networks(version, hosts)]
    return f"set({', '.join(found)})"


def _subnet(text: str) -> str:
    address, _, bits = text.partition("/")
    return f"{text}" if "." in address else f"[{address}]/{bits}"
