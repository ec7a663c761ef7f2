"""Uploads and downloads of controller logic: every block with its hash, and what of it changed unseen."""

import hashlib
import random
import struct
from pathlib import Path
from typing import Any

import pytest

from otmon.engine import analyze
from otmon.model import Block, BlockRecord
from otmon.protocols import PROTOCOLS
from otmon.protocols.s7comm.steps import block_of, step
from otmon.site.part import Part
from tests.engine.logic import Programmer
from tests.engine.world import Seen, same, see, write
from tests.protocols.s7_streams import units
from tests.protocols.segments import CAPTURES

OWN = Path(__file__).parents[2] / "captures"
REAL = {
    "snap7": CAPTURES / "cisagov__icsnpp-s7comm" / "snap7.pcap",
    "step7": CAPTURES / "gymgit__s7-pcaps" / "step7_s300_download.pcapng",
    "own": OWN / "s7_download.pcap",
}
OB1, OTHER = bytes(range(256)) * 3, bytes(range(255, -1, -1)) * 3
Messages = list[tuple[bytes, bool]]


def blocks(frames: list[bytes], tmp_path: Path, **options: Any) -> list[BlockRecord]:
    part: Part = analyze([str(write(tmp_path / "a.pcap", frames))], **options).part
    return list(part.blocks)


def changes(seen: Seen) -> list[dict[str, Any]]:
    return seen.alerts("asset")


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def pieces(path: Path) -> list[tuple[str, int, bytes]]:
    """(sha256, length, way) of the transfers of a capture, by hand: parts follow each other, `more` ends them."""
    found, held = [], b""
    for unit in units(path):
        pdu = unit.data[7:]
        if len(pdu) < 14 or pdu[0] != 0x32 or pdu[1] != 3 or pdu[12] not in (0x1B, 0x1E):
            continue
        param, data = struct.unpack(">HH", pdu[6:10])
        content = pdu[12 + param : 12 + param + data]
        held += content[4:]
        if not pdu[13] & 1:
            found.append((sha(held), len(held), pdu[12:13]))
            held = b""
    return found


@pytest.mark.parametrize("name", REAL)
def test_blocks_of_real_captures(name: str) -> None:
    if not REAL[name].exists():
        pytest.skip(f"{REAL[name]} is not there")
    part = analyze([str(REAL[name])]).part
    found = [
        (b.sha256, b.length, b"\x1e" if b.direction == "upload" else b"\x1b")
        for b in part.blocks
        for _ in range(b.transfers)
    ]
    assert sorted(found) == sorted(pieces(REAL[name]))
    assert {b.state for b in part.blocks} == {"complete"}


def test_who_moved_what_where() -> None:
    part = analyze([str(REAL["own"])]).part
    upload, download = sorted(part.blocks, key=lambda block: block.first_ts_ns)
    assert upload.block == Block("DB", 1, "DB1", "active")
    assert download.block == Block("DB", 1, "DB1", "passive")
    assert (upload.client, upload.server, upload.frames) == ("10.0.2.10", "10.0.1.10", ((0, 13), (0, 20)))
    assert (download.client, download.server, download.frames) == ("10.0.2.10", "10.0.1.10", ((0, 23), (0, 27)))
    assert (upload.before, download.before) == (None, upload.sha256)


@pytest.mark.parametrize(
    ("name", "block"),
    [
        (b"_0800001A", Block("OB", 1, "OB1", "active")),
        (b"$0A65535P", Block("DB", 65535, "DB65535", "passive")),
        (b"_0E00010B", Block("FB", 10, "FB10", "both")),
        (b"_0C00003?", Block("FC", 3, "FC3", None)),
        (b"_0C00003", Block("FC", 3, "FC3", None)),
        (b"_ZZ00001P", Block("file", None, "_ZZ00001P", None)),
        (b"_0Axxxxx\x1b", Block("file", None, "_0Axxxxx\\x1b", None)),
        (b"", Block("file", None, "", None)),
    ],
)
def test_names_of_blocks(name: bytes, block: Block) -> None:
    assert block_of(name) == block


def test_an_upload_and_a_download_in_parts(tmp_path: Path) -> None:
    who = Programmer()
    frames = who.connect()
    frames += who.frames(who.upload(b"0800001A", OB1))
    frames += who.frames(who.download(b"0800001P", OTHER, size=300))
    up, down = sorted(blocks(frames, tmp_path), key=lambda block: block.direction, reverse=True)
    assert (up.direction, up.state, up.length, up.sha256) == ("upload", "complete", 768, sha(OB1))
    assert (down.direction, down.state, down.length, down.sha256) == ("download", "complete", 768, sha(OTHER))
    assert down.before == up.sha256


def lose(messages: Messages, *numbers: int) -> Messages:
    return [message for number, message in enumerate(messages) if number not in numbers]


@pytest.mark.parametrize(
    ("lost", "state"),
    [
        ((), "complete"),
        ((4,), "gap"),  # the job for a part
        ((5,), "gap"),  # its answer
        ((4, 5), "gap"),  # both: the length tells
        ((8, 9), "aborted"),  # nothing says that the last part was the last
        ((10, 11), "complete"),  # the end itself brings nothing
        ((9, 10, 11), "aborted"),
    ],
)
def test_a_lost_message_of_an_upload(lost: tuple[int, ...], state: str, tmp_path: Path) -> None:
    # Whole segments go without a trace: the client's stack sent others at the same place.
    who = Programmer()
    frames = who.connect() + who.frames(lose(who.upload(b"0800001A", OB1), *lost))
    (block,) = blocks(frames, tmp_path)
    assert block.state == state
    assert (block.sha256 is not None) == (state == "complete")


@pytest.mark.parametrize(
    ("lost", "state"), [((0, 1), "gap"), ((2,), "gap"), ((3,), "gap"), ((2, 3), "gap"), ((10, 11), "complete")]
)
def test_a_lost_message_of_a_download(lost: tuple[int, ...], state: str, tmp_path: Path) -> None:
    who = Programmer()
    frames = who.connect() + who.frames(lose(who.download(b"0800001P", OB1), *lost))
    (block,) = blocks(frames, tmp_path)
    assert (block.block.name, block.state) == ("OB1", state)


def test_an_upload_whose_beginning_was_not_seen_is_of_no_known_block(tmp_path: Path) -> None:
    who = Programmer()
    assert blocks(who.connect() + who.frames(lose(who.upload(b"0800001A", OB1), 0, 1)), tmp_path) == []


def test_what_the_controller_refuses(tmp_path: Path) -> None:
    who = Programmer()
    frames = who.connect() + who.frames(who.download(b"0800001P", OB1, error=0xD241))
    (block,) = blocks(frames, tmp_path)
    assert (block.state, block.sha256) == ("aborted", None)


def test_a_hole_in_the_capture(tmp_path: Path) -> None:
    who = Programmer()
    frames = who.connect() + who.frames(who.upload(b"0800001A", OB1))
    for number in range(len(frames) - 10, len(frames) - 2):
        (block,) = blocks(frames[:number] + frames[number + 1 :], tmp_path)
        assert block.state == "gap", number


# --- what changed unseen ---------------------------------------------------------------------------------------------


def story(*steps: tuple[str, bytes, bytes], clients: tuple[str, ...] = ("10.0.2.30",)) -> list[bytes]:
    """Uploads and downloads one after the other, each by the next client over a connection of its own."""
    frames = []
    for number, (way, name, block) in enumerate(steps):
        who = Programmer(clients[number % len(clients)], port=49_200 + number)
        frames += who.connect() + who.frames(getattr(who, way)(name, block)) + who.session.close()
    return frames


UP, DOWN = b"0800001A", b"0800001P"


def test_a_block_that_is_another_one(tmp_path: Path) -> None:
    seen = see(story(("upload", UP, OB1), ("upload", UP, OTHER), ("upload", UP, OB1)))
    (alert,) = changes(seen)
    assert (alert["row"], alert["severity"], alert["count"]) == ("logic_changed_unseen", "high", 2)
    assert alert["operation"]["function"] == "logic_changed_unseen"
    assert [target["target"] for target in alert["targets"]] == [{"space": "block", "name": "OB1"}]
    assert alert["server"]["endpoint"] == "10.0.1.15"
    assert alert["attack"] == ["T0889"]
    for word in ("block OB1", sha(OB1)[:12], sha(OTHER)[:12], "2023-11-14 22:13:20Z", "no download of it was seen"):
        assert word in alert["title"]


@pytest.mark.parametrize(
    "steps",
    [
        [("upload", UP, OB1), ("upload", UP, OB1)],
        [("upload", UP, OB1), ("download", DOWN, OTHER), ("upload", UP, OTHER)],
        [("download", DOWN, OB1), ("upload", UP, OTHER)],  # the header's flags may differ
        [("upload", UP, OB1), ("upload", DOWN, OTHER)],  # another file system
        [("upload", b"0A00001A", OB1), ("upload", b"0A00001A", OTHER)],  # a DB holds values
        [("upload", UP, OB1), ("upload", b"0800035A", OTHER)],
    ],
)
def test_no_change_or_one_that_was_seen(steps: list[tuple[str, bytes, bytes]]) -> None:
    assert changes(see(story(*steps))) == []


def test_a_download_that_was_broken_off_may_have_changed_it() -> None:
    frames = story(("upload", UP, OB1))
    who = Programmer(port=50_000)
    frames += who.connect() + who.frames(who.download(DOWN, OTHER)[:6]) + [who.session.send(flags=4)]
    later = Programmer(port=50_001)
    frames += later.connect() + later.frames(later.upload(UP, OTHER))
    assert changes(see(frames)) == []


@pytest.mark.usefixtures("one_process")
def test_clients_in_different_jobs_are_compared() -> None:
    frames = story(
        ("upload", UP, OB1), ("upload", UP, OTHER), ("upload", b"0C00007A", OB1), ("upload", b"0C00007A", OTHER),
        ("download", DOWN, OB1), ("upload", UP, OB1),
        clients=("10.0.2.30", "10.0.2.31", "10.0.2.32"),
    )  # fmt: skip
    usual = see(frames, seed=1)
    assert len(changes(usual)) == 2
    for jobs in (2, 3):
        same(usual, see(frames, jobs=jobs, seed=1), f"{jobs} jobs")
    same(usual, see(frames, batch_frames=1, seed=1), "one frame a batch")
    same(usual, see(frames, force_slow=True, seed=1), "slowly")


def test_caps_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from otmon.engine import transfers

    monkeypatch.setattr(transfers, "MAX_TRANSFERS", 4)
    monkeypatch.setattr(transfers, "MAX_TRANSFER_REQUESTS", 2)
    who = Programmer()
    frames = who.connect()
    for number in range(8):
        frames += who.frames(who.upload(b"0C%05dA" % number, OB1, number=number)[:6])
    part = analyze([str(write(tmp_path / "a.pcap", frames))]).part
    assert part.shed == 4
    assert sorted(block.state for block in part.blocks) == ["aborted"] * 4 + ["gap"] * 4
    monkeypatch.setattr(transfers, "MAX_BLOCKS", 3)
    part = analyze([str(tmp_path / "a.pcap")]).part
    assert (len(part.blocks), part.shed) == (3, 4 + 5)


def test_a_sensor_forgets_what_rests() -> None:
    from otmon.engine.run import Run
    from otmon.limits import TRANSFER_IDLE_NS
    from tests.engine.world import START_NS

    run = Run(seed=1)
    transfers = run._collector.transfers
    who = Programmer()
    from otmon.capture.inputs import open_inputs
    from tests.engine.world import scratch

    path = write(scratch() / "b.pcap", who.connect() + who.frames(who.upload(UP, OB1)[:6]))
    for batch in open_inputs([str(path)]):
        run.feed(batch)
    transfers.age(START_NS + TRANSFER_IDLE_NS // 2)
    assert run.harvest(START_NS).blocks == []
    transfers.age(START_NS + 2 * TRANSFER_IDLE_NS)
    assert [block.state for block in run.harvest(START_NS).blocks] == ["aborted"]


def test_no_bytes_are_too_strange_for_a_step() -> None:
    rng = random.Random(7)
    who = Programmer()
    pdus = [data[4:] for data, _ in (*who.upload(UP, OB1), *who.download(DOWN, OB1))]
    for _ in range(20_000):
        one, other = bytearray(rng.choice(pdus)), rng.choice([None, *pdus])
        for _ in range(rng.randint(0, 4)):
            one[rng.randrange(len(one))] = rng.randrange(256)
        found = step(bytes(one[: rng.randint(0, len(one))]), other)
        assert found is None or len(found.data) <= len(one)
    assert all(protocol.transfer(b"", None) is None for protocol in PROTOCOLS)
