"""What takes longer than a second says that it goes on, on terminals alone, and leaves nothing behind."""

import io
import sys
import time

import pytest

from otmon.cli import patience


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "wait_s", "said"), [(Terminal, 0.3, True), (Terminal, 0, False), (io.StringIO, 0.3, False)]
)
def test_a_bar_where_somebody_waits(monkeypatch, stream, wait_s, said):
    monkeypatch.setattr(patience, "AFTER_S", 0.05)
    monkeypatch.setattr(sys, "stderr", stream())

    @patience.patience("comparing")
    def work():
        time.sleep(wait_s)
        return 7

    assert work() == work() == 7
    assert ("comparing" in sys.stderr.getvalue()) == said


def test_an_error_ends_the_bar(monkeypatch):
    monkeypatch.setattr(patience, "AFTER_S", 0.01)
    monkeypatch.setattr(sys, "stderr", Terminal())

    @patience.patience("comparing")
    def fail():
        time.sleep(0.1)
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        fail()
    said = sys.stderr.getvalue()
    time.sleep(0.2)
    assert sys.stderr.getvalue() == said
