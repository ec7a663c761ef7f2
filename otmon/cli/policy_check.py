"""`otmon policy check`: is a policy file right, and what in it cannot have been meant."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from otmon.cli.common import CHECK_FAILED, RAN, Stop, data_option, emit, emit_json, open_results
from otmon.cli.patience import patience

if TYPE_CHECKING:
    from otmon.policy.findings import Finding
    from otmon.policy.lint import Summary

LEVELS = ("note", "warning")
"""Of otmon.policy.findings, which is not imported for --help; an error ends the command anyway."""


@click.command(
    epilog="\b\nExamples:\n  otmon policy check policy.yaml\n"
    "  otmon policy check policy.yaml --data /var/lib/otmon --json\n"
    "  otmon policy check policy.yaml --sarif check.sarif --fail-on warning\n"
)
@click.argument("file", metavar="POLICY", type=click.Path(path_type=Path))
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON records.")
@click.option("--sarif", "sarif_path", metavar="FILE", type=click.Path(path_type=Path), help="Write SARIF 2.1.0 too.")
@click.option("--fail-on", metavar="LEVEL", type=click.Choice(LEVELS), help="Exit with 1 on such a finding or worse.")
def check(file: Path, data: Path | None, as_json: bool, sarif_path: Path | None, fail_on: str | None) -> int:
    """Check a policy file.

    Says file, line, column and key of each mistake, and what would be right. A file that is right is looked through for
    what cannot have been meant: rows that add nothing or contradict each other, zones that nothing reaches, hosts in no
    zone. With --data also for what was never used.

    Exit code 1: something that --fail-on names was found; 2: the file is wrong.
    """
    from otmon.policy import PolicyError
    from otmon.policy.findings import of_problem

    try:
        summary = _look(file, data)
    except PolicyError as error:
        errors = [(one.path, problem) for one in (error, *error.also) for problem in one.problems]
        _write_sarif(sarif_path, [(path, of_problem(problem)) for path, problem in errors])
        raise Stop(str(error)) from None
    found = summary.findings
    _write_sarif(sarif_path, [(str(file), finding) for finding in found])
    if as_json:
        emit_json(finding.record(str(file)) for finding in found)
    else:
        emit("".join(f"{line}\n" for line in _lines(str(file), summary)))
    failed = fail_on is not None and any(finding.level in LEVELS[LEVELS.index(fail_on) :] for finding in found)
    return CHECK_FAILED if failed else RAN


@patience("checking")
def _look(file: Path, data: Path | None) -> "Summary":
    from otmon.policy import load_policy
    from otmon.policy.lint import look
    from otmon.policy.load import load_source
    from otmon.policy.reader import read_bytes
    from otmon.policy.usage import Usage

    source = load_source(read_bytes(str(file)), str(file))
    if data is None:
        return look(source)
    with open_results(data) as results:
        permits = results.permits()
        usage = Usage(load_policy(file, permits) if permits else source.policy)
        usage.run(results.groups())
        usage.look_at(endpoint.address for asset in results.assets for endpoint in asset.endpoints)
    return look(source, usage)


def _write_sarif(to: Path | None, found: "Sequence[tuple[str, Finding]]") -> None:
    if to is None:
        return
    from otmon.outputs.jsonl import line
    from otmon.policy.sarif import sarif

    try:
        to.write_bytes(line(sarif(found)))
    except OSError as error:
        raise Stop(f"{to}: cannot be written: {error.strerror}") from None


def _lines(path: str, summary: "Summary") -> list[str]:
    from otmon.policy.findings import RULES
    from otmon.text import safe_text

    shown = safe_text(path, 4096)
    lines = [
        f"{shown}:{finding.line}:{finding.column}: {finding.level}: {finding.says} [{finding.rule}]\n"
        f"    {RULES[finding.rule].do}"
        for finding in summary.findings
    ]
    counts = ", ".join(_count(value, name) for name, value in summary._asdict().items() if name != "findings")
    return [*lines, f"{shown}: right ({counts})"]


def _count(number: int, names: str) -> str:
    """`1 zone`; `never` and `review` are no nouns."""
    return f"{number} {names.removesuffix('s') if number == 1 else names}"
