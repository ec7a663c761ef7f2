"""Signatures of clients from connection rows: how a stack says hello, how a program numbers its requests, and which two
it begins with.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

import numpy as np

from otmon.engine.names import Names, frame_ref
from otmon.limits import MAX_HABITS
from otmon.model import Habit, Sighting
from otmon.protocols import PROTOCOLS
from otmon.protocols.modbus import MODBUS_RTU
from otmon.site.habits import ESTABLISHED, ORDER, add_habits
from otmon.wire import columns as c
from otmon.wire.compact import moved_rows
from otmon.wire.contract import FUNC_SLOTS
from otmon.wire.net import K1_TRANSPORT

_HOPS: Final = (32, 64, 128, 255)
"""What stacks begin to count down from."""
_OPTIONS: Final = ("end", "nop", "mss", "scale", "sack", "5", "6", "7", "time", "9", "10", "11", "12", "13", "other")
_WHOSE: Final = (1 << K1_TRANSPORT) - 1
"""Of a flow's second key word: IP family and realm."""


@lru_cache(maxsize=4096)
def stack(hello: int, options: int) -> str:
    """`hops 64, window 64240, mss 1460 sack time nop scale 7`: the options in their order."""
    hops = next(one for one in _HOPS if hello & 0xFF <= one)
    scale = hello >> 40 & 0xFF
    values = {"mss": f" {hello >> 24 & 0xFFFF}", "scale": f" {scale - 1 if scale else '?'}"}
    kinds = []
    while options & 15:
        name = _OPTIONS[(options & 15) - 1]
        kinds.append(name + values.get(name, ""))
        options >>= 4
    return f"hops {hops}, window {hello >> 8 & 0xFFFF}, {' '.join(kinds) or 'no options'}"


_NUMBERS: Final = 0xFFFF_FFFF
"""Of C_TOKENS: the numbers of the first two requests."""
_NO_FUNCTION: Final = FUNC_SLOTS - 1
"""What S7comm-plus has in place of a function."""
_SEEN: Final = c.TOKEN_FIRST | c.TOKEN_SECOND | c.TOKEN_NONE


def _step(tokens: int) -> str:
    first, second = tokens & 0xFFFF, tokens >> 16 & 0xFFFF
    return f"first {first}, step {(second - first) & 0xFFFF}"


def _modbus(reference: int, tokens: int) -> str:
    return f"transaction id {_step(tokens)}"


def _s7(reference: int, tokens: int) -> str:
    cotp = f"COTP reference {reference}, " if reference else ""
    # TLS has none, and who never counts has none to tell from it.
    return f"{cotp}PDU reference {_step(tokens)}" if tokens & _NUMBERS else f"{cotp}no PDU reference"


def _order(protocol: str, tokens: int) -> str:
    names = next(p for p in PROTOCOLS if p.name == protocol).count_names
    functions = tokens >> c.TOKEN_FUNCTION, tokens >> c.TOKEN_FUNCTION + c.TOKEN_FUNCTION_BITS
    return ", ".join(names(function & _NO_FUNCTION)[2] for function in functions)


NUMBERING: Final[dict[str, Callable[[int, int], str]]] = {"modbus": _modbus, "s7comm": _s7}
"""How clients of a protocol number: a protocol that is not here has no such habit."""
_NUMBERED: Final = [
    n for n, protocol in enumerate(PROTOCOLS) if protocol.name in NUMBERING and protocol is not MODBUS_RTU
]
"""Frames of a serial line have no number."""


class Habits:
    """Each connection tells once: when its second request is known, or when it ends."""

    def __init__(self, state: Any, names: Names) -> None:
        self._state, self._names = state, names
        self._told = np.zeros((0, 1), np.int64)
        self._found: dict[tuple[str, str, str, str], Habit] = {}
        self.shed = 0
        """Connections that told nothing because too many clients did."""

    def _room(self) -> Any:
        rows = len(self._state.conns)
        if len(self._told) < rows:
            self._told = np.concatenate([self._told, np.zeros((rows - len(self._told), 1), np.int64)])
        return self._told

    def move_connections(self, rows: Any) -> None:
        """Connections have other rows now: old -> new, -1: gone."""
        self._told = moved_rows(self._room(), rows)

    def close_connection(self, conn: int) -> None:
        """Its row will be used again."""
        if not self._room()[conn, 0]:
            self._take(np.array([conn]))
        self._room()[conn] = 0

    def take_all(self, final: bool) -> list[Habit]:
        """What was learnt since the last time. `final`: nothing more comes on any connection."""
        used = int(self._state.ctl[c.CTL_CONNS])
        ready = self._room()[:used, 0] == 0
        if not final:
            ready &= self._state.conns[:used, c.C_TOKENS] & (c.TOKEN_SECOND | c.TOKEN_NONE) != 0
        self._take(np.flatnonzero(ready))
        found, self._found = self._found, {}
        return list(found.values())

    def _take(self, rows: Any) -> None:
        """Connections of control protocols whose client was seen to open them; whoever was called may ask, too."""
        conns = self._state.conns
        rows = rows[(conns[rows, c.C_PROTO] >= 0) & (conns[rows, c.C_STACK] != 0)]
        if not len(rows):  # as for most that close in a flood, one by one
            return
        flows = 2 * rows + np.maximum(conns[rows, c.C_CLIENT], 0)
        opened = self._state.flows[flows, c.F_BITS] & c.FLOW_SYN != 0
        rows, flows = rows[opened], flows[opened]
        self._room()[rows] = 1
        self._group("stack", rows, flows, (c.C_STACK, c.C_OPTIONS), lambda protocol, *words: stack(*words))
        known = conns[rows, c.C_TOKENS] & _SEEN == c.TOKEN_FIRST | c.TOKEN_SECOND
        rows, flows = rows[known], flows[known]
        named = (conns[rows, c.C_TOKENS] >> c.TOKEN_FUNCTION & _NO_FUNCTION) != _NO_FUNCTION
        self._group(ORDER, rows[named], flows[named], (c.C_TOKENS,), _order)
        numbered = np.isin(conns[rows, c.C_PROTO], _NUMBERED)
        rows, flows = rows[numbered], flows[numbered]
        columns = c.C_REFERENCE, c.C_TOKENS
        self._group("numbering", rows, flows, columns, lambda protocol, *words: NUMBERING[protocol](*words))

    def _group(self, kind: str, rows: Any, flows: Any, columns: Sequence[int], signature: Callable[..., str]) -> None:
        """Connections that show the same of the same client as one."""
        if not len(rows):
            return
        flow_words, conns = self._state.flows[flows], self._state.conns[rows]
        client = flow_words[:, c.F_K0] >> 32, flow_words[:, c.F_K1] & _WHOSE
        shown = np.column_stack([*client, conns[:, [c.C_PROTO, *columns]]])
        order = np.lexsort((conns[:, c.C_FIRST_FRAME], conns[:, c.C_FIRST_TS], *shown.T))
        flows, conns, shown = flows[order], conns[order], shown[order]
        begins = np.flatnonzero((shown[1:] != shown[:-1]).any(axis=1)) + 1
        for first, end in pairwise([0, *begins.tolist(), len(order)]):
            proto, *words = shown[first, 2:].tolist()
            times = conns[first:end, c.C_FIRST_TS].tolist()
            pair, protocol = self._names.flow(flows[first]), PROTOCOLS[proto].name
            frame = frame_ref(conns[first, c.C_FIRST_FRAME])
            sighting = Sighting(len(times), tuple(times[:ESTABLISHED]), frame, pair.server, times[-1])
            self._note(Habit(pair.realm, pair.client, protocol, kind, {signature(protocol, *words): sighting}))

    def _note(self, habit: Habit) -> None:
        known = self._found.get(habit[:4])
        if known is None and len(self._found) >= MAX_HABITS:
            self.shed += 1
            return
        self._found[habit[:4]] = habit if known is None else add_habits(known, habit)
