"""Tunnels that are not looked into: the pair that talks is an operation like any other, a finding names the tunnel."""

from typing import Any

from otmon.wire import linknames as names
from otmon.wire.accounts import foreign, unrecognised
from otmon.wire.columns import F_K1, FB_OTHER_IP, FB_TRUNCATED, FB_UNSUPPORTED
from otmon.wire.loads import be16, jit, u8
from otmon.wire.net import K1_PORTS

_CARRIERS = names.CARRIERS
_ETHERNET, _IPV4, _IPV6 = 0x6558, names.IPV4, names.IPV6


@jit
def ip_bucket(state: Any, protocol: int, cut: int) -> int:
    """The frame bucket of a packet that is neither TCP nor UDP; `cut`: bytes the snap length left out."""
    if protocol in _CARRIERS:
        state.unsupported[names.REASON_IP_PROTOCOL, protocol] += 1
        return FB_UNSUPPORTED
    return FB_TRUNCATED if cut > 0 else FB_OTHER_IP


@jit
def _carries(buf: Any, a: int, e: int, port: int) -> int:
    """Whether a datagram to this port is a tunnel's, by the fixed bits of its header."""
    if e - a < 12:
        return 0
    first, kind = u8(buf, a), be16(buf, a + 2)
    if port == 6081:  # RFC 8926 3.4: version 0, and what follows
        return 1 if first >> 6 == 0 and (kind == _ETHERNET or kind == _IPV4 or kind == _IPV6) else 0
    if port == 8472 or port == 4790:  # RFC 7348 5: the I flag; reserved octets
        return 1 if first & 0x08 and be16(buf, a + 1) == 0 else 0
    if port == 2152:  # 3GPP TS 29.281 5.1: version 1, GTP, G-PDU
        return 1 if first >> 4 == 3 and u8(buf, a + 1) == 255 else 0
    if port == 1701:  # RFC 2661 3.1: a data message of version 2
        return 1 if first & 0x80 == 0 and u8(buf, a + 1) & 15 == 2 else 0
    if port == 4500:  # RFC 3948 2.2: no key exchange, whose first four octets are 0
        return 1 if be16(buf, a) | kind else 0
    if port == 4754:  # RFC 8086: a GRE header
        return 1 if first & 0x4F == 0 and (kind == _ETHERNET or kind == _IPV4 or kind == _IPV6) else 0
    return 1 if port == 6635 else 0


@jit
def foreign_datagram(state: Any, buf: Any, a: int, e: int, flow: int, cut: int) -> None:
    """As `foreign`, of a datagram buf[a:e], which may be a tunnel's."""
    port = state.flows[flow, F_K1] >> K1_PORTS & 0xFFFF
    if not _carries(buf, a, e, port):
        foreign(state, flow >> 1, e - a, cut)
        return
    state.unsupported[names.REASON_UDP_PORT, port] += 1
    state.frames[FB_UNSUPPORTED] += 1
    unrecognised(state, flow >> 1, e - a)
