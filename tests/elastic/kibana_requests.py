"""What Kibana asks for a saved object, worked out from nothing but the object: what is tested is what is in the file.

Follows the documented forms of visState (agg-based), searchSourceJSON and Vega's `url`; knows no panel of otmon's.
"""

import json
from typing import Any

Object = dict[str, Any]
METRICS = {"cardinality", "sum", "max", "min", "avg"}
ABSENT = {"top_metrics", "rate", "derivative", "moving_fn", "moving_avg", "auto_date_histogram", "multi_terms"}
"""Aggregations that the test node lacks."""


def index_of(thing: Object, by_id: dict[tuple[str, str], Object]) -> str:
    """The title of the data view that an object's search source refers to."""
    source = json.loads(thing["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
    views = {one["name"]: one for one in thing["references"]}
    view = views[source["indexRefName"]]
    return str(by_id[view["type"], view["id"]]["attributes"]["title"])


def query_of(thing: Object) -> Object:
    source = json.loads(thing["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
    assert source["query"]["language"] == "lucene"
    assert source["filter"] == []
    text = source["query"]["query"]
    wanted: Object = {"query_string": {"query": text, "analyze_wildcard": True}} if text else {"match_all": {}}
    return {"bool": {"filter": [wanted]}}


def request_of(thing: Object, by_id: dict[tuple[str, str], Object], interval: str) -> tuple[str, Object] | None:
    """Index and body; None: it asks nothing."""
    if thing["type"] == "search":
        names, order = thing["attributes"]["columns"], thing["attributes"]["sort"]
        sort = [{field: {"order": way}} for field, way in order]
        body = {"size": 100, "query": query_of(thing), "sort": sort, "fields": names, "_source": False}
        return index_of(thing, by_id), body
    state = json.loads(thing["attributes"]["visState"])
    if state["type"] == "markdown":
        return None
    if state["type"] == "vega":
        return _vega(json.loads(state["params"]["spec"]))
    assert state["type"] in ("metric", "table", "histogram", "horizontal_bar")
    assert not any(agg["type"] in ABSENT for agg in state["aggs"])
    return index_of(thing, by_id), {"size": 0, "query": query_of(thing), "aggs": _aggs(state["aggs"], interval)}


def _aggs(aggs: list[Object], interval: str) -> Object:
    """Metrics in the innermost of the buckets, which are nested as they are listed; that ordered by in each."""
    assert all(agg["enabled"] for agg in aggs)
    metrics = {agg["id"]: _metric(agg) for agg in aggs if agg["schema"] == "metric"}
    inner = dict(metrics)
    for agg in reversed([agg for agg in aggs if agg["schema"] in ("bucket", "segment", "group")]):
        params = agg["params"]
        if agg["type"] == "date_histogram":
            assert params["interval"] == "auto"  # which Kibana works out itself, from the time and the width
            one = {"field": params["field"], "fixed_interval": interval, "min_doc_count": params["min_doc_count"]}
        else:
            assert agg["type"] == "terms"
            assert not params["otherBucket"]
            by = params["orderBy"]
            inner = {by: metrics[by], **inner}
            one = {"field": params["field"], "size": params["size"], "order": {by: params["order"]}}
            if params["missingBucket"]:
                one["missing"] = "__missing__"
        inner = {agg["id"]: {agg["type"]: one, "aggs": inner}}
    return inner


def _metric(agg: Object) -> Object:
    params = agg["params"]
    if agg["type"] == "top_hits":
        assert params["aggregate"] == "concat"
        sort = [{params["sortField"]: {"order": params["sortOrder"]}}]
        return {"top_hits": {"size": params["size"], "sort": sort, "fields": [params["field"]], "_source": False}}
    assert agg["type"] in METRICS
    return {agg["type"]: {"field": params["field"]}}


CONTEXT = (
    "%dashboard_context-must_clause%",
    "%dashboard_context-filter_clause%",
    "%dashboard_context-must_not_clause%",
)


def _vega(spec: Object) -> tuple[str, Object]:
    """The request in `data.url`, without what Kibana puts in place of its own words."""
    url = spec["data"]["url"]
    asked = url["body"]["query"]["bool"]
    assert all(any(word in asked[part] for part in asked) for word in CONTEXT)
    assert {"range": {"@timestamp": {"%timefilter%": True}}} in asked["filter"]
    kept = [one for one in asked["filter"] if isinstance(one, dict) and "%timefilter%" not in str(one)]
    return url["index"], {**url["body"], "query": {"bool": {"filter": kept}}}


def fields_of(found: Any) -> set[str]:
    """Every field that a request or an object names, but those inside query strings."""
    if isinstance(found, list):
        return set().union(*map(fields_of, found))
    if not isinstance(found, dict):
        return set()
    names = {value for key, value in found.items() if key in ("field", "sortField", "fieldName", "timeFieldName")}
    names |= {name for one in found.get("sort", []) if isinstance(one, dict) for name in one}
    names |= {name for name in found.get("fields", []) if isinstance(name, str)}
    return {name for name in names if isinstance(name, str)} | set().union(*map(fields_of, found.values()))
