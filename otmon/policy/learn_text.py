"""Learned rows as the text of a policy file. Whatever stands in quotes is safe text already."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from otmon.policy.addresses import is_group, network_of, point
from otmon.policy.intervals import Intervals
from otmon.policy.scalars import plain_value
from otmon.policy.zones import Realms

if TYPE_CHECKING:
    from otmon.policy.learn import Learned, Seen

ZONE: Final = "plant"
_PORT_KEYS: Final = {"tcp": "ports", "udp": "ports", "ip": "numbers"}
_PLAIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*\Z")
_YAML_1_1: Final = frozenset({"yes", "no", "on", "off", "y", "n"})
"""Words for us, booleans for older tools."""
_SLUG: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_DB: Final = re.compile(r"(DB|DI)\d{1,5}\Z")
_AREAS: Final = frozenset("MIQVLP")
_GROUP: Final = re.compile(r"g\d{1,3}\Z")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Conduit(NamedTuple):
    """Rows that hold from any of these clients to any of these servers; `reason`: they are for review."""

    realm: str
    clients: list[str]
    servers: list[str]
    reason: str | None
    rows: "list[tuple[Learned, Seen]]"


def write_policy(
    site: str,
    timezone: str,
    hosts: Sequence[tuple[str, str]],
    names: Mapping[tuple[str, str], str],
    realms: Realms,
    conduits: Sequence[Conduit],
    review: Sequence[Conduit],
) -> str:
    """The whole file."""
    several = len({realm for realm, _ in hosts}) > 1
    assets = _assets(hosts, names)
    lines = ["# Learned by otmon: it permits what was seen. Read it before you trust it.", "otmon: 1"]
    lines += [f"site: {quote(site)}", f"timezone: {quote(timezone)}"]
    if realms.names or several:
        lines += ["realms:", *_realms(realms, {realm for realm, _ in hosts} if several else set())]
    known = networks(address for _, address in hosts)
    lines += ["zones:", f"  {ZONE}: {{hosts: {_flow(known)}}}"] if known else ["zones: {}"]
    if assets:
        lines.append("assets:")
    for (realm, address), key in assets.items():
        within = f", realm: {quote(realm)}" if several else ""
        lines.append(f"  {key}: {{hosts: [{quote(address)}], name: {quote(names[realm, address])}{within}}}")
    taken: set[str] = set()
    for title, key, entries in (("conduits", "allow", conduits), ("review", "operations", review)):
        lines.append(f"{title}:" if entries else f"{title}: []")
        for entry in entries:
            lines += _conduit(entry, key, several, assets, taken)
    return "\n".join(lines) + "\n"


def _conduit(
    entry: Conduit, key: str, several: bool, assets: Mapping[tuple[str, str], str], taken: set[str]
) -> Iterator[str]:
    clients, servers = ([assets.get((entry.realm, a), a) for a in side] for side in (entry.clients, entry.servers))
    name = _id("review-" if entry.reason else "", clients, servers, taken)
    yield f"  - id: {quote(name)}"
    if entry.reason:
        yield f"    reason: {quote(entry.reason)}"
    if several:
        yield f"    realm: {quote(entry.realm)}"
    yield f"    from: {_flow(clients)}"
    yield f"    to: {_flow(servers)}"
    yield f"    {key}:"
    for row, seen in entry.rows:
        first, *rest = _row(row, seen)
        yield f"      - {first}"
        yield from (f"        {line}" for line in rest)


def _row(row: "Learned", seen: "Seen") -> Iterator[str]:
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
    first, last = rfc3339(seen.first_ts_ns), rfc3339(seen.last_ts_ns)
    yield f'seen: {{count: {seen.times}, first: "{first}", last: "{last}"}}'


def _targets(row: "Learned") -> Iterator[str]:
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


def networks(addresses: Iterable[str]) -> list[str]:
    """Of all hosts: what the learned zone holds."""
    return sorted({network_of(address) for address in addresses if not (is_group(at := point(address)) or at == 0)})


def _assets(hosts: Sequence[tuple[str, str]], names: Mapping[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    out: dict[tuple[str, str], str] = {}
    used = {ZONE, "any", "outside", ""}
    for host in hosts:
        if host in names:
            slug = _SLUG.sub("-", names[host]).strip("-.").lower()[:48] or "asset"
            out[host] = _unique(slug, used)
    return out


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


def rfc3339(ts_ns: int) -> str:
    """UTC, with as many digits as there are."""
    moment = _EPOCH + timedelta(seconds=ts_ns // 1_000_000_000)
    fraction = f"{ts_ns % 1_000_000_000:09d}".rstrip("0")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{'.' + fraction if fraction else ''}Z"
