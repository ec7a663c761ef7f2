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
from scapy.layers.l2 import GRE, CookedLinux, Dot1Q

from otmon.capture.batch import LINK_ETHERNET, LINK_NULL, LINK_RAW, LINK_SLL, LINK_SLL2
from otmon.limits import MAX_LINK_LAYERS
from otmon.wire import link
from tests.capture import files
from tests.capture.dump import dump
from tests.effort import examples
from tests.protocols.segments import CAPTURES
from tests.wire.frames import strip, told
from tests.wire.layers import BARE, CASES, ETHER, FAR, IN, INNER, IP4, IP6, IP_1, IP_6, IP_IN, OUT


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
@settings(max_examples=examples(400), deadline=None)
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
