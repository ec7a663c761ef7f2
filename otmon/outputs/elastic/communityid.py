"""Community ID: one name for a flow in every tool that sees it.

Version 1 of https://github.com/corelight/community-id-spec: base64 of SHA-1 over seed, the two addresses and ports in
order, and the IP protocol. ICMP has no ports: its type and the type that answers it stand for them, as in Zeek.
"""

import base64
import hashlib
import ipaddress
from typing import Final

ICMP: Final = 1
TCP: Final = 6
UDP: Final = 17
ICMP6: Final = 58
SCTP: Final = 132
_WITH_PORTS: Final = frozenset({TCP, UDP, SCTP})
_ANSWERS: Final[dict[int, dict[int, int]]] = {
    # type -> the type of the other direction: echo, router, time stamp, information and mask; of ICMPv6 echo,
    # multicast listener, router, neighbour, who are you, home agent (RFC 792, 950, 1256; RFC 4443, 2710, 4861, 6275).
    ICMP: {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 10: 9, 9: 10, 17: 18, 18: 17},
    ICMP6: {
        128: 129,
        129: 128,
        133: 134,
        134: 133,
        135: 136,
        136: 135,
        130: 131,
        131: 130,
        139: 140,
        140: 139,
        144: 145,
        145: 144,
    },
}


def community_id(
    number: int, source: str, destination: str, source_port: int | None, destination_port: int | None, seed: int = 0
) -> str | None:
    """The Community ID of a flow of IP protocol `number`; None if the addresses or numbers are none, or ports missing.

    Of ICMP and ICMPv6 the ports are type and code.
    """
    try:
        one, other = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    except ValueError:
        return None
    if one.version != other.version or not 0 <= number <= 255:
        return None
    ports, turned = _ports(number, source_port, destination_port)
    if ports is None:
        return None
    ends = [(one.packed, ports[0]), (other.packed, ports[1])]
    if turned:
        ends.sort()
    (first, first_port), (second, second_port) = ends
    head = seed.to_bytes(2, "big") + first + second + bytes((number, 0))
    digest = hashlib.sha1(head + first_port + second_port, usedforsecurity=False).digest()
    return "1:" + base64.b64encode(digest).decode()


def _ports(number: int, source: int | None, destination: int | None) -> tuple[tuple[bytes, bytes] | None, bool]:
    """What is hashed in place of ports, and whether both directions are one flow."""
    answers = _ANSWERS.get(number)
    if answers is None and number not in _WITH_PORTS:
        return (b"", b""), True
    if source is None or destination is None or max(source, destination) > 65_535:
        return None, True
    turned = True
    if answers is not None:
        turned = source in answers  # else both directions differ: the code is no answer
        destination = answers.get(source, destination)
    return (source.to_bytes(2, "big"), destination.to_bytes(2, "big")), turned
