"""`otmon policy`: is a policy file right, what does it mean, and what would it say."""

from pathlib import Path

import click

from otmon.cli.common import Stop, complain, emit
from otmon.cli.policy_diff import diff
from otmon.cli.policy_explain import explain
from otmon.cli.policy_replay import replay
from otmon.cli.policy_test import run_tests


@click.group()
def policy() -> None:
    """Work with policy files."""


for command in (diff, explain, run_tests, replay):
    policy.add_command(command)


@policy.command(epilog="\b\nExample:\n  otmon policy check rules/plant.yaml\n")
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Check a policy file.

    Says file, line, column and key of each mistake, and what would be right.
    """
    from otmon.policy import PolicyError
    from otmon.policy import check as look_at

    try:
        found = look_at(file)
    except PolicyError as error:
        raise Stop(str(error)) from None
    for warning in found.warnings:
        complain(f"{file}: {warning}", "warning")
    counts = (f"{value} {name}" for name, value in found._asdict().items() if name != "warnings")
    emit(f"{file}: right ({', '.join(counts)})\n")
