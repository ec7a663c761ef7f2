"""Which protocol a connection speaks: by content, with registered ports as a hint; what is not plain goes up."""

from collections.abc import Callable
from typing import Any

from otmon.wire.columns import (
    C_CLIENT,
    C_PORT_HINT,
    C_PROTO,
    C_ROLE,
    F_K1,
    PROTO_NONE,
    ROLE_APPLICATION,
    ROLE_ASSUMED,
    ROLE_PORT,
    ROLE_RESPONSE,
)
from otmon.wire.contract import (
    KIND_LINK,
    OUT_EVIDENCE,
    OUT_FROM_CLIENT,
    OUT_KIND,
    UNWRAP_BUILT,
    UNWRAP_MORE,
    UNWRAP_WHOLE,
)
from otmon.wire.far import far
from otmon.wire.loads import be16, jit, u8
from otmon.wire.net import K1_PORTS

MAX_TLS_RECORD = (1 << 14) + 2048
"""Octets behind a record's header at most, TLS 1.2's allowance for encryption included (RFC 5246, 6.2.3)."""
LAST_HANDSHAKE = 24
"""key_update, the last type of a handshake message (RFC 8446, 4)."""
UNDECIDED = 2
"""Result of `identify`: the slow path must hold these bytes."""


@jit
def ports_of(k1: int) -> tuple[int, int]:
    """(source port, destination port) of a flow's key."""
    return (k1 >> (K1_PORTS + 16)) & 0xFFFF, (k1 >> K1_PORTS) & 0xFFFF


@jit
def tls_record(buf: Any, a: int, e: int) -> int:
    """Whether buf[a:e] begins with a TLS record (RFC 8446, 5.1): 0 no, 1 it may, but is too short to tell, 2 yes."""
    have = e - a
    kind = u8(buf, a) if have > 0 else 0x14
    if kind < 0x14 or kind > 0x18 or (have > 1 and u8(buf, a + 1) != 3) or (have > 2 and u8(buf, a + 2) > 4):
        return 0
    if have < 6:
        return 1
    size = be16(buf, a + 3)
    if size == 0 or size > MAX_TLS_RECORD or (kind == 0x16 and u8(buf, a + 5) > LAST_HANDSHAKE):
        return 0
    return 2


def make_identify(
    count: int,
    hint_of: Callable[[int], int],
    declares: Callable[[int], int],
    scans: Callable[[int], int],
    frame_of: Callable[..., int],
    unwrap_of: Callable[..., tuple[int, int, int]],
    key_of: Callable[..., int],
) -> tuple[Callable[..., int], Callable[..., int], Callable[..., None]]:
    """(`identify`, `evidence`, `adopt`) for these protocols."""

    @jit
    def evidence(state: Any, proto: int, buf: Any, a: int, e: int, from_client: int) -> int:
        """How surely buf[a:e] begins with a PDU of `proto`: 0 not, 1 a plausible beginning, 2 plausible, 3 sure."""
        length = frame_of(proto, buf, a, e)
        if length < 0:
            return 0
        if length == 0 or a + length > e:
            return 1
        status, x, y = unwrap_of(state, proto, buf, a, a + length, state.scratch, 0)
        if status == UNWRAP_WHOLE:
            words = key_of(state, proto, buf, x, y, from_client)
        elif status == UNWRAP_BUILT:
            words = key_of(state, proto, state.scratch, x, y, from_client)
        else:
            state.out[OUT_KIND] = KIND_LINK
            state.out[OUT_FROM_CLIENT] = -1
            return 0 if status != UNWRAP_MORE else 3 if scans(proto) else 2
        if words < 0:
            return 1  # framed as ours, but not sound
        return 1 + state.out[OUT_EVIDENCE]

    far_evidence = far("evidence", "i(sibiii)", evidence)

    @jit
    def adopt(state: Any, flow: int, proto: int) -> None:
        """The connection speaks `proto`: decide who is the client, from what `evidence` left in `out`."""
        conn = flow >> 1
        conns, out = state.conns, state.out
        conns[conn, C_PROTO] = proto
        says = out[OUT_FROM_CLIENT]
        if says >= 0 and declares(proto):
            conns[conn, C_CLIENT] = (flow & 1) ^ (1 - says)
            conns[conn, C_ROLE] = ROLE_APPLICATION
            return
        if conns[conn, C_ROLE] > ROLE_PORT:
            return
        source, destination = ports_of(state.flows[flow, F_K1])
        if (hint_of(source) == proto) != (hint_of(destination) == proto):
            conns[conn, C_CLIENT] = (flow & 1) ^ (1 if hint_of(source) == proto else 0)
            conns[conn, C_ROLE] = ROLE_PORT
        elif says >= 0:
            conns[conn, C_CLIENT] = (flow & 1) ^ (1 - says)
            conns[conn, C_ROLE] = ROLE_RESPONSE
        else:
            conns[conn, C_CLIENT] = flow & 1
            conns[conn, C_ROLE] = ROLE_ASSUMED

    far_adopt = far("adopt", "v(sii)", adopt)

    @jit
    def identify(state: Any, buf: Any, a: int, e: int, flow: int) -> int:
        """First payload of an undecided connection: 1 identified, 0 surely none of ours, UNDECIDED."""
        conn = flow >> 1
        source, destination = ports_of(state.flows[flow, F_K1])
        hint = hint_of(destination)
        from_client = 1
        if hint < 0:
            hint = hint_of(source)
            from_client = 0
        elif hint_of(source) >= 0:
            from_client = -1
        client = state.conns[conn, C_CLIENT]
        if client >= 0:
            from_client = 1 if client == flow & 1 else 0
        state.conns[conn, C_PORT_HINT] = hint
        if hint >= 0:
            sure = far_evidence(state, hint, buf, a, e, from_client)
            if sure == 3 and from_client >= 0:
                far_adopt(state, flow, hint)
                return 1
            return UNDECIDED  # whatever it is: the answer may show that the server understood it
        for proto in range(count):
            if far_evidence(state, proto, buf, a, e, -1) > 0:
                return UNDECIDED
        state.conns[conn, C_PROTO] = PROTO_NONE
        return 0

    return far("identify", "i(sbiii)", identify), far_evidence, far_adopt
