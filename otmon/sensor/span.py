"""`otmon doctor span`: what an interface showed for a while, as checks with the likely cause on the switch."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from otmon.capture.check import Check, Level
from otmon.sensor import mirror
from otmon.sensor.sample import Sample
from otmon.sensor.source import Reading
from otmon.site.part import Part
from otmon.text import safe_text

if TYPE_CHECKING:
    from otmon.policy.judge import Policy

GROUP_SHARE: Final = 0.95
"""Frames to many among all, above which this is no mirror port: a switch sends those to every port."""
ENOUGH_TO_TELL: Final = 10
ORDER: Final = (
    *("traffic", "encapsulation", "directions", "tags", "copies"),
    *("loss in the switch", "loss here", "conduits"),
)
"""Of the checks."""
SHOWN: Final = 5
"""Conduits named of those that are missing."""

WORDS: Final[dict[str, tuple[str, Level, str, str, str]]] = {
    "nothing": (
        "traffic",
        "wrong",
        "not one frame arrived",
        "The mirror session does not exist or is switched off, its destination is another port, or the cable is wrong.",
        "On the switch: look at the mirror (SPAN) session, its sources and its destination port. "
        "Look at the link light at both ends.",
    ),
    "no_mirror": (
        "traffic",
        "wrong",
        "{group} of {of} frames are broadcast or multicast, and no conversation is among them",
        "This is an ordinary switch port and no mirror: a switch sends every port what is for all, and nothing else.",
        "On the switch: make this port the destination of a mirror session, and the ports (or VLANs) of the "
        "controllers its sources.",
    ),
    "one_way": (
        "directions",
        "wrong",
        "{connections} of {of} TCP connections show one direction alone",
        "The mirror copies only what its source ports receive, or only what they send, and the other ends are on ports "
        "that are not mirrored; or this is one side of a tap.",
        "On the switch: set the direction of the sources to both (Cisco: `both`; others: rx and tx), or mirror the "
        "ports of both ends. With a tap: otmon watch --tap A+B.",
    ),
    "tagged_one_way": (
        "tags",
        "warning",
        "{connections} of {of} TCP connections have a VLAN tag in one direction alone",
        "A mirror of received frames shows them as they came, one of sent frames as they go: untagged on access ports. "
        "otmon counts each conversation once all the same; realms that are declared by VLAN cannot work.",
        "On the switch: keep the tags at the destination (Cisco: `encapsulation replicate`), or mirror received frames "
        "on all ports. Declare realms by interface.",
    ),
    "doubled": (
        "copies",
        "warning",
        "{copies} of {of} frames are there twice: x{factor}",
        "The mirror copies frames where they come in and again where they go out: all ports, or a VLAN, in both "
        "directions. otmon counts them once, but they take up the mirror port, which drops when it is full.",
        "On the switch: mirror received frames alone (rx) on all ports, or both directions of the controllers' ports "
        "alone.",
    ),
    "routed": (
        "copies",
        "warning",
        "{copies} of {of} frames are there before and after a router (lower TTL, other MAC addresses): x{factor}",
        "The mirror has sources on both sides of a router or firewall, or a switch that routes between VLANs. otmon "
        "counts them once.",
        "Nothing must be done. To save the mirror port: leave the ports to the router out of its sources.",
    ),
    "redundant": (
        "copies",
        "ok",
        "{copies} of {of} frames come from both LANs of a redundant network (PRP, HSR): x{factor}",
        "That is as it should be. otmon counts them once.",
        "",
    ),
    "switch_loss": (
        "loss in the switch",
        "wrong",
        "{gaps} holes in TCP streams: {bytes} bytes were acknowledged by whom they were for and never came here",
        "This machine lost nothing, so the switch did: the sources together send more than the mirror port can, in "
        "bursts if not on average, or the switch mirrors with low priority.",
        "On the switch: mirror fewer ports, only one direction where that doubles, or use a faster destination port. "
        "Look at its output drops.",
    ),
    "dropped": (
        "loss here",
        "wrong",
        "this machine lost {frames} of {of} frames",
        "They came, and were not read in time: the machine is too slow or too busy.",
        "otmon doctor INTERFACE",
    ),
    "conduits": (
        "conduits",
        "warning",
        "{missing} of {of} conduits were not seen: {names}",
        "Nobody used them in this time, or the ports of one end of them are no sources of the mirror.",
        "Compare the list with the sources of the mirror session; watch longer (--seconds) for what is rare.",
    ),
}
"""Fault -> check, level, what was found, the likely cause, what to change."""


def judge(interface: str, part: Part, sample: Sample, reading: Reading, policy: "Policy | None" = None) -> list[Check]:
    """The verdict on what arrived at an interface; `reading`: its counters since then."""
    copies, of = mirror.copied(part)
    if not of:
        return [_check(interface, "nothing", {})]
    if sample.frames >= ENOUGH_TO_TELL and sample.group_frames > GROUP_SHARE * sample.frames and not _talk(part):
        return [_check(interface, "no_mirror", {"group": sample.group_frames, "of": sample.frames})]
    lost = reading.dropped + reading.interface_drops
    figures: dict[str, dict[str, int | str]] = {
        fault.reason: {**fault.detail, "copies": fault.frames, "factor": f"{of / max(1, of - copies):.1f}"}
        for fault in mirror.faults(part, sample, lost)
    }
    if lost:
        figures["dropped"] = {"frames": lost, "of": reading.received + lost}
    missing, conduits = _conduits(part, policy)
    if missing:
        names = ", ".join(missing[:SHOWN]) + (", …" if len(missing) > SHOWN else "")
        figures["conduits"] = {"missing": len(missing), "of": conduits, "names": names}
    bad = [_check(interface, reason, what) for reason, what in figures.items()]
    named = {check.name for check in bad}
    fine = [check for check in _fine(interface, part, sample, conduits) if check.name not in named]
    return sorted(fine + bad, key=lambda check: ORDER.index(check.name))


def _check(interface: str, reason: str, figures: dict[str, int | str]) -> Check:
    name, level, found, cause, change = WORDS[reason]
    shown = {key: f"{value:,}" if isinstance(value, int) else value for key, value in figures.items()}
    return Check(interface, name, level, found.format(**shown), cause, change)


def _fine(interface: str, part: Part, sample: Sample, conduits: int) -> Iterator[Check]:
    """What is said where nothing is wrong."""
    copies, of = mirror.copied(part)
    one_way, tcp = mirror.directions(part)
    tunnels = [f"{name}: {number:,}" for name, number in sample.tunnels.items() if number]
    tunnels += [f"not looked into: {name}: {number:,}" for name, number in sorted(part.unsupported.items())]
    gaps = part.visibility.get("gaps", 0)
    yield Check(interface, "traffic", "ok", f"{of:,} frames")
    yield Check(interface, "encapsulation", "ok", ", ".join(tunnels) or "none")
    yield Check(interface, "directions", "ok", f"{tcp - one_way:,} of {tcp:,} TCP connections show both")
    yield Check(interface, "tags", "ok", f"{sample.tagged_one_way:,} TCP connections are tagged one way")
    yield Check(interface, "copies", "ok", f"{copies:,} of {of:,} frames")
    yield Check(interface, "loss in the switch", "ok", f"{gaps:,} holes in TCP streams")
    yield Check(interface, "loss here", "ok", "none")
    if conduits:
        yield Check(interface, "conduits", "ok", f"all {conduits:,} were seen")


def _talk(part: Part) -> bool:
    """Whether anybody answers anybody."""
    return any(all(c.frames) for c in part.connections)


def _conduits(part: Part, policy: "Policy | None") -> tuple[list[str], int]:
    """(those of which no connection was seen, how many there are)."""
    if policy is None:
        return [], 0
    rules, seen = policy.conduits, set[int]()
    for realm, client, server in {(c.realm, c.client, c.server) for c in part.connections}:
        ends = (rules.sides(realm, policy.sites.place(realm, address)) for address in (client, server))
        (from_, _), (_, to) = ends
        seen |= from_ & to
    missing = [safe_text(f"{rule.from_text} -> {rule.to_text}") for n, rule in enumerate(rules.rules) if n not in seen]
    return missing, len(rules.rules)
