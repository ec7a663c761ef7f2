"""A small capture reader for tests: transport payloads, segment by segment, without reassembly."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

CAPTURES = Path(os.environ.get("OTMON_SHARED", Path(__file__).parents[3] / "shared" / "captures"))


class Segment(NamedTuple):
    frame: int
    protocol: int
    ports: tuple[int, int]
    payload: bytes


def packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(link type, frame) of a pcap or of a little-endian pcapng with one section."""
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        at, links = 0, []
        while at + 12 <= len(data):
            kind, size = struct.unpack_from("<II", data, at)
            if kind == 1:
                links.append(struct.unpack_from("<H", data, at + 8)[0])
            if kind == 6:
                interface, captured = struct.unpack_from("<I8xI", data, at + 8)
                yield links[interface], data[at + 28 : at + 28 + captured]
            at += size
        return
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    link = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF
    at = 24
    while at + 16 <= len(data):
        captured = struct.unpack_from(order + "I", data, at + 8)[0]
        yield link, data[at + 16 : at + 16 + captured]
        at += 16 + captured


def segments(path: Path) -> Iterator[Segment]:
    """TCP and UDP over IPv4 over Ethernet (with 802.1Q tags) or raw IP."""
    for frame, (link, packet) in enumerate(packets(path.read_bytes()), 1):
        if link == 1:
            kind, packet = packet[12:14], packet[14:]
            while kind == b"\x81\x00":
                kind, packet = packet[2:4], packet[4:]
            if kind != b"\x08\x00":
                continue
        if len(packet) < 20 or packet[0] >> 4 != 4 or int.from_bytes(packet[6:8], "big") & 0x3FFF:
            continue
        inner = packet[4 * (packet[0] & 15) : int.from_bytes(packet[2:4], "big")]
        if packet[9] == 6 and len(inner) >= 20:
            payload = inner[4 * (inner[12] >> 4) :]
        elif packet[9] == 17 and len(inner) >= 8:
            payload = inner[8:]
        else:
            continue
        if payload:
            yield Segment(frame, packet[9], struct.unpack_from(">HH", inner), payload)
