"""`otmon policy check`: is a policy file right, and if not, where and why."""

from pathlib import Path

import click

from otmon.cli.analyze import load
from otmon.cli.common import emit


@click.group()
def policy() -> None:
    """Work with policy files."""


@policy.command(epilog="\b\nExample:\n  otmon policy check rules/plant.yaml\n")
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Check a policy file: says file, line, column and key of each mistake, and what would be right."""
    loaded = load(file)
    emit(f"{file}: right (site {loaded.site})\n")
