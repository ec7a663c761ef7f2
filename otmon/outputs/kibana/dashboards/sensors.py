"""Whether the sensors work, and what was done to them."""

from typing import Final

from otmon.outputs.kibana.dashboards.shared import controls, intro
from otmon.outputs.kibana.panels import (
    EVERY_STREAM,
    Bars,
    Dashboard,
    Documents,
    Number,
    Row,
    Table,
    Terms,
    Time,
    distinct,
    highest,
    latest,
    lowest,
    total,
)

_SITE: Final = Terms("otmon.site", "site", 50)
_SENSOR: Final = Terms("observer.name", "sensor", 50)
_SENSORS: Final = distinct("observer.name", "sensors")
_TEXT: Final = """
Every sensor reports every five minutes; one whose *last report* is old is down, or cut off. **Dropped** frames came
too fast for the sensor, **lost by the card** are those that the network card lost: both were never judged. **Shed**:
memory was full, as in a flood. A **clock** that is not synchronised makes times, and rules that hold at certain
hours, unsure. Each record has a **number**: where highest − lowest + 1 is more than the records that arrived, some
were lost on the way here (metrics may be left out on purpose after a long break; alerts are not).
"""
SENSORS: Final = Dashboard(
    "sensors",
    "Sensor health: do all sensors see and report?",
    "Last reports, losses, clocks, arrival of records, and changes of policy",
    "now-24h",
    controls("sensor"),
    (
        intro("sensors", _TEXT),
        Row(
            5,
            (
                Number(12, "How many sensors reported?", "sensor", _SENSORS),
                Number(12, "How many of them lost frames?", "sensor", _SENSORS,
                       "otmon.sensor.dropped:>0 OR otmon.sensor.interface_drops:>0 OR otmon.sensor.shed:>0"),
                Number(12, "How many had an interface down?", "sensor", _SENSORS, "otmon.sensor.interfaces_down:>0"),
                Number(12, "How many have an unsure clock?", "sensor", _SENSORS,
                       "NOT otmon.sensor.clock.synchronised:true"),
            ),
        ),
        Row(
            12,
            (
                Table(
                    48,
                    "When did each sensor report last, and how is it?",
                    "sensor",
                    (_SITE, _SENSOR),
                    (
                        highest("@timestamp", "last report"),
                        latest("observer.ingress.interface.name", "listens on"),
                        latest("otmon.sensor.interfaces_down", "interfaces down"),
                        total("otmon.sensor.received", "frames"),
                        total("otmon.sensor.dropped", "dropped"),
                        total("otmon.sensor.interface_drops", "lost by the card"),
                        total("otmon.sensor.shed", "shed"),
                        latest("otmon.sensor.clock.synchronised", "clock in step"),
                        latest("otmon.sensor.clock.max_error_ns", "clock's error"),
                        latest("otmon.sensor.outputs_down", "outputs down"),
                        latest("otmon.sensor.waiting", "waits for outputs"),
                        latest("observer.version", "version"),
                    ),
                ),
            ),
        ),
        Row(
            10,
            (
                Bars(24, "How much did they see?", "sensor", total("otmon.sensor.received", "frames"), Time(), _SENSOR),
                Bars(24, "When did they lose frames?", "sensor", total("otmon.sensor.dropped", "frames dropped"),
                     Time(), _SENSOR),
            ),
        ),
        Row(
            13,
            (
                Table(
                    24,
                    "Did all their records arrive?",
                    EVERY_STREAM,
                    (_SENSOR, Terms("event.dataset", "records", 6)),
                    (
                        highest("event.sequence", "highest number"),
                        lowest("event.sequence", "lowest number"),
                        distinct("event.sequence", "arrived"),
                        highest("@timestamp", "last"),
                    ),
                    "event.dataset:(otmon.sensor OR otmon.audit)",
                ),
                Documents(
                    24,
                    "What was changed, and did it work?",
                    "audit",
                    ("event.action", "event.outcome", "message", "observer.name"),
                ),
            ),
        ),
    ),
)  # fmt: skip
