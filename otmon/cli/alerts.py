"""`otmon alerts`: the alerts of a result folder, and what people decided about them."""

import time
from pathlib import Path

import click

from otmon.cli import answer
from otmon.cli.accept import accept
from otmon.cli.common import SEVERITIES, emit, emit_json, emit_rich, folder_argument, form_options, open_results
from otmon.cli.decide import import_decisions, sign_decisions

_COLUMNS = (
    *(
        "id",
        "severity",
        "kind",
        "title",
        "count",
        "outcome",
        "row",
        "review",
        "realm",
        "client.endpoint",
        "client.name",
    ),
    *("client.zone", "server.endpoint", "server.name", "server.zone", "operation.protocol", "operation.function"),
    *("operation.access", "attack", "first_ts_ns", "last_ts_ns", "decision.state", "decision.by", "decision.note"),
)


@click.group()
def alerts() -> None:
    """Show alerts, and decide about them."""


alerts.add_command(import_decisions)
for command in (answer.show, *answer.COMMANDS, accept, sign_decisions):
    alerts.add_command(command)


@alerts.command(
    "list", epilog="\b\nExamples:\n  otmon alerts list\n  otmon alerts list results/week --severity high --json\n"
)
@folder_argument
@click.option("--severity", type=click.Choice(SEVERITIES), default="info", help="Only this severity and worse.")
@form_options
def list_alerts(folder: Path, severity: str, form: str | None) -> None:
    """List alerts, worst first: what happened, how often, when."""
    wanted = SEVERITIES[SEVERITIES.index(severity) :]
    with open_results(folder) as results:
        decided, total = results.decisions(time.time_ns()), len(results.alerts)
        found = [
            alert | ({"decision": decided[alert["id"]]} if alert["id"] in decided else {})
            for alert in results.alerts
            if alert["severity"] in wanted
        ]
    if form == "json":
        emit_json(found)
    elif form == "csv":
        from otmon.outputs.csvtext import to_csv

        emit(to_csv(found, _COLUMNS))
    elif not found:
        emit(f"No alerts of severity {severity} or worse; {total:,} of less.\n" if total else "No alerts.\n")
    else:
        from otmon.cli.show import ROWS
        from otmon.outputs.tables import alerts_table

        emit_rich(lambda out: out.print(alerts_table(found, ROWS, ids=True)))
