"""Raw Ethernet frames for engine tests, checksums right, nothing sent anywhere.

    session = Session("10.0.0.1", "10.0.0.2", client_port=49152, server_port=502)      # or IPv6 addresses
    frames = session.handshake()                                  # SYN, SYN+ACK, ACK; ISNs 1000 and 5000
    frames += [session.send(request), session.send(response, from_client=False)]
    frames += session.send_cut(big, [1, 7])                       # one frame for each piece, cut at these offsets
    frames.insert(4, session.send(b"old", seq=session.seq[0] - 3))   # explicit seq: overlap, gap, copy; state stays
    frames += fragments(session.send(request), 16)                # IPv4 or IPv6 fragments with 16 bytes of payload each
    frames += session.close() + [session.send(flags=RST)]
    frames.append(Session(a, b, 20000, 20000, udp=True).send(datagram))
    write_pcap(path, frames)                                      # frames a millisecond apart, or (ts_ns, frame)

Everything on a frame can be set for that frame alone: `seq`, `ack`, `flags`, `window`, `vlan` (802.1Q ids, outermost
first), `ip_id`, `ttl`, `options` (of TCP, padded to 4 bytes), `macs` (source, destination). `session.seq` is [client's
next, server's next] and may be written: to start mid-stream, to leave a hole, to come near the wrap at 2**32.
"""

import struct
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
MACS = (b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02")


def checksum(data: bytes) -> int:
    """RFC 1071."""
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def ethernet(packet: bytes, macs: Sequence[bytes] = MACS, vlan: Sequence[int] = ()) -> bytes:
    """An IP packet in a frame from macs[0] to macs[1]."""
    tags = b"".join(struct.pack(">HH", 0x8100, tag) for tag in vlan)
    return macs[1] + macs[0] + tags + (b"\x08\0" if packet[0] >> 4 == 4 else b"\x86\xdd") + packet


def ipv4(
    source: bytes, destination: bytes, protocol: int, payload: bytes, ip_id: int, ttl: int, offset: int = 0
) -> bytes:
    """`offset`: flags and fragment offset as on the wire."""
    fields = (0x45, 0, 20 + len(payload), ip_id, offset, ttl, protocol)
    head = struct.pack(">BBHHHBB", *fields)
    return head + struct.pack(">H", checksum(head + source + destination)) + source + destination + payload


def fragments(frame: bytes, size: int) -> list[bytes]:
    """The IP payload of an untagged frame in pieces of `size` bytes (a multiple of 8); IPv6 with a fragment header."""
    link, packet = frame[:14], frame[14:]
    pieces = []
    if packet[0] >> 4 == 4:
        payload, (ip_id, ttl) = packet[20:], struct.unpack(">4xH2xB", packet[:9])
        for at in range(0, len(payload), size):
            offset = at >> 3 | (0x2000 if at + size < len(payload) else 0)
            pieces.append(ipv4(packet[12:16], packet[16:20], packet[9], payload[at : at + size], ip_id, ttl, offset))
        return [link + piece for piece in pieces]
    payload = packet[40:]
    for at in range(0, len(payload), size):
        more = at + size < len(payload)
        piece = struct.pack(">BBHI", packet[6], 0, at | more, checksum(payload)) + payload[at : at + size]
        pieces.append(packet[:4] + struct.pack(">HB", len(piece), 44) + packet[7:40] + piece)
    return [link + piece for piece in pieces]


class Session:
    """One TCP connection or UDP conversation and its sequence numbers."""

    def __init__(self, client: str, server: str, client_port: int = 49152, server_port: int = 502, udp: bool = False):
        self.ends = (ip_address(client).packed, ip_address(server).packed)
        if len(self.ends[0]) != len(self.ends[1]):
            raise ValueError("addresses of two families")
        self.ports = (client_port, server_port)
        self.udp = udp
        self.seq = [1000, 5000]
        self.ids = [0, 0]

    def send(
        self,
        data: bytes = b"",
        from_client: bool = True,
        seq: int | None = None,
        ack: int | None = None,
        flags: int = ACK,
        window: int = 8192,
        vlan: Sequence[int] = (),
        ip_id: int | None = None,
        ttl: int = 64,
        macs: Sequence[bytes] | None = None,
        options: bytes = b"",
    ) -> bytes:
        """One frame. Without `seq` it continues the stream (SYN and FIN count as a byte)."""
        me, other = (0, 1) if from_client else (1, 0)
        ports = struct.pack(">HH", self.ports[me], self.ports[other])
        if self.udp:
            layer4 = bytearray(ports + struct.pack(">HH", 8 + len(data), 0) + data)
        else:
            number = (self.seq[me] if seq is None else seq) % 2**32
            confirmed = (self.seq[other] if ack is None else ack) % 2**32 if flags & ACK else 0
            layer4 = bytearray(
                ports
                + struct.pack(">IIBBHHH", number, confirmed, 0x50 + 4 * len(options), flags, window, 0, 0)
                + options
                + data
            )
            if seq is None:
                self.seq[me] = (number + len(data) + bool(flags & (SYN | FIN))) % 2**32
        protocol = 17 if self.udp else 6
        pseudo = self.ends[me] + self.ends[other] + struct.pack(">II", len(layer4), protocol)
        struct.pack_into(">H", layer4, 6 if self.udp else 16, checksum(pseudo + layer4) or (0xFFFF if self.udp else 0))
        if len(self.ends[0]) == 4:
            self.ids[me] += ip_id is None
            number = (self.ids[me] if ip_id is None else ip_id) % 2**16
            packet = ipv4(self.ends[me], self.ends[other], protocol, bytes(layer4), number, ttl)
        else:
            head = struct.pack(">IHBB", 6 << 28, len(layer4), protocol, ttl)
            packet = head + self.ends[me] + self.ends[other] + bytes(layer4)
        return ethernet(packet, macs or (MACS if from_client else MACS[::-1]), vlan)

    def send_cut(self, data: bytes, cuts: Iterable[int], from_client: bool = True) -> list[bytes]:
        """The same bytes in several segments."""
        edges = [0, *sorted(cuts), len(data)]
        return [self.send(data[a:b], from_client) for a, b in pairwise(edges) if a < b]

    def handshake(self) -> list[bytes]:
        """SYN, SYN+ACK, ACK."""
        return [self.send(flags=SYN), self.send(flags=SYN | ACK, from_client=False), self.send()]

    def close(self) -> list[bytes]:
        """FIN from both sides and the last ACK."""
        return [self.send(flags=FIN | ACK), self.send(flags=FIN | ACK, from_client=False), self.send()]


def write_pcap(path: Path, frames: Iterable[bytes | tuple[int, bytes]], start_ns: int = 1_700_000_000 * 10**9) -> Path:
    """Nanosecond pcap, Ethernet; frames without a time stamp are a millisecond apart, from `start_ns` on."""
    out = bytearray(struct.pack("<IHHIIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1))
    for number, item in enumerate(frames):
        ts_ns, frame = item if isinstance(item, tuple) else (start_ns + number * 1_000_000, item)
        out += struct.pack("<IIII", *divmod(ts_ns, 10**9), len(frame), len(frame)) + frame
    path.write_bytes(out)
    return path
