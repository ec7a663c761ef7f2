"""`otmon policy`: is a policy file right, what does it mean, and what would it say."""

import click

from otmon.cli.policy_absent import absent
from otmon.cli.policy_check import check
from otmon.cli.policy_compile import compile_policy
from otmon.cli.policy_coverage import coverage
from otmon.cli.policy_diff import diff
from otmon.cli.policy_explain import explain
from otmon.cli.policy_reach import reach
from otmon.cli.policy_replay import replay
from otmon.cli.policy_test import run_tests


@click.group()
def policy() -> None:
    """Work with policy files."""


for command in (check, coverage, diff, explain, run_tests, replay, compile_policy, absent, reach):
    policy.add_command(command)
