"""A few frames of every kind, so that `otmon warm` compiles every entry point."""

import struct
from collections.abc import Iterator

import numpy as np

from otmon.capture.batch import LINK_ETHERNET, REC_COLUMNS, Batch


def _tcp(src: int, dst: int, sport: int, dport: int, seq: int, ack: int, flags: int, payload: bytes) -> bytes:
    total = 40 + len(payload)
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, total, seq & 0xFFFF, 0, 64, 6, 0, src, dst)
    return b"\x02" * 12 + b"\x08\x00" + ip + _header(sport, dport, seq, ack, flags) + payload


def _header(sport: int, dport: int, seq: int, ack: int, flags: int) -> bytes:
    return struct.pack(">HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, 0, 0, 0)


def frames() -> Iterator[Batch]:
    """One batch: a Modbus exchange, a hole, a repeated segment, a fragment, office traffic."""
    read = bytes.fromhex("00010000000601030000000a")
    a, b = 0x0A000001, 0x0A000002
    packets = [
        _tcp(a, b, 40000, 502, 0, 0, 2, b""),
        _tcp(b, a, 502, 40000, 0, 1, 18, b""),
        _tcp(a, b, 40000, 502, 1, 1, 24, read),
        _tcp(a, b, 40000, 502, 1, 1, 24, read),
        _tcp(a, b, 40000, 502, 25, 1, 24, read),
        _tcp(a, b, 40001, 502, 1, 1, 24, read[:5]),
        _tcp(a, b, 40002, 80, 1, 1, 24, b"GET / HTTP/1.0"),
    ]
    fragment = bytearray(packets[2])
    fragment[20] = 0x20
    packets.append(bytes(fragment))
    data = np.frombuffer(b"".join(packets), np.uint8).copy()
    records = np.zeros((len(packets), REC_COLUMNS), np.int64)
    at = 0
    for row, packet in zip(records, packets, strict=True):
        row[:] = at, len(packet) << 32 | len(packet), 1_000_000_000, LINK_ETHERNET
        at += len(packet)
    yield Batch(data, records, 0, 1)
