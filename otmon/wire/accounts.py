"""Which bucket bytes and frames go to, where the general path, the slow path and delivery must agree."""

from typing import Any

from otmon.wire.columns import (
    BB_COPY,
    BB_ENCRYPTED,
    BB_MALFORMED,
    BB_SEEN,
    BB_UNRECOGNISED,
    C_ENCRYPTED,
    C_MALFORMED,
    C_PORT_HINT,
    C_PROTO,
    FB_COPY,
    FB_OTHER_IP,
    FB_TCP_CONTROL,
    FB_TRUNCATED,
    HINT_ENCRYPTED,
)
from otmon.wire.loads import jit


@jit
def bad(state: Any, conn: int, count: int) -> None:
    """`count` bytes of this connection are malformed."""
    state.bytes[BB_MALFORMED] += count
    state.conns[conn, C_MALFORMED] += count


@jit
def _controls(state: Any, conn: int) -> int:
    """Whether payload of this connection is in the accounts of OT bytes: by its protocol or its port."""
    return 1 if state.conns[conn, C_PROTO] >= 0 or state.conns[conn, C_PORT_HINT] >= 0 else 0


@jit
def unrecognised(state: Any, conn: int, size: int) -> None:
    """Payload of no control protocol is in the accounts of OT bytes if it uses the port of one."""
    hint = state.conns[conn, C_PORT_HINT]
    if hint >= 0:
        state.bytes[BB_SEEN] += size
        if hint & HINT_ENCRYPTED:
            state.bytes[BB_ENCRYPTED] += size
            state.conns[conn, C_ENCRYPTED] += size
        else:
            state.bytes[BB_UNRECOGNISED] += size


@jit
def foreign(state: Any, conn: int, size: int, cut: int) -> None:
    """A frame with `size` bytes of payload that is no control protocol's; `cut`: bytes the snap length left out."""
    state.frames[FB_TRUNCATED if cut > 0 else FB_OTHER_IP] += 1
    unrecognised(state, conn, size)


@jit
def copied(state: Any, conn: int, size: int) -> None:
    """A frame that the mirror showed twice, of whose payload `size` bytes are not in the accounts yet."""
    state.frames[FB_COPY] += 1
    if size and _controls(state, conn):
        state.bytes[BB_SEEN] += size
        state.bytes[BB_COPY] += size


@jit
def without_stream(state: Any, conn: int, size: int) -> None:
    """A TCP frame that brings the stream nothing: what a reset carries is no part of it (RFC 9293 3.5.2)."""
    state.frames[FB_TCP_CONTROL] += 1
    if size and _controls(state, conn):
        state.bytes[BB_SEEN] += size
        bad(state, conn, size)
