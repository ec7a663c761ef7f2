"""From the compiled tables to records: connections, hosts, operations, counters, identity."""

from typing import Any, Literal

import numpy as np

from otmon.engine.connects import connects
from otmon.engine.events import frames_of
from otmon.engine.judge import Judge
from otmon.engine.names import Names, Pair, frame_ref, mac_text
from otmon.model import Binding, ConnectionRecord, Counts, Fact, HostRecord, OperationKey, OperationRecord
from otmon.policy.verdict import Verdict
from otmon.protocols import PROTOCOLS
from otmon.site.part import Part, add_operations
from otmon.wire import columns as c
from otmon.wire import linknames
from otmon.wire.contract import FUNC_SLOTS
from otmon.wire.histograms import far_settle_marks

_REGISTERED = frozenset(port for protocol in PROTOCOLS for port in protocol.ports)


class Collector:
    """Gathers what leaves the state on the way (closed connections, bindings, facts), and all of it at the end."""

    def __init__(self, state: Any, names: Names, judge: Judge) -> None:
        self._state, self._names, self._judge = state, names, judge
        self._connections: list[ConnectionRecord] = []
        self._hosts: dict[tuple[str, str], HostRecord] = {}
        self._bindings: list[Binding] = []
        self._histograms: dict[int, list[tuple[int, int]]] = {}
        """Row of hists -> its (column, count) that are not 0."""
        self._facts: dict[tuple[str, str, Any, str, str, str], Fact] = {}

    # --- on the way --------------------------------------------------------------------------------------------------

    def binding(self, event: list[int]) -> None:
        """A MAC seen with an address, or alone, for the first time."""
        mac, address, kind, ethertype = event[c.E_SHAPE], event[c.E_N], event[c.E_KIND] >> 16, event[c.E_KIND] & 0xFFFF
        family = kind >> 1 & 7
        text = None if family == 0 else self._names.address(address, family == 6)
        realm = self._names.realms[kind >> 4]
        frame = frame_ref(event[c.E_FRAME])
        self._bindings.append(Binding(realm, mac_text(mac), text, ethertype, bool(kind & 1), event[c.E_TS], frame))

    def identity(self, event: list[int]) -> None:
        """A response that may tell who the server is."""
        shape, message = event[c.E_SHAPE], self._judge.decode(event)
        if message is None:
            return
        protocol = self._judge.protocol(shape)
        pair = self._names.pair(int(self._state.shapes[shape, c.S_K0]) >> 24)
        address = pair.client if event[c.E_FROM_CLIENT] == 1 else pair.server
        frame = frames_of(self._state, event)[-1]
        for name, value, confidence in protocol.identity(message):
            key = (pair.realm, address, message.unit, name, value, protocol.name)
            if key not in self._facts and len(self._facts) < 65536:
                self._facts[key] = Fact(*key, frame, event[c.E_TS], confidence)

    def close_connection(self, conn: int) -> None:
        """Keep the record of a connection whose row will be used again."""
        self._connections.append(self._connection(conn))

    # --- the end -----------------------------------------------------------------------------------------------------

    def part(self) -> Part:
        """Everything."""
        state = self._state
        connections = self._connections + [self._connection(conn) for conn in range(int(state.ctl[c.CTL_CONNS]))]
        connections = [record for record in connections if sum(record.frames)]
        operations = self._operations() + connects(connections, self._judge)
        frames = dict(zip(c.FRAME_BUCKETS, state.frames.tolist(), strict=True))
        return Part(
            frames=frames,
            ot_bytes=dict(zip(c.BYTE_BUCKETS, state.bytes.tolist(), strict=True)),
            protocols=self._protocols(),
            visibility={
                "missing_bytes": sum(r.missing_bytes for r in connections),
                "one_sided": sum(r.one_sided for r in connections),
                "gaps": sum(r.gaps for r in connections),
                "copies": frames["copy"],
            },
            unsupported=self._unsupported(),
            connections=connections,
            operations=operations,
            hosts=list(self._hosts.values()),
            bindings=self._bindings,
            facts=list(self._facts.values()),
            episodes=list(self._judge.close()),
        )

    def _connection(self, conn: int) -> ConnectionRecord:
        state = self._state
        row = state.conns[conn].tolist()
        flows = state.flows[2 * conn : 2 * conn + 2].tolist()
        pair = self._names.of_key(flows[0][c.F_K0], flows[0][c.F_K1])
        client, assumed = _client(row, pair)
        if client:
            pair = pair._replace(
                client=pair.server, server=pair.client, client_port=pair.server_port, server_port=pair.client_port
            )
        mine, other = flows[client], flows[1 - client]
        proto, vlan = row[c.C_PROTO], row[c.C_VLAN]
        self._host(pair, row, flows, client)
        one_sided = pair.transport == "tcp" and any(
            a[c.F_FRAMES] == 0 and a[c.F_ACKED] >= 0 and b[c.F_FRAMES] for a, b in ((mine, other), (other, mine))
        )
        carried = mine[c.F_BYTES] + other[c.F_BYTES]
        ports = pair.transport in ("tcp", "udp")
        return ConnectionRecord(
            realm=pair.realm,
            client=pair.client,
            client_port=pair.client_port if ports else None,
            server=pair.server,
            server_port=pair.server_port if ports else None,
            transport=pair.transport,
            protocol=PROTOCOLS[proto].name if proto >= 0 else None,
            assumed_roles=assumed,
            vlans=tuple(sorted({v for v in (vlan & 0xFFFF, vlan >> 16 & 0xFFFF) if v != 0xFFFF})),
            first_ts_ns=row[c.C_FIRST_TS],
            last_ts_ns=row[c.C_LAST_TS],
            first_frame=frame_ref(row[c.C_FIRST_FRAME]),
            frames=(mine[c.F_FRAMES], other[c.F_FRAMES]),
            bytes=(mine[c.F_BYTES], other[c.F_BYTES]),
            gaps=row[c.C_GAPS],
            missing_bytes=row[c.C_MISSING],
            one_sided=one_sided,
            encrypted_bytes=row[c.C_ENCRYPTED],
            midstream=any(f[c.F_BITS] & c.FLOW_MIDSTREAM for f in flows if f[c.F_FRAMES]),
            malformed_bytes=row[c.C_MALFORMED],
            unrecognised_bytes=carried if proto < 0 and row[c.C_PORT_HINT] >= 0 and _asked(flows) else 0,
            answer=_answer(pair.transport, mine, other),
        )

    def _host(self, pair: Pair, row: list[int], flows: list[list[int]], client: int) -> None:
        """Whoever sent something on this connection is on the network."""
        for flow, address in ((flows[client], pair.client), (flows[1 - client], pair.server)):
            if not flow[c.F_FRAMES]:
                continue
            first, frame = row[c.C_FIRST_TS], frame_ref(row[c.C_FIRST_FRAME])
            last, frames = flow[c.F_LAST_TS] or first, flow[c.F_FRAMES]
            known = self._hosts.get((pair.realm, address))
            if known is not None:
                (first, frame) = min((known.first_ts_ns, known.first_frame), (first, frame))
                last, frames = max(known.last_ts_ns, last), frames + known.frames
            self._hosts[pair.realm, address] = HostRecord(pair.realm, address, first, last, frames, frame)

    def _operations(self) -> list[OperationRecord]:
        """Shapes as operations; those that several shapes share are added up."""
        state, judge = self._state, self._judge
        shapes = state.shapes[: int(state.ctl[c.CTL_SHAPES])]
        found: dict[OperationKey, OperationRecord] = {}
        far_settle_marks(state)
        hists = state.hists[: int(state.ctl[c.CTL_HISTS])]
        rows, columns = np.nonzero(hists)
        numbers = hists[rows, columns]
        for hist, column, number in zip(rows.tolist(), columns.tolist(), numbers.tolist(), strict=True):
            self._histograms.setdefault(hist, []).append((column, number))
        order = np.argsort(shapes[:, c.S_FIRST_TS], kind="stable")
        for shape in order.tolist():
            row = shapes[shape].tolist()
            if not row[c.S_COUNT]:
                continue
            for key, verdict in judge.known(shape):
                mine = self._record(row, key, verdict)
                before = found.setdefault(key, mine)
                if before is not mine:
                    found[key] = add_operations(before, mine)
        return [self._judged(record) if record.verdict is None else record for record in found.values()]

    def _record(self, row: list[int], key: OperationKey, verdict: Verdict | None) -> OperationRecord:
        settled = row[c.S_ACCEPTED : c.S_UNSEEN + 1]  # in the order of Counts
        accepted, rejected, partial, unanswered, unseen = settled
        counts = Counts(row[c.S_COUNT], accepted, rejected, partial, unanswered, unseen, row[c.S_COUNT] - sum(settled))
        intervals: dict[int, int] = {}
        responses: dict[int, int] = {}
        if row[c.S_HIST] >= 0:
            for column, number in self._histograms.get(row[c.S_HIST], ()):
                if column < c.HIST_BUCKETS:
                    intervals[column] = number
                else:
                    responses[column - c.HIST_BUCKETS] = number
        return OperationRecord(
            key=key,
            counts=counts,
            bytes=row[c.S_BYTES],
            first_ts_ns=row[c.S_FIRST_TS],
            last_ts_ns=row[c.S_LAST_TS],
            first_frame=frame_ref(row[c.S_FIRST_FRAME]),
            intervals=intervals,
            responses=responses,
            verdict=None if verdict is None else verdict.word,
            row=None if verdict is None else verdict.row,
        )

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
            for reason, what in zip(*(axis.tolist() for axis in np.nonzero(found)), strict=True)
        }

    def _protocols(self) -> dict[str, Any]:
        """The section `protocols` of summary.json."""
        state, out = self._state, {}
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
            out[protocol.name] = section
        return out


def _client(row: list[int], pair: Pair) -> tuple[int, bool]:
    """(direction of the client, whether that is assumed): as decided, else by the lower well-known port."""
    if row[c.C_CLIENT] >= 0:
        return row[c.C_CLIENT], row[c.C_ROLE] == c.ROLE_ASSUMED
    source, destination = pair.client_port, pair.server_port
    if (source in _REGISTERED) != (destination in _REGISTERED):
        return int(source in _REGISTERED), True
    if (source < 1024) != (destination < 1024):
        return int(source < 1024), True
    return 0, True


def _asked(flows: list[list[int]]) -> bool:
    return any(flow[c.F_BITS] & c.FLOW_PAYLOAD for flow in flows)


def _answer(
    transport: str, mine: list[int], other: list[int]
) -> Literal["accepted", "rejected", "unanswered", "unseen"]:
    """What a plain connection came to, by what the server sent."""
    bits = other[c.F_BITS]
    if bits & (c.FLOW_PAYLOAD | c.FLOW_SYNACK):
        return "accepted"
    if transport == "tcp" and bits & c.FLOW_RST:
        return "rejected"
    if other[c.F_FRAMES]:
        return "accepted"
    if transport != "tcp" and not mine[c.F_BITS] & c.FLOW_RST:
        return "unseen" if transport == "udp" else "unanswered"
    return "unseen" if other[c.F_ACKED] >= 0 and mine[c.F_BITS] & c.FLOW_PAYLOAD else "unanswered"
