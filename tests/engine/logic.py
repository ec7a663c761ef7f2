"""Uploads and downloads of S7 blocks as frames: every message apart, so that a test can lose or change one."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.hostile.kit import Session


def tpkt(cotp: bytes) -> bytes:
    return struct.pack(">BBH", 3, 0, 4 + len(cotp)) + cotp


def s7(rosctr: int, reference: int, param: bytes, data: bytes = b"", error: int = 0) -> bytes:
    answer = struct.pack(">H", error) if rosctr in (2, 3) else b""
    head = struct.pack(">BBHHHH", 0x32, rosctr, 0, reference, len(param), len(data))
    return tpkt(b"\x02\xf0\x80" + head + answer + param + data)


def named(code: int, file: bytes, rest: bytes = b"", status: int = 0) -> bytes:
    return bytes([code, status]) + bytes(6) + bytes([len(file)]) + file + rest


@dataclass
class Programmer:
    """One client of one controller; each method gives messages as (bytes, from the client)."""

    client: str = "10.0.2.30"
    server: str = "10.0.1.15"
    port: int = 49_200
    reference: int = 0x100
    session: Session = field(init=False)

    def __post_init__(self) -> None:
        self.session = Session(self.client, self.server, self.port, 102)

    def connect(self) -> list[bytes]:
        tsaps = b"\xc0\x01\x0a\xc1\x02\x01\x00\xc2\x02\x01\x02"
        setup = b"\xf0\x00\x00\x01\x00\x01\x01\xe0"
        return [
            *self.session.handshake(),
            self.session.send(tpkt(b"\x11\xe0\0\0\0\x01\0" + tsaps)),
            self.session.send(tpkt(b"\x11\xd0\0\x01\0\x02\0" + tsaps), from_client=False),
            *self.frames([(s7(1, 1, setup), True), (s7(3, 1, setup), False)]),
        ]

    def frames(self, messages: Iterable[tuple[bytes, bool]]) -> list[bytes]:
        return [self.session.send(data, from_client) for data, from_client in messages]

    def _job(
        self, param: bytes, answer: bytes, data: bytes = b"", turned: bool = False, error: int = 0
    ) -> list[tuple[bytes, bool]]:
        self.reference += 1
        return [(s7(1, self.reference, param), not turned), (s7(3, self.reference, answer, data, error), turned)]

    def upload(
        self, name: bytes, block: bytes, size: int = 200, number: int = 7, length: int | None = None
    ) -> list[tuple[bytes, bool]]:
        """`name`: 0800001A. `length`: what is announced."""
        handle = struct.pack(">I", number)
        digits = b"%07d" % (len(block) if length is None else length)
        messages = self._job(named(0x1D, b"_" + name), b"\x1d\0\1\0" + handle + bytes([len(digits)]) + digits)
        for at in range(0, len(block), size):
            piece = block[at : at + size]
            answer = bytes([0x1E, at + size < len(block)])
            messages += self._job(b"\x1e\0\0\0" + handle, answer, struct.pack(">HH", len(piece), 0xFB) + piece)
        return messages + self._job(b"\x1f\0\0\0" + handle, b"\x1f")

    def download(self, name: bytes, block: bytes, size: int = 200, error: int = 0) -> list[tuple[bytes, bool]]:
        """`error`: the controller ends it with this one."""
        file = b"_" + name
        lengths = b"\x0d1%06d%06d" % (len(block), max(len(block) - 36, 0))
        messages = self._job(named(0x1A, file, lengths), b"\x1a")
        for at in range(0, len(block), size):
            piece = block[at : at + size]
            answer = bytes([0x1B, at + size < len(block)])
            data = struct.pack(">HH", len(piece), 0xFB) + piece
            messages += self._job(named(0x1B, file), answer, data, turned=True)
        ended = bytearray(named(0x1C, file))
        ended[2:4] = struct.pack(">H", error)
        return messages + self._job(bytes(ended), b"\x1c", turned=True)
