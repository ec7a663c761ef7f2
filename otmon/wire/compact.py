"""Rows that are not needed any more leave the tables; what refers to those that stay follows them.

Between kernel calls, in NumPy. A sensor that runs for years would otherwise fill every table once and be blind to what
is new. Row numbers change: whoever keeps some in Python is given the maps (old row -> new row, -1: gone).
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from otmon.wire import columns as c
from otmon.wire.histograms import far_settle_marks
from otmon.wire.net import K1_V6
from otmon.wire.state import State, both_ways
from otmon.wire.tables import far_rehash

_T = TypeVar("_T")


def _renumber(keep: Any) -> tuple[Any, Any]:
    """(rows that stay, old row -> new row)."""
    rows = np.flatnonzero(keep)
    new = np.full(len(keep), -1, np.int64)
    new[rows] = np.arange(len(rows))
    return rows, new


def _follow(references: Any, new: Any) -> Any:
    """References to rows, -1 for none, as they are now."""
    return np.where(references >= 0, new[np.maximum(references, 0)], -1) if len(new) else references


def _reindex(state: State, rows: str, places: str, used: int, words: int = 2) -> None:
    index = getattr(state, places)
    index[:] = 0
    far_rehash(getattr(state, rows), used, index, int(state.ctl[c.CTL_SEED]), words)


def moved_rows(table: Any, rows: Any) -> Any:
    """A table beside one whose rows moved (old -> new, -1: gone), moved alike; rows that are free are 0."""
    stay = np.flatnonzero(rows >= 0)
    moved = np.zeros_like(table)
    moved[rows[stay]] = table[stay]
    return moved


def moved_keys(kept: Mapping[int, _T], rows: Any) -> dict[int, _T]:
    """What is kept by row, by the rows as they are now."""
    return {int(rows[row]): value for row, value in kept.items() if rows[row] >= 0}


def drop_connections(state: State, keep: Any) -> Any:
    """Connections `keep` (a bool for each row in use) says stay; the others must be finished. Gives old -> new row."""
    rows, new = _renumber(keep)
    flows = both_ways(state, len(keep))
    state.conns[: len(rows)] = state.conns[rows]
    flows[: len(rows)] = flows[rows]
    state.ctl[c.CTL_CONNS] = len(rows)
    _reindex(state, "flows", "flow_index", 2 * len(rows))
    return new


def needed_shapes(state: State) -> Any:
    """Whether each shape in use waits for an answer, and so has to stay."""
    needed = np.zeros(int(state.ctl[c.CTL_SHAPES]), bool)
    asked = state.pending[state.pending[:, c.Q_N] != 0, c.Q_SHAPE]
    needed[asked[asked >= 0]] = True
    return needed


def drop_shapes(state: State, keep: Any) -> Any:
    """Shapes that stay, and the pairs, histograms and key words that they and the connections need; old -> new row."""
    rows, new = _renumber(keep)
    shapes = state.shapes
    shapes[: len(rows)] = shapes[rows]
    shapes = shapes[: len(rows)]
    state.ctl[c.CTL_SHAPES] = len(rows)
    shapes[:, c.S_NEXT] = _follow(shapes[:, c.S_NEXT], new)
    conns = state.conns[: int(state.ctl[c.CTL_CONNS])]
    begun = conns[:, c.C_SHAPE] == c.SHAPE_SECOND
    conns[:, c.C_SHAPE] = np.where(begun, c.SHAPE_SECOND, _follow(conns[:, c.C_SHAPE], new))
    waiting = state.pending[:, c.Q_N] != 0
    state.pending[waiting, c.Q_SHAPE] = _follow(state.pending[waiting, c.Q_SHAPE], new)
    hits = state.hits[: int(state.ctl[c.CTL_HITS])]
    hits[:, c.H_SHAPE] = _follow(hits[:, c.H_SHAPE], new)
    _drop_histograms(state, shapes)
    _drop_words(state, shapes)
    _drop_folds(state, new)
    _drop_pairs(state, shapes, conns)
    _reindex(state, "shapes", "shape_index", len(rows), 4)
    return new


def _drop_histograms(state: State, shapes: Any) -> None:
    far_settle_marks(state)
    used = np.zeros(int(state.ctl[c.CTL_HISTS]), bool)
    used[shapes[shapes[:, c.S_HIST] >= 0, c.S_HIST]] = True
    rows, new = _renumber(used)
    state.hists[: len(rows)] = state.hists[rows]
    state.hists[len(rows) : len(used)] = 0
    shapes[:, c.S_HIST] = _follow(shapes[:, c.S_HIST], new)
    state.ctl[c.CTL_HISTS] = len(rows)


def _drop_words(state: State, shapes: Any) -> None:
    """Keys in the arena move together; they lie there in the order of their shapes."""
    at = 0
    for row in np.flatnonzero(shapes[:, c.S_K0] & c.S_LONG).tolist():
        words, start = int(shapes[row, c.S_K2]), int(shapes[row, c.S_K3])
        state.arena[at : at + words] = state.arena[start : start + words]
        shapes[row, c.S_K3] = at
        at += words
    state.ctl[c.CTL_ARENA] = at


def _drop_folds(state: State, new: Any) -> None:
    """Functions whose wide shape stays; the others are counted from 0 again."""
    folds = state.folds[: int(state.ctl[c.CTL_FOLDS])]
    folds[:, c.D_WIDE] = _follow(folds[:, c.D_WIDE], new)
    rows, _ = _renumber(folds[:, c.D_WIDE] >= 0)
    state.folds[: len(rows)] = state.folds[rows]
    state.ctl[c.CTL_FOLDS] = len(rows)


def _drop_pairs(state: State, shapes: Any, conns: Any) -> None:
    used = np.zeros(int(state.ctl[c.CTL_PAIRS]), bool)
    used[conns[conns[:, c.C_PAIR] >= 0, c.C_PAIR]] = True
    used[shapes[:, c.S_K0] >> 24] = True
    folds = state.folds[: int(state.ctl[c.CTL_FOLDS])]
    used[folds[:, c.D_K0] >> 24] = True
    rows, new = _renumber(used)
    state.pairs[: len(rows)] = state.pairs[rows]
    state.ctl[c.CTL_PAIRS] = len(rows)
    conns[:, c.C_PAIR] = _follow(conns[:, c.C_PAIR], new)
    for table, column in ((shapes, c.S_K0), (folds, c.D_K0)):
        table[:, column] = (new[table[:, column] >> 24] << 24) | (table[:, column] & 0xFFFFFF)
    _reindex(state, "pairs", "pair_index", len(rows))
    _reindex(state, "folds", "fold_index", len(folds))


def drop_hosts6(state: State) -> None:
    """Numbers of IPv6 hosts that no connection and no pair has; bindings go as a whole, and are told again."""
    connections = state.flows[: 2 * int(state.ctl[c.CTL_CONNS])]
    pairs = state.pairs[: int(state.ctl[c.CTL_PAIRS])]
    named = [(table, table[:, c.F_K1] & K1_V6 != 0) for table in (connections, pairs)]
    used = np.zeros(int(state.ctl[c.CTL_HOSTS6]) + 1, bool)
    for table, v6 in named:
        for host in (table[v6, c.F_K0] >> 32 & 0xFFFFFFFF, table[v6, c.F_K0] & 0xFFFFFFFF):
            used[host] = True
    rows, new = _renumber(used[1:])
    state.hosts6[: len(rows)] = state.hosts6[rows]
    state.ctl[c.CTL_HOSTS6] = len(rows)
    number = np.concatenate(([0], new + 1))  # a host's number is its row's, counted from 1
    for table, v6 in named:
        word = table[v6, c.F_K0]
        table[v6, c.F_K0] = number[word >> 32 & 0xFFFFFFFF] << 32 | number[word & 0xFFFFFFFF]
    _reindex(state, "hosts6", "host6_index", len(rows), 3)
    _reindex(state, "flows", "flow_index", len(connections))
    _reindex(state, "pairs", "pair_index", len(pairs))
    state.ctl[c.CTL_BINDINGS] = 0
    state.binding_index[:] = 0


def drop_hits(state: State, keep: Any, episodes: Any) -> Any:
    """Hits that stay; `episodes`: old -> new number of an episode. Gives old -> new row."""
    rows, new = _renumber(keep)
    state.hits[: len(rows)] = state.hits[rows]
    hits = state.hits[: len(rows)]
    state.ctl[c.CTL_HITS] = len(rows)
    hits[:, c.H_EPISODE] = episodes[hits[:, c.H_EPISODE]]
    shapes = state.shapes[: int(state.ctl[c.CTL_SHAPES])]
    shapes[:, c.S_HIT] = _follow(shapes[:, c.S_HIT], new)
    waiting = state.pending[:, c.Q_N] != 0
    state.pending[waiting, c.Q_HIT] = _follow(state.pending[waiting, c.Q_HIT], new)
    numbers = np.flatnonzero(episodes >= 0)
    state.episodes[episodes[numbers]] = state.episodes[numbers]
    return new
