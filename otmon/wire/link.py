"""Link layers and tunnels taken off a frame, down to the IP header or to what is not IP.

Every layer is one small function `(buf, out) -> next layer`: it reads its header at out[L_L3], moves L_L3 behind it
(and L_END, where the layer knows better), and returns the ethertype that follows, a layer of its own (ETHERNET,
IP_BY_NIBBLE), or -LINK_* if the frame ends there. `_layers` is the table that joins them. Sources: IEEE 802.1Q; IEC
62439-3 (PRP and HSR); RFC 3032, 4385 (MPLS, control word); 2516 (PPPoE); 2784, 2890 (GRE); 7348 (VXLAN);
draft-foschiano-erspan.
"""
# mypy: disable-error-code="no-any-return"

from typing import Any, Final

from otmon.capture.batch import LINK_ETHERNET, LINK_NULL, LINK_RAW, LINK_SLL, LINK_SLL2
from otmon.limits import MAX_LINK_LAYERS
from otmon.wire import linknames as names
from otmon.wire.cooked import NULL_BYTES, SLL2_BYTES, SLL_BYTES, cooked_layer, cooked_source, null_layer
from otmon.wire.linknames import IPV4, IPV6
from otmon.wire.loads import be16, be32, be64, jit, jit_inline, u8

# --- what `strip` returns ------------------------------------------------------------------------------------------
LINK_IP: Final = 1
LINK_NON_IP: Final = 2
"""ARP, LLDP, PROFINET, GOOSE, 802.3 LLC...: out[L_ETHERTYPE] says which."""
LINK_UNSUPPORTED_LAYER: Final = 3
"""There may be IP in it, but not for these eyes: `linknames.describe` names it."""
LINK_MALFORMED: Final = 4
"""The frame ends inside a header, or a header contradicts itself."""
LINK_SHORT: Final = 5
"""The capture (snap length) ends inside a header."""

# --- slots of `out` ------------------------------------------------------------------------------------------------
L_L3: Final = 0
"""Offset of the IP header; of what follows the ethertype in a frame that is not IP."""
L_END: Final = 1
"""End of the captured bytes, without what lengths below IP and a PRP trailer (of a frame that is not IP) cut off."""
L_WIRE_END: Final = 2
"""Where they would end if all had been captured."""
L_FAMILY: Final = 3
"""4, 6, or 0: not IP."""
L_ETHERTYPE: Final = 4
"""0: 802.3 with LLC, or a link without ethertypes."""
L_SRC: Final = 5
"""MAC addresses as 48-bit words, of the inner frame in a tunnel; -1: none."""
L_DST: Final = 6
L_VLANS: Final = 7
"""Outer VLAN | inner VLAN << 16, of the inner frame in a tunnel; 0xFFFF: none (a priority tag names none)."""
L_TUNNEL: Final = 8
"""linknames.TUNNEL_*."""
L_OUTER: Final = 9
"""Offset of the outer IP header of a tunnel; -1: none."""
L_REASON: Final = 10
"""linknames.REASON_* of what was unsupported."""
L_WHAT: Final = 11
"""Its number: ethertype, link type, GRE protocol."""
L_SIZE: Final = 12

NO_VLAN: Final = 0xFFFF
NO_VLANS: Final = NO_VLAN | NO_VLAN << 16

# --- layers: ethertypes, and two that have none --------------------------------------------------------------------
ETHERNET: Final = 0x10000
IP_BY_NIBBLE: Final = 0x10001
_VLAN, _QINQ, _QINQ_OLD = 0x8100, 0x88A8, 0x9100
_HSR = 0x892F
_MPLS, _MPLS_UPSTREAM = 0x8847, 0x8848
_PPPOE = 0x8864
_PRP_SUFFIX = 0x88FB
_TRANSPARENT = 0x6558
_ERSPAN, _ERSPAN_3 = 0x88BE, 0x22EB
_LENGTH_BELOW = 0x0600
_MAC = 0xFFFF_FFFF_FFFF
_UNSUPPORTED = tuple(names.UNSUPPORTED_ETHERTYPES)


# --- small functions, one a layer ----------------------------------------------------------------------------------
@jit
def _cut(out: Any) -> int:
    return -LINK_SHORT if out[L_WIRE_END] > out[L_END] else -LINK_MALFORMED


@jit
def _unsupported(out: Any, reason: int, what: int) -> int:
    out[L_REASON], out[L_WHAT] = reason, what
    return -LINK_UNSUPPORTED_LAYER


@jit
def _ethernet(buf: Any, out: Any) -> int:
    at = out[L_L3]
    if at + 14 > out[L_END]:
        return _cut(out)
    out[L_DST] = be64(buf, at) >> 16 & _MAC
    out[L_SRC] = be64(buf, at + 6) >> 16 & _MAC
    out[L_L3] = at + 14
    return be16(buf, at + 12)


@jit
def _vlan(buf: Any, out: Any) -> int:
    at = out[L_L3]
    if at + 4 > out[L_END]:
        return _cut(out)
    number = be16(buf, at) & 0x0FFF
    vlans = out[L_VLANS]
    if number != 0:
        if vlans & 0xFFFF == NO_VLAN:
            out[L_VLANS] = NO_VLAN << 16 | number
        elif vlans >> 16 == NO_VLAN:
            out[L_VLANS] = number << 16 | vlans & 0xFFFF
    out[L_L3] = at + 4
    return be16(buf, at + 2)


@jit
def _length(buf: Any, length: int, out: Any) -> int:
    """802.3: a length instead of an ethertype, then LLC, which may be SNAP with an ethertype after all."""
    at = out[L_L3]
    if length <= out[L_WIRE_END] - at:
        out[L_WIRE_END] = at + length
        out[L_END] = min(out[L_END], at + length)
    if at + 8 <= out[L_END] and be32(buf, at) == 0xAAAA0300 and be16(buf, at + 4) == 0:
        out[L_L3] = at + 8
        return be16(buf, at + 6)
    return 0


@jit
def _prp(buf: Any, out: Any) -> int:
    """Take the redundancy control trailer off (IEC 62439-3, 4.1.7): sequence, LAN A or B and LSDU size, suffix."""
    at, end = out[L_L3], out[L_END]
    if end == out[L_WIRE_END] and end - at >= 6 and be16(buf, end - 2) == _PRP_SUFFIX:
        word = be16(buf, end - 4)
        # The size counts what follows ethertype and VLAN tags, the trailer included.
        if (word >> 12 == 0xA or word >> 12 == 0xB) and word & 0x0FFF == end - at:
            out[L_END] = out[L_WIRE_END] = end - 6
    return 0


@jit
def _hsr(buf: Any, out: Any) -> int:
    at = out[L_L3]
    if at + 6 > out[L_END]:
        return _cut(out)
    out[L_L3] = at + 6
    return be16(buf, at + 4)


@jit
def _mpls(buf: Any, out: Any) -> int:
    """One label; behind the last one IP, or a pseudowire with its control word (RFC 4385) and an Ethernet frame."""
    at = out[L_L3]
    if at + 5 > out[L_END]:
        return _cut(out)
    out[L_L3] = at + 4
    if be32(buf, at) & 0x100 == 0:
        return _MPLS
    nibble = u8(buf, at + 4) >> 4
    if nibble == 4 or nibble == 6:
        return IP_BY_NIBBLE
    if nibble != 0:
        return _unsupported(out, names.REASON_MPLS, nibble)
    if at + 8 > out[L_END]:
        return _cut(out)
    if out[L_TUNNEL] != names.TUNNEL_NONE:
        return _unsupported(out, names.REASON_NESTED, _MPLS)
    out[L_TUNNEL], out[L_VLANS] = names.TUNNEL_PSEUDOWIRE, NO_VLANS
    out[L_L3] = at + 8
    return ETHERNET


@jit
def _pppoe(buf: Any, out: Any) -> int:
    at = out[L_L3]
    if at + 8 > out[L_END]:
        return _cut(out)
    if be16(buf, at) != 0x1100:
        return -LINK_MALFORMED
    length = be16(buf, at + 4)
    if length < 2 or at + 6 + length > out[L_WIRE_END]:
        return -LINK_MALFORMED
    out[L_WIRE_END] = at + 6 + length
    out[L_END] = min(out[L_END], at + 6 + length)
    protocol = be16(buf, at + 6)
    if protocol == 0x0021 or protocol == 0x0057:
        out[L_L3] = at + 8
        return IPV4 if protocol == 0x0021 else IPV6
    out[L_ETHERTYPE] = _PPPOE  # LCP, authentication: no IP in it
    return -LINK_NON_IP


@jit
def _ip_by_nibble(buf: Any, out: Any) -> int:
    at = out[L_L3]
    if at >= out[L_END]:
        return _cut(out)
    nibble = u8(buf, at) >> 4
    return IPV4 if nibble == 4 else IPV6 if nibble == 6 else -LINK_MALFORMED


@jit
def _layers(buf: Any, layer: int, out: Any) -> int:
    """The table: from `layer` at out[L_L3] down, until IP or the end."""
    trailer = False  # a PRP trailer is looked for once the tags of an Ethernet frame are off
    for _ in range(MAX_LINK_LAYERS):
        if layer in (_VLAN, _QINQ, _QINQ_OLD):
            layer = _vlan(buf, out)
            if layer < 0:
                return -layer
            continue
        if layer in (IPV4, IPV6):
            out[L_ETHERTYPE] = layer
            out[L_FAMILY] = 4 if layer == IPV4 else 6
            return LINK_IP  # which says itself where it ends: no trailer to look for
        if trailer:
            _prp(buf, out)
            trailer = False
        if layer == ETHERNET:
            layer = _ethernet(buf, out)
            trailer = True
        elif 0 < layer < _LENGTH_BELOW:
            layer = _length(buf, layer, out)
        elif layer == IP_BY_NIBBLE:
            layer = _ip_by_nibble(buf, out)
        elif layer == _HSR:
            layer = _hsr(buf, out)
        elif layer in (_MPLS, _MPLS_UPSTREAM):
            layer = _mpls(buf, out)
        elif layer == _PPPOE:
            layer = _pppoe(buf, out)
        elif layer in _UNSUPPORTED:
            layer = _unsupported(out, names.REASON_ETHERTYPE, layer)
        else:
            out[L_ETHERTYPE] = layer
            return LINK_NON_IP
        if layer < 0:
            return -layer
    return -_unsupported(out, names.REASON_LAYERS, layer)


# --- tunnels -------------------------------------------------------------------------------------------------------
@jit
def _gre(buf: Any, out: Any) -> int:
    at = out[L_L3]
    if at + 4 > out[L_END]:
        return _cut(out)
    flags, protocol = be16(buf, at), be16(buf, at + 2)
    if flags & 0x4007 != 0:  # source routes; version 1 (PPTP)
        return _unsupported(out, names.REASON_GRE, protocol)
    at += 4 + (flags >> 15 & 1) * 4 + (flags >> 13 & 1) * 4 + (flags >> 12 & 1) * 4
    if at > out[L_END]:
        return _cut(out)
    out[L_L3], out[L_TUNNEL] = at, names.TUNNEL_GRE
    if protocol in (IPV4, IPV6):
        return protocol
    if protocol == _TRANSPARENT:
        return ETHERNET
    if protocol == _ERSPAN:
        # Type I has no header of its own and is told from type II by the sequence number GRE then lacks.
        if flags & 0x1000 == 0:
            out[L_TUNNEL] = names.TUNNEL_ERSPAN_1
            return ETHERNET
        if at + 8 > out[L_END]:
            return _cut(out)
        version = u8(buf, at) >> 4
        if version != 1:
            return _unsupported(out, names.REASON_ERSPAN, version)
        out[L_TUNNEL], out[L_L3] = names.TUNNEL_ERSPAN_2, at + 8
        return ETHERNET
    if protocol == _ERSPAN_3:
        if at + 12 > out[L_END]:
            return _cut(out)
        version, tail = u8(buf, at) >> 4, be16(buf, at + 10)
        kind = tail >> 10 & 0x1F
        if version != 2 or (kind != 0 and kind != 2):
            return _unsupported(out, names.REASON_ERSPAN, version if version != 2 else kind)
        at += 12 + (tail & 1) * 8
        if at > out[L_END]:
            return _cut(out)
        out[L_TUNNEL], out[L_L3] = names.TUNNEL_ERSPAN_3, at
        return ETHERNET if kind == 0 else IP_BY_NIBBLE
    return _unsupported(out, names.REASON_GRE, protocol)


@jit
def _tunnel_at(buf: Any, l3: int, end: int) -> int:
    """Offset of a GRE header or (negative) of a VXLAN header behind the IP header at `l3`; 0 if there is none."""
    if l3 + 20 > end:
        return 0
    nibble = u8(buf, l3) >> 4
    if nibble == 4:
        protocol, size = u8(buf, l3 + 9), (u8(buf, l3) & 15) * 4
        if size < 20 or be16(buf, l3 + 6) & 0x3FFF != 0:
            return 0
    elif nibble == 6:
        protocol, size = u8(buf, l3 + 6), 40
    else:
        return 0
    at = l3 + size
    if protocol == 47 and at <= end:
        return at
    # A VXLAN header must have its I bit set: anything else on that port is left what it is.
    if protocol == 17 and at + 16 <= end and be16(buf, at + 2) == 4789 and u8(buf, at + 8) & 0x08 != 0:
        return -(at + 8)
    return 0


@jit
def tunnel(buf: Any, l3: int, end: int, wire_end: int, out: Any) -> int:
    """Go on inside the GRE or VXLAN packet whose IP header is at `l3`, filling `out` anew as `strip` does.

    LINK_IP with `out` untouched if there is no tunnel; LINK_UNSUPPORTED_LAYER if there is one more inside. Also for
    datagrams put together from fragments (`out` must then be filled by the caller, L_TUNNEL 0).
    """
    at = _tunnel_at(buf, l3, end)
    if at == 0:
        return LINK_IP
    if out[L_TUNNEL] != names.TUNNEL_NONE:
        return -_unsupported(out, names.REASON_NESTED, out[L_TUNNEL])
    length = be16(buf, l3 + 2) if u8(buf, l3) >> 4 == 4 else be16(buf, l3 + 4) + 40
    # Length 0: segmentation offload, the frame tells; a length that lies is cut to the frame.
    inner_end = min(l3 + length, wire_end) if l3 + length >= abs(at) else wire_end
    out[L_OUTER] = l3
    out[L_L3], out[L_END], out[L_WIRE_END] = abs(at), min(end, inner_end), inner_end
    out[L_SRC] = out[L_DST] = -1
    out[L_VLANS], out[L_FAMILY], out[L_ETHERTYPE] = NO_VLANS, 0, 0
    if at > 0:
        layer = _gre(buf, out)
    else:
        out[L_TUNNEL], out[L_L3] = names.TUNNEL_VXLAN, abs(at) + 8
        layer = ETHERNET
    code = _layers(buf, layer, out) if layer > 0 else -layer
    if code == LINK_IP and _tunnel_at(buf, out[L_L3], out[L_END]) != 0:
        return -_unsupported(out, names.REASON_NESTED, out[L_TUNNEL])
    return code


@jit
def _other(buf: Any, link: int, out: Any) -> int:
    """Any frame, without haste."""
    kind = link & 0xFFFF
    if kind == LINK_ETHERNET:
        layer = ETHERNET
    elif kind == LINK_RAW:
        layer = IP_BY_NIBBLE
    elif kind in (LINK_SLL, LINK_SLL2, LINK_NULL):
        at = out[L_L3]
        size = NULL_BYTES if kind == LINK_NULL else SLL_BYTES if kind == LINK_SLL else SLL2_BYTES
        if at + size > out[L_END]:
            return -_cut(out)
        out[L_L3] = at + size
        if kind == LINK_NULL:
            layer = null_layer(buf, at)
        else:
            out[L_SRC] = cooked_source(buf, at, kind)
            layer = cooked_layer(buf, at, kind)
    else:
        layer = _unsupported(out, names.REASON_LINKTYPE, link >> 32)
    if layer < 0:
        return -layer
    code = _layers(buf, layer, out)
    if code == LINK_IP:
        return tunnel(buf, out[L_L3], out[L_END], out[L_WIRE_END], out)
    return code


@jit_inline
def strip(buf: Any, start: int, end: int, wire_end: int, link: int, out: Any) -> int:
    """Take the link layers and one tunnel off the frame buf[start:end]; returns LINK_IP .. LINK_SHORT.

    `wire_end` is `start` plus the frame's length on the wire; `link` its REC_LINK word (with the link type's number in
    it, if that is not supported); `out` an int64 array of L_SIZE slots, all of which are set.
    """
    out[L_END], out[L_WIRE_END] = end, wire_end
    out[L_TUNNEL], out[L_OUTER] = names.TUNNEL_NONE, -1
    out[L_REASON] = out[L_WHAT] = 0
    # Most frames: Ethernet, perhaps one tag, IP, no tunnel; long enough for every load up to the tunnel test.
    if link & 0xFFFF == LINK_ETHERNET and start + 38 <= end:
        layer, at = be16(buf, start + 12), start + 14
        vlans = NO_VLANS
        if layer == _VLAN:
            number = be16(buf, at) & 0x0FFF
            vlans = NO_VLAN << 16 | (number if number != 0 else NO_VLAN)
            layer, at = be16(buf, at + 2), at + 4
        if layer == IPV4 or layer == IPV6:
            out[L_L3], out[L_ETHERTYPE], out[L_VLANS] = at, layer, vlans
            out[L_DST] = be64(buf, start) >> 16 & _MAC
            out[L_SRC] = be64(buf, start + 6) >> 16 & _MAC
            if layer == IPV4:
                out[L_FAMILY], protocol = 4, u8(buf, at + 9)
            else:
                out[L_FAMILY], protocol = 6, u8(buf, at + 6)
            if protocol != 47 and protocol != 17:
                return LINK_IP
            return tunnel(buf, at, end, wire_end, out)
    out[L_L3], out[L_FAMILY], out[L_ETHERTYPE] = start, 0, 0
    out[L_SRC] = out[L_DST] = -1
    out[L_VLANS] = NO_VLANS
    return _other(buf, link, out)
