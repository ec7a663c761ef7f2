"""What a sensor is and does, and values seen on the wire, as documents."""

import re
from collections.abc import Sequence
from typing import Any, Final

from otmon.limits import ELASTIC_DETAILS
from otmon.outputs.elastic.fields import number
from otmon.outputs.elastic.members import members
from otmon.outputs.elastic.parts import Flat, ip_type, related, sides, span, target, target_text, unit
from otmon.outputs.elastic.rows_otmon import BYTE_BUCKETS, FRAME_BUCKETS, INTERFACE, VISIBILITY

ACTIONS: Final[dict[str, tuple[str, str]]] = {
    # what begins an audit record's action -> event.category, event.type
    "policy_changed": ("configuration", "change"),
    "policy_": ("configuration", "info"),
    "sensor_started": ("process", "start"),
    "sensor_stopped": ("process", "end"),
    "": ("configuration", "info"),
}
"""The first that fits."""
FAILED: Final = ("_broken", "_failed", "_refused")
"""Ends of actions that did not come about."""
DETAIL: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""What a detail may be called (docs/records/audit.schema.json)."""


def sensor(record: dict[str, Any]) -> Flat:
    """A record of docs/records/health.schema.json: totals as fields, interfaces one by one beside them."""
    clock, privileges, interfaces = record["clock"], record["privileges"] or {}, record["interfaces"]
    totals = {name: sum(one[name] for one in interfaces) for name in INTERFACE}
    processed = sum(one["frames"] for one in interfaces)
    up = sum(one["state"] == "up" for one in interfaces)
    names = [one["interface"] for one in interfaces]
    lost = totals["dropped"] + totals["interface_drops"]
    return {
        "message": f"{totals['received']:,} frames received, {lost:,} lost on {', '.join(names)}; clock "
        f"{'synchronised' if clock['synchronised'] else 'not known to be synchronised'}",
        "event.kind": "metric",
        "event.category": ["host"],
        "event.type": ["info"],
        "event.action": "health",
        **span(record["first_ts_ns"], record["ts_ns"]),
        "observer.ingress.interface.name": names,
        **{f"otmon.sensor.{name}": number for name, number in totals.items()},
        "otmon.sensor.processed": processed,
        "otmon.sensor.shed": record["shed"],
        "otmon.sensor.connections": record["connections"],
        "otmon.sensor.interfaces_up": up,
        "otmon.sensor.interfaces_down": len(interfaces) - up,
        "otmon.sensor.interface": members(
            "otmon.sensor.interface",
            (
                {
                    "name": one["interface"],
                    "state": one["state"],
                    "processed": one["frames"],
                    **{name: one[name] for name in INTERFACE},
                }
                for one in interfaces
            ),
        ),
        **_delivery(record.get("delivery", ())),
        "otmon.sensor.late_frames": sum(tap["late_frames"] for tap in record["taps"]),
        "otmon.sensor.skew_ns": [tap["skew_ns"] for tap in record["taps"] if tap["skew_ns"] is not None],
        **{f"otmon.sensor.clock.{name}": value for name, value in clock.items()},
        "otmon.sensor.privileges.uid": privileges.get("uid"),
        "otmon.sensor.privileges.kept": sorted(
            name for name, measure in privileges.get("measures", {}).items() if not measure["ok"]
        ),
        **{f"otmon.frames.{name}": record["frames"].get(name, 0) for name in FRAME_BUCKETS},
        **{f"otmon.bytes.{name}": record["ot_bytes"].get(name, 0) for name in BYTE_BUCKETS},
        **{f"otmon.visibility.{name}": record["visibility"].get(name, 0) for name in VISIBILITY},
    }


def _delivery(outputs: Sequence[dict[str, Any]]) -> Flat:
    """How each output is; nothing of a sensor that has none."""
    if not outputs:
        return {}
    behind = [one["behind_s"] for one in outputs if one["behind_s"] is not None]
    return {
        "otmon.sensor.waiting": sum(one["waiting"] for one in outputs),
        "otmon.sensor.behind_s": max(behind, default=0.0),
        "otmon.sensor.outputs_down": sum(one["state"] != "well" for one in outputs),
        "otmon.sensor.delivery": members("otmon.sensor.delivery", outputs),
    }


def audit(record: dict[str, Any]) -> Flat:
    """A record of docs/records/audit.schema.json."""
    action, failed = record["action"], record["action"].endswith(FAILED)
    category, kind = next(both for begin, both in ACTIONS.items() if action.startswith(begin))
    detail = {name: value for name, value in record["detail"].items() if DETAIL.fullmatch(name)}
    return {
        "message": record["message"],
        "event.kind": "event",
        "event.category": [category],
        "event.type": [kind],
        "event.action": action,
        "event.outcome": "failure" if failed else "success",
        "error.message": record["message"] if failed else None,
        "otmon.audit.detail": dict(list(detail.items())[:ELASTIC_DETAILS]) or None,
    }


def point(record: dict[str, Any]) -> Flat:
    """A record of docs/records/point.schema.json."""
    client, server, sub = record["client"], record["server"], record["unit"]
    value, touched = number(record["value"]), target_text(record["target"])
    name = [server, record["protocol"], "-".join(map(str, sub)) if isinstance(sub, list) else sub, touched]
    said = record["text"] if value is None else f"{value:.15g}"
    return {
        "message": f"{touched or record['protocol']} of {server} is {said}",
        "event.kind": "metric",
        "event.category": ["network"],
        "event.type": ["protocol"],
        "event.action": record["access"],
        **sides(client, server),
        **related([client, server], []),
        "network.protocol": record["protocol"],
        "network.type": ip_type(client, server),
        "otmon.realm": record["realm"],
        "otmon.operation.protocol": record["protocol"],
        "otmon.operation.access": record["access"],
        **unit(sub),
        "otmon.operation.target.text": touched,
        **target(record["target"]),
        "otmon.point.name": " ".join(str(one) for one in name if one is not None),
        "otmon.point.value": value,
        "otmon.point.text": record["text"],
        "otmon.point.count": record["count"],
    }
