"""Durations as histograms. Each is a line of memory that nothing else needs: waited for one by one, these lines cost a
fifth of the time of a PDU; noted and counted many at once, they come side by side.
"""

from typing import Any

from otmon.wire.columns import CTL_HISTS, CTL_MARKS, HIST_BUCKETS, MARK_SHIFT, MARKS, S_HIST
from otmon.wire.far import far
from otmon.wire.loads import jit


@jit
def bucket(ns: int) -> int:
    """Log-scale bucket of a duration: four an octave from 4 µs (as otmon.site.timing)."""
    v = ns // 1000
    if v < 4:
        return max(v, 0)
    e = 0
    x = v
    if x >= 1 << 32:
        x >>= 32
        e += 32
    if x >= 1 << 16:
        x >>= 16
        e += 16
    if x >= 1 << 8:
        x >>= 8
        e += 8
    if x >= 1 << 4:
        x >>= 4
        e += 4
    if x >= 1 << 2:
        x >>= 2
        e += 2
    if x >= 1 << 1:
        e += 1
    return min(4 * (e - 1) + ((v >> (e - 2)) & 3), HIST_BUCKETS - 1)


@jit
def settle_marks(state: Any) -> None:
    """Count the durations noted since the last time."""
    for i in range(state.ctl[CTL_MARKS]):
        mark = state.marks[i]
        state.hists[mark >> MARK_SHIFT, mark & ((1 << MARK_SHIFT) - 1)] += 1
    state.ctl[CTL_MARKS] = 0


far_settle_marks = far("settle_marks", "v(s)", settle_marks)


@jit
def histogram(state: Any, shape: int, column: int, ns: int) -> None:
    """Count a duration; a histogram is made at the second message, so that novelty costs none."""
    row = state.shapes[shape, S_HIST]
    if row < 0:
        row = state.ctl[CTL_HISTS]
        if row >= len(state.hists):
            return
        state.ctl[CTL_HISTS] = row + 1
        state.shapes[shape, S_HIST] = row
    used = state.ctl[CTL_MARKS]
    state.marks[used] = (row << MARK_SHIFT) | (column + bucket(ns))
    state.ctl[CTL_MARKS] = used + 1
    if used + 1 == MARKS:
        far_settle_marks(state)
