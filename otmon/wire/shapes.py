"""Shapes: exact lookup with prediction, folding, counting, verdicts; pairs of endpoints."""

from typing import Any

from otmon.limits import MAX_SHAPES, MAX_SHAPES_PER_FUNCTION, WIDE_SHAPES
from otmon.wire.columns import (
    C_CLIENT,
    C_GAPS,
    C_PAIR,
    C_PROTO,
    C_SHAPE,
    C_TOKENS,
    CTL_ARENA,
    CTL_FOLDS,
    CTL_FRAME,
    CTL_PAIRS,
    CTL_QUIET,
    CTL_SAMPLE,
    CTL_SEED,
    CTL_SHAPES,
    CTL_SHARE,
    CTL_SHED_SHAPES,
    CTL_TICKS,
    CTL_TOUCHED,
    D_COUNT,
    D_WIDE,
    F_K0,
    F_K1,
    H_COUNT,
    H_EPISODE,
    H_LAST_TS,
    S_BYTES,
    S_COUNT,
    S_FIRST_FRAME,
    S_FIRST_TS,
    S_HIST,
    S_HIT,
    S_LAST_TS,
    S_LONG,
    S_NEXT,
    S_SAMPLE,
    S_TICK,
    S_VERDICT,
    S_VMAX,
    S_VMIN,
    S_WIDE,
    SHAPE_SECOND,
    TOKEN_FIRST,
    TOKEN_FUNCTION,
    TOKEN_FUNCTION_BITS,
    TOKEN_NONE,
    TOKEN_SECOND,
    VERDICT_ALERT,
    VERDICT_BOUNDS,
    VERDICT_INSPECT,
    VERDICT_PASS,
)
from otmon.wire.contract import FUNC_SLOTS, KIND_REQUEST, OUT_FUNC, OUT_TOKEN, OUT_UNIT, OUT_VMAX, OUT_VMIN, OUT_WORDS
from otmon.wire.far import far
from otmon.wire.histograms import histogram
from otmon.wire.loads import jit, join32, mix
from otmon.wire.net import K1_PORTS
from otmon.wire.tables import find2, hash_shape

K1_LOW = (1 << K1_PORTS) - 1
PROTO_SHIFT = 56


@jit
def pair_key1(k1: int, server_port: int, proto: int) -> int:
    """Second word of a pair's key: protocol, the server's port, transport, family, realm."""
    return ((proto & 0x7F) << PROTO_SHIFT) | (server_port << K1_PORTS) | (k1 & K1_LOW)


@jit
def pair_of(state: Any, conn: int) -> int:
    """Row of the connection's (client, server, port, protocol); -1 if the table is full."""
    ctl = state.ctl
    flow = 2 * conn + state.conns[conn, C_CLIENT]
    k0, k1 = state.flows[flow, F_K0], state.flows[flow, F_K1]
    k1 = pair_key1(k1, (k1 >> K1_PORTS) & 0xFFFF, state.conns[conn, C_PROTO])
    row = find2(state.pairs, state.pair_index, ctl[CTL_SEED], k0, k1)
    if row < 0:
        used = ctl[CTL_PAIRS]
        if used >= len(state.pairs):
            return -1
        state.pairs[used, 0] = k0
        state.pairs[used, 1] = k1
        state.pair_index[-1 - row] = used + 1
        ctl[CTL_PAIRS] = used + 1
        row = used
    state.conns[conn, C_PAIR] = row
    return row


far_pair_of = far("pair", "i(si)", pair_of)


@jit
def _same(state: Any, row: int, k0: int, k1: int, k2: int, k3: int) -> int:
    shapes = state.shapes
    if shapes[row, 0] != k0 or shapes[row, 1] != k1 or shapes[row, 2] != k2:
        return 0
    if not k0 & S_LONG:
        return 1 if shapes[row, 3] == k3 else 0
    at = shapes[row, 3]
    for i in range(k2):
        if state.arena[at + i] != state.out[OUT_WORDS + i]:
            return 0
    return 1


@jit
def _add(state: Any, place: int, k0: int, k1: int, k2: int, k3: int, ts: int) -> int:
    """A new shape row, -1 if the table or the arena is full."""
    ctl = state.ctl
    row = ctl[CTL_SHAPES]
    if row >= len(state.shapes):
        return -1
    if k0 & S_LONG:
        at = ctl[CTL_ARENA]
        if at + k2 > len(state.arena):
            return -1
        for i in range(k2):
            state.arena[at + i] = state.out[OUT_WORDS + i]
        ctl[CTL_ARENA] = at + k2
        k3 = at
    shapes = state.shapes
    for i in range(shapes.shape[1]):
        shapes[row, i] = 0
    shapes[row, 0] = k0
    shapes[row, 1] = k1
    shapes[row, 2] = k2
    shapes[row, 3] = k3
    shapes[row, S_NEXT] = -1
    shapes[row, S_HIT] = -1
    shapes[row, S_HIST] = -1
    shapes[row, S_SAMPLE] = ctl[CTL_SAMPLE]
    shapes[row, S_FIRST_TS] = ts
    shapes[row, S_FIRST_FRAME] = ctl[CTL_FRAME]
    state.shape_index[place] = row + 1
    ctl[CTL_SHAPES] = row + 1
    return row


@jit
def _fold(state: Any, k0: int) -> int:
    """Fold row of (pair, kind, unit, function), -1 if the table is full."""
    ctl = state.ctl
    d0 = k0 & ~0xFFF
    d1 = join32(state.out[OUT_UNIT], state.out[OUT_FUNC])
    row = find2(state.folds, state.fold_index, ctl[CTL_SEED], d0, d1)
    if row < 0:
        used = ctl[CTL_FOLDS]
        if used >= len(state.folds):
            return -1
        state.folds[used, 0] = d0
        state.folds[used, 1] = d1
        state.folds[used, D_COUNT] = 0
        state.folds[used, D_WIDE] = -1
        state.fold_index[-1 - row] = used + 1
        ctl[CTL_FOLDS] = used + 1
        row = used
    return row


@jit
def _find(state: Any, k0: int, k1: int, k2: int, k3: int, ts: int) -> int:
    ctl = state.ctl
    mask = len(state.shape_index) - 1
    s = hash_shape(ctl[CTL_SEED], k0, k1, k2, k3) & mask
    while True:
        row = state.shape_index[s]
        if row == 0:
            break
        if _same(state, row - 1, k0, k1, k2, k3):
            return row - 1
        s = (s + 1) & mask
    fold = _fold(state, k0)
    if fold < 0:
        return -1
    # Towards the table's end every function folds: its messages are judged one by one then, not lost.
    full = ctl[CTL_SHAPES] * ctl[CTL_SHARE] >= MAX_SHAPES - WIDE_SHAPES
    if state.folds[fold, D_COUNT] >= MAX_SHAPES_PER_FUNCTION or full:
        wide = state.folds[fold, D_WIDE]
        if wide >= 0:
            return wide
        k0 = (k0 & ~0xFFF) | S_WIDE
        k1, k2, k3 = state.out[OUT_UNIT], state.out[OUT_FUNC], 0
        s = hash_shape(ctl[CTL_SEED], k0, k1, k2, k3) & mask
        while state.shape_index[s] != 0:
            s = (s + 1) & mask
        wide = _add(state, s, k0, k1, k2, k3, ts)
        if wide >= 0:
            state.folds[fold, D_WIDE] = wide
        if wide >= 0:
            state.shapes[wide, S_VERDICT] = VERDICT_INSPECT
        return wide
    state.folds[fold, D_COUNT] += 1
    return _add(state, s, k0, k1, k2, k3, ts)


far_find = far("find_shape", "i(siiiii)", _find)


@jit
def _begun(state: Any, conn: int, kind: int, row: int) -> int:
    """Note tokens and functions of the first two requests; gives the connection's C_SHAPE."""
    conns = state.conns
    known, token = conns[conn, C_TOKENS], state.out[OUT_TOKEN] & 0xFFFF
    function = (state.out[OUT_FUNC] & (FUNC_SLOTS - 1)) << TOKEN_FUNCTION
    if known & (TOKEN_SECOND | TOKEN_NONE):
        return row
    if kind != KIND_REQUEST or conns[conn, C_GAPS] > 0:
        conns[conn, C_TOKENS] = known | TOKEN_NONE
        return row
    if known == 0:
        conns[conn, C_TOKENS] = token | TOKEN_FIRST | function
        return SHAPE_SECOND
    conns[conn, C_TOKENS] = known | token << 16 | TOKEN_SECOND | function << TOKEN_FUNCTION_BITS
    return row


@jit
def shape_of(state: Any, conn: int, proto: int, kind: int, from_client: int, words: int, ts: int) -> int:
    """Row of the shape whose words are in `state.out`; made if new; -1 if it had to be shed."""
    out = state.out
    pair = state.conns[conn, C_PAIR]
    if pair < 0:
        pair = far_pair_of(state, conn)
        if pair < 0:
            state.ctl[CTL_SHED_SHAPES] += 1
            return -1
    k0 = (pair << 24) | (proto << 16) | (kind << 13) | (from_client << 12)
    k1, k2, k3 = 0, 0, 0
    if words <= 3:
        k0 |= words
        if words > 0:
            k1 = out[OUT_WORDS]
        if words > 1:
            k2 = out[OUT_WORDS + 1]
        if words > 2:
            k3 = out[OUT_WORDS + 2]
    else:
        k0 |= S_LONG
        k2 = words
        k1 = state.ctl[CTL_SEED]
        for i in range(words):
            k1 = mix(k1, out[OUT_WORDS + i])
    shapes = state.shapes
    before = state.conns[conn, C_SHAPE]
    if before >= 0:
        row = shapes[before, S_NEXT]
        if row >= 0 and _same(state, row, k0, k1, k2, k3):
            state.conns[conn, C_SHAPE] = row
            return row
    row = far_find(state, k0, k1, k2, k3, ts)
    if row < 0:
        state.ctl[CTL_SHED_SHAPES] += 1
        return -1
    if before >= 0:
        shapes[before, S_NEXT] = row
        state.conns[conn, C_SHAPE] = row
    else:
        state.conns[conn, C_SHAPE] = _begun(state, conn, kind, row)
    return row


@jit
def count(state: Any, shape: int, wire: int, ts: int) -> None:
    """One more message of this shape."""
    row = state.shapes[shape]
    before = row[S_COUNT]
    row[S_COUNT] = before + 1
    row[S_BYTES] += wire
    if before > 0:
        histogram(state, shape, 0, ts - row[S_LAST_TS])
    row[S_LAST_TS] = max(ts, row[S_LAST_TS])
    if state.ctl[CTL_TICKS] and row[S_TICK] >= 0:
        used = state.ctl[CTL_TOUCHED]
        if used < len(state.touched):
            state.touched[used] = shape
            state.ctl[CTL_TOUCHED] = used + 1
            row[S_TICK] = -1 - row[S_TICK]


@jit
def judge(state: Any, shape: int, ts: int) -> int:
    """What the shape's verdict says of one message: -1 permitted, -2 Python must judge it, else the hit it adds to."""
    shapes = state.shapes
    verdict = shapes[shape, S_VERDICT]
    if verdict == VERDICT_PASS:
        return -1
    if verdict == VERDICT_BOUNDS:
        low, high = state.out[OUT_VMIN], state.out[OUT_VMAX]
        if shapes[shape, S_VMIN] <= low <= high <= shapes[shape, S_VMAX]:
            return -1
    elif verdict != VERDICT_ALERT:
        return -2
    hit = shapes[shape, S_HIT]
    if hit < 0:
        return -2
    episode = state.hits[hit, H_EPISODE]
    if ts - state.episodes[episode] > state.ctl[CTL_QUIET]:
        return -2
    # A segment that was held behind a hole comes with its own, older time.
    state.episodes[episode] = max(ts, state.episodes[episode])
    state.hits[hit, H_COUNT] += 1
    state.hits[hit, H_LAST_TS] = max(ts, state.hits[hit, H_LAST_TS])
    return hit
