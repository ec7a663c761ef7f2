"""A policy that permits everything and notes what is written: the least and the greatest value of each operation."""

from collections.abc import Sequence
from math import ceil, floor, isfinite

from otmon.model import Op, OperationKey
from otmon.policy.effects import NOTHING, Effects
from otmon.policy.generalise import Values
from otmon.policy.judge import Policy, Rules
from otmon.policy.rows import WRITING
from otmon.policy.values import concerned, known
from otmon.policy.verdict import Verdict
from otmon.policy.zones import Realms, Sites

_EXACT: int = 1 << 53
"""Below this, every whole number is itself in floating point."""


class Listener(Policy):
    """Engine's policy while learning with bounds."""

    def __init__(self, realms: Realms) -> None:
        nothing = Rules(())
        super().__init__(
            path="",
            sha256="",
            site="default",
            realms=realms,
            sites=Sites((), (), {}),
            chatter=True,
            conduits=nothing,
            never=nothing,
            review=nothing,
        )
        self.values: dict[OperationKey, Values | None] = {}
        """Bounds, as whole numbers around all that was written; None: something was no number, or too large for it."""

    def judge(self, op: OperationKey, ts_ns: int) -> Verdict:
        """Permitted; of what writes, every message is to be looked at."""
        return Verdict(True, inspect=op.access in WRITING)

    def judge_values(
        self, op: OperationKey, written: Sequence[tuple[Op, float]], ts_ns: int, effects: Effects = NOTHING
    ) -> Verdict:
        """Permitted, and noted."""
        for element, value in written:
            if concerned(op, element):
                before = self.values.get(op, (value, value))
                fits = before is not None and isfinite(value) and abs(value) < _EXACT
                self.values[op] = (
                    (min(before[0], floor(value)), max(before[1], ceil(value))) if before and fits else None
                )
        if op.access in WRITING and op.target is not None and not known(op, written):
            self.values[op] = None
        return Verdict(True)

    def judge_reading(
        self, op: OperationKey, written: Sequence[tuple[Op, float]], ts_ns: int, effects: Effects = NOTHING
    ) -> Verdict:
        """Permitted, and not noted: nobody knows that a device took it so."""
        return Verdict(True)
