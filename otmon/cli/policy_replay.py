"""`otmon policy replay`: what a policy would have said of everything that is remembered."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from otmon.cli.common import RAN, emit, emit_json, emit_rich, needed_data_option, open_results
from otmon.cli.patience import patience
from otmon.cli.policy_diff import load, load_two

if TYPE_CHECKING:
    from otmon.outputs.fitted import Fitted
    from otmon.policy.replay import Changed, Finding, Replay, Tally

ROWS = 200
"""Of a table for people; --json gives all."""
LEAST = {"for example": 36}
"""Columns: two addresses on one line."""


@click.command(
    epilog="\b\nExamples:\n  otmon policy replay proposed.yaml --data /var/lib/otmon\n"
    "  otmon policy replay proposed.yaml --data /var/lib/otmon --against policy.yaml --json\n"
)
@click.argument("policy", metavar="POLICY", type=click.Path(path_type=Path))
@needed_data_option
@click.option(
    "--against",
    metavar="OTHER",
    type=click.Path(path_type=Path),
    help="The policy that is in force: show only what changes from it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON records.")
def replay(policy: Path, data: Path, against: Path | None, as_json: bool) -> int:
    """Say what a policy would have alerted on.

    Every operation that is remembered is judged again. Rows with a window of time are asked at the first and at the
    last time of an operation. Values are not remembered, so a row that limits them permits here.
    """
    from otmon.policy.replay import Replay, compare

    if against is None:
        new = Replay(load(policy, data))
        with open_results(data) as results, patience("replaying"):
            new.run(results.groups())
        changes = None
    else:
        before, after = load_two(against, policy, data)
        old, new = Replay(before), Replay(after)
        with open_results(data) as results, patience("replaying"):
            changes = compare(old, new, results.groups())
    if as_json:
        emit_json(_records(new) if changes is None else _change_records(changes))
    elif changes is None:
        emit_rich(lambda out: out.print(*_tables(new)))
        emit(_summary(new))
    else:
        if changes:
            emit_rich(lambda out: out.print(_change_table(changes)))
        emit(_changed(sum(tally.operations for tally in changes.values()), new.operations))
    return RAN


def _tables(found: "Replay") -> "Iterable[Fitted]":
    from otmon.outputs.tables import STYLES, cell, new_table, number
    from otmon.policy.optext import operation_text
    from otmon.policy.replay import worst

    if found.denied:
        columns = ("severity", "kind", "from", "to", "what", "nearest row", "operations", "times", "for example")
        spare = ("kind", "times", "from", "for example")
        table = new_table("Would have alerted", *columns, right=("operations", "times"), spare=spare, least=LEAST)
        for finding in sorted(found.denied, key=worst)[:ROWS]:
            tally = found.denied[finding]
            table.add_row(
                cell(finding.severity, STYLES[finding.severity]),
                *(cell(text) for text in (finding.kind, finding.from_zone, finding.to_zone)),
                cell(f"{finding.protocol} {finding.function}"),
                cell(("forbidden by " if finding.never else "") + (finding.row or "none")),
                *(number(tally.operations), number(tally.times), cell(operation_text(tally.example))),
            )
        yield table
    table = new_table("Permitted", "row", "operations", "times", right=("operations", "times"))
    for name, tally in sorted(found.permitted.items(), key=_most)[:ROWS]:
        table.add_row(cell(_row(name)), number(tally.operations), number(tally.times))
    yield table


def _most(item: "tuple[str, Tally]") -> tuple[int, str]:
    return -item[1].times, item[0]


def _row(name: str) -> str:
    from otmon.policy.replay import BY_ITSELF

    return "no row needed (not monitored, or chatter)" if name == BY_ITSELF else name


def _changed(number: int, operations: int) -> str:
    from otmon.alerts.sentence import plural

    return f"{number:,} of {plural(operations, 'operation')} change{'s' if number == 1 else ''}.\n"


def _summary(found: "Replay") -> str:
    from otmon.alerts.sentence import plural
    from otmon.policy.replay import BY_ITSELF

    denied = sum(tally.operations for tally in found.denied.values())
    text = f"{plural(found.operations, 'operation')}: {denied:,} would have been denied.\n"
    if found.operations and not denied and set(found.permitted) == {BY_ITSELF}:
        text += "No row decided about any of them: the hosts are in no monitored zone, or all is chatter.\n"
    if found.valued:
        were = "was" if found.valued == 1 else "were"
        text += f"{found.valued:,} {were} permitted by rows that limit values; values are not remembered.\n"
    return text


def _change_table(changes: "dict[Changed, Tally]") -> "Fitted":
    from otmon.outputs.tables import STYLES, cell, new_table, number
    from otmon.policy.optext import operation_text
    from otmon.policy.replay import worst

    columns = ("change", "row", "from", "to", "what", "severity", "operations", "times", "for example")
    spare = ("severity", "times", "from", "for example")
    table = new_table("Changes", *columns, right=("operations", "times"), spare=spare, least=LEAST)
    for change in sorted(changes, key=lambda change: (change.allowed, *worst(change.finding), change.row))[:ROWS]:
        finding, tally = change.finding, changes[change]
        table.add_row(
            cell("allowed" if change.allowed else "denied", "green" if change.allowed else "red"),
            *(cell(text) for text in (_row(change.row), finding.from_zone, finding.to_zone)),
            cell(f"{finding.protocol} {finding.function}"),
            cell(finding.severity, STYLES[finding.severity]),
            *(number(tally.operations), number(tally.times), cell(operation_text(tally.example))),
        )
    return table


def _figures(tally: "Tally") -> dict[str, Any]:
    from otmon.policy.optext import operation_text

    return {
        "operations": tally.operations,
        "times": tally.times,
        "first_ts_ns": tally.first_ts_ns,
        "last_ts_ns": tally.last_ts_ns,
        "example": operation_text(tally.example),
    }


def _records(found: "Replay") -> "Iterable[dict[str, Any]]":
    from otmon.policy.replay import worst

    for finding in sorted(found.denied, key=worst):
        tally = found.denied[finding]
        yield {"verdict": "deny", **_finding(finding), "why": tally.why, **_figures(tally)}
    for name, tally in sorted(found.permitted.items(), key=_most):
        yield {"verdict": "permit", "row": None if _row(name) != name else name, **_figures(tally)}


def _finding(finding: "Finding") -> dict[str, Any]:
    return finding._asdict()


def _change_records(changes: "dict[Changed, Tally]") -> "Iterable[dict[str, Any]]":
    for change, tally in changes.items():
        permits = None if _row(change.row) != change.row else change.row
        denied = _finding(change.finding)
        yield {
            "change": "allowed" if change.allowed else "denied",
            "permits": permits,
            "denied": denied,
            **_figures(tally),
        }
