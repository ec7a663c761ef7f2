"""`otmon policy compile`: a policy as the configuration of a firewall or another monitor, and what is lost by that."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from otmon.cli.common import RAN, emit, emit_json, emit_rich, note
from otmon.cli.patience import patience
from otmon.cli.policy_diff import load

if TYPE_CHECKING:
    from otmon.outputs.fitted import Fitted
    from otmon.policy.flows import FlowRow

_TARGETS: Final = ("nftables", "cisco-acl", "suricata", "zeek")
"""As otmon.policy.targets.TARGETS, which is not imported for --help."""


@click.command(
    "compile",
    epilog="\b\nExamples:\n  otmon policy compile policy.yaml --to nftables > otmon.nft && nft -c -f otmon.nft\n"
    "  otmon policy compile policy.yaml --to suricata --losses\n",
)
@click.argument("policy", metavar="POLICY", type=click.Path(path_type=Path))
@click.option("--to", "target", type=click.Choice(_TARGETS), required=True, help="The target.")
@click.option(
    "--windows", is_flag=True, help="Write rows with a window of time too, as if it were always open (looser)."
)
@click.option("--losses", is_flag=True, help="Print what is lost instead, row by row.")
@click.option("--json", "as_json", is_flag=True, help="Print what is lost as JSON records.")
def compile_policy(policy: Path, target: str, windows: bool, losses: bool, as_json: bool) -> int:
    """Write a policy for a firewall or another monitor.

    The target sees connections: who opens which port of whom. What a row says beyond that is lost; each loss stands
    beside its row, with whether the result is looser or stricter than the row. Rows that permit at certain times, or
    wait for a permit, are left out, and it is said which.
    """
    loaded = load(policy)
    from otmon.policy.flows import flow_rows
    from otmon.policy.targets import writer

    with patience("writing"):
        text, rows = writer(target)(loaded, flow_rows(loaded, windows))
    if as_json:
        emit_json(_records(rows))
    elif losses:
        emit_rich(lambda out: out.print(_table(rows)))
    else:
        emit(text)
    from otmon.alerts.sentence import plural

    effects = [loss.effect for row in rows for loss in row.losses]
    exact = sum(not row.losses for row in rows)
    note(
        f"{plural(len(rows), 'row')}, {exact:,} of them exact; losses: {effects.count('looser'):,} looser,"
        f" {effects.count('stricter'):,} stricter"
    )
    return RAN


def _records(rows: "list[FlowRow]") -> Iterator[dict[str, Any]]:
    for row in rows:
        losses = [loss._asdict() for loss in row.losses]
        yield {"row": row.row, "permit": row.permit, "flows": len(row.flows), "losses": losses}


def _table(rows: "list[FlowRow]") -> "Fitted":
    from otmon.outputs.tables import cell, new_table

    table = new_table("Lost", "row", "result", "what the target cannot say")
    for row in rows:
        for loss in row.losses:
            table.add_row(
                cell(row.row), cell(loss.effect, "yellow" if loss.effect == "looser" else "red"), cell(loss.what)
            )
    return table
