"""What could not be seen."""

from typing import Final

from otmon.outputs.kibana.dashboards.shared import BLIND, controls, intro
from otmon.outputs.kibana.panels import (
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
    total,
)

_TEXT: Final = """
A monitor that sees nothing raises no alarm, so otmon counts what it could **not** see. A **gap**: frames of a
conversation never reached the sensor, mostly because the switch's mirror port was too busy. **One-sided**: only one
direction was captured; whether devices obeyed is unknown. **Encrypted**: it cannot be judged, which may be as
intended. **Malformed** and **unrecognised**: bytes that are not the protocol of their port; rare in a plant, so look
who sent them. **Dropped**: the sensor itself was too slow. Where the alerts are quiet and this page is not, the quiet
proves nothing.
"""
_REASON: Final = Terms("otmon.visibility.reason", "what could not be seen", 20)
VISIBILITY: Final = Dashboard(
    "visibility",
    "Visibility: what could we not see?",
    "Gaps, one-sided and encrypted conversations, bytes that are no protocol, frames lost",
    "now-7d",
    controls("alert", ("otmon.visibility.reason", "Reason"), ("network.protocol", "Protocol")),
    (
        intro("visibility", _TEXT),
        Row(
            5,
            (
                Number(16, "How many blind spots are there?", "alert", FINDINGS, BLIND),
                Number(
                    16,
                    "At how many sites?",
                    "alert",
                    distinct("otmon.site", "sites"),
                    BLIND,
                ),
                Number(
                    16,
                    "How many frames came too fast for the sensors?",
                    "sensor",
                    total("otmon.sensor.dropped", "frames"),
                ),
            ),
        ),
        Row(
            10,
            (
                Bars(24, "What could not be seen?", "alert", FINDINGS, _REASON, query=BLIND),
                Bars(24, "When?", "alert", FINDINGS, Time(), _REASON, BLIND),
            ),
        ),
        Row(
            14,
            (
                Table(
                    48,
                    "Where are we blind, and how much is it?",
                    "alert",
                    (Terms("otmon.alert.id", "alert", 100),),
                    (
                        highest("event.severity", "score"),
                        latest("otmon.visibility.reason", "reason"),
                        latest("message", "what could not be seen"),
                        highest("otmon.visibility.bytes", "bytes"),
                        highest("otmon.visibility.frames", "frames"),
                        highest("otmon.visibility.connections", "connections"),
                        latest("@timestamp", "last time"),
                    ),
                    BLIND,
                ),
            ),
        ),
        Row(
            10,
            (
                Table(
                    24,
                    "What became of the bytes of control traffic, by sensor?",
                    "sensor",
                    (Terms("otmon.site", "site", 50), Terms("observer.name", "sensor", 50)),
                    (
                        total("otmon.bytes.seen", "all"),
                        total("otmon.bytes.decoded", "understood"),
                        total("otmon.bytes.gap", "behind gaps"),
                        total("otmon.bytes.encrypted", "encrypted"),
                        total("otmon.bytes.malformed", "malformed"),
                        total("otmon.bytes.unrecognised", "not its protocol"),
                    ),
                ),
                Table(
                    24,
                    "Which mirror ports lose or double something?",
                    "sensor",
                    (Terms("otmon.site", "site", 50), Terms("observer.name", "sensor", 50)),
                    (
                        total("otmon.visibility.gaps", "gaps"),
                        total("otmon.visibility.missing_bytes", "bytes missing"),
                        highest("otmon.visibility.one_sided", "one-sided"),
                        total("otmon.visibility.copies", "frames twice"),
                        total("otmon.frames.truncated", "frames cut off"),
                        total("otmon.frames.malformed", "broken frames"),
                    ),
                ),
            ),
        ),
    ),
)
