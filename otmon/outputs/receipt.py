"""The receipt of a permit: what was done under a ticket, what was not, and what was done beside it."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from otmon.alerts.sentence import plural
from otmon.model import OperationKey, Target
from otmon.outputs.tables import moment, target_text
from otmon.policy.judge import Policy, Rule
from otmon.policy.models import PLAIN_PROTOCOLS
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
    written = list(results.written_under(ticket))
    # Of what sets something each message is looked at; of the rest is known what grew from one checkpoint to the next.
    exact = {(point["row"], _name_of(point["operation"])): point["first_ts_ns"] for point in written}
    done = [_done(entry, windows, exact, results) for entry in results.done_under(ticket)]
    points = [_point(entry, policy, results) for entry in written]
    used = [entry for entry in done if entry["access"] != "connect"]
    # What another row permits with other values is told of that row, but for the values that this ticket permits.
    deeds = [*done, *points]
    return {
        "ticket": ticket,
        "site": results.name,
        "permits": [*_permits(ticket, rules, results, now_ns)],
        "who": sorted({entry["client"]["address"] for entry in deeds}),
        "controllers": sorted({entry["server"]["address"] for entry in (*used, *points)}),
        "first_ts_ns": min((entry["first_ts_ns"] for entry in deeds), default=None),
        "last_ts_ns": max((entry["last_ts_ns"] for entry in deeds), default=None),
        "done": done,
        "blocks": sorted(_blocks(rules, windows, policy, results), key=lambda block: block["first_ts_ns"]),
        "points": points,
        "restarts": [entry for entry in used if _restarts(entry)],
        "outside": [*_outside(rules, windows, policy, results)],
        "not_done": [*_not_done(rules, deeds)],
        "not_counted": [*_not_counted(rules)],
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
            "closed_note": permit.closed_note or None,
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
                "closed_note": None,
                "note": None,
            }


def _is_of(row: Row, conduit: str) -> bool:
    return row.title == conduit or row.id.split("@")[0].split("/")[0] == conduit


def _limit(ts_ns: int) -> int | None:
    """None: no limit."""
    return None if abs(ts_ns) >= (1 << 63) - 1 else ts_ns


def _done(
    entry: Mapping[str, Any], windows: Iterable[Window], exact: Mapping[tuple[str, str], int], results: SiteDatabase
) -> dict[str, Any]:
    op = entry["operation"]
    names = ("attempted", "accepted", "rejected", "partial", "unanswered", "unseen", "pending")
    # The first time of what is known for long is from before the permit.
    begin = min((window.since_ns for window in windows), default=entry["first_ts_ns"])
    first_ts_ns = exact.get((entry["row"], _name_of(op)), max(entry["first_ts_ns"], begin))
    return {
        "client": _who(results, op, "client"),
        "server": _who(results, op, "server"),
        **_what(op),
        "access": op["access"],
        "row": entry["row"],
        **{name: entry[name] for name in names},
        "first_ts_ns": first_ts_ns,
        "last_ts_ns": entry["last_ts_ns"],
    }


def _point(entry: Mapping[str, Any], policy: Policy, results: SiteDatabase) -> dict[str, Any]:
    op = entry["operation"]
    values = {name: entry[name] for name in ("row", "before", "first_value", "last_value", "times")}
    times = {name: entry[name] for name in ("first_ts_ns", "last_ts_ns")}
    sides = {"client": _who(results, op, "client"), "server": _who(results, op, "server")}
    return {**sides, **_what(op), "points": [tag.label for tag in policy.tags.touched(_key(op))], **values, **times}


def _what(op: Mapping[str, Any]) -> dict[str, Any]:
    said = ("protocol", "unit", "link_source", "link_destination", "function", "target")
    return {name: op.get(name) for name in said}


def _name_of(op: Mapping[str, Any]) -> str:
    """The same for the same operation."""
    return json.dumps(op, sort_keys=True)


def _key(op: Mapping[str, Any]) -> OperationKey:
    sides = {name: op[name] for name in ("realm", "client", "server", "transport", "port", "initiated_by")}
    what = {name: op[name] for name in ("protocol", "function_code", "function", "access")}
    unit = (op["link_source"], op["link_destination"]) if "link_source" in op else op["unit"]
    return OperationKey(**sides, **what, unit=unit, target=None if op["target"] is None else Target(**op["target"]))


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
            names = ("server", "client", "direction", "block", "state", "length", "before", "sha256")
            changed = block.direction == "download" or block.before not in (None, block.sha256)
            sides = {side: results.who(block.realm, record[side])["name"] for side in ("client", "server")}
            said = {name: record[name] for name in names} | {"changed": changed, "names": sides}
            # The same bytes may have been moved before, and again afterwards.
            both = [block.first_ts_ns, block.last_ts_ns]
            inside = [ts_ns for ts_ns in both if _within(ts_ns, ts_ns, windows)] or both
            yield said | {"first_ts_ns": inside[0], "last_ts_ns": inside[-1]}


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


def _rows(rules: Sequence[Rule]) -> Iterable[tuple[Row, Rule]]:
    """Each once: a ticket under which a conduit was opened twice has its rows twice."""
    return {row.id: (row, one) for one in rules for row in one.rows}.values()


def _not_done(rules: Sequence[Rule], done: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Functions that a row names and nobody used; rows of which nothing was used. Not of plain connections."""
    used: dict[str, set[str]] = {}
    for entry in done:
        used.setdefault(entry["row"], set()).add(entry["function"])
    for row, rule in _rows(rules):
        if row.protocol in PLAIN_PROTOCOLS:
            continue
        missing = sorted((row.functions or frozenset()) - used.get(row.id, set()))
        if missing or row.id not in used:
            who = {"from": rule.from_text, "to": rule.to_text, "protocol": row.protocol}
            yield {"row": row.id, **who, "functions": missing}


def _not_counted(rules: Sequence[Rule]) -> Iterator[dict[str, Any]]:
    """Rows of plain connections: which row permitted one is not remembered."""
    for row, rule in _rows(rules):
        if row.protocol in PLAIN_PROTOCOLS:
            yield {"row": row.id, "from": rule.from_text, "to": rule.to_text, "protocol": row.protocol}


# --- for people ------------------------------------------------------------------------------------------------------


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The receipt as text."""
    yield f"Ticket {found['ticket']} at {found['site']}"
    for permit in found["permits"]:
        begin = "always" if permit["from_ns"] is None else moment(permit["from_ns"])
        end = "without end" if permit["until_ns"] is None else moment(permit["until_ns"])
        opened = f", by {permit['by'] or 'nobody named'}{_noted(permit['note'])}"
        closed = f", closed by {permit['closed_by']}{_noted(permit['closed_note'])}" if permit["closed_by"] else ""
        yield f"  {permit['conduit']}: {begin} to {end}{opened}{closed}"
    deeds = [*found["done"], *found["points"]]
    if deeds:
        yield f"  done {_spell(found)}"
        yield f"  who: {_all(deeds, 'client')}"
        yield f"  on: {_all([entry for entry in deeds if entry.get('access') != 'connect'], 'server')}"
    for title, key, line in _SECTIONS:
        yield ""
        yield title
        yield from [f"  {line(entry)}" for entry in found[key]] or ["  nothing"]
    if found["not_counted"]:
        yield ""
        yield "Permitted, and not counted: plain connections"
        yield from [f"  {_of_row(entry)}" for entry in found["not_counted"]]


def _noted(words: str | None) -> str:
    return f" ({words})" if words else ""


def _spell(entry: Mapping[str, Any]) -> str:
    """`2026-11-22 01:59:13Z to 2026-11-22 02:10:00Z`; once where the two are one."""
    return " to ".join(dict.fromkeys((moment(entry["first_ts_ns"]), moment(entry["last_ts_ns"]))))


def _times(number: int) -> str:
    return "once" if number == 1 else plural(number, "time")


def _all(done: Iterable[Mapping[str, Any]], side: str) -> str:
    found = {entry[side]["address"]: _name(entry[side]) for entry in done}
    return ", ".join(found[address] for address in sorted(found)) or "nobody"


def _place(entry: Mapping[str, Any]) -> str:
    """`modbus unit 1`, `dnp3 outstation 10`."""
    unit, outstation = entry["unit"], entry["link_destination"]
    at = "" if unit is None else f" unit {unit}"
    return f"{entry['protocol']}{at}" + ("" if outstation is None else f" outstation {outstation}")


def _deed(entry: Mapping[str, Any]) -> str:
    target = "" if entry["target"] is None else f" {target_text(Target(**entry['target']))}"
    outcome = "".join(f", {entry[name]:,} {words}" for name, words in _OUTCOMES.items() if entry[name])
    what = f"{_place(entry)} {entry['function']}{target}, {_times(entry['attempted'])}{outcome} ({_spell(entry)})"
    return f"{_name(entry['client'])} -> {_name(entry['server'])}: {what}"


def _change(entry: Mapping[str, Any]) -> str:
    old = "not seen" if entry["before"] is None else f"{entry['before']:.15g}"
    first = "" if entry["first_value"] == entry["last_value"] else f"first {entry['first_value']:.15g}, "
    what = target_text(Target(**entry["target"])) if entry["target"] else entry["function"]
    called = f" ({', '.join(entry['points'])})" if entry["points"] else ""
    return (
        f"{_name(entry['client'])} -> {_name(entry['server'])}: {_place(entry)} {what}{called}: was {old}, "
        f"{first}is {entry['last_value']:.15g} ({_times(entry['times'])}, {_spell(entry)})"
    )


def _name(who: Mapping[str, Any]) -> str:
    return f"{who['name']} ({who['address']})" if who["name"] else str(who["address"])


def _block(entry: Mapping[str, Any]) -> str:
    old, new = (digest[:12] if digest else "not seen" for digest in (entry["before"], entry["sha256"]))
    client, server = ({"address": entry[side], "name": entry["names"][side]} for side in ("client", "server"))
    what = f"{entry['direction']} by {_name(client)}, {entry['state']}, was {old}, is {new} ({_spell(entry)})"
    return f"{_name(server)} {entry['block']}: {what}"


def _alert(entry: Mapping[str, Any]) -> str:
    return f"{entry['severity']}: {entry['title']} (alert {entry['id'][:8]}, {_spell(entry)})"


def _missing(entry: Mapping[str, Any]) -> str:
    what = ", ".join(entry["functions"]) or "all of it"
    return f"{_of_row(entry)} {what}"


def _of_row(entry: Mapping[str, Any]) -> str:
    return f"{entry['row']} ({entry['from']} -> {entry['to']}): {entry['protocol']}"


_OUTCOMES: Final = {
    "rejected": "rejected",
    "partial": "accepted in part",
    "unanswered": "not answered",
    "unseen": "whose answer was not captured",
    "pending": "not answered yet",
}
_SECTIONS: Final[tuple[tuple[str, str, Callable[[Mapping[str, Any]], str]], ...]] = (
    ("Done", "done", _deed),
    ("Blocks moved", "blocks", _block),
    ("Points written", "points", _change),
    ("Stopped or started", "restarts", _deed),
    ("Outside its scope", "outside", _alert),
    ("Permitted and not done", "not_done", _missing),
)
