"""Whether the tables that can grow, and what waits to be handed up, have room: asked before a frame is begun, so that
none is left half done.
"""

from typing import Any

from otmon.wire.columns import (
    CTL_ARENA,
    CTL_BINDINGS,
    CTL_CONNS,
    CTL_EV_BYTES,
    CTL_EV_FRAMES,
    CTL_EVENTS,
    CTL_FOLDS,
    CTL_FREE_PENDING,
    CTL_FREE_SLOT,
    CTL_HISTS,
    CTL_HOSTS6,
    CTL_PAIRS,
    CTL_SHAPES,
    EV_BYTES_CAP,
    EV_FRAMES_CAP,
    EVENTS_CAP,
)
from otmon.wire.loads import jit


@jit
def room(state: Any, need: int) -> int:
    """1 if no table that can grow is too full for a frame that may add `need` rows."""
    ctl = state.ctl
    if ctl[CTL_CONNS] + need >= len(state.conns) or ctl[CTL_PAIRS] + need >= len(state.pairs):
        return 0
    if ctl[CTL_SHAPES] + need >= len(state.shapes) or ctl[CTL_FOLDS] + need >= len(state.folds):
        return 0
    if ctl[CTL_HISTS] + need >= len(state.hists) or ctl[CTL_ARENA] + 16 * need + 256 >= len(state.arena):
        return 0
    if ctl[CTL_HOSTS6] + need >= len(state.hosts6) or ctl[CTL_BINDINGS] + need >= len(state.bindings):
        return 0
    return 0 if ctl[CTL_FREE_PENDING] < 0 or ctl[CTL_FREE_SLOT] < 0 else 1


@jit
def full(state: Any) -> int:
    """1 if more than a quarter of the room for events is used: the rest is more than one frame can fill, the longest of
    a capture file, or what the slow path sends on at once.
    """
    ctl = state.ctl
    if ctl[CTL_EVENTS] > EVENTS_CAP // 4 or ctl[CTL_EV_BYTES] > EV_BYTES_CAP // 4:
        return 1
    return 1 if ctl[CTL_EV_FRAMES] > EV_FRAMES_CAP // 4 else 0
