"""`otmon audit`: the log of what otmon and people did, and whether it is as it was written."""

import re
from pathlib import Path
from typing import Any

import click

from otmon.cli.common import (
    CHECK_FAILED,
    RAN,
    Stop,
    complain,
    emit,
    emit_json,
    emit_rich,
    folder_argument,
    open_results,
)

ROWS = 500
"""Of a table for people: the latest; --json gives all."""


@click.group()
def audit() -> None:
    """Show and verify the log of decisions, policies and permits.

    Entries are only added, and each has a hash over all before it.
    """


@audit.command(
    "list", epilog="\b\nExamples:\n  otmon audit list /var/lib/otmon\n  otmon audit list /var/lib/otmon --json\n"
)
@folder_argument
@click.option("--json", "as_json", is_flag=True, help="Print JSON records.")
def list_entries(folder: Path, as_json: bool) -> None:
    """Show the entries: when, what, by whom."""
    with open_results(folder) as results:
        found = [entry.record() for entry in results.audit_log()]
    if as_json:
        emit_json(found)
    elif not found:
        emit("The audit log is empty.\n")
    else:
        emit_rich(lambda out: out.print(_table(found)))


def _table(found: list[dict[str, Any]]) -> Any:
    from otmon.outputs.tables import cell, moment, new_table, number

    title = "Audit log" if len(found) <= ROWS else f"Audit log: the last {ROWS} of {len(found):,}"
    table = new_table(title, "number", "time", "action", "what", "note", right=("number",), spare=("note", "action"))
    for entry in found[-ROWS:]:
        detail = entry["detail"]
        notes = [detail[name] for name in ("ticket", "note", "sha256") if name in detail]
        table.add_row(
            number(entry["number"]),
            *(cell(text) for text in (moment(entry["ts_ns"]), entry["action"], entry["message"], "; ".join(notes))),
        )
    return table


@audit.command(
    epilog="\b\nExamples:\n  otmon audit export /var/lib/otmon > audit.jsonl\n"
    "  otmon audit verify /var/lib/otmon --head HASH      the hash that export printed, kept elsewhere\n"
)
@folder_argument
def export(folder: Path) -> None:
    """Print the whole log, an entry a line, and its head.

    The hash of the last entry is said on stderr: kept elsewhere, it proves later that nothing up to it was changed.
    """
    from otmon.outputs.jsonl import line

    with open_results(folder) as results:
        looked = results.verify_log()
        if looked.wrong is not None:
            raise Stop(f"{folder}: {looked.wrong}", CHECK_FAILED)
        for entry in results.audit_log():
            emit(line(entry.record()).decode())
    complain(f"{looked.entries:,} {'entry' if looked.entries == 1 else 'entries'}, head {looked.head}", "note")


@audit.command(
    epilog="\b\nExamples:\n  otmon audit verify /var/lib/otmon\n  otmon audit verify /var/lib/otmon --head HASH\n"
)
@folder_argument
@click.option("--head", "kept", metavar="HASH", help="The head at an earlier time, as `otmon audit export` said it.")
def verify(folder: Path, kept: str | None) -> int:
    """Check every entry of the log, and say the first that is wrong.

    Exit code 1: an entry was changed, is missing, or the log does not hold --head.
    """
    if kept is not None and not re.fullmatch("[0-9a-f]{64}", kept):
        raise Stop(f"--head: {kept!r} is not a hash of 64 hexadecimal digits; `otmon audit export` prints it")
    with open_results(folder) as results:
        looked = results.verify_log(kept)
    if looked.wrong is not None:
        complain(f"{folder}: {looked.wrong}")
        complain(f"right up to entry {looked.entries:,}, whose hash is {looked.head}", "note")
        return CHECK_FAILED
    what = f"{looked.entries:,} entr{'y' if looked.entries == 1 else 'ies'}"
    emit(f"{what}, each as it was written; head {looked.head}\n")
    return RAN
