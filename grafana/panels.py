"""Panels, variables and dashboards as Grafana's JSON; Elasticsearch and Prometheus panels alike."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from grafana.queries import ALL, By, Json, Metric, column, documents, grouped, over_time, prometheus, source

SEVERITIES: Final = {"critical": "dark-red", "high": "orange", "medium": "yellow", "low": "blue", "info": "text"}
"""Worst first, with its colour."""
SCHEMA_VERSION: Final = 39
"""Of dashboards: Grafana 11 and later read it."""
ANY: Final = "*:*"
"""What `All` stands for: Lucene reads field:(*:*) as every document, also those without the field."""
TRIAGE: Final = "/d/otmon-triage?var-alert=${__value.raw}&${__url_time_range}"
LINKED: Final = {"otmon.alert.id": ("Open this alert", TRIAGE)}
"""By field: where a click leads."""
WIDTH: Final = 24


class Panel(NamedTuple):
    """A panel without its place."""

    w: int
    h: int
    json: Json


def _panel(kind: str, title: str, about: str, w: int, h: int, targets: Sequence[Json], **more: Any) -> Panel:
    whole: Json = {"type": kind, "title": title, "description": about}
    if targets:
        whole |= {"datasource": targets[0]["datasource"], "targets": list(targets)}
    return Panel(w, h, whole | {"fieldConfig": {"defaults": {}, "overrides": []}} | more)


def _override(name: str, **properties: Any) -> Json:
    listed = [{"id": key.replace("__", "."), "value": value} for key, value in properties.items()]
    return {"matcher": {"id": "byName", "options": name}, "properties": listed}


def _colours() -> list[Json]:
    """Severities have the same colour everywhere."""
    return [_override(name, color={"mode": "fixed", "fixedColor": colour}) for name, colour in SEVERITIES.items()]


def _severity_cells(header: str) -> Json:
    options = {name: {"color": colour, "index": n} for n, (name, colour) in enumerate(SEVERITIES.items())}
    return _override(
        header, mappings=[{"type": "value", "options": options}], custom__cellOptions={"type": "color-text"}
    )


def _thresholds(*steps: tuple[float | None, str]) -> Json:
    return {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in steps]}


GOOD_AT_ZERO: Final = _thresholds((None, "green"), (1, "orange"))
NEUTRAL: Final = _thresholds((None, "blue"))


def words(title: str, text: str, w: int = WIDTH, h: int = 3) -> Panel:
    """Text for people, in Markdown."""
    return _panel("text", title, "", w, h, (), options={"mode": "markdown", "content": text})


# --- Elasticsearch ---------------------------------------------------------------------------------------------------


def figure(
    title: str, about: str, stream: str, query: str, metric: Metric, colour: Json = NEUTRAL, w: int = 4
) -> Panel:
    """One number, 0 where nothing is found."""
    return _stat(title, about, [grouped(stream, query, [ALL], [metric])], colour, metric.unit, w)


def _stat(title: str, about: str, targets: Sequence[Json], colour: Json, unit: str, w: int) -> Panel:
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "orientation": "auto",
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "textMode": "value",
    }
    defaults = {"noValue": "0", "unit": unit, "thresholds": colour, "color": {"mode": "thresholds"}}
    config = {"defaults": defaults, "overrides": []}
    return _panel("stat", title, about, w, 4, targets, options=options, fieldConfig=config)


def ranking(title: str, about: str, stream: str, query: str, by: By, metric: Metric, w: int = 8, h: int = 8) -> Panel:
    """A bar for each value."""
    options = {
        "reduceOptions": {"calcs": [], "fields": "", "limit": by.size, "values": True},
        "orientation": "horizontal",
        "displayMode": "basic",
        "valueMode": "color",
        "showUnfilled": True,
        "namePlacement": "auto",
        "sizing": "auto",
        "minVizHeight": 16,
        "minVizWidth": 8,
        "maxVizHeight": 32,
    }
    defaults = {"unit": metric.unit, "noValue": "nothing", "min": 0, "color": {"mode": "continuous-BlPu"}}
    target = grouped(stream, query, [by], [metric])
    config = {"defaults": defaults, "overrides": []}
    return _panel("bargauge", title, about, w, h, [target], options=options, fieldConfig=config)


def table(
    title: str,
    about: str,
    stream: str,
    query: str,
    by: Sequence[By],
    metrics: Sequence[Metric],
    nested: str | None = None,
    w: int = 12,
    h: int = 8,
) -> Panel:
    """A row for each combination of values, with figures."""
    headers = {one.field: one.header for one in by} | {column(one, metrics): one.header for one in metrics}
    units = {one.header: one.unit for one in metrics}
    return _table(title, about, [grouped(stream, query, by, metrics, nested)], [], headers, units, w, h)


def listing(
    title: str,
    about: str,
    stream: str,
    query: str,
    columns: Mapping[str, str],
    latest_of: str | None = None,
    size: int = 100,
    w: int = WIDTH,
    h: int = 9,
) -> Panel:
    """The newest documents, field by field; `latest_of`: of each value of this field the newest one alone."""
    steps: list[Json] = [{"id": "filterFieldsByName", "options": {"include": {"names": list(columns)}}}]
    headers = dict(columns)
    if latest_of is not None:
        first = {field: {"operation": "aggregate", "aggregations": ["first"]} for field in columns}
        steps.append(
            {"id": "groupBy", "options": {"fields": first | {latest_of: {"operation": "groupby", "aggregations": []}}}}
        )
        headers = {field if field == latest_of else f"{field} (first)": name for field, name in columns.items()}
    return _table(title, about, [documents(stream, query, size)], steps, headers, {}, w, h)


def _table(
    title: str,
    about: str,
    targets: Sequence[Json],
    steps: Iterable[Json],
    headers: Mapping[str, str],
    units: Mapping[str, str],
    w: int,
    h: int,
) -> Panel:
    order = {name: number for number, name in enumerate(headers)}
    last = {"id": "organize", "options": {"indexByName": order, "renameByName": dict(headers), "excludeByName": {}}}
    overrides = [_override(header, unit=unit) for header, unit in units.items() if unit != "short"]
    overrides += [
        _severity_cells(header) for name, header in headers.items() if name.startswith("otmon.alert.severity")
    ]
    for field, (text, url) in LINKED.items():
        if field in headers:
            overrides.append(_override(headers[field], links=[{"title": text, "url": url}]))
    defaults = {"custom": {"align": "auto", "filterable": True}, "noValue": "–"}
    return _panel(
        "table", title, about, w, h, targets,
        options={"showHeader": True, "cellHeight": "sm"},
        fieldConfig={"defaults": defaults, "overrides": overrides},
        transformations=[*steps, last],
    )  # fmt: skip


def matrix(title: str, about: str, stream: str, query: str, row: By, across: By, metric: Metric, w: int = 12) -> Panel:
    """One field down, another across, a figure where they meet."""
    meet = {
        "rowField": row.field,
        "columnField": across.field,
        "valueField": column(metric, [metric]),
        "emptyValue": "empty",
    }
    config = {
        "defaults": {
            "custom": {"align": "auto", "cellOptions": {"type": "color-background"}},
            "noValue": "",
            "thresholds": _thresholds((None, "transparent"), (1, "blue")),
            "color": {"mode": "thresholds"},
        },
        "overrides": [],
    }
    return _panel(
        "table", title, about, w, 8, [grouped(stream, query, [row, across], [metric])],
        options={"showHeader": True, "cellHeight": "sm"},
        fieldConfig=config,
        transformations=[{"id": "groupingToMatrix", "options": meet}],
    )  # fmt: skip


def course(
    title: str,
    about: str,
    stream: str,
    query: str,
    metrics: Sequence[Metric],
    by: By | None = None,
    bars: bool = False,
    w: int = 12,
    h: int = 8,
) -> Panel:
    """How figures went; as lines, or as bars on each other."""
    targets = [over_time(stream, query, one, by, chr(ord("A") + number)) for number, one in enumerate(metrics)]
    return _lines(title, about, targets, metrics[0].unit, bars, w, h)


def _lines(title: str, about: str, targets: Sequence[Json], unit: str, bars: bool, w: int, h: int) -> Panel:
    custom: Json = {"drawStyle": "bars" if bars else "line", "fillOpacity": 60 if bars else 10, "showPoints": "auto"}
    custom |= {"stacking": {"mode": "normal" if bars else "none", "group": "A"}, "spanNulls": False}
    options = {
        "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    defaults = {"unit": unit, "min": 0, "custom": custom, "noValue": "nothing"}
    config = {"defaults": defaults, "overrides": _colours()}
    return _panel("timeseries", title, about, w, h, targets, options=options, fieldConfig=config)


# --- Prometheus ------------------------------------------------------------------------------------------------------


def gauge(title: str, about: str, expression: str, unit: str = "short", colour: Json = NEUTRAL, w: int = 4) -> Panel:
    """One number of Prometheus."""
    return _stat(title, about, [prometheus(expression, instant=True)], colour, unit, w)


def graph(
    title: str,
    about: str,
    expressions: Mapping[str, str],
    unit: str = "short",
    bars: bool = False,
    w: int = 12,
    h: int = 8,
) -> Panel:
    """Lines of Prometheus: legend -> expression."""
    targets = [prometheus(one, legend, chr(ord("A") + n)) for n, (legend, one) in enumerate(expressions.items())]
    return _lines(title, about, targets, unit, bars, w, h)


# --- dashboards ------------------------------------------------------------------------------------------------------


def choice(name: str, label: str, field: str, stream: str = "all") -> Json:
    """A variable: values of a field."""
    asked = f'{{"find": "terms", "field": "{field}", "size": 500}}'
    found = {"type": "query", "datasource": source(stream), "query": asked, "refresh": 2, "sort": 1}
    return _variable(name, label) | found


def _variable(name: str, label: str) -> Json:
    chosen = {"selected": True, "text": ["All"], "value": ["$__all"]}
    return {"name": name, "label": label, "multi": True, "includeAll": True, "allValue": ANY, "current": chosen}


SITE: Final = choice("site", "Site", "otmon.site")
SENSOR: Final = choice("sensor", "Sensor", "observer.name")
SEVERITY: Final = _variable("severity", "Severity") | {"type": "custom", "query": ",".join(SEVERITIES)}
ZONE: Final = choice("zone", "Zone", "otmon.zone.destination")
ASSET_ZONE: Final = choice("zone", "Zone", "otmon.asset.zone", "asset")
ONE_ALERT: Final[Json] = {
    "name": "alert",
    "label": "Alert",
    "type": "textbox",
    "query": "*",
    "current": {"selected": True, "text": "*", "value": "*"},
}
"""Its id; `*` for all."""
INTERFACE: Final[Json] = {
    "name": "instance",
    "label": "Sensor",
    "type": "query",
    "datasource": {"type": "prometheus", "uid": "otmon-prometheus"},
    "query": {"query": "label_values(otmon_build_info, instance)", "refId": "instance"},
    "refresh": 2,
    "sort": 1,
    "multi": True,
    "includeAll": True,
    "allValue": ".*",
    "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
}


class Board(NamedTuple):
    """A dashboard: rows of panels from top to bottom."""

    name: str
    """Of its file; `otmon-` before it is its uid."""
    title: str
    about: str
    variables: Sequence[Json]
    rows: Sequence[Sequence[Panel]]
    since: str = "now-24h"


def dashboard(board: Board) -> Json:
    """Grafana's JSON."""
    placed: list[Json] = []
    y = 0
    for row in board.rows:
        x = 0
        for panel in row:
            place = {"x": x, "y": y, "w": panel.w, "h": panel.h}
            placed.append({"id": len(placed) + 1, "gridPos": place, **panel.json})
            x += panel.w
        assert x == WIDTH, (board.name, [panel.json["title"] for panel in row], x)
        y += max(panel.h for panel in row)
    link = {
        "type": "dashboards", "tags": ["otmon"], "title": "otmon", "asDropdown": True, "keepTime": True,
        "includeVars": True, "icon": "external link", "targetBlank": False, "tooltip": "The other dashboards of otmon",
    }  # fmt: skip
    return {
        "uid": f"otmon-{board.name}",
        "title": f"otmon: {board.title}",
        "description": board.about,
        "tags": ["otmon"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "browser",
        "time": {"from": board.since, "to": "now"},
        "refresh": "1m",
        "links": [link],
        "annotations": {"list": []},
        "templating": {"list": list(board.variables)},
        "panels": placed,
    }
