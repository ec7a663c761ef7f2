"""The sinks of a configuration: what each needs, where its secrets are, and what cannot be."""

from pathlib import Path

import pytest

from otmon.cli import run
from otmon.cli.common import Stop
from otmon.cli.ways import WAYS, ways
from otmon.sensor.settings import OUTPUTS, Settings


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("first")
    path.chmod(0o600)
    return path


def test_there_is_a_way_for_each_output() -> None:
    assert tuple(WAYS) == OUTPUTS
    assert ways(Settings()) == []


def test_what_each_needs(tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("https_proxy", raising=False)
    settings = Settings(
        data=tmp_path,
        elastic={"url": "https://e.example:9243", "key_file": secret, "records_per_s": 5.0},
        syslog={"url": "tls://s.example", "facility": "auth"},
        webhook={"url": "https://h.example/x", "secret_file": secret},
        lines={"path": "events.jsonl", "streams": ["alert"]},
    )
    elastic, syslog, webhook, lines = ways(settings)
    assert (elastic.ports, elastic.reads, elastic.records_per_s) == ((9243,), (secret,), 5.0)
    assert (syslog.ports, syslog.reads) == ((6514,), ())
    assert (webhook.ports, webhook.reads) == ((443,), (secret,))
    assert (lines.ports, lines.sink.streams) == ((), {"alert"})
    assert [way.sink.name for way in (elastic, syslog, webhook, lines)] == list(OUTPUTS)
    for way in (syslog, webhook, lines):
        way.sink.rehearse()


def test_datagrams_need_no_port_and_a_proxy_its_own(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ways(Settings(syslog={"url": "udp://s.example"}))[0].ports == ()
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "")
    assert ways(Settings(webhook={"url": "https://h.example/", "secret_file": secret}))[0].ports == (3128,)


def test_the_service_reads_the_copy_that_systemd_hands_over(
    tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = Settings(webhook={"url": "https://h.example/", "secret_file": tmp_path / "not-ours"})
    with pytest.raises(Stop, match=r"webhook: the secret in .*not-ours cannot be read"):
        ways(said)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    secret.rename(tmp_path / "webhook").chmod(0o440)  # as systemd has it: an access list looks like a group's right
    assert ways(said)[0].reads == (tmp_path / "webhook",)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("/var/log/events.jsonl", "is not in the data folder"),
        ("../events.jsonl", "is not in the data folder"),
        (".", "is not in the data folder"),
        ("site.db", "name it .jsonl, and not as otmon's own files"),
        ("assets.jsonl", "name it .jsonl, and not as otmon's own files"),
        ("evidence/events.jsonl", "name it .jsonl, and not as otmon's own files"),
        ("link.jsonl", "is not in the data folder"),
    ],
)
def test_where_lines_may_not_go(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "link.jsonl").symlink_to("/etc/passwd")
    with pytest.raises(Stop, match=said):
        ways(Settings(data=tmp_path, lines={"path": name}))


def test_deliver_needs_an_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.yaml").write_text("interfaces: eth1\n")
    assert run(["deliver", str(tmp_path), "--config", str(tmp_path / "c.yaml")]) == 2
    assert "or --config FILE with an output" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("elastic:\n  url: https://e.example\n  ca: gone.pem\n", "3:3: elastic.ca: "),
        ("elastic:\n  url: https://e.example\n  key-file: gone\n", "3:3: elastic.key-file: "),
        ("webhook: {url: https://w.example/, secret-file: gone}\n", "1:36: webhook.secret-file: "),
        ("syslog:\n  url: tls://s.example\n  ca: gone.pem\n", "3:3: syslog.ca: "),
        ("lines: /var/log/x.jsonl\n", "1:1: lines: "),
        ("lines:\n    path: /var/log/x.jsonl\n", "2:5: lines.path: "),
    ],
)
def test_what_is_wrong_with_an_output_is_said_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, place: str
) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(text)
    assert run(["deliver", str(tmp_path), "--config", str(config)]) == 2
    said = capsys.readouterr().err
    assert f"{config}:{place}" in said
    assert said.count("\n") == 1
