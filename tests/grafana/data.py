"""Documents for panels to show: what captures hold, and example records of what no capture has."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from otmon.outputs.sink import Outgoing, Sink

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "docs" / "records"
SITE, SENSOR = "demo-plant", "sensor-1"
MINUTE_NS = 60_000_000_000


def example(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RECORDS / f"{kind}.example.json").read_text())
    return found


def _finding(
    number: int, reason: str, kind: str, severity: str, ts_ns: int, sensor: str = SENSOR, revision: int = 1
) -> Outgoing:
    """An alert about something that could not be seen."""
    many = dict.fromkeys(("asset", "name", "zone"), None) | {"roles": []}
    record = example("alert") | {
        "id": f"{number:020x}", "kind": kind, "severity": severity, "title": f"{reason}: something was not seen.",
        "operation": None, "targets": [], "units": [], "outcome": None, "row": None, "nearest": None, "attack": [],
        "client": many | {"endpoint": "10.0.2.12"}, "server": many | {"endpoint": "10.0.1.21"}, "review": None,
        "outcomes": dict.fromkeys(example("alert")["outcomes"], 0), "revision": revision, "count": revision,
        "frames": [], "flags": [], "first_ts_ns": ts_ns - MINUTE_NS, "last_ts_ns": ts_ns,
        "finding": {"reason": reason, "bytes": 120, "frames": 2, "connections": 1, "gaps": 1, "protocol": "modbus"},
    }  # fmt: skip
    return Outgoing("alert", number, f"{sensor}-{number}-{ts_ns}-{revision}", ts_ns, SITE, sensor, record)


def examples(at_ns: int, sensor: str = SENSOR) -> list[Outgoing]:
    """Health, audit, values and findings around a time."""
    made = []
    for number in range(1, 6):
        ts_ns = at_ns + number * MINUTE_NS
        health = example("health") | {"first_ts_ns": ts_ns - MINUTE_NS, "ts_ns": ts_ns, "shed": 1}
        health["interfaces"][0] |= {"dropped": 3, "interface_drops": 2}
        health["visibility"] |= {"gaps": 1, "missing_bytes": 40}
        made.append(Outgoing("sensor", number, f"{sensor}-health-{ts_ns}", ts_ns, SITE, sensor, health))
        for name, unit in (("modbus", 1), ("dnp3", [1, 10]), ("s7comm", None)):
            point = example("point") | {"protocol": name, "unit": unit, "ts_ns": ts_ns, "value": 70 + number}
            made.append(Outgoing("point", number, f"{sensor}-point-{name}-{ts_ns}", ts_ns, SITE, sensor, point))
    for number, action in enumerate(("policy_changed", "policy_broken"), 1):
        audit = example("audit") | {"action": action, "ts_ns": at_ns + number}
        made.append(Outgoing("audit", number, f"{sensor}-audit-{at_ns}-{number}", at_ns + number, SITE, sensor, audit))
    asset = example("asset") | {"reason": "new", "first_ts_ns": at_ns, "last_ts_ns": at_ns + MINUTE_NS}
    made.append(Outgoing("asset", 1, f"{sensor}-asset-{at_ns}", at_ns, SITE, sensor, asset))
    made.append(_alert(9, "high", at_ns, sensor))
    made.append(_alert(10, "critical", at_ns, sensor))
    made.append(_operation(at_ns, sensor))
    made.append(_finding(1, "gap", "visibility", "low", at_ns, sensor))
    made.append(_finding(2, "dropped", "visibility", "medium", at_ns - 1, sensor))
    made.append(_finding(2, "dropped", "visibility", "medium", at_ns, sensor, revision=2))
    made.append(_finding(3, "malformed", "protocol", "low", at_ns, sensor))
    return made


def storm(at_ns: int, sensor: str, number: int) -> list[Outgoing]:
    """That many alerts of low severity."""
    return [_alert(100 + one, "low", at_ns, sensor) for one in range(number)]


def _alert(number: int, severity: str, ts_ns: int, sensor: str) -> Outgoing:
    """One that a person must decide upon, and whose connection is known."""
    record = example("alert") | {
        "id": f"{number:020x}", "severity": severity, "review": "stops are announced", "client_port": 49152,
        "revision": 1, "last_ts_ns": ts_ns,
    }  # fmt: skip
    return Outgoing("alert", number, f"{sensor}-{number}-{ts_ns}", ts_ns, SITE, sensor, record)


def _operation(ts_ns: int, sensor: str) -> Outgoing:
    """A denied one, with what the policy says of both sides."""
    alert = example("alert")
    sides = {name: alert[name] for name in ("client", "server")}
    record = example("operation") | sides | {
        "verdict": "deny", "reason": "new", "first_ts_ns": ts_ns, "last_ts_ns": ts_ns,
    }  # fmt: skip
    return Outgoing("operation", 1, f"{sensor}-operation-{ts_ns}", ts_ns, SITE, sensor, record)


def send(sink: Sink, records: Sequence[Outgoing]) -> None:
    for stream in {one.stream for one in records}:
        batch = [one for one in records if one.stream == stream]
        answers = sink.deliver(batch, repeated=False)
        assert {one.kind for one in answers} == {"done"}, answers


def now_ns() -> int:
    return time.time_ns()
