"""The result folder: replaced whole, never half, and never anything that otmon did not write."""

import os
import stat
from pathlib import Path

import pytest

import otmon.outputs.folder
from otmon.outputs.folder import FolderError, ResultFolder


def fill(folder: Path, mark: str = "first") -> None:
    for name in ("summary.json", "run.json"):
        (folder / name).write_text(f'{{"otmon": "0.1.0", "mark": "{mark}"}}')


def write(path: Path, mark: str = "first") -> None:
    with ResultFolder(path) as folder:
        fill(folder.work, mark)


def interrupted(folder: Path) -> None:
    fill(folder, "second")
    raise KeyboardInterrupt


def names(path: Path) -> list[str]:
    return sorted(os.listdir(path))


@pytest.mark.parametrize("exchange", [True, False])
def test_a_previous_result_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool) -> None:
    if not exchange:
        monkeypatch.setattr(otmon.outputs.folder, "_exchange", lambda left, right: False)
    write(tmp_path / "deep" / "out")
    (tmp_path / "deep" / "out" / "messages.jsonl").write_text("old")
    write(tmp_path / "deep" / "out", "second")
    assert names(tmp_path / "deep") == ["out"]
    assert names(tmp_path / "deep" / "out") == ["run.json", "summary.json"]
    assert "second" in (tmp_path / "deep" / "out" / "run.json").read_text()


def test_an_empty_folder_is_taken_and_the_mask_kept(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    before = os.umask(0o027)
    try:
        write(tmp_path / "out")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o750


@pytest.mark.parametrize(
    ("made", "word"),
    [
        ({"notes.txt": "mine"}, "holds no results"),
        ({"summary.json": "{}", "run.json": "{}"}, "holds no results"),
        ({"summary.json": '{"otmon": 1}'}, "holds no results"),
        ({"summary.json": "[" * 100_000, "run.json": '["otmon"]'}, "holds no results"),
        ({"summary.json": '{"otmon": 1}', "run.json": '{"otmon": 1}', "notes.txt": "mine"}, "'notes.txt'"),
    ],
)
def test_anything_else_is_refused_before_work(tmp_path: Path, made: dict[str, str], word: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name, text in made.items():
        (out / name).write_text(text)
    with pytest.raises(FolderError, match=word) as error, ResultFolder(out):
        pytest.fail("work was begun")
    assert "\n" not in str(error.value)
    assert {name: (out / name).read_text() for name in names(out)} == made
    assert names(tmp_path) == ["out"]


def test_what_appears_while_we_work_is_safe(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out)
    folder = ResultFolder(out).__enter__()
    fill(folder.work, "second")
    (out / "mine").write_text("precious")
    with pytest.raises(FolderError, match="'mine'"):
        folder.__exit__(None, None, None)
    assert (out / "mine").read_text() == "precious"
    assert names(tmp_path) == ["out"]


def test_a_failed_run_leaves_the_old_result(tmp_path: Path) -> None:
    write(tmp_path / "out")
    with pytest.raises(KeyboardInterrupt), ResultFolder(tmp_path / "out") as folder:
        interrupted(folder.work)
    assert names(tmp_path) == ["out"]
    assert "first" in (tmp_path / "out" / "run.json").read_text()


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(FolderError, match="is a file"), ResultFolder(tmp_path / "out"):
        pass
    with pytest.raises(FolderError), ResultFolder(tmp_path / "out" / "below"):
        pass


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    write(tmp_path / "out")
    assert (tmp_path / "out").is_symlink()
    assert names(tmp_path / "disk") == ["run.json", "summary.json"]
