"""What an alert means, for the process and for security, what to look at first, and when nothing is wrong.

For somebody who does not know what a coil is. One entry for each topic; the topic follows from the alert's kind, the
access class of what was done and the finding. docs/soc.md shows them all.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple


class Advice(NamedTuple):
    """One topic, in whole sentences."""

    process: str
    """For the plant."""
    security: str
    check: str
    """First."""
    harmless: str
    """When nothing is wrong, or nothing worse than a policy that lacks a row."""


ADVICE: Final[dict[str, Advice]] = {
    "connect": Advice(
        "Nothing was changed yet: two machines spoke that the policy keeps apart.",
        "A path that should not exist was tried, or is open. Attackers cross zones before they touch a controller.",
        "Which program on the client opened the connection, and whether a firewall should have stopped it. If the "
        "outcome is accepted, the path is open: look for what followed between the two.",
        "A new server, a changed address, remote maintenance or a software update that nobody entered into the policy.",
    ),
    "scan": Advice(
        "Old controllers can stop or lose connections when many ports are tried at once.",
        "Somebody is looking for what is there: the usual first step after a break-in.",
        "Who uses the client now. If it is no scanner of your own, take it off the network before you search it.",
        "An inventory or vulnerability scanner of your own, at a time that was agreed upon.",
    ),
    "read": Advice(
        "Nothing was changed. A value or a state was asked for; much of it can slow an old controller down.",
        "Reading is how an attacker learns what a controller does, before writing to it.",
        "Whether the client is a station that operates this plant, and whether it now reads other addresses than "
        "before.",
        "A new display, report or historian tag; a station that took over for another one.",
    ),
    "write": Advice(
        "A value in a controller was set: a set-point, a switch or a parameter. If the outcome is accepted, the "
        "controller works with it now.",
        "Writing what one may not write is how a process is manipulated. The controller does not ask who sends.",
        "The value in the controller and on the display now, with the operator on shift; then who sat at the client.",
        "An operator at another station than usual, or a change in the control programme that the policy does not "
        "know.",
    ),
    "control": Advice(
        "Equipment was commanded: a breaker, valve, pump, or the outstation itself. If accepted, something may "
        "have moved.",
        "Commands from the wrong place are what the attacks on Ukraine's grid (2015, 2016, 2022) were made of.",
        "The state of the equipment on site, with the control room; then whether the command was theirs.",
        "A test or a switching programme from a station that the policy does not list.",
    ),
    "program": Advice(
        "The controller's programme was read, changed, stopped or started. If accepted, it may do something else "
        "now, or nothing.",
        "Stuxnet and Triton changed controllers in this way. Reading out a programme is how it begins.",
        "Whether a change was ordered for this controller at this time. Compare its programme with your last "
        "backup; do not restart it before you have a copy.",
        "Planned work by an engineer, from a laptop or at a time that the policy does not permit.",
    ),
    "diagnose": Advice(
        "The controller was asked about its state, or told to reset counters; some of these functions restart its "
        "communication or make it listen only, which stops it answering.",
        "Diagnostic functions reveal what is there, and can silence a device.",
        "Whether the device still answers its usual stations, and who ran a diagnostic tool.",
        "Maintenance with the manufacturer's tool.",
    ),
    "identify": Advice(
        "Nothing was changed: a device was asked what it is.",
        "Type and firmware tell an attacker which weaknesses to try.",
        "Whether the client asks one device or all of them.",
        "An inventory or asset management tool of your own.",
    ),
    "value": Advice(
        "The point may be written by this station, but not with this value: it is outside the limits of the "
        "policy. If accepted, the controller works with it.",
        "A value out of bounds can damage equipment; a legitimate station that writes it may be in the wrong hands.",
        "The value now, with the operator; whether the controller has limits of its own.",
        "Commissioning, a recipe with other limits, or bounds in the policy that are too tight.",
    ),
    "asset": Advice(
        "A device appeared, changed or took an address that belongs to another one.",
        "A foreign device in a plant is a foothold; one that takes another's address can speak in its name.",
        "Find the device by its switch port. Nobody plugs anything in by accident where cabinets are locked.",
        "A repaired or replaced device, a technician's laptop.",
    ),
    "logic_changed_unseen": Advice(
        "A block of the controller's programme is another one than when it was read out before: the controller may do "
        "something else now.",
        "Nobody was seen loading it. Whoever changes a controller past the monitor does it from another network, at "
        "the controller's own port, or with a memory card.",
        "Compare the block with your last backup and ask who changed it; then whether the sensor watched all the time "
        "in between, and every way to the controller.",
        "A download while the sensor did not run or lost frames (its health and its findings say when), or over a "
        "serial port, a memory card or a network that it does not see; a tool that reads another form of the block.",
    ),
    "habit_changed": Advice(
        "A station that commands or reads controllers speaks in another way than it used to. What it does may still be "
        "all right.",
        "Whoever takes the address of a permitted station is permitted what that station is; how its machine and its "
        "programs begin a connection is harder to imitate.",
        "Whether the station was replaced, updated or restarted with other software at that time; if not, which switch "
        "port its address is at.",
        "An update of the operating system or of the program, a second program on the same station, a spare machine "
        "that took over, a firewall or router put in between that rewrites connections.",
    ),
    "protocol": Advice(
        "What was sent is not what its port or its protocol says it is. The controller may have ignored it, or not.",
        "Broken messages come from faulty devices, from tests of weaknesses, or from something that hides on a "
        "known port.",
        "Whether the device that sends is the one you expect, and whether it began on one day.",
        "Another protocol on a known port, a device with faulty firmware, a gateway for terminals.",
    ),
    "overlap_conflict": Advice(
        "The same place in a connection came twice with different content: the controller may have seen other "
        "bytes than the sensor.",
        "Networks do not do that by themselves. It is a known way of hiding a command from a monitor.",
        "The two readings in the evidence, and the machine that sent them. Treat the connection as hostile.",
        "Rarely: a faulty network card or a middlebox that rewrites traffic.",
    ),
    "urgent_data": Advice(
        "A byte was marked as urgent: the controller may have left it out, and read another message than the sensor.",
        "Control protocols never use urgent data. It is a known way of hiding a command from a monitor.",
        "The machine that sent it, and whether an alert tells of a command without that byte.",
        "Hardly ever: a stack with a fault.",
    ),
    "fragment_conflict": Advice(
        "IP fragments came with different content at one place: the controller may have put together what the "
        "sensor could not.",
        "Networks do not do that by themselves. It is a known way of hiding a packet from a monitor.",
        "The machine that sent them. What it sent to this device otherwise, and whether the device still does as it "
        "should.",
        "Rarely: identifications used again by a machine that sends very many fragments.",
    ),
    "blind": Advice(
        "The plant is not touched: the sensor only listens.",
        "For the time and the conversations named, nobody would have seen an attack. Absence of alerts means "
        "nothing there.",
        "The mirror port, its cable or the sensor's own machine: `otmon doctor` and `otmon doctor span` say "
        "which, and what mends it.",
        "A restart of the switch, work on the mirror, or a burst of traffic that was counted and is over.",
    ),
    "unreadable": Advice(
        "The plant is not touched.",
        "What was said there cannot be judged. Encryption is good for the plant, and makes the ends matter more.",
        "Whether the two are a pair that should be encrypted, such as a recent engineering tool and its controller.",
        "Nearly always, where such tools are in use.",
    ),
    "not_judged": Advice(
        "The plant is not touched: the sensor only listens.",
        "The policy says nothing of any of these hosts: whatever they do to each other raises no alert.",
        "Whether the policy is that of this network, and whether its zones hold the addresses that are there.",
        "A sensor or a capture at a place that was never meant to be judged.",
    ),
    "sensor": Advice(
        "The plant is not touched.",
        "The sensor itself is not as it should be: what it finds may not reach you, or its rules are not the newest.",
        "The sensor's machine, with the sentence of the alert: it names the file, address or disk.",
        "Work on the sensor or on the server that it reports to.",
    ),
}

_OWN: Final = frozenset(
    {"scan", "overlap_conflict", "urgent_data", "fragment_conflict", "logic_changed_unseen", "habit_changed"}
)
"""Functions that are topics of their own."""
_BY_REASON: Final = {
    "encrypted": "unreadable",
    "folded": "unreadable",
    "policy_broken": "sensor",
    "not_judged": "not_judged",
    "disk_full": "sensor",
    "sink_stopped": "sensor",
    "sink_away": "sensor",
    "sink_refused": "sensor",
    "spool_shed": "sensor",
    "internal": "sensor",
}
_BY_KIND: Final = {"value": "value", "asset": "asset", "protocol": "protocol", "visibility": "blind"}


def topic(record: Mapping[str, Any]) -> str:
    """The key of ADVICE for an alert record (docs/records/alert.schema.json)."""
    operation, finding = record.get("operation") or {}, record.get("finding") or {}
    if operation.get("function") in _OWN:
        return str(operation["function"])
    if finding.get("reason") in _BY_REASON:
        return _BY_REASON[finding["reason"]]
    return _BY_KIND.get(record["kind"]) or str(operation.get("access") or "connect")


def advice(record: Mapping[str, Any]) -> Advice:
    """What to tell people of an alert."""
    return ADVICE.get(topic(record), ADVICE["connect"])
