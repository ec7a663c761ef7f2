"""Pending requests of a connection, and what became of them."""

from typing import Any

from otmon.limits import ANSWER_BY_NS, MAX_PENDING_PER_CONNECTION
from otmon.wire.columns import (
    C_CLIENT,
    C_GAP_TS,
    C_HEAD,
    C_PENDING,
    C_TAIL,
    CTL_FREE_PENDING,
    CTL_SHED_PENDING,
    EVF_LATE,
    EVF_ORDER,
    F_BITS,
    FLOW_PAYLOAD,
    H_COUNT,
    HIST_BUCKETS,
    OUTCOME_UNANSWERED,
    OUTCOME_UNSEEN,
    Q_HIT,
    Q_JUDGED,
    Q_N,
    Q_NEXT,
    Q_REPLY,
    Q_SHAPE,
    Q_TOKEN,
    Q_TS,
    REPLY_LATE,
    REPLY_PERHAPS,
    S_ACCEPTED,
)
from otmon.wire.contract import REPLY_FUNCTION, REPLY_SHAPE
from otmon.wire.events import far_emit_outcome
from otmon.wire.far import far
from otmon.wire.histograms import histogram
from otmon.wire.loads import jit

ROUGHLY, LATE, WELL = 1, 2, 5
"""How a pending request fits a response: but for its shape; settled, but still without its own response; wholly."""
OPEN = 1
"""Bit of those that are not settled."""


@jit
def settle(state: Any, shape: int, hit: int, judged: int, n: int, outcome: int, ts: int) -> None:
    """Count an outcome for the shape, and for the episode or to Python if the request is one that alerts.

    `judged`: as Q_JUDGED.
    """
    if outcome <= OUTCOME_UNSEEN:
        state.shapes[shape, S_ACCEPTED - 1 + outcome] += 1
    if hit >= 0:
        state.hits[hit, H_COUNT + outcome] += 1
    elif not judged & 1:
        far_emit_outcome(state, shape, n, outcome, ts)


@jit
def silence(state: Any, conn: int, since: int) -> int:
    """What an unanswered request is: `unseen` if the answer may have been lost to us, else `unanswered`."""
    client = state.conns[conn, C_CLIENT]
    server = 2 * conn + 1 - max(client, 0)
    if not state.flows[server, F_BITS] & FLOW_PAYLOAD or state.conns[conn, C_GAP_TS] > since:
        return OUTCOME_UNSEEN
    return OUTCOME_UNANSWERED


@jit
def _release(state: Any, conn: int, row: int, before: int) -> None:
    conns, pending = state.conns, state.pending
    after = pending[row, Q_NEXT]
    if before < 0:
        conns[conn, C_HEAD] = after
    else:
        pending[before, Q_NEXT] = after
    if conns[conn, C_TAIL] == row:
        conns[conn, C_TAIL] = before
    conns[conn, C_PENDING] -= 1
    pending[row, Q_N] = 0
    pending[row, Q_NEXT] = state.ctl[CTL_FREE_PENDING]
    state.ctl[CTL_FREE_PENDING] = row


@jit
def drop_oldest(state: Any, conn: int, outcome: int, ts: int) -> None:
    """Settle the oldest pending request: `outcome`, or 0 for what its silence means."""
    row = state.conns[conn, C_HEAD]
    pending = state.pending
    shape, hit, judged, n = pending[row, Q_SHAPE], pending[row, Q_HIT], pending[row, Q_JUDGED], pending[row, Q_N]
    reply = pending[row, Q_REPLY]
    if outcome == 0:
        outcome = silence(state, conn, pending[row, Q_TS])
        if reply & REPLY_PERHAPS and not state.shapes[shape, S_ACCEPTED] + state.shapes[shape, S_ACCEPTED + 1]:
            outcome = OUTCOME_UNSEEN
    _release(state, conn, row, -1)
    if not reply & REPLY_LATE:
        settle(state, shape, hit, judged, n, outcome, ts)


far_drop_oldest = far("drop_oldest", "v(siii)", drop_oldest)


@jit
def push(state: Any, conn: int, token: int, reply: int, shape: int, hit: int, judged: int, n: int, ts: int) -> int:
    """Remember a request; returns its row, -1 if there is no room (its answer will be unseen)."""
    conns, pending = state.conns, state.pending
    if conns[conn, C_PENDING] >= MAX_PENDING_PER_CONNECTION:
        far_drop_oldest(state, conn, 0, ts)
    row = state.ctl[CTL_FREE_PENDING]
    if row < 0:
        state.ctl[CTL_SHED_PENDING] += 1
        settle(state, shape, hit, judged, n, OUTCOME_UNSEEN, ts)
        return -1
    state.ctl[CTL_FREE_PENDING] = pending[row, Q_NEXT]
    pending[row, Q_TOKEN] = token
    pending[row, Q_REPLY] = reply
    pending[row, Q_SHAPE] = shape
    pending[row, Q_TS] = ts
    pending[row, Q_N] = n
    pending[row, Q_NEXT] = -1
    pending[row, Q_HIT] = hit
    pending[row, Q_JUDGED] = judged
    if conns[conn, C_PENDING] == 0:
        conns[conn, C_HEAD] = row
    else:
        pending[conns[conn, C_TAIL], Q_NEXT] = row
    conns[conn, C_TAIL] = row
    conns[conn, C_PENDING] += 1
    return row


@jit
def _keep(state: Any, conn: int, row: int) -> None:
    """The request is settled, but its own response may still come. Of such ones the oldest is forgotten."""
    head = state.conns[conn, C_HEAD]
    if head != row and state.pending[head, Q_REPLY] & REPLY_LATE:
        _release(state, conn, head, -1)
    state.pending[row, Q_REPLY] |= REPLY_LATE


@jit
def _like(state: Any, row: int, token: int, reply: int) -> int:
    """How a pending request fits a response: 0 not, else one of ROUGHLY, LATE, WELL."""
    mine = state.pending[row, Q_REPLY]
    if state.pending[row, Q_TOKEN] != token or (mine ^ reply) & REPLY_FUNCTION:
        return 0
    alike = (mine ^ reply) & REPLY_SHAPE == 0 or mine & REPLY_SHAPE == 0 or reply & REPLY_SHAPE == 0
    if mine & REPLY_LATE:
        return LATE if alike else 0
    return WELL if alike else ROUGHLY


@jit
def _find(state: Any, conn: int, token: int, reply: int, ts: int) -> tuple[int, int, int]:
    """(row, the one before it, how it fits) of the pending request that a response answers; (-1, -1, 0): none.

    The oldest that fits well; else one in whose place somebody spoke; else the oldest of its function.
    """
    oldest = state.conns[conn, C_HEAD]
    if ts - state.pending[oldest, Q_TS] > ANSWER_BY_NS and not _like(state, oldest, token, reply):
        drop_oldest(state, conn, 0, ts)
    before, row = -1, state.conns[conn, C_HEAD]
    best, best_row, best_before = 0, -1, -1
    for _ in range(state.conns[conn, C_PENDING]):
        fit = _like(state, row, token, reply)
        if fit > best:
            best, best_row, best_before = fit, row, before
        if fit == WELL:
            break
        before = row
        row = state.pending[row, Q_NEXT]
    return best_row, best_before, best


far_find = far("find_request", "t(siiii)", _find)


@jit
def match(
    state: Any, conn: int, token: int, reply: int, later: int, outcome: int, ts: int
) -> tuple[int, int, int, int]:
    """(number, shape, sample, event flags) of the request that this response answers; counts outcome and time.

    `sample`: how many messages it stands for if its values are wanted; else 0. (0, -1, 0, 0): it answers none.
    `later`: the response speaks for somebody else, whose own may still come.
    """
    conns, pending = state.conns, state.pending
    if conns[conn, C_PENDING] == 0:
        return 0, -1, 0, 0
    row, before, fit = conns[conn, C_HEAD], -1, WELL
    if pending[row, Q_TOKEN] != token or pending[row, Q_REPLY] != reply:
        row, before, fit = far_find(state, conn, token, reply, ts)
        if row < 0:
            return 0, -1, 0, 0
    shape, n = pending[row, Q_SHAPE], pending[row, Q_N]
    hit, judged = pending[row, Q_HIT], pending[row, Q_JUDGED]
    elapsed, after = ts - pending[row, Q_TS], pending[row, Q_NEXT]
    if fit == LATE:
        _release(state, conn, row, before)
        return n, shape, judged >> 1, EVF_LATE
    how = EVF_ORDER if after >= 0 and _like(state, after, token, reply) & OPEN else 0
    if later:
        _keep(state, conn, row)
    else:
        _release(state, conn, row, before)
    settle(state, shape, hit, judged, n, outcome, ts)
    histogram(state, shape, HIST_BUCKETS, elapsed)
    return n, shape, judged >> 1, how
