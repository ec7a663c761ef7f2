"""Which MAC belongs to which address: only what the link itself proves (ARP, neighbour discovery), never a guess.

A MAC that stands for several networks is a router, one address with several MACs is a floating address (hot standby,
VRRP, or somebody lying): neither joins anything.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from otmon.model import Binding

MAX_ADDRESSES_OF_A_HOST: Final = 3
"""IPv4, IPv6 and link-local; a MAC with more is a router, a proxy or a host that must be declared."""

Place = tuple[str, str]
"""(realm, address or MAC)."""


@lru_cache(maxsize=65_536)
def parsed(address: str) -> IPv4Address | IPv6Address | None:
    """The IP address, None if the text is something else (a MAC)."""
    try:
        return ip_address(address)
    except ValueError:
        return None


def is_host(address: str) -> bool:
    """Whether one device can have this address: no group, broadcast or unspecified one; for MACs neither zero."""
    ip = parsed(address)
    if ip is not None:
        return not (ip.is_multicast or ip.is_unspecified or ip == IPv4Address(0xFFFFFFFF))
    digits = address.replace(":", "")
    return len(digits) == 12 and digits.strip("0") != "" and digits[1] in "02468aceACE"


def network_of(address: str) -> str | None:
    """The /24 or /64 of an address; None where it says nothing about the network (link-local)."""
    ip = parsed(address)
    if ip is None or ip.is_link_local:
        return None
    return f"4/{int(ip) >> 8}" if ip.version == 4 else f"6/{int(ip) >> 64}"


@dataclass(slots=True, frozen=True)
class Macs:
    """What the bindings prove."""

    proven: dict[Place, dict[str, Binding]]
    """(realm, address) -> MAC -> earliest proof."""
    hinted: dict[Place, Binding]
    """(realm, address) -> the one MAC that was the source of this address and of no other."""
    routers: frozenset[Place]
    """(realm, MAC)."""
    joined: dict[Place, tuple[str, ...]]
    """(realm, MAC) -> its addresses, where one device has several."""
    proofs: dict[Place, int]
    """(realm, MAC) -> how many addresses it is proven for."""
    alone: dict[Place, Binding]
    """(realm, MAC) that speaks without IP and is proven for no address: an endpoint of its own."""


def _is_router(addresses: Iterable[str]) -> bool:
    known = list(addresses)
    networks = {network for address in known if (network := network_of(address)) is not None}
    families = [network[0] for network in networks]
    return len(known) > MAX_ADDRESSES_OF_A_HOST or len(families) != len(set(families))


def read_macs(bindings: Iterable[Binding]) -> Macs:
    """Sort the bindings by what they prove; order of the input does not matter."""
    proven: dict[Place, dict[str, Binding]] = defaultdict(dict)
    sources: dict[Place, dict[str, Binding]] = defaultdict(dict)
    addresses: dict[Place, set[str]] = defaultdict(set)
    silent: dict[Place, Binding] = {}
    for binding in sorted(bindings, key=lambda b: (b.first_ts_ns, b.first_frame, b.realm, b.mac, b.address or "")):
        if not is_host(binding.mac):
            continue
        place = binding.realm, binding.mac
        if binding.address is None:
            silent.setdefault(place, binding)
        elif is_host(binding.address):
            addresses[place].add(binding.address)
            known = proven if binding.proof else sources
            known[binding.realm, binding.address].setdefault(binding.mac, binding)
    routers = frozenset(place for place, known in addresses.items() if _is_router(known))
    proofs: dict[Place, int] = Counter((realm, mac) for (realm, _), macs in proven.items() for mac in macs)
    return Macs(
        proven=dict(proven),
        hinted={
            (realm, address): binding
            for (realm, address), macs in sources.items()
            for mac, binding in macs.items()
            if len(macs) == 1 and len(addresses[realm, mac]) == 1
        },
        routers=routers,
        joined=_joined(proven, routers),
        proofs=proofs,
        alone={
            (realm, mac): binding
            for (realm, mac), binding in silent.items()
            if not any(mac in proven.get((realm, address), ()) for address in addresses.get((realm, mac), ()))
        },
    )


def _joined(proven: dict[Place, dict[str, Binding]], routers: frozenset[Place]) -> dict[Place, tuple[str, ...]]:
    groups: dict[Place, list[str]] = defaultdict(list)
    for (realm, address), macs in proven.items():
        if len(macs) == 1:
            groups[realm, next(iter(macs))].append(address)
    return {
        place: tuple(sorted(group, key=address_order))
        for place, group in groups.items()
        if len(group) > 1 and place not in routers
    }


def address_order(address: str) -> tuple[int, int, str]:
    """IPv4 before IPv6 before link-local before MACs, numerically: the first is the one people know a device by."""
    ip = parsed(address)
    if ip is None:
        return 9, 0, address
    return ip.version + 2 * ip.is_link_local, int(ip), address
