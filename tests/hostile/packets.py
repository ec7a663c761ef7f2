"""IP fragments and IPv6 extension headers, made by hand."""

import struct
from collections.abc import Sequence

from tests.hostile.kit import Session, ethernet, ipv4
from tests.hostile.witness import CLIENT, FORBIDDEN, SERVER

SIX = ("fd00:2::9", "fd00:1::9")
HOP, ROUTING, DESTINATION, AUTHENTICATION, FRAGMENT = 0, 43, 60, 51, 44
EMPTY = b"\0\1\4\0\0\0\0"


def whole(*ends: str, data: bytes = FORBIDDEN, udp: bool = False) -> bytes:
    return Session(*(ends or (CLIENT, SERVER)), udp=udp).send(data, ip_id=9)


def pieces(parts: Sequence[tuple[int, bytes, bool]], ip_id: int = 9) -> list[bytes]:
    """IPv4 fragments: (offset, data, more)."""
    packet = whole()[14:]
    made = []
    for offset, data, more in parts:
        word = offset >> 3 | (0x2000 if more else 0)
        made.append(ethernet(ipv4(packet[12:16], packet[16:20], 6, data, ip_id, 64, word)))
    return made


def extended(headers: Sequence[tuple[int, bytes]], last: int | None = None) -> bytes:
    """An IPv6 request behind these headers: (type, header without its first byte)."""
    packet = whole(*SIX)[14:]
    kinds = [kind for kind, _ in headers] + [packet[6] if last is None else last]
    body = b"".join(bytes([kind]) + rest for kind, (_, rest) in zip(kinds[1:], headers, strict=True)) + packet[40:]
    return ethernet(packet[:4] + struct.pack(">HB", len(body), kinds[0]) + packet[7:40] + body)
