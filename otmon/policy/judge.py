"""The policy at work: one operation in, one verdict out.

What a verdict hangs on besides the target (hosts, protocol, port, unit, function, windows) is worked out once and kept
as a `Cover`; a new target of a known function then costs one lookup and a search in sorted ranges.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, tzinfo
from itertools import count
from typing import Any, Final, NamedTuple

from otmon.limits import MAX_POLICY_CACHE
from otmon.model import Op, OperationKey, Target
from otmon.policy.chatter import CHATTY, is_chatter
from otmon.policy.effects import NOTHING, Effects
from otmon.policy.nearest import Candidate, permit_text, rank, separation
from otmon.policy.permits import WorkPermit
from otmon.policy.point_limits import exceeded
from otmon.policy.rows import EVERY_PROTOCOL, WRITING, Row, fits, forbids, joins, opened, permitted, touches
from otmon.policy.tags import NO_TAGS, TagMap
from otmon.policy.values import Permit, bounds, covering, pieces
from otmon.policy.verdict import SEVERITY, AlertKind, Verdict, granted
from otmon.policy.windows import NEVER_NS, Window
from otmon.policy.zones import OUTSIDE, Hosts, HostsIndex, Place, Realms, Sites

PERMIT: Final = Verdict(True)


class Rule(NamedTuple):
    """A conduit, `never` or `review` entry: its rows hold from one set of hosts to another."""

    from_hosts: tuple[Hosts, ...]
    to_hosts: tuple[Hosts, ...]
    from_text: str
    to_text: str
    rows: tuple[Row, ...]
    name: str = ""
    """Id of the conduit, or the zone whose own rows these are."""


class Rules:
    """Many rules, asked on which side of which of them a place is."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self._from = _Side([rule.from_hosts for rule in rules])
        self._to = _Side([rule.to_hosts for rule in rules])

    def sides(self, realm: str, place: Place) -> tuple[frozenset[int], frozenset[int]]:
        """Numbers of the rules whose `from`, and whose `to`, contains the place."""
        outside = place.path[0] == OUTSIDE
        return self._from.containing(realm, place.at, outside), self._to.containing(realm, place.at, outside)

    def rows(self, numbers: Iterable[int]) -> list[Row]:
        """Rows of these rules, in the order of the file."""
        return [row for number in sorted(numbers) for row in self.rules[number].rows]


class _Side:
    """One end of many rules."""

    def __init__(self, sides: Sequence[tuple[Hosts, ...]]) -> None:
        flat = [(number, hosts) for number, side in enumerate(sides) for hosts in side]
        self._index = HostsIndex(hosts for _, hosts in flat)
        self._rule = [number for number, _ in flat]

    def containing(self, realm: str, at: int, outside: bool) -> frozenset[int]:
        return frozenset(self._rule[number] for number in self._index.containing(realm, at, outside))


class _Party(NamedTuple):
    """All that rules see of a host. Hosts of which they see the same share one."""

    number: int
    monitored: bool
    conduits: tuple[frozenset[int], frozenset[int]]
    """(those that it may be client of, those that it may be server of)."""
    never: tuple[frozenset[int], frozenset[int]]
    review: tuple[frozenset[int], frozenset[int]]


class Cover:
    """What holds for one function between two parties, whatever its target."""

    __slots__ = ("closed", "free", "joined", "limited", "near", "never", "permits", "review")

    def __init__(
        self,
        free: bool,
        joined: bool,
        never: list[Row],
        permits: list[Permit],
        review: list[Permit],
        closed: list[Permit],
    ) -> None:
        self.free = free
        """Permitted without a row."""
        self.joined = joined
        self.never = never
        self.permits = permits
        self.limited = any(row.limited for row, _ in permits)
        """Values decide."""
        self.review = review
        self.closed = closed
        """Of rows that are not open now."""
        self.near: tuple[Candidate, ...] | None = None
        """None: not yet looked for."""


class Policy:
    """A loaded policy. Made by `load_policy`; its answers depend on nothing but their arguments."""

    def __init__(
        self,
        *,
        path: str,
        sha256: str,
        site: str,
        realms: Realms,
        sites: Sites,
        chatter: bool,
        conduits: Rules,
        never: Rules,
        review: Rules,
        tags: TagMap = NO_TAGS,
        permits: tuple[WorkPermit, ...] = (),
        with_permit: tuple[str, ...] = (),
        zone: tzinfo = UTC,
    ) -> None:
        self.path = path
        self.sha256 = sha256
        self.site = site
        self.realms = realms
        self.sites = sites
        self.chatter = chatter
        self.conduits = conduits
        self.never = never
        self.review = review
        self.tags = tags
        self.permits = permits
        """Those that were opened and looked at."""
        self.with_permit = with_permit
        """Conduits that nothing but a permit opens."""
        self.zone = zone
        """Of all times in the file."""
        rows = [row for rules in (conduits, never, review) for rule in rules.rules for row in rule.rows]
        self.tickets = any(window.ticket is not None for window in {row.window for row in rows if row.window})
        """Some row holds under a ticket."""
        self.windows: tuple[Window, ...] = tuple(dict.fromkeys(row.window for row in rows if row.window is not None))
        self.windowed = frozenset(row.id for row in rows if row.window is not None)
        """Ids of rows that hold at times only."""
        self.watched = frozenset(
            name for row in rows if row.points and (row.points.step or row.points.rate) for name in row.points.names
        )
        """Points whose last value matters: every write to one must be seen."""
        self._open: frozenset[Window] = frozenset()
        self._since, self._until = (NEVER_NS, -NEVER_NS) if self.windows else (-NEVER_NS, NEVER_NS)
        self._parties: dict[tuple[str, str], _Party] = {}
        self._kinds: dict[Any, _Party] = {}
        # Never used again: a party may outlive the clearing of a cache within one verdict.
        self._numbers = count()
        self._covers: dict[Any, Cover] = {}

    def without(self, names: Collection[str]) -> "Policy":
        """The same policy with these conduits (or a zone's own rows) closed."""
        return self._with([rule for rule in self.conduits.rules if rule.name not in names])

    def opened(self) -> "Policy":
        """The same policy with a permit for every row that needs one."""
        return self._with([rule._replace(rows=tuple(map(opened, rule.rows))) for rule in self.conduits.rules])

    def _with(self, rules: list[Rule]) -> "Policy":
        return Policy(
            path=self.path,
            sha256=self.sha256,
            site=self.site,
            realms=self.realms,
            sites=self.sites,
            chatter=self.chatter,
            conduits=Rules(rules),
            never=self.never,
            review=self.review,
            tags=self.tags,
            permits=self.permits,
            with_permit=self.with_permit,
            zone=self.zone,
        )

    # --- who is who ---------------------------------------------------------------------------------------------------
    def zone_of(self, realm: str, address: str) -> str:
        """Innermost zone; `outside` for none."""
        return self.sites.place(realm, address).path[-1]

    def zone_path(self, realm: str, address: str) -> tuple[str, ...]:
        """Zones from the outermost to the innermost."""
        return self.sites.place(realm, address).path

    def level_of(self, realm: str, address: str) -> float | None:
        """Purdue level of the zone."""
        return self.sites.place(realm, address).level

    def asset_name(self, realm: str, address: str) -> str | None:
        """The name that people read."""
        return self.sites.place(realm, address).asset

    def roles_of(self, realm: str, address: str) -> tuple[str, ...]:
        """Roles by name."""
        return self.sites.place(realm, address).roles

    def monitored(self, realm: str, address: str) -> bool:
        """A monitored zone holds it."""
        return self.sites.place(realm, address).monitored

    def is_chatter(self, op: OperationKey) -> bool:
        """Broadcast, multicast or discovery; whether the policy permits the class is another question."""
        client, server = self.sites.place(op.realm, op.client), self.sites.place(op.realm, op.server)
        same_zone = client.path == server.path
        return is_chatter(op, client.at, server.at, server.at in self.sites.broadcasts, same_zone)

    # --- time ---------------------------------------------------------------------------------------------------------
    def horizon(self, ts_ns: int) -> int:
        """First moment after `ts_ns` at which any window opens or closes; 2**63-1 for never."""
        if not self._since <= ts_ns < self._until:
            self._turn(ts_ns)
        return self._until

    @property
    def timeless(self) -> bool:
        """No verdict depends on the time."""
        return not self.windows

    def _turn(self, ts_ns: int) -> None:
        self._open = frozenset(window for window in self.windows if window.open(ts_ns))
        self._since = ts_ns
        self._until = min(window.next_change(ts_ns) for window in self.windows)
        self._covers.clear()

    def _is_open(self, row: Row) -> bool:
        return row.window is None or row.window in self._open

    # --- verdicts -----------------------------------------------------------------------------------------------------
    def judge(self, op: OperationKey, ts_ns: int) -> Verdict:
        """Verdict of an operation at a moment; never raises. Its `bounds` and `inspect` say whether values decide."""
        cover = self.cover(op, ts_ns)
        permit, row = self.decide(cover, op)
        if not permit:
            return self._denied(cover, op) if row is None else _forbidden(row)
        if row is None:
            return PERMIT
        if op.access not in WRITING:
            return granted(row.id)
        # What is set under a ticket is in its receipt.
        pair, inspect = None, _under_ticket(row, cover.permits, op.target) is not None
        if op.target is None:
            return granted(row.id, inspect=inspect)
        if cover.limited:
            pair, limited = bounds(pieces(cover.permits, op.target))
            inspect = inspect or limited
        if self.watched and any(tag.name in self.watched for tag in self.tags.touched(op)):
            pair, inspect = None, True
        return granted(row.id, pair, inspect)

    def decide(self, cover: Cover, op: OperationKey) -> tuple[bool, Row | None]:
        """(permitted, the row that permits or forbids), whatever the values; `cover` is that of the operation."""
        for row in cover.never:
            if touches(row, op.target):
                return False, row
        if cover.free or (self.chatter and op.protocol in CHATTY and self.is_chatter(op)):
            return True, None
        if op.target is None:
            return (True, cover.permits[0][0]) if cover.permits else (False, None)
        rows = covering(cover.permits, op.target)
        return (False, None) if rows is None else (True, rows[0])

    def judge_values(
        self, op: OperationKey, written: Sequence[tuple[Op, float]], ts_ns: int, effects: Effects = NOTHING
    ) -> Verdict:
        """As judge, for the values that a message sets; elements of other operations in it are passed over.

        `effects`: what it makes of named points.
        """
        verdict = self.judge(op, ts_ns)
        if not verdict.permit or not (verdict.inspect or verdict.bounds is not None):
            return verdict
        permits = self.cover(op, ts_ns).permits
        beyond = exceeded(op, permits, self.tags, written, effects, ts_ns)
        if beyond is not None:
            return _beyond(op, *beyond)
        first = next(permit for permit in permits if permit[0].id == verdict.row)
        other = _under_ticket(first[0], permits, op.target) if first[0].limited else None
        if other is None or exceeded(op, [first], self.tags, written, effects, ts_ns) is None:
            return verdict
        return granted(other.id, verdict.bounds, verdict.inspect)

    judge_reading = judge_values
    """Of what a stream says in another reading than the one that was decoded."""

    def cover(self, op: OperationKey, ts_ns: int) -> Cover:
        """What decides about the operation, whatever its target."""
        if not self._since <= ts_ns < self._until:
            self._turn(ts_ns)
        client, server = self._party(op.realm, op.client), self._party(op.realm, op.server)
        key = (client.number, server.number, op[3:10])
        cover = self._covers.get(key)
        if cover is None:
            if len(self._covers) >= MAX_POLICY_CACHE:
                self._covers.clear()
            cover = self._covers[key] = self._find_cover(op, client, server, self._open)
        return cover

    def windows_between(self, op: OperationKey) -> frozenset[Window]:
        """Windows that a verdict about these two hosts can depend on."""
        client, server = self._party(op.realm, op.client), self._party(op.realm, op.server)
        rows = self.conduits.rows(client.conduits[0] & server.conduits[1])
        rows += self.never.rows(client.never[0] & server.never[1])
        return frozenset(row.window for row in rows if row.window is not None)

    def cover_while(self, op: OperationKey, is_open: frozenset[Window]) -> Cover:
        """As cover, while these windows and no others are open; worked out anew."""
        return self._find_cover(op, self._party(op.realm, op.client), self._party(op.realm, op.server), is_open)

    def _find_cover(self, op: OperationKey, client: _Party, server: _Party, is_open: frozenset[Window]) -> Cover:
        rows = self.conduits.rows(client.conduits[0] & server.conduits[1])
        never = self.never.rows(client.never[0] & server.never[1])
        review = self.review.rows(client.review[0] & server.review[1])
        fitting = [(row, permitted(row, op)) for row in rows if fits(row, op)]
        return Cover(
            not (client.monitored or server.monitored),
            any(row.protocol == op.protocol for row in rows),
            [row for row in never if forbids(row, op) and (row.window is None or row.window in is_open)],
            [item for item in fitting if item[0].window is None or item[0].window in is_open],
            [(row, permitted(row, op)) for row in review if row.protocol == op.protocol and fits(row, op)],
            [item for item in fitting if item[0].window is not None and item[0].window not in is_open],
        )

    def _party(self, realm: str, address: str) -> _Party:
        party = self._parties.get((realm, address))
        if party is None:
            if len(self._parties) >= MAX_POLICY_CACHE:
                for cache in (self._parties, self._kinds, self._covers):
                    cache.clear()
            place = self.sites.place(realm, address)
            conduits, never, review = (book.sides(realm, place) for book in (self.conduits, self.never, self.review))
            fresh = _Party(next(self._numbers), place.monitored, conduits, never, review)
            party = self._parties[realm, address] = self._kinds.setdefault(fresh[1:], fresh)
        return party

    # --- denials ------------------------------------------------------------------------------------------------------
    def _denied(self, cover: Cover, op: OperationKey) -> Verdict:
        kind: AlertKind = "command" if cover.joined and op.access != "connect" else "segmentation"
        for item in cover.closed:
            text = permit_text(item[0], self._since)
            if text and (op.target is None or covering([item], op.target) is not None):
                return Verdict(
                    *(False, None, kind, SEVERITY[kind, op.access], item[0].id, text),
                    review=_reason(cover.review, op),
                )
        if cover.near is None:
            cover.near = rank(self._candidates(op), op, self._is_open)
        nearest, said = separation(cover.near, op, self._since) if cover.near else (None, None)
        return Verdict(False, None, kind, SEVERITY[kind, op.access], nearest, said, review=_reason(cover.review, op))

    def _candidates(self, op: OperationKey) -> Iterator[Candidate]:
        """Rows that could have been meant: of the protocol, for this pair; else towards this server; else from this
        client; else what the two may do in other protocols."""
        clients = self._party(op.realm, op.client).conduits[0]
        servers = self._party(op.realm, op.server).conduits[1]
        pair = clients & servers
        for numbers, same in ((pair, True), (servers - pair, True), (clients - pair, True), (pair, False)):
            for number in sorted(numbers):
                rule = self.conduits.rules[number]
                for row in rule.rows:
                    if joins(row, op) == same:
                        yield Candidate(row, number in clients, number in servers, rule.from_text, rule.to_text)


def _under_ticket(row: Row, permits: Sequence[Permit], target: Target | None) -> Row | None:
    """The row itself if it holds under a ticket; beside one that limits values, a ticket's row that permits it too."""
    for permit in ((row, None), *(permits if row.limited else ())):
        window = permit[0].window
        if window is not None and window.ticket is not None and (target is None or covering([permit], target)):
            return permit[0]
    return None


def _forbidden(row: Row) -> Verdict:
    kind: AlertKind = "segmentation" if row.protocol == EVERY_PROTOCOL else "command"
    text = f"Row {row.title} forbids it" + (f": {row.note}." if row.note else ".")
    return Verdict(False, row.id, kind, "critical", row.id, text, because=row.note)


def _reason(review: list[Permit], op: OperationKey) -> str | None:
    rows = [row for row, _ in review] if op.target is None else covering(review, op.target) or []
    return rows[0].note if rows else None


def _beyond(op: OperationKey, row: Row, text: str) -> Verdict:
    return Verdict(False, None, "value", SEVERITY["value", op.access], row.id, text)
