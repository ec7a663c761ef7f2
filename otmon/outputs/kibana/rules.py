"""Detection rules for Elastic Security: what one alert of one sensor does not show.

The rules about single alerts are of the type `new_terms`: an alert is a document for each of its changes, and only the
first that fits is to be told. Queries are ES|QL or KQL; nothing needs more than the basic licence.
"""

import json
import uuid
from typing import Any, Final, Literal, NamedTuple

from otmon.alerts.attack import TECHNIQUES
from otmon.outputs.elastic.alert import SEVERITIES
from otmon.outputs.kibana.requests import index_of

FRAMEWORK: Final = "MITRE ATT&CK"
"""As ECS and the detection engine call it; the tactics are those of ATT&CK for ICS."""
TACTICS: Final = {
    "TA0102": "Discovery",
    "TA0104": "Execution",
    "TA0106": "Impair Process Control",
    "TA0107": "Inhibit Response Function",
    "TA0108": "Initial Access",
    "TA0109": "Lateral Movement",
}
_NAMES: Final = uuid.UUID("6f746d6f-6e00-5000-8000-000000000000")
ESQL: Final = "esql"
KQL: Final = "kuery"


class Rule(NamedTuple):
    """One rule."""

    name: str
    """What it says when it fires; for people."""
    key: str
    """Its rule_id is made of this: never to be changed."""
    type: Literal["esql", "new_terms", "threshold"]
    severity: Literal["low", "medium", "high", "critical"]
    every: str
    """How often it runs."""
    since: str
    """From when on it looks."""
    about: str
    query: str
    note: str
    """What to do, as Markdown."""
    harmless: tuple[str, ...]
    threats: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Tactic and techniques."""
    stream: str = ""
    """Of types that name an index beside the query."""
    more: dict[str, Any] = {}  # noqa: RUF012 # never changed
    """What only this type of rule has."""


# Lists of values in brackets, `field: (a or b)`, are understood by Kibana, but not by the KQL of Elasticsearch itself.
_CHANGED: Final = " or ".join(f'otmon.operation.access: "{one}"' for one in ("write", "control", "program"))
_TOOK_EFFECT: Final = " or ".join(f'otmon.outcome: "{one}"' for one in ("accepted", "partial"))
_ONCE: Final = {"new_terms_fields": ["otmon.alert.id"], "history_window_start": "now-14d"}
_TRIAGE: Final = (
    "Open the dashboard *otmon: Alert triage* and choose this `otmon.alert.id`. Read the sentence, ask the shift "
    "whether "
    "somebody meant to do it, and look at the first frames (`otmon.alert.evidence`) in the capture if there is one."
)
ICS_WRITE: Final = ("T1692.001", "T0836")

RULES: Final = (
    Rule(
        name="otmon: critical alert",
        key="critical-alert",
        type="new_terms",
        severity="critical",
        every="5m",
        since="now-10m",
        about="An alert of the highest severity: something that the policy forbids outright (a row `never`), or that "
        "can "
        "stop or reprogram a controller. Told once for each alert, however often it goes on.",
        query='event.module: "otmon" and event.kind: "alert" and otmon.alert.severity: "critical"',
        note=_TRIAGE + " If the outcome is *accepted* the device did it: the process may be in another state than the "
        "control room shows.",
        harmless=("Maintenance that the policy does not know of.", "A policy that is new and still too narrow."),
        threats=(("TA0106", ICS_WRITE),),
        stream="alert",
        more=_ONCE,
    ),
    Rule(
        name="otmon: forbidden change accepted by a device",
        key="accepted-change",
        type="new_terms",
        severity="high",
        every="5m",
        since="now-10m",
        about="A client that the policy does not let do this wrote a value, sent a command or changed a program, and "
        "the "
        "device accepted it. Rejected attempts do not count here.",
        query=f'event.module: "otmon" and otmon.policy.verdict: "deny" and ({_CHANGED}) and ({_TOOK_EFFECT})',
        note=_TRIAGE + " Find out who sits at the client, and what the value or program was before.",
        harmless=("An engineer who works at a device outside of the time the policy gives.",),
        threats=(("TA0106", ICS_WRITE), ("TA0107", ("T0816",)), ("TA0104", ("T0858",))),
        stream="alert",
        more=_ONCE,
    ),
    Rule(
        name="otmon: one device at two sites",
        key="asset-at-two-sites",
        type="esql",
        severity="medium",
        every="1h",
        since="now-25h",
        about="The same network card (MAC address) was seen at more than one site within a day: a service laptop that "
        "carries things from plant to plant, or somebody who takes another's address.",
        query=f"""FROM {index_of("asset")}
| WHERE host.mac IS NOT NULL
| MV_EXPAND host.mac
| WHERE NOT host.mac RLIKE "00-00-5E-00-0[12]-.*|00-00-0C-07-AC-.*|00-00-0C-9F-F.*"
| STATS sites = COUNT_DISTINCT(otmon.site), otmon.site = VALUES(otmon.site), host.name = VALUES(host.name),
    otmon.asset.address = VALUES(otmon.asset.address), last_seen = MAX(@timestamp) BY host.mac
| WHERE sites > 1
| SORT last_seen DESC""",
        note="`otmon.site` names the sites, `host.name` what their policies call the device. Ask where the device is "
        "now. If "
        "it is a service laptop, have it checked before it is connected again.",
        harmless=(
            "A service laptop whose journeys are known: make an exception for its MAC.",
            "Virtual machines that were copied with their MAC; captures of one plant analysed under two names.",
        ),
        threats=(("TA0108", ("T0864",)), ("TA0109", ("T0886",))),
    ),
    Rule(
        name="otmon: a client new to many servers",
        key="spreading-client",
        type="esql",
        severity="high",
        every="15m",
        since="now-14d",
        about="Within an hour one client began to talk to five or more devices that it had not talked to in two "
        "weeks: a "
        "scan, malware that spreads, or a new station.",
        query=f"""FROM {index_of("operation")}
| WHERE source.address IS NOT NULL AND destination.address IS NOT NULL
| STATS first_seen = MIN(@timestamp), otmon.operation.protocol = VALUES(otmon.operation.protocol)
    BY otmon.site, source.address, destination.address
| WHERE first_seen > NOW() - 1 hour
| STATS servers = COUNT_DISTINCT(destination.address), destination.address = VALUES(destination.address),
    otmon.operation.protocol = VALUES(otmon.operation.protocol), first_seen = MIN(first_seen)
    BY otmon.site, source.address
| WHERE servers >= 5
| SORT servers DESC""",
        note="Open *otmon: Operations* with this `source.address`: what did it do, and did the devices answer? Many "
        "rejected "
        "or unanswered requests are a scan. Is the client in the policy, and who put it there?",
        harmless=(
            "The first two weeks of a sensor, to which everything is new.",
            "A new server, or an inventory tool that somebody announced.",
        ),
        threats=(("TA0102", ("T0846", "T0888")), ("TA0109", ("T0886",))),
    ),
    Rule(
        name="otmon: a sensor fell silent",
        key="silent-sensor",
        type="esql",
        severity="high",
        every="10m",
        since="now-24h",
        about="A sensor that reported within the last day has sent no record of its health for 20 minutes, and "
        "should have sent four: it is down, cut off, or was stopped. Told once or twice for each silence.",
        query=f"""FROM {index_of("sensor")}
| STATS last_seen = MAX(@timestamp) BY otmon.site, observer.name
| WHERE last_seen < NOW() - 20 minutes AND last_seen >= NOW() - 40 minutes
| SORT last_seen""",
        note="Nothing is seen at this site meanwhile. Is the sensor powered and its link up? `otmon doctor` on the "
        "sensor says "
        "what is wrong. Its spool keeps what it sees; records come in late once the link is back.",
        harmless=("A sensor that was stopped for maintenance.", "A narrow link over which records come in rarely."),
        threats=(("TA0107", ("T0878",)),),
    ),
    Rule(
        name="otmon: a storm of alerts",
        key="alert-storm",
        type="threshold",
        severity="high",
        every="15m",
        since="now-30m",
        about="Fifty or more different alerts at one site within half an hour: an attack that tries many things, a "
        "device "
        "that went wrong, or a policy that does not fit the plant any more.",
        query='event.module: "otmon" and event.kind: "alert" and not otmon.alert.kind: "visibility"',
        note="Open *otmon: What needs attention now?* for this site. Does one client cause them? Isolating it may be "
        "worth "
        "more than reading each. Was the policy changed just before (*Sensor health*, changes)?",
        harmless=("A policy that was just loaded; a network that was just rebuilt.",),
        threats=(("TA0102", ("T0846",)), ("TA0106", ("T0806",))),
        stream="alert",
        more={
            "threshold": {
                "field": ["otmon.site"],
                "value": 50,
                "cardinality": [{"field": "otmon.alert.id", "value": 50}],
            }
        },
    ),
    Rule(
        name="otmon: records of a sensor are missing",
        key="missing-records",
        type="esql",
        severity="medium",
        every="1h",
        since="now-6h",
        about="Sensors number what they say of their health; within six hours some numbers never arrived: records were "
        "lost on the way, shed because a link was down for long, or taken out.",
        query=f"""FROM {index_of("sensor")}
| STATS highest = MAX(event.sequence), lowest = MIN(event.sequence), arrived = COUNT(*) BY otmon.site, observer.name
| EVAL missing = highest - lowest + 1 - arrived
| WHERE missing > 0
| SORT missing DESC""",
        note="`otmon elastic status` on the sensor says what waits and what was shed. If nothing was, ask who stands "
        "between "
        "the sensor and Elasticsearch, a data diode for instance.",
        harmless=(
            "A link that was down for days: metrics are the first that is shed.",
            "A sensor whose database was begun anew, and with it its numbers.",
        ),
        threats=(("TA0107", ("T0878",)),),
    ),
)


def rule_id(rule: Rule) -> str:
    """The same for ever: Kibana finds by it what it is to replace."""
    return str(uuid.uuid5(_NAMES, rule.key))


def as_record(rule: Rule) -> dict[str, Any]:
    """As the detection engine imports it."""
    index = {"index": [index_of(rule.stream)]} if rule.stream else {}
    return {
        "rule_id": rule_id(rule),
        "name": rule.name,
        "description": rule.about,
        "type": rule.type,
        "language": ESQL if rule.type == "esql" else KQL,
        "query": rule.query,
        **index,
        **rule.more,
        "severity": rule.severity,
        "risk_score": SEVERITIES[rule.severity],
        "interval": rule.every,
        "from": rule.since,
        "to": "now",
        "enabled": False,
        "max_signals": 100,
        "author": ["otmon"],
        "license": "Apache-2.0",
        "tags": ["otmon", "OT"],
        "references": [],
        "false_positives": list(rule.harmless),
        "note": f"## What to do\n\n{rule.note}",
        "threat": [_threat(tactic, techniques) for tactic, techniques in rule.threats],
        "version": 1,
    }


def _threat(tactic: str, techniques: tuple[str, ...]) -> dict[str, Any]:
    """Techniques below their tactic, sub-techniques below their technique, as the detection engine wants them."""
    parents: dict[str, dict[str, Any]] = {}
    for name in techniques:
        technique, parent = TECHNIQUES[name], name.partition(".")[0]
        title, _, rest = technique.name.partition(": ")
        above = parents.setdefault(parent, _entry("techniques", parent, title) | {"subtechnique": []})
        if rest:
            above["subtechnique"].append(_entry("techniques", name, rest))
    return {
        "framework": FRAMEWORK,
        "tactic": _entry("tactics", tactic, TACTICS[tactic]),
        "technique": list(parents.values()),
    }


def _entry(kind: str, name: str, title: str) -> dict[str, Any]:
    return {"id": name, "name": title, "reference": f"https://attack.mitre.org/{kind}/{name.replace('.', '/')}/"}


def ndjson() -> str:
    """One rule a line."""
    return "".join(json.dumps(as_record(rule), ensure_ascii=False, sort_keys=True) + "\n" for rule in RULES)
