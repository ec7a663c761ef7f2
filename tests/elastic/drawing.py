"""What a panel found, as HTML in the grid that Kibana uses: enough to judge layout and words. None of it is Kibana's.

All text goes through `e`, so whatever a device calls itself stays text.
"""

import html
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import singledispatch
from typing import Any

from otmon.outputs.elastic.fields import FIELDS
from otmon.outputs.kibana.matrix import NO_ZONE, SHADES
from otmon.outputs.kibana.objects import COLORS, widths
from otmon.outputs.kibana.panels import (
    Bars,
    Dashboard,
    Documents,
    Matrix,
    Metric,
    Number,
    Panel,
    Placed,
    Table,
    Terms,
    Text,
    Time,
    placed,
)
from otmon.outputs.kibana.requests import MISSING

Answer = dict[str, Any]
ROWS = 10
TIME_BAR = "10m"
TIME_BAR_MS = 600_000
PALETTE = ("#54b399", "#6092c0", "#d36086", "#9170b8", "#ca8eae", "#d6bf57", "#b9a888", "#da8b45", "#aa6556", "#e7664c")
STYLE = """
body { font: 13px/1.35 "DejaVu Sans", sans-serif; margin: 12px; background: #f7f8fc; color: #343741; width: 1560px }
h1 { font-size: 19px; margin: 2px 0 2px }
p.about { margin: 0 0 8px; color: #69707d }
.controls span { background: #fff; border: 1px solid #d3dae6; border-radius: 5px; padding: 3px 10px; margin-right: 6px }
.grid { display: grid; grid-template-columns: repeat(48, minmax(0, 1fr)); grid-auto-rows: 20px; gap: 8px }
.grid { margin-top: 8px }
.panel { background: #fff; border: 1px solid #e3e8f2; border-radius: 6px; overflow: hidden; padding: 6px 10px }
.panel h2 { font-size: 13px; margin: 0 0 5px }
table { border-collapse: collapse; width: 100%; font-size: 11.5px }
th { text-align: left; border-bottom: 1px solid #d3dae6 }
th, td { padding: 2px 5px; vertical-align: top; overflow-wrap: anywhere }
th.n, td.n { text-align: right }
.big { font-size: 34px; text-align: center; margin-top: 8px }
.big small { display: block; font-size: 12px }
.bar { display: flex; align-items: center; margin: 2px 0; font-size: 11.5px }
.bar b { font-weight: 400; width: 32%; text-align: right; padding-right: 6px; overflow: hidden; white-space: nowrap }
.bar i { height: 13px; display: block }
.bar u { padding-left: 4px; text-decoration: none }
.times { position: relative; height: 62%; border-bottom: 1px solid #98a2b3 }
.times div { position: absolute; bottom: 0; height: 100%; display: flex; flex-direction: column-reverse }
.axis { display: flex; justify-content: space-between; font-size: 11px }
.legend span { margin-right: 10px; font-size: 11.5px }
.legend i { display: inline-block; width: 9px; height: 9px; margin-right: 3px }
td.cell { text-align: center; color: #111; padding: 12px 6px; font-size: 13px; border: 2px solid #fff }
.none { color: #98a2b3 }
.text { font-size: 12.5px }
a { color: #006bb8; text-decoration: none }
"""


def e(value: Any) -> str:
    return html.escape(str(value))


def page(dashboard: Dashboard, answers: dict[str, Answer], chosen: dict[str, str]) -> str:
    """`chosen`: field -> value, of the lists above the page."""
    values = [(one.title, chosen.get(one.field, "Any")) for one in dashboard.controls]
    controls = "".join(f"<span>{e(title)}: {e(value)}</span>" for title, value in values)
    panels = "\n".join(_panel(place, answers.get(place.id)) for place in placed(dashboard))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{e(dashboard.title)}</title>\n'
        f"<style>{STYLE}</style><h1>otmon: {e(dashboard.title)}</h1>\n"
        f'<p class="about">{e(dashboard.about)}. From {e(dashboard.since)} to now.</p>\n'
        f'<div class="controls">{controls}</div><div class="grid">\n{panels}\n</div></html>\n'
    )


def _panel(place: Placed, answer: Answer | None) -> str:
    panel = place.panel
    where = f"grid-column: {place.x + 1} / span {panel.width}; grid-row: {place.y + 1} / span {place.height}"
    title = "" if isinstance(panel, Text) else f"<h2>{e(panel.title)}</h2>"
    return f'<div class="panel" style="{where}">{title}{draw(panel, answer or {})}</div>'


@singledispatch
def draw(panel: Panel, answer: Answer) -> str:
    raise TypeError(panel)


@draw.register
def _(panel: Text, answer: Answer) -> str:
    text = e(panel.text)
    text = re.sub(
        r"\[([^]]+)\]\(([^)]+)\)", lambda m: f'<a href="{m[2].rpartition("otmon-")[2]}.html">{m[1]}</a>', text
    )
    text = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text, flags=re.DOTALL)
    text = re.sub(r"\*(.+?)\*", r"<em>\1</em>", text, flags=re.DOTALL)
    return '<div class="text">' + "".join(f"<p>{part}</p>" for part in text.strip().split("\n\n")) + "</div>"


@draw.register
def _(panel: Number, answer: Answer) -> str:
    figure = _number(panel.figure, answer["aggregations"]["1"])
    return f'<div class="big">{figure}<small>{e(panel.figure.label)}</small></div>'


def flat(
    panel: Table | Bars, answer: Answer, by: tuple[Terms | Time, ...], figures: tuple[Metric, ...]
) -> list[list[Any]]:
    """Rows of what an aggregation found: a cell for each bucket around, then figures as they came."""

    def within(found: Answer, depth: int, cells: list[Any]) -> Iterator[list[Any]]:
        if depth == len(by):
            yield cells + [found[str(number)] for number in range(1, len(figures) + 1)]
            return
        for bucket in found[str(len(figures) + 1 + depth)]["buckets"]:
            yield from within(bucket, depth + 1, [*cells, bucket["key"]])

    return list(within(answer["aggregations"], 0, []))


@draw.register
def _(panel: Table, answer: Answer) -> str:
    rows = flat(panel, answer, panel.rows, panel.columns)
    columns = (*panel.rows, *panel.columns)
    wide = widths(panel) or [0] * len(columns)
    style = [f' style="width:{width}px"' if width else "" for width in wide]
    sides = [" class=n" if isinstance(one, Metric) and _is_number(one) else "" for one in columns]
    named = zip(columns, sides, style, strict=True)
    head = "".join(f"<th{side}{width}>{e(one.label)}</th>" for one, side, width in named)
    lines = []
    for row in rows[:ROWS]:
        cells = [f"<td>{e(_key(by, key))}</td>" for by, key in zip(panel.rows, row, strict=False)]
        for metric, value in zip(panel.columns, row[len(panel.rows) :], strict=True):
            text = _number(metric, value)
            cells.append(f"<td{' class=n' if _is_number(metric) else ''}>{text}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    more = f'<p class="none">{len(rows) - ROWS} more on further pages</p>' if len(rows) > ROWS else ""
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>{more}" if rows else _nothing()


@draw.register
def _(panel: Documents, answer: Answer) -> str:
    hits = answer["hits"]["hits"]
    head = "".join(f"<th>{e(name)}</th>" for name in panel.columns)
    lines = [
        "<tr>" + "".join(f"<td>{_values(name, hit['fields'].get(name, []))}</td>" for name in panel.columns) + "</tr>"
        for hit in hits[:ROWS]
    ]
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>" if hits else _nothing()


@draw.register
def _(panel: Bars, answer: Answer) -> str:
    by = (panel.by,) if panel.split is None else (panel.by, panel.split)
    rows = flat(panel, answer, by, (panel.figure,))
    if not rows:
        return _nothing()
    series = list(dict.fromkeys(row[1] if panel.split else "" for row in rows))
    colors = enumerate(series)
    shade = {key: COLORS.get(str(_key(panel.split, key)), PALETTE[number % len(PALETTE)]) for number, key in colors}
    stacks: dict[Any, list[tuple[Any, float]]] = {}
    for row in rows:
        stacks.setdefault(row[0], []).append((row[1] if panel.split else "", row[-1]["value"] or 0))
    highest = max(sum(value for _, value in stack) for stack in stacks.values()) or 1
    legend = [f'<span><i style="background:{shade[key]}"></i>{e(_key(panel.split, key))}</span>' for key in series]
    told = f'<div class="legend">{"".join(legend) if panel.split else ""}</div>'
    if isinstance(panel.by, Time):
        begin, end = min(stacks), max(stacks)
        step = 100 / ((end - begin) / TIME_BAR_MS + 1)
        bars = "".join(
            f'<div style="left:{(at - begin) / TIME_BAR_MS * step:.2f}%;width:{min(max(step * 0.9, 0.3), 4):.2f}%">'
            + "".join(
                f'<i style="background:{shade[key]};height:{100 * value / highest:.1f}%"></i>' for key, value in stack
            )
            + "</div>"
            for at, stack in stacks.items()
        )
        axis = f'<div class="axis"><span>{_time(begin)}</span><span>{_time(end)}</span></div>'
        return f'{told}<div class="times">{bars}</div>{axis}'
    bars = "".join(
        f'<div class="bar"><b>{e(_key(panel.by, name))}</b>'
        + "".join(f'<i style="background:{shade[key]};width:{55 * value / highest:.1f}%"></i>' for key, value in stack)
        + f"<u>{sum(value for _, value in stack):,.0f}</u></div>"
        for name, stack in stacks.items()
    )
    return told + bars


@draw.register
def _(panel: Matrix, answer: Answer) -> str:
    counts: dict[tuple[str, str], dict[str | None, int]] = {}
    for bucket in answer["aggregations"]["pairs"]["buckets"]:
        key = bucket["key"]
        pair = counts.setdefault((key["client"] or NO_ZONE, key["server"] or NO_ZONE), {})
        pair[key["verdict"]] = bucket["operations"]["value"]
    shades = list(SHADES.values())
    zones = [sorted({pair[side] for pair in counts}) for side in (0, 1)]
    head = "<th></th>" + "".join(f"<th>to {e(zone)}</th>" for zone in zones[1])
    lines = []
    for client in zones[0]:
        cells = []
        for server in zones[1]:
            found = counts.get((client, server), {})
            denied, permitted = found.get("deny", 0), found.get("permit", 0)
            words = (
                f"{permitted} permitted" + (f", {denied} denied" if denied else "")
                if permitted + denied
                else f"{found.get(None, 0)}"
            )
            shade = shades[0] if denied else shades[1] if permitted else shades[2]
            cells.append(f'<td class="cell" style="background:{shade}">{words}</td>' if found else "<td></td>")
        lines.append(f"<tr><th>from {e(client)}</th>{''.join(cells)}</tr>")
    legend = "".join(f'<span><i style="background:{shade}"></i>{name}</span>' for name, shade in SHADES.items())
    return f'<div class="legend">{legend}</div><table><tr>{head}</tr>{"".join(lines)}</table>' if counts else _nothing()


def _nothing() -> str:
    return '<p class="none">No results found</p>'


def _key(by: Terms | Time | None, key: Any) -> Any:
    return by.none if isinstance(by, Terms) and key == MISSING else key


def _is_number(metric: Metric) -> bool:
    return metric.kind != "top_hits" and FIELDS[metric.field].type != "date"


def _number(metric: Metric, found: Answer) -> str:
    if metric.kind == "top_hits":
        hits = found["hits"]["hits"]
        return _values(metric.field, hits[0].get("fields", {}).get(metric.field, []) if hits else [])
    if FIELDS[metric.field].type == "date":
        return _time(found["value"]) if found["value"] is not None else "-"
    return _one(metric.field, found["value"])


def _values(name: str, values: list[Any]) -> str:
    return ", ".join(_one(name, value) for value in values) or "-"


def _one(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if FIELDS[name].type == "date":
        return e(str(value)[:19].replace("T", " "))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return _duration(value) if name.endswith("_ns") else f"{value:,.10g}"
    return e(value)


def _duration(ns: float) -> str:
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if abs(ns) >= size:
            return f"{ns / size:.4g} {unit}"
    return f"{ns:.0f} ns"


def _time(milliseconds: float) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S}"
