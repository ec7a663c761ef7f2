"""`otmon policy diff`: what became allowed and what became denied from one policy to another."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from otmon.cli.common import CHECK_FAILED, RAN, Stop, data_option, emit, emit_json, open_results
from otmon.cli.patience import patience

if TYPE_CHECKING:
    from otmon.policy import Policy
    from otmon.policy.difference_report import Entry
    from otmon.policy.permits import WorkPermit

MAX_SENTENCES: Final = 8
"""Of one change, for people; --json gives all."""
MAX_ENTRIES: Final = 200


def load(path: Path, data: Path | None = None) -> "Policy":
    """The policy, with the permits of a result folder. Raises Stop with every error in it."""
    from otmon.policy import PolicyError, load_policy

    try:
        return load_policy(path, permits_of(data))
    except PolicyError as error:
        raise Stop(str(error)) from None


def permits_of(data: Path | None) -> "list[WorkPermit]":
    """Those that were opened there; whoever opens it next says what is wrong with it."""
    if data is None:
        return []
    with ExitStack() as stack:
        try:
            results = stack.enter_context(open_results(data))
        except Stop:
            return []
        return results.permits()


def load_two(old: Path, new: Path, data: Path | None = None) -> "tuple[Policy, Policy]":
    """Two policies. Raises Stop with every error in both."""
    from otmon.policy import PolicyError, load_policy

    found, errors = [], []
    for path in (old, new):
        try:
            found.append(load_policy(path, permits_of(data)))
        except PolicyError as error:
            errors.append(str(error))
    if errors:
        raise Stop("\n".join(errors))
    return found[0], found[1]


@click.command(
    epilog="\b\nExamples:\n  otmon policy diff policy.yaml proposed.yaml\n"
    "  otmon policy diff policy.yaml proposed.yaml --data /var/lib/otmon --json\n"
)
@click.argument("old", metavar="OLD", type=click.Path(path_type=Path))
@click.argument("new", metavar="NEW", type=click.Path(path_type=Path))
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON records.")
def diff(old: Path, new: Path, data: Path | None, as_json: bool) -> int:
    """Say what became allowed and what became denied.

    The two files are compared by what they mean: exactly, and in the words of the policy. Nothing is printed when they
    mean the same. With --data: how many of the operations seen there each change is about.

    Exit code 1: they differ.
    """
    told = _entries(*load_two(old, new, data), data)
    if as_json:
        emit_json(entry.record() for entry in told)
    elif told:
        emit("\n".join(_text(told)) + "\n")
    return CHECK_FAILED if told else RAN


@patience("comparing")
def _entries(before: "Policy", after: "Policy", data: Path | None) -> "list[Entry]":
    from otmon.policy.difference import difference
    from otmon.policy.difference_report import count, entries

    if data is None:
        return entries(difference(before, after))
    with open_results(data) as results:
        found = difference(before, after, results.functions())
        told = entries(found)
        count(found, told, results.groups())
    return told


def _text(told: "list[Entry]") -> list[str]:
    lines: list[str] = []
    for allowed, title in ((True, "Allowed from now on:"), (False, "Denied from now on:")):
        some = [entry for entry in told if entry.change.allowed == allowed]
        if some:
            lines += [*([""] if lines else []), title]
        for entry in some[:MAX_ENTRIES]:
            lines += _entry(entry, "+" if allowed else "-")
        if len(some) > MAX_ENTRIES:
            lines.append(f"  and {len(some) - MAX_ENTRIES:,} more rows (all of them with --json)")
    return lines


def _entry(entry: "Entry", sign: str) -> list[str]:
    from otmon.alerts.sentence import plural

    notes = []
    if entry.never is not None:
        notes.append(f"{'no longer forbidden' if entry.change.allowed else 'forbidden'} by {entry.never}")
    if entry.change.implied:
        notes.append("its connections")
    if entry.change.partly:
        notes.append("in part: other rows, chatter or open hosts stay as they are")
    if entry.seen is not None:
        operations, times = entry.seen
        notes.append(f"seen: {plural(operations, 'operation')}, {plural(times, 'time')}")
    sentences = list(entry.sentences())
    lines = [f"{sign} {entry.cause}{' (' + '; '.join(notes) + ')' if notes else ''}"]
    lines += [f"    {sentence}" for sentence in sentences[:MAX_SENTENCES]]
    if len(sentences) > MAX_SENTENCES:
        lines.append(f"    and {len(sentences) - MAX_SENTENCES:,} more (all of them with --json)")
    return lines
