"""Connections and hosts from the compiled tables: all of them, or what changed since the last time."""

import functools
from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np

from otmon.engine.names import Names, Pair, frame_ref
from otmon.model import ConnectionRecord, HostRecord
from otmon.protocols import PROTOCOLS
from otmon.wire import columns as c
from otmon.wire.compact import moved_rows
from otmon.wire.state import both_ways

_REGISTERED = frozenset(port for protocol in PROTOCOLS for port in protocol.ports + protocol.secured)
_FRAMES, _GAPS, _MISSING, _ONE_SIDED, _PROTO, _OTHER, _JUDGED, _WORDS = 0, 2, 3, 4, 5, 6, 7, 8
"""Columns of what was told; _FRAMES is followed by the other direction's. _JUDGED: 1 once it was judged as plain."""
MOST: Final = 20_000
"""Connections told in one harvest before the end: half a second's work."""
SPEAKS_WITHIN_NS: Final = 500_000_000
"""A connection on a port of no control protocol that is still undecided by then is judged as what it looks like."""
STAYS_OPEN_NS: Final = 5_000_000_000
"""The same for one that was answered and says nothing, and on ports of control protocols."""


class Conversations:
    """Reads connection rows and remembers what it told of each."""

    def __init__(self, state: Any, names: Names) -> None:
        self._state, self._names = state, names
        self._told = np.zeros((0, _WORDS), np.int64)
        self._closed: list[ConnectionRecord] = []
        self._hosts: dict[tuple[str, str], list[int]] = {}
        """Realm and address -> first time, first frame word, last time, frames."""
        self._next = 0
        """Row from which on `changed` looks next, when there are too many for once."""
        self._visibility = dict.fromkeys(("missing_bytes", "one_sided", "gaps"), 0)

    def record(self, row: int) -> ConnectionRecord:
        """A connection as it is now."""
        return self._connection(*self._words([row])[0])[0]

    def close(self, row: int) -> ConnectionRecord | None:
        """Count what is left of a connection whose row will be used again; None if it never had a frame."""
        now = self._now(row, row + 1)
        record = self._tell(row, *self._words([row])[0], (now - self._room()[row : row + 1]).tolist()[0])
        self._room()[row] = 0
        if record is not None:
            self._closed.append(record)
        return record

    def move(self, rows: Any) -> None:
        """Connections have other rows now: old -> new."""
        self._told = moved_rows(self._room(), rows)

    def waiting(self, now_ns: int) -> list[int]:
        """Rows of plain and undecided connections to be judged now, those that were answered first."""
        used = int(self._state.ctl[c.CTL_CONNS])
        conns, flows = self._state.conns[:used], both_ways(self._state, used)
        fresh = self._room()[:used, _JUDGED] == 0
        plain = np.flatnonzero(fresh & (conns[:, c.C_PROTO] < 0) & flows[:, :, c.F_FRAMES].any(axis=1))
        conns, flows = conns[plain], flows[plain]
        age = now_ns - conns[:, c.C_FIRST_TS]
        spoke = (flows[:, :, c.F_BITS] & c.FLOW_PAYLOAD).any(axis=1)
        answered = flows[:, :, c.F_FRAMES].all(axis=1)
        soon = (spoke & (conns[:, c.C_PORT_HINT] < 0)) | ~answered
        decided = (conns[:, c.C_PROTO] == c.PROTO_NONE) | (conns[:, c.C_CLOSED] != 0)
        ready = decided | (age > np.where(soon, SPEAKS_WITHIN_NS, STAYS_OPEN_NS))
        rows: list[int] = plain[ready][np.argsort(~answered[ready], kind="stable")].tolist()
        return rows

    def judged(self, rows: Sequence[int]) -> None:
        """These were judged as plain connections."""
        self._room()[list(rows), _JUDGED] = 1

    def changed(self, most: int | None) -> list[tuple[int, ConnectionRecord]]:
        """(row, record) of each connection that is not as it was told last; of at most `most`."""
        told, used = self._room(), int(self._state.ctl[c.CTL_CONNS])
        now = self._now(0, used)
        rows = np.flatnonzero((now != told[:used]).any(axis=1))
        if most is not None and len(rows) > most:
            # In turn: the first rows may change all the time.
            rows = np.roll(rows, -int(np.searchsorted(rows, self._next)))[:most]
            self._next = int(rows[-1]) + 1
            rows.sort()
        grown = (now[rows] - told[rows]).tolist()
        told[rows] = now[rows]
        found = []
        for row, (words, flows), more in zip(rows.tolist(), self._words(rows), grown, strict=True):
            if (record := self._tell(row, words, flows, more)) is not None:
                found.append((row, record))
        return found

    def closed(self) -> list[ConnectionRecord]:
        """Those whose rows were given to others."""
        closed, self._closed = self._closed, []
        return closed

    @property
    def waiting_records(self) -> int:
        """Of connections that were closed, and of hosts."""
        return len(self._closed) + len(self._hosts)

    def hosts(self) -> list[HostRecord]:
        """Who sent something; frames since the last time."""
        hosts, self._hosts = self._hosts, {}
        return [
            HostRecord(*host, first, last, frames, frame_ref(frame))
            for host, (first, frame, last, frames) in hosts.items()
        ]

    def visibility(self) -> dict[str, int]:
        """What could not be seen, more than the last time."""
        found = self._visibility
        self._visibility = dict.fromkeys(found, 0)
        return found

    def _room(self) -> Any:
        rows = len(self._state.conns)
        if len(self._told) < rows:
            self._told = np.concatenate([self._told, np.zeros((rows - len(self._told), _WORDS), np.int64)])
        return self._told

    def _now(self, first: int, end: int) -> Any:
        """What is compared, of rows first..end. Whether one-sided is as told: it changes with frames alone."""
        conns = self._state.conns[first:end]
        flows = self._state.flows[2 * first : 2 * end].reshape(len(conns), 2, c.F_WORDS)
        now = np.empty((len(conns), _WORDS), np.int64)
        now[:, _FRAMES : _FRAMES + 2] = flows[:, :, c.F_FRAMES]
        now[:, _GAPS], now[:, _MISSING] = conns[:, c.C_GAPS], conns[:, c.C_MISSING]
        for kept in (_ONE_SIDED, _JUDGED):
            now[:, kept] = self._room()[first:end, kept]
        now[:, _PROTO] = conns[:, c.C_PROTO]
        now[:, _OTHER] = conns[:, c.C_ENCRYPTED] + conns[:, c.C_MALFORMED] + conns[:, c.C_CLOSED]
        return now

    def _words(self, rows: Any) -> list[tuple[list[int], list[list[int]]]]:
        """Of each of these rows the connection's words, and those of its two directions."""
        flows = both_ways(self._state, len(self._state.conns))
        return list(zip(self._state.conns[rows].tolist(), flows[rows].tolist(), strict=True))

    def _tell(self, row: int, words: list[int], flows: list[list[int]], more: list[int]) -> ConnectionRecord | None:
        """A connection as it is; by how much it grew is counted to its hosts and to what was not seen."""
        if not flows[0][c.F_FRAMES] + flows[1][c.F_FRAMES]:
            return None
        record, pair, client = self._connection(words, flows)
        for flow, address in ((client, pair.client), (1 - client, pair.server)):
            if flows[flow][c.F_FRAMES]:
                self._host(pair.realm, address, words, flows[flow], more[_FRAMES + flow])
        self._visibility["gaps"] += more[_GAPS]
        self._visibility["missing_bytes"] += more[_MISSING]
        self._visibility["one_sided"] += record.one_sided - int(self._told[row, _ONE_SIDED])
        self._told[row, _ONE_SIDED] = record.one_sided
        return record

    def _connection(self, row: list[int], flows: list[list[int]]) -> tuple[ConnectionRecord, Pair, int]:
        pair = self._names.of_key(flows[0][c.F_K0], flows[0][c.F_K1])
        client, assumed = client_of(row, pair)
        if client:
            pair = Pair(
                pair.realm, pair.server, pair.client, pair.transport, pair.server_port, pair.client_port, pair.proto
            )
        mine, other = flows[client], flows[1 - client]
        proto, hint, vlan = row[c.C_PROTO], row[c.C_PORT_HINT], row[c.C_VLAN]
        silent = mine if not mine[c.F_FRAMES] else other if not other[c.F_FRAMES] else None
        one_sided = silent is not None and pair.transport == "tcp" and silent[c.F_ACKED] >= 0
        carried = mine[c.F_BYTES] + other[c.F_BYTES]
        ports = pair.transport in ("tcp", "udp")
        record = ConnectionRecord(
            realm=pair.realm,
            client=pair.client,
            client_port=pair.client_port if ports else None,
            server=pair.server,
            server_port=pair.server_port if ports else None,
            transport=pair.transport,
            protocol=PROTOCOLS[proto].name if proto >= 0 else None,
            assumed_roles=assumed,
            vlans=_vlans(vlan),
            first_ts_ns=row[c.C_FIRST_TS],
            last_ts_ns=row[c.C_LAST_TS],
            first_frame=frame_ref(row[c.C_FIRST_FRAME]),
            frames=(mine[c.F_FRAMES], other[c.F_FRAMES]),
            bytes=(mine[c.F_BYTES], other[c.F_BYTES]),
            gaps=row[c.C_GAPS],
            missing_bytes=row[c.C_MISSING],
            one_sided=one_sided,
            encrypted_bytes=row[c.C_ENCRYPTED],
            midstream=bool((mine[c.F_BITS] | other[c.F_BITS]) & c.FLOW_MIDSTREAM),
            malformed_bytes=row[c.C_MALFORMED],
            unrecognised_bytes=carried if proto < 0 <= hint < c.HINT_ENCRYPTED and _asked(flows) else 0,
            answer=_answer(pair.transport, mine, other),
        )
        return record, pair, client

    def _host(self, realm: str, address: str, row: list[int], flow: list[int], frames: int) -> None:
        """Whoever sent something on this connection is on the network."""
        first, frame = row[c.C_FIRST_TS], row[c.C_FIRST_FRAME]
        last = flow[c.F_LAST_TS] or first
        known = self._hosts.get((realm, address))
        if known is None:
            self._hosts[realm, address] = [first, frame, last, frames]
            return
        if first <= known[0] and (first < known[0] or frame < known[1]):
            known[:2] = first, frame
        if last > known[2]:
            known[2] = last
        known[3] += frames


@functools.lru_cache(4096)
def _vlans(word: int) -> tuple[int, ...]:
    """The tags in C_VLAN."""
    return tuple(sorted({tag for tag in (word & 0xFFFF, word >> 16 & 0xFFFF) if tag != 0xFFFF}))


def client_of(row: list[int], pair: Pair) -> tuple[int, bool]:
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
