"""The pcap file format (draft-ietf-opsawg-pcap): file header, and the compiled walk over its records."""

import struct
from typing import Any, Final

from otmon.capture.batch import REC_LENGTHS, REC_LINK, REC_OFFSET, REC_TS
from otmon.capture.linktypes import link_word
from otmon.capture.walk import BAD_LENGTH, BIG, FILL, FULL, LINK, MORE, POS, ROWS, SCALE
from otmon.limits import MAX_FRAME_BYTES
from otmon.wire.far import far
from otmon.wire.loads import be32, jit, le32

HEADER_BYTES: Final = 24
RECORD_BYTES: Final = 16
MAGICS: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
"""First four bytes -> byte order, nanoseconds in one unit of the fraction word."""


def start(header: bytes, state: Any) -> tuple[int, str | None]:
    """Set `state` from the 24 bytes of a file header; returns (link type, None) or (0, what is wrong)."""
    order, scale = MAGICS[header[:4]]
    major, minor, _, _, _, network = struct.unpack(order + "HHiIII", header[4:HEADER_BYTES])
    if major != 2:
        return 0, f"pcap version {major}.{minor} is not known (2.4 is)"
    # The upper bits of the last word tell of a frame check sequence; the rest is the link type.
    link_type = network & 0xFFFF
    state[BIG], state[SCALE], state[LINK] = int(order == ">"), scale, link_word(link_type, 0)
    return link_type, None


@jit
def walk(buf: Any, state: Any, records: Any) -> int:
    """Append the records at state[POS] to the table; see `otmon.capture.walk`."""
    pos, fill, row = state[POS], state[FILL], state[ROWS]
    big, scale, link = state[BIG], state[SCALE], state[LINK]
    rows = len(records)
    status = MORE
    while pos + RECORD_BYTES <= fill:
        if row >= rows:
            status = FULL
            break
        if big == 1:
            seconds, fraction = be32(buf, pos), be32(buf, pos + 4)
            captured, wire = be32(buf, pos + 8), be32(buf, pos + 12)
        else:
            seconds, fraction = le32(buf, pos), le32(buf, pos + 4)
            captured, wire = le32(buf, pos + 8), le32(buf, pos + 12)
        if captured > MAX_FRAME_BYTES:
            status = BAD_LENGTH
            break
        begin = pos + RECORD_BYTES
        if begin + captured > fill:
            break
        records[row, REC_OFFSET] = begin
        # Some writers leave the wire length out; a frame is never shorter than what was captured of it.
        records[row, REC_LENGTHS] = captured << 32 | max(wire, captured)
        records[row, REC_TS] = seconds * 1_000_000_000 + fraction * scale
        records[row, REC_LINK] = link
        row += 1
        pos = begin + captured
    state[POS], state[ROWS] = pos, row
    return status


far_walk = far("walk_pcap", "i(bwr)", walk)
