"""Checksums of IPv4 and TCP (RFC 791, RFC 9293 3.1, RFC 8200 8.1), for the rare packet where they matter."""

from typing import Any

from otmon.limits import MAX_IPV6_EXTENSIONS
from otmon.wire.columns import TRANSPORT_TCP
from otmon.wire.loads import be16, be64, jit, u8

RIGHT, WRONG, UNSURE = 1, -1, 0


@jit
def ones_sum(buf: Any, a: int, e: int) -> int:
    """Sum of buf[a:e] as 16-bit words, folded (RFC 1071)."""
    total = 0
    while a + 8 <= e:
        word = be64(buf, a)
        total += (word & 0xFFFFFFFF) + ((word >> 32) & 0xFFFFFFFF)
        a += 8
    while a + 2 <= e:
        total += be16(buf, a)
        a += 2
    if a < e:
        total += u8(buf, a) << 8
    return fold(total)


@jit
def fold(total: int) -> int:
    """A ones' complement sum in 16 bits."""
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@jit
def transport_at(buf: Any, head: int, e: int) -> int:
    """Where the TCP header of the packet buf[head:e] is; -1 if it cannot be said."""
    if head + 40 > e:
        return -1
    if u8(buf, head) >> 4 == 4:
        return head + (u8(buf, head) & 15) * 4
    following, at = u8(buf, head + 6), head + 40
    for _ in range(MAX_IPV6_EXTENSIONS):
        if following == TRANSPORT_TCP:
            return at
        if at + 8 > e:
            return -1
        size = 8 if following == 44 else (u8(buf, at + 1) + 2) * 4 if following == 51 else (u8(buf, at + 1) + 1) * 8
        following = u8(buf, at)
        at += size
    return at if following == TRANSPORT_TCP else -1


@jit
def verify(buf: Any, head: int, e: int) -> int:
    """Whether the checksums of the TCP packet buf[head:e] are RIGHT or WRONG; UNSURE if not all of it is there."""
    tcp = transport_at(buf, head, e)
    if tcp < 0 or tcp + 20 > e:
        return UNSURE
    if u8(buf, head) >> 4 == 4:
        if head + be16(buf, head + 2) != e:
            return UNSURE
        if ones_sum(buf, head, tcp) != 0xFFFF:
            return WRONG
        addresses = ones_sum(buf, head + 12, head + 20)
    else:
        if head + 40 + be16(buf, head + 4) != e:
            return UNSURE
        addresses = ones_sum(buf, head + 8, head + 40)
    return RIGHT if fold(addresses + TRANSPORT_TCP + e - tcp + ones_sum(buf, tcp, e)) == 0xFFFF else WRONG
