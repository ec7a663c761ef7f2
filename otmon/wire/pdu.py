"""One canonical PDU: its key, its shape, its request or response, its place in the accounts."""

from collections.abc import Callable
from typing import Any

from otmon.wire.accounts import bad
from otmon.wire.columns import (
    BB_DECODED,
    BB_ENCRYPTED,
    BB_MALFORMED,
    BB_SHED,
    C_CLIENT,
    C_ENCRYPTED,
    C_MALFORMED,
    C_REFERENCE,
    C_SAMPLED,
    C_TOLD,
    CTL_ASKED,
    CTL_MESSAGES,
    CTL_N,
    EVF_BESIDE,
    EVF_COUNT,
    EVF_IDENTITY,
    EVF_JUDGE,
    EVF_MESSAGE,
    EVF_SAMPLE,
    F_CARRY,
    OUTCOME_ACCEPTED,
    OUTCOME_UNSEEN,
    REPLY_PERHAPS,
    S_COUNT,
    S_IDENTITY,
    S_SAMPLE,
    S_SAMPLED,
    SAMPLE_IDLE,
    SAMPLE_ONCE,
    TOTAL_PDUS,
)
from otmon.wire.contract import (
    AFTER_DAMAGE,
    CONTINUES,
    FLAG_DAMAGED,
    FLAG_ENCRYPTED,
    FLAG_EXCEPTION,
    FLAG_IDENTITY,
    FLAG_TRANSFER,
    FUNC_SLOTS,
    KIND_LINK,
    KIND_REQUEST,
    KIND_RESPONSE,
    LATER,
    MORE,
    OUT_CLASS,
    OUT_EXPECT,
    OUT_FLAGS,
    OUT_FUNC,
    OUT_KIND,
    OUT_REPLY_KEY,
    OUT_STATUS,
    OUT_TOKEN,
    OUT_WORDS,
    PERHAPS,
    STATUS_NONE,
)
from otmon.wire.events import far_emit_pdu
from otmon.wire.loads import jit
from otmon.wire.pairing import match, push, settle
from otmon.wire.shapes import count, judge, shape_of


@jit
def _tally(state: Any, proto: int, column: int) -> None:
    state.totals[proto, column + 1] += 1
    func = state.out[OUT_FUNC]
    if 0 <= func < FUNC_SLOTS:
        state.funcs[proto * FUNC_SLOTS + func, column] += 1


@jit
def _identity(state: Any, shape: int) -> int:
    """EVF_IDENTITY if the message in `out` may tell who its sender is, and is the first of this shape; else 0."""
    if shape < 0 or not state.out[OUT_FLAGS] & FLAG_IDENTITY:
        return 0
    # A response has the shape of its request, and is another one's word.
    side = 1 if state.out[OUT_KIND] == KIND_RESPONSE else 2
    told = state.shapes[shape, S_IDENTITY]
    if told & side:
        return 0
    state.shapes[shape, S_IDENTITY] = told | side
    return EVF_IDENTITY


@jit
def _link_identity(state: Any, conn: int, flow: int) -> int:
    """The same for a link PDU, which has no shape: the first of its side of the connection."""
    side = 1 << (flow & 1)
    told = state.conns[conn, C_TOLD]
    if not state.out[OUT_FLAGS] & FLAG_IDENTITY or told & side:
        return 0
    state.conns[conn, C_TOLD] = told | side
    return EVF_IDENTITY


@jit
def _sample(state: Any, shape: int) -> int:
    """How many messages of the shape one stands for whose values are handed up."""
    row = state.shapes[shape]
    since = row[S_COUNT] - row[S_SAMPLED]
    row[S_SAMPLED] = row[S_COUNT]
    if row[S_SAMPLE] == SAMPLE_ONCE:
        row[S_SAMPLE] = SAMPLE_IDLE
    return since


@jit
def _answer(state: Any, conn: int, sample: int) -> int:
    """Flags of a response in `out` whose request stands for `sample` messages; what goes on with it has the same."""
    expect = state.out[OUT_EXPECT]
    if sample == 0 and expect & CONTINUES:
        sample = state.conns[conn, C_SAMPLED]
    state.conns[conn, C_SAMPLED] = sample if expect & MORE else 0
    return EVF_SAMPLE | sample << EVF_COUNT if sample else 0


def make_pdu(key_of: Callable[..., int]) -> Callable[..., None]:
    """The function `pdu` for these protocols; `key_of(state, proto, ...)` dispatches."""

    @jit
    def pdu(state: Any, buf: Any, x: int, y: int, wire: int, flow: int, proto: int, ts: int, slot: int) -> None:
        """Account for the canonical PDU buf[x:y] that took `wire` bytes of OT payload; `slot` holds its frames."""
        out, ctl = state.out, state.ctl
        conn = flow >> 1
        client = state.conns[conn, C_CLIENT]
        from_client = -1 if client < 0 else 1 if flow & 1 == client else 0
        words = key_of(state, proto, buf, x, y, from_client)
        if words < 0 and state.conns[conn, C_ENCRYPTED] > 0:
            # What was cut without regard to records: after a TLS record these bytes cannot be told from its rest.
            state.bytes[BB_ENCRYPTED] += wire
            state.conns[conn, C_ENCRYPTED] += wire
            return
        n = ctl[CTL_N] + 1
        ctl[CTL_N] = n
        state.totals[proto, TOTAL_PDUS] += 1
        wanted = EVF_MESSAGE if ctl[CTL_MESSAGES] else 0
        kind = out[OUT_KIND]
        if 0 <= out[OUT_CLASS] < 256:
            state.classes[proto, out[OUT_CLASS]] += 1
        if words < 0:
            bad(state, conn, wire)
            _tally(state, proto, 3)
            if wanted:
                far_emit_pdu(state, buf, x, y, wanted, -1, ts, conn, from_client, -1, 0, 0, kind, slot, n)
            return
        wanted |= out[OUT_FLAGS] & FLAG_TRANSFER
        bucket = BB_DECODED
        if out[OUT_FLAGS] & (FLAG_ENCRYPTED | FLAG_DAMAGED):
            if out[OUT_FLAGS] & FLAG_DAMAGED:
                bucket = BB_MALFORMED
                state.conns[conn, C_MALFORMED] += wire
            else:
                bucket = BB_ENCRYPTED
                state.conns[conn, C_ENCRYPTED] += wire
        state.bytes[bucket] += wire
        if kind == KIND_LINK:
            wanted |= _link_identity(state, conn, flow)
            if out[OUT_TOKEN] and state.conns[conn, C_REFERENCE] == 0:
                state.conns[conn, C_REFERENCE] = out[OUT_TOKEN]
            if wanted:
                far_emit_pdu(state, buf, x, y, wanted, -1, ts, conn, from_client, -1, 0, 0, kind, slot, n)
            return
        if kind == KIND_RESPONSE:
            _tally(state, proto, 1)
            if out[OUT_FLAGS] & FLAG_EXCEPTION:
                _tally(state, proto, 2)
            outcome = out[OUT_STATUS]
            request, shape, sample, how = 0, -1, 0, 0
            if outcome != STATUS_NONE:
                later = out[OUT_EXPECT] & LATER
                request, shape, sample, how = match(state, conn, out[OUT_TOKEN], out[OUT_REPLY_KEY], later, outcome, ts)
            if wanted:
                wanted |= how
            if request or outcome == STATUS_NONE or out[OUT_EXPECT] & CONTINUES:
                wanted |= _identity(state, shape)
                if sample or out[OUT_EXPECT]:
                    wanted |= _answer(state, conn, sample)
                if wanted:
                    far_emit_pdu(
                        state, buf, x, y, wanted, shape, ts, conn, from_client, -1, request, outcome, kind, slot, n
                    )
                return
            if state.conns[conn, C_MALFORMED] > 0 or state.flows[flow ^ 1, F_CARRY] >= 0:
                out[OUT_WORDS] |= AFTER_DAMAGE  # what it answers may have been among that
        elif kind == KIND_REQUEST:
            _tally(state, proto, 3 if out[OUT_FLAGS] & FLAG_DAMAGED else 0)
            outcome = 0
            if not out[OUT_EXPECT]:
                outcome = OUTCOME_ACCEPTED if out[OUT_STATUS] else OUTCOME_UNSEEN
        else:
            _tally(state, proto, 1)
            outcome = OUTCOME_ACCEPTED
        shape = shape_of(state, conn, proto, kind, max(from_client, 0), words, ts)
        pending, hit, judged, sample = -1, -1, 1, 0
        if shape < 0:  # no room even for a wide shape: this PDU was read, but nobody judged it
            state.bytes[bucket] -= wire
            state.bytes[BB_SHED] += wire
        else:
            count(state, shape, wire, ts)
            hit = judge(state, shape, ts)
            judged = 0 if hit == -2 else 1
            if not judged:
                wanted |= EVF_JUDGE
                ctl[CTL_ASKED] += 1
                hit = -1
            asked = state.shapes[shape, S_SAMPLE]
            if asked > judged:
                sample = _sample(state, shape)
                wanted |= (EVF_SAMPLE if asked > SAMPLE_IDLE else EVF_BESIDE) | sample << EVF_COUNT
                if asked == SAMPLE_IDLE:
                    sample = 0
            wanted |= _identity(state, shape)
            if kind == KIND_RESPONSE:
                wanted |= _answer(state, conn, sample)
            if outcome == 0:
                judged |= sample << 1
                reply = out[OUT_REPLY_KEY]
                if out[OUT_EXPECT] == PERHAPS:
                    reply |= REPLY_PERHAPS
                pending = push(state, conn, out[OUT_TOKEN], reply, shape, hit, judged, n, ts)
        if wanted:
            far_emit_pdu(state, buf, x, y, wanted, shape, ts, conn, from_client, pending, 0, outcome, kind, slot, n)
        if shape >= 0 and outcome:
            settle(state, shape, hit, judged, n, outcome, ts)

    return pdu
