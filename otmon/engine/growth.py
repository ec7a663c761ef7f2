"""By how much operations grew: the counts of shapes beyond those that were told."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from otmon.engine.names import frame_ref
from otmon.model import Counts, OperationKey, OperationRecord
from otmon.policy.verdict import Verdict
from otmon.wire import columns as c

COUNTED = (c.S_COUNT, *range(c.S_ACCEPTED, c.S_UNSEEN + 1), c.S_BYTES)
"""Columns of a shape that are told by how much they grew: attempted, outcomes in the order of Counts, bytes."""
SEEN = (c.S_FIRST_TS, c.S_LAST_TS, c.S_FIRST_FRAME)
"""Columns of a shape that say when it was seen."""


def growth(state: Any, told: Any) -> tuple[Any, Any, Any]:
    """By how much shapes grew beyond what was told: (what is told from now on, rows, int64[rows, len(COUNTED)])."""
    counts = state.shapes[: int(state.ctl[c.CTL_SHAPES]), COUNTED]
    if len(told) < len(state.shapes):
        told = np.concatenate([told, np.zeros((len(state.shapes) - len(told), len(COUNTED)), np.int64)])
    grown = counts - told[: len(counts)]
    changed = np.flatnonzero(grown.any(axis=1))
    told[changed] = counts[changed]
    return told, changed, grown[changed]


def record_of(
    seen: list[int], more: list[int], times: Sequence[tuple[int, int]], key: OperationKey, verdict: Verdict | None
) -> OperationRecord:
    """An operation of a shape that was `seen` (SEEN) and grew by `more` (COUNTED) and `times`."""
    attempted, accepted, rejected, partial, unanswered, unseen, size = more
    first_ts_ns, last_ts_ns, first_frame = seen
    pending = attempted - accepted - rejected - partial - unanswered - unseen
    return OperationRecord(
        key,
        Counts(attempted, accepted, rejected, partial, unanswered, unseen, pending),
        size,
        first_ts_ns,
        last_ts_ns,
        frame_ref(first_frame),
        {column: number for column, number in times if column < c.HIST_BUCKETS},
        {column - c.HIST_BUCKETS: number for column, number in times if column >= c.HIST_BUCKETS},
        None if verdict is None else verdict.word,
        None if verdict is None else verdict.row,
    )
