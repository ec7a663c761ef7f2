"""Addresses as numbers on one line: IPv4, then IPv6, then MAC, so that every set of hosts is a set of ranges."""

import ipaddress
import re
from typing import Final

from otmon.policy.errors import quoted
from otmon.policy.intervals import Intervals

IPV6_BASE: Final = 1 << 32
MAC_BASE: Final = IPV6_BASE + (1 << 128)
LAST_POINT: Final = MAC_BASE + (1 << 48) - 1
EVERYTHING: Final[Intervals] = ((-1, LAST_POINT),)
"""Text that is no address (-1) included."""
_MAC: Final = re.compile(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}\Z")
GROUPS: Final[Intervals] = (
    (int(ipaddress.IPv4Address("224.0.0.0")), int(ipaddress.IPv4Address("239.255.255.255"))),
    (int(ipaddress.IPv4Address("255.255.255.255")),) * 2,
    (IPV6_BASE + (0xFF << 120), IPV6_BASE + (1 << 128) - 1),
)
"""Multicast and limited broadcast."""
LOCAL: Final[Intervals] = (
    (0, 0),
    (int(ipaddress.IPv4Address("169.254.0.0")), int(ipaddress.IPv4Address("169.254.255.255"))),
    (IPV6_BASE, IPV6_BASE),
    (IPV6_BASE + (0xFE80 << 112), IPV6_BASE + (0xFEC0 << 112) - 1),
)
"""Unspecified and link-local: never routed."""


def point(address: str) -> int:
    """An address as a number; -1 for text that is none."""
    try:
        if ":" not in address:
            return int(ipaddress.IPv4Address(address))
        if _MAC.match(address):
            return MAC_BASE + int(address.replace(":", ""), 16)
        return IPV6_BASE + int(ipaddress.IPv6Address(address.partition("%")[0]))
    except ValueError:
        return MAC_BASE + int(address.replace("-", ""), 16) if _MAC.match(address) else -1


def is_group(at: int) -> bool:
    """Multicast, limited broadcast, or a MAC with its group bit set."""
    if at >= MAC_BASE:
        return bool((at - MAC_BASE) >> 40 & 1)
    return any(low <= at <= high for low, high in GROUPS)


def is_local(at: int) -> bool:
    """Unspecified or link-local."""
    return any(low <= at <= high for low, high in LOCAL)


def parse_hosts(text: str) -> tuple[int, int]:
    """An address, network or MAC of a policy file as a range. ValueError: (what is wrong, what would be right)."""
    if _MAC.match(text):
        return (point(text),) * 2
    if "%" in text:
        raise ValueError(f"{quoted(text)} has a scope", "leave the part from % out: the realm says on which link")
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f"{quoted(text)} is not an address", "write 10.0.1.5, 10.0.1.0/24, fd00::/64 or a MAC"
        ) from None
    if "/" in text and ipaddress.ip_interface(text).ip != network.network_address:
        raise ValueError(f"{quoted(text)} has host bits set", f"write {network} or {ipaddress.ip_interface(text).ip}")
    base = IPV6_BASE if network.version == 6 else 0
    return base + int(network.network_address), base + int(network.broadcast_address)


def broadcast_of(low: int, high: int) -> int | None:
    """Directed broadcast address of an IPv4 network given as a range; None for hosts, /31 and other families."""
    return high if high < IPV6_BASE and high - low >= 3 else None


def range_text(low: int, high: int) -> str:
    """A range as an address, or as the two ends of it."""
    return _point_text(low) if low == high else f"{_point_text(low)}-{_point_text(high)}"


def hosts_text(ranges: Intervals) -> list[str]:
    """Each range as people write it: an address, a network, or the two ends."""
    return ["text that is no address" if low < 0 else _network_text(low, high) for low, high in ranges]


def _network_text(low: int, high: int) -> str:
    size = high - low + 1
    base, bits = (IPV6_BASE, 128) if low >= IPV6_BASE else (0, 32)
    if size > 1 and high < MAC_BASE and size & (size - 1) == 0 and (low - base) % size == 0:
        return f"{_point_text(low)}/{bits - size.bit_length() + 1}"
    return range_text(low, high)


def _point_text(at: int) -> str:
    if at >= MAC_BASE:
        digits = f"{at - MAC_BASE:012x}"
        return ":".join(digits[i : i + 2] for i in range(0, 12, 2))
    return str(ipaddress.IPv6Address(at - IPV6_BASE) if at >= IPV6_BASE else ipaddress.IPv4Address(at))


def network_of(address: str) -> str:
    """The network that learning takes a host to be in, else the host alone.

    The /24 of a private IPv4 address; all link-local ones of IPv4 are one network.
    """
    try:
        host = ipaddress.ip_address(address)
    except ValueError:
        return address
    wide = host.version == 4 and host.is_private and not (host.is_loopback or host.is_unspecified)
    bits = 16 if host.is_link_local else 24
    return str(ipaddress.ip_network(f"{address}/{bits}", strict=False)) if wide else str(host)
