"""Grafana's Elasticsearch query model: the search that a target stands for, and what is made of the answer.

Follows pkg/tsdb/elasticsearch of Grafana (query strings, terms, date_histogram, filters, nested; count, cardinality,
max, min, sum, avg; raw_data), so far as the dashboards use it. What is not known here fails: a panel may not use it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Json = dict[str, Any]
Row = dict[str, Any]
METRICS = {"cardinality": "Unique Count", "max": "Max", "min": "Min", "sum": "Sum", "avg": "Average"}
_SPECIAL = re.compile(r'([!*+\-=<>\s&|()\[\]{}^~?:\\/"])')


# --- variables -------------------------------------------------------------------------------------------------------


def lucene(value: str | Sequence[str]) -> str:
    """A variable's value in a query: one is escaped, several are quoted alternatives."""
    if isinstance(value, str):
        return _SPECIAL.sub(r"\\\1", value)
    return "(" + " OR ".join(f'"{lucene(one)}"' for one in value) + ")"


def replaced(text: str, variables: Mapping[str, Json], chosen: Mapping[str, Any], start_ms: int, end_ms: int) -> str:
    """Every $name and ${name:raw}; `chosen` names values, and what it does not name is as in the dashboard."""
    built_in = {"__from": str(start_ms), "__to": str(end_ms)}

    def value(found: re.Match[str]) -> str:
        name, form = found["plain"] or found["name"], found["form"]
        if name in built_in:
            return built_in[name]
        variable = variables[name]  # KeyError: not a variable of this dashboard
        picked = chosen.get(name, variable["current"]["value"])
        if picked in ("$__all", ["$__all"]):
            return str(variable["allValue"])
        assert form in (None, "raw")
        return picked if form == "raw" else lucene(picked)

    return re.sub(r"\$(?P<plain>\w+)|\$\{(?P<name>\w+)(?::(?P<form>\w+))?\}", value, text)


# --- the request -----------------------------------------------------------------------------------------------------


def search(target: Json, query: str, start_ms: int, end_ms: int, interval_ms: int) -> Json:
    """The body of the search."""
    field = target["timeField"]
    body: Json = {
        "size": 0,
        "query": {
            "bool": {
                "filter": [
                    {"range": {field: {"gte": start_ms, "lte": end_ms, "format": "epoch_millis"}}},
                    {"query_string": {"analyze_wildcard": True, "query": query}},
                ]
            }
        },
    }
    metrics, buckets = target["metrics"], target["bucketAggs"]
    if metrics[0]["type"] == "raw_data":
        assert not buckets
        return body | {
            "size": int(metrics[0]["settings"]["size"]),
            "sort": [{field: {"order": "desc", "unmapped_type": "boolean"}}, {"_doc": {"order": "desc"}}],
            "docvalue_fields": [field],
            "script_fields": {},
            "fields": [{"field": field, "format": "strict_date_optional_time_nanos"}],
        }
    assert buckets, "Grafana refuses metrics without buckets"
    inner = body
    for bucket in buckets:
        made = _bucket(bucket, metrics, start_ms, end_ms, interval_ms)
        inner.setdefault("aggs", {})[bucket["id"]] = made
        inner = made
    for one in metrics:
        if one["type"] != "count":
            inner.setdefault("aggs", {})[one["id"]] = _metric(one)
    return body


def _metric(metric: Json) -> Json:
    assert metric["type"] in METRICS, metric["type"]
    return {metric["type"]: {"field": metric["field"]}}


def _bucket(bucket: Json, metrics: Sequence[Json], start_ms: int, end_ms: int, interval_ms: int) -> Json:
    kind, settings = bucket["type"], bucket["settings"]
    if kind == "nested":
        return {"nested": {"path": bucket["field"]}}
    if kind == "filters":
        return {
            "filters": {
                "filters": {
                    one["label"]: {"query_string": {"query": one["query"], "analyze_wildcard": True}}
                    for one in settings["filters"]
                }
            }
        }
    if kind == "date_histogram":
        assert settings["interval"] == "auto"
        bounds = {"min": start_ms, "max": end_ms}
        return {
            "date_histogram": {
                "field": bucket["field"],
                "fixed_interval": f"{interval_ms}ms",
                "min_doc_count": int(settings["min_doc_count"]),
                "extended_bounds": bounds,
                "format": "epoch_millis",
            }
        }
    assert kind == "terms", kind
    terms: Json = {
        "field": bucket["field"],
        "size": int(settings["size"]),
        "min_doc_count": int(settings["min_doc_count"]),
    }
    if "missing" in settings:
        terms["missing"] = settings["missing"]
    made: Json = {"terms": terms}
    order = settings["orderBy"]
    terms["order"] = {order: settings["order"]}
    if order.isdigit():
        (by,) = [one for one in metrics if one["id"] == order]
        assert by["type"] != "count", "Grafana orders by _count then"
        made["aggs"] = {order: _metric(by)}
    return made


# --- the answer ------------------------------------------------------------------------------------------------------


def rows(target: Json, response: Json) -> list[Row]:
    """A table: documents as they are, or a row for each innermost bucket."""
    if target["metrics"][0]["type"] == "raw_data":
        return [_flat(hit["_source"]) | hit.get("fields", {}) for hit in response["hits"]["hits"]]
    return [
        labels | _figures(target["metrics"], bucket)
        for labels, bucket in _leaves(target["bucketAggs"], response["aggregations"], {})
    ]


def lines(target: Json, response: Json) -> dict[str, list[float | None]]:
    """Lines of a chart, by name."""
    (metric,), last = target["metrics"], target["bucketAggs"][-1]
    assert last["type"] == "date_histogram"
    made: dict[str, list[float | None]] = {}
    for labels, bucket in _leaves(target["bucketAggs"], response["aggregations"], {}):
        name = target["alias"] or " ".join(str(value) for field, value in labels.items() if field != last["field"])
        made.setdefault(name, []).extend(_figures([metric], bucket).values())
    return made


def _leaves(buckets: Sequence[Json], aggregations: Json, labels: Row) -> Iterator[tuple[Row, Json]]:
    """The innermost buckets, each with the values that lead to it."""
    bucket, *inside = buckets
    found = aggregations[bucket["id"]]
    if bucket["type"] == "nested":
        yield from _leaves(inside, found, labels)
        return
    if bucket["type"] == "filters":
        assert inside, "Grafana shows no table of filters"
        each = [({"filter": label}, one) for label, one in sorted(found["buckets"].items())]
    else:
        each = [({bucket["field"]: one["key"]}, one) for one in found["buckets"]]
    for label, one in each:
        if inside:
            yield from _leaves(inside, one, labels | label)
        else:
            yield labels | label, one


def _figures(metrics: Sequence[Json], bucket: Json) -> Row:
    """As Grafana names the columns."""
    found: Row = {}
    for metric in metrics:
        alike = [one for one in metrics if one["type"] == metric["type"]]
        if metric["type"] == "count":
            found["Count"] = bucket["doc_count"]
        else:
            name = METRICS[metric["type"]] + (f" {metric['field']}" if len(alike) > 1 else "")
            found[name] = bucket[metric["id"]]["value"]
    return found


def _flat(source: Json, above: str = "") -> Row:
    out: Row = {}
    for name, value in source.items():
        if isinstance(value, dict) and value:
            out |= _flat(value, f"{above}{name}.")
        else:
            out[f"{above}{name}"] = value
    return out


# --- transformations -------------------------------------------------------------------------------------------------


def transformed(panel: Json, found: list[Row]) -> list[Row]:
    """What the panel's transformations make of a table; a name that is not there fails."""
    for step in panel.get("transformations", []):
        found = _STEPS[step["id"]](step["options"], found)
    return found


def _filter_fields(options: Json, found: list[Row]) -> list[Row]:
    names = options["include"]["names"]
    return [{name: row.get(name) for name in names} for row in found]


def _group_by(options: Json, found: list[Row]) -> list[Row]:
    (key,) = [name for name, how in options["fields"].items() if how["operation"] == "groupby"]
    firsts: dict[Any, Row] = {}
    for row in found:
        firsts.setdefault(row[key], row)
    assert all(how["aggregations"] == ["first"] for name, how in options["fields"].items() if name != key)
    return [
        {name if name == key else f"{name} (first)": row[name] for name in options["fields"]} for row in firsts.values()
    ]


def _organize(options: Json, found: list[Row]) -> list[Row]:
    names = options["renameByName"]
    for row in found:
        assert set(names) <= set(row) | {"event.module"}, (sorted(names), sorted(row))
    return [{shown: row[name] for name, shown in names.items()} for row in found]


def _matrix(options: Json, found: list[Row]) -> list[Row]:
    across, down, value = options["columnField"], options["rowField"], options["valueField"]
    made: dict[str, Row] = {}
    for row in found:
        made.setdefault(row[down], {f"{down}\\{across}": row[down]})[str(row[across])] = row[value]
    return list(made.values())


_STEPS = {
    "filterFieldsByName": _filter_fields,
    "groupBy": _group_by,
    "organize": _organize,
    "groupingToMatrix": _matrix,
}
