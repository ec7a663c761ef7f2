"""docs/second-opinion.md shows what the command prints, and every reason there is."""

import re
import shutil
from pathlib import Path

import pytest

from otmon.cli import run
from otmon.opinion.tshark import version
from tests.docs.second_opinion import differences, not_compared

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "second-opinion.md").read_text()


def rows(heading: str) -> list[str]:
    """The table under a heading, without its head."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| ")][1:]


def test_it_prints_what_is_shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    ((command, shown),) = re.findall(r"<!-- output of: otmon (.+?) -->\n```text\n(.+?)\n```", PAGE, re.DOTALL)
    if version() not in shown:
        pytest.skip(f"the page shows another version than {version()}")
    monkeypatch.chdir(ROOT)
    assert run(command.split()) == 1
    assert "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines()) == shown


def test_every_reason_stands_there() -> None:
    """`python -m tests.docs.second_opinion` prints these tables."""
    assert rows("Differences that are known") == differences()
    assert rows("Fields of tshark that are not compared") == not_compared()
