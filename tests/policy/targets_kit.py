"""What the targets of `otmon policy compile` do with a connection: small readers of their texts, by their manuals."""

import re
from ipaddress import ip_address, ip_network
from itertools import takewhile
from typing import NamedTuple

PROTOCOLS = {"tcp": {6}, "udp": {17}, "icmp": {1}, "ipv6-icmp": {58}, "ip": set(range(256)), "ipv6": set(range(256))}


class Packet(NamedTuple):
    """The first of a connection; `answers`: it belongs to one that was accepted."""

    source: str
    destination: str
    protocol: int
    source_port: int
    port: int
    answers: bool = False


def within(address, text):
    """nft(8): an address, a network, or first-last."""
    at = ip_address(address)
    if "-" in text:
        low, high = map(ip_address, text.split("-"))
        return at.version == low.version and low <= at <= high
    net = ip_network(text)
    return at.version == net.version and at in net


def number_in(number, text):
    low, _, high = text.partition("-")
    return int(low) <= number <= int(high or low)


def nftables(text, packet):
    """(accepted, comment of the rule)."""
    assert "policy drop;" in text
    for line in text.splitlines():
        if line.strip() == "ct state established,related accept" and packet.answers:
            return True, ""
        rule = re.fullmatch(r'    (.*) (accept|drop) comment "([^"]*)"', line)
        if rule and nft_matches(rule[1], packet):
            return rule[2] == "accept", rule[3]
    return False, ""


def nft_matches(condition, packet):
    version = ip_address(packet.source).version
    words = re.findall(r"\{[^}]*\}|\S+", condition)
    fits = True
    while words:
        (key, field, value), words = words[:3], words[3:]
        items = [item.strip() for item in value.strip("{}").split(",")]
        if field in ("saddr", "daddr"):
            assert key == ("ip" if "." in items[0] else "ip6")
            address = packet.source if field == "saddr" else packet.destination
            fits &= any(within(address, item) for item in items)
        elif field == "nfproto":
            fits &= value == f"ipv{version}"
        elif field == "l4proto":
            fits &= any(
                packet.protocol in PROTOCOLS[item] if item in PROTOCOLS else number_in(packet.protocol, item)
                for item in items
            )
        else:
            assert field == "dport"
            fits &= packet.protocol in PROTOCOLS[key] and any(number_in(packet.port, item) for item in items)
    return fits


def cisco(text, packet):
    """(accepted, the remark before the line)."""
    version = ip_address(packet.source).version
    groups: dict[str, list[str]] = {}
    remark, members, inside = "", None, False
    for line in text.splitlines():
        if line.startswith("object-group network "):
            members = groups.setdefault(line.split()[2], [])
        elif line in ("ip access-list extended otmon", "ipv6 access-list otmon6"):
            inside, members = (line[:3] == "ip ") == (version == 4), None
        elif line.startswith("no "):
            members = None
        elif members is not None:
            members.append(line.strip())
        elif inside and line.startswith(" remark "):
            text_of = line.removeprefix(" remark ")
            remark = remark if text_of.startswith(" ") else text_of
        elif inside and line.startswith((" permit ", " deny ")) and ios_matches(line.split(), packet, groups):
            return line.startswith(" permit"), remark
    raise AssertionError


def ios_matches(words, packet, groups):
    _, protocol, *rest = words
    if packet.protocol not in (PROTOCOLS.get(protocol) or {int(protocol)}) | ({58} if protocol == "icmp" else set()):
        return False
    fits = True
    for address, port in ((packet.source, packet.source_port), (packet.destination, packet.port)):
        who, rest = rest[0], rest[1:]
        if who == "host":
            (other, *rest) = rest
            fits &= address == str(ip_address(other))
        elif who == "object-group":
            name, *rest = rest
            fits &= any(ios_member(address, member) for member in groups[name])
        elif "/" in who:
            fits &= within(address, who)
        elif who != "any":
            wildcard, *rest = rest
            fits &= int(ip_address(address)) | int(ip_address(wildcard)) == int(ip_address(who)) | int(
                ip_address(wildcard)
            )
        if rest[:1] == ["eq"]:
            fits &= port == int(rest[1])
            rest = rest[2:]
        elif rest[:1] == ["range"]:
            fits &= int(rest[1]) <= port <= int(rest[2])
            rest = rest[3:]
    if rest:
        assert rest == ["established"]
        fits &= packet.answers
    return fits


def ios_member(address, text):
    first, second = text.split()
    return address == second if first == "host" else within(address, f"{first}/{second}")


RULE = re.compile(r"(pass|alert) (\w+) (\S+) any (->|<>) (\S+) (\S+) \((.*)\)")


def suricata(text, packet):
    """(no alert, message of the rule that decided). `pass` comes before `alert`."""
    rules = [RULE.fullmatch(line) for line in text.splitlines() if not line.startswith("#")]
    assert all(rules)
    sids = [re.search(r"sid:(\d+);", rule[7])[1] for rule in rules]
    assert len(set(sids)) == len(sids)
    assert max(len(rule[0]) for rule in rules) < 8192
    for verb in ("pass", "alert"):
        for rule in rules:
            if rule[1] == verb and suricata_matches(rule, packet):
                return verb == "pass", re.match(r'msg:"([^";:\\]*)"; ', rule[7])[1]
    return True, ""


def suricata_matches(rule, packet):
    _, protocol, client, arrow, server, ports, options = rule.groups()
    if packet.protocol not in PROTOCOLS[protocol] | ({58} if protocol == "icmp" else set()):
        return False
    numbers = re.findall(r"ip_proto:(!?)(\d+);", options)
    if any((packet.protocol == int(number)) == bool(no) for no, number in numbers):
        return False
    if "flow:to_server" in options and packet.protocol not in (1, 6, 17, 58):
        return False
    if ports != "any" and not any(number_in(packet.port, item.replace(":", "-")) for item in ports[1:-1].split(",")):
        return False
    ways = [(packet.source, packet.destination), (packet.destination, packet.source)][: 1 + (arrow == "<>")]
    return any(in_list(one, client) and in_list(other, server) for one, other in ways)


def in_list(address, text):
    return text == "any" or any(within(address, item) for item in text[1:-1].split(","))


FLOW = re.compile(
    r'  Flow\(\$row="([^"\\]*)", \$permit=([TF]), \$clients=set\((.*)\), \$servers=set\((.*)\), '
    r"\$proto=(\w+), \$low=(\d+), \$high=(\d+)\)(,?)"
)


def zeek(text, packet):
    """(no notice, the row that decided)."""
    lines = text[text.index("vector(\n") :].splitlines()[1:]
    found = [FLOW.fullmatch(line) for line in takewhile(lambda line: line != ");", lines) if "#" not in line[:4]]
    assert all(found)
    assert [flow[8] for flow in found] == [","] * (len(found) - 1) + [""] * bool(found)
    for row, permit, clients, servers, protocol, low, high, _ in (flow.groups() for flow in found):
        if packet.protocol not in (1, 6, 17, 58):
            return True, "all else"
        same = packet.protocol in PROTOCOLS[protocol] | ({58} if protocol == "icmp" else set())
        ports = protocol == "icmp" or int(low) <= packet.port <= int(high)
        sides = ((packet.source, clients), (packet.destination, servers))
        if same and ports and all(any(within(a, re.sub(r"[][]", "", s)) for s in t.split(", ")) for a, t in sides):
            return permit == "T", row
    return packet.protocol not in (1, 6, 17, 58), "all else"
