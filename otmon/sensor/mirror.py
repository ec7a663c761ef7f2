"""Is the mirror whole? One judgement, for `otmon doctor span` and for the sensor's health."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from otmon.sensor.sample import Sample
from otmon.site.part import Part

ENOUGH_FRAMES: Final = 100
"""Shares below are judged from so many frames of an interval on."""
DOUBLED_SHARE: Final = 0.1
"""Copies among all frames, above which the mirror itself doubles (a plant's own doubles are rare)."""
ENOUGH_CONNECTIONS: Final = 5
ONE_WAY_SHARE: Final = 0.5
"""TCP connections of which one direction is missing, above which the mirror is one-way."""
TAGGED_SHARE: Final = 0.5
"""TCP connections of which one direction alone is tagged, above which the mirror does it."""
ENOUGH_GAPS: Final = 3
LOSS_SHARE: Final = 0.001
"""Holes in streams among all frames, above which the switch loses frames of the mirror."""
OF_COPIES: Final = {"same": "doubled", "tagged": "doubled", "routed": "routed", "redundant": "redundant"}
"""Kind of copy that most are -> fault."""
HARMLESS: Final = frozenset({"routed", "redundant"})
"""Counted once and nothing lost: no alert of the sensor's."""


class Fault(NamedTuple):
    """One thing that is wrong with what a mirror shows."""

    reason: str
    """A key of otmon.alerts.visibility.REASONS, or of HARMLESS."""
    frames: int
    detail: dict[str, int | str]


def faults(part: Part, sample: Sample, lost_here: int) -> Iterator[Fault]:
    """What an interval says. `lost_here`: frames that the ring or the interface dropped, which leave holes as well."""
    one_way = _one_way(part)
    yield from one_way
    yield from _tagged(sample)
    yield from _copies(part, sample)
    if not one_way and not lost_here:
        yield from _switch_loss(part)


def directions(part: Part) -> tuple[int, int]:
    """(TCP connections of which one direction is missing, of how many)."""
    tcp = [c for c in part.connections if c.transport == "tcp"]
    return sum(c.one_sided for c in tcp), len(tcp)


def copied(part: Part) -> tuple[int, int]:
    """(copies, of how many frames)."""
    return part.frames.get("copy", 0), sum(number for name, number in part.frames.items() if name != "captured")


def _one_way(part: Part) -> list[Fault]:
    one_way, of = directions(part)
    enough = of >= ENOUGH_CONNECTIONS and one_way > ONE_WAY_SHARE * of
    return [Fault("one_way", 0, {"connections": one_way, "of": of})] if enough else []


def _tagged(sample: Sample) -> Iterator[Fault]:
    tagged, of = sample.tagged_one_way, sample.both_ways
    if of >= ENOUGH_CONNECTIONS and tagged > TAGGED_SHARE * of:
        yield Fault("tagged_one_way", 0, {"connections": tagged, "of": of})


def _copies(part: Part, sample: Sample) -> Iterator[Fault]:
    copies, of = copied(part)
    if of >= ENOUGH_FRAMES and copies > DOUBLED_SHARE * of:
        kind = max(sample.copies, key=lambda name: sample.copies[name])
        yield Fault(OF_COPIES[kind], copies, {"of": of})


def _switch_loss(part: Part) -> Iterator[Fault]:
    gaps, missing = part.visibility.get("gaps", 0), part.visibility.get("missing_bytes", 0)
    if gaps >= ENOUGH_GAPS and gaps > LOSS_SHARE * copied(part)[1]:
        yield Fault("switch_loss", 0, {"bytes": missing, "gaps": gaps})
