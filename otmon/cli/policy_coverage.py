"""`otmon policy coverage`: how closely a policy holds what was seen."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from otmon.cli.common import RAN, emit, emit_json, emit_rich, needed_data_option, open_results
from otmon.cli.patience import patience
from otmon.cli.policy_diff import load

if TYPE_CHECKING:
    from otmon.outputs.fitted import Fitted

ROWS = 200
"""Of a table for people; --json gives all."""


@click.command(
    epilog="\b\nExamples:\n  otmon policy coverage policy.yaml --data /var/lib/otmon\n"
    "  otmon policy coverage policy.yaml --data results/plant --json\n"
)
@click.argument("policy", metavar="POLICY", type=click.Path(path_type=Path))
@needed_data_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON records.")
def coverage(policy: Path, data: Path, as_json: bool) -> int:
    """Say how closely a policy holds what was seen.

    Of the operations that need a row, and of how often they were seen: the share permitted by rows that limit addresses
    or other targets, by rows that limit functions or ports, by rows that limit hosts alone, and by no row. By zones.
    """
    from otmon.policy.coverage import coverage as look_at
    from otmon.policy.coverage import records

    loaded = load(policy)
    with open_results(data) as results, patience("counting"):
        found = list(records(look_at(loaded, results.groups())))
    if as_json:
        emit_json(found)
        return RAN
    emit_rich(lambda out: out.print(_table(found)))
    emit(_summary(found[0]))
    return RAN


def _table(found: Sequence[dict[str, Any]]) -> "Fitted":
    from otmon.outputs.tables import cell, new_table, number
    from otmon.policy.coverage import SCORED

    right = ("operations", *SCORED, "not needed")
    title = "Held by rows that limit: share of operations / of traffic"
    table = new_table(title, "from", "to", *right, right=right, spare=("not needed", "operations"))
    for record in (*found[1 : ROWS + 1], found[0]):
        whole = record["from_zone"] is None
        table.add_row(
            cell("all zones" if whole else record["from_zone"]),
            cell("" if whole else record["to_zone"]),
            number(sum(record["operations"].values())),
            *(cell(_percent(record, level)) for level in SCORED),
            number(record["operations"]["free"]),
        )
    return table


def _percent(record: dict[str, Any], level: str) -> str:
    shares = [record["share_of_operations"], record["share_of_times"]]
    return " / ".join("-" if share is None else f"{100 * share[level]:.1f} %" for share in shares)


def _summary(whole: dict[str, Any]) -> str:
    from otmon.alerts.sentence import plural

    counts = whole["operations"]
    needed = sum(counts.values()) - counts["free"]
    if not needed:
        return "No operation needs a row: none touches a host in a monitored zone, or all are chatter.\n"
    need, held = ("needs", "is held to its") if needed == 1 else ("need", "are held to their")
    return f"{plural(needed, 'operation')} {need} a row: {_percent(whole, 'address')} {held} addresses.\n"
