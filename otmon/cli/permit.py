"""`otmon permit`: the shift lead opens what the policy keeps closed, without editing it, and what was done then."""

import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from otmon.cli.answer import by_option
from otmon.cli.common import (
    CHECK_FAILED,
    RAN,
    Stop,
    complain,
    emit,
    emit_json,
    emit_rich,
    folder_argument,
    note,
    open_results,
    policy_of,
)
from otmon.cli.decide import give
from otmon.cli.policy_diff import load

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from otmon.policy import Policy
    from otmon.policy.permits import WorkPermit
    from otmon.store.database import SiteDatabase

ORDERS: Final = ".permit"
"""As otmon.sensor.inbox.PERMIT, which is not imported for --help."""
RUNNING: Final = "running"
"""As otmon.sensor.watch.RUNNING."""
_policy_option = click.option(
    "--policy", "policy_path", metavar="FILE", type=click.Path(path_type=Path), help="Default: that of DIR."
)


@click.group()
def permit() -> None:
    """Open and close conduits that need a permit, and show what was done under one.

    Only a conduit with `during: {permit: required}` can be opened, and nothing but what its rows permit.
    """


@permit.command(
    "open",
    epilog="\b\nExamples:\n"
    '  otmon permit open engineering-programs-plcs /var/lib/otmon --ticket CHG-1042 --by "A. Mayer" \\\n'
    "      --until 2026-12-01T17:00\n",
)
@click.argument("conduit", metavar="CONDUIT")
@folder_argument
@click.option("--ticket", metavar="TICKET", required=True, help="The ticket of the work.")
@by_option
@click.option(
    *("--from", "since"),
    metavar="TIME",
    help="Day, or moment, in the policy's time zone; not before now, which is the default.",
)
@click.option("--until", metavar="TIME", required=True, help="Last day, or moment, in the policy's time zone.")
@click.option("--note", "words", metavar="TEXT", help="What is to be done.")
@_policy_option
def open_permit(
    conduit: str,
    folder: Path,
    ticket: str,
    by: str,
    since: str | None,
    until: str,
    words: str | None,
    policy_path: Path | None,
) -> int:
    """Open a conduit under a ticket, until a moment.

    It holds from now on, or later: what was alerted before stands. A sensor that runs takes it over itself, within
    seconds. Exit code 1: it has not yet.
    """
    from otmon.policy.fields import parse_from, parse_until
    from otmon.policy.windows import make_window

    with open_results(folder) as results:
        policy = load(policy_path or policy_of(folder, results))
        live = bool(results.health) or RUNNING in results.meta
    if conduit not in policy.with_permit:
        known = ", ".join(policy.with_permit) or "none has `during: {permit: required}`"
        raise Stop(f"{policy.path}: {conduit!r} is no conduit that needs a permit; those that do: {known}")
    # A conduit that needs a permit has a window, and that the policy's time zone.
    first = None if since is None else _moment("--from", since, parse_from)
    zone, last = policy.windows[0].zone, _moment("--until", until, parse_until)
    window, now_ns = make_window(zone, None, None, last, ticket, first, by), time.time_ns()
    late = first is not None and window.since_ns < now_ns
    if first is None or late:
        window = make_window(zone, None, None, last, ticket, None, by)
    times = {"from": max(window.since_ns, now_ns), "until": window.until_ns}
    code = _order(folder, "open", ticket, by, now_ns, conduit=conduit, note=words, **_iso(times))
    if late:
        stands = "what was alerted before stands (otmon alerts accept, or close)"
        complain(f"--from is past, and no permit begins before it is opened: it begins now; {stands}", "warning")
    if not live:
        again = "write `during: {from: ..., until: ..., ticket: ...}` and analyse them again"
        complain(f"{folder} holds what captures showed, which no permit judges anew: {again}", "warning")
    if code == RAN:
        state = "will be" if window.since_ns > now_ns else "is"
        note(f"conduit {conduit} {state} open under ticket {ticket}: {window.text()}")
    return code


@permit.command(
    "close", epilog='\b\nExample:\n  otmon permit close CHG-1042 /var/lib/otmon --by "A. Mayer" --note "done early"\n'
)
@click.argument("ticket", metavar="TICKET")
@folder_argument
@by_option
@click.option("--note", "words", metavar="TEXT", help="Why.")
def close_permit(ticket: str, folder: Path, by: str, words: str | None) -> int:
    """Close what is open under a ticket, now."""
    code = _order(folder, "close", ticket, by, time.time_ns(), note=words)
    if code == RAN:
        note(f"closed by {by}: ticket {ticket}")
    return code


def _moment(option: str, text: str, parse: "Callable[[str], datetime]") -> "datetime":
    from pydantic_core import PydanticCustomError

    try:
        return parse(text)
    except PydanticCustomError as error:
        raise Stop(f"{option}: {error.message()}") from None


def _iso(times: dict[str, int]) -> dict[str, str]:
    from otmon.store.decisions import moment

    return {name: moment(ts_ns) for name, ts_ns in times.items()}


def _one_line(**texts: str | None) -> None:
    """Stop if one of them would be more than a line, or turn the text around it, where it is shown."""
    for name, text in texts.items():
        if text is not None and not text.isprintable():
            raise Stop(f"{name}: {text!a} has characters that cannot be shown; write it in one line")


def _order(folder: Path, order: str, ticket: str, by: str, now_ns: int, **more: str | None) -> int:
    from otmon.alerts.decisions import DecisionError
    from otmon.alerts.permits import parse, written
    from otmon.cli.owner import become_owner

    _one_line(ticket=ticket, by=by, note=more.get("note"))
    become_owner(folder)
    try:
        with open_results(folder) as results:
            raw = written(order, results.name, ticket, by, secrets.token_hex(16), **more)
            read = parse(raw)
            results.look_at_permit(read, now_ns)
        taken = give(folder, raw, read.digest, ORDERS, lambda store: store.permit(read, now_ns))
    except DecisionError as error:
        raise Stop(f"ticket {ticket}: {error}") from None
    return RAN if taken else CHECK_FAILED


@permit.command("list", epilog="\b\nExamples:\n  otmon permit list /var/lib/otmon\n  otmon permit list --json\n")
@folder_argument
@click.option("--json", "as_json", is_flag=True, help="Print JSON records.")
def list_permits(folder: Path, as_json: bool) -> None:
    """List permits: which are open, which ended, who opened them."""
    with open_results(folder) as results:
        found = [_record(one, time.time_ns()) for one in results.permits()]
    if as_json:
        emit_json(found)
    elif not found:
        emit("No permits.\n")
    else:
        emit_rich(lambda out: out.print(_table(found)))


def _record(one: "WorkPermit", now_ns: int) -> dict[str, Any]:
    state = "open" if one.open(now_ns) else "to come" if now_ns < one.since_ns else "ended"
    return {
        "ticket": one.ticket,
        "conduit": one.conduit,
        "by": one.by,
        "from_ns": one.since_ns,
        "until_ns": one.until_ns,
        "state": state,
        "closed_by": one.closed_by,
        "closed_note": one.closed_note or None,
        "note": one.note or None,
    }


def _table(found: list[dict[str, Any]]) -> Any:
    from otmon.outputs.tables import cell, moment, new_table

    columns = ("ticket", "conduit", "state", "from", "until", "opened by", "note")
    table = new_table("Permits", *columns, spare=("note", "from"))
    for one in found:
        state = one["state"] + (f" (closed by {one['closed_by']})" if one["closed_by"] else "")
        times = moment(one["from_ns"]), moment(one["until_ns"])
        table.add_row(
            *(cell(text or "") for text in (one["ticket"], one["conduit"], state, *times, one["by"], one["note"]))
        )
    return table


@permit.command(
    epilog="\b\nExamples:\n  otmon permit receipt CHG-1042 /var/lib/otmon\n"
    "  otmon permit receipt CHG-1042 /var/lib/otmon --json > CHG-1042.json\n"
)
@click.argument("ticket", metavar="TICKET")
@folder_argument
@_policy_option
@click.option("--json", "as_json", is_flag=True, help="Print the receipt as JSON.")
def receipt(ticket: str, folder: Path, policy_path: Path | None, as_json: bool) -> None:
    """Say what was done under a ticket.

    Who, on which controllers, from when to when; blocks and points changed, restarts, what was outside its scope, and
    what was permitted and not done. For a ticket of `otmon permit open`, or of `during: {ticket: ...}` in the policy.
    """
    from otmon.outputs.receipt import lines, receipt_of

    _one_line(ticket=ticket)
    with open_results(folder) as results:
        policy = _with_permits(policy_path or policy_of(folder, results), results)
        found = receipt_of(ticket, policy, results, time.time_ns())
    if not found["permits"]:
        raise Stop(
            f"{folder}: no permit under ticket {ticket}, and no row of the policy has it; "
            f"`otmon permit list {folder}` shows those that were opened"
        )
    if as_json:
        emit_json([found])
        return
    from otmon.text import safe_text

    emit("".join(f"{safe_text(line, 2000)}\n" for line in lines(found)))


def _with_permits(path: Path, results: "SiteDatabase") -> "Policy":
    from otmon.policy import PolicyError, load_policy

    try:
        policy = load_policy(path, results.permits())
    except PolicyError as error:
        raise Stop(str(error)) from None
    if policy.site != results.name:
        complain(f"{path} is of site {policy.site}, the folder of site {results.name}", "warning")
    return policy
