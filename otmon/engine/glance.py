"""A look at a running engine that changes nothing: what was counted since the harvest, and which conduits are busy."""

from collections import Counter, defaultdict
from typing import Any, Final, NamedTuple

import numpy as np

from otmon.engine.conversations import client_of
from otmon.engine.names import Names
from otmon.protocols import PROTOCOLS
from otmon.wire import columns as c

BUSIEST: Final = 512
"""Rows of each table that are named in one look: names cost, and nobody reads more."""


class Counted(NamedTuple):
    """Counters since the last harvest."""

    frames: dict[str, int]
    """By bucket."""
    ot_bytes: dict[str, int]
    """By bucket, with `seen`."""
    pdus: dict[str, int]
    """By protocol."""


class Conduit(NamedTuple):
    """Who speaks what with whom."""

    realm: str
    client: str
    server: str
    protocol: str
    """Of control, else the transport."""


def counted(state: Any) -> Counted:
    """Counters of the compiled path as they stand."""
    pdus: Counter[str] = Counter()
    for protocol, number in zip(PROTOCOLS, state.totals[: len(PROTOCOLS), c.TOTAL_PDUS].tolist(), strict=True):
        pdus[protocol.name] += number
    return Counted(
        dict(zip(c.FRAME_BUCKETS, state.frames.tolist(), strict=True)),
        dict(zip(c.BYTE_BUCKETS, state.bytes.tolist(), strict=True)),
        dict(pdus),
    )


class Busy:
    """How much each conduit grew from look to look."""

    def __init__(self, state: Any, names: Names) -> None:
        self._state, self._names = state, names
        self._frames = np.zeros(0, np.int64)
        self._counts = np.zeros(0, np.int64)

    def look(self) -> dict[Conduit, tuple[int, int]]:
        """Conduit -> (frames, operations) since the last look, of the busiest rows."""
        found: dict[Conduit, list[int]] = defaultdict(lambda: [0, 0])
        state = self._state
        used = int(state.ctl[c.CTL_CONNS])
        frames = state.flows[: 2 * used, c.F_FRAMES].reshape(used, 2).sum(axis=1)
        rows, self._frames = _grown(frames, self._frames), frames
        for row, more in rows:
            words, flow = state.conns[row].tolist(), state.flows[2 * row].tolist()
            pair, proto = self._names.of_key(flow[c.F_K0], flow[c.F_K1]), words[c.C_PROTO]
            client, server = (pair.server, pair.client) if client_of(words, pair)[0] else (pair.client, pair.server)
            name = PROTOCOLS[proto].name if proto >= 0 else pair.transport
            found[Conduit(pair.realm, client, server, name)][0] += more
        counts = state.shapes[: int(state.ctl[c.CTL_SHAPES]), c.S_COUNT].copy()
        rows, self._counts = _grown(counts, self._counts), counts
        for row, more in rows:
            pair = self._names.pair(int(state.shapes[row, c.S_K0]) >> 24)
            found[Conduit(pair.realm, pair.client, pair.server, PROTOCOLS[pair.proto].name)][1] += more
        return {conduit: (frames, operations) for conduit, (frames, operations) in found.items()}


def _grown(now: Any, before: Any) -> list[tuple[int, int]]:
    """(row, by how much it grew) of the rows that grew most. A row that shrank is used by something else."""
    grown = now.copy()
    grown[: len(before)] -= before[: len(now)]
    grown = np.where(grown < 0, now, grown)
    rows = np.flatnonzero(grown)
    if len(rows) > BUSIEST:
        rows = rows[np.argpartition(grown[rows], -BUSIEST)[-BUSIEST:]]
    return list(zip(rows.tolist(), grown[rows].tolist(), strict=True))
