"""One line a record, whatever is in it."""

import json
import logging
import os
import re
import sys
from collections import deque
from collections.abc import Iterator

import pytest

from otmon.sensor import logs
from otmon.sensor.told import LINES_AT_ONCE, Told

HOSTILE = 'a\nb\x1b[31m\u202ered\udcff <3>fake ="'


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    log = logging.getLogger("otmon")
    before = log.handlers[:], log.propagate, log.level, logging.raiseExceptions
    yield
    log.handlers[:], log.propagate, level, logging.raiseExceptions = before
    log.setLevel(level)


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("text")
    logs.say(logging.WARNING, "interface_gone", "span0 is gone", interface="span0", tries=3, why="no such device")
    (line,) = said(capsys)
    stamp, rest = line.split(" ", 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stamp)
    assert rest == 'warning interface_gone: span0 is gone interface=span0 tries=3 why="no such device"'


@pytest.mark.parametrize("form", ["text", "json"])
def test_hostile_text_stays_one_harmless_line(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(form)
    logs.say(logging.ERROR, "alert", HOSTILE, title=HOSTILE)
    (line,) = said(capsys)
    assert line.isprintable()
    if form == "json":
        record = json.loads(line)
        assert set(record) == {"event", "level", "message", "time", "title"}
        assert record["message"] == record["title"] == 'a\\x0ab\\x1b[31m\\u202ered\\udcff <3>fake ="'


def test_a_fields_name_does_not_hide_what_every_record_has(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("json")
    logs.say(logging.INFO, "alert", "words", time="never", count=2)
    (line,) = said(capsys)
    assert json.loads(line)["time"] != "never"
    assert json.loads(line)["count"] == 2


def test_the_journal_gets_priorities_and_no_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
    logs.set_up("text")
    logs.say(logging.CRITICAL, "alert", "stopped")
    logs.say(logging.INFO, "clock_state", "right")
    assert said(capsys) == ["<2>critical alert: stopped", "<6>info clock_state: right"]
    monkeypatch.setenv("JOURNAL_STREAM", "1:1")
    assert not logs.in_journal()


def test_an_exception_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("text")
    try:
        raise ValueError("x\ny")
    except ValueError:
        logging.getLogger("otmon").exception("failed")
    (line,) = said(capsys)
    assert line.endswith(r"error note: failed (ValueError('x\\ny'))") or "ValueError" in line


def test_a_closed_stderr_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        monkeypatch.setattr(sys, "stderr", pipe)
        logs.set_up("text")
        logs.say(logging.INFO, "note", "x")
        monkeypatch.undo()
        with pytest.raises(BrokenPipeError):
            pipe.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), write)


def test_lines_are_kept_while_a_view_has_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    kept: deque[logs.Line] = deque(maxlen=2)
    logs.set_up("text", kept)
    for number in range(3):
        logs.say(logging.INFO, "note", f"line {number}")
    assert [line.text.rpartition(": ")[2] for line in kept] == ["line 1", "line 2"]
    assert said(capsys) == []


def test_a_flood_of_alerts_is_a_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("text")
    told = Told()
    told.tell([{"severity": "high", "kind": "command", "id": f"{n}", "title": "t"} for n in range(1000)])
    lines = said(capsys)
    assert len(lines) == LINES_AT_ONCE + 1
    assert " error alert: t severity=high kind=command id=0" in lines[0]
    assert lines[-1].endswith("and 980 more alerts at once")
    assert told.counts["high"] == 1000
