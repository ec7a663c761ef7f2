"""Rows that name points of the tag map: one row for each device, on the addresses where its points lie."""

from collections.abc import Callable, Sequence
from typing import Final

from otmon.policy.errors import Path, did_you_mean, quoted
from otmon.policy.fields import Limit
from otmon.policy.intervals import both, merge
from otmon.policy.judge import Rule
from otmon.policy.models import RowModel
from otmon.policy.rows import Points, Row, parts_of
from otmon.policy.tags import Tag, TagMap
from otmon.policy.zones import Hosts

Report = Callable[[Path, str, str], None]
_PLACES: Final = ("units", "outstation", "addresses", "items", "objects", "targets")


def check_points(model: RowModel, at: Path, tags: TagMap, report: Report) -> list[Tag]:
    """The points that the row names, as far as they are known."""
    found = []
    if not tags and tags.whole and model.points:
        report((*at, "points"), "no point is known", "name the tag map: `tags: plant.tags.csv` at the top of the file")
        return []
    for key in _PLACES:
        if getattr(model, key) is not None:
            report((*at, key), f"`{key}` does not go with `points`", "the tag map says where they are: leave it out")
    for i, name in enumerate(model.points or ()):
        tag = tags.by_name.get(name)
        if tag is None and not tags.whole:
            continue
        if tag is None:
            report((*at, "points", i), f"no point {quoted(name)} in the tag map", did_you_mean(name, tags.by_name))
        elif tag.protocol != model.protocol:
            report((*at, "points", i), f"{quoted(name)} is a point of {tag.protocol}", f"protocol: {tag.protocol}")
        else:
            found.append(tag)
    return found


def split(who: Rule, row: Row, model: RowModel, tags: Sequence[Tag], at: Path, report: Report) -> list[Rule]:
    """The row for each device and unit that has some of the points."""
    groups: dict[tuple[Hosts, int | None], list[Tag]] = {}
    for tag in tags:
        groups.setdefault((tag.hosts, tag.unit), []).append(tag)
    out = []
    for (hosts, unit), found in groups.items():
        servers = _shared(who.to_hosts, hosts)
        if not servers and not hosts.ranges:
            continue  # something is wrong with the device itself
        if not servers:
            wrong = f"{quoted(found[0].name)} is a point of {quoted(found[0].asset)}, which is not in `to`"
            report((*at, "points"), wrong, "name it in `to`, or leave the point out")
            continue
        ranges: dict[str, list[tuple[int, int]]] = {}
        for tag in found:
            ranges.setdefault(tag.space, []).append((tag.start, tag.start + tag.size - 1))
        targets = tuple(Limit(space, merge(pairs)) for space, pairs in ranges.items())
        link = None if unit is None else ((unit, unit),)
        points = Points(
            frozenset(tag.name for tag in found),
            model.step,
            None if model.rate is None else model.rate.per_s,
            any(tag.bit is not None for tag in found),
        )
        pointed = row._replace(targets=targets, parts=parts_of(targets), points=points)
        pointed = pointed._replace(outstations=link) if row.protocol == "dnp3" else pointed._replace(units=link)
        out.append(who._replace(to_hosts=servers, to_text=found[0].asset, rows=(pointed,)))
    return out


def _shared(servers: Sequence[Hosts], device: Hosts) -> tuple[Hosts, ...]:
    """The device, as far as it is one of the servers."""
    out = []
    for hosts in servers:
        ranges = both(hosts.ranges, device.ranges)
        if ranges and (None in (hosts.realm, device.realm) or hosts.realm == device.realm):
            out.append(Hosts(ranges, hosts.realm or device.realm))
    return tuple(out)
