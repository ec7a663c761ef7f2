"""docs/sinks.md shows what the sinks send."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from otmon.outputs.cef import LABELS, SEVERITY
from otmon.outputs.lines import MODE, Lines
from otmon.outputs.secret import Secret
from otmon.outputs.sink import DONE
from otmon.outputs.syslog_cef import MAX_DATAGRAM_BYTES, MAX_MESSAGE_BYTES, PORTS, SyslogCef, message
from otmon.outputs.webhook import CONNECT_S, EXCHANGE_S, MAX_ANSWER_BYTES, MAX_RETRY_AFTER_S, Webhook
from tests.outputs.outgoing import ALERT, T0, batch, outgoing
from tests.outputs.test_cef import parsed
from tests.outputs.test_webhook import serving

PAGE = (Path(__file__).parents[2] / "docs" / "sinks.md").read_text()
SHOWN = dict(re.findall(r"^<!-- (\w+) -->\n```\w+\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))


def cells(heading: str) -> dict[str, str]:
    """The rows of a table by their first cell."""
    rows = PAGE.split(f"| {heading} |")[1].split("\n\n")[0].splitlines()[2:]
    return {(parts := row.strip("| ").split(" | ", 1))[0]: parts[1] for row in rows}


def test_the_line_is_real(tmp_path: Path) -> None:
    path = tmp_path / "otmon.jsonl"
    Lines(path).deliver([outgoing()], False)
    before, after = SHOWN["lines"].split("{…}")
    real = path.read_text()
    assert (real.startswith(before), real.endswith(after)) == (True, True)
    assert f"A new file has mode {MODE:04o}." in PAGE


def test_the_message_is_real() -> None:
    assert message(outgoing(), 1, MAX_MESSAGE_BYTES).decode() == SHOWN["syslog"].rstrip("\n")


def test_every_key_is_explained() -> None:
    explained = set(re.findall(r"`(\w+)`", " ".join(f"{cell} {text}" for cell, text in cells("CEF").items())))
    sent = set(parsed(message(outgoing(), 1, MAX_MESSAGE_BYTES).decode().partition("] ")[2])[1])
    assert {key for key in sent | set(LABELS) if not key.endswith("Label")} <= explained
    assert explained <= sent | set(LABELS) | {"smac", "dmac", "detected"}
    assert ", ".join(map(str, SEVERITY.values())) in cells("CEF")["severity"]


def test_the_figures_are_those_of_the_program() -> None:
    text = " ".join(PAGE.split())
    assert f"{MAX_MESSAGE_BYTES:,} bytes at most, a datagram {MAX_DATAGRAM_BYTES:,}" in text
    assert f"{CONNECT_S:.0f} seconds to connect and {EXCHANGE_S:.0f} for everything else" in text
    assert f"{MAX_ANSWER_BYTES >> 10} KiB are read" in text
    assert MAX_RETRY_AFTER_S == 3600
    assert "not {}, {} or {}.".format(*PORTS.values()) in text


def test_streams_are_those_of_the_program(tmp_path: Path) -> None:
    rows = cells("sink")
    assert rows["JSON lines"].startswith("all")
    for sink, names in (
        (SyslogCef("udp://siem.example"), ("syslog over UDP", "syslog over TCP, TLS")),
        (Webhook("http://localhost/", Secret("s")), ("webhook",)),
    ):
        for name in names:
            assert set(rows[name].split(" | ")[0].split(", ")) == sink.streams


@pytest.fixture
def post() -> Any:
    with serving() as server:
        url = f"http://localhost:{server.server_port}/hook"
        assert Webhook(url, Secret("s3cret"), clock=lambda: T0 / 1e9).deliver(batch(2), False) == [DONE] * 2
        return server.posted.get(timeout=5)


def test_the_request_is_real(post: Any) -> None:
    first, *shown = SHOWN["webhook"].splitlines()
    assert first == f"POST {post.path} HTTP/1.1"
    for line in shown:
        name, value = line.split(": ", 1)
        assert re.fullmatch(re.escape(value).replace("…", "[0-9a-f]{64}"), post.headers[name]), line
    assert set(json.loads(post.body)) == {"records"}


def test_the_check_takes_ours_and_nothing_else(post: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = {}
    exec(SHOWN["check"], names)
    genuine = names["genuine"]
    monkeypatch.setattr(time, "time", lambda: T0 / 1e9 + 100)
    assert genuine(post.headers, post.body, b"s3cret")
    assert not genuine(post.headers, post.body + b" ", b"s3cret")
    assert not genuine(post.headers, post.body, b"other")
    assert not genuine(post.headers | {"X-Otmon-Timestamp": "1700000001"}, post.body, b"s3cret")
    monkeypatch.setattr(time, "time", lambda: T0 / 1e9 + 301)
    assert not genuine(post.headers, post.body, b"s3cret")


def test_the_example_alert_is_the_one_of_the_records() -> None:
    assert ALERT["title"] in SHOWN["syslog"]
