"""Tunnels that are not looked into, and IP protocols that are none: named, counted, and judged as what they are."""

from ipaddress import ip_address
from typing import Any

import pytest

from tests.engine.scenes import policies
from tests.engine.world import see
from tests.hostile.kit import Session, ethernet, ipv4
from tests.hostile.witness import CLIENT, FORBIDDEN, SERVER, reported, survive

INNER = Session(CLIENT, SERVER).send(FORBIDDEN)[14:]
IP_CARRIERS = {4: "IP in IP", 41: "IPv6 in IP", 50: "ESP", 51: "AH", 97: "EtherIP", 115: "L2TP"}
UDP_CARRIERS = {
    6081: (b"\0\0\x08\0\0\0\1\0", "Geneve"),
    8472: (b"\x08\0\0\0\0\0\1\0", "VXLAN on port 8472"),
    4790: (b"\x0c\0\0\1\0\0\1\0", "VXLAN-GPE"),
    2152: (b"\x30\xff\0\x40\0\0\0\1", "GTP-U"),
    4500: (b"\x12\x34\x56\x78\0\0\0\1", "IPsec NAT traversal"),
    4754: (b"\0\0\x08\0", "GRE in UDP"),
    1701: (b"\0\2\0\1\0\1\xff\3", "L2TP"),
}


def above_ip(protocol: int, payload: bytes = INNER, server: str = "10.0.1.77") -> bytes:
    ends = ip_address("10.0.2.77").packed, ip_address(server).packed
    return ethernet(ipv4(*ends, protocol, payload, 7, 64))


def below(seen: Any) -> list[dict[str, Any]]:
    return [o for o in seen.picture["operations"] if o["key"][1] == "10.0.2.77"]


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("protocol", IP_CARRIERS)
@pytest.mark.parametrize("options", [{}, {"force_slow": True}, {"jobs": 2}], ids=["fast", "slow", "jobs"])
def test_ip_carriers_are_named_and_judged(protocol: int, options: dict[str, Any]) -> None:
    seen = survive([above_ip(protocol)], **options)
    assert seen.frames["unsupported"] == 1
    assert seen.picture["unsupported"] == {f"IP protocol {protocol} ({IP_CARRIERS[protocol]})": 1}
    (finding,) = (a for a in seen.alerts("visibility") if "could not be taken apart" in a["title"])
    assert IP_CARRIERS[protocol] in finding["title"]
    (alert,) = (a for a in seen.policy_alerts() if a["client"]["endpoint"] == "10.0.2.77")
    assert (alert["operation"]["protocol"], alert["operation"]["port"]) == ("ip", protocol)
    assert f"sent IP protocol {protocol} ({IP_CARRIERS[protocol]}) to 10.0.1.77" in alert["title"]


@pytest.mark.parametrize("port", UDP_CARRIERS)
@pytest.mark.parametrize("options", [{}, {"force_slow": True}], ids=["fast", "slow"])
def test_udp_carriers_are_named_and_judged(port: int, options: dict[str, Any]) -> None:
    head, name = UDP_CARRIERS[port]
    session = Session("10.0.2.77", "10.0.1.77", 50_000, port, udp=True)
    seen = survive([session.send(head + INNER)], **options)
    assert seen.frames["unsupported"] == 1
    assert seen.picture["unsupported"] == {f"UDP port {port} ({name})": 1}
    (alert,) = (a for a in seen.policy_alerts() if a["client"]["endpoint"] == "10.0.2.77")
    assert (alert["operation"]["protocol"], alert["operation"]["port"]) == ("udp", port)


@pytest.mark.parametrize("port", UDP_CARRIERS)
def test_other_datagrams_to_their_ports_are_other_traffic(port: int) -> None:
    session = Session("10.0.2.77", "10.0.1.77", 50_000, port, udp=True)
    seen = survive([session.send(b"\0\0\0\0GET / HTTP/1.0\r\n\r\n"[:3] + b"\1" * 20)])
    assert (seen.frames["unsupported"], seen.frames["other_ip"]) == (0, 1) if port != 4500 else (1, 0)


def test_other_protocols_are_operations() -> None:
    seen = see([above_ip(89, b"\2\1\0\x30" + bytes(44)), above_ip(132, bytes(32))], policies()["refused"])
    assert seen.frames["unsupported"] == 0
    found = {(o["key"][3], o["key"][5], o["key"][4]): o["verdict"] for o in below(seen)}
    assert found == {("ip", "ip", 89): "deny", ("ip", "ip", 132): "deny"}


def test_a_group_is_chatter() -> None:
    """OSPF, VRRP and IGMP speak to all routers of the link."""
    seen = see([above_ip(112, bytes(20), "224.0.0.18")], policies()["refused"])
    assert [o["verdict"] for o in below(seen)] == ["permit"]


def test_many_protocols_of_one_host_are_a_scan() -> None:
    seen = see([above_ip(number, bytes(16)) for number in range(140, 240)], policies()["refused"])
    (alert,) = (a for a in seen.policy_alerts() if a["operation"]["function"] == "scan")
    assert alert["count"] == 100


@pytest.mark.parametrize("source", [502, 102, 20_000])
def test_the_source_port_of_a_control_protocol_hides_no_tunnel(source: int) -> None:
    session = Session("10.0.2.77", "10.0.1.77", source, 6081, udp=True)
    seen = survive([session.send(UDP_CARRIERS[6081][0] + INNER)])
    assert seen.picture["unsupported"] == {"UDP port 6081 (Geneve)": 1}
    assert seen.ot_bytes["unrecognised"] == 8 + len(INNER)


@pytest.mark.parametrize("protocol", [4, 50])
def test_a_tunnel_to_everybody_is_no_chatter(protocol: int) -> None:
    seen = see([above_ip(protocol, server="10.0.1.255")], policies()["refused"])
    assert [o["verdict"] for o in below(seen)] == ["deny"]


GRE = b"\0\0\x08\0"
NESTED = {
    "GRE in GRE": (47, GRE + above_ip(47, GRE + INNER, "10.0.1.9")[14:], "tunnel inside a tunnel"),
    "GRE of nobody knows what": (47, b"\0\0\x56\x78" + INNER, "GRE protocol 0x5678"),
    "VXLAN in GRE": (
        47,
        GRE + Session("10.0.2.5", "10.0.1.5", 50_000, 4789, udp=True).send(b"\x08" + bytes(7) + bytes(60))[14:],
        "tunnel inside a tunnel",
    ),
}


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("case", NESTED)
@pytest.mark.parametrize("options", [{}, {"jobs": 2}, {"jobs": 3}], ids=["one", "two", "three"])
def test_who_talks_through_a_tunnel_that_is_not_entered(case: str, options: dict[str, Any]) -> None:
    protocol, payload, name = NESTED[case]
    seen = survive([above_ip(protocol, payload)] * 2, **options)
    assert seen.picture["unsupported"] == {name: 2}
    assert seen.frames["unsupported"] == 2
    (alert,) = (a for a in seen.policy_alerts() if a["client"]["endpoint"] == "10.0.2.77")
    assert (alert["operation"]["protocol"], alert["operation"]["port"]) == ("ip", 47)


def test_vxlan_in_vxlan_is_between_its_ends() -> None:
    head = b"\x08" + bytes(7)
    inner = Session("10.0.2.5", "10.0.1.5", 50_000, 4789, udp=True).send(head + bytes(60))
    seen = survive([Session("10.0.2.77", "10.0.1.77", 50_001, 4789, udp=True).send(head + inner)])
    (alert,) = (a for a in seen.policy_alerts() if a["client"]["endpoint"] == "10.0.2.77")
    assert (alert["operation"]["protocol"], alert["operation"]["port"]) == ("udp", 4789)
    assert seen.frames["unsupported"] == 1


def test_a_forged_tunnel_hides_no_datagram_of_the_same_pair() -> None:
    """A response from 502 to 4789 that looks like a tunnel in a tunnel decides nothing about the connection."""
    session = Session(CLIENT, SERVER, 4789, 502, udp=True)
    nested = b"\x08" + bytes(7) + Session("10.0.2.5", "10.0.1.5", 50_000, 4789, udp=True).send(b"\x08" + bytes(67))
    seen = survive(
        [session.send(nested, from_client=False), session.send(FORBIDDEN), session.send(FORBIDDEN, from_client=False)]
    )
    assert reported(seen) == 1
