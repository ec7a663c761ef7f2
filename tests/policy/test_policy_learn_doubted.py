"""What came twice with another content is not learned: nobody knows which of the two the device took."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from otmon.cli import cli
from otmon.engine.readings import CONFLICT
from otmon.policy.functions import REASONS
from otmon.policy.load import load_policy
from tests.engine.world import Frame, write
from tests.hostile.witness import opened, timed
from tests.protocols.modbus_corpus import adu

LOW, HIGH = (adu(6, b"\0\x28" + value, transaction=77) for value in (b"\0\x01", b"\x27\x10"))


def otmon(*arguments: object) -> None:
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments], standalone_mode=False)
    assert not done.exception, done.exception


def capture(folder: Path, *readings: bytes) -> Path:
    """A write whose segment came in these contents, beside a write of 5 that came once."""
    session, frames = opened()
    at = session.seq[0]
    frames.append(session.send(readings[0]))
    frames += [session.send(data, seq=at, ip_id=90 + n) for n, data in enumerate(readings[1:])]
    frames.append(session.send(LOW, from_client=False))
    other = adu(6, b"\0\x28\0\5", transaction=78)
    later = [session.send(other, ip_id=99), session.send(other, from_client=False)]
    return write(folder / "capture.pcap", [Frame(frame.ts_ns, frame.data) for frame in timed([*frames, *later])])


@pytest.mark.parametrize("first", [LOW, HIGH])
@pytest.mark.parametrize("mode", ["exact", "ranges"])
def test_two_readings_are_for_review(tmp_path: Path, first: bytes, mode: str) -> None:
    path = capture(tmp_path, first, LOW if first is HIGH else HIGH)
    otmon("learn", path, "-o", tmp_path / "learned.yaml", "--generalise", mode)
    otmon("analyze", path, "--out", tmp_path / "results")
    otmon("learn", "--data", tmp_path / "results", "-o", tmp_path / "data.yaml", "--generalise", mode)
    for name in ("learned.yaml", "data.yaml"):
        policy = load_policy(tmp_path / name)
        functions = {f for rule in policy.conduits.rules for row in rule.rows for f in row.functions or ()}
        assert functions == {"read_holding_registers"}
        assert [row.note for rule in policy.review.rules for row in rule.rows] == [REASONS["conflict"]]


def test_one_reading_is_learned_with_its_bounds(tmp_path: Path) -> None:
    otmon("learn", capture(tmp_path, LOW, LOW), "-o", tmp_path / "learned.yaml", "--generalise", "ranges")
    policy = load_policy(tmp_path / "learned.yaml")
    assert [row.values for rule in policy.conduits.rules for row in rule.rows if row.values] == [((1, 5),)]
    assert CONFLICT not in (tmp_path / "learned.yaml").read_text()
