"""IP fragments put together (RFC 791, RFC 8200 4.5): never complete with holes, overlaps are conflicts and end it."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from otmon.limits import FRAGMENT_TIMEOUT_NS, MAX_FRAGMENT_DATAGRAMS, MAX_FRAGMENTS_PER_DATAGRAM
from otmon.wire.checksums import ones_sum
from otmon.wire.loads import be16


@dataclass(slots=True)
class _Datagram:
    first_ts_ns: int
    header: Any = None
    pieces: dict[int, Any] = field(default_factory=dict)
    total: int = -1


class Defragmenter:
    """Incomplete datagrams, oldest first; capped in number, pieces and time."""

    def __init__(self) -> None:
        self._datagrams: OrderedDict[bytes, _Datagram] = OrderedDict()
        self.lost = 0
        """Datagrams given up: overlapping or impossible fragments, no room, or pieces that never came."""
        self.conflict: tuple[bytes, bytes] | None = None
        """(source, destination) of the last fragment if it came with other bytes than an earlier one; else None."""

    def offer(self, buf: Any, l3: int, end: int, family: int, realm: int, ts_ns: int) -> Any | None:
        """One fragment buf[l3:end]: the whole IP packet as a new array when it is the last piece, else None."""
        self._expire(ts_ns)
        self.conflict = None
        piece = _fragment4(buf, l3, end) if family == 4 else _fragment6(buf, l3, end)
        if piece is None:
            self.lost += 1
            return None
        key, offset, more, header, data = piece
        key = realm.to_bytes(2, "big") + key
        datagram = self._datagrams.get(key)
        if datagram is None:
            if len(self._datagrams) >= MAX_FRAGMENT_DATAGRAMS:
                self._datagrams.popitem(last=False)
                self.lost += 1
            datagram = self._datagrams[key] = _Datagram(ts_ns)
        if offset + len(data) > 65535 or (more and len(data) % 8) or len(datagram.pieces) >= MAX_FRAGMENTS_PER_DATAGRAM:
            self._drop(key)
            return None
        same = datagram.pieces.get(offset)
        if same is not None and np.array_equal(same, data):
            return None
        overlapping = [(at, p) for at, p in datagram.pieces.items() if at < offset + len(data) and offset < at + len(p)]
        if overlapping:
            if any(_differ(at, p, offset, data) for at, p in overlapping):
                self.conflict = _ends(buf, l3, family)
            self._drop(key)  # RFC 5722: overlapping fragments are never honest
            return None
        datagram.pieces[offset] = data
        if offset == 0:
            datagram.header = header
        if not more:
            datagram.total = offset + len(data)
        return self._complete(key, datagram, family)

    def _complete(self, key: bytes, datagram: _Datagram, family: int) -> Any | None:
        size = sum(map(len, datagram.pieces.values()))
        if datagram.total < 0 or datagram.header is None or size < datagram.total:
            return None
        del self._datagrams[key]
        if size != datagram.total:
            self.lost += 1
            return None
        packet = np.concatenate([datagram.header, *(datagram.pieces[at] for at in sorted(datagram.pieces))])
        if len(packet) > 65535 + 40:
            self.lost += 1
            return None
        length = len(packet) if family == 4 else len(packet) - 40
        at = 2 if family == 4 else 4
        packet[at], packet[at + 1] = length >> 8 & 0xFF, length & 0xFF
        if family == 4:
            size = 4 * (int(packet[0]) & 15)
            packet[10] = packet[11] = 0
            total = 0xFFFF - ones_sum(packet, 0, size)
            packet[10], packet[11] = total >> 8, total & 0xFF
        return packet

    def _drop(self, key: bytes) -> None:
        self.lost += 1
        del self._datagrams[key]

    def _expire(self, ts_ns: int) -> None:
        while self._datagrams:
            key, oldest = next(iter(self._datagrams.items()))
            if ts_ns - oldest.first_ts_ns <= FRAGMENT_TIMEOUT_NS:
                return
            del self._datagrams[key]
            self.lost += 1

    def missing(self) -> int:
        """How many datagrams were never whole, if no more comes."""
        return self.lost + len(self._datagrams)


def _differ(at: int, piece: Any, offset: int, data: Any) -> bool:
    """Whether two pieces disagree where they overlap."""
    low, high = max(at, offset), min(at + len(piece), offset + len(data))
    return not np.array_equal(piece[low - at : high - at], data[low - offset : high - offset])


def _ends(buf: Any, l3: int, family: int) -> tuple[bytes, bytes]:
    """Source and destination of a packet."""
    at, size = (l3 + 12, 4) if family == 4 else (l3 + 8, 16)
    return bytes(buf[at : at + size]), bytes(buf[at + size : at + 2 * size])


_Piece = tuple[bytes, int, bool, Any, Any]
"""(key, offset, more fragments, header for the whole packet, data)"""


def _fragment4(buf: Any, l3: int, end: int) -> _Piece | None:
    size = (int(buf[l3]) & 15) * 4
    word = be16(buf, l3 + 6)
    header = np.array(buf[l3 : l3 + size], dtype=np.uint8)
    header[6] = header[7] = 0
    key = b"4" + bytes(buf[l3 + 12 : l3 + 20]) + bytes(buf[l3 + 9 : l3 + 10]) + bytes(buf[l3 + 4 : l3 + 6])
    data = np.array(buf[l3 + size : end], dtype=np.uint8)
    if not len(data):
        return None
    return key, (word & 0x1FFF) * 8, bool(word & 0x2000), header, data


def _fragment6(buf: Any, l3: int, end: int) -> _Piece | None:
    following, at = int(buf[l3 + 6]), l3 + 40
    while following in (0, 43, 51, 60) and at + 8 <= end:
        units = int(buf[at + 1])
        size = (units + 2) * 4 if following == 51 else (units + 1) * 8
        following, at = int(buf[at]), at + size
    if following != 44 or at + 8 > end:
        return None
    word = be16(buf, at + 2)
    header = np.array(buf[l3 : l3 + 40], dtype=np.uint8)
    header[6] = buf[at]  # extension headers before the fragment header say nothing about the payload
    key = b"6" + bytes(buf[l3 + 8 : l3 + 40]) + bytes(buf[at + 4 : at + 8])
    data = np.array(buf[at + 8 : end], dtype=np.uint8)
    if not len(data):
        return None
    return key, word & 0xFFF8, bool(word & 1), header, data
