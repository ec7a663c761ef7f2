"""Projects moved by UMAS: whole, with a hole, refused."""

import hashlib
import struct
from pathlib import Path

import pytest

from otmon.engine import analyze
from otmon.model import BlockRecord
from tests.engine.traffic import Exchange, Session, conversation, frames
from tests.engine.world import write
from tests.protocols.modbus_corpus import adu

PARTS = [bytes([n]) * (20 * n) for n in range(1, 6)]
PROJECT = b"".join(PARTS)


def umas(code: int, data: bytes, transaction: int) -> bytes:
    return adu(90, bytes([7, code]) + data, 1, transaction)


def into(parts: list[bytes], refused: int = -1) -> list[Exchange]:
    """A project goes into the controller."""
    talk = [(umas(0x30, b"\0\0", 1), umas(0xFE, b"", 1))]
    for n, part in enumerate(parts, 1):
        block = b"\0\1" + struct.pack("<HH", n, len(part)) + part
        talk.append((umas(0x31, block, n + 1), umas(0xFD if n == refused else 0xFE, b"\x83" * (n == refused), n + 1)))
    return [*talk, (umas(0x32, b"\0\0" + struct.pack("<H", len(PARTS)), 99), umas(0xFE, b"", 99))]


def out_of(parts: list[bytes]) -> list[Exchange]:
    """A project comes out of it."""
    opened = b"\0\0" + struct.pack("<I", len(PROJECT))
    talk = [(umas(0x33, b"\0\0" + struct.pack("<H", 1024), 1), umas(0xFE, opened, 1))]
    for n, part in enumerate(parts, 1):
        block = struct.pack("<BBH", part == PARTS[-1], 0, len(part)) + part
        talk.append((umas(0x34, b"\0\1" + struct.pack("<H", n), n + 1), umas(0xFE, block, n + 1)))
    return [*talk, (umas(0x35, b"\0\0" + struct.pack("<H", len(PARTS)), 99), umas(0xFE, b"", 99))]


def moved(folder: Path, talk: list[Exchange]) -> list[BlockRecord]:
    session = Session("10.0.0.1", "10.0.0.2")
    path = write(folder / "umas.pcap", frames(conversation(session, talk)))
    return list(analyze([str(path)]).part.blocks)


@pytest.mark.parametrize(("talk", "way"), [(into(PARTS), "download"), (out_of(PARTS), "upload")])
def test_a_project_in_parts(tmp_path: Path, talk: list[Exchange], way: str) -> None:
    (row,) = moved(tmp_path, talk)
    assert (row.direction, row.state, row.block.kind, row.unit) == (way, "complete", "project", 1)
    assert row.sha256 == hashlib.sha256(PROJECT).hexdigest()


@pytest.mark.parametrize(
    ("talk", "state"),
    [
        (into([*PARTS[:2], *PARTS[3:]]), "gap"),
        (out_of([*PARTS[:2], *PARTS[3:]]), "gap"),
        (into(PARTS, refused=3), "aborted"),
        (into(PARTS)[:-1], "aborted"),
        (out_of(PARTS[:3])[:-1], "aborted"),
        (out_of(PARTS)[1:], "gap"),
    ],
)
def test_what_is_not_whole_has_no_hash(tmp_path: Path, talk: list[Exchange], state: str) -> None:
    (row,) = moved(tmp_path, talk)
    assert (row.state, row.sha256) == (state, None)


def test_two_controllers_behind_a_gateway(tmp_path: Path) -> None:
    other = [(ask[:6] + b"\2" + ask[7:], answer[:6] + b"\2" + answer[7:]) for ask, answer in into(PARTS)]
    talk = [pair for both in zip(into(PARTS), other, strict=True) for pair in both]
    rows = moved(tmp_path, talk)
    whole = hashlib.sha256(PROJECT).hexdigest()
    assert sorted((row.unit, row.state, row.sha256) for row in rows) == [(1, "complete", whole), (2, "complete", whole)]


def test_a_controller_cannot_say_that_somebody_sent_it_a_project(tmp_path: Path) -> None:
    block = b"\0\1" + struct.pack("<HH", 1, 4)  # the size of an answer, the layout of a request
    lies = [umas(0x30, bytes(6), 2), umas(0x31, block + bytes(2), 3), umas(0x32, b"\0\0\1\0\0\0", 4)]
    assert moved(tmp_path, [(umas(0x04, b"", n), lie) for n, lie in enumerate(lies, 2)]) == []


def test_its_beginning_not_seen_there_is_no_row_of_what_goes_in(tmp_path: Path) -> None:
    assert moved(tmp_path, into(PARTS)[1:]) == []
