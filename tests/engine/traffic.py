"""Conversations of control protocols as shots (frames still to be made), and mischief done to them.

A shot keeps every field apart until `frame()`, so that mischief can change one: lose it, send it again, tag it, cut it.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from tests.engine.world import START_NS, Frame
from tests.hostile.kit import ACK, FIN, RST, SYN, Session
from tests.protocols import dnp3_corpus
from tests.protocols.modbus_corpus import adu
from tests.protocols.s7_streams import any_item, s7

PORTS = {"modbus": 502, "dnp3": 20000, "s7comm": 102}
MASK = 0xFFFFFFFF
Exchange = tuple[bytes, bytes]
"""Request and response as sent; b"": there is none."""


def modbus(kind: int, n: int) -> Exchange:
    """Exchange number `n` of a conversation, so that no two are alike."""
    at = struct.pack(">H", n)
    match kind % 6:
        case 0:
            return adu(3, at + b"\0\x02", transaction=n), adu(3, b"\4" + at + struct.pack(">H", n + 7), transaction=n)
        case 1:
            body = struct.pack(">HH", n % 50, 7 * n % 130)
            return adu(6, body, transaction=n), adu(6, body, transaction=n)
        case 2:
            body = struct.pack(">HH", n % 50, 2)
            return adu(16, body + b"\4" + at + b"\0\x09", transaction=n), adu(16, body, transaction=n)
        case 3:
            return adu(3, at + b"\0\x7d", transaction=n), adu(0x83, b"\2", transaction=n)
        case 4:
            return adu(3, at + b"\0\x50", transaction=n), adu(3, b"\xa0" + at * 80, transaction=n)
    return adu(1, at + b"\0\x05", transaction=n), adu(1, b"\1\x11", transaction=n)


def dnp3(kind: int, n: int) -> Exchange:
    application, index = 0xC0 | n & 15, struct.pack("<H", n)
    up, down = {}, {"control": dnp3_corpus.TO_MASTER, "destination": 1, "source": 10}

    def both(code: int, asked: bytes, answered: bytes) -> Exchange:
        request = bytes([application, code]) + asked
        response = bytes([application, 129, 0, 0]) + answered
        return (
            b"".join(dnp3_corpus.frames(request, first=n, **up)),
            b"".join(dnp3_corpus.frames(response, first=n, **down)),
        )

    match kind % 5:
        case 0:
            return both(1, b"\x3c\x02\x06", b"\x01\x02\x28\x01\x00" + index + b"\x81")
        case 1:
            control = b"\x0c\x01\x28\x01\x00" + index + b"\x03\x01" + bytes(8) + b"\0"
            return both(3 + n % 2, control, control)
        case 2:
            return both(13, b"", b"\x34\x02\x07\x01" + index)
        case 3:  # a response of three link frames
            return both(
                1, b"\x3c\x01\x06", b"\x1e\x02\x01" + index + struct.pack("<H", n + 199) + b"\x01\x10\x27" * 200
            )
    return both(2, b"\x50\x01\x00\x07\x07\x00", b"")


def tpkt(canonical: bytes) -> bytes:
    return struct.pack(">BBH", 3, 0, 4 + len(canonical)) + canonical


def s7comm(kind: int, n: int) -> Exchange:
    if n == 1:
        return (
            tpkt(b"\x11\xe0\0\0\0\1\0\xc1\2\1\0\xc2\2\1\2\xc0\1\x0a"),
            tpkt(b"\x11\xd0\0\1\0\2\0\xc1\2\1\0\xc2\2\1\2\xc0\1\x0a"),
        )
    match kind % 5:
        case 0:
            return tpkt(s7(1, b"\xf0\0\0\1\0\1\1\xe0", reference=n)), tpkt(s7(3, b"\xf0\0\0\1\0\1\0\xf0", reference=n))
        case 1 | 2:
            answer = b"\xff\x04\x00\x20" + struct.pack(">HH", n, 3)
            item = any_item(2, 4, 1, 0x84, 8 * n)
            return tpkt(s7(1, b"\4\1" + item, reference=n)), tpkt(s7(3, b"\4\1", answer, reference=n))
        case 3:
            value = b"\0\4\0\x10" + struct.pack(">H", n)
            item = any_item(2, 2, 1, 0x84, 8 * n)
            return tpkt(s7(1, b"\5\1" + item, value, reference=n)), tpkt(s7(3, b"\5\1", b"\xff", reference=n))
    stop = b"\x29\0\0\0\0\0\x09P_PROGRAM"
    return tpkt(s7(1, stop, reference=n)), tpkt(s7(3, b"\x29", reference=n))


MAKERS = {"modbus": modbus, "dnp3": dnp3, "s7comm": s7comm}


def exchanges(protocol: str, kinds: Sequence[int], first: int = 1) -> list[Exchange]:
    return [MAKERS[protocol](kind, n) for n, kind in enumerate(kinds, first)]


@dataclass(frozen=True, slots=True, repr=False)
class Shot:
    """One frame to be sent, and when."""

    session: Session
    ts_ns: int
    from_client: bool
    seq: int
    ack: int = 0
    flags: int = ACK
    data: bytes = b""
    ip_id: int = 0
    ttl: int = 64
    macs: tuple[bytes, bytes] | None = None
    vlan: tuple[int, ...] = ()
    cut: int | None = None

    def __repr__(self) -> str:
        side = ">" if self.from_client else "<"
        return f"{side}{self.seq}+{len(self.data)} ack{self.ack} f{self.flags} id{self.ip_id}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # hypothesis would tell every field

    def frame(self) -> Frame:
        data = self.session.send(
            self.data, self.from_client, self.seq & MASK, self.ack & MASK, self.flags, 8192, self.vlan, self.ip_id,
            self.ttl, self.macs,
        )  # fmt: skip
        return Frame(self.ts_ns, data, None if self.cut is None else len(data) - min(self.cut, len(self.data)))


def conversation(
    session: Session,
    talk: Iterable[Exchange],
    opening: bool = True,
    closing: bool = False,
    isn: tuple[int, int] = (1000, 5000),
    step_ns: int = 1_000_000,
    start_ns: int = START_NS,
    ip_id: int = 1,
    pipelined: int = 1,
) -> list[Shot]:
    """A TCP connection as it should be: each request is answered; `pipelined` requests are under way at once."""
    seq, shots = list(isn), []

    def shot(from_client: bool, data: bytes = b"", flags: int = ACK) -> None:
        me = 0 if from_client else 1
        number = len(shots)
        shots.append(
            Shot(session, start_ns + number * step_ns, from_client, seq[me], seq[1 - me], flags, data, ip_id + number)
        )
        seq[me] = (seq[me] + len(data) + bool(flags & (SYN | FIN))) & MASK

    if opening:
        shot(True, flags=SYN)
        shot(False, flags=SYN | ACK)
        shot(True)
    waiting: list[bytes] = []
    for request, response in talk:
        shot(True, request)
        waiting.append(response)
        if len(waiting) >= pipelined:
            for answer in waiting:
                if answer:
                    shot(False, answer)
            waiting = []
            shot(True)
    for answer in waiting:
        if answer:
            shot(False, answer)
    if closing:
        shot(True, flags=FIN | ACK)
        shot(False, flags=FIN | ACK)
        shot(True)
    return shots


def split(shot: Shot, cuts: Iterable[int]) -> list[Shot]:
    """The same bytes in several segments."""
    edges = sorted({0, len(shot.data), *(at % (len(shot.data) + 1) for at in cuts)})
    return [
        replace(shot, seq=shot.seq + a & MASK, data=shot.data[a:b], ip_id=shot.ip_id + 1000 * n & 0xFFFF)
        for n, (a, b) in enumerate(pairwise(edges))
    ] or [shot]


def frames(shots: Iterable[Shot]) -> list[Frame]:
    """In the order given; a clock that would run backwards stands still."""
    out: list[Frame] = []
    for shot in shots:
        frame = shot.frame()
        out.append(frame._replace(ts_ns=max(frame.ts_ns, out[-1].ts_ns)) if out else frame)
    return out


# --- mischief --------------------------------------------------------------------------------------------------------


def lose(shots: list[Shot], at: int, amount: int) -> None:
    del shots[at]


def move(shots: list[Shot], at: int, amount: int) -> None:
    """Overtaken by the next few."""
    shots.insert(min(at + 1 + amount % 5, len(shots)), shots.pop(at))


def again(shots: list[Shot], at: int, amount: int) -> None:
    """Sent a second time."""
    shots.insert(at + 1 + amount % 7, replace(shots[at], ip_id=shots[at].ip_id + 20_000 & 0xFFFF))


def other(shots: list[Shot], at: int, amount: int) -> None:
    """Sent a second time with another byte."""
    data = bytearray(shots[at].data)
    if data:
        data[amount % len(data)] ^= 1 << amount % 8
    changed = replace(shots[at], data=bytes(data), ip_id=shots[at].ip_id + 20_000 & 0xFFFF)
    shots.insert(at + 1 + amount % 4, changed)


def mirror(shots: list[Shot], at: int, amount: int) -> None:
    """The mirror shows the frame twice."""
    shots.insert(at + 1 + amount % 3, shots[at])


def routed(shots: list[Shot], at: int, amount: int) -> None:
    """Seen before and after a router."""
    beyond = replace(shots[at], ttl=shots[at].ttl - 1, macs=(b"\x06" * 6, b"\x0a" * 6))
    shots.insert(at + 1 + amount % 3, beyond)


def cut(shots: list[Shot], at: int, amount: int) -> None:
    """Two segments."""
    shots[at : at + 1] = split(shots[at], [1 + amount])


def crumble(shots: list[Shot], at: int, amount: int) -> None:
    """Many segments."""
    shots[at : at + 1] = split(shots[at], range(0, 400, 1 + amount % 9))


def join(shots: list[Shot], at: int, amount: int) -> None:
    """The next segment of the same direction in the same frame."""
    first = shots[at]
    for i in range(at + 1, min(at + 6, len(shots))):
        nxt = shots[i]
        if (nxt.session, nxt.from_client, nxt.seq) == (first.session, first.from_client, first.seq + len(first.data)):
            shots[at] = replace(first, data=first.data + nxt.data)
            if nxt.data:
                del shots[i]
            return


def tag(shots: list[Shot], at: int, amount: int) -> None:
    """One direction is tagged."""
    mine = shots[at]
    shots[:] = [
        replace(s, vlan=(7 + amount % 3,)) if (s.session, s.from_client) == (mine.session, mine.from_client) else s
        for s in shots
    ]


def snap(shots: list[Shot], at: int, amount: int) -> None:
    """The snap length left its last bytes out."""
    shots[at] = replace(shots[at], cut=1 + amount % 40)


def late(shots: list[Shot], at: int, amount: int) -> None:
    """Nobody spoke for a while: seconds, minutes or more than an hour."""
    pause = (3, 50, 400, 3700)[amount % 4] * 10**9
    shots[at:] = [replace(s, ts_ns=s.ts_ns + pause) for s in shots[at:]]


def deaf(shots: list[Shot], at: int, amount: int) -> None:
    """One direction is not mirrored."""
    mine = shots[at]
    shots[:] = [s for s in shots if (s.session, s.from_client) != (mine.session, mine.from_client)]


def middle(shots: list[Shot], at: int, amount: int) -> None:
    """Capture began here."""
    del shots[: at % 6]


def reset(shots: list[Shot], at: int, amount: int) -> None:
    """A reset, in the window or not."""
    s = shots[at]
    seq = s.seq + (0, 1, 1 << 30, -5)[amount % 4] & MASK
    shots.insert(at, replace(s, flags=RST | (amount & ACK), data=b"junk" * (amount % 2), seq=seq, ip_id=31_000))


def forged(shots: list[Shot], at: int, amount: int) -> None:
    """A SYN or FIN in the midst."""
    s = shots[at]
    flags = (SYN, SYN | ACK, FIN, FIN | ACK, SYN | FIN)[amount % 5]
    seq = s.seq + (0, 1, 1 << 29, -1)[amount % 4] & MASK
    shots.insert(at, replace(s, flags=flags, data=b"", seq=seq, ip_id=32_000))


def alive(shots: list[Shot], at: int, amount: int) -> None:
    """Keep-alive: the byte before, again."""
    s = shots[at]
    shots.insert(at, replace(s, seq=s.seq - 1 & MASK, data=b"\0" * (amount % 2), ip_id=33_000))


def rush(shots: list[Shot], at: int, amount: int) -> None:
    """All in the same nanosecond."""
    shots[:] = [replace(s, ts_ns=shots[0].ts_ns) for s in shots]


def noise(shots: list[Shot], at: int, amount: int) -> None:
    """Bytes that are no PDU, in sequence or beyond."""
    s = shots[at]
    seq = s.seq + (0, 3, 70_000, 1 << 20)[amount % 4] & MASK
    data = bytes((amount * 31 + i * 7) & 255 for i in range(1 + amount % 50))
    shots.insert(at, replace(s, seq=seq, data=data, ip_id=34_000))


MISCHIEF = (
    lose, move, again, other, mirror, routed, cut, crumble, join, tag, snap, late, deaf, middle, reset, forged, alive,
    rush, noise,
)  # fmt: skip


def spoil(shots: list[Shot], deeds: Iterable[tuple[int, int, int]]) -> list[Shot]:
    """`deeds`: (which of MISCHIEF, shot, amount)."""
    shots = list(shots)
    for which, at, amount in deeds:
        if shots:
            MISCHIEF[which](shots, at % len(shots), amount)
    return shots
