"""Pseudo link headers that the capturing machine wrote itself: Linux cooked v1 and v2, BSD null and loop.

Sources: tcpdump.org's pages LINKTYPE_LINUX_SLL, LINKTYPE_LINUX_SLL2, LINKTYPE_NULL, LINKTYPE_LOOP.
"""
# mypy: disable-error-code="no-any-return"

from typing import Any, Final

from otmon.capture.batch import LINK_SLL
from otmon.wire.linknames import IPV4, IPV6
from otmon.wire.loads import be16, be32, be64, jit, le32, u8

SLL_BYTES: Final = 16
SLL2_BYTES: Final = 20
NULL_BYTES: Final = 4
_ETHERNET_HARDWARE = 1
_NETLINK_HARDWARE = 824
_LENGTH_BELOW = 0x0600


@jit
def cooked_layer(buf: Any, at: int, link: int) -> int:
    """Ethertype in the cooked header at `at`; 0 if the protocol word is none."""
    hardware = be16(buf, at + 2) if link == LINK_SLL else be16(buf, at + 8)
    protocol = be16(buf, at + 14) if link == LINK_SLL else be16(buf, at)
    # 1 and 4 stand for 802.3 and 802.2 frames; on netlink the word is no ethertype at all.
    return 0 if protocol < _LENGTH_BELOW or hardware == _NETLINK_HARDWARE else protocol


@jit
def cooked_source(buf: Any, at: int, link: int) -> int:
    """The sender's MAC as a 48-bit word, -1 if there is none; a cooked header has no receiver."""
    if link == LINK_SLL:
        hardware, length, address = be16(buf, at + 2), be16(buf, at + 4), at + 6
    else:
        hardware, length, address = be16(buf, at + 8), u8(buf, at + 11), at + 12
    return be64(buf, address) >> 16 & 0xFFFF_FFFF_FFFF if hardware == _ETHERNET_HARDWARE and length == 6 else -1


@jit
def null_layer(buf: Any, at: int) -> int:
    """Ethertype for the address family at `at`, in the byte order of who captured or the network; 0: not IP."""
    family = le32(buf, at)
    if family > 0xFFFF:
        family = be32(buf, at)
    if family == 2:
        return IPV4
    # AF_INET6 of Linux, Windows, NetBSD and OpenBSD, FreeBSD, Darwin.
    return IPV6 if family in (10, 23, 24, 28, 30) else 0
