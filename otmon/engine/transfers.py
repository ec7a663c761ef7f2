"""Follows uploads and downloads of controller logic, part by part, and tells of each block what it was.

Only its hash is kept of a block. What a PDU does to a transfer its protocol says (`Protocol.transfer`).
"""

import hashlib
from collections import OrderedDict
from typing import Any, Literal

from otmon.engine.events import frames_of, pdu_of
from otmon.engine.names import Names
from otmon.limits import MAX_BLOCKS, MAX_TRANSFER_REQUESTS, MAX_TRANSFERS, TRANSFER_IDLE_NS
from otmon.model import Block, BlockRecord, FrameRef, Step
from otmon.protocols import PROTOCOLS
from otmon.wire import columns as c

_Key = tuple[int, str, str]
"""(connection, direction, handle)"""


class _Open:
    """A transfer that goes on."""

    def __init__(self, first: Step, block: Block, ts_ns: int, frame: FrameRef) -> None:
        self.first, self.block = first, block
        self.hash, self.length, self.parts = hashlib.sha256(), 0, 0
        self.first_ts_ns = self.last_ts_ns = ts_ns
        self.frames = frame, frame
        self.lost = first.phase != "begin"
        self.failed = self.asked = False
        """asked: a part is waited for."""
        self.more = True

    def state(self, ended: bool) -> Literal["complete", "gap", "aborted"]:
        """As in BlockRecord."""
        if self.failed:
            return "aborted"
        if self.lost or (ended and self.asked):
            return "gap"
        if self.more:
            return "aborted"
        return "complete" if self.first.length in (None, self.length) else "gap"


class Transfers:
    """Of all connections. Those that ended wait for the next harvest."""

    def __init__(self, state: Any, names: Names) -> None:
        self._state, self._names = state, names
        self._open: OrderedDict[_Key, _Open] = OrderedDict()
        """The one that rests for longest first."""
        self._requests: OrderedDict[int, bytes] = OrderedDict()
        self._ended: list[BlockRecord] = []
        self.shed = 0
        """Transfers that were cut short or left out because there were too many."""

    def take(self, event: list[int]) -> None:
        """A PDU of a transfer."""
        state, conn = self._state, event[c.E_CONN]
        pdu, request = pdu_of(state, event), self._requests.pop(event[c.E_REQUEST], None)
        if event[c.E_PENDING] >= 0:
            self._requests[event[c.E_N]] = pdu
            if len(self._requests) > MAX_TRANSFER_REQUESTS:
                self._requests.popitem(last=False)
        step = PROTOCOLS[int(state.conns[conn, c.C_PROTO])].transfer(pdu, request)
        if step is None:
            return
        if step.handle is None:
            for (of, direction, _), transfer in self._open.items():
                if (of, direction) == (conn, step.direction):
                    transfer.lost = True
            return
        frames = frames_of(state, event)
        key = conn, step.direction, step.handle
        if step.phase == "begin":
            self._close(key, False)
            self._begin(key, step, event[c.E_TS], frames[0])
        elif step.phase == "ask" and key not in self._open:
            self._begin(key, step, event[c.E_TS], frames[0])  # the beginning was not seen
        if key in self._open:
            self._go_on(key, step, event[c.E_TS], frames[-1])

    def _begin(self, key: _Key, step: Step, ts_ns: int, frame: FrameRef) -> None:
        if step.block is None:  # nobody said which one it is
            return
        if len(self._open) >= MAX_TRANSFERS:
            oldest = next(iter(self._open))
            self._open[oldest].lost = True
            self._close(oldest, False)
            self.shed += 1
        self._open[key] = _Open(step, step.block, ts_ns, frame)

    def _go_on(self, key: _Key, step: Step, ts_ns: int, frame: FrameRef) -> None:
        transfer = self._open[key]
        self._open.move_to_end(key)
        transfer.last_ts_ns = max(transfer.last_ts_ns, ts_ns)
        transfer.frames = transfer.frames[0], frame
        transfer.failed |= step.failed
        if step.phase == "ask":
            transfer.lost |= transfer.asked  # the part asked for before never came
            transfer.asked = True
        elif step.phase == "part":
            transfer.hash.update(step.data)
            transfer.length += len(step.data)
            transfer.parts += not step.failed
            transfer.asked, transfer.more = False, step.more
            transfer.lost |= step.lost
        elif step.phase == "end":
            if step.parts is not None:
                transfer.more, transfer.lost = False, transfer.lost or step.parts != transfer.parts
            self._close(key, True)

    def _close(self, key: _Key, ended: bool) -> None:
        transfer = self._open.pop(key, None)
        if transfer is None:
            return
        if len(self._ended) >= MAX_BLOCKS:
            self.shed += 1
            return
        row = self._state.conns[key[0]]
        pair = self._names.flow(2 * key[0] + max(int(row[c.C_CLIENT]), 0))
        first, state = transfer.first, transfer.state(ended)
        self._ended.append(
            BlockRecord(
                realm=pair.realm,
                server=pair.server,
                protocol=PROTOCOLS[int(row[c.C_PROTO])].name,
                unit=first.unit,
                block=transfer.block,
                direction=first.direction,
                client=pair.client,
                state=state,
                length=transfer.length,
                sha256=transfer.hash.hexdigest() if state == "complete" else None,
                first_ts_ns=transfer.first_ts_ns,
                last_ts_ns=transfer.last_ts_ns,
                frames=transfer.frames,
            )
        )

    def close_connection(self, conn: int) -> None:
        """Nothing more comes on it."""
        for key in [key for key in self._open if key[0] == conn]:
            self._close(key, False)

    def move_connections(self, rows: Any) -> None:
        """Connections have other rows now: old -> new, -1: gone."""
        self._open = OrderedDict(((int(rows[k[0]]), *k[1:]), t) for k, t in self._open.items() if rows[k[0]] >= 0)

    def age(self, now_ns: int) -> None:
        """Those that rest for long were broken off."""
        for key in [key for key, t in self._open.items() if now_ns - t.last_ts_ns > TRANSFER_IDLE_NS]:
            self._close(key, False)

    def take_all(self, final: bool) -> list[BlockRecord]:
        """Those that ended since the last time. `final`: nothing more comes on any connection."""
        if final:
            for key in list(self._open):
                self._close(key, False)
        ended, self._ended = self._ended, []
        return ended
