"""The comparison for people and as a record."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from otmon.opinion.compare import MESSAGE, Comparison, Count, Difference
from otmon.opinion.table import NOT_COMPARED, TABLE
from otmon.outputs.tables import cell, new_table, number

NAMES: Final = {"modbus": "Modbus", "dnp3": "DNP3", "s7comm": "S7 and COTP"}
FIRST: Final = 20
"""Differences that are printed; --json has more."""
VALUE_CHARS: Final = 60
_PATHS: Final = {
    protocol: {MESSAGE: "the whole message"} | {row.theirs: row.path for row in rows}
    for protocol, rows in TABLE.items()
}


def record(found: Comparison, version: str) -> dict[str, Any]:
    """All of it, for --json."""
    return {
        "tshark": version,
        "agree": _sum(found, "agree"),
        "differ": _sum(found, "differ"),
        "only_otmon": _sum(found, "only_otmon"),
        "only_tshark": _sum(found, "only_tshark"),
        "fields": [
            {
                "protocol": protocol,
                "tshark": field,
                "otmon": _PATHS[protocol][field],
                "agree": count.agree,
                "differ": count.differ,
                "only_otmon": count.only_otmon,
                "only_tshark": count.only_tshark,
                "first": [one._asdict() for one in count.first],
            }
            for protocol, field, count in _seen(found)
        ],
        "not_compared": [
            {"tshark": field, "values": n, "reason": NOT_COMPARED.get(field)}
            for field, n in sorted(found.not_compared.items())
        ],
        "s7comm_plus_messages": found.plus,
    }


def show(out: Console, found: Comparison, version: str) -> None:
    """Print it."""
    out.print(Text(f"otmon beside {version}", style="bold"))
    for protocol in TABLE:
        rows = [(field, count) for name, field, count in _seen(found) if name == protocol]
        if not rows:
            continue
        columns = ("tshark's field", "agree", "differ", "only\notmon", "only\ntshark", "in otmon's record")
        table = new_table(NAMES[protocol], *columns, right=columns[1:5], spare=columns[5:])
        for shown, field, count in _runs(rows):
            style = "yellow" if count.unlike else ""
            figures = (count.agree, count.differ, count.only_otmon, count.only_tshark)
            table.add_row(cell(shown, style), *map(number, figures), cell(_PATHS[protocol][field]))
        out.print(table)
    _differences(out, found)
    for line in _words(found):
        out.print(cell(line))


def _runs(rows: list[tuple[str, Count]]) -> Iterator[tuple[str, str, Count]]:
    """What is shown, field and count of each row; bits of an octet that all agree are one row."""
    for (stem, agree, unlike), group in groupby(rows, lambda row: (_stem(row[0]), row[1].agree, row[1].unlike)):
        run = list(group)
        if stem and agree and not unlike and len(run) > 2:
            (first, count), (last, _) = run[0], run[-1]
            yield f"{first} … {last.removeprefix(stem)}", first, count
        else:
            yield from ((field, field, count) for field, count in run)


def _stem(field: str) -> str:
    """`dnp3.al.iin.` of `dnp3.al.iin.rst`; nothing of what has no more than three names."""
    stem, _, _ = field.rpartition(".")
    return f"{stem}." if stem.count(".") > 1 else ""


def _differences(out: Console, found: Comparison) -> None:
    first = sorted(
        (one for _, _, count in _seen(found) for one in count.first[:1]), key=lambda one: (one.capture, one.frame)
    )
    if not first:
        return
    title = "The first difference of each field" + (f", {FIRST} of {len(first)}" if len(first) > FIRST else "")
    table = new_table(
        title, "frame", "tshark's field", "otmon", "tshark", "capture", right=("frame",), spare=("capture",)
    )
    for one in first[:FIRST]:
        table.add_row(
            number(one.frame), cell(_field(one)), _value(one, one.otmon), _value(one, one.tshark), cell(one.capture)
        )
    out.print(table)


def _field(one: Difference) -> str:
    return f"{one.protocol} {one.field}" if one.field == MESSAGE else one.field


def _value(one: Difference, value: Any) -> Text:
    if value is None:
        return Text("nothing", style="dim")
    text = str(value)
    return cell(text if len(text) <= VALUE_CHARS else f"{text[:VALUE_CHARS]}…")


def _words(found: Comparison) -> Iterator[str]:
    if not any(count.agree or count.unlike for _, _, count in _seen(found)):
        yield "Neither sees Modbus, DNP3 or S7 here."
        return
    listed = sum(n for field, n in found.not_compared.items() if field in NOT_COMPARED)
    agree, differ, otmon, tshark = (
        f"{_sum(found, what):,}" for what in ("agree", "differ", "only_otmon", "only_tshark")
    )
    yield f"{agree} values agree, {differ} differ, {otmon} has only otmon, {tshark} has only tshark."
    yield "Of a message that only one of them has, or that otmon calls malformed, no fields are counted."
    if listed:
        yield f"{listed:,} more values of tshark are not compared, each field for a reason: docs/second-opinion.md."
    for field, n in found.unknown.items():
        yield f"Not known to the table of fields: {field}, {n:,} values."
    if found.plus:
        yield f"{found.plus:,} messages are S7comm-plus: tshark has no dissector for it, only their COTP is compared."


def _seen(found: Comparison) -> Iterator[tuple[str, str, Count]]:
    """(protocol, field, count) of those of which there was a value."""
    for protocol, counts in found.counts.items():
        for field, count in counts.items():
            if count.agree or count.unlike:
                yield protocol, field, count


def _sum(found: Comparison, what: str) -> int:
    """Over all fields; whole messages are among them."""
    return sum(getattr(count, what) for _, _, count in _seen(found))
