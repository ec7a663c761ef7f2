"""Frames of real captures, spoilt: each mutation is (what, which frame, where in it, with what)."""

import os
import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tests.engine.world import START_NS, Frame
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


def elsewhere(frame: bytes, mark: int) -> bytes:
    """The same between hosts of other addresses (IPv4 alone), so that a window is a conversation of its own."""
    if frame[12:14] != b"\x08\x00" or len(frame) < 34:
        return frame
    both = int.from_bytes(frame[26:34], "big") ^ (mark << 32 | mark)
    return frame[:26] + both.to_bytes(8, "big") + frame[34:]


class Spoiler:
    """Windows of frames in a row out of `captures`, every second frame or so spoilt; the same for the same seed."""

    def __init__(self, captures: Sequence[Path], seed: int) -> None:
        self._captures = [frames for frames in map(ethernet, captures) if frames]
        self._dice = random.Random(seed)
        self.mutated = 0
        """Frames that are other than they were, so far (a frame spoilt twice counts once)."""

    def window(self) -> list[Frame]:
        """Up to 24 frames."""
        dice = self._dice
        whole = dice.choice(self._captures)
        at, mark = dice.randrange(len(whole)), dice.randrange(1 << 16)
        frames = [elsewhere(frame, mark) for frame in whole[at : at + dice.randrange(4, 25)]]
        mutations = [
            (dice.choice(KINDS), dice.randrange(10_000), dice.randrange(2_000), dice.randrange(256))
            for _ in range(max(1, len(frames) * 3 // 4))
        ]
        spoilt = mutated(frames, mutations)
        known = set(frames)
        self.mutated += sum(frame.cut is not None or frame.data not in known for frame in spoilt)
        return spoilt
