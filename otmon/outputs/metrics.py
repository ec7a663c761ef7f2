"""Figures as Prometheus metrics. No label holds anything that came off the wire."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from otmon import __version__
from otmon.outputs.figures import Figures
from otmon.policy.verdict import SEVERITIES

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

_INTERFACE: Final = (
    ("otmon_interface_received", "Frames the kernel put into the ring.", "received"),
    ("otmon_interface_ring_dropped", "Frames for which the ring had no room.", "dropped"),
    ("otmon_interface_ring_freezes", "Times the ring was full.", "freezes"),
    ("otmon_interface_card_dropped", "Frames the network card or its driver lost.", "interface_drops"),
    ("otmon_interface_frames", "Frames read and processed.", "frames"),
    ("otmon_interface_bytes", "Bytes of the frames read.", "bytes"),
)
"""Counters with the label `interface`: (name, help, field of figures.Interface)."""
_LABELLED: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("otmon_frames", "Frames by bucket (docs/engine.md): each is in exactly one.", "bucket", "frames"),
    ("otmon_ot_bytes", "Bytes of control traffic by bucket (docs/engine.md).", "bucket", "ot_bytes"),
    ("otmon_pdus", "Messages of control protocols.", "protocol", "pdus"),
    ("otmon_alerts", "New alerts by severity.", "severity", "alerts"),
)
"""Counters: (name, help, label, field of Figures)."""
_COUNTERS: Final[tuple[tuple[str, str, Callable[[Figures], float]], ...]] = (
    ("otmon_missing_bytes", "Bytes of TCP connections never captured.", lambda f: f.visibility.get("missing_bytes", 0)),
    ("otmon_copies", "Frames that came twice.", lambda f: f.frames.get("copy", 0)),
    ("otmon_shed", "Frames, messages and alerts that found no room in a full table.", lambda f: f.shed),
    ("otmon_checkpoints", "Checkpoints written.", lambda f: f.checkpoints),
    ("otmon_checkpoint_bytes", "Bytes written to the database and its log.", lambda f: f.bytes_written),
    ("otmon_clock_steps", "Times the machine's clock was set.", lambda f: f.clock_steps),
)  # fmt: skip
_GAUGES: Final[tuple[tuple[str, str, Callable[[Figures], float | None]], ...]] = (
    ("otmon_ot_bytes_pending", "Bytes that wait for the rest of their message.", lambda f: f.ot_bytes_pending),
    ("otmon_operations", "Operations in the database.", lambda f: f.stored.get("operations", 0)),
    ("otmon_connections", "Connections in the database.", lambda f: f.stored.get("connections", 0)),
    ("otmon_hosts", "Addresses in the database.", lambda f: f.stored.get("hosts", 0)),
    ("otmon_alerts_stored", "Alerts in the database.", lambda f: f.stored.get("alerts", 0)),
    ("otmon_assets", "Devices known.", lambda f: f.assets),
    ("otmon_episodes", "Alerts that go on.", lambda f: f.episodes),
    ("otmon_checkpoint_age_seconds", "Since the last checkpoint, or the start.", lambda f: f.checkpoint_age_s),
    ("otmon_database_bytes", "Size of site.db and its log.", lambda f: f.database_bytes),
    ("otmon_clock_synchronised", "1: the machine's clock is synchronised.", lambda f: _flag(f.synchronised)),
    ("otmon_clock_offset_seconds", "Last known offset of the clock.", lambda f: _seconds(f.clock_offset_ns)),
    ("otmon_policy_in_force", "1: traffic is judged by a policy.", lambda f: float(f.policy)),
)
"""None: not known, and left out."""
_Family = type[GaugeMetricFamily] | type[CounterMetricFamily]
_DELIVERY: Final[tuple[tuple[str, str, str, _Family, Callable[[Figures], dict[str, float]]], ...]] = (
    ("otmon_delivery_up", "1: the output takes what it is sent.", "sink", GaugeMetricFamily,
     lambda f: {d.sink: float(d.state == "well") for d in f.delivery}),
    ("otmon_delivery_delivered", "Records an output has taken.", "sink", CounterMetricFamily,
     lambda f: {d.sink: d.delivered for d in f.delivery}),
    ("otmon_delivery_refused", "Records an output will never take.", "sink", CounterMetricFamily,
     lambda f: {d.sink: d.dead for d in f.delivery}),
    ("otmon_delivery_waiting", "Records that wait for an output.", "sink", GaugeMetricFamily,
     lambda f: {d.sink: d.waiting for d in f.delivery}),
    ("otmon_delivery_behind_seconds", "Age of the oldest record that waits for an output.", "sink", GaugeMetricFamily,
     lambda f: {d.sink: d.behind_s or 0.0 for d in f.delivery}),
    ("otmon_spool_records", "Records in the spool.", "stream", GaugeMetricFamily,
     lambda f: {s.stream: s.records for s in f.spool}),
    ("otmon_spool_bytes", "Bytes in the spool.", "stream", GaugeMetricFamily,
     lambda f: {s.stream: s.bytes for s in f.spool}),
    ("otmon_spool_shed", "Records removed from the spool undelivered.", "stream", CounterMetricFamily,
     lambda f: {s.stream: s.shed for s in f.spool}),
)  # fmt: skip
"""(name, help, label, kind, values by label)."""


def _full_name(name: str, kind: _Family) -> str:
    return f"{name}_total" if kind is CounterMetricFamily else name


NAMES: Final = (
    *(f"{row[0]}_total" for row in (*_INTERFACE, *_LABELLED, *_COUNTERS)),
    *(row[0] for row in _GAUGES),
    *(_full_name(name, kind) for name, _, _, kind, _ in _DELIVERY),
    "otmon_interface_up",
    "otmon_build_info",
)
"""Of all metrics but those of the process."""


def _flag(value: bool | None) -> float | None:
    return None if value is None else float(value)


def _seconds(ns: int | None) -> float | None:
    return None if ns is None else ns / 1e9


def _counter(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def families(figures: Figures) -> Iterator[Metric]:
    """Every metric of the sensor."""
    for name, text, attribute in _INTERFACE:
        yield _counter(name, text, "interface", {i.name: getattr(i, attribute) for i in figures.interfaces})
    up = GaugeMetricFamily("otmon_interface_up", "1: the interface is there and has a link.", labels=["interface"])
    for interface in figures.interfaces:
        up.add_metric([interface.name], float(interface.state == "up"))
    yield up
    for name, text, label, attribute in _LABELLED:
        values = getattr(figures, attribute)
        yield _counter(name, text, label, dict.fromkeys(SEVERITIES, 0) | values if label == "severity" else values)
    for name, text, value_of in _COUNTERS:
        yield CounterMetricFamily(name, text, value=value_of(figures))
    for name, text, gauge_of in _GAUGES:
        if (value := gauge_of(figures)) is not None:
            yield GaugeMetricFamily(name, text, value=value)
    for name, text, label, kind, values_of in _DELIVERY:
        family = kind(name, text, labels=[label])
        for key, number in values_of(figures).items():
            family.add_metric([key], number)
        yield family
    build = GaugeMetricFamily("otmon_build_info", "Version of otmon.", labels=["version"])
    build.add_metric([__version__], 1)
    yield build


class Metrics:
    """The page that Prometheus reads; `look` is asked for figures when it is."""

    def __init__(self, look: Callable[[], Figures]) -> None:
        self._look = look
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def describe(self) -> list[Any]:
        """Nothing is asked before there are figures."""
        return []

    def collect(self) -> Iterator[Metric]:
        """For prometheus_client."""
        return families(self._look())

    def page(self) -> bytes:
        """The text format."""
        return generate_latest(self._registry)
