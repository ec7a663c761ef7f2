"""`otmon elastic setup --key-file`: the file is there before the key is; what the server says is shown safely."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from otmon.cli import run
from otmon.cli.common import Stop
from otmon.outputs.elastic import install
from otmon.outputs.elastic.connection import Elastic
from otmon.outputs.elastic.sink import ElasticSink
from otmon.outputs.sink import DONE
from tests.outputs.outgoing import batch


class Answer(dict[str, Any]):
    """Of `info`, from a server that draws on terminals."""

    def __init__(self) -> None:
        super().__init__(version={"number": "9.0\x1b[2J"})
        self.meta = SimpleNamespace(headers={})


AHEAD_S: ContextVar[float | None] = ContextVar("ahead", default=None)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def installation(url: str | None, folder: Path | None = None) -> Iterator[tuple[Any, Any, Any]]:
        client = SimpleNamespace(info=Answer)
        yield (
            Elastic("http://x"),
            client,
            SimpleNamespace(install=list, look=list, counts=dict, ahead_s=lambda now_s: AHEAD_S.get()),
        )

    monkeypatch.setattr(import_module("otmon.cli.elastic"), "_installation", installation)


def made(monkeypatch: pytest.MonkeyPatch, key: Callable[[], str | None]) -> list[str]:
    """What of keys was asked for."""
    asked: list[str] = []

    def create(_: object, namespace: str, name: str) -> str | None:
        asked.append(name)
        return key()

    monkeypatch.setattr(install, "create_key", create)
    return asked


def setup(path: Path, *more: str) -> int:
    return run(["elastic", "setup", "--elastic", "http://127.0.0.1:1", "--key-file", str(path), *more])


@pytest.mark.usefixtures("server")
def test_the_file_is_there_before_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"

    def key() -> str:
        assert path.stat().st_mode & 0o777 == 0o600
        return "secret"

    asked = made(monkeypatch, key)
    assert setup(path, "--dry-run") == 0
    assert not path.exists()
    assert setup(tmp_path / "none" / "key") == 2
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    assert setup(tmp_path / "link") == 2
    assert asked == []
    assert setup(path) == 0
    assert path.read_text() == "secret\n"
    assert setup(path) == 2
    assert path.read_text() == "secret\n"
    assert len(asked) == 1


@pytest.mark.usefixtures("server")
def test_it_goes_where_no_key_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    made(monkeypatch, lambda: None)
    assert setup(path) == 0
    assert not path.exists()

    def key() -> str:
        raise Stop("no")

    made(monkeypatch, key)
    assert setup(path) == 2
    assert not path.exists()


@pytest.mark.usefixtures("server")
def test_what_the_server_says_is_shown_safely(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["elastic", "status", str(tmp_path), "--elastic", "http://127.0.0.1:1"]) == 0
    out = capsys.readouterr().out
    assert "Elasticsearch 9.0" in out
    assert "\x1b" not in out
    sink = ElasticSink(Elastic("http://127.0.0.1:1"))
    sink.__dict__["_client"] = SimpleNamespace(info=Answer)
    assert sink.reach().found == "Elasticsearch 9.0\\x1b[2J"


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("ahead_s", "said"), [(None, ""), (29.0, ""), (-29.0, ""), (4_000.0, "4,000 s ahead of"), (-31.0, "31 s behind")]
)
def test_a_clock_that_differs_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, ahead_s: float | None, said: str
) -> None:
    token = AHEAD_S.set(ahead_s)
    try:
        assert run(["elastic", "setup", "--elastic", "http://127.0.0.1:1", "--dry-run"]) == 0
    finally:
        AHEAD_S.reset(token)
    line = capsys.readouterr().err
    assert said in line
    assert ("this machine's clock is" in line) == bool(said)


def test_whose_clock_is_ahead() -> None:
    asked = SimpleNamespace(cat=SimpleNamespace(health=lambda **_: [{"epoch": "1000"}]))
    assert install.Installation(asked, "default").ahead_s(1_060.0) == 60.0


def test_that_certificates_are_not_verified_is_said_every_hour(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    module, now_s = import_module("otmon.outputs.elastic.sink"), 5.0
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now_s))
    monkeypatch.setattr(ElasticSink, "_send", lambda self, stream, lines, repeated: dict.fromkeys(lines, DONE))
    sink = ElasticSink(Elastic("https://localhost:9200", insecure=True))
    for now_s in (5.0, 6.0, 3_604.0, 3_605.0, 3_700.0, 7_206.0):  # noqa: B007 (what the sink takes for the time)
        assert sink.deliver(batch(1), False) == [DONE]
    sink.close()
    lines = [one.getMessage() for one in caplog.records if one.__dict__.get("event") == "insecure"]
    assert len(lines) == 3
    assert "is not verified" in lines[0]
