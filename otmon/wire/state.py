"""All memory of the compiled path in one named tuple of arrays; made small, grown in Python between kernel calls."""

import math
import secrets
from typing import Any, NamedTuple

import numpy as np

from otmon import limits
from otmon.wire import columns as c
from otmon.wire import linknames
from otmon.wire.contract import FUNC_SLOTS, OUT_SIZE
from otmon.wire.fields import FAR_NAMES, FAR_SLOTS, FIELDS, LINE_WORDS
from otmon.wire.loads import KERNELS
from otmon.wire.tables import far_rehash

if KERNELS:
    from otmon.wire.native import address


class State:
    """Row tables (n, WORDS) of int64, their hash indexes (row number + 1, 0: free), pools and counters.

    Compiled code gets its `address` (otmon.wire.handle).
    """

    flows: Any
    flow_index: Any
    conns: Any
    pairs: Any
    pair_index: Any
    shapes: Any
    shape_index: Any
    arena: Any
    folds: Any
    fold_index: Any
    hits: Any
    episodes: Any
    """Last time of each episode, by its number."""
    pending: Any
    hosts6: Any
    host6_index: Any
    bindings: Any
    binding_index: Any
    hists: Any
    """int32 (n, 2 * HIST_BUCKETS): inter-arrival, then response times."""
    marks: Any
    """Row of hists << MARK_SHIFT | bucket."""
    pool: Any
    """Carry and assembly slots of SLOT_BYTES."""
    slots: Any
    """(slots, SLOT_FRAMES + 2): next free slot, number of frames, frames."""
    scratch: Any
    history: Any
    """(entries, 4): number of the flow's entry before, sequence number, length, position."""
    history_bytes: Any
    events: Any
    ev_bytes: Any
    ev_frames: Any
    frames: Any
    bytes: Any
    funcs: Any
    """(protocols * FUNC_SLOTS, 4): requests, responses, exceptions, malformed."""
    classes: Any
    """(protocols, 256): PDUs by OUT_CLASS."""
    totals: Any
    """(protocols, 8): pdus, requests, responses, exceptions, malformed, units, other."""
    unsupported: Any
    """(REASONS, 65536): frames by REASON_* and number (otmon.wire.link)."""
    realms: Any
    """Realm by VLAN (4096), then by interface (256); -1: not declared."""
    touched: Any
    ctl: Any
    out: Any
    link: Any
    seg: Any

    def __init__(self, **arrays: Any) -> None:
        self._words = np.zeros(FAR_SLOTS + LINE_WORDS * len(FIELDS), np.int64)
        self.address = int(self._words.ctypes.data)
        """Of the table with every far function's place, and each field's place and length."""
        self.grown = 0
        """How often a table was made larger."""
        self.replace(**arrays)
        if KERNELS:
            self._words[: len(FAR_NAMES)] = [address(name) for name in FAR_NAMES]

    def replace(self, **arrays: Any) -> None:
        """Other arrays for some fields; never while a kernel runs."""
        for name, array in arrays.items():
            dtype, rows, columns = FIELDS[name]
            shape = (rows or len(array), columns) if columns else (rows or len(array),)
            if str(array.dtype) != dtype or array.shape != shape or not array.flags.c_contiguous:
                raise TypeError(f"state.{name}: {array.dtype}{array.shape} is not {dtype}{shape}")
            setattr(self, name, array)
            line = FAR_SLOTS + LINE_WORDS * list(FIELDS).index(name)
            self._words[line : line + LINE_WORDS] = array.ctypes.data, len(array)


CHAIN_END = -1


def _zeros(shape: tuple[int, ...], dtype: Any) -> Any:
    """np.zeros that begins a cache line: rows of 64 bytes then never straddle two."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype).reshape(shape)


def _free_list(rows: Any, column: int, first: int) -> None:
    """Chain rows `first`.. into a free list through `column`."""
    rows[first:, column] = np.arange(first + 1, len(rows) + 1)
    rows[-1, column] = CHAIN_END


def new_state(protocols: int, *, seed: int | None = None) -> State:
    """An empty state; tables are seeded per process so that nobody can aim at their collisions."""

    def words(*shape: int) -> Any:
        return _zeros(shape, np.int64)

    def index(rows: int) -> Any:
        return np.zeros(4 * rows, np.int32)

    conns, pairs, shapes, folds, hits, pending, slots = 1024, 1024, 4096, 1024, 256, 2048, 64
    state = State(
        flows=words(2 * conns, c.F_WORDS),
        flow_index=index(2 * conns),
        conns=words(conns, c.C_WORDS),
        pairs=words(pairs, c.P_WORDS),
        pair_index=index(pairs),
        shapes=words(shapes, c.S_WORDS),
        shape_index=index(shapes),
        arena=words(32768),
        folds=words(folds, c.D_WORDS),
        fold_index=index(folds),
        hits=words(hits, c.H_WORDS),
        episodes=words(256),
        pending=words(pending, c.Q_WORDS),
        hosts6=words(1024, 3),
        host6_index=index(1024),
        bindings=words(1024, 3),
        binding_index=index(1024),
        hists=_zeros((1024, 2 * c.HIST_BUCKETS), np.int32),
        marks=words(c.MARKS),
        pool=np.zeros(slots * c.SLOT_BYTES, np.uint8),
        slots=words(slots, c.SLOT_FRAMES + 2),
        scratch=np.zeros(limits.MAX_PDU_BYTES, np.uint8),
        history=words(c.HISTORY_ENTRIES, 4),
        history_bytes=np.zeros(c.HISTORY_BYTES, np.uint8),
        events=words(c.EVENTS_CAP, c.E_WORDS),
        ev_bytes=np.zeros(c.EV_BYTES_CAP, np.uint8),
        ev_frames=words(c.EV_FRAMES_CAP),
        frames=words(len(c.FRAME_BUCKETS)),
        bytes=words(len(c.BYTE_BUCKETS)),
        funcs=words(protocols * FUNC_SLOTS, 4),
        classes=words(protocols, 256),
        totals=words(protocols, len(c.TOTALS)),
        unsupported=words(linknames.REASONS, 65536),
        realms=np.full(4096 + 256, -1, np.int64),
        touched=words(65536),
        ctl=words(c.CTL_WORDS),
        out=words(OUT_SIZE),
        link=words(32),
        seg=words(c.G_WORDS),
    )
    _free_list(state.pending, c.Q_NEXT, 0)
    _free_list(state.slots, 0, 0)
    state.ctl[c.CTL_SEED] = np.int64(seed if seed is not None else secrets.randbits(63))
    state.ctl[c.CTL_HORIZON] = 2**63 - 1
    state.ctl[c.CTL_QUIET] = limits.EPISODE_QUIET_NS
    state.ctl[c.CTL_JOBS] = state.ctl[c.CTL_SHARE] = 1
    return state


def both_ways(state: State, used: int) -> Any:
    """The flows of the first `used` connections, (used, 2, F_WORDS): a view."""
    return state.flows[: 2 * used].reshape(used, 2, c.F_WORDS)


class _Table(NamedTuple):
    rows: str
    places: str | None
    """Its hash index."""
    used: int
    """Control word that counts the rows in use."""
    cap: int
    margin: int
    """Rows that one frame may use up."""
    words: int = 2
    """Key words at the row's start."""


_TABLES = (
    _Table("flows", "flow_index", c.CTL_CONNS, 2 * limits.MAX_CONNECTIONS, 4),
    _Table("conns", None, c.CTL_CONNS, limits.MAX_CONNECTIONS, 2),
    _Table("pairs", "pair_index", c.CTL_PAIRS, limits.MAX_CONNECTIONS, 8),
    _Table("shapes", "shape_index", c.CTL_SHAPES, limits.MAX_SHAPES, 512, 4),
    _Table("folds", "fold_index", c.CTL_FOLDS, limits.MAX_SHAPES, 512),
    _Table("hists", None, c.CTL_HISTS, limits.MAX_SHAPES // 2, 512),
    _Table("hosts6", "host6_index", c.CTL_HOSTS6, limits.MAX_HOSTS6, 8, 3),
    _Table("bindings", "binding_index", c.CTL_BINDINGS, limits.MAX_BINDINGS, 8, 3),
    _Table("arena", None, c.CTL_ARENA, limits.ARENA_WORDS, 16384),
)


_SHARE = {"flows": 2, "arena": 16}
"""Rows that one unit of CTL_NEED may take up, where that is more than one (`_room` in the loop)."""


def _bigger(array: Any, rows: int) -> Any:
    grown = _zeros((rows, *array.shape[1:]), array.dtype)
    grown[: len(array)] = array
    return grown


def _used(state: State, table: _Table) -> int:
    return int(state.ctl[table.used]) * (2 if table.rows == "flows" else 1)


def grow(state: State) -> None:
    """Every table that has no room for what CTL_NEED asks, doubled up to its cap.

    If none can grow any more, the loop gets credit to go on for a while: what does not fit is shed and counted.
    """
    need = int(state.ctl[c.CTL_NEED])
    before, share = state.grown, int(state.ctl[c.CTL_SHARE])
    for table in _TABLES:
        cap = table.cap // share
        rows = getattr(state, table.rows)
        size = len(rows)
        rows_needed = _used(state, table) + table.margin + need * _SHARE.get(table.rows, 1)
        while rows_needed >= size < cap:
            size = min(cap, 2 * size)
        if size > len(rows):
            state.grown += 1
            rows = _bigger(rows, size)
            state.replace(**{table.rows: rows})
            if table.places is not None:
                index = np.zeros(1 << (4 * len(rows) - 1).bit_length(), np.int32)
                far_rehash(rows, _used(state, table), index, int(state.ctl[c.CTL_SEED]), table.words)
                state.replace(**{table.places: index})
    _grow_lists(state)
    if state.grown == before:
        state.ctl[c.CTL_CREDIT] = 1024 * need


def _grow_lists(state: State) -> None:
    """The two pools with free lists: pending requests and slots."""
    share = int(state.ctl[c.CTL_SHARE])
    if state.ctl[c.CTL_FREE_PENDING] == CHAIN_END and len(state.pending) < limits.MAX_PENDING // share:
        first = len(state.pending)
        pending = _bigger(state.pending, 2 * first)
        _free_list(pending, c.Q_NEXT, first)
        state.ctl[c.CTL_FREE_PENDING] = first
        state.grown += 1
        state.replace(pending=pending)
    if state.ctl[c.CTL_FREE_SLOT] == CHAIN_END and len(state.slots) < limits.MAX_CARRY_SLOTS // share:
        first = len(state.slots)
        slots = _bigger(state.slots, 2 * first)
        _free_list(slots, 0, first)
        state.ctl[c.CTL_FREE_SLOT] = first
        state.grown += 1
        state.replace(slots=slots, pool=_bigger(state.pool, 2 * first * c.SLOT_BYTES))


def add_hit(state: State, episode: int, shape: int, ts_ns: int) -> int:
    """A new hit row."""
    row = int(state.ctl[c.CTL_HITS])
    if row >= len(state.hits):
        state.replace(hits=_bigger(state.hits, 2 * len(state.hits)))
    state.ctl[c.CTL_HITS] = row + 1
    state.hits[row] = 0
    state.hits[row, c.H_EPISODE], state.hits[row, c.H_SHAPE] = episode, shape
    state.hits[row, c.H_FIRST_TS], state.hits[row, c.H_LAST_TS] = ts_ns, ts_ns
    return row


def room_for_episode(state: State, episode: int) -> None:
    """Make a place for `episode` among the episodes' times."""
    if episode >= len(state.episodes):
        state.replace(episodes=_bigger(state.episodes, 2 * episode))
