"""Questions to Elasticsearch and Prometheus, in the query models of Grafana's two data sources.

Only aggregations that every Elasticsearch has are used. A column of a table is named by Grafana after the field, or
after the metric ("Unique Count", "Max", followed by the field where two metrics are of one type); `header` is what
people read instead.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

Json = dict[str, Any]
STREAMS: Final = ("alert", "asset", "operation", "audit", "sensor", "point")
"""Each has a data source `otmon-<stream>`; `otmon-all` reads all of them."""
TIME_FIELD: Final = "@timestamp"
NAMES: Final = {
    "count": "Count",
    "cardinality": "Unique Count",
    "max": "Max",
    "min": "Min",
    "sum": "Sum",
    "avg": "Average",
}
"""By type of metric: what Grafana calls the column."""
NONE: Final = "–"
"""Stands where a document lacks a field."""


class Metric(NamedTuple):
    """A figure."""

    type: str
    """A key of NAMES."""
    field: str
    """'' of a count."""
    header: str
    unit: str = "short"


class By(NamedTuple):
    """A field whose values make rows or lines."""

    field: str
    header: str
    size: int = 20
    missing: bool = False
    """Documents without the field count too, as `NONE`."""


ALERTS: Final = Metric("cardinality", "otmon.alert.id", "Alerts")
"""Each change of an alert is a document: ids are counted, never documents."""
DEVICES: Final = Metric("cardinality", "otmon.asset.id", "Devices")
OPERATIONS: Final = Metric("count", "", "Operations")
"""Where the query takes one document of each operation (FIRST)."""
LAST: Final = Metric("max", TIME_FIELD, "Last", "dateTimeAsIso")
ALL: Final = By("event.module", "")
"""One row of everything: every document says `otmon` there."""

SCOPE: Final = "otmon.site:($site) AND observer.name:($sensor)"
ZONES: Final = "(otmon.zone.source:($zone) OR otmon.zone.destination:($zone))"
FIRST: Final = "otmon.operation.reason:(new OR final)"
"""The document that tells an operation for the first time (`new`, of a sensor) or once (`final`, of a capture)."""


def _where(*parts: str) -> str:
    return " AND ".join(filter(None, parts))


ALERT: Final = _where(SCOPE, "otmon.alert.severity:($severity)", ZONES)
ASSET: Final = _where(SCOPE, "otmon.asset.zone:($zone)")
OPERATION: Final = _where(SCOPE, ZONES)
JUDGED: Final = "NOT otmon.alert.kind:(visibility OR protocol)"
"""Alerts of the policy."""


def where(base: str, *more: str) -> str:
    """A query in Lucene's syntax: all of these."""
    return _where(base, *more)


def source(stream: str) -> Json:
    """The data source of a stream."""
    return {"type": "elasticsearch", "uid": f"otmon-{stream}"}


def column(metric: Metric, metrics: Sequence[Metric]) -> str:
    """What Grafana calls the column of a metric beside the others."""
    alike = [one for one in metrics if one.type == metric.type]
    return NAMES[metric.type] + (f" {metric.field}" if len(alike) > 1 and metric.field else "")


def _metrics(metrics: Sequence[Metric]) -> list[Json]:
    return [
        {"id": str(number), "type": one.type} | ({"field": one.field} if one.field else {})
        for number, one in enumerate(metrics, 1)
    ]


def _terms(by: By, name: str, order: str) -> Json:
    settings = {"min_doc_count": "1", "size": str(by.size), "order": "desc", "orderBy": order}
    return {
        "id": name,
        "type": "terms",
        "field": by.field,
        "settings": settings | ({"missing": NONE} if by.missing else {}),
    }


def _target(stream: str, query: str, metrics: list[Json], buckets: list[Json], **more: Any) -> Json:
    return {
        "refId": "A",
        "datasource": source(stream),
        "timeField": TIME_FIELD,
        "query": query,
        "metrics": metrics,
        "bucketAggs": buckets,
        **more,
    }


def grouped(stream: str, query: str, by: Sequence[By], metrics: Sequence[Metric], nested: str | None = None) -> Json:
    """A table: a row for each combination; the rows with most of the first figure come first.

    `nested`: the field whose members are counted instead of documents.
    """
    first = "_count" if nested or metrics[0].type == "count" else "1"
    buckets = [{"id": "20", "type": "nested", "field": nested, "settings": {}}] if nested else []
    buckets += [_terms(one, str(30 + number), first) for number, one in enumerate(by)]
    return _target(stream, query, _metrics(metrics), buckets)


def over_time(stream: str, query: str, metric: Metric, by: By | None = None, ref: str = "A") -> Json:
    """Lines: a point for each interval; a line for each value, or one with the metric's header as its name."""
    buckets = [] if by is None else [_terms(by, "30", "_count" if metric.type == "count" else "1")]
    interval = {"interval": "auto", "min_doc_count": "0", "trimEdges": "0"}
    buckets.append({"id": "40", "type": "date_histogram", "field": TIME_FIELD, "settings": interval})
    return _target(stream, query, _metrics([metric]), buckets, refId=ref, alias="" if by else metric.header)


def documents(stream: str, query: str, size: int) -> Json:
    """The newest documents as they are."""
    return _target(stream, query, [{"id": "1", "type": "raw_data", "settings": {"size": str(size)}}], [])


def prometheus(expression: str, legend: str = "", ref: str = "A", instant: bool = False) -> Json:
    """A question in PromQL."""
    return {
        "refId": ref,
        "datasource": {"type": "prometheus", "uid": "otmon-prometheus"},
        "editorMode": "code",
        "expr": expression,
        "legendFormat": legend or "__auto",
        "instant": instant,
        "range": not instant,
    }
