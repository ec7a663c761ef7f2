"""From the compiled tables to records: operations, counters, identity; connections and hosts by `conversations`."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from otmon.engine.connects import Connects
from otmon.engine.conversations import MOST, Conversations
from otmon.engine.events import frames_of
from otmon.engine.growth import COUNTED, SEEN, growth, record_of
from otmon.engine.habits import Habits
from otmon.engine.joins import Joins
from otmon.engine.judge import Judge
from otmon.engine.names import Names, frame_ref, mac_text
from otmon.engine.permitted import Permitted
from otmon.engine.transfers import Transfers
from otmon.limits import FACTS_ANEW_NS, MAX_ENDPOINTS_PER_ASSET, MAX_FACTS
from otmon.model import Binding, Fact, OperationKey, OperationRecord
from otmon.protocols import PROTOCOLS
from otmon.site.evidence import Place
from otmon.site.part import Part, add_operations
from otmon.site.units import NO_DEVICE
from otmon.wire import columns as c
from otmon.wire import linknames
from otmon.wire.compact import moved_rows
from otmon.wire.contract import FUNC_SLOTS
from otmon.wire.histograms import far_settle_marks

LINK_ADDRESSED = 0.5
"""Confidence in a link address that somebody else used for the device; its own word is sure."""
AT_ONCE = 2000
"""Plain connections judged in one turn: a tenth of a second."""


class Collector:
    """Gathers what leaves the state on the way (closed connections, bindings, facts, blocks), and on request what is
    in it.
    """

    def __init__(self, state: Any, names: Names, judge: Judge) -> None:
        self._state, self._names, self._judge = state, names, judge
        self._conversations = Conversations(state, names)
        self._connects = Connects(judge)
        self.transfers, self.habits = Transfers(state, names), Habits(state, names)
        self.permitted = Permitted(state, judge)
        self._joins = Joins(state)
        self._early: list[OperationRecord] = []
        """Operations of connections that were judged before the harvest."""
        self._bindings: list[Binding] = []
        self._facts: list[Fact] = []
        self._known_facts: set[Any] = set()
        self._links: dict[Place, set[int]] = {}
        """Link addresses that were told of each place."""
        self._facts_since_ns = 0
        self.shed = 0
        """Facts for which there was no room before the next harvest."""
        self._told = np.zeros((0, len(COUNTED)), np.int64)
        """Of each shape: the counts that were harvested."""
        self._pending = self._pending_told = 0
        self._folded = 0
        """Messages, in the last harvest, of functions with so many shapes that they share one."""

    # --- on the way --------------------------------------------------------------------------------------------------

    def binding(self, event: list[int]) -> None:
        """A MAC seen with an address, or alone, for the first time."""
        mac, address, kind, ethertype = event[c.E_SHAPE], event[c.E_N], event[c.E_KIND] >> 16, event[c.E_KIND] & 0xFFFF
        family = kind >> 1 & 7
        text = None if family == 0 else self._names.address(address, family == 6)
        realm = self._names.realms[kind >> 4]
        frame = frame_ref(event[c.E_FRAME])
        self._bindings.append(Binding(realm, mac_text(mac), text, ethertype, bool(kind & 1), event[c.E_TS], frame))

    def transfer(self, event: list[int]) -> None:
        """A part of a transfer, or of a message in several PDUs, which together may tell who their sender is."""
        self.transfers.take(event)
        joined = self._joins.take(event, None)
        if joined is not None:
            self.identity(event, joined.pdu)

    def identity(self, event: list[int], pdu: bytes | None = None) -> None:
        """A message that may tell who its sender is; `pdu`: in place of the event's."""
        shape, message = event[c.E_SHAPE], self._judge.decode(event, pdu)
        if message is None:
            return
        protocol = self._judge.protocol_of(event)
        pair = self._judge.flow(event)  # of a link PDU, which has no shape
        if shape >= 0:
            # The shape is that of the request if it is known: some answers do not say themselves what they answer.
            message = message._replace(ops=tuple(self._judge.ops(shape)))
            pair = self._names.pair(int(self._state.shapes[shape, c.S_K0]) >> 24)
        address = pair.client if event[c.E_FROM_CLIENT] == 1 else pair.server
        frame, ts_ns = frames_of(self._state, event)[-1], event[c.E_TS]
        for name, value, confidence in protocol.identity(message):
            self._fact(Fact(pair.realm, address, message.unit, name, value, protocol.name, frame, ts_ns, confidence))

    def _fact(self, fact: Fact) -> None:
        if fact[:6] in self._known_facts:
            return
        if len(self._known_facts) >= MAX_FACTS:
            self.shed += 1
            return
        self._known_facts.add(fact[:6])
        self._facts.append(fact)

    def _note_links(self, operations: Iterable[OperationRecord]) -> None:
        """Link addresses of DNP3: the master's in what it asks, the outstation's in how it is asked or what it says."""
        for operation in operations:
            key = operation.key
            if isinstance(key.unit, tuple):
                master, outstation = key.unit
                if key.initiated_by == "client":
                    self._link(operation, key.client, master, 1.0)
                    self._link(operation, key.server, outstation, LINK_ADDRESSED)
                else:
                    self._link(operation, key.server, outstation, 1.0)

    def _link(self, seen: OperationRecord, address: str, link: int, confidence: float) -> None:
        if link >= NO_DEVICE:
            return
        links = self._links.setdefault((seen.key.realm, address), set())
        if link not in links and len(links) >= MAX_ENDPOINTS_PER_ASSET:
            return
        links.add(link)
        # Of no unit: link addresses that differ are no evidence of several devices.
        place, value = (seen.key.realm, address, None), ("link_address", str(link), "dnp3")
        self._fact(Fact(*place, *value, seen.first_frame, seen.first_ts_ns, confidence))

    def close_connection(self, conn: int) -> None:
        """Keep the record of a connection whose row will be used again."""
        record = self._conversations.close(conn)
        if record is not None:
            self._early += self._connects.take([(conn, record)])
        self._connects.forget(conn)
        self.transfers.close_connection(conn)
        self.habits.close_connection(conn)

    def adopt(self, now_ns: int) -> None:
        """Another policy is in force."""
        self._connects.adopt(now_ns)

    def age(self, now_ns: int) -> None:
        """Forget what was noted of pairs that have been quiet for long."""
        self._connects.age(now_ns)
        self.transfers.age(now_ns)

    def move_connections(self, rows: Any) -> None:
        """Connections have other rows now: old -> new, -1: gone."""
        self._conversations.move(rows)
        self._connects.move(rows)
        self.transfers.move_connections(rows)
        self.habits.move_connections(rows)

    def move_shapes(self, rows: Any) -> None:
        """Shapes have other rows now: old -> new, -1: gone, and harvested before."""
        self._told = moved_rows(self._told, rows)
        self.permitted.move_shapes(rows)

    def judge_connections(self, now_ns: int) -> None:
        """Judge the plain connections of which enough is known by now; of many, some."""
        rows = self._conversations.waiting(now_ns)[:AT_ONCE]
        if rows:
            self._early += self._connects.take((row, self._conversations.record(row)) for row in rows)
            self._conversations.judged(rows)

    @property
    def waiting(self) -> int:
        """Records that wait for the next harvest."""
        return len(self._early) + len(self._bindings) + len(self._facts) + self._conversations.waiting_records

    # --- what was seen since the last time ---------------------------------------------------------------------------

    def harvest(self, now_ns: int | None = None) -> Part:
        """Everything that is new or more than at the last harvest; connections as they are, episodes as a whole.

        `now_ns`: connections that are too young to be judged then wait for the next harvest, and so do those past
        `conversations.MOST`; None: none does.
        """
        state = self._state
        changed = self._conversations.changed(None if now_ns is None else MOST)
        plain = changed
        if now_ns is not None:
            ready = set(self._conversations.waiting(now_ns))
            plain = [(row, r) for row, r in changed if r.protocol or row in ready or self._connects.knows(row)]
        self._conversations.judged([row for row, record in plain if record.protocol is None])
        operations = self._operations()
        self._note_links(operations)
        operations += self._early + self._connects.take(plain)
        self._early = []
        frames = dict(zip(c.FRAME_BUCKETS, state.frames.tolist(), strict=True))
        self._judge.count_hits()
        part = Part(
            frames=frames,
            ot_bytes=self._ot_bytes(now_ns is None),
            protocols=self._protocols(),
            visibility={**self._conversations.visibility(), "copies": frames["copy"]},
            unsupported=self._unsupported(),
            connections=self._conversations.closed() + [record for _, record in changed],
            operations=operations,
            hosts=self._conversations.hosts(),
            bindings=self._bindings,
            facts=self._facts,
            blocks=self.transfers.take_all(now_ns is None),
            habits=self.habits.take_all(now_ns is None),
            episodes=list(self._judge.episodes.all),
            folded=self._folded,
        )
        self._bindings, self._facts = [], []
        if now_ns is not None:
            self._forget_facts(now_ns)
        for counters in (state.frames, state.bytes, state.totals, state.funcs, state.classes, state.unsupported):
            _clear(counters)
        return part

    def _forget_facts(self, now_ns: int) -> None:
        """They were told; whoever says them again from now on is heard again."""
        since_ns = self._facts_since_ns or now_ns
        if len(self._known_facts) >= MAX_FACTS or now_ns - since_ns > FACTS_ANEW_NS:
            self._known_facts.clear()
            self._links.clear()
            self._state.shapes[: int(self._state.ctl[c.CTL_SHAPES]), c.S_IDENTITY] = 0  # the first answer is looked at
            since_ns = now_ns
        self._facts_since_ns = since_ns

    def _ot_bytes(self, final: bool) -> dict[str, int]:
        """Byte buckets. Until the end, what is in none yet (it waits for the rest of its PDU) is pending."""
        found = dict(zip(c.BYTE_BUCKETS, self._state.bytes.tolist(), strict=True))
        self._pending += found["pending"]
        found["pending"] = 0
        pending = self._pending - self._pending_told if final else 2 * found["seen"] - sum(found.values())
        self._pending_told += pending
        return found | {"pending": pending}

    def _operations(self) -> list[OperationRecord]:
        """Shapes as operations, by how much they grew; those that several shapes share are added up."""
        shapes, judge = self._state.shapes, self._judge
        self._told, changed, grown = growth(self._state, self._told)
        wide = shapes[changed, c.S_K0] & c.S_WIDE != 0
        self._folded = int(grown[wide, 0].sum())
        histograms = self._take_histograms()
        found: dict[OperationKey, OperationRecord] = {}
        order = np.argsort(shapes[changed, c.S_FIRST_TS], kind="stable")
        rows, grown = changed[order], grown[order].tolist()
        seen, hists = shapes[rows[:, None], SEEN].tolist(), shapes[rows, c.S_HIST].tolist()
        for shape, when, hist, more in zip(rows.tolist(), seen, hists, grown, strict=True):
            times = histograms.get(hist, ())
            for key, verdict in judge.known(shape):
                mine = record_of(when, more, times, key, verdict)
                before = found.setdefault(key, mine)
                if before is not mine:
                    found[key] = add_operations(before, mine)
        return [self._judged(record) if record.verdict is None else record for record in found.values()]

    def _take_histograms(self) -> dict[int, list[tuple[int, int]]]:
        """Row of hists -> its (column, count) that are not 0, which are 0 from now on."""
        state, found = self._state, dict[int, list[tuple[int, int]]]()
        far_settle_marks(state)
        hists = state.hists[: int(state.ctl[c.CTL_HISTS])]
        rows, columns = np.nonzero(hists)
        numbers = hists[rows, columns]
        hists[rows, columns] = 0
        for hist, column, number in zip(rows.tolist(), columns.tolist(), numbers.tolist(), strict=True):
            found.setdefault(hist, []).append((column, number))
        return found

    def _judged(self, record: OperationRecord) -> OperationRecord:
        policy = self._judge.policy
        if policy is None:
            return record
        verdict = policy.judge(record.key, record.first_ts_ns)
        return record._replace(verdict=verdict.word, row=verdict.row)

    def _unsupported(self) -> dict[str, int]:
        found = self._state.unsupported
        return {
            linknames.describe(reason, what): int(found[reason, what])
            for reason in np.flatnonzero(found.any(axis=1)).tolist()
            for what in np.flatnonzero(found[reason]).tolist()
        }

    def _protocols(self) -> dict[str, Any]:
        """The section `protocols` of summary.json."""
        state = self._state
        out: dict[str, Any] = {}
        for index, protocol in enumerate(PROTOCOLS):
            totals = dict(zip(c.TOTALS, state.totals[index].tolist(), strict=True))
            units, bad_units = totals.pop("units"), totals.pop("bad_units")
            if not units:
                continue
            section: dict[str, Any] = dict(totals)
            section["malformed"] += bad_units
            section["functions"] = {}
            funcs = state.funcs[index * FUNC_SLOTS : (index + 1) * FUNC_SLOTS]
            for slot in np.flatnonzero(funcs.any(axis=1)).tolist():
                part, key, name = protocol.count_names(slot)
                row = dict(zip(("requests", "responses", "exceptions"), funcs[slot].tolist()[:3], strict=True))
                section.setdefault(part, {})[key] = {"name": name, **row}
            for slot in np.flatnonzero(state.classes[index]).tolist():
                part, key = protocol.class_names(slot)
                section.setdefault(part, {})[key] = int(state.classes[index, slot])
            if protocol.name == "dnp3":
                section["link_frames"] = units
            out[protocol.name] = _sum(out[protocol.name], section) if protocol.name in out else section
        return out


def _clear(counters: Any) -> None:
    """Zeros, written only where they are not: these tables are megabytes, and a harvest finds a handful of numbers."""
    rows = counters.reshape(-1, math.gcd(counters.size, 4096))
    rows[rows.any(axis=1)] = 0


def _sum(one: Any, other: Any) -> Any:
    """Two sections of one protocol: numbers add up, names stay."""
    if isinstance(one, dict):
        return {
            key: _sum(one[key], other[key]) if key in one and key in other else {**one, **other}[key]
            for key in {**one, **other}
        }
    return one if isinstance(one, str) else one + other
