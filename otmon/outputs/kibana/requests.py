"""What a panel asks Elasticsearch: the body of the `_search` that Kibana makes of it, and of which index."""

from functools import singledispatch
from typing import Any, Final

from otmon.outputs.elastic.documents import DATA_STREAMS
from otmon.outputs.kibana.panels import (
    EVERY_STREAM,
    NEWEST,
    Bars,
    Documents,
    Matrix,
    Metric,
    Number,
    Panel,
    Query,
    Table,
    Terms,
    Time,
)

DOCUMENTS: Final = 100
"""As many as a list shows at once."""
ZONE_PAIRS: Final = 1000
"""(client's zone, server's zone, verdict): 500 conduits and more are no picture any more."""
MISSING: Final = "__missing__"
"""As Kibana calls what has no value."""
Body = dict[str, Any]


def index_of(stream: str) -> str:
    """The pattern of a stream's data streams in all namespaces."""
    if stream == EVERY_STREAM:
        return ",".join(sorted({f"{name.partition('.')[0]}.*" for name in DATA_STREAMS.values()}))
    return f"{DATA_STREAMS[stream]}-*"


def newest(stream: str) -> str:
    """The field by which the newest document of a stream is told."""
    return NEWEST.get(stream, "@timestamp")


@singledispatch
def request(panel: Panel, interval: str = "1h") -> Body | None:
    """The body, without the time that is looked at; None: it asks nothing. `interval`: of bars along time."""
    return None


def _body(panel: Query, query: str, **rest: Any) -> Body:
    everything: Body = {"match_all": {}}
    wanted = {"query_string": {"query": query, "analyze_wildcard": True}} if query else everything
    return {"size": 0, "query": {"bool": {"filter": [wanted]}}, **rest}


def _metric(metric: Metric, stream: str) -> Body:
    if metric.kind == "top_hits":
        order = [{newest(stream): {"order": "desc"}}]
        return {"top_hits": {"size": 1, "sort": order, "fields": [metric.field], "_source": False}}
    return {metric.kind: {"field": metric.field}}


def _buckets(by: Terms | Time, order: str, interval: str) -> Body:
    if isinstance(by, Time):
        return {"date_histogram": {"field": "@timestamp", "fixed_interval": interval, "min_doc_count": 1}}
    terms = {"field": by.field, "size": by.size, "order": {order: "desc"}}
    return {"terms": terms | ({"missing": MISSING} if by.none is not None else {})}


def aggregations(by: tuple[Terms | Time, ...], figures: tuple[Metric, ...], stream: str, interval: str) -> Body:
    """Buckets within buckets and the figures in the innermost; the first figure, in each, is what they are ordered by.

    Named as Kibana does: figures 1, 2 …, then buckets, by their place in the panel.
    """
    named = {str(number): _metric(figure, stream) for number, figure in enumerate(figures, 1)}
    inner = named
    for number, one in reversed(list(enumerate(by, len(figures) + 1))):
        first = {} if isinstance(one, Time) else {"1": named["1"]}
        inner = {str(number): _buckets(one, "1", interval) | {"aggs": {**first, **inner}}}
    return inner


@request.register
def _(panel: Number, interval: str = "1h") -> Body:
    return _body(panel, panel.query, aggs=aggregations((), (panel.figure,), panel.stream, interval))


@request.register
def _(panel: Bars, interval: str = "1h") -> Body:
    by = (panel.by,) if panel.split is None else (panel.by, panel.split)
    return _body(panel, panel.query, aggs=aggregations(by, (panel.figure,), panel.stream, interval))


@request.register
def _(panel: Table, interval: str = "1h") -> Body:
    return _body(panel, panel.query, aggs=aggregations(panel.rows, panel.columns, panel.stream, interval))


@request.register
def _(panel: Documents, interval: str = "1h") -> Body:
    return _body(panel, panel.query) | {
        "size": DOCUMENTS,
        "sort": [{"@timestamp": {"order": "desc"}}],
        "fields": list(panel.columns),
        "_source": False,
    }


ZONES: Final = {
    "client": "otmon.zone.source",
    "server": "otmon.zone.destination",
    "verdict": "otmon.policy.verdict",
}


@request.register
def _(panel: Matrix, interval: str = "1h") -> Body:
    sources = [{name: {"terms": {"field": field, "missing_bucket": True}}} for name, field in ZONES.items()]
    figure = {"operations": {"cardinality": {"field": "event.id"}}}
    pairs = {"composite": {"size": ZONE_PAIRS, "sources": sources}, "aggs": figure}
    return _body(panel, panel.query, aggs={"pairs": pairs})
