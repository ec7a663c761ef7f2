"""docs/sensor.md says what `otmon watch` does: its options, its configuration, its events."""

import re
from pathlib import Path

import click

from otmon.cli.watch import watch
from otmon.sensor.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "sensor.md").read_text()


def test_every_option_is_explained() -> None:
    options = {option.opts[0] for option in watch.params if isinstance(option, click.Option)}
    assert set(re.findall(r"^\| `(--[a-z-]+)", PAGE, re.MULTILINE)) == options


def test_defaults_are_those_of_the_program() -> None:
    defaults = Settings()
    assert f"| `--keep DAYS` | {defaults.keep} |" in PAGE
    assert f"| `--keep-bytes SIZE` | {defaults.keep_bytes >> 30}GiB |" in PAGE
    assert f"| `--data DIR` | `{defaults.data}` |" in PAGE
    assert f"| `{defaults.log}` |" in PAGE


def test_the_configuration_is_the_example() -> None:
    (shown,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert shown == (ROOT / "rules" / "sensor.yaml").read_text()


def test_every_event_is_explained() -> None:
    said = set()
    for path in (ROOT / "otmon").rglob("*.py"):
        text = path.read_text()
        said |= set(re.findall(r"(?<![.\w])say\(\s*\*?\(?[\w.\[\]\"]+, \"(\w+)\"", text))
    rows = PAGE.split("| event |")[1].split("\n\n")[0]
    assert said == set(re.findall(r"`(\w+)`", rows))
    assert len(said) > 10
