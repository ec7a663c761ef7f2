"""Counts the work of a run in executed lines, for floods of two sizes: what must be linear is counted, not timed.

`python -m tests.hostile.work SIZE...`, interpreted, prints for each flood the lines of otmon executed at each size.
"""

import random
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from tests.engine.scenes import policies
from tests.engine.traffic import conversation, frames, split
from tests.engine.world import START_NS, Frame, see
from tests.hostile.kit import ACK, SYN, Session, fragments
from tests.protocols.modbus_corpus import adu

CLIENT, SERVER = "10.0.2.9", "10.0.1.9"
PRIME = 2**61 - 1


def read(n: int, quantity: int = 1) -> bytes:
    return adu(3, (n % 60_000).to_bytes(2, "big") + quantity.to_bytes(2, "big"), transaction=n % 65_536)


def fragments_without_end(size: int) -> list[bytes]:
    """H17: a first fragment each, of different datagrams."""
    return [
        fragments(Session(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", SERVER).send(read(n)), 16)[0] for n in range(size)
    ]


def fragments_of_one(size: int) -> list[bytes]:
    """Many of one identification, so that completeness is asked again and again."""
    whole = Session(CLIENT, SERVER).send(read(1) * 200, ip_id=5)
    return (fragments(whole, 8) * (1 + size // 300))[:size]


def colliding(size: int) -> list[bytes]:
    """H20: addresses that Python would hash to one number."""
    sources = (f"fd00::{k * PRIME >> 64 & 0xFFFF:x}:{k * PRIME >> 48 & 0xFFFF:x}:{k * PRIME >> 32 & 0xFFFF:x}:"
               f"{k * PRIME >> 16 & 0xFFFF:x}:{k * PRIME & 0xFFFF:x}" for k in range(1, size + 1))  # fmt: skip
    return [Session(source, "fd00:1::9").send(read(1)) for source in sources]


def churn(size: int) -> list[bytes]:
    """H21: every frame from another MAC and another address."""
    chance = random.Random(21)
    made = []
    for _ in range(size):
        macs = (b"\x02" + chance.randbytes(5), b"\x02" + chance.randbytes(5))
        made.append(Session(f"10.{chance.randrange(256)}.{chance.randrange(256)}.7", SERVER).send(b"x", macs=macs))
    return made


def crumbs(size: int) -> list[bytes]:
    """H32: a byte a segment."""
    session = Session(CLIENT, SERVER)
    stream = b"".join(read(n) for n in range(size // 12 + 1))
    return [*session.handshake(), *session.send_cut(stream[:size], range(size))]


def holes(size: int, order: str) -> list[bytes]:
    """H32: single bytes with a hole before each, in rising, falling or no order; never acknowledged."""
    session = Session(CLIENT, SERVER)
    opening = [*session.handshake(), session.send(read(0))]
    places = [session.seq[0] + 2 * n + 1 for n in range(size)]
    if order == "falling":
        places.reverse()
    elif order == "none":
        random.Random(32).shuffle(places)
    return opening + [session.send(b"\0", seq=at, ip_id=n & 0xFFFF) for n, at in enumerate(places)]


def shuffled(size: int) -> list[bytes]:
    """H32: a stream in segments of eight bytes, each window of 64 in no order."""
    session = Session(CLIENT, SERVER)
    opening = session.handshake()
    stream = b"".join(read(n) for n in range(size))[: 8 * size]
    pieces = session.send_cut(stream, range(0, len(stream), 8))
    chance = random.Random(33)
    made: list[bytes] = []
    for at in range(0, len(pieces), 64):
        window = pieces[at : at + 64]
        chance.shuffle(window)
        made += window
    return opening + made


def syns(size: int) -> list[bytes]:
    """H34: connections that are only opened."""
    return [Session(f"10.9.{n >> 8 & 255}.{n & 255}", SERVER, 1024 + n).send(flags=SYN) for n in range(size)]


def repeated(size: int) -> list[bytes]:
    """The same segment again and again, and overlaps into what was before."""
    session = Session(CLIENT, SERVER)
    first = [*session.handshake(), *(session.send(read(n)) for n in range(20))]
    at = session.seq[0] - 12
    return first + [session.send(read(19)[n % 5 :], seq=at + n % 5, ip_id=1000 + n) for n in range(size)]


def unanswered(size: int) -> list[bytes]:
    """H31: requests alone."""
    session = Session(CLIENT, SERVER)
    return [session.send(read(n % 50)) for n in range(size)]


def novelty(size: int) -> list[bytes]:
    """Every request another one, and none permitted."""
    session = Session(CLIENT, SERVER)
    return [session.send(read(n, 1 + n % 100)) for n in range(size)]


def undecided(size: int) -> list[bytes]:
    """Connections that might become Modbus, or not."""
    made = []
    for n in range(size // 8):
        session = Session(f"10.9.{n >> 8 & 255}.{n & 255}", SERVER, 1024 + n)
        made += [session.send(b"\0\0", flags=ACK) for _ in range(8)]
    return made


def reopened(size: int) -> list[Frame]:
    """The same ports, opened again and again."""
    made: list[Frame] = []
    for n in range(size // 8 + 1):
        shots = conversation(Session(CLIENT, SERVER), [(read(n), b"")], isn=(n * 99_991, n * 77_777), closing=True)
        made += frames(replace(s, ts_ns=START_NS + n * 10**9 + i, ip_id=8 * n + i) for i, s in enumerate(shots))
    return made[:size]


def split_carries(size: int) -> list[Frame]:
    """Every PDU over two segments."""
    shots = conversation(Session(CLIENT, SERVER), [(read(n), b"") for n in range(size // 3)])
    return frames([part for shot in shots for part in split(shot, [7])])[:size]


FLOODS: dict[str, Callable[[int], Any]] = {
    "fragments-without-end": fragments_without_end,
    "fragments-of-one": fragments_of_one,
    "colliding-addresses": colliding,
    "churn": churn,
    "crumbs": crumbs,
    "holes-rising": lambda size: holes(size, "rising"),
    "holes-falling": lambda size: holes(size, "falling"),
    "holes-shuffled": lambda size: holes(size, "none"),
    "shuffled": shuffled,
    "syns": syns,
    "repeated": repeated,
    "unanswered": unanswered,
    "novelty": novelty,
    "undecided": undecided,
    "reopened": reopened,
    "split": split_carries,
}


class Lines:
    """Counts executed lines of otmon."""

    def __init__(self) -> None:
        self.count = 0
        self._root = str(Path(__file__).parents[2] / "otmon")

    def call(self, frame: FrameType, event: str, _: Any) -> Any:
        return self.line if frame.f_code.co_filename.startswith(self._root) else None

    def line(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            self.count += 1
        return self.line


def work(flood: str, size: int) -> int:
    made, lines = FLOODS[flood](size), Lines()
    policy = policies()["refused"]
    sys.settrace(lines.call)
    try:
        see(made, policy, messages=False, seed=7)
    finally:
        sys.settrace(None)
    return lines.count


if __name__ == "__main__":
    work("unanswered", 9)  # modules imported at their first use are nobody's work
    for name in FLOODS:
        print(name, *(work(name, int(size)) for size in sys.argv[1:]))
