"""Checks as people read them, or as records."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from otmon.cli.common import CHECK_FAILED, RAN, emit_json, emit_rich

if TYPE_CHECKING:
    from rich.console import Console

    from otmon.capture.check import Check

_STYLES = {"ok": "green", "warning": "yellow", "wrong": "bold red"}


def tell(checks: Sequence["Check"], as_json: bool) -> int:
    """Print them; the exit code."""
    if as_json:
        emit_json(check.as_record() for check in checks)
    else:
        emit_rich(lambda out: show(out, checks))
    return CHECK_FAILED if any(check.level == "wrong" for check in checks) else RAN


def show(out: "Console", checks: Sequence["Check"]) -> None:
    """A table, then what is not well with its meaning and what mends it."""
    from rich.padding import Padding
    from rich.text import Text

    from otmon.outputs.tables import cell, new_table

    table = new_table("", "", "check", "state", "found")
    last = None
    for check in checks:
        subject = "" if check.subject == last else check.subject
        last = check.subject
        table.add_row(cell(subject), cell(check.name), cell(check.level, _STYLES[check.level]), cell(check.found))
    out.print(table)
    for check in checks:
        if check.level == "ok":
            continue
        out.print(cell(f"{check.subject}, {check.name}: {check.found}", _STYLES[check.level]))
        out.print(Padding(cell(check.meaning), (0, 0, 0, 2), expand=False))
        if check.mend:
            out.print(Text("    ") + cell(check.mend, "bold"), soft_wrap=True)
    bad = {level: sum(check.level == level for check in checks) for level in ("wrong", "warning")}
    out.print(f"{len(checks)} checks: {bad['wrong']} wrong, {bad['warning']} to look at.")
