"""Tables for people: assets, operations, alerts, conduits. Data becomes `Text` objects, never markup."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from otmon.model import BlockRecord, OperationRecord, Target
from otmon.outputs.fitted import Fitted
from otmon.policy.verdict import SEVERITIES
from otmon.site.assets import Asset
from otmon.site.graph import Graph
from otmon.site.timing import period
from otmon.text import safe_text

if TYPE_CHECKING:
    from otmon.policy.tags import Tag, TagMap

CELL_CHARS: Final = 400
ID_DIGITS: Final = 8
STYLES: Final = {"critical": "bold white on red", "high": "bold red", "medium": "yellow", "low": "cyan", "info": "dim"}
"""Severity -> style."""
WORST_FIRST: Final = tuple(reversed(SEVERITIES))


def cell(value: object, style: str = "") -> Text:
    """Anything as harmless text; None is empty."""
    return Text("" if value is None else safe_text(str(value), CELL_CHARS), style=style)


def number(value: int) -> Text:
    """With thousands separated."""
    return Text(f"{value:,}", justify="right")


def moment(ts_ns: int) -> str:
    """UTC, to the second."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(ts_ns // 1_000_000_000))
    except (OverflowError, ValueError, OSError):
        return f"{ts_ns} ns"


DAY_NS: Final = 86_400_000_000_000


def duration(ns: int) -> str:
    """1.5 s, 20 ms: three digits and the unit that fits; of many days all digits."""
    if ns >= 1000 * DAY_NS:
        return f"{ns / DAY_NS:,.0f} d"
    hours = (("d", DAY_NS), ("h", 3_600_000_000_000))
    for unit, size in (*hours, ("min", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000)):
        if ns >= 0.9995 * size:  # else three digits of it would be 1e+03
            return f"{ns / size:.3g} {unit}"
    return f"{ns / 1000:.3g} µs"


def new_table(
    title: str,
    *columns: str,
    right: Sequence[str] = (),
    spare: Sequence[str] = (),
    least: Mapping[str, int] = MappingProxyType({}),
) -> Fitted:
    """An empty table, see `Fitted`."""
    return Fitted(title, columns, right, spare, least)


def _more(table: Fitted, shown: int, total: int) -> None:
    if total > shown:
        table.caption = f"… and {total - shown:,} more (all of them with --json or --csv, and in the result folder)"


def assets_table(assets: Sequence[Asset], limit: int, title: str = "Assets") -> Fitted:
    """Address, name, zone, roles, what it is, since when."""
    columns = ("address", "name", "zone", "roles", "vendor and model", "speaks", "first seen")
    table = new_table(title, *columns, spare=("first seen", "speaks", "zone"))
    for asset in assets[:limit]:
        base = [e.address for e in asset.endpoints if e.protocol is None or asset.parent is not None]
        what = " ".join(filter(None, map(asset.best, ("vendor", "model", "firmware"))))
        speaks: dict[str, list[int]] = defaultdict(list)
        for endpoint in asset.endpoints:
            if endpoint.protocol is not None:
                speaks[endpoint.protocol] += () if endpoint.unit is None else (endpoint.unit,)
        units = "; ".join(f"{protocol} {_ranges(numbers)}".rstrip() for protocol, numbers in sorted(speaks.items()))
        table.add_row(
            cell("\n".join(dict.fromkeys(base)).replace("\n", ", ")),
            cell(asset.name),
            cell(asset.zone),
            cell(", ".join(asset.roles)),
            cell(what),
            cell(units),
            cell(moment(asset.first_ts_ns)),
        )
    _more(table, limit, len(assets))
    return table


def _ranges(numbers: Iterable[int]) -> str:
    """1, 2, 3, 7 as `1-3, 7`."""
    runs: list[list[int]] = []
    for value in sorted(set(numbers)):
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


def target_text(target: Target | None) -> str:
    """`holding_register 0-9`, `DB10 0-255`, `block DB10`."""
    if target is None:
        return ""
    interval = "" if target.start is None else str(target.start)
    if target.end is not None and target.end != target.start:
        interval += f"-{target.end}"
    return " ".join(filter(None, (target.space, target.name, interval)))


def operations_table(
    operations: Sequence[OperationRecord], limit: int, title: str = "Operations", tags: "TagMap | None" = None
) -> Fitted:
    """Busiest first. `tags`: names of points."""
    columns = (
        "client",
        "server",
        "protocol",
        "unit",
        "function",
        "target",
        "attempted",
        "accepted",
        "period",
        "verdict",
    )
    spare = ("accepted", "period", "unit", "protocol", "attempted")
    table = new_table(title, *columns, right=("attempted", "accepted", "period"), spare=spare)
    busiest = sorted(operations, key=lambda operation: -operation.counts.attempted)[:limit]
    for operation in busiest:
        key, counts = operation.key, operation.counts
        unit = "→".join(map(str, key.unit)) if isinstance(key.unit, tuple) else key.unit
        timing = period(operation.intervals, counts.attempted, operation.first_ts_ns, operation.last_ts_ns)
        port = "" if key.port is None else f":{key.port}"
        table.add_row(
            cell(key.client),
            cell(f"[{key.server}]{port}" if port and ":" in key.server else key.server + port),
            cell(key.protocol),
            cell(unit),
            cell(key.function),
            cell(target_text(key.target) + (_points(tags.touched(key)) if tags else "")),
            number(counts.attempted),
            number(counts.accepted),
            cell(duration(timing[0]) if timing else ""),
            cell(operation.verdict, "red" if operation.verdict == "deny" else ""),
        )
    _more(table, limit, len(operations))
    return table


def _points(found: "Sequence[Tag]") -> str:
    """` (Dosing 5, Dosing 6, 8 more)`."""
    names = [tag.label for tag in found[:2]] + ([f"{len(found) - 2} more"] if len(found) > 2 else [])
    return f" ({', '.join(names)})" if names else ""


def blocks_table(blocks: Sequence[BlockRecord], limit: int) -> Fitted:
    """Latest first."""
    columns = ("controller", "block", "moved", "by", "bytes", "sha256", "state", "times", "last")
    table = new_table(
        "Blocks of controller logic", *columns, right=("bytes", "times"), spare=("times", "last", "bytes")
    )
    for one in sorted(blocks, key=lambda block: -block.last_ts_ns)[:limit]:
        known = (one.sha256 or "")[:12]
        table.add_row(
            cell(one.server),
            cell(" ".join(filter(None, (one.block.name, one.block.file_system)))),
            cell(one.direction),
            cell(one.client),
            number(one.length),
            cell(known + (f" (was {one.before[:12]})" if one.before else ""), "yellow" if one.before else ""),
            cell(one.state, "" if one.state == "complete" else "yellow"),
            number(one.transfers),
            cell(moment(one.last_ts_ns)),
        )
    _more(table, limit, len(blocks))
    return table


def conduits_table(graph: Graph, limit: int) -> Fitted:
    """Who speaks what with whom, busiest first: edges of one pair and protocol added up."""
    columns = ("from", "to", "protocol", "functions", "attempted", "denied")
    table = new_table("Busiest conduits", *columns, right=["attempted"], spare=("attempted", "functions"))
    labels = {node.id: (f"{node.label} ({node.zone})" if node.zone else node.label) for node in graph.nodes}
    found: dict[tuple[str, str, str], list[tuple[int, str, bool]]] = defaultdict(list)
    for edge in graph.edges:
        denied = edge.verdict == "deny"
        found[edge.source, edge.target, edge.protocol].append((edge.counts.attempted, edge.function, denied))
    totals = sorted(found.items(), key=lambda item: (-sum(entry[0] for entry in item[1]), item[0]))
    for (source, target, protocol), entries in totals[:limit]:
        functions = [function for _, function, _ in sorted(entries, key=lambda entry: (-entry[0], entry[1]))]
        refused = sorted(function for _, function, denied in entries if denied)
        table.add_row(
            cell(labels[source]),
            cell(labels[target]),
            cell(protocol),
            cell(", ".join(functions[:4]) + (", …" if len(functions) > 4 else "")),
            number(sum(entry[0] for entry in entries)),
            cell(", ".join(refused), "red"),
        )
    _more(table, limit, len(totals))
    return table


def alerts_table(
    alerts: Sequence[Mapping[str, Any]], limit: int, title: str = "Alerts", *, ids: bool = False
) -> Fitted:
    """Worst first, one sentence each; `ids`: with as much of their ids as commands need."""
    decided = any("decision" in alert for alert in alerts)
    columns = (
        *(["id"] if ids else []),
        "severity",
        "what happened",
        "times",
        "first",
        *(["decision"] if decided else []),
    )
    table = new_table(title, *columns, right=["times"], spare=["first", "times"])
    worst = sorted(alerts, key=lambda alert: WORST_FIRST.index(alert["severity"]))
    for alert in worst[:limit]:
        severity = alert["severity"]
        table.add_row(
            *([cell(alert["id"][:ID_DIGITS])] if ids else []),
            cell(severity, STYLES[severity]),
            cell(alert["title"]),
            Text("at least ") + number(alert["count"]) if alert.get("count_at_least") else number(alert["count"]),
            cell(moment(alert["first_ts_ns"])),
            *([cell(_decided(alert))] if decided else []),
        )
    _more(table, limit, len(alerts))
    return table


def _decided(alert: Mapping[str, Any]) -> str:
    """`accepted until 2027-01-01 by A. Mayer`."""
    found = alert.get("decision")
    if found is None:
        return ""
    until = "" if found["until_ns"] is None else f" until {moment(found['until_ns'])[:10]}"
    return f"{found['state']}{until} by {found['by']}"
