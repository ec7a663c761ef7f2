"""Puts messages together that a protocol sends in several PDUs, each of which is judged by itself before."""

from collections import OrderedDict
from typing import Any

from otmon.engine.events import pdu_of
from otmon.limits import MAX_JOINED_BYTES, MAX_JOINS, MAX_JOINS_EACH
from otmon.protocols import PROTOCOLS
from otmon.wire import columns as c


class _Open:
    """A message of which parts are still to come."""

    __slots__ = ("pdus", "request", "room")

    def __init__(self, request: bytes | None) -> None:
        self.request = request
        self.pdus: list[bytes] = []
        self.room = MAX_JOINED_BYTES


class Joined:
    """A whole message."""

    __slots__ = ("parts", "pdu", "request")

    def __init__(self, pdu: bytes, parts: int, request: bytes | None) -> None:
        self.pdu = pdu
        """Canonical, as if it had come in one."""
        self.parts = parts
        self.request = request
        """That of its first part."""


class Joins:
    """Of all connections."""

    def __init__(self, state: Any) -> None:
        self._state = state
        self._open: OrderedDict[tuple[int, int, str], _Open] = OrderedDict()
        """The one that rests for longest first."""

    def take(self, event: list[int], request: bytes | None) -> Joined | None:
        """A PDU; the message that it ends, if all the parts of that were seen."""
        row = self._state.conns[event[c.E_CONN]]
        protocol = PROTOCOLS[int(row[c.C_PROTO])]
        if protocol.piece is None:
            return None
        pdu = pdu_of(self._state, event)
        piece = protocol.piece(pdu, request)
        if piece is None:
            return None
        key = int(row[c.C_NUMBER]), event[c.E_FROM_CLIENT], piece.handle
        if piece.first or (piece.first is None and key not in self._open):
            self._open.pop(key, None)
            self._make_room(key[0])
            self._open[key] = _Open(request)
        found = self._open.get(key)
        if found is None:
            return None
        self._open.move_to_end(key)
        found.pdus.append(pdu)
        found.room -= len(pdu)
        if found.room < 0:
            del self._open[key]
            return None
        if not piece.last:
            return None
        del self._open[key]
        joined = protocol.whole(found.pdus)
        return None if joined is None else Joined(joined, len(found.pdus), found.request)

    def _make_room(self, connection: int) -> None:
        """For one more on this connection."""
        mine = [key for key in self._open if key[0] == connection]
        if len(mine) >= MAX_JOINS_EACH:
            del self._open[mine[0]]
        elif len(self._open) >= MAX_JOINS:
            self._open.popitem(last=False)
