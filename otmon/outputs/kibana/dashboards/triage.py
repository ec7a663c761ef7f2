"""One alert from the sentence to the evidence."""

from typing import Final

from otmon.outputs.kibana.dashboards.shared import BY_SEVERITY, JUDGED, alerts, controls, intro
from otmon.outputs.kibana.panels import ALERTS, Bars, Dashboard, Documents, Row, Table, Terms, Time, highest, latest

_ALERT: Final = Terms("otmon.alert.id", "alert", 50)
_TEXT: Final = """
**1.** Choose an alert in the list *Alert* above, or with ⊕ beside its id in the first table: the page is then about
that one. **2.** Read the sentence: who did what to what, whether the device did it, what the policy says. **3.**
*Accepted* means that it took effect: ask the shift whether it was meant. *Rejected*: the device refused. *Answer not
seen*: treat it as accepted. **4.** The last table has the frame numbers for Wireshark and the *community id*, under
which Zeek, Suricata and firewalls know the same conversation. To see all that a client does, filter by its address in
*Operations*.
"""
TRIAGE: Final = Dashboard(
    "triage",
    "Alert triage: one alert from sentence to evidence",
    "Choose one alert: what it says, who is concerned, what the device answered, where the evidence is",
    "now-7d",
    controls("alert", ("otmon.alert.id", "Alert"), ("otmon.alert.severity", "Severity"), ("otmon.alert.kind", "Kind")),
    (
        intro("triage", _TEXT, 5),
        Row(12, (alerts(48, "Which alert? What happened, in one sentence", "", latest("otmon.alert.kind", "kind")),)),
        Row(
            9,
            (
                Table(
                    24,
                    "Why is it an alert?",
                    "alert",
                    (_ALERT,),
                    (
                        highest("event.severity", "score"),
                        latest("rule.name", "rule"),
                        latest("rule.description", "what alerts like it mean"),
                        latest("event.reason", "what separates it from what is allowed"),
                    ),
                ),
                Table(
                    24,
                    "What did the device answer?",
                    "alert",
                    (_ALERT,),
                    (
                        highest("otmon.outcomes.attempted", "attempts"),
                        highest("otmon.outcomes.accepted", "accepted"),
                        highest("otmon.outcomes.partial", "partly"),
                        highest("otmon.outcomes.rejected", "rejected"),
                        highest("otmon.outcomes.unanswered", "no answer"),
                        highest("otmon.outcomes.unseen", "answer not seen"),
                    ),
                    JUDGED,
                ),
            ),
        ),
        Row(
            9,
            (
                Table(
                    48,
                    "What does it mean, and what to look at first?",
                    "alert",
                    (_ALERT,),
                    (
                        highest("event.severity", "score"),
                        latest("otmon.advice.process", "for the plant"),
                        latest("otmon.advice.security", "for security"),
                        latest("otmon.advice.check", "check first"),
                        latest("otmon.advice.harmless", "harmless when"),
                    ),
                ),
            ),
        ),
        Row(
            7,
            (
                Table(
                    24,
                    "Who did it?",
                    "alert",
                    (Terms("source.address", "client"),),
                    (
                        ALERTS,
                        latest("otmon.name.source", "name"),
                        latest("otmon.zone.source", "zone"),
                        latest("otmon.role.source", "role"),
                    ),
                ),
                Table(
                    24,
                    "To which device?",
                    "alert",
                    (Terms("destination.address", "server"),),
                    (
                        ALERTS,
                        latest("otmon.name.destination", "name"),
                        latest("otmon.zone.destination", "zone"),
                        latest("otmon.role.destination", "role"),
                    ),
                ),
            ),
        ),
        Row(
            8,
            (
                Table(
                    16,
                    "With which command?",
                    "alert",
                    (Terms("network.protocol", "protocol"), Terms("event.action", "command or finding")),
                    (ALERTS, latest("otmon.operation.access", "sort")),
                ),
                Table(
                    16,
                    "What was touched in the device?",
                    "alert",
                    (Terms("otmon.operation.target.text", "register, point or block", 20),),
                    (ALERTS,),
                ),
                Table(
                    16,
                    "Which attack technique may it be part of (ATT&CK for ICS)?",
                    "alert",
                    (Terms("threat.technique.name", "technique"),),
                    (ALERTS,),
                ),
            ),
        ),
        Row(6, (Bars(48, "When did it happen?", "alert", ALERTS, Time(), BY_SEVERITY),)),
        Row(
            11,
            (
                Documents(
                    48,
                    "How did it develop, and where is the evidence? (each change of an alert is a row)",
                    "alert",
                    (
                        "otmon.alert.id",
                        "otmon.alert.revision",
                        "message",
                        "otmon.alert.count",
                        "otmon.alert.evidence",
                        "network.community_id",
                        "otmon.attack.id",
                        "observer.name",
                    ),
                ),
            ),
        ),
    ),
)
