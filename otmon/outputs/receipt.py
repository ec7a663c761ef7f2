"""The receipt of a permit: what was done under a ticket, what was not, and what was done beside it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from otmon.model import Target
from otmon.outputs.tables import moment, target_text
from otmon.policy.judge import Policy, Rule
from otmon.policy.permits import ticket_of
from otmon.policy.rows import Row
from otmon.policy.windows import Window
from otmon.site.records import block_record
from otmon.store.database import SiteDatabase

RESTARTS: Final = ("stop", "start", "restart", "reset", "halt", "run_plc")
"""Parts of the names of functions that stop or start a controller."""


def receipt_of(ticket: str, policy: Policy, results: SiteDatabase, now_ns: int) -> dict[str, Any]:
    """docs/policy.md says what is in it; `permits` is empty if nothing is known of the ticket.

    Of a block or an alert it is said whether its time lies in that of the permit, by the frames' clock.
    """
    rules = [rule for rule in policy.conduits.rules if any(ticket_of(row.id) == ticket for row in rule.rows)]
    windows = dict.fromkeys(row.window for rule in rules for row in rule.rows if row.window is not None)
    done = [_done(entry, windows, results) for entry in results.done_under(ticket)]
    used = [entry for entry in done if entry["access"] != "connect"]
    return {
        "ticket": ticket,
        "site": results.name,
        "permits": [*_permits(ticket, rules, results, now_ns)],
        "who": sorted({entry["client"]["address"] for entry in done}),
        "controllers": sorted({entry["server"]["address"] for entry in used}),
        "first_ts_ns": min((entry["first_ts_ns"] for entry in done), default=None),
        "last_ts_ns": max((entry["last_ts_ns"] for entry in done), default=None),
        "done": done,
        "blocks": [*_blocks(rules, windows, policy, results)],
        "points": [_point(entry, results) for entry in results.written_under(ticket)],
        "restarts": [entry for entry in used if _restarts(entry)],
        "outside": [*_outside(rules, windows, policy, results)],
        "not_done": [*_not_done(rules, done)],
    }


def _permits(ticket: str, rules: Sequence[Rule], results: SiteDatabase, now_ns: int) -> Iterator[dict[str, Any]]:
    opened = [permit for permit in results.permits() if permit.ticket == ticket]
    for permit in opened:
        yield {
            "conduit": permit.conduit,
            "by": permit.by,
            "from_ns": permit.since_ns,
            "until_ns": permit.until_ns,
            "open": permit.open(now_ns),
            "closed_by": permit.closed_by,
            "note": permit.note or None,
        }
    known = {permit.conduit for permit in opened}
    for rule in rules:
        row = rule.rows[0]
        if row.window is not None and not any(_is_of(row, conduit) for conduit in known):
            yield {
                "conduit": row.title,
                "by": row.window.approver,
                "from_ns": _limit(row.window.since_ns),
                "until_ns": _limit(row.window.until_ns),
                "open": row.window.open(now_ns),
                "closed_by": None,
                "note": None,
            }


def _is_of(row: Row, conduit: str) -> bool:
    return row.title == conduit or row.id.split("@")[0].split("/")[0] == conduit


def _limit(ts_ns: int) -> int | None:
    """None: no limit."""
    return None if abs(ts_ns) >= (1 << 63) - 1 else ts_ns


def _done(entry: Mapping[str, Any], windows: Iterable[Window], results: SiteDatabase) -> dict[str, Any]:
    op = entry["operation"]
    names = ("attempted", "accepted", "rejected", "partial", "unanswered", "unseen", "pending")
    # The first time of what is known for long is from before the permit.
    begin = min((window.since_ns for window in windows), default=entry["first_ts_ns"])
    return {
        "client": _who(results, op, "client"),
        "server": _who(results, op, "server"),
        "protocol": op["protocol"],
        "function": op["function"],
        "access": op["access"],
        "target": op["target"],
        "row": entry["row"],
        **{name: entry[name] for name in names},
        "first_ts_ns": max(entry["first_ts_ns"], begin),
        "last_ts_ns": entry["last_ts_ns"],
    }


def _point(entry: Mapping[str, Any], results: SiteDatabase) -> dict[str, Any]:
    op = entry["operation"]
    values = {name: entry[name] for name in ("row", "before", "first_value", "last_value", "times")}
    times = {name: entry[name] for name in ("first_ts_ns", "last_ts_ns")}
    sides = {"client": _who(results, op, "client"), "server": _who(results, op, "server")}
    said = {name: op[name] for name in ("protocol", "function", "target")}
    return {**sides, **said, "unit": op.get("unit"), **values, **times}


def _who(results: SiteDatabase, op: Mapping[str, Any], side: str) -> dict[str, Any]:
    return {"address": op[side], "name": results.who(op["realm"], op[side])["name"]}


def _restarts(entry: Mapping[str, Any]) -> bool:
    return entry["access"] == "control" and any(word in entry["function"] for word in RESTARTS)


def _within(first_ns: int, last_ns: int, windows: Iterable[Window]) -> bool:
    """Some of that time lies between the limits of one of them."""
    return any(first_ns < window.until_ns and last_ns >= window.since_ns for window in windows)


def _sides(rules: Sequence[Rule], policy: Policy) -> tuple[Callable[[str, str], bool], Callable[[str, str], bool]]:
    """Whether an address is a client, and a server, of one of the rules."""
    numbers = {number for number, rule in enumerate(policy.conduits.rules) if rule in rules}

    def on(side: int) -> Callable[[str, str], bool]:
        def contains(realm: str, address: str) -> bool:
            place = policy.sites.place(realm, address)
            return bool(numbers & policy.conduits.sides(realm, place)[side])

        return contains

    return on(0), on(1)


def _blocks(
    rules: Sequence[Rule], windows: Iterable[Window], policy: Policy, results: SiteDatabase
) -> Iterator[dict[str, Any]]:
    is_client, is_server = _sides(rules, policy)
    for block in results.blocks:
        if not (is_client(block.realm, block.client) and is_server(block.realm, block.server)):
            continue
        if _within(block.first_ts_ns, block.last_ts_ns, windows):
            record = block_record(block)
            names = ("server", "client", "direction", "block", "state", "length", "before", "sha256", "first_ts_ns")
            changed = block.direction == "download" or block.before not in (None, block.sha256)
            yield {name: record[name] for name in (*names, "last_ts_ns")} | {"changed": changed}


def _outside(
    rules: Sequence[Rule], windows: Iterable[Window], policy: Policy, results: SiteDatabase
) -> Iterator[dict[str, Any]]:
    """Alerts of those who worked, while they did."""
    is_client, _ = _sides(rules, policy)
    for alert in results.alerts:
        who = alert["client"]["endpoint"]
        if not is_client(alert["realm"], who) or not _within(alert["first_ts_ns"], alert["last_ts_ns"], windows):
            continue
        yield {name: alert[name] for name in ("id", "severity", "kind", "title", "count", "first_ts_ns", "last_ts_ns")}


def _not_done(rules: Sequence[Rule], done: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Functions that a row names and nobody used; rows of which nothing was used."""
    used: dict[str, set[str]] = {}
    for entry in done:
        used.setdefault(entry["row"], set()).add(entry["function"])
    for rule in rules:
        for row in rule.rows:
            missing = sorted((row.functions or frozenset()) - used.get(row.id, set()))
            if missing or row.id not in used:
                who = {"from": rule.from_text, "to": rule.to_text, "protocol": row.protocol}
                yield {"row": row.id, **who, "functions": missing}


# --- for people ------------------------------------------------------------------------------------------------------


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The receipt as text."""
    yield f"Ticket {found['ticket']} at {found['site']}"
    for permit in found["permits"]:
        begin = "always" if permit["from_ns"] is None else moment(permit["from_ns"])
        end = "without end" if permit["until_ns"] is None else moment(permit["until_ns"])
        closed = f", closed by {permit['closed_by']}" if permit["closed_by"] else ""
        note = f": {permit['note']}" if permit["note"] else ""
        yield f"  {permit['conduit']}: {begin} to {end}, by {permit['by'] or 'nobody named'}{closed}{note}"
    if found["done"]:
        yield f"  done from {moment(found['first_ts_ns'])} to {moment(found['last_ts_ns'])}"
    for title, key, line in _SECTIONS:
        yield ""
        yield title
        yield from [f"  {line(entry)}" for entry in found[key]] or ["  nothing"]


def _deed(entry: Mapping[str, Any]) -> str:
    target = "" if entry["target"] is None else f" {target_text(Target(**entry['target']))}"
    times = f"{entry['attempted']:,} times" if entry["attempted"] != 1 else "once"
    outcome = "" if entry["accepted"] == entry["attempted"] else f", {entry['accepted']:,} accepted"
    when = f"{moment(entry['first_ts_ns'])} to {moment(entry['last_ts_ns'])}"
    what = f"{entry['protocol']} {entry['function']}{target}, {times}{outcome} ({when})"
    return f"{_name(entry['client'])} -> {_name(entry['server'])}: {what}"


def _change(entry: Mapping[str, Any]) -> str:
    old = "not seen" if entry["before"] is None else f"{entry['before']:.15g}"
    first = "" if entry["first_value"] == entry["last_value"] else f"first {entry['first_value']:.15g}, "
    what = target_text(Target(**entry["target"])) if entry["target"] else entry["function"]
    times = f"{entry['times']:,} times" if entry["times"] != 1 else "once"
    return (
        f"{_name(entry['client'])} -> {_name(entry['server'])}: {entry['protocol']} {what}: was {old}, "
        f"{first}is {entry['last_value']:.15g} ({times}, {moment(entry['last_ts_ns'])})"
    )


def _name(who: Mapping[str, Any]) -> str:
    return f"{who['name']} ({who['address']})" if who["name"] else str(who["address"])


def _block(entry: Mapping[str, Any]) -> str:
    old, new = (digest[:12] if digest else "not seen" for digest in (entry["before"], entry["sha256"]))
    what = f"{entry['direction']} by {entry['client']}, {entry['state']}, was {old}, is {new}"
    return f"{entry['server']} {entry['block']}: {what}"


def _alert(entry: Mapping[str, Any]) -> str:
    return f"{entry['severity']}: {entry['title']} (alert {entry['id'][:8]})"


def _missing(entry: Mapping[str, Any]) -> str:
    what = ", ".join(entry["functions"]) or "all of it"
    return f"{entry['row']} ({entry['from']} -> {entry['to']}): {entry['protocol']} {what}"


_SECTIONS: Final[tuple[tuple[str, str, Callable[[Mapping[str, Any]], str]], ...]] = (
    ("Done", "done", _deed),
    ("Blocks moved", "blocks", _block),
    ("Points written", "points", _change),
    ("Stopped or started", "restarts", _deed),
    ("Outside its scope", "outside", _alert),
    ("Permitted and not done", "not_done", _missing),
)
