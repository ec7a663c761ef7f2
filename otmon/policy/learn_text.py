"""Learned rows as the text of a policy file. Whatever stands in quotes is safe text already."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from otmon.policy.generalise import Conduit, Learned
from otmon.policy.intervals import Intervals, text
from otmon.policy.propose import Place, Proposal
from otmon.policy.scalars import plain_value
from otmon.policy.zones import Realms

_PORT_KEYS: Final = {"tcp": "ports", "udp": "ports", "ip": "numbers"}
_PLAIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*\Z")
_YAML_1_1: Final = frozenset({"yes", "no", "on", "off", "y", "n"})
"""Words for us, booleans for older tools."""
_SLUG: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_DB: Final = re.compile(r"(DB|DI)\d{1,5}\Z")
_AREAS: Final = frozenset("MIQVLP")
_GROUP: Final = re.compile(r"g\d{1,3}\Z")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def header(site: str, timezone: str, realms: Realms, seen: Collection[str], names: Mapping[Place, str]) -> str:
    """A policy in which nothing is permitted yet; `seen`: realms of operations; `names`: of devices."""
    lines = ["# Learned by otmon: it permits what was seen. Read it before you trust it.", "otmon: 1"]
    lines += [f"site: {quote(site)}", f"timezone: {quote(timezone)}"]
    declared = {*realms.names, *(seen if len(seen) > 1 else ())}
    if declared:
        lines += ["realms:", *_realms(realms, declared)]
    lines += ["zones: {}", *(["assets:"] if names else [])]
    used = {"any", "outside", ""}
    for (realm, address), name in sorted(names.items()):
        key = _unique(_SLUG.sub("-", name).strip("-.").lower()[:48] or "asset", used)
        within = f", realm: {quote(realm)}" if declared else ""
        lines.append(f"  {key}: {{hosts: [{quote(address)}], name: {quote(name)}{within}}}")
    return "\n".join([*lines, "conduits: []", "review: []"]) + "\n"


def zone_lines(zones: Iterable[Proposal], realms: Collection[str]) -> Iterator[str]:
    """Entries of `zones:`, each with its reason above it."""
    for zone in zones:
        yield f"# {zone.reason}"
        parts = [] if zone.level is None else [f"level: {zone.level}"]
        parts += [f"hosts: {_flow(zone.hosts)}"] + ([f"realm: {quote(zone.realm)}"] if zone.realm in realms else [])
        yield f"{quote(zone.name)}: {{{', '.join(parts)}}}"


def conduit_lines(
    conduit: Conduit, reason: str | None, realms: Collection[str], names: Mapping[Place, str], taken: set[str]
) -> Iterator[str]:
    """An item of `conduits:`, or with a reason of `review:`; `names`: assets that are one address."""
    clients, servers = (
        [names.get((conduit.realm, address), address) for address in side]
        for side in (conduit.clients, conduit.servers)
    )
    yield f"- id: {quote(_id('review-' if reason else '', clients, servers, taken))}"
    if reason:
        yield f"  reason: {quote(reason)}"
    if conduit.realm in realms:
        yield f"  realm: {quote(conduit.realm)}"
    yield f"  from: {_flow(clients)}"
    yield f"  to: {_flow(servers)}"
    yield f"  {'operations' if reason else 'allow'}:"
    for row in conduit.rows:
        first, *rest = _row(row)
        yield f"    - {first}"
        yield from (f"      {line}" for line in rest)


def _row(row: Learned) -> Iterator[str]:
    yield f"protocol: {row.protocol}"
    if row.functions is not None:
        yield f"functions: {_flow(row.functions)}"
    if row.access is not None:
        yield f"access: {row.access}"
    if row.master is not None:
        yield f"master: {row.master}"
    if row.units is not None:
        yield f"{'units' if row.master is None else 'outstation'}: {_flow(_ranges(row.units))}"
    if row.ports is not None:
        yield f"{_PORT_KEYS.get(row.protocol, 'port')}: {_flow(_ranges(row.ports))}"
    yield from _targets(row)
    if row.values is not None:
        low, high = row.values
        yield f"values: {low:.0f}" if low == high else f"values: {quote(text([row.values]))}"


def _targets(row: Learned) -> Iterator[str]:
    """`addresses`, `items` and `objects` where they say it; `targets` for the rest."""
    short: dict[str, list[int | str]] = {}
    full: dict[tuple[str, Intervals | None, bool], list[str]] = {}
    for space, name, ranges in row.targets or ():
        if space == "addresses" and ranges is not None:
            short.setdefault("addresses", []).extend(_ranges(ranges))
        elif name is None and row.protocol == "s7comm" and (_DB.match(space) or space in _AREAS):
            prefix = f"{space}.{space[:2]}B" if len(space) > 1 else f"{space}B"
            short.setdefault("items", []).extend(
                [space] if ranges is None else [f"{prefix}{text}" for text in _ranges(ranges)]
            )
        elif name is None and row.protocol == "dnp3" and _GROUP.match(space):
            short.setdefault("objects", []).extend(
                [space] if ranges is None else [f"{space} {text}" for text in _ranges(ranges)]
            )
        else:
            full.setdefault((space, ranges, name is None), []).extend([] if name is None else [name])
    for key, texts in short.items():
        yield f"{key}: {_flow(texts)}"
    if full:
        yield "targets:"
    for (space, ranges, _), names in full.items():
        parts = [f"space: {quote(space)}"]
        parts += [f"ranges: {_flow(_ranges(ranges))}"] if ranges is not None else []
        parts += [f"names: {_flow(names)}"] if names else []
        yield f"  - {{{', '.join(parts)}}}"


def _realms(realms: Realms, seen: Iterable[str]) -> Iterator[str]:
    for name in sorted({*realms.names, *seen}):
        marks = (("vlans", realms.vlans), ("interfaces", realms.interfaces), ("inputs", realms.inputs))
        parts = []
        for key, table in marks:
            mine = [mark for mark, realm in sorted(table.items()) if realm == name]
            if mine:
                parts.append(f"{key}: {_flow(mine)}")
        yield f"  {quote(name)}: {{{', '.join(parts)}}}"


def _id(prefix: str, clients: Sequence[str], servers: Sequence[str], taken: set[str]) -> str:
    sides = []
    for side in (clients, servers):
        more = f"-and-{len(side) - 1}-more" if len(side) > 1 else ""
        sides.append(_SLUG.sub("-", side[0])[:20].strip("-") + more)
    return _unique(f"{prefix}{sides[0]}-to-{sides[1]}"[:60], taken)


def _unique(name: str, taken: set[str]) -> str:
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    taken.add(found)
    return found


def _ranges(ranges: Intervals) -> list[int | str]:
    return [low if low == high else f"{low}-{high}" for low, high in ranges]


def _flow(items: Iterable[object]) -> str:
    return f"[{', '.join(quote(item) if isinstance(item, str) else str(item) for item in items)}]"


def quote(text: str) -> str:
    """A YAML scalar that is read as this text: plain where that is certain, else in double quotes as in JSON."""
    certain = _PLAIN.match(text) and isinstance(plain_value(text), str) and text.lower() not in _YAML_1_1
    return text if certain else json.dumps(text, ensure_ascii=False)


def moment(ts_ns: int) -> str:
    """UTC, to the second."""
    return f"{_EPOCH + timedelta(seconds=ts_ns // 1_000_000_000):%Y-%m-%dT%H:%M:%SZ}"
