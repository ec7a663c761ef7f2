"""What the compiled path handed up, read out of its buffers."""

from collections.abc import Sequence
from typing import Any, Final

from otmon.engine.names import frame_ref
from otmon.model import UNPARSED, FrameRef, Op, Outcome
from otmon.protocols import PROTOCOLS
from otmon.wire import columns as c
from otmon.wire.contract import AFTER_DAMAGE

OUTCOMES: tuple[Outcome, ...] = ("accepted", "rejected", "partial", "unanswered", "unseen", "pending")
"""By OUTCOME_* - 1."""
SETTING: Final = frozenset({"write", "control"})


def pdu_of(state: Any, event: list[int]) -> bytes:
    """The canonical PDU of an event."""
    return bytes(state.ev_bytes[event[c.E_OFF] : event[c.E_OFF] + event[c.E_LEN]])


def frames_of(state: Any, event: list[int]) -> list[FrameRef]:
    """The frames that brought an event's PDU."""
    if not event[c.E_NFRAMES]:
        return [frame_ref(event[c.E_FRAME])]
    first = event[c.E_FRAMES]
    return [frame_ref(word) for word in state.ev_frames[first : first + event[c.E_NFRAMES]].tolist()]


def words_of(state: Any, shape: int) -> tuple[int, list[int] | None]:
    """(number of the protocol, words of the key) of a shape; a wide one has no words."""
    k0, *words = state.shapes[shape, : c.S_K3 + 1].tolist()
    if k0 & c.S_WIDE:
        return k0 >> 16 & 0xFF, None
    if k0 & c.S_LONG:
        at = words[2]
        return k0 >> 16 & 0xFF, state.arena[at : at + words[1]].tolist()
    return k0 >> 16 & 0xFF, words[: k0 & 0x3FF]


def ops_of(state: Any, shape: int) -> Sequence[Op]:
    """The operations of a shape, from its words alone."""
    protocol, words = words_of(state, shape)
    if not words or not words[0] & AFTER_DAMAGE:
        return () if words is None else PROTOCOLS[protocol].operations(words)
    # The server did what could not be read: where it wrote, nobody knows.
    ops = PROTOCOLS[protocol].operations([words[0] ^ AFTER_DAMAGE, *words[1:]])
    return [op._replace(target=UNPARSED) if op.access in SETTING else op for op in ops]
