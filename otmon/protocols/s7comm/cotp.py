"""TPKT (RFC 1006) and COTP (ISO 8073 / X.224, class 0): units and the reassembly of a TSDU.

The canonical PDU is a COTP header followed by user data: a TPDU without its TPKT header, or, where a TSDU came in
several DT TPDUs, the first one's header (with the end-of-TSDU mark set) and the user data of all.
"""

from typing import Any, Final

from otmon.limits import MAX_PDU_BYTES
from otmon.wire.contract import (
    NEED_MORE,
    NOT_THIS,
    UNWRAP_BAD,
    UNWRAP_BUILT,
    UNWRAP_DROPPED,
    UNWRAP_MORE,
    UNWRAP_WHOLE,
)
from otmon.wire.loads import be16, copy, jit, u8

TPKT_BYTES: Final = 4
MIN_UNIT: Final = 7
"""TPKT and the shortest COTP header, that of an empty DT."""
DT: Final = 0xF0
DT_HEADER: Final = 3
EOT: Final = 0x80


@jit
def cotp_known(code: int) -> int:
    """1 if `code` (credit bits masked) is a TPDU of ISO 8073: ED, EA, RJ, AK, ER, DR, DC, CC, CR or DT."""
    high = code >> 4
    return 1 if 1 <= high <= 2 or 5 <= high <= 8 or high >= 12 else 0


@jit
def frame(buf: Any, start: int, end: int) -> int:
    """Length in bytes of the TPKT at `start`; NEED_MORE; NOT_THIS."""
    have = end - start
    if have <= 0:
        return NEED_MORE
    if u8(buf, start) != 3 or (have > 1 and u8(buf, start + 1) != 0):
        return NOT_THIS
    if have < 4:
        return NOT_THIS if have == 3 and u8(buf, start + 2) > MAX_PDU_BYTES >> 8 else NEED_MORE
    length = be16(buf, start + 2)
    if length < MIN_UNIT or length > MAX_PDU_BYTES:
        return NOT_THIS
    if have > 4:
        li = u8(buf, start + 4)
        if li < 2 or li >= length - TPKT_BYTES:
            return NOT_THIS
    if have > 5 and cotp_known(u8(buf, start + 5)) == 0:
        return NOT_THIS
    return length


@jit
def unwrap(buf: Any, start: int, end: int, asm: Any, fill: int) -> tuple[int, int, int]:
    """The TPKT `buf[start:end]` to its canonical PDU; see `otmon.wire.contract`.

    WHOLE without DROPPED leaves `asm` as it was: an empty DT without end mark (several stacks send it as
    acknowledgement) may come between two fragments.
    """
    dropped = UNWRAP_DROPPED if fill > 0 else 0
    a = start + TPKT_BYTES
    if end - start < MIN_UNIT:
        return UNWRAP_BAD + dropped, 0, 0
    li = u8(buf, a)
    code = u8(buf, a + 1) & 0xF0
    if code != DT:
        # Connecting or disconnecting ends whatever TSDU was under way; acknowledgements do not.
        return UNWRAP_WHOLE + (dropped if code >= 0x80 else 0), a, end
    if li != DT_HEADER - 1:
        return UNWRAP_BAD + dropped, 0, 0
    last = u8(buf, a + 2) & EOT
    size = end - a - DT_HEADER
    if size == 0 and last == 0:
        # Storing nothing costs a sender nothing: it would never reach the cap.
        return UNWRAP_WHOLE, a, end
    if fill == 0 and last != 0:
        return UNWRAP_WHOLE, a, end
    body = a + DT_HEADER if fill > 0 else a  # of the first one the header too
    size = end - body
    if fill + size > MAX_PDU_BYTES or fill + size > len(asm):
        return UNWRAP_BAD + dropped, 0, 0
    copy(asm, fill, buf, body, size)
    if last == 0:
        return UNWRAP_MORE, 0, fill + size
    asm[2] |= EOT
    return UNWRAP_BUILT, 0, fill + size
