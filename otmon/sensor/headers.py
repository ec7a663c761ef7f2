"""Ethernet, IPv4 and TCP headers of many frames at once, as NumPy columns: for estimates about the capture itself.

What the sensor says about traffic comes from the engine alone. This looks at frames again, some of each batch, for
what the engine has no reason to keep: which side is tagged, how copies differ, when data and its acknowledgement came.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from otmon.capture.batch import LINK_ETHERNET, REC_LENGTHS, REC_LINK, REC_OFFSET, REC_TS, Batch

Column = NDArray[np.int64]
LOOKED_AT: Final = 1024
"""Frames at the beginning of a batch: all of a ring block at 20,000 frames a second."""
TUNNELS: Final = ("none", "erspan-i", "erspan-ii", "erspan-iii", "vxlan")
SYN: Final = 2
FIN: Final = 1
_VLAN, _QINQ, _QINQ_OLD = 0x8100, 0x88A8, 0x9100
_IPV4, _TCP, _UDP, _GRE = 0x0800, 6, 17, 47
_ERSPAN, _ERSPAN_3, _VXLAN_PORT = 0x88BE, 0x22EB, 4789
_SEQUENCE: Final = 0x1000
_PRP_SUFFIX: Final = 0x88FB
_HSR: Final = 0x892F
_WORD: Final = 8


class Headers(NamedTuple):
    """One row a frame, of the inner one in a tunnel; numbers of layers that are not there mean nothing."""

    ts_ns: Column
    tunnel: Column
    """Index in TUNNELS."""
    target: Column
    """MAC addresses, 48 bits."""
    origin: Column
    vlan: Column
    """0: not tagged (or for priority alone)."""
    lan: Column
    """10 or 11 (A, B) with a PRP trailer or an HSR tag, else 0."""
    ipv4: NDArray[np.bool_]
    """Whole IPv4 packets, no fragments."""
    source: Column
    destination: Column
    number: Column
    """IP identification."""
    ttl: Column
    protocol: Column
    size: Column
    """Total length."""
    ports: Column
    """First four bytes above IP: of TCP and UDP source port << 16 | destination port."""
    sequence: Column
    acknowledged: Column
    flags: Column
    """0 unless it is TCP."""
    checked: Column
    """Bytes 16-19 above IP; of TCP checksum and urgent pointer."""
    length: Column
    """TCP payload."""

    def where(self, rows: "NDArray[np.bool_] | NDArray[np.int64]") -> "Headers":
        """Some of the rows: by a mask, or by number."""
        columns: Any = (column[rows] for column in self)
        return Headers(*columns)


class _Bytes:
    """Big-endian loads at many places; zeros behind the end of the data."""

    def __init__(self, data: NDArray[np.uint8]) -> None:
        if len(data) < _WORD:
            data = np.concatenate([data, np.zeros(_WORD, np.uint8)])
        self._last = len(data) - _WORD
        # The same bytes as overlapping words: one load for a field, whatever its size and wherever it stands.
        self._words: Any = np.ndarray((self._last + 1,), ">u8", data, strides=(1,))

    def at(self, places: Column, size: int) -> Column:
        word = self._words[np.minimum(places, self._last)].astype(np.uint64)
        if len(places) and int(places.max()) > self._last:
            beyond = np.clip(places - self._last, 0, _WORD).astype(np.uint64)
            word = np.where(beyond < _WORD, word << (8 * (beyond & 7)), 0)
        shifted: Column = (word >> np.uint64(8 * (_WORD - size))).astype(np.int64)
        return shifted


def headers(batch: Batch, most: int = LOOKED_AT) -> Headers:
    """Of the first Ethernet frames of a batch, at most `most`."""
    records = batch.records[:most]
    records = records[records[:, REC_LINK] & 0xFFFF == LINK_ETHERNET]
    load = _Bytes(batch.data)
    begin, end = records[:, REC_OFFSET], records[:, REC_OFFSET] + (records[:, REC_LENGTHS] >> 32)
    vlan, ring, ethertype, l3 = _tags(load, begin)
    kind, inner = _tunnel(load, begin, end, ethertype, l3)
    if kind.any():
        begin = inner
        vlan, ring, ethertype, l3 = _tags(load, begin)
    fields = _ip(load, l3, end, ethertype)
    trailer = load.at(np.maximum(end - 4, begin), 4)
    lan = np.where(trailer & 0xFFFF == _PRP_SUFFIX, trailer >> 28, 0)
    lan = np.where((lan == 10) | (lan == 11), lan, ring)
    return Headers(records[:, REC_TS], kind, load.at(begin, 6), load.at(begin + 6, 6), vlan, lan, **fields)


def _tags(load: _Bytes, begin: Column) -> tuple[Column, Column, Column, Column]:
    """(outer VLAN, LAN by an HSR tag, ethertype behind the tags, where its layer begins)."""
    at = begin + 12
    vlan, lan = np.zeros((2, len(begin)), np.int64)
    for _ in range(4):
        word = load.at(at, 4)
        ethertype = word >> 16
        tagged = (ethertype == _VLAN) | (ethertype == _QINQ) | (ethertype == _QINQ_OLD)
        ring = ethertype == _HSR
        if not (tagged.any() or ring.any()):
            break
        lan = np.where(ring, 10 + (word >> 12 & 1), lan)
        vlan = np.where(tagged & (vlan == 0), word & 0xFFF, vlan)
        at = at + 4 * tagged + 6 * ring
    return vlan, lan, ethertype, at + 2


def _ip(load: _Bytes, l3: Column, end: Column, ethertype: Column) -> dict[str, Any]:
    first, second, addresses = load.at(l3, 8), load.at(l3 + 8, 2), l3 + 12
    above = l3 + (first >> 54 & 60)
    size = first >> 32 & 0xFFFF
    whole = (ethertype == _IPV4) & (first >> 60 & 15 == 4) & (above >= l3 + 20) & (above + 20 <= end)
    whole &= first & 0x3FFF == 0
    protocol = second & 0xFF
    tcp = whole & (protocol == _TCP)
    low, high = load.at(above, 8), load.at(above + 8, 8)
    word = high >> 16 & 0xFFFF
    return {
        "ipv4": whole,
        "source": load.at(addresses, 4),
        "destination": load.at(addresses + 4, 4),
        "number": first >> 16 & 0xFFFF,
        "ttl": second >> 8,
        "protocol": protocol,
        "size": size,
        "ports": low >> 32 & 0xFFFFFFFF,
        "sequence": low & 0xFFFFFFFF,
        "acknowledged": high >> 32 & 0xFFFFFFFF,
        "flags": np.where(tcp, word & 0x3F, 0),
        "checked": load.at(above + 16, 4),
        "length": np.where(tcp, np.maximum(size - (above - l3) - (word >> 10 & 60), 0), 0),
    }


def _tunnel(load: _Bytes, begin: Column, end: Column, ethertype: Column, l3: Column) -> tuple[Column, Column]:
    """(index in TUNNELS, where the inner frame begins): how mirrors over a network carry frames."""
    protocol = load.at(l3 + 9, 1)
    ip = (ethertype == _IPV4) & (l3 + 28 <= end) & ((protocol == _GRE) | (protocol == _UDP))
    if not ip.any():
        return np.zeros_like(begin), begin
    above = l3 + 4 * (load.at(l3, 1) & 15)
    gre, vxlan = ip & (protocol == _GRE), ip & (protocol == _UDP) & (load.at(above + 2, 2) == _VXLAN_PORT)
    word = np.where(gre, load.at(above, 4), 0)
    carried, numbered = word & 0xFFFF, word >> 16 & _SEQUENCE != 0
    three = gre & (carried == _ERSPAN_3)
    longer = 8 * (load.at(above + 19, 1) & 1)
    kinds = [gre & (carried == _ERSPAN) & ~numbered, gre & (carried == _ERSPAN) & numbered, three, vxlan]
    kind = np.select(kinds, [1, 2, 3, 4], 0)
    inner = np.select(kinds, [above + 4, above + 16, above + 20 + longer, above + 16], begin)
    kind = np.where(inner + 14 <= end, kind, 0)
    return kind, np.where(kind > 0, inner, begin)
