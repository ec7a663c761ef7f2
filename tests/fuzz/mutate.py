"""Frames of real captures, spoilt: each mutation is (what, which frame, where in it, with what)."""

import os
import random
import struct
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tests.engine.world import START_NS, Frame
from tests.fuzz.framing import carried
from tests.protocols.segments import packets

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("OTMON_SHARED", ROOT.parent / "shared" / "captures"))
OWN = sorted((ROOT / "captures").glob("*.pcap"))
OTHERS = sorted(
    path for pattern in ("*.pcap", "*.pcapng") for path in SHARED.rglob(pattern) if path.stat().st_size < 200_000
)
MOST = 400
"""Frames taken of one capture."""
KINDS = ("flip", "byte", "cut", "drop", "twice", "swap", "splice", "insert", "snap", "length")
Mutation = tuple[str, int, int, int]
ODD = (0, 1, 2, 3, 4, 5, 0x7F, 0x80, 0xFE, 0xFF)


@cache
def ethernet(path: Path) -> list[bytes]:
    """Ethernet frames of a capture."""
    data = path.read_bytes()
    found = []
    for link, frame in packets(data):
        if link == 1:
            found.append(frame)
        if len(found) >= MOST:
            break
    return found


def mutated(frames: Sequence[bytes], mutations: Sequence[Mutation]) -> list[Frame]:
    """`frames` after each mutation, a millisecond apart."""
    data, cuts = [bytearray(f) for f in frames], {}
    for what, which, where, value in mutations:
        i = which % len(data)
        frame = data[i]
        at = where % max(1, len(frame))
        if what == "flip" and frame:
            frame[at] ^= 1 << value % 8
        elif what == "byte" and frame:
            frame[at] = ODD[value % len(ODD)]
        elif what == "length" and len(frame) > at + 1:
            frame[at], frame[at + 1] = (0xFF, 0xFF) if value & 1 else (0, value)
        elif what == "cut":
            del frame[at:]
        elif what == "insert":
            frame[at:at] = bytes([value]) * (1 + value % 40)
        elif what == "splice":
            other = data[(which // 7) % len(data)]
            data[i] = frame[:at] + other[value % max(1, len(other)) :]
        elif what == "snap":
            cuts[i] = at
        elif what == "twice":
            data.insert(i, bytearray(frame))
        elif what == "swap" and i:
            data[i - 1], data[i] = data[i], data[i - 1]
        elif what == "drop" and len(data) > 1:
            del data[i]
    return [Frame(START_NS + n * 1_000_000, bytes(f), cuts.get(n)) for n, f in enumerate(data)]


def elsewhere(frame: bytes, mark: int, sound: bool) -> bytes:
    """The same between hosts of other addresses (IPv4 alone), so that a window is a conversation of its own.

    `sound`: checksums that were right are right again (RFC 1624). Else none is.
    """
    if frame[12:14] != b"\x08\x00" or len(frame) < 34:
        return frame
    words, moved = struct.unpack(">4H", frame[26:34]), bytearray(frame)
    new = words[0], words[1] ^ mark, words[2], words[3] ^ mark
    moved[26:34] = struct.pack(">4H", *new)
    above = 14 + 4 * (frame[14] & 15)
    own = {6: (above + 16,), 17: (above + 6,)}.get(frame[23], ()) if not (frame[20] & 0x1F or frame[21]) else ()
    for at in (24, *own) if sound else ():
        old = int.from_bytes(frame[at : at + 2], "big")
        if at + 2 <= len(frame) and (old or at == 24):
            moved[at : at + 2] = ((old - sum(new) + sum(words)) % 0xFFFF or 0xFFFF).to_bytes(2, "big")
    return bytes(moved)


def _sum(data: bytes) -> int:
    """One's complement of the one's complement sum of 16-bit words (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    return -total % 0xFFFF or 0xFFFF


def healed(frame: bytes) -> bytes:
    """With lengths and checksums of IPv4 and of TCP or UDP as they must be: what is spoilt above reaches a decoder."""
    least = {6: 54, 17: 42}.get(frame[23]) if frame[12:15] == b"\x08\x00\x45" and len(frame) > 23 else None
    if least is None or not least <= len(frame) < 1 << 16 or frame[20] & 0x3F or frame[21]:  # fragments stay so
        return frame
    size, fixed = len(frame) - 14, bytearray(frame)
    fixed[16:18], fixed[24:26] = size.to_bytes(2, "big"), b"\0\0"
    fixed[24:26] = _sum(bytes(fixed[14:34])).to_bytes(2, "big")
    field = 50 if frame[23] == 6 else 40
    fixed[field : field + 2] = b"\0\0"
    if field == 40:
        fixed[38:40] = (size - 20).to_bytes(2, "big")
    pseudo = bytes(fixed[26:34]) + struct.pack(">HH", frame[23], size - 20)
    fixed[field : field + 2] = _sum(pseudo + bytes(fixed[34:])).to_bytes(2, "big")
    return bytes(fixed)


class Spoiler:
    """Windows of frames in a row out of `captures`, every second frame or so spoilt; the same for the same seed.

    Every second mutation is behind the headers, and in three windows of four two spoilt frames of three are healed:
    else what is spoilt would end at a checksum. Most of these are framed anew as well, else they would end at a length
    or at a check sum of DNP3. In the other windows no checksum is right, as of hosts that leave them to their network
    card. One window of ten is of the capture's own hosts, so that connections come again.
    """

    def __init__(self, captures: Sequence[Path], seed: int) -> None:
        self._captures = [frames for frames in map(ethernet, captures) if frames]
        self._dice = random.Random(seed)
        self.mutated = 0
        """Frames that are other than they were, so far (a frame spoilt twice counts once)."""

    def window(self) -> list[Frame]:
        """Up to 24 frames, now and then up to 300; of one direction alone now and then, as of a mirror set up so."""
        dice = self._dice
        whole = dice.choice(self._captures)
        at, sound = dice.randrange(len(whole)), dice.randrange(4)
        mark = 0 if sound and dice.randrange(8) == 0 else dice.randrange(1, 1 << 16)
        size = dice.randrange(4, 25) if dice.randrange(40) else dice.randrange(100, 300)
        frames = [elsewhere(frame, mark, sound > 0) for frame in whole[at : at + size]]
        if dice.randrange(8) == 0:
            frames = [frame for frame in frames if frame[26:30] == frames[0][26:30]]
        mutations = [
            (dice.choice(KINDS), dice.randrange(10_000), self._place(), dice.randrange(256))
            for _ in range(max(1, len(frames) * 3 // 4))
        ]
        spoilt, known = mutated(frames, mutations), set(frames)
        for number, frame in enumerate(spoilt):
            if frame.cut is not None or frame.data not in known:
                self.mutated += 1
                if sound and dice.randrange(3):
                    data = carried(frame.data, dice) if dice.randrange(4) else frame.data
                    spoilt[number] = frame._replace(data=healed(data))
        return spoilt

    def _place(self) -> int:
        """In a frame: anywhere, or not far behind the headers of TCP."""
        return self._dice.randrange(2_000) if self._dice.randrange(2) else 54 + self._dice.randrange(64)
