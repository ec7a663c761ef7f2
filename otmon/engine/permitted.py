"""What tickets permitted: the growth of each operation while a permit held, whatever is said of it before and after."""

from typing import TYPE_CHECKING, Any

import numpy as np

from otmon.engine.growth import COUNTED, SEEN, growth, record_of
from otmon.engine.judge import Judge
from otmon.limits import MAX_SHAPES
from otmon.model import OperationKey, OperationRecord, PermitWrite
from otmon.policy.permits import ticket_of
from otmon.site.part import add_operations, add_writes
from otmon.wire import columns as c
from otmon.wire.compact import moved_rows

if TYPE_CHECKING:
    from otmon.policy.judge import Policy


class Permitted:
    """Compares counts alone while the policy knows no ticket. Connections without a protocol are not in it."""

    def __init__(self, state: Any, judge: Judge) -> None:
        self._state, self._judge = state, judge
        self._told = np.zeros((0, len(COUNTED)), np.int64)
        self._since_ns = 0
        self._found: dict[tuple[OperationKey, str | None], OperationRecord] = {}
        self._writes: dict[tuple[str, OperationKey], PermitWrite] = {}

    def mark(self, policy: "Policy | None", ts_ns: int) -> None:
        """Windows are about to open or close at `ts_ns`: what grew until now was judged as they were."""
        self._told, rows, grown = growth(self._state, self._told)
        if policy is None or not policy.tickets:
            self._since_ns = ts_ns
            return
        seen = self._state.shapes[rows[:, None], SEEN].tolist()
        for shape, when, more in zip(rows.tolist(), seen, grown.tolist(), strict=True):
            for key, _ in self._judge.known(shape):
                verdict = policy.judge(key, when[SEEN.index(c.S_LAST_TS)])
                if verdict.permit and ticket_of(verdict.row) is not None and len(self._found) < MAX_SHAPES:
                    mine = record_of(when, more, (), key, verdict)
                    mine = mine._replace(first_ts_ns=max(mine.first_ts_ns, self._since_ns))
                    before = self._found.get((key, verdict.row))
                    self._found[key, verdict.row] = mine if before is None else add_operations(before, mine)
        self._since_ns = ts_ns

    def message(self, event: list[int]) -> None:
        """A message that was judged by itself, as those are that set something under a ticket."""
        shape, policy, judge = event[c.E_SHAPE], self._judge.policy, self._judge
        if policy is None or not policy.tickets or shape < 0 or not judge.sets(shape):
            return
        message = judge.decode(event)
        written = () if message is None else tuple(judge.protocol(shape).written(message))
        for key, (_, value) in zip(judge.keys(shape, [op for op, _ in written]), written, strict=True):
            verdict = policy.judge_values(key, written, event[c.E_TS], judge.shadow.effects)
            if not verdict.permit or ticket_of(verdict.row) is None or len(self._writes) >= MAX_SHAPES:
                continue
            mine = PermitWrite(verdict.row or "", key, value, value, 1, event[c.E_TS], event[c.E_TS])
            before = self._writes.get(mine[:2])
            self._writes[mine[:2]] = mine if before is None else add_writes(before, mine)

    def take_all(self) -> tuple[list[OperationRecord], list[PermitWrite]]:
        """Since the last time, by operation and row."""
        found = list(self._found.values()), list(self._writes.values())
        self._found.clear()
        self._writes.clear()
        return found

    def move_shapes(self, rows: Any) -> None:
        """Shapes have other rows now: old -> new, -1: gone."""
        self._told = moved_rows(self._told, rows)
