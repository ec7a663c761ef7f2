"""The clock: frame times that never run backwards, without the outliers (DESIGN 1, Time).

The result depends on the sequence of records alone: a record is settled only once the record behind it is known.
"""

from typing import Any, Final

from otmon.capture.batch import REC_LENGTHS, REC_TS
from otmon.limits import CLOCK_JUMP_NS
from otmon.wire.far import far
from otmon.wire.loads import jit

CLOCK: Final = 0
"""Running maximum, ns."""
GOOD: Final = 1
"""Time as written of the last frame that was no outlier, ns."""
FRAMES: Final = 2
"""Frames settled."""
BYTES: Final = 3
"""Their captured bytes."""
TRUNCATED: Final = 4
"""Those of which not all was captured."""
JUMPS: Final = 5
"""Outliers, clamped to the clock."""
FIRST: Final = 6
"""Clock of the first frame, ns."""
DOUBTED: Final = 7
"""Time as written of the last outlier behind which nothing was known, ns; 0: there was none."""
CLOCK_SIZE: Final = 8


@jit
def _apart(a: int, b: int) -> bool:
    return a - b > CLOCK_JUMP_NS or b - a > CLOCK_JUMP_NS


@jit
def settle(records: Any, rows: int, limit: int, last: int, clock: Any) -> int:
    """Replace the raw times of records[:n] by the clock, count the frames, and return n (at most `limit`).

    `rows` records are there; `last` is 1 if none can follow. A frame more than CLOCK_JUMP_NS from the previous good one
    is an outlier unless the next frame is near it, or later still than a forward jump (a sparse capture); the last one
    of those that are there is none if the frame before was called one for want of a next, and is near it (a live clock
    that was set, frames coming one by one). The first frame is one if the second and third agree with each other and
    not with it; it takes the time of the second.
    """
    done = 0
    stop = min(rows if last == 1 else rows - 1, limit)
    if clock[FRAMES] == 0:
        if rows == 0 or (rows < 3 and last == 0):
            return 0
        first = records[0, REC_TS]
        if rows >= 3:
            second, third = records[1, REC_TS], records[2, REC_TS]
            if _apart(first, second) and _apart(first, third) and not _apart(second, third):
                first = second
                clock[JUMPS] += 1
                records[0, REC_TS] = first
        clock[CLOCK] = clock[GOOD] = clock[FIRST] = first
    now, good = clock[CLOCK], clock[GOOD]
    size = truncated = 0
    while done < stop:
        ts = records[done, REC_TS]
        outlier = False
        if _apart(ts, good):
            outlier = clock[DOUBTED] == 0 or _apart(ts, clock[DOUBTED])
            if done + 1 < rows:
                following = records[done + 1, REC_TS]
                outlier = outlier and _apart(ts, following) and not (good < ts < following)
            else:
                clock[DOUBTED] = ts
        if outlier:
            clock[JUMPS] += 1
        else:
            good = ts
            now = max(now, ts)
        records[done, REC_TS] = now
        lengths = records[done, REC_LENGTHS]
        size += lengths >> 32
        truncated += lengths >> 32 < lengths & 0xFFFFFFFF
        done += 1
    clock[CLOCK], clock[GOOD] = now, good
    clock[FRAMES] += done
    clock[BYTES] += size
    clock[TRUNCATED] += truncated
    return done


far_settle = far("settle_times", "i(riiiw)", settle)
