"""Panels as Kibana's saved objects: data views, visualizations, lists of documents and dashboards, with fixed ids.

The forms are those that Kibana 8.8 writes, which every later 8.x and 9.x reads: visualizations by aggregation, Markdown
and Vega, no Lens. Whatever an object refers to stands in its `references`.
"""

import json
from functools import singledispatch
from typing import Any, Final, NamedTuple

from otmon.outputs.elastic.fields import FIELDS, Field
from otmon.outputs.kibana.dashboards import DASHBOARDS
from otmon.outputs.kibana.matrix import vega
from otmon.outputs.kibana.panels import (
    EVERY_STREAM,
    Bars,
    Control,
    Dashboard,
    Documents,
    Matrix,
    Metric,
    Number,
    Panel,
    Placed,
    Query,
    Table,
    Terms,
    Text,
    Time,
    placed,
)
from otmon.outputs.kibana.requests import index_of, newest
from otmon.outputs.sink import STREAMS

CORE: Final = "8.8.0"
"""The release whose forms these are."""
MIGRATED: Final = {"index-pattern": "8.0.0", "search": "7.9.3", "visualization": "8.5.0", "dashboard": "8.7.0"}
"""The last release that changed the form of a type, as Kibana 8.8 writes it: nothing older is to be mended."""
SOURCE: Final = "kibanaSavedObjectMeta.searchSourceJSON.index"
ABOUT_CHARS: Final = 300
"""Kibana takes no longer description of a field."""
ROWS_A_PAGE: Final = 10
WORDY: Final = "message"
"""The sentence takes all the room that the other columns of its table leave."""
NARROW: Final = {
    "cardinality": 90,
    "max": 90,
    "min": 90,
    "sum": 90,
    "avg": 90,
    "top_hits": 110,
    "terms": 180,
    "date": 170,
}
"""Pixels of those."""
COLORS: Final = {
    "critical": "#bd271e",
    "high": "#e7664c",
    "medium": "#d6bf57",
    "low": "#6092c0",
    "info": "#98a2b3",
    "deny": "#bd271e",
    "permit": "#54b399",
    "no policy": "#98a2b3",
}
"""Of values that mean the same on every page."""
Object = dict[str, Any]


class Visual(NamedTuple):
    """What distinguishes one visualization from another."""

    type: str
    params: Object
    aggs: list[Object]
    state: Object
    """What somebody who looks at it could change: colours, widths of columns."""


def data_view_id(stream: str) -> str:
    """Of a stream's documents in all namespaces."""
    return f"otmon-{stream}"


def saved_objects() -> list[Object]:
    """Everything, each after what it refers to."""
    objects = [_data_view(stream) for stream in (*STREAMS, EVERY_STREAM)]
    for dashboard in DASHBOARDS:
        objects += [_panel(place) for place in placed(dashboard)]
        objects.append(_dashboard(dashboard))
    return objects


def ndjson(objects: list[Object]) -> str:
    """One a line."""
    return "".join(json.dumps(one, ensure_ascii=False, sort_keys=True) + "\n" for one in objects)


def _object(kind: str, name: str, attributes: Object, references: list[Object]) -> Object:
    return {
        "type": kind,
        "id": name,
        "attributes": attributes,
        "references": references,
        "coreMigrationVersion": CORE,
        "typeMigrationVersion": MIGRATED[kind],
        "managed": False,
    }


def _reference(kind: str, name: str, place: str) -> Object:
    return {"type": kind, "id": name, "name": place}


def _data_view(stream: str) -> Object:
    fields = [field for field in FIELDS.values() if stream in field.streams or stream == EVERY_STREAM]
    attributes = {
        "title": index_of(stream),
        "name": "otmon: everything" if stream == EVERY_STREAM else f"otmon: {stream}",
        "timeFieldName": "@timestamp",
        "allowNoIndex": True,
        "fields": "[]",
        "fieldAttrs": json.dumps({field.name: {"customDescription": _about(field)} for field in fields}),
        "fieldFormatMap": json.dumps({field.name: form for field in fields if (form := _format(field))}),
        "runtimeFieldMap": "{}",
        "sourceFilters": "[]",
        "typeMeta": "{}",
    }
    return _object("index-pattern", data_view_id(stream), attributes, [])


def _about(field: Field) -> str:
    plain = field.about.replace("`", "")
    return plain if len(plain) <= ABOUT_CHARS else plain[: ABOUT_CHARS - 1] + "…"


def _format(field: Field) -> Object | None:
    """How Kibana shows it: nanoseconds as a duration, bytes as such."""
    last = field.name.rpartition(".")[2]
    if field.name == "event.duration" or (last.endswith("_ns") and not last.endswith("ts_ns")):
        return {
            "id": "duration",
            "params": {"inputFormat": "nanoseconds", "outputFormat": "humanizePrecise", "outputPrecision": 1},
        }
    if field.name.startswith("otmon.bytes.") or last in ("bytes", "missing_bytes"):
        return {"id": "bytes"}
    return None


def _source(query: str) -> Object:
    return {"query": {"query": query, "language": "lucene"}, "filter": [], "indexRefName": SOURCE}


def _panel(place: Placed) -> Object:
    panel = place.panel
    if isinstance(panel, Documents):
        return _search(place.id, panel)
    visual = _visual(panel)
    state = {"title": panel.title, "type": visual.type, "params": visual.params, "aggs": visual.aggs}
    stream = panel.stream if isinstance(panel, Query) and not isinstance(panel, Matrix) else None
    source = (
        _source(getattr(panel, "query", "")) if stream is not None else {"query": {"query": "", "language": "lucene"}}
    )
    attributes = {
        "title": f"otmon: {panel.title}",
        "description": "",
        "version": 1,
        "visState": json.dumps(state, ensure_ascii=False),
        "uiStateJSON": json.dumps(visual.state),
        "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps({"filter": [], **source}, ensure_ascii=False)},
    }
    references = [] if stream is None else [_reference("index-pattern", data_view_id(stream), SOURCE)]
    return _object("visualization", place.id, attributes, references)


def _search(name: str, panel: Documents) -> Object:
    attributes = {
        "title": f"otmon: {panel.title}",
        "description": "",
        "version": 1,
        "columns": list(panel.columns),
        "sort": [["@timestamp", "desc"]],
        "hideChart": True,
        "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps(_source(panel.query), ensure_ascii=False)},
    }
    return _object("search", name, attributes, [_reference("index-pattern", data_view_id(panel.stream), SOURCE)])


def _metric(number: int, metric: Metric, stream: str) -> Object:
    params: Object = {"field": metric.field, "customLabel": metric.label}
    if metric.kind == "top_hits":
        params |= {"aggregate": "concat", "size": 1, "sortField": newest(stream), "sortOrder": "desc"}
    return {"id": str(number), "enabled": True, "type": metric.kind, "schema": "metric", "params": params}


def _bucket(number: int, by: Terms | Time, schema: str) -> Object:
    params: Object
    if isinstance(by, Time):
        params = {"field": "@timestamp", "interval": "auto", "min_doc_count": 1, "drop_partials": False}
        params |= {"useNormalizedEsInterval": True, "scaleMetricValues": False, "extended_bounds": {}}
    else:
        params = {"field": by.field, "size": by.size, "order": "desc", "orderBy": "1"}
        params |= {"otherBucket": False, "otherBucketLabel": "others"}
        params |= {"missingBucket": by.none is not None, "missingBucketLabel": by.none or "none"}
    kind = "date_histogram" if isinstance(by, Time) else "terms"
    params["customLabel"] = by.label
    return {"id": str(number), "enabled": True, "type": kind, "schema": schema, "params": params}


@singledispatch
def _visual(panel: Panel) -> Visual:
    raise TypeError(panel)


@_visual.register
def _(panel: Text) -> Visual:
    return Visual("markdown", {"markdown": panel.text, "fontSize": 12, "openLinksInNewTab": False}, [], {})


@_visual.register
def _(panel: Matrix) -> Visual:
    return Visual("vega", {"spec": json.dumps(vega(panel), ensure_ascii=False, indent=2)}, [], {})


@_visual.register
def _(panel: Number) -> Visual:
    figure = {
        "percentageMode": False,
        "useRanges": False,
        "colorSchema": "Green to Red",
        "metricColorMode": "None",
        "colorsRange": [{"from": 0, "to": 10000}],
        "labels": {"show": True},
        "invertColors": False,
        "style": {"bgFill": "#000", "bgColor": False, "labelColor": False, "subText": "", "fontSize": 36},
    }
    params = {"type": "metric", "addTooltip": True, "addLegend": False, "metric": figure}
    return Visual("metric", params, [_metric(1, panel.figure, panel.stream)], {})


@_visual.register
def _(panel: Table) -> Visual:
    params = {
        "perPage": ROWS_A_PAGE,
        "showPartialRows": False,
        "showMetricsAtAllLevels": False,
        "showTotal": False,
        "showToolbar": True,
        "totalFunc": "sum",
        "percentageCol": "",
        "autoFitRowToContent": True,
    }
    figures = [_metric(number, figure, panel.stream) for number, figure in enumerate(panel.columns, 1)]
    buckets = [_bucket(number, by, "bucket") for number, by in enumerate(panel.rows, len(figures) + 1)]
    return Visual("table", params, figures + buckets, _widths(panel))


def widths(panel: Table) -> list[int] | None:
    """Of all columns but the sentence, which has 0; None: all alike."""
    columns: list[Terms | Metric] = [*panel.rows, *panel.columns]
    if not any(one.field == WORDY for one in columns):
        return None
    return [0 if one.field == WORDY else NARROW[_kind(one)] for one in columns]


def _kind(column: Terms | Metric) -> str:
    if FIELDS[column.field].type == "date":
        return "date"
    return column.kind if isinstance(column, Metric) else "terms"


def _widths(panel: Table) -> Object:
    found = [{"colIndex": number, "width": width} for number, width in enumerate(widths(panel) or []) if width]
    return {"vis": {"params": {"colWidth": found}}} if found else {}


@_visual.register
def _(panel: Bars) -> Visual:
    along = isinstance(panel.by, Time)
    names, values = ("bottom", "left") if along else ("left", "bottom")
    label = {"text": panel.figure.label}
    params = {
        "type": "histogram",
        "grid": {"categoryLines": False},
        "categoryAxes": [
            {"id": "CategoryAxis-1", "type": "category", "position": names, "show": True, "style": {},
             "scale": {"type": "linear"}, "labels": {"show": True, "filter": along, "truncate": 200}, "title": {}},
        ],
        "valueAxes": [
            {"id": "ValueAxis-1", "name": f"{values.capitalize()}Axis-1", "type": "value", "position": values,
             "show": True, "style": {}, "scale": {"type": "linear", "mode": "normal"},
             "labels": {"show": True, "rotate": 0, "filter": True, "truncate": 100}, "title": label},
        ],
        "seriesParams": [
            {"show": True, "type": "histogram", "mode": "stacked", "data": {"label": panel.figure.label, "id": "1"},
             "valueAxis": "ValueAxis-1", "drawLinesBetweenPoints": True, "lineWidth": 2, "showCircles": True},
        ],
        "addTooltip": True,
        "detailedTooltip": True,
        "addLegend": panel.split is not None,
        "legendPosition": "right",
        "times": [],
        "addTimeMarker": False,
        "truncateLegend": True,
        "maxLegendLines": 1,
        "labels": {"show": False},
        "thresholdLine": {"show": False, "value": 10, "width": 1, "style": "full", "color": "#E7664C"},
        "palette": {"type": "palette", "name": "default"},
        "radiusRatio": 0,
    }  # fmt: skip
    aggs = [_metric(1, panel.figure, panel.stream), _bucket(2, panel.by, "segment")]
    if panel.split is not None:
        aggs.append(_bucket(3, panel.split, "group"))
    return Visual("histogram" if along else "horizontal_bar", params, aggs, {"vis": {"colors": COLORS}})


def _dashboard(dashboard: Dashboard) -> Object:
    places = placed(dashboard)
    panels: list[Object] = [
        {
            "version": CORE,
            "type": "search" if isinstance(place.panel, Documents) else "visualization",
            "gridData": {"x": place.x, "y": place.y, "w": place.panel.width, "h": place.height, "i": place.id},
            "panelIndex": place.id,
            "panelRefName": f"panel_{place.id}",
            "title": place.panel.title,
            "embeddableConfig": {"enhancements": {}, "hidePanelTitles": isinstance(place.panel, Text)},
        }
        for place in places
    ]
    references = [
        _reference(panel["type"], place.id, f"{place.id}:panel_{place.id}")
        for panel, place in zip(panels, places, strict=True)
    ]
    controls = {_control_id(dashboard, one): one for one in dashboard.controls}
    references += [
        _reference("index-pattern", data_view_id(one.stream), f"controlGroup_{name}:optionsListDataView")
        for name, one in controls.items()
    ]
    options = {"useMargins": True, "syncColors": True, "syncCursor": True, "syncTooltips": False}
    attributes = {
        "title": f"otmon: {dashboard.title}",
        "description": dashboard.about,
        "version": 1,
        "timeRestore": True,
        "timeFrom": dashboard.since,
        "timeTo": "now",
        "refreshInterval": {"pause": False, "value": 60_000},
        "optionsJSON": json.dumps({**options, "hidePanelTitles": False}),
        "panelsJSON": json.dumps(panels, ensure_ascii=False),
        "controlGroupInput": {
            "chainingSystem": "HIERARCHICAL",
            "controlStyle": "oneLine",
            "ignoreParentSettingsJSON": json.dumps(
                dict.fromkeys(("ignoreFilters", "ignoreQuery", "ignoreTimerange", "ignoreValidations"), False)
            ),
            "panelsJSON": json.dumps(
                {name: _control(name, one, order) for order, (name, one) in enumerate(controls.items())}
            ),
        },
        "kibanaSavedObjectMeta": {
            "searchSourceJSON": json.dumps({"query": {"query": "", "language": "lucene"}, "filter": []})
        },
    }
    return _object("dashboard", f"otmon-{dashboard.name}", attributes, references)


def _control_id(dashboard: Dashboard, control: Control) -> str:
    return f"otmon-{dashboard.name}-{control.field.replace('.', '-')}"


def _control(name: str, control: Control, order: int) -> Object:
    return {
        "type": "optionsListControl",
        "order": order,
        "width": "medium",
        "grow": True,
        "explicitInput": {
            "id": name,
            "fieldName": control.field,
            "title": control.title,
            "selectedOptions": [],
            "enhancements": {},
        },
    }
