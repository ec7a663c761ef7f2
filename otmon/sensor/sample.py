"""How a mirror shows frames: which side it tags, in what its copies differ, whether it comes through a tunnel.

A sample: the beginning of each batch. How many copies there are the engine counts, this says of which kind they are.
"""

from typing import Final

import numpy as np

from otmon.capture.batch import Batch
from otmon.sensor.headers import LOOKED_AT, TUNNELS, Headers, headers

COPIES: Final = ("same", "tagged", "routed", "redundant")
"""The very frame; another VLAN tag; behind a router (lower TTL, other MAC addresses); from the other LAN (PRP, HSR)."""
_MAX_PAIRS: Final = 4096
"""TCP connections of which it is remembered how each side is tagged; further ones are left out."""
_TAGGED, _UNTAGGED = 1, 2
_MIX: Final = 0x9E3779B97F4A7C15 - (1 << 64)


class Sample:
    """Adds up what batches show."""

    def __init__(self) -> None:
        self.frames = 0
        """Frames looked at."""
        self.group_frames = 0
        """Those to many: broadcast and multicast."""
        self.tunnels = dict.fromkeys(TUNNELS[1:], 0)
        self.copies = dict.fromkeys(COPIES, 0)
        self._pairs: dict[int, list[int]] = {}
        """Connection -> how the frames of its two sides are tagged, _TAGGED | _UNTAGGED."""

    def see(self, batch: Batch, most: int = LOOKED_AT) -> None:
        """Look at the beginning of a batch."""
        h = headers(batch, most)
        self.frames += len(h.ts_ns)
        self.group_frames += int(np.count_nonzero(h.target >> 40 & 1))
        for kind, number in enumerate(np.bincount(h.tunnel, minlength=len(TUNNELS)).tolist()[1:], 1):
            self.tunnels[TUNNELS[kind]] += number
        packets = h.where(h.ipv4)
        self._see_copies(packets)
        self._see_tags(packets.where(packets.flags != 0))

    def add(self, other: "Sample") -> None:
        """Add what was seen elsewhere, of other connections."""
        self.frames += other.frames
        self.group_frames += other.group_frames
        for mine, its in ((self.tunnels, other.tunnels), (self.copies, other.copies)):
            for name, number in its.items():
                mine[name] += number
        for pair, sides in other._pairs.items():
            if pair in self._pairs or len(self._pairs) < _MAX_PAIRS:
                mine_sides = self._pairs.setdefault(pair, [0, 0])
                self._pairs[pair] = [a | b for a, b in zip(mine_sides, sides, strict=True)]

    @property
    def both_ways(self) -> int:
        """TCP connections of which both directions were looked at."""
        return sum(all(sides) for sides in self._pairs.values())

    @property
    def tagged_one_way(self) -> int:
        """Those of which one direction always has a VLAN tag and the other never."""
        return sum(sorted(sides) == [_TAGGED, _UNTAGGED] for sides in self._pairs.values())

    def _see_copies(self, h: Headers) -> None:
        """Frames with the same packet in them, beside the first of them."""
        words = (h.source << 32 | h.destination, h.ports << 32 | h.sequence, h.acknowledged << 32 | h.checked)
        mark = h.number << 32 | h.size << 8 | h.protocol
        for word in words:
            mark = (mark ^ word) * _MIX
            mark ^= mark >> 29
        _, first, which = np.unique(mark, return_index=True, return_inverse=True)
        earlier = first[which]
        again = np.flatnonzero(earlier != np.arange(len(mark)))
        one, other = h.where(earlier[again]), h.where(again)
        moved = (one.target != other.target) | (one.origin != other.origin)
        kinds = {
            "redundant": (one.lan > 0) & (other.lan > 0) & (one.lan != other.lan),
            "routed": moved & (one.ttl != other.ttl),
            "tagged": one.vlan != other.vlan,
        }
        left = np.ones(len(again), np.bool_)
        for name, here in kinds.items():
            self.copies[name] += int(np.count_nonzero(here & left))
            left &= ~here
        self.copies["same"] += int(np.count_nonzero(left))

    def _see_tags(self, h: Headers) -> None:
        up = h.source > h.destination
        low, high = np.minimum(h.source, h.destination), np.maximum(h.source, h.destination)
        ports = np.where(up, h.ports >> 16 | (h.ports & 0xFFFF) << 16, h.ports)
        pair = ((low << 32 | high) * _MIX ^ ports) & ~3
        for word in np.unique(pair | up.astype(np.int64) << 1 | (h.vlan > 0)).tolist():
            if word & ~3 in self._pairs or len(self._pairs) < _MAX_PAIRS:
                sides = self._pairs.setdefault(word & ~3, [0, 0])
                sides[word >> 1 & 1] |= _TAGGED if word & 1 else _UNTAGGED
