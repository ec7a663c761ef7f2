"""What office systems say to everybody, so that it does not drown what matters: broadcast, multicast, discovery."""

from typing import Final

from otmon.model import OperationKey
from otmon.policy.addresses import is_group, is_local
from otmon.wire.linknames import CARRIERS

DISCOVERY_PORTS: Final = frozenset({67, 68, 137, 138, 546, 547, 1900, 3702, 5353, 5355})
"""UDP: DHCP, NetBIOS name and datagram service, DHCPv6, SSDP, WS-Discovery, mDNS, LLMNR."""


CHATTY: Final = frozenset({"udp", "icmp", "ip"})
"""Plain protocols that can be said to everybody."""


def is_chatter(op: OperationKey, client: int, server: int, broadcast: bool, same_zone: bool) -> bool:
    """Plain traffic to a group, or a discovery protocol within a link or zone.

    Never an OT protocol: a write that is broadcast is a write. Never discovery ports across zones, where they would be
    a way around the policy. `client` and `server` are points, `broadcast`: the server is a network's broadcast address.
    """
    if op.protocol not in CHATTY or op.function != "connect":
        return False
    if op.protocol == "ip" and op.port in CARRIERS:
        return False  # what a tunnel carries is not said to everybody
    if server >= 0 and (broadcast or is_group(server)):
        return True
    if op.protocol == "icmp":
        return is_local(client) or is_local(server)
    return op.protocol == "udp" and op.port in DISCOVERY_PORTS and (same_zone or is_local(client) or is_local(server))
