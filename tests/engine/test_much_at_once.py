"""What one frame sets free all at once: held segments, a reassembled packet, the end of the capture, a frame as long as
a capture file may hold. There is room for its events and its rows, wherever it comes.
"""

import struct

import pytest

from otmon.limits import MAX_FRAME_BYTES
from otmon.wire.loads import INTERPRETED
from tests.engine.world import START_NS, Frame, see
from tests.hostile.kit import Session, fragments
from tests.protocols import dnp3_corpus
from tests.protocols.modbus_corpus import adu

AT_ONCE = 175
"""Requests of 8 bytes in one segment."""
pytestmark = pytest.mark.skipif(INTERPRETED, reason="hundreds of thousands of messages")


def requests(number: int, first: int = 0) -> bytes:
    return b"".join(adu(7, b"", transaction=n & 0xFFFF) for n in range(first, first + number))


def reads(number: int) -> bytes:
    """Every one of another place."""
    return b"".join(adu(3, struct.pack(">HH", n, 1), transaction=n) for n in range(number))


def opened(port: int) -> tuple[Session, list[bytes]]:
    session = Session("10.0.2.1", "10.0.1.1", port, 502)
    frames = [*session.handshake(), session.send(adu(3, b"\0\0\0\1")), session.send(adu(3, b"\2\0\1"), False)]
    return session, frames


def quick(frames: list[bytes]) -> list[Frame]:
    return [Frame(START_NS + n * 1000, frame) for n, frame in enumerate(frames)]


def behind_a_hole(session: Session, parts: list[bytes]) -> tuple[list[bytes], bytes]:
    """Frames, and the one that was lost before them."""
    first = session.send(requests(1))
    return [session.send(part) for part in parts], first


@pytest.mark.parametrize("before", [700, 715, 743])
def test_events_of_held_segments(before: int) -> None:
    (one, frames), (two, more) = opened(40000), opened(40001)
    held, lost = behind_a_hole(one, [requests(AT_ONCE)] * 45)
    frames += more + held + [two.send(requests(AT_ONCE)) for _ in range(before)] + [lost]
    frames += [two.send(requests(1)) for _ in range(30)]  # the last frames of a file are a batch of their own
    found = see(quick(frames))
    assert found.ot_bytes["decoded"] == found.ot_bytes["seen"]
    assert len(found.messages) == 4 + (45 + before) * AT_ONCE + 31


def test_events_of_a_reassembled_packet() -> None:
    (one, frames), (two, more) = opened(40000), opened(40001)
    frames += more + [two.send(requests(AT_ONCE)) for _ in range(738)]
    frames += fragments(one.send(requests(8000)), 1400) + [two.send(requests(1)) for _ in range(30)]
    assert len(see(quick(frames)).messages) == 4 + 738 * AT_ONCE + 8000 + 30


def test_events_of_all_that_is_held_at_the_end() -> None:
    frames: list[bytes] = []
    for number in range(20):
        session, opening = opened(40000 + number)
        held, _ = behind_a_hole(session, [requests(AT_ONCE)] * 45)
        frames += opening + held
    found = see([Frame(START_NS + n, frame) for n, frame in enumerate(frames)])
    assert len(found.messages) == 20 * (2 + 45 * AT_ONCE)


def test_frames_of_a_fragment_that_is_never_ended() -> None:
    """They are told with each that is whole: a list of 17 for every 15 octets."""
    session = Session("10.0.2.1", "10.0.1.1", 40000, 20000)
    small = b"".join(b"".join(dnp3_corpus.frames(bytes([0xC0 | n % 16, 23]), first=n, source=77)) for n in range(90))
    frames = [*session.handshake(), session.send(b"".join(dnp3_corpus.frames(b"\xc0\1\x3c\2\6")))]
    for piece in dnp3_corpus.frames(bytes([0xC0, 2]) + bytes(3200))[:10]:
        frames += session.send_cut(piece, [20, 40])
    frames += [session.send(small) for _ in range(60)]
    assert len(see(quick(frames)).messages) == 1 + 60 * 90
    frames.append(session.send(small * 40))  # longer than IP says: as a capturing host's network card does
    frames[-1] = frames[-1][:16] + b"\0\0" + frames[-1][18:]
    assert len(see(quick(frames)).messages) == 1 + 100 * 90


def test_rows_of_what_comes_at_once() -> None:
    session, frames = opened(40000)
    found = see(quick(frames + fragments(session.send(reads(5300)), 1400)))
    assert found.ot_bytes["decoded"] == found.ot_bytes["seen"]
    session, frames = opened(40000)
    many = reads(45 * 116)
    held, lost = behind_a_hole(session, [many[n : n + 1392] for n in range(0, len(many), 1392)])
    found = see(quick([*frames, *held, lost]))
    assert found.ot_bytes["decoded"] == found.ot_bytes["seen"]


def test_the_longest_frame_of_a_file() -> None:
    session, frames = opened(40000)
    frames.append(session.send(requests(1)))
    frames.append(frames[-1] + bytes(MAX_FRAME_BYTES - len(frames[-1])))
    frames.append(session.send(requests(1)))
    assert len(see(quick(frames)).messages) == 4
