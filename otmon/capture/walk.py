"""What the compiled record walkers of pcap and pcapng share: slots of their state and the statuses they return.

A walker `walk(buf, state, ..., records) -> status` reads record headers in buf[state[POS]:state[FILL]] and appends rows
to `records` (int64, REC_COLUMNS) until something stops it; it touches no frame bytes, and POS moves past what it took.
"""

from typing import Final

POS: Final = 0
"""Where the next record header starts in the buffer."""
FILL: Final = 1
"""End of the bytes that are in the buffer."""
ROWS: Final = 2
"""Rows of the record table in use."""
BIG: Final = 3
"""1: the file (pcapng: the section) is big-endian."""
SCALE: Final = 4
"""pcap: nanoseconds in one unit of the fraction word."""
LINK: Final = 5
"""pcap: REC_LINK word of every record."""
INTERFACES: Final = 6
"""pcapng: interfaces declared in this section (rows beyond MAX_PCAPNG_INTERFACES are not kept)."""
LAST_NS: Final = 7
"""pcapng: time of the previous packet, for blocks that carry none."""
STATE_SIZE: Final = 8

MORE: Final = 0
"""The next record is not whole in the buffer (or the buffer is used up)."""
FULL: Final = 1
"""The record table is full."""
RARE: Final = 2
"""pcapng: a whole section header or interface description stands at POS; Python reads it."""
BAD_LENGTH: Final = 3
"""Damage at POS: a frame longer than MAX_FRAME_BYTES."""
BAD_BLOCK: Final = 4
"""Damage at POS: the length of a block is impossible."""
BAD_INTERFACE: Final = 5
"""Damage at POS: a packet of an interface that was never described."""

REASONS: Final = {
    BAD_LENGTH: "frame longer than 262,144 bytes: the length field is damaged",
    BAD_BLOCK: "impossible block length",
    BAD_INTERFACE: "packet of an interface that was not described",
}

MAX_TS_NS: Final = 1 << 62
"""Times are clamped to 0..2**62 ns (year 2116, beyond all that pcap can say): sums of two of them stay within int64."""
