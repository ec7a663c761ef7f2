"""Rounds of summaries: what is known of every operation by now, for those who take operations."""

import sqlite3
from collections.abc import Iterator

from otmon.limits import SUMMARY_NS, SUMMARY_ROWS
from otmon.model import OperationRecord
from otmon.store.rows import operation_row
from otmon.store.tables import KEYS, read_counters, read_operations, write_counters


def due(db: sqlite3.Connection, now_ns: int) -> Iterator[OperationRecord]:
    """The next operations that were seen since the last round, in the transaction that is open.

    A round goes through all operations in the order of their keys, SUMMARY_ROWS at a call, so that a million of
    them neither hold up frames nor are written at once; the next one begins SUMMARY_NS after it began.
    """
    state = read_counters(db).get("summaries") or {"since_ns": now_ns, "began_ns": now_ns, "after": None}
    if state["after"] is None:
        if now_ns - state["began_ns"] < SUMMARY_NS:
            write_counters(db, {"summaries": state})
            return
        state = {"since_ns": state["began_ns"], "began_ns": now_ns, "after": []}
    found = list(read_operations(db, state["after"], SUMMARY_ROWS))
    state["after"] = list(operation_row(found[-1])[: len(KEYS["operation_rows"])]) if found else None
    write_counters(db, {"summaries": state})
    yield from (op for op in found if op.last_ts_ns > state["since_ns"])
