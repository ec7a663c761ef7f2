"""A protocol's functions as the engine calls them: compiled, where the kernels are."""

from typing import Any, NamedTuple

from otmon.engine.loop import LOOP
from otmon.protocols import PROTOCOLS
from otmon.wire.contract import Protocol
from otmon.wire.state import new_state

STATE = new_state(len(PROTOCOLS))


class Far(NamedTuple):
    """`frame`, `unwrap` and `key` of one protocol, with the arguments of its own (otmon.wire.contract)."""

    index: int

    def frame(self, buf: Any, a: int, e: int) -> int:
        return int(LOOP.frame(STATE, self.index, buf, a, e))

    def unwrap(self, buf: Any, a: int, b: int, asm: Any, fill: int) -> tuple[int, int, int]:
        status, x, y = LOOP.unwrap(STATE, self.index, buf, a, b, asm, fill)
        return status, x, y

    def key(self, buf: Any, x: int, y: int, from_client: int, out: Any) -> int:
        STATE.out[:] = out
        words = int(LOOP.key(STATE, self.index, buf, x, y, from_client))
        out[:] = STATE.out
        return words


def far(protocol: Protocol) -> Far:
    """The compiled functions of a protocol."""
    return Far(PROTOCOLS.index(protocol))
