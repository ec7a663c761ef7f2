"""Frames: Ethernet, 802.1Q, IPv4 and IPv6, TCP and UDP with right sequence numbers and checksums; and a pcap writer."""

import struct
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

Event = tuple[int, bytes]
"""(microseconds since the capture's start, frame)."""

FIN, SYN, PSH_ACK, ACK = 0x01, 0x02, 0x18, 0x10
MIN_FRAME_BYTES = 60
"""Without the FCS: shorter frames are padded, and a mirror shows the padding."""
START_S = 1_700_000_000
SYN_OPTIONS = struct.pack(">BBH", 2, 4, 1460) + b"\x01\x01\x04\x02"


class Host(NamedTuple):
    """An address with its MAC."""

    address: IPv4Address | IPv6Address
    mac: bytes


def host(address: str) -> Host:
    """A host with a locally administered MAC made of its address."""
    parsed = ip_address(address)
    return Host(parsed, b"\x02\x00" + parsed.packed[-4:])


def _sum16(data: bytes) -> int:
    """Sum of 16-bit words modulo 0xFFFF: a number's digits in base 2^16 sum to it modulo 2^16 - 1 (RFC 1071)."""
    return int.from_bytes(data if len(data) % 2 == 0 else data + b"\0", "big") % 0xFFFF


def _checksum(total: int) -> int:
    rest = total % 0xFFFF
    return 0xFFFF - rest if rest else 0


class Pipe:
    """One direction between two hosts: Ethernet to IP headers, with the sender's IP identification counting up."""

    def __init__(self, src: Host, dst: Host, vlan: int | None, protocol: int, ttl: int) -> None:
        tag = b"" if vlan is None else struct.pack(">HH", 0x8100, vlan)
        self.version = src.address.version
        ether = dst.mac + src.mac + tag + (b"\x08\x00" if self.version == 4 else b"\x86\xdd")
        self.addresses = src.address.packed + dst.address.packed
        self.pseudo = _sum16(self.addresses) + protocol
        self.identification = int.from_bytes(src.mac[2:4], "big")
        if self.version == 4:
            self.prefix = ether + b"\x45\x00"
            self.fixed = struct.pack(">BB", ttl, protocol)
            self.header_sum = _sum16(b"\x45\x00\x00\x00\x00\x00\x40\x00" + self.fixed + b"\x00\x00" + self.addresses)
        else:
            self.prefix = ether + struct.pack(">I", 6 << 28)
            self.fixed = struct.pack(">BB", protocol, ttl) + self.addresses

    def wrap(self, segment: bytes) -> bytes:
        """The frame that carries a transport segment."""
        if self.version == 4:
            self.identification = (self.identification + 1) & 0xFFFF
            length = 20 + len(segment)
            checksum = _checksum(self.header_sum + length + self.identification)
            middle = struct.pack(">HHH", length, self.identification, 0x4000)
            frame = self.prefix + middle + self.fixed + struct.pack(">H", checksum) + self.addresses + segment
        else:
            frame = self.prefix + struct.pack(">H", len(segment)) + self.fixed + segment
        return frame if len(frame) >= MIN_FRAME_BYTES else frame.ljust(MIN_FRAME_BYTES, b"\0")


class Tcp:
    """One TCP connection. `side` is 0 for what the client sends, 1 for the server."""

    def __init__(
        self, client: Host, server: Host, ports: tuple[int, int], vlans: tuple[int | None, int | None]
    ) -> None:
        self.pipes = (Pipe(client, server, vlans[0], 6, 128), Pipe(server, client, vlans[1], 6, 64))
        self.ports = (ports, ports[::-1])
        self.next = [crc32(pipe.addresses, port) for pipe, port in zip(self.pipes, ports, strict=True)]

    def _segment(self, side: int, flags: int, payload: bytes, seq: int, options: bytes = b"") -> bytes:
        pipe = self.pipes[side]
        source, destination = self.ports[side]
        ack = self.next[1 - side] if flags & ACK else 0
        offset = (20 + len(options)) << 10 | flags
        total = pipe.pseudo + 20 + len(options) + len(payload) + source + destination + seq + ack + offset + 0xFAF0
        checksum = _checksum(total + _sum16(options) + _sum16(payload))
        header = struct.pack(">HHIIHHHH", source, destination, seq, ack, offset, 0xFAF0, checksum, 0)
        return pipe.wrap(header + options + payload)

    def data(self, side: int, payload: bytes) -> bytes:
        """The next segment with data."""
        seq = self.next[side]
        self.next[side] = (seq + len(payload)) & 0xFFFFFFFF
        return self._segment(side, PSH_ACK, payload, seq)

    def again(self, side: int, payload: bytes) -> bytes:
        """The last segment of that side once more: a retransmission, with an IP identification of its own."""
        return self._segment(side, PSH_ACK, payload, (self.next[side] - len(payload)) & 0xFFFFFFFF)

    def ack(self, side: int) -> bytes:
        """An acknowledgement without data."""
        return self._segment(side, ACK, b"", self.next[side])

    def handshake(self) -> tuple[bytes, bytes, bytes]:
        """SYN, SYN and ACK, ACK."""
        frames = []
        for side, flags in ((0, SYN), (1, SYN | ACK)):
            frames.append(self._segment(side, flags, b"", self.next[side], SYN_OPTIONS))
            self.next[side] = (self.next[side] + 1) & 0xFFFFFFFF
        return frames[0], frames[1], self.ack(0)


class Udp:
    """A conversation of datagrams."""

    def __init__(
        self, client: Host, server: Host, ports: tuple[int, int], vlans: tuple[int | None, int | None]
    ) -> None:
        self.pipes = (Pipe(client, server, vlans[0], 17, 128), Pipe(server, client, vlans[1], 17, 64))
        self.ports = (ports, ports[::-1])

    def data(self, side: int, payload: bytes) -> bytes:
        """A datagram."""
        length = 8 + len(payload)
        total = self.pipes[side].pseudo + 2 * length + sum(self.ports[side]) + _sum16(payload)
        header = struct.pack(">HHHH", *self.ports[side], length, _checksum(total) or 0xFFFF)
        return self.pipes[side].wrap(header + payload)


def icmp_echo(client: Host, server: Host, number: int) -> tuple[bytes, bytes]:
    """An IPv4 echo request and its reply."""
    frames = []
    for source, destination, kind in ((client, server, 8), (server, client, 0)):
        body = struct.pack(">HH", 7, number & 0xFFFF) + bytes(range(32))
        checksum = _checksum((kind << 8) + _sum16(body))
        frames.append(Pipe(source, destination, None, 1, 64).wrap(struct.pack(">BBH", kind, 0, checksum) + body))
    return frames[0], frames[1]


def arp(client: Host, server: Host) -> tuple[bytes, bytes]:
    """Who has the server's address, and its answer."""
    broadcast, nobody = b"\xff" * 6, b"\0" * 6
    head = bytes.fromhex("0001080006040001"), bytes.fromhex("0001080006040002")
    ask = (
        broadcast
        + client.mac
        + b"\x08\x06"
        + head[0]
        + client.mac
        + client.address.packed
        + nobody
        + server.address.packed
    )
    tell = (
        client.mac
        + server.mac
        + b"\x08\x06"
        + head[1]
        + server.mac
        + server.address.packed
        + client.mac
        + client.address.packed
    )
    return ask.ljust(MIN_FRAME_BYTES, b"\0"), tell.ljust(MIN_FRAME_BYTES, b"\0")


def lldp(sender: Host) -> bytes:
    """A switch that says its name."""
    tlvs = b"\x02\x07\x04" + sender.mac + b"\x04\x03\x05p1" + b"\x06\x02\x00\x78" + b"\x0a\x05sw-01" + b"\0\0"
    return (bytes.fromhex("0180c200000e") + sender.mac + b"\x88\xcc" + tlvs).ljust(MIN_FRAME_BYTES, b"\0")


def write_pcap(path: Path, events: Iterable[Event], frames: int) -> int:
    """Write at most `frames` events, which come in the order of time; how many were written."""
    written = 0
    with path.open("wb", buffering=1 << 20) as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1))
        for moment, frame in events:
            if written == frames:
                break
            second, micro = divmod(moment, 1_000_000)
            file.write(struct.pack("<IIII", START_S + second, micro, len(frame), len(frame)) + frame)
            written += 1
    return written
