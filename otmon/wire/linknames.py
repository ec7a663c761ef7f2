"""Numbers and names of tunnels, and of what the strippers do not look into."""

from typing import Final

from otmon.limits import MAX_LINK_LAYERS

IPV4: Final = 0x0800
IPV6: Final = 0x86DD

TUNNEL_NONE: Final = 0
TUNNEL_GRE: Final = 1
TUNNEL_ERSPAN_1: Final = 2
TUNNEL_ERSPAN_2: Final = 3
TUNNEL_ERSPAN_3: Final = 4
TUNNEL_VXLAN: Final = 5
TUNNEL_PSEUDOWIRE: Final = 6
TUNNEL_NAMES: Final = ("none", "gre", "erspan-i", "erspan-ii", "erspan-iii", "vxlan", "mpls-pseudowire")

REASON_ETHERTYPE: Final = 1
REASON_LINKTYPE: Final = 2
REASON_GRE: Final = 3
REASON_LAYERS: Final = 4
REASON_NESTED: Final = 5
REASON_MPLS: Final = 6
REASON_ERSPAN: Final = 7
REASON_IP_PROTOCOL: Final = 8
REASON_UDP_PORT: Final = 9
REASONS: Final = 16

UNSUPPORTED_ETHERTYPES: Final = {
    0x88E5: "MACsec",
    0x88E7: "provider backbone bridging",
    0x22F3: "TRILL",
    0x894F: "network service header",
    0x8926: "VN-Tag",
    0x893F: "802.1BR tag",
    0x8909: "Cisco metadata",
    0x6558: "bridged Ethernet",
    0x8870: "jumbo LLC",
}

IP_PROTOCOLS: Final = {
    2: "IGMP",
    4: "IP in IP",
    41: "IPv6 in IP",
    47: "GRE",
    50: "ESP",
    51: "AH",
    55: "minimal encapsulation",
    89: "OSPF",
    94: "IPIP",
    97: "EtherIP",
    98: "encapsulation header",
    103: "PIM",
    108: "IPComp",
    112: "VRRP",
    115: "L2TP",
    132: "SCTP",
    137: "MPLS in IP",
}
"""Names of some (IANA, Protocol Numbers)."""
CARRIERS: Final = (4, 41, 50, 51, 55, 94, 97, 98, 108, 115, 137)
"""IP protocols that carry packets, none of which is looked into."""
UDP_CARRIERS: Final = {
    1701: "L2TP",
    2152: "GTP-U",
    4500: "IPsec NAT traversal",
    4754: "GRE in UDP",
    4790: "VXLAN-GPE",
    6081: "Geneve",
    6635: "MPLS in UDP",
    8472: "VXLAN on port 8472",
}
"""UDP ports of tunnels that are not looked into (IANA, Service Names and Port Numbers; 8472: Linux's old default)."""


def describe(reason: int, what: int) -> str:
    """What a frame with LINK_UNSUPPORTED_LAYER was, from its slots L_REASON and L_WHAT."""
    if reason == REASON_ETHERTYPE:
        return f"{UNSUPPORTED_ETHERTYPES.get(what, 'ethertype')} (0x{what:04x})"
    return {
        REASON_LINKTYPE: f"linktype-{what}",
        REASON_GRE: f"GRE protocol 0x{what:04x}",
        REASON_LAYERS: f"more than {MAX_LINK_LAYERS} link layers",
        REASON_NESTED: "tunnel inside a tunnel",
        REASON_MPLS: "MPLS payload that is neither IP nor Ethernet",
        REASON_ERSPAN: f"ERSPAN version or frame type {what}",
        REASON_IP_PROTOCOL: f"IP protocol {what} ({IP_PROTOCOLS.get(what, 'a tunnel')})",
        REASON_UDP_PORT: f"UDP port {what} ({UDP_CARRIERS.get(what, 'a tunnel')})",
    }.get(reason, "unknown")
