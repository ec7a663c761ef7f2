"""Grafana's alert rules on Elasticsearch: what should ring while nobody looks at a dashboard."""

from typing import Final, NamedTuple

from grafana.queries import ALERTS, ALL, DEVICES, JUDGED, By, Json, Metric, grouped, source

_SITE: Final = By("otmon.site", "Site", 100)
_SENSOR: Final = By("observer.name", "Sensor", 500)
_RECORDS: Final = Metric("count", "", "Records")


class Rule(NamedTuple):
    """A number for each site or sensor; above (or below) a limit it rings."""

    uid: str
    title: str
    stream: str
    query: str
    by: tuple[By, ...]
    metric: Metric
    above: float | None
    """None: rings when it is below one."""
    seconds: int
    """How far it looks back."""
    severity: str
    summary: str
    about: str


_AT: Final = 'at {{ index $labels "otmon.site" }}'
_WHO: Final = '{{ index $labels "observer.name" }}'
_N: Final = "{{ $values.A }}"
RULES: Final = (
    Rule("otmon-critical", "otmon: critical alert", "alert", "otmon.alert.severity:critical", (_SITE, _SENSOR), ALERTS,
         0, 600, "critical", f"{_N} critical alerts {_AT}",
         "Somebody stopped, restarted or programmed a controller, or broke a rule that says never."),
    Rule("otmon-high", "otmon: alert of high severity", "alert", f"otmon.alert.severity:high AND {JUDGED}",
         (_SITE, _SENSOR), ALERTS, 0, 600, "high", f"{_N} alerts of high severity {_AT}",
         "The process may have been changed in a way that the policy does not allow."),
    Rule("otmon-storm", "otmon: many alerts at once", "alert", JUDGED, (_SITE,), ALERTS, 50, 600, "high",
         f"{_N} different alerts within ten minutes {_AT}",
         "A scan, a failed device, or a policy that no longer fits the plant."),
    Rule("otmon-new-devices", "otmon: new devices", "asset", "otmon.asset.reason:new", (_SITE,), DEVICES, 0, 600,
         "medium", f"{_N} new devices {_AT}", "A device that was never seen before. Ask who brought it."),
    Rule("otmon-blind", "otmon: a sensor cannot see", "alert",
         "otmon.alert.kind:visibility AND otmon.alert.severity:(medium OR high OR critical)", (_SITE, _SENSOR), ALERTS,
         0, 600, "high", f"{_WHO} reports {_N} blind spots",
         "Frames are lost or an interface is silent: alerts may be missing."),
    Rule("otmon-lost", "otmon: frames lost", "sensor", "*", (_SITE, _SENSOR),
         Metric("sum", "otmon.sensor.dropped", "Frames"), 0, 600, "medium", f"{_WHO} lost {_N} frames in ten minutes",
         "The sensor reads too slowly for this traffic. See docs/sensor.md."),
    Rule("otmon-silent", "otmon: a sensor is silent", "sensor", "*", (_SITE, _SENSOR), _RECORDS, None, 86400, "high",
         f"{_WHO} has not been heard for ten minutes",
         "It was heard within the last day. No power, no network, or somebody switched it off."),
    Rule("otmon-policy", "otmon: a policy could not be loaded", "audit", "event.outcome:failure", (_SITE, _SENSOR),
         _RECORDS, 0, 600, "medium", f"{_WHO} reports {_N} failed changes",
         "The policy before stays in force. The audit list in Sensor health says why."),
)  # fmt: skip


def _question(rule: Rule) -> Json:
    """Its answer is a table with one number a row; Grafana makes an alert of each row, labelled by the other columns.

    Who is silent has no document in the last ten minutes: therefore all who spoke within the day are asked for, and of
    each the documents of the last ten minutes are counted, which may be none (`min_doc_count` 0).
    """
    if rule.above is not None:
        target = grouped(rule.stream, rule.query, rule.by, [rule.metric])
    else:
        target = grouped(rule.stream, rule.query, [*rule.by, ALL], [rule.metric])
        recent = {"filters": [{"query": "@timestamp:[now-10m TO now]", "label": "last ten minutes"}]}
        target["bucketAggs"].insert(-1, {"id": "50", "type": "filters", "settings": recent})
        target["bucketAggs"][-1]["settings"]["min_doc_count"] = "0"
    del target["datasource"]
    return target


def _rule(rule: Rule) -> Json:
    kind, limit = ("gt", rule.above) if rule.above is not None else ("lt", 1)
    return {
        "uid": rule.uid,
        "title": rule.title,
        "condition": "B",
        "data": [
            {
                "refId": "A",
                "relativeTimeRange": {"from": rule.seconds, "to": 0},
                "datasourceUid": source(rule.stream)["uid"],
                "model": _question(rule),
            },
            {
                "refId": "B",
                "relativeTimeRange": {"from": rule.seconds, "to": 0},
                "datasourceUid": "__expr__",
                "model": {
                    "refId": "B",
                    "type": "threshold",
                    "expression": "A",
                    "conditions": [{"evaluator": {"type": kind, "params": [limit]}}],
                },
            },
        ],
        "noDataState": "OK",
        "execErrState": "Error",
        "for": "0s",
        "annotations": {"summary": rule.summary, "description": rule.about},
        "labels": {"severity": rule.severity, "source": "otmon"},
    }


def provisioning() -> Json:
    """For Grafana's folder provisioning/alerting."""
    group = {"orgId": 1, "name": "otmon", "folder": "otmon", "interval": "1m", "rules": [_rule(one) for one in RULES]}
    return {"apiVersion": 1, "groups": [group]}
