"""Blocks of a TPACKET_V3 ring, written by hand as the kernel does."""

import struct

import numpy as np

from otmon.capture import tpacket
from otmon.capture.batch import LINK_ETHERNET, REC_COLUMNS

VLAN, VLAN_TPID = 0x10, 0x50


def frame(ts_ns, data, wire=None, status=0, tci=0, tpid=0, mac=82, last=False):
    """A frame with its header, and the way to the next."""
    size = mac + len(data)
    following = 0 if last else size + -size % 8
    seconds, rest = divmod(ts_ns, 1_000_000_000)
    wire = len(data) if wire is None else wire
    head = struct.pack(
        "<6I2H3IHH", following, seconds, rest, len(data), wire, status, mac, mac + 14, 0, tci, tpid, 0, 0
    )
    return head.ljust(mac, b"\xaa") + data + bytes(0 if last else -size % 8)


def block(frames, count=None, first=48):
    count = len(frames) if count is None else count
    return struct.pack("<5I", 1, 0, 1, count, first).ljust(first, b"\0") + b"".join(frames)


def of(*frames, **header):
    """A block of frames given as (ts_ns, data) or with the further arguments of `frame` in a dict."""
    made = [frame(*f[:2], **(f[2] if len(f) > 2 else {}), last=n == len(frames) - 1) for n, f in enumerate(frames)]
    return block(made, **header)


class Walked:
    """A block's walk to its end: statuses, records, frames; `state` goes on from block to block."""

    def __init__(self, raw, state=None, before=0, behind=0, link=LINK_ETHERNET, rows=None):
        self.buf = np.frombuffer(bytes(before) + raw + bytes(behind), np.uint8).copy()
        self.state = np.zeros(tpacket.STATE_SIZE, np.int64) if state is None else state
        self.state[tpacket.BEGIN], self.state[tpacket.END] = before, before + len(raw)
        self.state[tpacket.LEFT], self.state[tpacket.ROWS] = tpacket.UNOPENED, 0
        self.state[tpacket.LINK] = link
        rows = len(raw) // tpacket.FRAME_MIN_BYTES if rows is None else rows
        records = np.zeros((rows, REC_COLUMNS), np.int64)
        self.statuses = []
        while not self.statuses or self.statuses[-1] == tpacket.STEPPED:
            self.statuses.append(tpacket.far_walk(self.buf, self.state, records))
        self.records = records[: self.state[tpacket.ROWS]]

    @property
    def frames(self):
        return [self.buf[at : at + (lengths >> 32)].tobytes() for at, lengths, _, _ in self.records]

    @property
    def lengths(self):
        return [(int(n) >> 32, int(n) & 0xFFFFFFFF) for n in self.records[:, 1]]

    @property
    def times(self):
        return self.records[:, 2].tolist()
