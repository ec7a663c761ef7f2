"""What the compiled tables forget, so that a sensor runs for years in the same memory.

A little at a time: closing a connection is work, and frames wait meanwhile. What is closed is told first, then its row
is free, and when many rows are free the tables are drawn together (otmon.wire.compact).
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from otmon import limits
from otmon.engine.collect import Collector
from otmon.engine.judge import Judge
from otmon.engine.names import Names
from otmon.stream.slow import SlowPath
from otmon.wire import columns as c
from otmon.wire import compact
from otmon.wire.finish import far_finish_conn
from otmon.wire.flow import far_reset_conn
from otmon.wire.net import K1_TRANSPORT
from otmon.wire.state import both_ways

AT_ONCE: Final = 500
"""Connections closed in one step: about 50 ms."""
FREE_SHARE: Final = 0.25
"""Of the rows in use, from which on drawing together is worth it."""
MANY_CONNECTIONS: Final = 0.75 * limits.MAX_CONNECTIONS
MANY_SHAPES: Final = 0.75 * (limits.MAX_SHAPES - limits.WIDE_SHAPES)
"""Above these a table is nearly full: a harvest should come soon, and patience is short."""
CROWDED: Final = 0.5
"""Of the most connections, from which on those that nobody answered are shed."""
HOSTS_SHARE: Final = 0.5
"""Of the most IPv6 hosts, or bindings of addresses, from which on those not needed go."""
FEW: Final = 4096
"""Tables of fewer rows are left as they are."""


class Ageing:
    """Closes connections that ended, and forgets shapes that nobody asks any more."""

    def __init__(
        self,
        state: Any,
        names: Names,
        judge: Judge,
        collector: Collector,
        slow: SlowPath,
        drain: Callable[[], None],
    ) -> None:
        self._state, self._names, self._judge, self._collector, self._slow = state, names, judge, collector, slow
        self._drain = drain
        self._share = int(state.ctl[c.CTL_SHARE])
        self.shed = 0
        """Unanswered connections that were forgotten in a flood, told or not."""

    @property
    def crowded(self) -> bool:
        """Whether a table is so full, or so much waits to be told, that a harvest should come soon."""
        ctl = self._state.ctl
        conns, shapes = ctl[c.CTL_CONNS] * self._share, ctl[c.CTL_SHAPES] * self._share
        full = conns > MANY_CONNECTIONS or shapes > MANY_SHAPES
        return bool(full or self._collector.waiting * self._share > limits.MAX_UNSAVED)

    def step(self, now_ns: int) -> None:
        """Close some connections; draw the table together if that frees much."""
        used = int(self._state.ctl[c.CTL_CONNS])
        ended = self._ended(used, now_ns)
        for row in ended[:AT_ONCE].tolist():
            self._close(row, now_ns)
        if ended.size:
            self._drain()
        free = ~self._frames(used)
        if used * self._share > CROWDED * limits.MAX_CONNECTIONS:
            unanswered = self._unanswered(used, now_ns)
            free |= unanswered
        else:
            unanswered = np.zeros(used, bool)
        if used > FEW and free.mean() > FREE_SHARE:
            self.shed += int(np.count_nonzero(unanswered))
            rows = compact.drop_connections(self._state, ~free)
            self._slow.move(rows)
            self._collector.move_connections(rows)

    def _unanswered(self, used: int, now_ns: int) -> Any:
        """Of a nearly full table, connections that nobody answered and nothing was said on: what a flood is made of.

        They are shed, so that there is room for those that are answered.
        """
        conns, flows = self._state.conns[:used], both_ways(self._state, used)
        silent = ~(flows[:, :, c.F_BITS] & c.FLOW_PAYLOAD).any(axis=1) & (conns[:, c.C_PROTO] < 0)
        alone = (flows[:, :, c.F_FRAMES] == 0).any(axis=1) & self._frames(used)
        old = now_ns - conns[:, c.C_LAST_TS] > limits.UNANSWERED_NS
        return silent & alone & old & (conns[:, c.C_SLOW] == 0)

    def _frames(self, used: int) -> Any:
        """Whether each row holds a connection."""
        return both_ways(self._state, used)[:, :, c.F_FRAMES].any(axis=1)

    def _ended(self, used: int, now_ns: int) -> Any:
        """Rows of connections that were closed, or quiet for long, those quiet for longest first."""
        conns = self._state.conns[:used]
        plain, closed = conns[:, c.C_PROTO] < 0, conns[:, c.C_CLOSED] != 0
        flows = both_ways(self._state, used)
        tcp = flows[:, 0, c.F_K1] >> K1_TRANSPORT & 0xFF == c.TRANSPORT_TCP
        answered = tcp & flows[:, :, c.F_FRAMES].all(axis=1)
        patience = np.where(answered, limits.OPEN_IDLE_NS, limits.PLAIN_IDLE_NS)
        patience = np.where(plain, patience, limits.CONTROL_IDLE_NS)
        if used * self._share > MANY_CONNECTIONS:
            patience = np.where(plain, limits.CROWDED_IDLE_NS, patience)
        patience = np.where(closed, np.minimum(patience, limits.CLOSED_IDLE_NS), patience)
        rows = np.flatnonzero((now_ns - conns[:, c.C_LAST_TS] > patience) & self._frames(used))
        return rows[np.argsort(conns[rows, c.C_LAST_TS], kind="stable")]

    def _close(self, row: int, now_ns: int) -> None:
        """Tell of a connection for the last time, and free its row."""
        state = self._state
        self._slow.close(state, row, now_ns)
        far_finish_conn(state, row, now_ns, 0)
        if state.ctl[c.CTL_EVENTS] > c.EVENTS_CAP // 2:
            self._drain()
        self._collector.close_connection(row)
        far_reset_conn(state, row, now_ns)
        state.flows[2 * row : 2 * row + 2, [c.F_FRAMES, c.F_BYTES]] = 0

    def forget_shapes(self, now_ns: int) -> None:
        """Forget shapes not seen for long (of a crowded table, the older half); to be called after a harvest."""
        state, judge = self._state, self._judge
        self._drain()
        used = int(state.ctl[c.CTL_SHAPES])
        last_ts = state.shapes[:used, c.S_LAST_TS]
        old = now_ns - last_ts > limits.SHAPE_IDLE_NS
        if used * self._share > MANY_SHAPES:
            old |= last_ts < np.partition(last_ts, used // 2)[used // 2]
        old &= ~compact.needed_shapes(state)
        if used > FEW and old.mean() > FREE_SHARE:
            rows = compact.drop_shapes(state, ~old)
            judge.move_shapes(rows)
            self._collector.move_shapes(rows)
            self._names.forget_pairs()
        share = HOSTS_SHARE / self._share
        if state.ctl[c.CTL_HOSTS6] > share * limits.MAX_HOSTS6 or (
            state.ctl[c.CTL_BINDINGS] > share * limits.MAX_BINDINGS
        ):
            compact.drop_hosts6(state)
            self._names.forget_hosts()
        judge.drop_hits()
        self._collector.age(now_ns)
