"""`otmon alerts show`, `ack`, `close` and `note`: what a person here says of an alert."""

import secrets
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from otmon.cli.common import CHECK_FAILED, RAN, Stop, emit, emit_json, folder_argument, note, open_results
from otmon.cli.decide import hand_over

if TYPE_CHECKING:
    from otmon.store.database import SiteDatabase

LEAST_DIGITS: Final = 6
"""Of an id, as far as they name one alert."""


def by_option(function: Any) -> Any:
    """--by NAME."""
    return click.option("--by", metavar="NAME", required=True, help="Who decides; stands in the audit log.")(function)


def alert_argument(function: Any) -> Any:
    """The ID of an alert."""
    return click.argument("name", metavar="ID")(function)


def find_alert(results: "SiteDatabase", folder: Path, name: str) -> dict[str, Any]:
    """The alert whose id begins so. Raises Stop if that is not one."""
    found = [record for record in results.alerts if record["id"].startswith(name)]
    if len(name) < LEAST_DIGITS or not found:
        raise Stop(f"{folder}: no alert {name!r}; `otmon alerts list {folder}` shows them")
    if len(found) > 1:
        raise Stop(f"{folder}: {len(found)} alerts begin with {name}: write more of the id")
    return found[0]


def decide(folder: Path, name: str, decision: str, by: str, **more: str | None) -> bool:
    """Enter a decision of this machine; False, and said: the sensor has not taken it yet. Raises Stop."""
    import orjson

    from otmon.alerts.decisions import DecisionError, parse, sign

    with open_results(folder) as results:
        alert, site = find_alert(results, folder, name)["id"], results.name
    now_ns = time.time_ns()
    told = {"alert": alert, "by": by, "decision": decision, "site": site, "ts": datetime.now(UTC).isoformat()}
    line = orjson.dumps(told | {key: value for key, value in more.items() if value is not None})
    try:
        raw = sign(line, secrets.token_bytes(32), now_ns, secrets.token_hex(16), here=True)
        taken = hand_over(folder, raw, parse(raw))
    except DecisionError as error:
        raise Stop(f"alert {alert}: {error}") from None
    return taken


def _command(name: str, decision: str, text: str, example: str) -> click.Command:
    @click.command(name, help=text, epilog=f"\b\nExample:\n  {example}\n")
    @alert_argument
    @folder_argument
    @by_option
    @click.option("--note", "words", metavar="TEXT", required=decision == "note", help="Why, in a sentence.")
    @click.option("--ticket", metavar="TICKET", help="Where it is written down.")
    def command(name: str, folder: Path, by: str, words: str | None, ticket: str | None) -> int:
        from otmon.alerts.decisions import STATES

        if not decide(folder, name, decision, by, note=words, ticket=ticket):
            return CHECK_FAILED
        note(f"alert {name}: {STATES[decision]} by {by}")
        return RAN

    return command


COMMANDS: Final = (
    _command(
        *("ack", "acknowledge", "Acknowledge an alert: somebody looks after it."),
        'otmon alerts ack 6d2ea86c /var/lib/otmon --by "A. Mayer" --note "is on the way"',
    ),
    _command(
        *("close", "close", "Close an alert: it is dealt with. If it goes on, it still counts."),
        'otmon alerts close 6d2ea86c /var/lib/otmon --by "A. Mayer" --ticket OT-118',
    ),
    _command(
        *("note", "note", "Add a note to an alert."),
        'otmon alerts note 6d2ea86c /var/lib/otmon --by "A. Mayer" --note "called the plant"',
    ),
)


@click.command(epilog="\b\nExample:\n  otmon alerts show 6d2ea86c /var/lib/otmon\n")
@alert_argument
@folder_argument
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON, with `decisions`.")
def show(name: str, folder: Path, as_json: bool) -> None:
    """Show one alert with all that was decided about it."""
    with open_results(folder) as results:
        alert = find_alert(results, folder, name)
        decided = results.decided(alert["id"])
    if as_json:
        emit_json([alert | {"decisions": decided}])
        return
    from otmon.text import safe_text

    emit("".join(f"{safe_text(line, 2000)}\n" for line in _lines(alert, decided)))


def _lines(alert: dict[str, Any], decided: list[dict[str, Any]]) -> list[str]:
    from otmon.outputs.tables import moment

    nearest, outcome = alert["nearest"], alert["outcome"] or "does not apply"
    lines = [alert["title"], f"  id        {alert['id']}", f"  severity  {alert['severity']} ({alert['kind']})"]
    lines.append(f"  times     {alert['count']:,}: {moment(alert['first_ts_ns'])} to {moment(alert['last_ts_ns'])}")
    lines.append(f"  outcome   {outcome}")
    if alert["row"]:
        lines.append(f"  row       {alert['row']}")
    if nearest:
        lines.append(f"  nearest   {nearest['row']}: {nearest['separation']}")
    if alert["review"]:
        lines.append(f"  review    {alert['review']}")
    for one in decided:
        detail = one["detail"]
        more = "; ".join(f"{key} {detail[key]}" for key in ("ticket", "until", "note") if key in detail)
        lines.append(
            f"  decided   {moment(one['ts_ns'])} {one['message'].rstrip('.')}" + (f" ({more})" if more else "")
        )
    return lines
