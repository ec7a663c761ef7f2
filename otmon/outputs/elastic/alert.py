"""Alerts as documents: each change of an episode is one."""

from typing import Any, Final

from otmon.alerts.advice import advice, topic
from otmon.alerts.attack import TECHNIQUES, VERSION
from otmon.outputs.elastic.members import members
from otmon.outputs.elastic.parts import (
    Flat,
    ip_type,
    network,
    outcomes,
    parties,
    related,
    sides,
    span,
    target,
    target_text,
    what,
)
from otmon.outputs.elastic.rows_otmon import OUTCOMES

SEVERITIES: Final = {"info": 1, "low": 21, "medium": 47, "high": 73, "critical": 99}
"""0-100 as Elastic Security maps low to critical (default risk scores of its rules)."""
MEANINGS: Final = {
    "segmentation": "No row of the policy joins these two for this protocol.",
    "command": "A row joins these two, but not for this function, unit, port, target or time.",
    "value": "The operation is permitted, the written value is not.",
    "asset": "A device that should not be there.",
    "protocol": "Bytes that contradict each other or the protocol they should be.",
    "visibility": "Something could not be seen.",
}
"""By kind (docs/alerts.md)."""
BUILT_IN: Final = frozenset({"protocol", "visibility"})
DEFAULT_DENY: Final = "default-deny"
"""Id of the rule where no row permits."""


_FINDING: Final = [(f"otmon.visibility.{name}", name) for name in ("reason", "bytes", "frames", "connections", "gaps")]


def alert(record: dict[str, Any]) -> Flat:
    """A record of docs/records/alert.schema.json."""
    kind, near, finding = record["kind"], record["nearest"] or {}, record.get("finding") or {}
    client, server, op = record["client"], record["server"], record["operation"]
    reason, built_in = finding.get("reason"), kind in BUILT_IN
    listed = [one["target"] for one in record["targets"] if one["target"] is not None]
    return {
        "message": record["title"],
        "event.kind": "alert",
        "event.category": ["network"] if kind == "visibility" else ["intrusion_detection", "network"],
        "event.type": ["info"],
        "event.action": reason or (op["function"] if op else kind),
        "event.severity": SEVERITIES[record["severity"]],
        "event.reason": near.get("separation") or record["review"],
        **span(record["first_ts_ns"], record["last_ts_ns"]),
        **outcomes(record["outcomes"]),
        **_rule(record, reason, built_in),
        **_ends(record, finding),
        **parties(client, server),
        **related([client["endpoint"], server["endpoint"]], [client["name"], server["name"]]),
        "observer.ingress.interface.name": finding.get("interface"),
        **_attack(record["attack"]),
        "otmon.realm": record["realm"],
        "otmon.policy.verdict": None if built_in else "deny",
        "otmon.policy.row": None if built_in else record["row"],
        "otmon.operation.target.text": [target_text(one) for one in listed],
        **target(listed[0] if listed else None),
        "otmon.alert.id": record["id"],
        "otmon.alert.revision": record.get("revision"),
        "otmon.alert.kind": kind,
        "otmon.alert.severity": record["severity"],
        "otmon.alert.count": record["count"],
        "otmon.alert.count_at_least": record.get("count_at_least"),
        "otmon.alert.review": record["review"],
        "otmon.alert.nearest": near.get("row"),
        "otmon.alert.separation": near.get("separation"),
        "otmon.alert.flags": record["flags"],
        "otmon.alert.evidence": [f"{number}:{frame}" for number, frame in record["frames"]],
        "otmon.alert.unit": ["-".join(map(str, u)) if isinstance(u, list) else u for u in record["units"]],
        "otmon.alert.more_targets": record["more_targets"],
        "otmon.alert.targets": members(
            "otmon.alert.targets",
            ({**(one["target"] or {}), **{name: one[name] for name in OUTCOMES}} for one in record["targets"]),
        ),
        **{field: finding.get(name) for field, name in _FINDING},
        "otmon.advice.topic": topic(record),
        **{f"otmon.advice.{name}": text for name, text in advice(record)._asdict().items()},
    }


def _rule(record: dict[str, Any], reason: str | None, built_in: bool) -> Flat:
    kind, row = record["kind"], record["row"]
    name = f"Row {row} forbids it" if row else "No row permits it"
    return {
        "rule.id": reason or row or (kind if built_in else DEFAULT_DENY),
        "rule.name": (reason or row or kind).replace("_", " ") if built_in else name,
        "rule.ruleset": "otmon" if built_in else "policy",
        "rule.category": kind,
        "rule.description": MEANINGS[kind],
    }


def _ends(record: dict[str, Any], finding: dict[str, Any]) -> Flat:
    """Network and both sides; a finding without an operation has its pair and protocol alone."""
    op = record["operation"]
    if op is not None:
        return {**network(op, record.get("client_port"), record.get("server_port")), **what(op)}
    client, server = record["client"]["endpoint"], record["server"]["endpoint"]
    protocol = finding.get("protocol")
    return {
        **sides(client, server),
        "network.type": ip_type(client, server),
        "network.protocol": protocol,
        "otmon.operation.protocol": protocol,
    }


def _attack(ids: list[str]) -> Flat:
    """Techniques by current ids, parents and sub-techniques apart as ECS wants them, and the older ids."""
    older = {one for name in ids if name in TECHNIQUES and (one := TECHNIQUES[name].older_id) is not None}
    current = [TECHNIQUES[name] for name in ids if name in TECHNIQUES and name not in older]
    if not current:
        return {}
    parents = {one.id.partition(".")[0]: one.name.partition(": ")[0] for one in current}
    subs = {one.id: one.name.partition(": ")[2] for one in current if "." in one.id}
    return {
        "threat.framework": "MITRE ATT&CK",
        "threat.technique.id": list(parents),
        "threat.technique.name": list(parents.values()),
        "threat.technique.subtechnique.id": list(subs),
        "threat.technique.subtechnique.name": list(subs.values()),
        "otmon.attack.id": [one.id for one in current],
        "otmon.attack.older_id": sorted(older),
        "otmon.attack.version": VERSION,
    }
