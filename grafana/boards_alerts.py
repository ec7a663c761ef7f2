"""Dashboards of what was found: the overview, one alert to its evidence, and what could not be seen."""

from typing import Final

from grafana.panels import (
    GOOD_AT_ZERO,
    ONE_ALERT,
    SENSOR,
    SEVERITY,
    SITE,
    ZONE,
    Board,
    course,
    figure,
    listing,
    ranking,
    table,
    words,
)
from grafana.queries import ALERT, ALERTS, ASSET, DEVICES, JUDGED, LAST, OPERATION, SCOPE, By, Metric, where

_VISIBILITY = where(SCOPE, "otmon.alert.kind:visibility")
_NOT_UNDERSTOOD = where(SCOPE, "otmon.alert.kind:protocol")
_ONE = where(ALERT, "otmon.alert.id:${alert:raw}")
_SEVERITY = By("otmon.alert.severity", "Severity")
_REASON = By("otmon.visibility.reason", "Reason")
_CLIENT = By("source.address", "Address", 50)
_CLIENT_NAME = By("otmon.name.source", "Name", 5, missing=True)
_CLIENT_ZONE = By("otmon.zone.source", "Zone", 5, missing=True)
_SERVER = By("destination.address", "Address", 50)
_SERVER_NAME = By("otmon.name.destination", "Name", 5, missing=True)
_SERVER_ZONE = By("otmon.zone.destination", "Zone", 5, missing=True)
_SENTENCE = {
    "@timestamp": "Last change",
    "otmon.alert.severity": "Severity",
    "message": "What happened",
    "otmon.alert.count": "Times",
    "otmon.outcome": "Did the device obey?",
    "observer.name": "Sensor",
    "otmon.alert.id": "Alert",
}


def _severity(name: str, about: str) -> tuple[str, str, str, str, Metric]:
    title = f"How many {name} alerts?"
    return title, about, "alert", where(ALERT, f"otmon.alert.severity:{name}"), ALERTS


OVERVIEW: Final = Board(
    "overview",
    "what needs attention now",
    "Start here. Alerts, the devices behind them, what is new and whether the sensors see everything.",
    (SITE, SENSOR, SEVERITY, ZONE),
    (
        [
            words(
                "How to read this",
                "An **alert** is one run of something the plant's policy does not allow, however often it happened. "
                "Click an alert's id for its evidence. Colours: red stops or reprograms a controller or breaks a "
                "*never* rule, orange changes the process, yellow is where nobody should be, blue is worth a look. "
                "otmon only watches: nothing was blocked.",
            )
        ],
        [
            figure(*_severity("critical", "Somebody stopped, restarted or programmed a controller, or did what a rule "
                   "of the plant forbids outright. Look at once."), GOOD_AT_ZERO),
            figure(*_severity("high", "The process may have been changed: a write or a value that is not allowed, or a "
                   "sensor that lost its eyes."), GOOD_AT_ZERO),
            figure(*_severity("medium", "Reads or connections that are not in the policy, and blind spots."),
                   GOOD_AT_ZERO),
            figure("How many devices did it come from?", "Different devices that began something not allowed.", "alert",
                   where(ALERT, JUDGED), Metric("cardinality", "source.address", "Devices")),
            figure("How many devices are known?", "Different devices in the inventory messages of this time.", "asset",
                   ASSET, DEVICES),
            figure("How many sensors report?", "Sensors that sent a health record in this time. Fewer than usual: look "
                   "at Sensor health.", "sensor", SCOPE, Metric("cardinality", "observer.name", "Sensors")),
        ],
        [
            course("When did alerts come?", "Alerts that began or went on in each interval, by severity. An alert that "
                   "lasts is in several intervals.", "alert", ALERT, [ALERTS], _SEVERITY, bars=True, w=16),
            ranking("What kinds of alerts?", "segmentation: two devices that should not speak. command: a function "
                    "that is not allowed. value: an allowed write with a forbidden value. protocol: broken messages. "
                    "visibility: something could not be seen.", "alert", ALERT, By("otmon.alert.kind", "Kind"), ALERTS),
        ],
        [
            listing("What happened last?", "The newest state of each alert of severity critical, high or medium, in "
                    "one sentence.", "alert", where(ALERT, "otmon.alert.severity:(critical OR high OR medium)"),
                    _SENTENCE, latest_of="otmon.alert.id", size=500, h=10),
        ],
        [
            table("Who is behind it?", "Devices that began what is not allowed, most alerts first.", "alert",
                  where(ALERT, JUDGED), (_CLIENT, _CLIENT_NAME, _CLIENT_ZONE), (ALERTS, LAST)),
            table("Which devices were the targets?", "Controllers and other devices that it was done to.", "alert",
                  where(ALERT, JUDGED), (_SERVER, _SERVER_NAME, _SERVER_ZONE), (ALERTS, LAST)),
        ],
        [
            table("What could not be seen?", "Reasons why something was missed, see the dashboard Visibility. An empty "
                  "table is good news.", "alert", _VISIBILITY, (_REASON, _SEVERITY), (ALERTS, LAST)),
            table("Which devices are new?", "Devices seen for the first time in this period. In a plant that is not "
                  "being rebuilt there should be none.", "asset", where(ASSET, "event.start:[$__from TO $__to]"),
                  (By("otmon.asset.address", "Address", 50), By("otmon.asset.name", "Name", 5, missing=True),
                   By("otmon.asset.zone", "Zone", 5, missing=True)), (DEVICES, LAST)),
        ],
    ),
)  # fmt: skip

TRIAGE: Final = Board(
    "triage",
    "alert triage",
    "From the sentence to the evidence. Put an alert's id into the field Alert above, or click one in the first table.",
    (SITE, SENSOR, SEVERITY, ZONE, ONE_ALERT),
    (
        [
            listing("What happened?", "The newest state of each alert. A click on its id shows that alert alone, in "
                    "all tables below.", "alert", _ONE, _SENTENCE, latest_of="otmon.alert.id", size=500, h=8),
        ],
        [
            listing("Why is it an alert?", "The rule that was broken, what rules of this kind mean, which permission "
                    "came closest, and what separates this from it.", "alert", _ONE, {
                        "otmon.alert.id": "Alert",
                        "rule.name": "Rule",
                        "rule.description": "Meaning",
                        "otmon.alert.nearest": "Closest permission",
                        "event.reason": "What is different",
                        "otmon.alert.review": "A person must decide because",
                        "threat.technique.name": "ATT&CK for ICS",
                        "threat.technique.id": "Ids",
                    }, latest_of="otmon.alert.id", h=7),
        ],
        [
            listing("Between whom?", "Who began it and with whom. A role is what a device behaves like.", "alert",
                    _ONE, {
                        "otmon.alert.id": "Alert",
                        "source.address": "From",
                        "otmon.name.source": "Name",
                        "otmon.zone.source": "Zone",
                        "otmon.role.source": "Role",
                        "destination.address": "To",
                        "otmon.name.destination": "Its name",
                        "otmon.zone.destination": "Its zone",
                        "otmon.role.destination": "Its role",
                        "network.protocol": "Protocol",
                    }, latest_of="otmon.alert.id", h=7),
        ],
        [
            listing("What exactly was done?", "Function and targets as the protocol names them, and how the device "
                    "answered: accepted means it did as told.", "alert", _ONE, {
                        "otmon.alert.id": "Alert",
                        "event.action": "Function",
                        "otmon.operation.access": "Kind of access",
                        "otmon.operation.target.text": "What was touched",
                        "otmon.alert.unit": "Unit",
                        "otmon.outcomes.attempted": "Attempted",
                        "otmon.outcomes.accepted": "Accepted",
                        "otmon.outcomes.rejected": "Refused",
                        "otmon.outcomes.unanswered": "No answer",
                    }, latest_of="otmon.alert.id", h=7),
        ],
        [
            listing("Which frames prove it?", "Input and frame number as Wireshark counts, and the Community ID under "
                    "which Zeek, Suricata and Packetbeat have the same connection.", "alert", _ONE, {
                        "otmon.alert.id": "Alert",
                        "event.start": "First",
                        "event.end": "Last",
                        "otmon.alert.evidence": "Frames (input:frame)",
                        "network.community_id": "Community ID",
                        "observer.name": "Sensor",
                    }, latest_of="otmon.alert.id", h=7),
        ],
        [
            course("When did it go on?", "Changes of the chosen alerts over time.", "alert", _ONE, [ALERTS],
                   By("otmon.alert.severity", "Severity"), bars=True, w=8),
            table("Which techniques of an attacker could it be?", "MITRE ATT&CK for ICS. A technique is a possibility, "
                  "not a verdict: maintenance uses the same functions.", "alert", _ONE,
                  (By("threat.technique.name", "Technique"), By("threat.technique.id", "Id")), (ALERTS,), w=8),
            table("Which rules were broken?", "`default-deny`: nothing permits it. Another name: the row of the policy "
                  "that forbids it, or the reason of a finding.", "alert", _ONE,
                  (By("rule.id", "Rule"), _SEVERITY), (ALERTS, LAST), w=8),
        ],
        [
            listing("What changed, step by step?", "Every change of the chosen alerts, newest first: one alert is many "
                    "lines here.", "alert", _ONE, {
                        "@timestamp": "When",
                        "otmon.alert.id": "Alert",
                        "otmon.alert.revision": "Change",
                        "otmon.alert.severity": "Severity",
                        "otmon.alert.count": "Times so far",
                        "message": "What it said then",
                    }),
        ],
        [
            listing("What else did these devices do?", "Operations of the plant in this period, newest first.",
                    "operation", OPERATION, {
                        "@timestamp": "When",
                        "message": "What",
                        "otmon.policy.verdict": "Policy",
                        "otmon.outcome": "Outcome",
                    }),
        ],
    ),
)  # fmt: skip

VISIBILITY: Final = Board(
    "visibility",
    "what we could not see",
    "A monitor that misses something and does not say so is worse than none. This is what otmon knows it missed.",
    (SITE, SENSOR),
    (
        [
            words(
                "How to read this",
                "**gap**, **one_sided**, **dropped**, **interface_dropped**, **switch_loss**: frames did not reach "
                "otmon; mend the mirror port or the sensor. **encrypted**, **unsupported**, **truncated**: they came "
                "and could not be read. **shed**: there was more than a table holds. Each reason is in "
                "`docs/alerts.md` with what to do.",
            )
        ],
        [
            table("Why was something not seen?", "Reasons, how many findings of each, and when last.", "alert",
                  _VISIBILITY, (_REASON, _SEVERITY), (ALERTS, LAST)),
            table("Between which devices?", "Conversations that were seen in part only: alerts about these devices may "
                  "be missing.", "alert", _VISIBILITY,
                  (By("source.address", "From"), By("destination.address", "To"), _REASON), (ALERTS, LAST)),
        ],
        [
            listing("What does otmon say of it?", "The newest state of each finding.", "alert", _VISIBILITY, {
                        "@timestamp": "Last change",
                        "otmon.visibility.reason": "Reason",
                        "message": "What was missed",
                        "otmon.visibility.bytes": "Bytes",
                        "otmon.visibility.frames": "Frames",
                        "otmon.visibility.connections": "Connections",
                        "observer.name": "Sensor",
                        "otmon.alert.id": "Alert",
                    }, latest_of="otmon.alert.id", size=500),
        ],
        [
            listing("What was seen and not understood?", "Messages that break their protocol's rules. Usually an odd "
                    "device, sometimes somebody who tries to be misread.", "alert", _NOT_UNDERSTOOD, {
                        "@timestamp": "Last change",
                        "otmon.alert.severity": "Severity",
                        "message": "What came",
                        "otmon.visibility.frames": "Frames",
                        "otmon.alert.id": "Alert",
                    }, latest_of="otmon.alert.id", size=500, h=7),
        ],
        [
            course("What became of control traffic?", "Bytes to and from controllers: understood, or why not.",
                   "sensor", SCOPE, [Metric("sum", f"otmon.bytes.{name}", text, "bytes") for name, text in (
                       ("decoded", "understood"), ("gap", "after a hole"), ("malformed", "malformed"),
                       ("unrecognised", "not the port's protocol"), ("encrypted", "encrypted"),
                       ("truncated", "cut short"), ("shed", "no room"))], bars=True),
            course("What were the frames?", "Every frame is counted in one bucket.", "sensor", SCOPE,
                   [Metric("sum", f"otmon.frames.{name}", text) for name, text in (
                       ("ot", "control traffic"), ("tcp_control", "TCP without content"), ("other_ip", "other IP"),
                       ("non_ip", "no IP"), ("copy", "seen twice"), ("malformed", "broken"), ("truncated", "cut short"),
                       ("unsupported", "not looked into"), ("shed", "no room"))], bars=True),
        ],
        [
            course("Are there holes?", "Holes in control conversations and bytes that never came.", "sensor", SCOPE,
                   [Metric("sum", "otmon.visibility.gaps", "holes"),
                    Metric("sum", "otmon.visibility.missing_bytes", "missing bytes")], bars=True),
            course("Did the sensor lose frames?", "Ring: the sensor read too slowly. Card: the network card or its "
                   "driver lost them.", "sensor", SCOPE,
                   [Metric("sum", "otmon.sensor.dropped", "ring"),
                    Metric("sum", "otmon.sensor.interface_drops", "card")], bars=True),
        ],
    ),
)  # fmt: skip
