"""Lines on a real disk: appended, rotated away, torn, full."""

import errno
import json
import os
from pathlib import Path

import pytest

from otmon.outputs.lines import Lines
from otmon.outputs.sink import DONE, STREAMS, Refused, Unreachable
from tests.outputs.outgoing import ALERT, HOSTILE, batch, outgoing, with_text


def read(path: Path) -> list[dict[str, object]]:
    raw = path.read_bytes()
    assert raw.endswith(b"\n")
    return [json.loads(line) for line in raw.split(b"\n")[:-1]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "otmon.jsonl"


def test_a_line_has_the_record_and_says_whose_it_is(path: Path) -> None:
    sink = Lines(path)
    assert sink.streams == frozenset(STREAMS)
    assert sink.deliver(batch(3), False) == [DONE] * 3
    assert sink.deliver([outgoing(4, "audit", {"event": "policy"})], False) == [DONE]
    sink.close()
    lines = read(path)
    assert [(one["stream"], one["sequence"]) for one in lines] == [*(("alert", n) for n in (1, 2, 3)), ("audit", 4)]
    assert lines[0] == {
        "stream": "alert",
        "sequence": 1,
        "id": f"{1:020x}",
        "site": "site-1",
        "sensor": "sensor-1",
        "record": ALERT,
    }


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_record_is_one_line_whatever_it_holds(path: Path, text: str) -> None:
    record = with_text(text)
    Lines(path).deliver([outgoing(1, record=record, site=text)], False)
    (line,) = read(path)
    assert (line["record"], line["site"]) == (record, text)


def test_it_is_appended_to_what_was_there(path: Path) -> None:
    for number in (1, 2):
        sink = Lines(path)
        sink.deliver([outgoing(number)], False)
        sink.close()
    assert [line["sequence"] for line in read(path)] == [1, 2]
    assert path.stat().st_mode & 0o007 == 0


@pytest.mark.parametrize("torn", [b'{"stream":"al', b"{}", b"\xff"])
def test_a_torn_line_is_ended_first(path: Path, torn: bytes) -> None:
    whole = b'{"sequence":0}\n'
    path.write_bytes(whole + torn)
    Lines(path).deliver(batch(2), True)
    first, cut, *rest = path.read_bytes().splitlines()
    assert (first + b"\n", cut) == (whole, torn)
    assert [json.loads(line)["sequence"] for line in rest] == [1, 2]


def test_a_file_that_was_moved_away_is_begun_anew(path: Path) -> None:
    sink = Lines(path)
    sink.deliver([outgoing(1)], False)
    path.rename(path.with_suffix(".1"))
    sink.deliver([outgoing(2)], False)
    path.unlink()
    sink.deliver([outgoing(3)], False)
    assert [line["sequence"] for line in read(path.with_suffix(".1"))] == [1]
    assert [line["sequence"] for line in read(path)] == [3]


def test_a_file_that_was_emptied_in_place_is_gone_on_with(path: Path) -> None:
    sink = Lines(path)
    sink.deliver([outgoing(1)], False)
    os.truncate(path, 0)
    sink.deliver([outgoing(2)], False)
    assert [line["sequence"] for line in read(path)] == [2]


def test_a_full_disk_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, room = os.write, [700]

    def write(file: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real(file, bytes(data[: room[0]]))
        room[0] -= written
        return written

    monkeypatch.setattr(os, "write", write)
    sink = Lines(path)
    with pytest.raises(Unreachable, match="No space left"):
        sink.deliver([outgoing(1)], False)
    room[0] = 1 << 20
    assert sink.deliver([outgoing(1)], True) == [DONE]
    torn, whole = path.read_bytes().splitlines()
    assert len(torn) == 700
    assert json.loads(whole)["sequence"] == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_device_is_no_file() -> None:
    with pytest.raises(Refused, match="not a file"):
        Lines(Path("/dev/full")).deliver(batch(1), False)


def test_what_the_disk_did_not_take_is_not_done(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    sink = Lines(path)
    sink.deliver([outgoing(1)], False)
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(Unreachable, match="Input/output error"):
        sink.deliver([outgoing(2)], False)
    monkeypatch.undo()
    sink.deliver([outgoing(2)], True)
    assert [line["sequence"] for line in read(path)] == [1, 2, 2]


def test_what_nobody_can_wait_for_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused, match="Is a directory"):
        Lines(tmp_path).deliver(batch(1), False)
    with pytest.raises(Refused, match="Not a directory"):
        Lines(tmp_path / "file" / "x").deliver(batch(1), False)
    with pytest.raises(Unreachable, match="No such file"):  # a disk that is mounted later
        Lines(tmp_path / "later" / "x").deliver(batch(1), False)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Refused, match="not a file"):
        Lines(tmp_path / "pipe").deliver(batch(1), False)


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    """Who may write in the folder does not choose where the lines go."""
    elsewhere = tmp_path / "elsewhere"
    for _ in range(2):
        path.symlink_to(elsewhere)
        with pytest.raises(Refused, match="cannot be written"):
            Lines(path).deliver(batch(1), False)
        path.unlink()
        assert not elsewhere.exists() or elsewhere.read_bytes() == b""
        elsewhere.touch()
