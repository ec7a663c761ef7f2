"""S7comm and S7comm-plus over TPKT and COTP (Siemens S7-200/300/400/1200/1500), TCP port 102.

S7comm and S7comm-plus are read in full (docs/decode-s7.md); inside TLS (TIA Portal V17 and later) S7comm-plus is only
known to be there. A policy may name groups of functions: `tables.FUNCTION_GROUPS`.
"""

from collections.abc import Sequence
from typing import Final

from otmon.model import Message, Op
from otmon.protocols.s7comm.cotp import frame, unwrap
from otmon.protocols.s7comm.decode import decode
from otmon.protocols.s7comm.identity import identity
from otmon.protocols.s7comm.joined import piece, whole
from otmon.protocols.s7comm.key import key
from otmon.protocols.s7comm.operations import operations
from otmon.protocols.s7comm.points import points
from otmon.protocols.s7comm.steps import step
from otmon.protocols.s7comm.tables import FUNCTION_GROUPS, WRITE_VAR, class_names, count_names
from otmon.protocols.s7comm.values import written_values
from otmon.wire.contract import Protocol

__all__ = ["FUNCTION_GROUPS", "S7COMM"]


def written(message: Message) -> Sequence[tuple[Op, float]]:
    """Each number a write request sets, with its operation."""
    if message.kind != "request" or message.function_code != WRITE_VAR:
        return ()
    return written_values(WRITE_VAR, message.function, message.body["items"])


S7COMM: Final = Protocol(
    name="s7comm",
    ports=(102,),
    datagrams=False,
    scan=False,
    frame=frame,
    unwrap=unwrap,
    key=key,
    operations=operations,
    decode=decode,
    identity=identity,
    written=written,
    points=points,
    count_names=count_names,
    class_names=class_names,
    transfer=step,
    piece=piece,
    whole=whole,
    version=2,
    declares_direction=True,
)
