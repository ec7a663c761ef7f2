"""What the kernel says of a network interface: flags, speed, addresses, offloads, ring, drops. Nothing is changed.

By ioctl (netdevice(7), linux/ethtool.h) and /proc/net, which speak of the network this process is in; sysfs may not.
"""

import ctypes
import fcntl
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

_SIOCGIFFLAGS, _SIOCGIFADDR, _SIOCGIFHWADDR, _SIOCETHTOOL = 0x8913, 0x8915, 0x8927, 0x8946
_GSET, _GRINGPARAM, _GSTRINGS, _GSSET_INFO, _GFEATURES = 0x1, 0x10, 0x1B, 0x37, 0x3A
_SS_FEATURES: Final = 4
_STRING_BYTES: Final = 32
_MAX_FEATURES: Final = 1024
IFF_UP, IFF_RUNNING, IFF_NOARP = 0x1, 0x40, 0x80
ARPHRD_ETHER: Final = 1
_UNKNOWN_SPEED: Final = (0, 0xFFFF, 0xFFFFFFFF)
_SETTINGS_BYTES, _RING_BYTES = 44, 36
_NAME_BYTES: Final = 16
_PROC_DEV: Final = {"frames": 1, "errors": 2, "drops": 3, "fifo": 4}
"""Receive columns of /proc/net/dev, after the interface's name."""


class Feature(NamedTuple):
    """An offload: whether it is on, and whether it can be changed."""

    on: bool
    changeable: bool


class Nic(NamedTuple):
    """An interface; None is what the driver does not tell.

    `features` by the kernel's names, such as rx-gro. `ring`: receive descriptors now, and at most. `received`: frames,
    errors, drops and fifo overruns since the interface was made.
    """

    name: str
    number: int
    flags: int
    hardware: int
    speed_mbit: int | None
    addresses: tuple[str, ...]
    ipv6: bool
    features: dict[str, Feature]
    ring: tuple[int, int] | None
    received: dict[str, int]


def _request(control: socket.socket, name: str, number: int) -> bytes | None:
    """An ioctl that fills in a struct ifreq; the 24 bytes after the name."""
    try:
        filled: bytes = fcntl.ioctl(control, number, struct.pack("16s24x", name.encode()))
    except OSError:
        return None
    return filled[_NAME_BYTES:]


def _ethtool(control: socket.socket, name: str, request: bytes, size: int) -> bytes | None:
    """An ethtool command that reads; its struct of `size` bytes, or None if the driver does not know it."""
    buffer = ctypes.create_string_buffer(request, size)
    try:
        fcntl.ioctl(control, _SIOCETHTOOL, struct.pack("16sP16x", name.encode(), ctypes.addressof(buffer)))
    except OSError:
        return None
    return buffer.raw


def _features(ask: Callable[[bytes, int], bytes | None]) -> dict[str, Feature]:
    """Every feature by name: their number, their names, their bits in blocks of 32."""
    info = ask(struct.pack("IIQ", _GSSET_INFO, 0, 1 << _SS_FEATURES), 20)
    count = 0 if info is None else min(struct.unpack_from("I", info, 16)[0], _MAX_FEATURES)
    blocks = (count + 31) // 32
    names = ask(struct.pack("III", _GSTRINGS, _SS_FEATURES, count), 12 + count * _STRING_BYTES)
    bits = ask(struct.pack("II", _GFEATURES, blocks), 8 + 16 * blocks)
    if not count or names is None or bits is None:
        return {}
    found = {}
    for n in range(count):
        name = names[12 + n * _STRING_BYTES :][:_STRING_BYTES].partition(b"\0")[0].decode("ascii", "replace")
        available, _, active, never = struct.unpack_from("4I", bits, 8 + 16 * (n // 32))
        bit = 1 << n % 32
        found[name] = Feature(bool(active & bit), bool(available & bit and not never & bit))
    return found


def _speed(raw: bytes | None) -> int | None:
    if raw is None:
        return None
    speed = struct.unpack_from("H", raw, 12)[0] | struct.unpack_from("H", raw, 28)[0] << 16
    return None if speed in _UNKNOWN_SPEED else speed


def _ring(raw: bytes | None) -> tuple[int, int] | None:
    if raw is None:
        return None
    most, now = struct.unpack_from("I", raw, 4)[0], struct.unpack_from("I", raw, 20)[0]
    return (now, most) if now and most else None


def _lines(path: str) -> list[list[str]]:
    try:
        return [line.replace(":", " ", 1).split() for line in Path(path).read_text().splitlines()]
    except OSError:
        return []


def _ipv6_addresses(name: str) -> list[str]:
    try:
        rows = [line.split() for line in Path("/proc/net/if_inet6").read_text().splitlines()]
    except OSError:  # a kernel without IPv6
        return []
    return [socket.inet_ntop(socket.AF_INET6, bytes.fromhex(row[0])) for row in rows if row[-1] == name]


def _has_ipv6(name: str) -> bool:
    try:
        return Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").read_text().strip() == "0"
    except OSError:
        return False


def look(name: str) -> Nic | None:
    """The interface of that name; None if there is none. Needs no privilege."""
    try:
        index = socket.if_nametoindex(name)
    except (OSError, ValueError):
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:

        def ask(request: bytes, size: int) -> bytes | None:
            return _ethtool(control, name, request, size)

        flags = _request(control, name, _SIOCGIFFLAGS)
        hardware = _request(control, name, _SIOCGIFHWADDR)
        address = _request(control, name, _SIOCGIFADDR)
        ipv4 = [] if address is None else [socket.inet_ntoa(address[4:8])]
        received = next((line for line in _lines("/proc/net/dev") if line and line[0] == name), [])
        return Nic(
            name,
            index,
            0 if flags is None else struct.unpack_from("H", flags)[0],
            0 if hardware is None else struct.unpack_from("H", hardware)[0],
            _speed(ask(struct.pack("I", _GSET), _SETTINGS_BYTES)),
            (*ipv4, *_ipv6_addresses(name)),
            _has_ipv6(name),
            _features(ask),
            _ring(ask(struct.pack("I", _GRINGPARAM), _RING_BYTES)),
            {} if not received else {field: int(received[1 + at]) for field, at in _PROC_DEV.items()},
        )
