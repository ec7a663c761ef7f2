"""Every link layer and tunnel, crafted with scapy; the strippers beside tshark; every cut; compiled and interpreted."""

import json
import os
import random
import shutil
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.contrib.erspan import ERSPAN_II, ERSPAN_III
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, GRE, LLC, SNAP, CookedLinux, Dot1AD, Dot1Q, Ether
from scapy.layers.ppp import PPP, PPPoE
from scapy.layers.vxlan import VXLAN

from otmon.capture.batch import LINK_ETHERNET, LINK_NULL, LINK_RAW, LINK_SLL, LINK_SLL2
from otmon.limits import MAX_LINK_LAYERS
from otmon.wire import link
from tests.capture import files
from tests.capture.dump import dump
from tests.protocols.segments import CAPTURES
from tests.wire.frames import strip, told

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


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("before", [b"", b"\x45" * 37])
def test_layers(name, before):
    frame, expected = CASES[name]
    assert told(bytes(frame), before=before) == expected


@pytest.mark.parametrize("tags", range(1, 40))
def test_number_of_tags(tags):
    frame = bytes(
        ETHER / b"".join(bytes(Dot1Q(vlan=n + 1, type=0x8100)) for n in range(tags - 1)) / Dot1Q(vlan=99) / IP4
    )
    frame = frame[:12] + b"\x81\0" + frame[14:]
    vlans = [*range(1, tags), 99][:2]
    expected = {**IP_1, "vlans": vlans}
    if tags + 2 > MAX_LINK_LAYERS:  # the Ethernet header and IP count, too
        expected = {"code": "unsupported", "what": "more than 16 link layers", "mac": OUT, "vlans": vlans}
    assert told(frame) == expected


def cooked(protocol, payload, length=6):
    return bytes(
        CookedLinux(pkttype=0, lladdrtype=1, lladdrlen=length, src=b"\2\0\0\0\0\1\0\0", proto=protocol) / payload
    )


def cooked_2(protocol, payload, hardware=1):
    return struct.pack(">HHIHBB", protocol, 0, 3, hardware, 0, 6) + b"\2\0\0\0\0\1\0\0" + bytes(payload)


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        (LINK_RAW, IP4, BARE),
        (LINK_RAW, IP6, {"code": "ip", "src": "2001:db8::1"}),
        (LINK_RAW, b"\x10abc", {"code": "malformed"}),
        (LINK_RAW, FAR / GRE(proto=0x6558) / INNER / IP4, {**IP_IN, "tunnel": "gre"}),
        (LINK_SLL, cooked(0x0800, IP4), IP_1),
        (LINK_SLL, cooked(0x86DD, IP6), IP_6),
        (LINK_SLL, cooked(0x0800, IP4, 0), BARE),
        (LINK_SLL, cooked(0x8100, Dot1Q(vlan=4) / IP4), {**IP_1, "vlans": [4]}),
        (LINK_SLL, cooked(0x0004, b"llc"), {"code": "non-ip", "ethertype": 0, "rest": b"llc", "mac": OUT}),
        (LINK_SLL, cooked(0x0806, b"arp"), {"code": "non-ip", "ethertype": 0x0806, "rest": b"arp", "mac": OUT}),
        (LINK_SLL2, cooked_2(0x0800, IP4), IP_1),
        (LINK_SLL2, cooked_2(0x86DD, IP6), IP_6),
        (LINK_SLL2, cooked_2(0x0800, b"x", 824), {"code": "non-ip", "ethertype": 0, "rest": b"x"}),
        (LINK_NULL, struct.pack("<I", 2) + bytes(IP4), BARE),
        (LINK_NULL, struct.pack(">I", 2) + bytes(IP4), BARE),
        *[
            (LINK_NULL, struct.pack(order + "I", family) + bytes(IP6), {"code": "ip", "src": "2001:db8::1"})
            for order in "<>"
            for family in (10, 23, 24, 28, 30)
        ],
        (LINK_NULL, struct.pack("<I", 7) + b"osi", {"code": "non-ip", "ethertype": 0, "rest": b"osi"}),
        (0 | 147 << 32, b"anything", {"code": "unsupported", "what": "linktype-147"}),
        (0 | 3 << 16 | 195 << 32, b"anything", {"code": "unsupported", "what": "linktype-195"}),
        (LINK_ETHERNET | 200 << 16, ETHER / IP4, IP_1),
    ],
)
def test_link_types(kind, data, expected):
    assert told(bytes(data), kind=kind) == expected


@pytest.mark.parametrize("name", CASES)
def test_every_cut(name):
    """Cut by the snap length it says so, ending by itself it is malformed, cut behind the link layers it is neither."""
    whole = bytes(CASES[name][0])[:300]
    code, slots = strip(whole)
    for cut in range(len(whole)):
        short, seen = strip(whole[:cut], wire=len(whole), before=b"\x81")
        ended, _ = strip(whole[:cut], before=b"\x81")
        assert short != "malformed" or code == "malformed"
        assert ended != "short"
        assert 0 <= seen[link.L_L3] <= cut
        assert seen[link.L_END] <= cut
        if code == "ip" and slots[link.L_OUTER] < 0 and slots[link.L_L3] <= cut - 1:
            assert short == "ip"
            assert seen[: link.L_END] == slots[: link.L_END]
        if cut < 14:
            assert (short, ended) == ("short", "malformed")


def test_tunnel_of_a_reassembled_datagram():
    packet = bytes(FAR / GRE(proto=0x6558) / INNER / IP4)
    out = np.zeros(link.L_SIZE, np.int64)
    buf = np.frombuffer(packet, np.uint8)
    assert link.tunnel(buf, 0, len(packet), len(packet), out) == link.LINK_IP
    assert packet[out[link.L_L3] :] == bytes(IP4)
    assert int(out[link.L_SRC]).to_bytes(6, "big").hex(":") == IN
    out[:] = 0
    plain = np.frombuffer(bytes(IP4), np.uint8)
    assert link.tunnel(plain, 0, len(plain), len(plain), out) == link.LINK_IP
    assert not out.any()


def tshark(path, *fields, occurrence="f"):
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    command = ["tshark", "-n", "-r", path, "-T", "fields", "-E", f"occurrence={occurrence}"]
    for field in fields:
        command += ["-e", field]
    # Reassembly and conversations would show frames what other frames hold.
    for option in ("ip.defragment:FALSE", "tcp.desegment_tcp_streams:FALSE", "ipv6.defragment:FALSE"):
        command += ["-o", option]
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return [dict(zip(fields, line.split("\t"), strict=True)) for line in output.splitlines()]


# What tshark 4.0 reads otherwise, and why it may.
NOT_COMPARED = {
    "mpls pseudowire": "tshark must be told which labels carry Ethernet",
    "tags without end": "tshark stops at its own depth",
    "fragment of gre": "tshark shows no inner packet either, but its fields differ in name",
    "ip in ip is for the ip layer": "tshark goes on into the inner packet; here the IP layer does",
    "gre in vxlan": "tshark goes on",
    "gre in gre": "tshark goes on",
    "erspan iii of ip": "tshark 4.0 reads frame type IP as Ethernet",
}


def test_beside_tshark(tmp_path):
    path = tmp_path / "a.pcap"
    names = [name for name in CASES if name not in NOT_COMPARED]
    path.write_bytes(files.pcap([(n, bytes(CASES[name][0])) for n, name in enumerate(names)]))
    rows = tshark(str(path), "ip.src", "ipv6.src", "eth.src", "vlan.id", "frame.protocols", occurrence="a")
    assert len(rows) == len(names)
    for name, row in zip(names, rows, strict=True):
        expected = CASES[name][1]
        if expected["code"] != "ip":
            continue
        version = "ipv6.src" if ":" in expected["src"] else "ip.src"
        assert row[version].split(",")[-1] == expected["src"], name
        if "mac" in expected:
            assert row["eth.src"].split(",")[-1] == expected["mac"], name


@pytest.mark.parametrize("step", [8, pytest.param(1, marks=pytest.mark.long)])
def test_real_captures_beside_tshark(step):
    paths = sorted(path for path in CAPTURES.rglob("*") if path.suffix in (".pcap", ".pcapng"))
    if not paths:
        pytest.skip(f"no real captures at {CAPTURES}")
    compared = 0
    for path in paths[::step]:
        frames, _ = dump([path])
        rows = tshark(
            str(path), "ip.src", "ipv6.src", "eth.src", "sll.src.eth", "eth.type", "_ws.malformed", "vlan.etype"
        )
        assert len(rows) == len(frames), path
        for (_, number, _, data, wire, kind), row in zip(frames, rows, strict=True):
            seen = told(data, wire=wire, kind=kind)
            source = row["ip.src"] or row["ipv6.src"]
            where = (path.name, number, row, seen)
            if row["_ws.malformed"]:
                continue
            assert seen.get("src", "") == source, where
            assert seen.get("mac", "") == (row["eth.src"] or row["sll.src.eth"]), where
            if seen["code"] == "non-ip" and seen["ethertype"]:
                assert int(row["vlan.etype"] or row["eth.type"], 16) == seen["ethertype"], where
            compared += 1
    assert compared > 100


mutable = st.sampled_from([bytes(frame)[:400] for frame, _ in CASES.values()])


@st.composite
def hostile(draw):
    data = bytearray(draw(mutable))
    for _ in range(draw(st.integers(0, 4))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))])


@given(
    data=st.one_of(st.binary(max_size=80), hostile()),
    beyond=st.integers(0, 20),
    kind=st.sampled_from([0, 1, 2, 3, 4, 5, 6, 0xFFFF]),
)
@settings(max_examples=800, deadline=None)
def test_any_bytes(data, beyond, kind):
    code, slots = strip(data, wire=len(data) + beyond, kind=kind)
    assert slots[link.L_END] <= len(data)
    assert slots[link.L_END] <= slots[link.L_WIRE_END] <= len(data) + beyond
    assert code == "short" or code == "malformed" or 0 <= slots[link.L_L3] <= slots[link.L_END]
    assert -999 not in slots
    # The bytes around a frame are another frame's: they must not matter.
    for around in (b"\0" * 50, b"\xff" * 50, bytes(CASES["vxlan"][0])):
        assert strip(data, wire=len(data) + beyond, kind=kind, before=around) == (code, slots)


def test_interpreted_gives_the_same():
    rng = random.Random(7)
    lines = []
    for frame, _ in CASES.values():
        for _ in range(12):
            data = bytearray(bytes(frame)[: rng.randrange(400)])
            for _ in range(rng.randrange(3)):
                if data:
                    data[rng.randrange(len(data))] = rng.randrange(256)
            lines.append(
                json.dumps([data.hex(), len(data) + rng.choice((0, 0, 50)), rng.choice((1, 1, 1, 1, 2, 3, 4, 5))])
            )
    outputs = []
    for interpret in ("0", "1"):
        env = {**os.environ, "OTMON_INTERPRET": interpret}
        command = [sys.executable, "-m", "tests.wire.frames"]
        outputs.append(
            subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, check=True, env=env).stdout
        )
    assert outputs[0] == outputs[1]
    assert outputs[0].count("\n") == len(lines)
