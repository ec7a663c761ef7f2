"""What needs attention now."""

from typing import Final

from otmon.outputs.kibana.dashboards.shared import (
    BLIND,
    BY_SEVERITY,
    CHANGING,
    DENIED,
    JUDGED,
    URGENT,
    alerts,
    controls,
    intro,
)
from otmon.outputs.kibana.panels import (
    ALERTS,
    FINDINGS,
    Bars,
    Dashboard,
    Number,
    Row,
    Table,
    Terms,
    Time,
    distinct,
    highest,
    latest,
)

_TEXT: Final = """
otmon listens to the network of the plant and compares every command with the plant's **policy**: the list of who may
do what to which device. It only watches: it stops nothing, and no device notices it. An **alert** is one deviation,
however often it repeats. A **client** asks, a **server** (mostly a controller, *PLC*) answers. A command that was
**accepted** took effect in the plant. Begin with the top of *What needs attention first?*; the id in a row leads
through *Alert triage*.
"""
OVERVIEW: Final = Dashboard(
    "overview",
    "What needs attention now?",
    "Alerts of all sites: how many, how bad, who and where",
    "now-24h",
    controls("alert", ("otmon.alert.severity", "Severity"), ("otmon.alert.kind", "Kind")),
    (
        intro("overview", _TEXT),
        Row(
            5,
            (
                Number(12, "How many alerts are urgent (critical or high)?", "alert", ALERTS, URGENT),
                Number(
                    12,
                    "How many forbidden changes did devices accept?",
                    "alert",
                    ALERTS,
                    f"{DENIED} AND {CHANGING} AND otmon.outcome:(accepted OR partial)",
                ),
                Number(
                    12,
                    "How many devices were touched against the policy?",
                    "alert",
                    distinct("destination.address", "devices"),
                    JUDGED,
                ),
                Number(12, "How many blind spots are there?", "alert", FINDINGS, BLIND),
            ),
        ),
        Row(14, (alerts(48, "What needs attention first?", "NOT otmon.alert.severity:(low OR info)"),)),
        Row(
            10,
            (
                Bars(32, "When were alerts raised, or did they go on?", "alert", ALERTS, Time(), BY_SEVERITY),
                Bars(16, "What kinds of alert?", "alert", ALERTS, Terms("otmon.alert.kind", "kind", 6), BY_SEVERITY),
            ),
        ),
        Row(
            10,
            (
                Table(
                    16,
                    "Who causes them?",
                    "alert",
                    (Terms("source.address", "client"),),
                    (ALERTS, latest("otmon.name.source", "name"), latest("otmon.zone.source", "zone")),
                    JUDGED,
                ),
                Table(
                    16,
                    "Which devices are touched?",
                    "alert",
                    (Terms("destination.address", "server"),),
                    (ALERTS, latest("otmon.name.destination", "name"), latest("otmon.zone.destination", "zone")),
                    JUDGED,
                ),
                Table(
                    16,
                    "At which sites, seen by which sensor?",
                    "alert",
                    (Terms("otmon.site", "site"), Terms("observer.name", "sensor")),
                    (ALERTS, highest("event.severity", "worst score"), latest("@timestamp", "last")),
                ),
            ),
        ),
    ),
)
