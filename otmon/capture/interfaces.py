"""What the system says of a network interface (Linux, netdevice(7)), asked on a socket of its network namespace."""

import socket
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from otmon.capture.errors import InterfaceError

_SIOCGIFFLAGS: Final = 0x8913
_SIOCGIFHWADDR: Final = 0x8927
_SIOCGIFINDEX: Final = 0x8933
_IFREQ: Final = struct.Struct("16s24s")
_IFF_UP: Final = 0x1
_IFF_RUNNING: Final = 0x40
_DROP_COUNTERS: Final = ("rx_dropped", "rx_missed_errors")

NO_PERMISSION: Final = "no permission to capture: run as root, or give the process the capability CAP_NET_RAW"

LINKTYPE_ETHERNET: Final = 1
_LINK_TYPES: Final = {
    1: 1,  # ARPHRD_ETHER
    772: 1,  # ARPHRD_LOOPBACK: Ethernet headers with addresses of zeros
    519: 101,  # ARPHRD_RAWIP
    776: 101,  # ARPHRD_SIT
    0xFFFE: 101,  # ARPHRD_NONE: tun, WireGuard
    280: 227,  # ARPHRD_CAN
    801: 105,  # ARPHRD_IEEE80211
    803: 127,  # ARPHRD_IEEE80211_RADIOTAP
}
"""ARPHRD_ hardware type -> LINKTYPE_ of the frames that a raw socket gives."""
_OTHER_LINK_TYPES: Final = 0x8000
"""Hardware types of which none is assigned are told as this plus their number, which no capture file has."""


def _ask(sock: socket.socket, request: int, interface: str) -> bytes:
    """What the kernel puts behind the name of the interface. Raises InterfaceError if there is none."""
    import fcntl

    name = interface.encode("utf-8", "surrogateescape")
    try:
        if not name or len(name) > 15 or b"\0" in name:
            raise OSError
        return bytes(fcntl.ioctl(sock, request, _IFREQ.pack(name, b"")))[16:]
    except OSError:
        there = ", ".join(name for _, name in socket.if_nameindex()) or "none"
        raise InterfaceError(interface, f"no such network interface; there are: {there}") from None


def look_for(interfaces: Iterable[str]) -> None:
    """What a ring would say of them at once, without what it takes to make one.

    Raises InterfaceError if one is not there, or nobody may listen here.
    """
    names = [name for _, name in socket.if_nameindex()]
    for interface in interfaces:
        if interface not in names:
            raise InterfaceError(interface, f"no such network interface; there are: {', '.join(sorted(names))}")
        if hasattr(socket, "AF_PACKET"):
            try:
                # Protocol 0: nothing arrives.
                socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
            except PermissionError:
                raise InterfaceError(interface, NO_PERMISSION) from None
            except OSError:
                return  # a ring says what else is wrong


def index(sock: socket.socket, interface: str) -> int:
    """Its number. Raises InterfaceError if there is none of that name."""
    return int(struct.unpack_from("i", _ask(sock, _SIOCGIFINDEX, interface))[0])


def is_up(sock: socket.socket, interface: str) -> bool:
    """True if frames can arrive: switched on, and with a link. Raises InterfaceError if there is none of that name."""
    flags = int(struct.unpack_from("H", _ask(sock, _SIOCGIFFLAGS, interface))[0])
    return flags & _IFF_UP != 0 and flags & _IFF_RUNNING != 0


def link_type(interface: str, sock: socket.socket | None = None) -> int:
    """LINKTYPE_ number of its frames, as filters and records need it. Raises InterfaceError if there is none."""
    if sock is None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            return link_type(interface, own)
    hardware = int(struct.unpack_from("H", _ask(sock, _SIOCGIFHWADDR, interface))[0])
    return _LINK_TYPES.get(hardware, (_OTHER_LINK_TYPES + hardware) & 0xFFFF)


def drops(interface: str) -> int:
    """Frames that the interface itself has dropped since it is there; 0 if that cannot be read."""
    folder = Path("/sys/class/net", interface, "statistics")
    try:
        return sum(int((folder / name).read_text()) for name in _DROP_COUNTERS)
    except (OSError, ValueError):
        return 0
