"""A run's results without an engine: hostile names everywhere they can come from."""

from typing import Any

from otmon.alerts.record import as_record
from otmon.capture.reader import InputInfo
from otmon.policy.verdict import Verdict
from otmon.site.part import Part, merge
from otmon.site.site import Site
from tests.alerts.stub import episode
from tests.site.plant import T0, S, plant

INPUT = InputInfo("a.pcap", "3b" * 32, "pcap", None, ["ethernet"], 30, 3000, 0, None, T0, T0 + 60 * S, 0)
DAMAGED = InputInfo("b.pcap", None, None, None, [], 0, 0, 0, {"offset": 24, "reason": "cut short"}, None, None, 0)


def part_with_alerts(names: tuple[str, ...] = ()) -> Part:
    made = plant(names)
    severities = ("high", "critical", "info")
    made.episodes = [
        episode(made.operations[1].key, Verdict(False, None, "command", severity, None, None))  # type: ignore[arg-type] # a stub site and plain severities
        for severity in severities
    ]
    for number, one in enumerate(made.episodes):
        one.first_ts_ns += number
    return merge([made])


def alerts_of(site: Site) -> list[dict[str, Any]]:
    return [as_record(one, site) for one in site.part.episodes]  # type: ignore[arg-type] # a stub site and plain severities
