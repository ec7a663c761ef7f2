"""What a protocol gives the compiled path, and what `key` writes.

A protocol is four functions and its tables, bound together in one `Protocol`; see docs/protocols.md.

Compiled, called for every unit of a stream or datagram (`buf` is uint8, offsets are int64, reads go through
`otmon.wire.loads` so that hostile bytes end in an IndexError at worst, and never in a wrong value):

`frame(buf, start, end) -> int`
    length in bytes of the wire unit at `start` (it may run over `end`: the engine then carries it), 0 while `end` is
    too near to tell but the prefix is plausible, -1 if no unit of this protocol starts here.
`unwrap(buf, start, end, asm, fill) -> (status, a, b)`
    the complete unit `buf[start:end]` taken out of its wrapping. `asm` is this direction's assembly buffer
    (MAX_PDU_BYTES long), `fill` the bytes in it that an earlier unit left (0: none). Statuses: UNWRAP_* below. The
    result is the *canonical PDU*: one contiguous run of bytes that `key` and `decode` both read.
`key(buf, start, end, from_client, out) -> int`
    reads the canonical PDU, fills the header slots of `out` (all of them: the engine does not clear it) and writes the
    words of the shape at out[OUT_WORDS:]; returns their number (0 to MAX_KEY_WORDS), or -1 if the PDU is malformed (the
    header slots KIND, FUNC, CLASS and UNIT are still filled as well as can be). Transaction ids, sequence numbers,
    written values, event indexes and block contents stay out of the words. `from_client`: 1, 0, or -1 while unknown.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from otmon.model import Message, Op, Piece, Step, Value

# --- unwrap statuses -----------------------------------------------------------------------------------------------
UNWRAP_BAD: Final = 0
"""The unit is damaged (a CRC, say): its bytes are malformed, the stream goes on behind it."""
UNWRAP_WHOLE: Final = 1
"""The canonical PDU is buf[a:b], in place."""
UNWRAP_BUILT: Final = 2
"""The canonical PDU is asm[a:b], now complete."""
UNWRAP_MORE: Final = 3
"""A fragment was stored, asm[0:b] is filled; more must come."""
UNWRAP_DROPPED: Final = 16
"""Added to a status: what an earlier unit had left in asm was abandoned (its bytes are malformed)."""
UNWRAP_STATUS: Final = 15
UNWRAP_FAULT: Final = 5
"""Above this bit of a status, 5 bits: what is wrong with the unit or with what was abandoned, by the protocol's own
numbers from 1; counted in the CLASS slots from FAULT_CLASS on."""
FAULTS: Final = 31
UNWRAP_KEPT: Final = 10
"""Above this bit: wire bytes of other fragments that stay in asm: asm[0:a] of a UNWRAP_BUILT, asm[0:b] of the others.
Only what is not kept was abandoned, or belongs to the PDU."""

# --- slots of `out` ------------------------------------------------------------------------------------------------
OUT_KIND: Final = 0
KIND_REQUEST: Final = 1
KIND_RESPONSE: Final = 2
KIND_UNSOLICITED: Final = 3
"""Sent by the server unasked, no response expected (DNP3 function 130, S7 push)."""
KIND_LINK: Final = 4
"""Nothing above the link or session layer (DNP3 link frames, COTP connect): counted, not an operation."""
OUT_EXPECT: Final = 1
"""1 if a response should follow this request, PERHAPS if only perhaps, else 0 (then OUT_STATUS says whether it counts
as accepted, or unseen). In a response, bits: CONTINUES, MORE, LATER."""
PERHAPS: Final = 3
"""It may be a broadcast: silence says nothing until a request of its shape is answered."""
CONTINUES: Final = 2
"""It goes on with an earlier one (a further fragment), settles nothing and is no orphan."""
MORE: Final = 1
"""Another response goes on with it."""
LATER: Final = 4
"""It speaks for somebody else (a gateway), whose own response may still come."""
OUT_TOKEN: Final = 2
"""Equal in a request and its response, within one connection. Of KIND_LINK: the reference by which the client names its
end of the session, else 0."""
OUT_STATUS: Final = 3
STATUS_ACCEPTED: Final = 1
STATUS_REJECTED: Final = 2
STATUS_PARTIAL: Final = 3
STATUS_NONE: Final = 0
"""A response that settles nothing yet (Modbus exception 5 Acknowledge stays accepted; this is for interim parts)."""
OUT_FUNC: Final = 4
"""Counter slot 0..FUNC_SLOTS-1 of the function, the protocol's own numbering; -1: none (KIND_LINK)."""
FUNC_SLOTS: Final = 8192
OUT_CLASS: Final = 5
"""Second counter slot 0..FAULT_CLASS-1: DNP3 link function (plus 16 if from the primary), S7 rosctr; -1: none."""
FAULT_CLASS: Final = 224
"""The slots from here to 255 count faults, see UNWRAP_FAULT."""
OUT_FLAGS: Final = 6
FLAG_EXCEPTION: Final = 1
"""A response that says no (Modbus exception, S7 error class, DNP3 IIN2 no-function/object-unknown/parameter)."""
FLAG_ENCRYPTED: Final = 2
"""Contents cannot be read: the bytes go to the bucket `encrypted`."""
FLAG_INSPECT: Final = 4
"""What matters is not in the key: every message of this shape needs judging in Python."""
FLAG_IDENTITY: Final = 8
"""May tell who its sender is: handed to `identity` once per connection and shape, without a shape (KIND_LINK) once per
connection and direction."""
FLAG_DAMAGED: Final = 16
"""Malformed, but its function can be read and somebody may obey it: judged, its bytes are malformed."""
FLAG_TRANSFER: Final = 32
"""It is part of a transfer of logic or of a file, or of a longer message: every one is handed to `transfer` and
`piece`. The same bit as EVF_TRANSFER."""
OUT_UNIT: Final = 7
"""Sub-address as one word, for the cap on shapes per function."""
OUT_VMIN: Final = 8
OUT_VMAX: Final = 9
"""Smallest and largest value a write sets, if bounds on them can be compiled; VMIN > VMAX: none."""
OUT_FROM_CLIENT: Final = 10
"""What this PDU says of its own direction: 1 from the client, 0 from the server, -1 nothing."""
OUT_EVIDENCE: Final = 11
"""2: this PDU is surely of this protocol; 1: plausible, needs another one; 0: could be anything."""
OUT_REPLY_KEY: Final = 12
"""Function that request and response must share beside the token (Modbus: function code); 0 if none.

In the bits of REPLY_SHAPE, where tokens repeat: what is asked for and what is answered; 0 if that cannot be said. Of
several open requests, one that is alike in this is answered first."""
REPLY_FUNCTION: Final = (1 << 32) - 1
REPLY_SHAPE: Final = ((1 << 24) - 1) << 32
OUT_WORDS: Final = 16
OUT_SIZE: Final = 256
AFTER_DAMAGE: Final = 1 << 61
"""Set by the engine in the first word of a response that answers nothing seen, after bytes of its connection that are
malformed or no whole unit yet: no protocol sets it, and none is given it."""

NEED_MORE: Final = 0
NOT_THIS: Final = -1


def no_transfer(pdu: bytes, request: bytes | None) -> Step | None:
    """Of a protocol that moves no logic and no files."""
    return None


def _not_joined(pdus: Sequence[bytes]) -> bytes | None:
    """Of a protocol whose messages are one PDU each."""
    return None


class Protocol(NamedTuple):
    """One protocol: the compiled functions, their Python companions, its tables."""

    name: str
    ports: tuple[int, ...]
    """Registered ports, TCP and UDP alike."""
    datagrams: bool
    """Also spoken over UDP."""
    scan: bool
    """`frame` is strict enough (a CRC) to look for the next unit byte by byte after damage."""
    frame: Callable[[Any, int, int], int]
    unwrap: Callable[[Any, int, int, Any, int], tuple[int, int, int]]
    key: Callable[[Any, int, int, int, Any], int]
    operations: Callable[[Sequence[int]], tuple[Op, ...]]
    """Words of a key (request, unsolicited or orphaned response) -> what the shape means. Cheap; never raises."""
    decode: Callable[[bytes, bool, bytes | None], Message]
    """(canonical PDU, from_client, canonical PDU of the request it answers or None) -> everything; or Malformed."""
    identity: Callable[[Message], Sequence[tuple[str, str, float]]]
    """(attribute, value as safe text, confidence 0..1) that a message tells about its sender."""
    written: Callable[[Message], Sequence[tuple[Op, float]]]
    """Each single (operation on one element, value) a request writes, for judging and for the alert's sentence."""
    points: Callable[[Message], Iterable[Value]]
    """Each value of the process that a message shows or sets, in the order of the message."""
    count_names: Callable[[int], tuple[str, str, str]]
    """FUNC slot -> (section of summary.json: "functions" | "userdata", key there, name)."""
    class_names: Callable[[int], tuple[str, str]]
    """CLASS slot -> (section: "link_functions" | "rosctr" | "faults", key there)."""
    version: int
    """Of the key and operation schema; stored operations of an older one are mapped."""
    secured: tuple[int, ...] = ()
    """Registered TCP ports of the same inside TLS."""
    transfer: Callable[[bytes, bytes | None], Step | None] = no_transfer
    """(canonical PDU, that of the request it answers or None) -> what it does to a transfer. Never raises."""
    piece: Callable[[bytes, bytes | None], Piece | None] | None = None
    """(canonical PDU, that of the request it answers or None) -> which part of a longer message it is. Never raises."""
    whole: Callable[[Sequence[bytes]], bytes | None] = _not_joined
    """Canonical PDUs of all parts -> the canonical PDU that they would have been in one, or None. Never raises."""
    declares_direction: bool = False
    """A PDU itself says who is the client (DNP3's DIR bit, S7's setup): OUT_FROM_CLIENT outranks SYN and ports."""
