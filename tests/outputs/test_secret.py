import os
from pathlib import Path

import pytest

from otmon.outputs.secret import MAX_SECRET_BYTES, Secret, SecretError, SecretFile, secret_file, secret_variable


def written(folder: Path, raw: bytes, mode: int = 0o600) -> Path:
    path = folder / "key"
    path.write_bytes(raw)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("raw", [b"s3cret", b"s3cret\n", b"s3cret\r\n"])
def test_the_last_newline_is_none_of_it(tmp_path: Path, raw: bytes) -> None:
    assert secret_file(written(tmp_path, raw)).text == "s3cret"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o620, 0o601])
def test_nobody_else_may_touch_it(tmp_path: Path, mode: int) -> None:
    with pytest.raises(SecretError, match=f"{mode:04o}.*chmod 600"):
        secret_file(written(tmp_path, b"s3cret", mode))


def test_systemd_guards_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert secret_file(written(tmp_path, b"s3cret", 0o440)).text == "s3cret"
    inner = tmp_path / "inner"
    inner.mkdir()
    with pytest.raises(SecretError, match="0440"):
        secret_file(written(inner, b"s3cret", 0o440))


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"  \n", "empty"),
        (b"a" * (MAX_SECRET_BYTES + 1), "65,536"),
        (b"\xff\xfe", "UTF-8"),
        (b"one\ntwo\n", "one line"),
        (b"one\r\nX-Evil: 1", "one line"),
        (b"a\0b", "one line"),
    ],
)
def test_what_is_no_secret_is_refused_in_one_line(tmp_path: Path, raw: bytes, why: str) -> None:
    with pytest.raises(SecretError, match=why) as caught:
        secret_file(written(tmp_path, raw))
    assert "\n" not in str(caught.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path, why in (("none", "No such file"), ("pipe", "not a file"), (".", "Is a directory"), ("a\0b", "null byte")):
        with pytest.raises(SecretError, match=why):
            secret_file(tmp_path / path)


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTMON_TEST_SECRET", "s3cret")
    assert secret_variable("OTMON_TEST_SECRET").text == "s3cret"
    monkeypatch.setenv("OTMON_TEST_SECRET", "")
    with pytest.raises(SecretError, match="OTMON_TEST_SECRET is empty"):
        secret_variable("OTMON_TEST_SECRET")
    monkeypatch.delenv("OTMON_TEST_SECRET")
    with pytest.raises(SecretError, match="not set"):
        secret_variable("OTMON_TEST_SECRET")


def test_it_is_not_shown() -> None:
    secret = Secret("s3cret")
    assert "s3cret" not in f"{secret} {secret!r} {[secret]}"


def test_a_secret_that_is_replaced_counts_and_one_that_is_out_of_reach_is_remembered(tmp_path: Path) -> None:
    path = written(tmp_path, b"first")
    secret = SecretFile(path)
    path.write_bytes(b"second")
    assert secret.text == "second"
    for unusable in (b"", b"two\nlines"):
        path.write_bytes(unusable)
        assert secret.text == "second"
    path.unlink()
    assert secret.text == "second"
    with pytest.raises(SecretError):
        SecretFile(path)
