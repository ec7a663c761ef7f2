"""Dashboards of the sensors themselves: their health records in Elasticsearch, and their counters in Prometheus."""

from typing import Final

from grafana.panels import (
    GOOD_AT_ZERO,
    INTERFACE,
    SENSOR,
    SITE,
    Board,
    course,
    figure,
    gauge,
    graph,
    listing,
    table,
    words,
)
from grafana.queries import LAST, SCOPE, By, Metric, where

_SENSOR = By("observer.name", "Sensor", 100)
_SITE = By("otmon.site", "Site", 20)
_FAILED = "event.outcome:failure"

HEALTH: Final = Board(
    "sensors",
    "sensor health",
    "Whether each sensor listens, keeps up, has the right time and says what it does. From its health records.",
    (SITE, SENSOR),
    (
        [
            figure("How many sensors report?", "Sensors that sent a health record in this period.", "sensor", SCOPE,
                   Metric("cardinality", "observer.name", "Sensors")),
            figure("How many frames came?", "Frames that the sensors received.", "sensor", SCOPE,
                   Metric("sum", "otmon.sensor.received", "Frames")),
            figure("How many were lost?", "Frames for which the ring had no room: the sensor read too slowly.",
                   "sensor", SCOPE, Metric("sum", "otmon.sensor.dropped", "Frames"), GOOD_AT_ZERO),
            figure("How many did the card lose?", "Frames that the network card or its driver lost.", "sensor", SCOPE,
                   Metric("sum", "otmon.sensor.interface_drops", "Frames"), GOOD_AT_ZERO),
            figure("How many interfaces are down?", "At most, in one record of this period.", "sensor", SCOPE,
                   Metric("max", "otmon.sensor.interfaces_down", "Interfaces"), GOOD_AT_ZERO),
            figure("How often was a clock set?", "A clock that jumps makes times in alerts doubtful.", "sensor", SCOPE,
                   Metric("sum", "otmon.sensor.clock.steps", "Times"), GOOD_AT_ZERO),
        ],
        [
            table("Which sensors are there, and when did each last speak?", "A sensor speaks about once a minute. One "
                  "that fell silent has no power, no network, or was switched off.", "sensor", SCOPE,
                  (_SENSOR, _SITE, By("observer.version", "Version", 5)),
                  (Metric("max", "@timestamp", "Last heard", "dateTimeAsIso"),
                   Metric("sum", "otmon.sensor.processed", "Frames"))),
            table("How is each interface?", "Records of each state, and frames; `gone`: it was removed.", "sensor",
                  SCOPE, (By("otmon.sensor.interface.name", "Interface"), By("otmon.sensor.interface.state", "State")),
                  (Metric("count", "", "Records"), Metric("sum", "otmon.sensor.interface.received", "Received"),
                   Metric("sum", "otmon.sensor.interface.dropped", "Lost")), nested="otmon.sensor.interface"),
        ],
        [
            course("How much does each sensor see?", "Frames received in each interval. A fall to zero: the mirror "
                   "port is off.", "sensor", SCOPE, [Metric("sum", "otmon.sensor.received", "Frames")], _SENSOR),
            course("What did each lose?", "Frames for which the ring had no room.", "sensor", SCOPE,
                   [Metric("sum", "otmon.sensor.dropped", "Frames")], _SENSOR, bars=True),
        ],
        [
            course("How far off may clocks be?", "The kernel's estimate of the largest error. Rules that hold at "
                   "certain times need clocks better than a second.", "sensor", SCOPE,
                   [Metric("max", "otmon.sensor.clock.max_error_ns", "Error", "ns")], _SENSOR),
            course("Was there more than tables hold?", "Frames, messages and alerts that found no room: a flood.",
                   "sensor", SCOPE, [Metric("sum", "otmon.sensor.shed", "Shed")], _SENSOR, bars=True),
        ],
        [
            listing("What did sensors and people do?", "Policies loaded, starts, alerts acknowledged, rows accepted.",
                    "audit", SCOPE, {
                        "@timestamp": "When",
                        "observer.name": "Sensor",
                        "message": "What",
                        "event.action": "Action",
                        "event.outcome": "Outcome",
                    }, w=12),
            table("What failed?", "By action; the reason is in the list beside this.", "audit", where(SCOPE, _FAILED),
                  (_SENSOR, By("event.action", "Action")), (Metric("count", "", "Times"), LAST), h=9),
        ],
        [
            table("Is anything missing in delivery?", "Each record of a sensor and stream has a number, one higher "
                  "than the last. Highest minus lowest plus one should be the number of documents; of alerts it may be "
                  "fewer: revisions that a later one made needless.", "all", SCOPE,
                  (_SENSOR, By("event.dataset", "Stream", 10)),
                  (Metric("count", "", "Documents"), Metric("min", "event.sequence", "Lowest"),
                   Metric("max", "event.sequence", "Highest")), w=12),
            table("How is each output?", "Records of each state, what waited at most, and for how long. `away`: it is "
                  "tried again; `stopped`: somebody must mend something.", "sensor", SCOPE,
                  (By("otmon.sensor.delivery.sink", "Output"), By("otmon.sensor.delivery.state", "State")),
                  (Metric("count", "", "Records"), Metric("max", "otmon.sensor.delivery.waiting", "Waiting"),
                   Metric("max", "otmon.sensor.delivery.behind_s", "Behind (s)")), w=12,
                  nested="otmon.sensor.delivery"),
        ],
    ),
)  # fmt: skip

_LINK = "instance, interface"
_I = '{instance=~"$instance"}'


def _rate(name: str, by: str) -> str:
    return f"sum by ({by}) (rate({name}{_I}[$__rate_interval]))"


def _grown(name: str) -> str:
    return f"sum(increase({name}{_I}[$__range]))"


METRICS: Final = Board(
    "metrics",
    "sensor metrics (Prometheus)",
    "What Prometheus reads from the sensors' page of metrics: fresher and finer than health records, without a word "
    "of the plant's traffic.",
    (INTERFACE,),
    (
        [
            words(
                "How to read this",
                "Numbers since each sensor's start, read by Prometheus every 15 seconds. Frames lost are frames not "
                "judged: an alert may be missing. `docs/sensor.md` explains each metric.",
            )
        ],
        [
            gauge("How many sensors answer?", "Sensors whose metrics Prometheus can read.",
                  f"count(otmon_build_info{_I})"),
            gauge("How many interfaces have no link?", "Cable, switch port, or the interface was removed.",
                  f"count(otmon_interface_up{_I} == 0)", colour=GOOD_AT_ZERO),
            gauge("How many frames were lost?", "In this period, by the ring and by network cards.",
                  f"sum(increase(otmon_interface_ring_dropped_total{_I}[$__range])) + "
                  f"sum(increase(otmon_interface_card_dropped_total{_I}[$__range]))", colour=GOOD_AT_ZERO),
            gauge("How many new alerts?", "In this period, of all severities.", _grown("otmon_alerts_total")),
            gauge("How many judge by no policy?", "Sensors without a policy raise no alert about operations.",
                  f"count(otmon_policy_in_force{_I} == 0)", colour=GOOD_AT_ZERO),
            gauge("How old is the oldest checkpoint?", "A sensor writes to its disk about once a minute.",
                  f"max(otmon_checkpoint_age_seconds{_I})", "s"),
        ],
        [
            graph("How many frames come?", "Frames a second, received from the kernel and processed.", {
                "received {{instance}} {{interface}}": _rate("otmon_interface_received_total", _LINK),
                "processed {{instance}} {{interface}}": _rate("otmon_interface_frames_total", _LINK),
            }, "pps"),
            graph("How much traffic?", "Bytes a second.", {
                "{{instance}} {{interface}}": _rate("otmon_interface_bytes_total", _LINK),
            }, "Bps"),
        ],
        [
            graph("What is lost, and where?", "ring: the sensor read too slowly (freezes: how often it was full). "
                  "card: the network card or its driver.", {
                "ring {{instance}} {{interface}}": _rate("otmon_interface_ring_dropped_total", _LINK),
                "card {{instance}} {{interface}}": _rate("otmon_interface_card_dropped_total", _LINK),
                "freezes {{instance}} {{interface}}": _rate("otmon_interface_ring_freezes_total", _LINK),
            }, "pps", bars=True),
            graph("What are the frames?", "Each frame is in one bucket; docs/engine.md says what each holds.", {
                "{{bucket}}": _rate("otmon_frames_total", "bucket"),
            }, "pps", bars=True),
        ],
        [
            graph("What becomes of control traffic?", "decoded: understood. Others: why not.", {
                "{{bucket}}": _rate("otmon_ot_bytes_total", "bucket"),
            }, "Bps", bars=True),
            graph("Which protocols speak?", "Messages a second.", {
                "{{protocol}}": _rate("otmon_pdus_total", "protocol"),
            }, bars=True),
        ],
        [
            graph("What was never captured?", "Bytes missing in TCP connections, frames that came twice, and what "
                  "found no room in a full table.", {
                "missing bytes {{instance}}": _rate("otmon_missing_bytes_total", "instance"),
                "copies {{instance}}": _rate("otmon_copies_total", "instance"),
                "shed {{instance}}": _rate("otmon_shed_total", "instance"),
            }),
            graph("When were there alerts?", "New alerts by severity.", {
                "{{severity}}": f"sum by (severity) (increase(otmon_alerts_total{_I}[$__rate_interval]))",
            }, bars=True),
        ],
        [
            graph("What does each sensor know?", "Rows in its database. A jump: a scan, or a new part of the plant.", {
                "devices {{instance}}": f"otmon_assets{_I}",
                "addresses {{instance}}": f"otmon_hosts{_I}",
                "operations {{instance}}": f"otmon_operations{_I}",
                "connections {{instance}}": f"otmon_connections{_I}",
                "alerts {{instance}}": f"otmon_alerts_stored{_I}",
                "alerts going on {{instance}}": f"otmon_episodes{_I}",
            }),
            graph("How full is the database?", "Size of site.db and its log; above `--keep-bytes` the oldest goes.", {
                "{{instance}}": f"otmon_database_bytes{_I}",
            }, "bytes"),
        ],
        [
            graph("What waits to be delivered?", "Records that wait for an output, and in the spool of each stream.", {
                "for {{sink}} {{instance}}": f"otmon_delivery_waiting{_I}",
                "spooled {{stream}} {{instance}}": f"otmon_spool_records{_I}",
            }),
            graph("How far behind are outputs?", "Age of the oldest record that waits; 1 beside: the output takes what "
                  "it is sent.", {
                "behind {{sink}} {{instance}}": f"otmon_delivery_behind_seconds{_I}",
                "up {{sink}} {{instance}}": f"otmon_delivery_up{_I}",
            }, "s"),
        ],
        [
            graph("What was delivered, refused, given up?", "Records a second; refused ones are kept with a reason.", {
                "delivered {{sink}} {{instance}}": _rate("otmon_delivery_delivered_total", "instance, sink"),
                "refused {{sink}} {{instance}}": _rate("otmon_delivery_refused_total", "instance, sink"),
                "given up {{stream}} {{instance}}": _rate("otmon_spool_shed_total", "instance, stream"),
            }),
            graph("How large is the spool?", "Bytes that wait; above 1 GiB the least worth is given up.", {
                "{{stream}} {{instance}}": f"otmon_spool_bytes{_I}",
            }, "bytes"),
        ],
        [
            graph("How much is written?", "Bytes a second to the disk, and checkpoints. Flash wears out by writing.", {
                "{{instance}}": _rate("otmon_checkpoint_bytes_total", "instance"),
                "checkpoints {{instance}}": _rate("otmon_checkpoints_total", "instance"),
            }, "Bps", w=8),
            graph("Is the clock right?", "Offset of the clock, whether it is synchronised (1), and how often it was "
                  "set.", {
                "offset {{instance}}": f"abs(otmon_clock_offset_seconds{_I})",
                "synchronised {{instance}}": f"otmon_clock_synchronised{_I}",
                "set {{instance}}": f"increase(otmon_clock_steps_total{_I}[$__rate_interval])",
            }, "s", w=8),
            graph("How much memory and processor?", "Of the sensor's process; the capture ring is not in it. "
                  "Waiting: bytes held until the rest of their message comes.", {
                "memory {{instance}}": f"process_resident_memory_bytes{_I}",
                "waiting {{instance}}": f"otmon_ot_bytes_pending{_I}",
            }, "bytes", w=8),
        ],
    ),
    since="now-6h",
)  # fmt: skip
