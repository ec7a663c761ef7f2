"""Frames with every link layer and tunnel, crafted with scapy, and what the strippers must say of each."""

import struct

from scapy.contrib.erspan import ERSPAN_II, ERSPAN_III
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, GRE, LLC, SNAP, Dot1AD, Dot1Q, Ether
from scapy.layers.ppp import PPP, PPPoE
from scapy.layers.vxlan import VXLAN

OUT, IN = "02:00:00:00:00:01", "02:00:00:00:00:02"
ETHER = Ether(src=OUT, dst="ff:ff:ff:ff:ff:ff")
INNER = Ether(src=IN, dst="02:00:00:00:00:99")
IP4 = IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=502, dport=40000) / b"payload here"
IP6 = IPv6(src="2001:db8::1", dst="2001:db8::2") / TCP(dport=502) / b"payload here"
FAR = IP(src="192.0.2.1", dst="192.0.2.2")
FAR6 = IPv6(src="2001:db8:ffff::1", dst="2001:db8:ffff::2")


def hsr(ethertype, payload):
    return Ether(src=OUT, type=0x892F) / (struct.pack(">HHH", 0x1000 | len(payload) + 6, 7, ethertype) + bytes(payload))


def prp(frame, behind=14, lan=0xA):
    """With a redundancy control trailer; `behind` bytes of Ethernet header and tags do not count in its size."""
    data = bytes(frame)
    return data + struct.pack(">HHH", 99, lan << 12 | len(data) - behind + 6, 0x88FB)


def snap(payload):
    behind = LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0, code=0x0800) / payload
    return Ether(src=OUT, type=len(behind)) / behind


def erspan_1(inner):
    return ETHER / FAR / GRE(proto=0x88BE) / inner


def erspan_3(inner, platform=False, kind=0):
    head = bytes(ERSPAN_III())[:12]
    tail = struct.unpack(">H", head[10:12])[0] & 0x83FE | kind << 10 | platform
    head = bytes([0x20 | head[0] & 15]) + head[1:10] + struct.pack(">H", tail) + bytes(8 * platform)
    return ETHER / FAR / GRE(proto=0x22EB, seqnum_present=1, seqence_number=1) / (head + bytes(inner))


IP_1 = {"code": "ip", "src": "10.0.0.1", "mac": OUT}
IP_6 = {"code": "ip", "src": "2001:db8::1", "mac": OUT}
IP_IN = {"code": "ip", "src": "10.0.0.1", "mac": IN}
BARE = {"code": "ip", "src": "10.0.0.1"}

CASES = {
    "ipv4": (ETHER / IP4, IP_1),
    "ipv6": (ETHER / IP6, IP_6),
    "udp": (ETHER / IP(src="10.0.0.1") / UDP(dport=20000) / b"x", IP_1),
    "ipv4 of one byte": (ETHER / IP(src="10.0.0.1", proto=253) / b"x", IP_1),
    "802.1q": (ETHER / Dot1Q(vlan=10) / IP4, {**IP_1, "vlans": [10]}),
    "802.1q ipv6": (ETHER / Dot1Q(vlan=10) / IP6, {**IP_6, "vlans": [10]}),
    "priority tag": (ETHER / Dot1Q(vlan=0, prio=6) / IP4, IP_1),
    "qinq": (ETHER / Dot1AD(vlan=20) / Dot1Q(vlan=30) / IP4, {**IP_1, "vlans": [20, 30]}),
    "qinq old": (Ether(src=OUT, type=0x9100) / Dot1Q(vlan=21) / Dot1Q(vlan=31) / IP4, {**IP_1, "vlans": [21, 31]}),
    "two 802.1q": (ETHER / Dot1Q(vlan=1) / Dot1Q(vlan=2) / IP6, {**IP_6, "vlans": [1, 2]}),
    "three tags": (ETHER / Dot1Q(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3) / IP4, {**IP_1, "vlans": [1, 2]}),
    "priority tag and vlan": (ETHER / Dot1Q(vlan=0) / Dot1Q(vlan=5) / IP4, {**IP_1, "vlans": [5]}),
    "prp": (prp(ETHER / IP4), IP_1),
    "prp, tagged": (prp(ETHER / Dot1Q(vlan=9) / IP4, 18, 0xB), {**IP_1, "vlans": [9]}),
    "hsr": (hsr(0x0800, IP4), IP_1),
    "hsr with vlan": (hsr(0x8100, Dot1Q(vlan=7) / IP4), {**IP_1, "vlans": [7]}),
    "vlan with hsr": (
        Ether(src=OUT) / Dot1Q(vlan=7, type=0x892F) / bytes(hsr(0x0800, IP4))[14:],
        {**IP_1, "vlans": [7]},
    ),
    "mpls": (ETHER / MPLS(label=16, s=1) / IP4, IP_1),
    "mpls, three labels, ipv6": (ETHER / MPLS(label=1, s=0) / MPLS(label=2, s=0) / MPLS(label=3, s=1) / IP6, IP_6),
    "mpls pseudowire": (
        ETHER / MPLS(label=16, s=1) / (bytes(4) + bytes(INNER / Dot1Q(vlan=4) / IP4)),
        {**IP_IN, "vlans": [4], "tunnel": "mpls-pseudowire"},
    ),
    "pppoe": (ETHER / PPPoE(sessionid=1) / PPP(proto=0x21) / IP4, IP_1),
    "pppoe ipv6": (ETHER / Dot1Q(vlan=6) / PPPoE(sessionid=1) / PPP(proto=0x57) / IP6, {**IP_6, "vlans": [6]}),
    "snap": (snap(IP4), IP_1),
    "gre": (ETHER / FAR / GRE() / IP4, {**BARE, "tunnel": "gre"}),
    "gre ipv6": (ETHER / FAR / GRE() / IP6, {"code": "ip", "src": "2001:db8::1", "tunnel": "gre"}),
    "gre over ipv6": (ETHER / FAR6 / GRE() / IP4, {**BARE, "tunnel": "gre"}),
    "gre, all options": (
        ETHER / FAR / GRE(chksum_present=1, key_present=1, seqnum_present=1) / IP4,
        {**BARE, "tunnel": "gre"},
    ),
    "gre, outer options": (
        ETHER / IP(src="192.0.2.1", options=b"\x01\x01\x01\x00") / GRE() / IP4,
        {**BARE, "tunnel": "gre"},
    ),
    "gre ethernet": (ETHER / Dot1Q(vlan=3) / FAR / GRE(proto=0x6558) / INNER / IP4, {**IP_IN, "tunnel": "gre"}),
    "gre ethernet vlan": (
        ETHER / FAR / GRE(proto=0x6558) / INNER / Dot1Q(vlan=8) / IP4,
        {**IP_IN, "vlans": [8], "tunnel": "gre"},
    ),
    "erspan i": (erspan_1(INNER / IP4), {**IP_IN, "tunnel": "erspan-i"}),
    "erspan ii": (
        ETHER / FAR / GRE(proto=0x88BE, seqnum_present=1) / ERSPAN_II(vlan=5) / INNER / IP4,
        {**IP_IN, "tunnel": "erspan-ii"},
    ),
    "erspan iii": (erspan_3(INNER / IP4), {**IP_IN, "tunnel": "erspan-iii"}),
    "erspan iii, platform": (
        erspan_3(INNER / Dot1Q(vlan=2) / IP4, True),
        {**IP_IN, "vlans": [2], "tunnel": "erspan-iii"},
    ),
    "erspan iii of ip": (erspan_3(IP4, kind=2), {**BARE, "tunnel": "erspan-iii"}),
    "vxlan": (ETHER / FAR / UDP(dport=4789) / VXLAN(vni=42) / INNER / IP4, {**IP_IN, "tunnel": "vxlan"}),
    "vxlan over ipv6": (
        ETHER / FAR6 / UDP(dport=4789) / VXLAN(vni=42) / INNER / Dot1Q(vlan=12) / IP6,
        {"code": "ip", "src": "2001:db8::1", "mac": IN, "vlans": [12], "tunnel": "vxlan"},
    ),
    "port of vxlan, something else": (
        ETHER / FAR / UDP(sport=53, dport=4789) / bytes(40),
        {"code": "ip", "src": "192.0.2.1", "mac": OUT},
    ),
    "fragment of gre": (
        ETHER / IP(src="192.0.2.1", proto=47, frag=9) / bytes(40),
        {"code": "ip", "src": "192.0.2.1", "mac": OUT},
    ),
    "ip in ip is for the ip layer": (ETHER / FAR / IP4, {"code": "ip", "src": "192.0.2.1", "mac": OUT}),
    "gre in vxlan": (
        ETHER / FAR / UDP(dport=4789) / VXLAN() / INNER / FAR / GRE() / IP4,
        {"code": "unsupported", "what": "tunnel inside a tunnel", "mac": IN, "tunnel": "vxlan"},
    ),
    "gre in gre": (
        ETHER / FAR / GRE() / FAR / GRE() / IP4,
        {"code": "unsupported", "what": "tunnel inside a tunnel", "tunnel": "gre"},
    ),
    "pptp": (
        ETHER / FAR / GRE(version=1, proto=0x880B) / b"\0\0\0\0abcd",
        {"code": "unsupported", "what": "GRE protocol 0x880b"},
    ),
    "gre of something": (
        ETHER / FAR / GRE(proto=0x9999) / bytes(20),
        {"code": "unsupported", "what": "GRE protocol 0x9999", "tunnel": "gre"},
    ),
    "macsec": (
        Ether(src=OUT, type=0x88E5) / bytes(60),
        {"code": "unsupported", "what": "MACsec (0x88e5)", "mac": OUT},
    ),
    "macsec behind a tag": (
        ETHER / Dot1Q(vlan=10, type=0x88E5) / bytes(60),
        {"code": "unsupported", "what": "MACsec (0x88e5)", "mac": OUT, "vlans": [10]},
    ),
    "mpls of something": (
        ETHER / MPLS(label=16, s=1) / (b"\x91" + bytes(30)),
        {"code": "unsupported", "what": "MPLS payload that is neither IP nor Ethernet", "mac": OUT},
    ),
    "tags without end": (
        Ether(src=OUT, type=0x8100) / b"".join(struct.pack(">HH", n + 1, 0x8100) for n in range(2000)),
        {"code": "unsupported", "what": "more than 16 link layers", "mac": OUT, "vlans": [1, 2]},
    ),
    "arp": (
        ETHER / ARP(psrc="10.0.0.1"),
        {"code": "non-ip", "ethertype": 0x0806, "rest": bytes(ARP(psrc="10.0.0.1")), "mac": OUT},
    ),
    "lldp": (
        Ether(src=OUT, type=0x88CC) / b"tlvs",
        {"code": "non-ip", "ethertype": 0x88CC, "rest": b"tlvs", "mac": OUT},
    ),
    "goose, tagged": (
        ETHER / Dot1Q(vlan=0, prio=4, type=0x88B8) / b"goose",
        {"code": "non-ip", "ethertype": 0x88B8, "rest": b"goose", "mac": OUT},
    ),
    "profinet with prp": (
        prp(Ether(src=OUT, type=0x8892) / bytes(46)),
        {"code": "non-ip", "ethertype": 0x8892, "rest": bytes(46), "mac": OUT},
    ),
    "goose, tagged, with prp": (
        prp(ETHER / Dot1Q(vlan=5, type=0x88B8) / bytes(46), 18, 0xB),
        {"code": "non-ip", "ethertype": 0x88B8, "rest": bytes(46), "mac": OUT, "vlans": [5]},
    ),
    "no prp: wrong size": (
        bytes(Ether(src=OUT, type=0x8892) / bytes(46)) + bytes.fromhex("0001a03688fb"),
        {"code": "non-ip", "ethertype": 0x8892, "rest": bytes(46) + bytes.fromhex("0001a03688fb"), "mac": OUT},
    ),
    "no prp: no such lan": (
        prp(Ether(src=OUT, type=0x8892) / b"x", lan=0xC),
        {"code": "non-ip", "ethertype": 0x8892, "rest": b"x" + bytes.fromhex("0063c00788fb"), "mac": OUT},
    ),
    "llc, padded": (
        bytes(Ether(src=OUT, type=3) / LLC(dsap=0x42, ssap=0x42, ctrl=3)) + bytes(43),
        {"code": "non-ip", "ethertype": 0, "rest": b"\x42\x42\x03", "mac": OUT},
    ),
    "pppoe control": (
        ETHER / PPPoE(sessionid=1) / PPP(proto=0xC021) / b"abcd",
        {
            "code": "non-ip",
            "ethertype": 0x8864,
            "rest": bytes(PPPoE(sessionid=1) / PPP(proto=0xC021) / b"abcd"),
            "mac": OUT,
        },
    ),
    "pppoe, length that lies": (
        ETHER / PPPoE(sessionid=1, len=900) / PPP(proto=0x21) / IP4,
        {"code": "malformed", "mac": OUT},
    ),
}
