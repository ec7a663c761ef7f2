"""Values seen on the wire, down-sampled: traffic that is known and permitted costs no Python, but for one message of
each shape now and then, which is asked for here and handed up with its response.
"""

from collections import OrderedDict
from collections.abc import Collection
from typing import Any

import numpy as np

from otmon.engine.events import pdu_of
from otmon.engine.judge import Judge
from otmon.engine.names import Names
from otmon.limits import MAX_POINT_REQUESTS, MAX_POINTS, POINT_SAMPLE_NS, POINT_VALUES, POINTS_PER_S
from otmon.model import Malformed, PointRecord
from otmon.protocols import PROTOCOLS
from otmon.wire import columns as c


def points_per_s(streams: Collection[str]) -> float | None:
    """How many values are gathered for whoever takes these streams; None: nobody takes values."""
    return POINTS_PER_S if "point" in streams else None


class Points:
    """Asks for samples, takes them, and keeps the last value of each point until it is told."""

    def __init__(self, state: Any, names: Names, judge: Judge, per_s: float) -> None:
        self._state, self._names, self._judge, self._per_s = state, names, judge, per_s
        self._at_once = max(per_s, POINT_VALUES)
        state.ctl[c.CTL_SAMPLE] = c.SAMPLE_IDLE
        self._requests: OrderedDict[int, bytes] = OrderedDict()
        self._last: dict[tuple[Any, ...], PointRecord] = {}
        self._before: list[PointRecord] = []
        """Values written that another one was written over."""
        self._asked_ns = 0
        self._next = 0
        """Shape whose turn it is."""
        self._turns = 0.0
        """Shapes whose turn has come."""
        self._credit = 0.0
        """Values that may be looked at; below 0 after a message that held many."""
        self._shed = 0
        """Values left out because too many waited, messages because there were too many."""

    # --- asking ------------------------------------------------------------------------------------------------------

    def ask(self, now_ns: int) -> None:
        """Each shape in turn, once in POINT_SAMPLE_NS, or less often if that were too many values.

        To be called once a second or more often.
        """
        shapes = self._state.shapes[: int(self._state.ctl[c.CTL_SHAPES])]
        passed_ns = min(max(now_ns - self._asked_ns, 0), POINT_SAMPLE_NS)
        self._asked_ns = now_ns
        self._credit = min(self._credit + self._per_s * passed_ns / 1e9, self._at_once)
        self._turns = min(self._turns + len(shapes) * passed_ns / POINT_SAMPLE_NS, len(shapes))
        number = int(min(self._turns, self._credit))
        if number <= 0:
            return
        rows = np.arange(self._next, self._next + number) % len(shapes)
        idle = rows[shapes[rows, c.S_SAMPLE] == c.SAMPLE_IDLE]
        shapes[idle, c.S_SAMPLE] = c.SAMPLE_ONCE
        self._next = (self._next + number) % len(shapes)
        self._turns -= number

    # --- taking ------------------------------------------------------------------------------------------------------

    def take(self, event: list[int]) -> None:
        """A message whose values are wanted, or is looked at anyway."""
        state, conn = self._state, event[c.E_CONN]
        request = self._requests.pop(event[c.E_REQUEST], None)
        asked, messages = event[c.E_FLAGS] & c.EVF_SAMPLE, event[c.E_FLAGS] >> c.EVF_COUNT
        if not asked and not self._judge.sets(event[c.E_SHAPE]):
            state.shapes[event[c.E_SHAPE], c.S_SAMPLED] -= messages  # the next sample stands for them
            return
        if self._credit <= 0 and self._followed(event[c.E_SHAPE]):
            return
        if self._credit < -self._at_once * POINT_VALUES:  # more than was asked for: writes that are judged one by one
            self._shed += 1
            return
        pdu = pdu_of(state, event)
        if asked and event[c.E_PENDING] >= 0:
            self._requests[event[c.E_N]] = pdu
            if len(self._requests) > MAX_POINT_REQUESTS:
                self._requests.popitem(last=False)
        protocol = PROTOCOLS[int(state.conns[conn, c.C_PROTO])]
        try:
            message = protocol.decode(pdu, event[c.E_FROM_CLIENT] == 1, request)
        except Malformed:
            return
        values = list(protocol.points(message))
        if not values:
            return
        if len(values) > POINT_VALUES:
            first = event[c.E_TS] // 1000 % len(values)
            values = (values + values)[first : first + POINT_VALUES]
        self._credit -= len(values)
        pair = self._names.flow(2 * conn + max(int(state.conns[conn, c.C_CLIENT]), 0))
        names = pair.realm, pair.client, pair.server, protocol.name, message.unit
        for access, target, value in values:
            self._keep(PointRecord(*names, access, target, value, event[c.E_TS], messages))

    def _followed(self, shape: int) -> bool:
        """All messages of the shape are asked for, whoever takes values (otmon.engine.followed)."""
        policy = self._judge.policy
        if policy is None or not policy.watched:
            return False
        return bool(self._state.shapes[shape, c.S_SAMPLE] == c.SAMPLE_ALWAYS)

    def _keep(self, point: PointRecord) -> None:
        """The last value read, and each other value written."""
        place = point[:7]
        before = self._last.get(place)
        if before is not None and (before.value == point.value or point.access == "read"):
            point = point._replace(messages=before.messages + point.messages)
        elif len(self._last) + len(self._before) >= MAX_POINTS:
            self._shed += 1
            return
        elif before is not None:
            self._before.append(before)
        self._last[place] = point

    # --- telling -----------------------------------------------------------------------------------------------------

    def take_all(self) -> tuple[list[PointRecord], int]:
        """What was gathered since the last time, by time, and how many values or messages were left out."""
        found = sorted([*self._before, *self._last.values()], key=lambda point: point.ts_ns)
        shed, self._shed = self._shed, 0
        self._last.clear()
        self._before.clear()
        return found, shed
