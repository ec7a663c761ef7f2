"""docs/policy.md: its commands run, in the order of the page, and print what it shows."""

import re
from pathlib import Path

import pytest

from otmon.policy.findings import NEED_DATA, RULES
from tests.docs.test_docs import newcomer, shell

__all__ = ["newcomer"]
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "policy.md").read_text()
MARKED = re.compile(
    r"^<!-- (runs|output of), exit code (\d)(?:: (.+?))? -->\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE
)


def test_the_commands_of_the_page_do_what_it_says(newcomer: Path) -> None:
    blocks = MARKED.findall(PAGE)
    assert len(blocks) == PAGE.count("<!-- ") > 5
    for kind, code, script, text in blocks:
        done = shell(newcomer, f"{text if kind == 'runs' else script}")
        assert done.returncode == int(code), done.stderr
        real = iter([line.rstrip() for line in done.stdout.splitlines()])
        for line in text.splitlines() if kind == "output of" else ():
            assert line == "…" or not line or any(shown.startswith(line) for shown in real), line


def test_the_tests_on_the_page_are_those_beside_the_policy() -> None:
    (shown,) = re.findall(r"^```yaml\n(otmon-test: .*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert shown in (ROOT / "rules" / "plant.test.yaml").read_text()


def test_the_rules_of_the_page_are_those_of_the_program() -> None:
    table = re.findall(r"^\| `([\w-]+)` \| (note|warning|error) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)
    data = " Needs `--data`."
    rules = [(r.id, r.level, r.means + (data if r.id in NEED_DATA else ""), r.do) for r in RULES.values()]
    assert table == rules


@pytest.mark.parametrize(
    "command", ["check", "coverage", "diff", "explain", "test", "replay", "compile", "absent", "reach"]
)
def test_every_command_of_the_page_is_shown(command: str) -> None:
    assert f"`otmon policy {command}`\n" in PAGE


@pytest.mark.parametrize("words", ["alerts accept", "permit receipt", "audit", "hunt"])
def test_every_other_command_of_the_page_is_shown(words: str) -> None:
    assert f"`otmon {words}`\n" in PAGE
