"""A policy written from traffic, or added to: it permits what was seen, and lists for review what learning may not.

A new file and one that people have edited take the same way. What the file permits, forbids or lists for review is left
as it is; the rest becomes rows beside it. What learning permitted before is kept apart (`memory`): what is there and no
longer in the file was taken out by a person, and comes back for review only.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import reduce
from typing import Any, Final, Literal, NamedTuple

from otmon.model import OperationKey, OperationRecord
from otmon.policy.addresses import parse_hosts, point, range_text
from otmon.policy.functions import REASONS, REGISTERED_PORTS, TRANSPORTS, is_function, is_implied
from otmon.policy.generalise import Conduit, Head, Mode, Spaces, Values, bounds_of, closed, conduits, head_of, spaces_of
from otmon.policy.intervals import Intervals, merge, overlaps
from otmon.policy.judge import Policy
from otmon.policy.learn_file import Seen, added, annotated, has_ended, row_places
from otmon.policy.learn_text import conduit_lines, header, quote, zone_lines
from otmon.policy.learn_values import widened
from otmon.policy.load import load_bytes
from otmon.policy.propose import Place, Proposal, propose, roles
from otmon.policy.reader import parse
from otmon.policy.refuse import Conversation, refusals
from otmon.policy.rows import Row
from otmon.policy.values import Permit, covering
from otmon.policy.zones import OUTSIDE, Realms

_Bounds = dict[Head, Values | None]
MEMORY: Final = (
    "# What learning has permitted so far, kept by `otmon learn` beside the policy.\n"
    "# What is here and no longer there was taken out by a person: learning does not permit it again. Do not edit it.\n"
)


class Draft(NamedTuple):
    """A learned policy, and what was added to it."""

    text: str
    memory: str
    zones: int
    conduits: int
    rows: int
    """Of the conduits."""
    review: int
    """Rows that are for review."""
    policy: Policy
    rows_of: dict[str, list[OperationRecord]]
    """Row -> the operations it is about."""
    wider: int = 0
    """Rows of which the bounds became wider."""


def learn(
    operations: Iterable[OperationRecord],
    *,
    site: str = "default",
    timezone: str = "UTC",
    names: Mapping[Place, str] | None = None,
    realms: Realms | None = None,
    mode: Mode = "exact",
) -> str:
    """The text of a new policy that permits these operations, see `update`. `names` gives assets by (realm, address).

    `realms` must be those under which the operations were seen.
    """
    records = list(operations)
    text = blank(records, site=site, timezone=timezone, names=names, realms=realms)
    return update(text, "policy", records, source="traffic", mode=mode).text


def blank(
    operations: Collection[OperationRecord],
    *,
    site: str = "default",
    timezone: str = "UTC",
    names: Mapping[Place, str] | None = None,
    realms: Realms | None = None,
) -> str:
    """A policy that permits nothing yet, in the realms of these operations."""
    return header(site, timezone, realms or Realms(), {record.key.realm for record in operations}, names or {})


def update(
    text: str,
    path: str,
    operations: Iterable[OperationRecord],
    *,
    source: str,
    mode: Mode = "exact",
    min_count: int = 1,
    asked: Mapping[Place, int] | None = None,
    doubted: Collection[Conversation] = (),
    values: Mapping[OperationKey, Values | None] | None = None,
    memory: str | None = None,
    captures: Sequence[str] = (),
) -> Draft:
    """The policy with rows for what it says nothing of yet. PolicyError: it cannot be used, or not added to.

    `min_count`: times that an operation must have gone well. `asked`: when a device first asked for the time.
    `doubted`: conversations of whose bytes two readings were seen. `values`: the least and the greatest that an
    operation set. `memory`: what learning permitted before, as a policy. `captures`: their names, if they are several.
    """
    everything = list(operations)
    records = _that_can_be_told(everything)
    before = None if memory is None else load_bytes(memory.encode(), f"{path} (what was learned)")
    memory = memory or MEMORY + blank(records).partition("\n")[2]
    text, memory = (_with_realms(file, path, records) for file in (text, memory))
    text, zones = _with_zones(text, path, everything)
    policy = load_bytes(text.encode(), path)
    because = refusals(everything, min_count, asked or {}, doubted, _scanned(policy))
    late = REASONS["late"] if has_ended(text) else None
    wider = 0
    if values and mode != "exact" and not late:
        times = {record.key: record.first_ts_ns for record in records if because(record) is None}
        text, memory, wider = widened(text, path, memory, values, times)
        policy = load_bytes(text.encode(), path) if wider else policy
    sorted_out = _Sorted()
    for record in records:
        kind, _ = placed(policy, record)
        if kind is None:
            removed = REASONS["removed"] if before is not None and _rows(before, record) else None
            timed = REASONS["window"] if policy.windows and _at_other_times(policy, record.key) else None
            sorted_out.take(record, because(record) or removed or timed or late)
        elif kind in ("review", "never"):
            sorted_out.blocked.append(record.key)
    new = conduits(*sorted_out.spaces(mode, values or {}))
    realms, taken = policy.realms.names, _ids(parse(text.encode(), path).data)
    ids = set(taken)
    memory = added(memory, path, "conduits", _lines(new, None, realms, {}, ids))
    text = added(text, path, "conduits", _lines(new, None, realms, _single(policy), taken))
    policy = load_bytes(text.encode(), path) if new else policy
    review = [
        (why, conduit)
        for why, group in sorted(sorted_out.refused.items())
        for conduit in conduits(spaces_of(r.key for r in group if placed(policy, r)[0] is None))
    ]
    names = _single(policy)
    entries = [line for why, conduit in review for line in _lines([conduit], why, realms, names, taken)]
    text = added(text, path, "review", entries)
    policy = load_bytes(text.encode(), path) if review else policy
    rows_of = by_row(policy, records)
    text = annotated(text, path, {name: _seen(found, captures) for name, found in rows_of.items()}, source)
    rows = sum(len(conduit.rows) for conduit in new), sum(len(conduit.rows) for _, conduit in review)
    return Draft(text, memory, zones, len(new), *rows, policy, rows_of, wider)


def _scanned(policy: Policy) -> Callable[[Place], bool]:
    """Hosts of which something stands under `review` because they were scanning, until a person takes that out."""
    rules = policy.review.rules
    why = {REASONS["scan"], REASONS["scanner"]}
    numbers = {number for number, rule in enumerate(rules) if any(row.note in why for row in rule.rows)}

    def contains(host: Place) -> bool:
        realm, address = host
        return bool(numbers and numbers & policy.review.sides(realm, policy.sites.place(realm, address))[0])

    return contains


class _Sorted:
    """Operations that the policy says nothing of: what may be learned, and what may not, by reason."""

    def __init__(self) -> None:
        self.new: list[OperationRecord] = []
        self.refused: dict[str, list[OperationRecord]] = {}
        self.blocked: list[OperationKey] = []
        """What must stay denied, though it lies beside what is learned."""

    def take(self, record: OperationRecord, why: str | None) -> None:
        if why is None:
            self.new.append(record)
        else:
            self.refused.setdefault(why, []).append(record)
            self.blocked.append(record.key)

    def spaces(self, mode: Mode, values: Mapping[OperationKey, Values | None]) -> tuple[dict[Head, Spaces], _Bounds]:
        """What is to be permitted, as `conduits` wants it."""
        refused, seen = spaces_of(self.blocked), spaces_of(record.key for record in self.new)
        whys = {head_of(record.key): why for why, group in self.refused.items() for record in group}
        for record in self.new:
            head = head_of(record.key)
            if not seen.get(head, True) and refused.get(head):
                # Without a target to go by, the row would permit what was refused too.
                self.refused.setdefault(whys.get(head, REASONS["few"]), []).append(record)
        seen = {head: spaces for head, spaces in seen.items() if spaces or not refused.get(head)}
        spoken = {
            (h[:3], transport, h.port or REGISTERED_PORTS[h.protocol])
            for h in seen
            for transport in TRANSPORTS.get(h.protocol, ())
        }
        # The connection that carries a protocol is permitted by the protocol's rows, and so is what they imply.
        kinds: dict[Head, set[str | int]] = {}
        for head in seen:
            kinds.setdefault(head._replace(function="", access=""), set()).add(head.function)
        seen = {
            h: s
            for h, s in seen.items()
            if not is_implied(h.protocol, h.function, kinds[h._replace(function="", access="")])
        }
        seen = {h: s for h, s in seen.items() if h.function != "connect" or (h[:3], h.protocol, h.port) not in spoken}
        known = {key: pair for key, pair in values.items() if head_of(key) in seen}
        return closed(seen, mode, refused), bounds_of(known, seen, mode)


def _lines(
    found: Iterable[Conduit], why: str | None, realms: Collection[str], names: Mapping[Place, str], taken: set[str]
) -> list[str]:
    return [line for conduit in found for line in conduit_lines(conduit, why, realms, names, taken)]


# --- what the file says already --------------------------------------------------------------------------------------
def placed(
    policy: Policy, record: OperationRecord
) -> tuple[Literal["free", "permit", "never", "review"] | None, list[Row]]:
    """What a policy says of an operation, and by which rows; None: nothing.

    Permitted is what was permitted when it was first or last seen; `free` needs no row.
    """
    key = record.key
    for ts_ns in {record.first_ts_ns, record.last_ts_ns}:
        cover = policy.cover(key, ts_ns)
        permit, row = policy.decide(cover, key)
        if row is not None:
            return ("permit", _covering(cover.permits, key)) if permit else ("never", [row])
        if permit:
            return "free", []
    rows = _covering(cover.review, key)
    return ("review" if rows else None), rows


def _at_other_times(policy: Policy, key: OperationKey) -> bool:
    cover = policy.cover_while(key, policy.windows_between(key))
    return policy.decide(cover, key)[0]


def _rows(policy: Policy, record: OperationRecord) -> list[Row]:
    return _covering(policy.cover(record.key, record.first_ts_ns).permits, record.key)


def _covering(permits: list[Permit], key: OperationKey) -> list[Row]:
    if key.target is None:
        return [row for row, _ in permits[:1]]
    return covering(permits, key.target) or []


def by_row(policy: Policy, records: Iterable[OperationRecord]) -> dict[str, list[OperationRecord]]:
    """Row -> the operations that it permits or lists for review by name; those it only implies are left out."""
    found: dict[str, list[OperationRecord]] = {}
    for record in records:
        kind, rows = placed(policy, record)
        for row in rows if kind in ("permit", "review") else ():
            key = record.key
            named = row.functions is None or key.function in row.functions or key.function_code in row.codes
            if row.protocol == key.protocol and named:
                found.setdefault(row.id, []).append(record)
    return found


def _seen(records: Iterable[OperationRecord], captures: Sequence[str]) -> Seen:
    return reduce(
        Seen.plus,
        (
            Seen(r.counts.attempted, r.first_ts_ns, r.last_ts_ns, captures[r.first_frame[0]] if captures else "")
            for r in records
        ),
    )


def _single(policy: Policy) -> dict[Place, str]:
    """Assets that are one address, which a conduit then calls by name."""
    single: dict[Place, str] = {}
    for asset in policy.sites.assets:
        if len(asset.hosts.ranges) == 1 and asset.hosts.ranges[0][0] == asset.hosts.ranges[0][1]:
            for realm in policy.realms.names if asset.hosts.realm is None else (asset.hosts.realm,):
                single[realm, range_text(*asset.hosts.ranges[0])] = asset.key
            if asset.hosts.realm is None:
                single["default", range_text(*asset.hosts.ranges[0])] = asset.key
    return single


def _ids(data: Mapping[str, Any]) -> set[str]:
    entries = [entry for key in ("conduits", "review", "never") for entry in data.get(key) or ()]
    return {*row_places(data), *(entry["id"] for entry in entries if entry.get("id"))}


# --- hosts -----------------------------------------------------------------------------------------------------------
def _that_can_be_told(records: Collection[OperationRecord]) -> list[OperationRecord]:
    """Those that a row can name."""
    keys = [record.key for record in records]
    hosts = {address for key in keys for address in (key.client, key.server)}
    unknown = {address for address in hosts if point(address) < 0}
    return [
        record
        for record, key in zip(records, keys, strict=True)
        if (key.function_code is not None or is_function(key.protocol, key.function))
        and not (key.client in unknown or key.server in unknown)
    ]


def _with_realms(text: str, path: str, records: Iterable[OperationRecord]) -> str:
    """The file with every realm of these operations declared, if it speaks of realms or they are several."""
    seen = {record.key.realm for record in records}
    known = parse(text.encode(), path).data.get("realms") or {}
    missing = sorted(seen - set(known)) if known or len(seen) > 1 else []
    return added(text, path, "realms", [f"{quote(name)}: {{}}" for name in missing])


def _with_zones(text: str, path: str, records: Collection[OperationRecord]) -> tuple[str, int]:
    """The file with zones for hosts that are in none, and how many these are."""
    policy = load_bytes(text.encode(), path)
    hosts = {(r.key.realm, address) for r in records for address in (r.key.client, r.key.server)}
    outside = {host for host in hosts if policy.sites.place(*host).path == (OUTSIDE,)}
    taken = [*(zone.name for zone in policy.sites.zones), *(asset.key for asset in policy.sites.assets)]
    zones = propose(outside, roles(records), taken)
    known = merge(pair for zone in policy.sites.zones for pair in zone.hosts.ranges)
    # A network in which a person made zones is not one zone: of it, the hosts alone.
    alone = [host for zone in zones for host in zone.hosts if "/" not in host]
    zones = [
        zone._replace(hosts=tuple(_hosts_of(zone, outside, known, alone))) if "/" in zone.hosts[0] else zone
        for zone in zones
    ]
    return added(text, path, "zones", zone_lines(zones, policy.realms.names)), len(zones)


def _hosts_of(zone: Proposal, outside: Iterable[Place], known: Intervals, others: Collection[str]) -> Iterable[str]:
    low, high = parse_hosts(zone.hosts[0])
    if not overlaps(known, low, high):
        return zone.hosts
    inside = (a for realm, a in outside if realm == zone.realm and low <= point(a) <= high and a not in others)
    return sorted(inside, key=point)
