"""What the compiled path hands up to Python: one row of `events` each, PDUs copied into `ev_bytes`."""

from typing import Any

from otmon.wire.columns import (
    CTL_EV_BYTES,
    CTL_EV_FRAMES,
    CTL_EVENTS,
    CTL_FRAME,
    E_CONN,
    E_FLAGS,
    E_FRAME,
    E_FRAMES,
    E_FROM_CLIENT,
    E_KIND,
    E_LEN,
    E_N,
    E_NFRAMES,
    E_OFF,
    E_OUTCOME,
    E_PENDING,
    E_REQUEST,
    E_SHAPE,
    E_TS,
    E_TYPE,
    EV_BINDING,
    EV_FRAMES_CAP,
    EV_OUTCOME,
    EV_PDU,
    SLOT_FRAMES,
)
from otmon.wire.far import far
from otmon.wire.loads import copy, jit


@jit
def event_row(state: Any, kind: int, ts: int) -> int:
    """A new event, its type and time filled in."""
    row = state.ctl[CTL_EVENTS]
    state.ctl[CTL_EVENTS] = row + 1
    state.events[row, E_TYPE] = kind
    state.events[row, E_TS] = ts
    return row


@jit
def add_frame(state: Any, slot: int, frame: int) -> None:
    """Note that `frame` brought bytes of what is in `slot`."""
    used = state.slots[slot, 1]
    if used and state.slots[slot, 1 + used] == frame:
        return
    if used < SLOT_FRAMES:
        state.slots[slot, 2 + used] = frame
        state.slots[slot, 1] = used + 1


@jit
def emit_pdu(
    state: Any, buf: Any, x: int, y: int, flags: int, shape: int, ts: int, conn: int, from_client: int, pending: int,
    request: int, outcome: int, kind: int, slot: int, n: int,
) -> None:  # fmt: skip
    """Hand up the canonical PDU buf[x:y]; `slot` holds the frames that brought it, -1: the one in work did."""
    ctl = state.ctl
    row = event_row(state, EV_PDU, ts)
    ev = state.events
    ev[row, E_FLAGS] = flags
    ev[row, E_SHAPE] = shape
    ev[row, E_N] = n
    ev[row, E_CONN] = conn
    ev[row, E_FROM_CLIENT] = from_client
    ev[row, E_PENDING] = pending
    ev[row, E_REQUEST] = request
    ev[row, E_OUTCOME] = outcome
    ev[row, E_KIND] = kind
    ev[row, E_FRAME] = ctl[CTL_FRAME]
    at = ctl[CTL_EV_BYTES]
    ev[row, E_OFF] = at
    ev[row, E_LEN] = y - x
    copy(state.ev_bytes, at, buf, x, y - x)
    ctl[CTL_EV_BYTES] = at + y - x
    ev[row, E_NFRAMES] = 0
    if slot >= 0 and ctl[CTL_EV_FRAMES] + SLOT_FRAMES < EV_FRAMES_CAP:  # else the last one stands for all of them
        first = ctl[CTL_EV_FRAMES]
        used = state.slots[slot, 1]
        for i in range(used):
            state.ev_frames[first + i] = state.slots[slot, 2 + i]
        if used == 0 or state.slots[slot, 1 + used] != ctl[CTL_FRAME]:
            state.ev_frames[first + used] = ctl[CTL_FRAME]
            used += 1
        ev[row, E_FRAMES] = first
        ev[row, E_NFRAMES] = used
        ctl[CTL_EV_FRAMES] = first + used


@jit
def emit_outcome(state: Any, shape: int, request: int, outcome: int, ts: int) -> None:
    """The outcome of a request that Python judges."""
    row = event_row(state, EV_OUTCOME, ts)
    state.events[row, E_SHAPE] = shape
    state.events[row, E_REQUEST] = request
    state.events[row, E_OUTCOME] = outcome
    state.events[row, E_FRAME] = state.ctl[CTL_FRAME]


@jit
def emit_binding(state: Any, mac: int, address: int, kind: int, ts: int, frame: int) -> None:
    """A MAC seen with an address for the first time."""
    row = event_row(state, EV_BINDING, ts)
    state.events[row, E_SHAPE] = mac
    state.events[row, E_N] = address
    state.events[row, E_KIND] = kind
    state.events[row, E_FRAME] = frame


far_emit_pdu = far("emit_pdu", "v(sbiiiiiiiiiiiii)", emit_pdu)
far_emit_outcome = far("emit_outcome", "v(siiii)", emit_outcome)
