"""The matrix of zones as a Vega-Lite picture: Kibana has no table that colours a cell by what is in it."""

import copy
from typing import Any, Final

from otmon.outputs.kibana.panels import Matrix
from otmon.outputs.kibana.requests import index_of, request

NO_ZONE: Final = "(no zone)"
"""Of a device that the policy does not name."""
DENIED, PERMITTED, UNJUDGED = "denied by the policy", "all permitted", "no policy"
SHADES: Final = {DENIED: "#e7664c", PERMITTED: "#54b399", UNJUDGED: "#98a2b3"}


def vega(panel: Matrix) -> dict[str, Any]:
    """The specification. What begins with % is Kibana's: the time, and the filters of the dashboard."""
    body = copy.deepcopy(request(panel)) or {}
    asked = body["query"]["bool"]["filter"]
    body["query"]["bool"] = {
        "must": ["%dashboard_context-must_clause%"],
        "filter": [*asked, {"range": {"@timestamp": {"%timefilter%": True}}}, "%dashboard_context-filter_clause%"],
        "must_not": ["%dashboard_context-must_not_clause%"],
    }
    names = {"client": "the client's zone", "server": "the server's zone"}
    zone = {side: {"field": side, "type": "nominal", "title": title} for side, title in names.items()}
    counts = [{"field": name, "type": "quantitative"} for name in ("permitted", "denied", "unjudged")]
    axis = {"labelFontSize": 12, "titleFontSize": 12, "labelLimit": 200, "labelAngle": 0}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "data": {
            "url": {"index": index_of(panel.stream), "body": body},
            "format": {"property": "aggregations.pairs.buckets"},
        },
        "transform": [
            *(
                {"calculate": f"isValid(datum.key.{side}) ? datum.key.{side} : '{NO_ZONE}'", "as": side}
                for side in names
            ),
            *(
                {"calculate": f"{told} ? datum.operations.value : 0", "as": name}
                for name, told in (
                    ("permitted", "datum.key.verdict === 'permit'"),
                    ("denied", "datum.key.verdict === 'deny'"),
                    ("unjudged", "!isValid(datum.key.verdict)"),
                )
            ),
            {
                "aggregate": [{"op": "sum", "field": one["field"], "as": one["field"]} for one in counts],
                "groupby": list(names),
            },
            {
                "calculate": f"datum.denied > 0 ? '{DENIED}' : datum.permitted > 0 ? '{PERMITTED}' : '{UNJUDGED}'",
                "as": "verdict",
            },
            {
                "calculate": "datum.denied + datum.permitted === 0 ? format(datum.unjudged, ',') :"
                " format(datum.permitted, ',') + ' permitted' +"
                " (datum.denied > 0 ? ', ' + format(datum.denied, ',') + ' denied' : '')",
                "as": "words",
            },
        ],
        "encoding": {
            "x": {**zone["server"], "axis": {**axis, "orient": "top"}},
            "y": {**zone["client"], "axis": axis},
            "tooltip": [*zone.values(), *counts],
        },
        "layer": [
            {
                "mark": {"type": "rect", "stroke": "white", "strokeWidth": 2},
                "encoding": {
                    "color": {
                        "field": "verdict",
                        "type": "nominal",
                        "title": None,
                        "scale": {"domain": list(SHADES), "range": list(SHADES.values())},
                    }
                },
            },
            {"mark": {"type": "text", "fontSize": 13}, "encoding": {"text": {"field": "words"}}},
        ],
        "config": {"view": {"stroke": "transparent"}},
    }
