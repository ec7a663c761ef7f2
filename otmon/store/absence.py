"""Proof of a negative: was an operation seen within a time, and what could not be seen then.

What is stored decides how fine the answer is. An operation has its first and its last time and how often it was seen;
its connections and the spread of its intervals say more. A sensor keeps an account of its own blindness a minute
(table `health`); a result folder has one of the whole capture, and one of each connection.
"""

import sqlite3
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import orjson

from otmon.model import ConnectionRecord, OperationKey, OperationRecord
from otmon.policy.intervals import Intervals, both, merge, size, without
from otmon.policy.pattern import Pattern
from otmon.site.timing import BUCKETS, bucket_bounds
from otmon.store import rows, watched
from otmon.store.hunt import conditions
from otmon.store.presence import Unknown, unknown
from otmon.store.retention import FORGOTTEN_UNTIL
from otmon.store.tables import read_counters

LOST_FRAMES: Final = ("internal", "malformed", "shed", "truncated", "unsupported")
"""Buckets of frames that may have held an operation (docs/engine.md)."""
MAX_LISTED: Final = 10_000
"""Operations and spells of blindness that are listed; the others count all the same."""


class Seen(NamedTuple):
    """An operation that was seen within the time, or may have been."""

    key: OperationKey
    times: int
    """In all that is remembered of it."""
    first_ts_ns: int
    last_ts_ns: int
    why_unsure: str | None
    """None: it was there."""


class Blind(NamedTuple):
    """A spell in which not everything was seen."""

    first_ts_ns: int
    last_ts_ns: int
    """Not in it any more."""
    why: str


class Absence(NamedTuple):
    """The answer."""

    seen: list[Seen]
    perhaps: list[Seen]
    operations: int
    """All that were or may have been there, those that are not listed too."""
    blind: list[Blind]
    unknown: list[Unknown]
    """Of whom nothing at all was seen within the time; not looked for where all of it was blind."""
    blind_ns: int
    asked_ns: int
    resolution: str

    @property
    def coverage(self) -> float:
        """Share of the time in which nothing was blind."""
        return 1 - self.blind_ns / self.asked_ns

    @property
    def answer(self) -> str:
        """seen, perhaps, blind, unknown, or none, which alone is a proof: the first that holds."""
        found = {"seen": self.seen, "perhaps": self.perhaps, "blind": self.blind, "unknown": self.unknown}
        return next((name for name, some in found.items() if some), "none")


def absence(db: sqlite3.Connection, pattern: Pattern, start_ns: int, end_ns: int) -> Absence:
    """What of the pattern was seen from `start_ns` until before `end_ns`."""
    totals = read_counters(db)
    connections = _Connections(db, pattern, start_ns, end_ns, totals)
    seen: list[Seen] = []
    perhaps: list[Seen] = []
    count = 0
    for one in _operations(db, pattern, start_ns, end_ns, connections):
        count += 1
        listed = seen if one.why_unsure is None else perhaps
        if len(listed) < MAX_LISTED:
            listed.append(one)
    records = [orjson.loads(record) for (record,) in db.execute("SELECT record FROM health ORDER BY n")]
    spells = list(_accounts(records, db, totals, start_ns, end_ns)) + list(connections.blind(records))
    spells += _forgotten(db, totals)
    if pattern.limits_target and totals.get("totals", {}).get("folded"):
        spells.append(Blind(start_ns, end_ns, f"{totals['totals']['folded']:,} messages had their targets folded"))
    spells = [
        Blind(max(first, start_ns), min(last, end_ns), why)
        for first, last, why in spells
        if first < end_ns and last > start_ns
    ]
    blind_ns, asked_ns = size(merge((first, last - 1) for first, last, _ in spells)), end_ns - start_ns
    return Absence(
        *(seen, perhaps, count),
        sorted(spells)[:MAX_LISTED],
        unknown(db, pattern, start_ns, end_ns) if blind_ns < asked_ns else [],
        *(blind_ns, asked_ns),
        "by records of health" if records else "a capture is taken to be whole from its first frame to its last",
    )


# --- what was seen ---------------------------------------------------------------------------------------------------
def _operations(
    db: sqlite3.Connection, pattern: Pattern, start_ns: int, end_ns: int, connections: "_Connections"
) -> Iterator[Seen]:
    # What has no known target may have had any.
    wide = pattern._replace(space=None, target=None, name=None)
    where, values = conditions(db, wide)
    query = f"SELECT * FROM operation_rows WHERE {where} AND first_ts_ns < ? AND last_ts_ns >= ?"
    for op in map(rows.operation, db.execute(query, (*values, end_ns, start_ns))):
        known = pattern.has(op.key)
        if not known and not _may_fit(pattern, op.key):
            continue
        unsure = _unsure(op, start_ns, end_ns)
        if unsure and (op.counts.attempted <= 2 or not connections.any_of(op.key)):
            continue
        if not known:
            unsure = "its target was not seen"
        yield Seen(op.key, op.counts.attempted, op.first_ts_ns, op.last_ts_ns, unsure)


def _may_fit(pattern: Pattern, key: OperationKey) -> bool:
    """All fits but a target that is not known."""
    if key.target is None:
        return pattern.limits_target
    return pattern.target is not None and key.target.start is None and pattern._replace(target=None).has(key)


def _unsure(op: OperationRecord, start_ns: int, end_ns: int) -> str | None:
    """Why an operation that was seen before and after may not have been seen within the time; None: it was."""
    if start_ns <= op.first_ts_ns < end_ns or start_ns <= op.last_ts_ns < end_ns:
        return None
    longest = max(op.intervals, default=BUCKETS - 1)
    whole = sum(op.intervals.values()) == op.counts.attempted - 1
    if whole and longest < BUCKETS - 1 and bucket_bounds(longest)[1] <= end_ns - start_ns:
        return None
    return "seen before and after: single times are not kept"


class _Connections:
    """Connections that the question is about and that lasted into the time."""

    def __init__(
        self, db: sqlite3.Connection, pattern: Pattern, start_ns: int, end_ns: int, totals: dict[str, Any]
    ) -> None:
        query = "SELECT * FROM connections WHERE first_ts_ns < ? AND last_ts_ns >= ?"
        found = map(rows.connection, db.execute(query, (end_ns, start_ns)))
        self._found = [one for one in found if _concerns(pattern, one)]
        self._pairs = {(one.realm, frozenset((one.client, one.server))) for one in self._found}
        begin, oldest = db.execute("SELECT min(first_ts_ns), min(last_ts_ns) FROM connections").fetchone()
        # An operation that was over before any connection began belonged to one that is not there any more.
        older = "SELECT 1 FROM operation_rows WHERE last_ts_ns < ? LIMIT 1"
        forgotten = begin is not None and db.execute(older, (begin,)).fetchone() is not None
        known = "connections" in totals.get(FORGOTTEN_UNTIL, {})
        self._forgotten = (
            Blind(0, oldest, "connections of that time are forgotten") if forgotten and not known else None
        )
        # The longest unseen goes first: as long as one is there that ended before, none of the time is missing.
        self._whole = oldest is not None and oldest < start_ns and not totals.get("totals", {}).get("shed")

    def any_of(self, key: OperationKey) -> bool:
        """Some connection of the two lasted into the time; True also if that is not known."""
        return not self._whole or (key.realm, frozenset((key.client, key.server))) in self._pairs

    def blind(self, records: list[dict[str, Any]]) -> Iterator[Blind]:
        """What was missing from them, as finely as records of health say when."""
        when = merge(
            (record["first_ts_ns"], record["ts_ns"])
            for record in records
            if any(record["visibility"].get(name, 0) > 0 for name in ("gaps", "missing_bytes"))
            or any(record["ot_bytes"].get(name, 0) > 0 for name in ("gap", "malformed", "unrecognised", "truncated"))
        )
        for one in self._found:
            pair = f"{one.client} and {one.server}"
            whole = ((one.first_ts_ns, one.last_ts_ns),)
            for low, high, why in _faults(one, whole, both(whole, when) if records else whole):
                yield Blind(low, high + 1, f"{why} between {pair}")
        if self._forgotten is not None:
            yield self._forgotten


def _concerns(pattern: Pattern, one: ConnectionRecord) -> bool:
    asked = pattern.speaks_of(one.client, one.server) or pattern.speaks_of(one.server, one.client)
    realm = pattern.realm in (None, one.realm)
    return asked and realm and (None in (pattern.protocol, one.protocol) or pattern.protocol == one.protocol)


def _faults(one: ConnectionRecord, whole: Intervals, when: Intervals) -> Iterator[tuple[int, int, str]]:
    missing = [
        (one.gaps, when if when else whole, f"{one.gaps:,} gaps"),
        (one.missing_bytes, when if when else whole, f"{one.missing_bytes:,} bytes never captured"),
        (one.malformed_bytes, when if when else whole, f"{one.malformed_bytes:,} malformed bytes"),
        (one.unrecognised_bytes, when if when else whole, f"{one.unrecognised_bytes:,} bytes not understood"),
        (one.encrypted_bytes, whole, f"{one.encrypted_bytes:,} encrypted bytes"),
        (one.one_sided and not one.frames[0], whole, "nothing captured of what the client sent"),
    ]
    for amount, spells, why in missing:
        if amount:
            yield from ((low, high, why) for low, high in spells)


def _forgotten(db: sqlite3.Connection, totals: dict[str, Any]) -> Iterator[Blind]:
    """What retention removed was last seen before a moment; of the time after it nothing is gone."""
    until = totals.get(FORGOTTEN_UNTIL, {})
    for kind in ("operations", "connections"):
        if kind not in until and totals.get("forgotten", {}).get(kind, 0):
            # By an otmon that did not note when: what is left was all seen after it.
            table = "operation_rows" if kind == "operations" else kind
            until[kind] = db.execute(f"SELECT ifnull(min(last_ts_ns), {2**63 - 1}) FROM {table}").fetchone()[0]
        if kind in until:
            yield Blind(0, until[kind], f"{kind} of that time are forgotten")


# --- accounts --------------------------------------------------------------------------------------------------------
def _accounts(
    records: list[dict[str, Any]], db: sqlite3.Connection, totals: dict[str, Any], start_ns: int, end_ns: int
) -> Iterator[Blind]:
    """When nobody watched, and when frames were lost."""
    if records:
        spans = watched.by_health(records)
        yield from (Blind(*spell, why) for record in records for spell, why in _losses(record))
    else:
        spans = watched.of_folder(db)
        lost = _lost_frames(totals.get("frames", {}))
        more = {name: number for name, number in totals.get("totals", {}).items() if number and name != "folded"}
        for why in (*lost, *(f"{name.replace('_', ' ')}: {number:,}" for name, number in more.items())):
            yield Blind(start_ns, end_ns, f"{why}, at some time")
    for low, high in without(((start_ns, end_ns - 1),), spans):
        yield Blind(low, high + 1, "nobody watched" if records else "not in the capture")


def _losses(record: dict[str, Any]) -> Iterator[tuple[tuple[int, int], str]]:
    first_ns, last_ns = record["first_ts_ns"] or record["ts_ns"] - 1, record["ts_ns"]
    spell = min(first_ns, last_ns), max(first_ns, last_ns)
    if record.get("clock", {}).get("steps", 0) > 0 or last_ns < first_ns:
        yield spell, "the clock was set"
    for one in record["interfaces"]:
        lost = one["dropped"] + one["interface_drops"]
        if lost > 0:
            yield spell, f"{lost:,} frames dropped at {one['interface']}"
        if one["state"] != "up":
            yield spell, f"{one['interface']} was {one['state']}"
    if record["shed"] > 0:
        yield spell, f"{record['shed']:,} shed"
    for why in _lost_frames(record["frames"]):
        yield spell, why


def _lost_frames(frames: dict[str, int]) -> list[str]:
    return [f"{frames[name]:,} frames {name}" for name in LOST_FRAMES if frames.get(name, 0) > 0]
