"""CRC-16/DNP (IEEE 1815-2012, clause 9): polynomial 0x3D65 reflected, start 0, complemented, low octet first."""

from typing import Any, Final

import numpy as np

from otmon.wire.loads import be64, jit, u8

BLOCK_BYTES: Final = 16
_REFLECTED: Final = 0xA6BC


def _tables() -> Any:
    """For each octet what it adds to the CRC, alone and with 1 to 15 octets behind it."""
    table = np.zeros((BLOCK_BYTES, 256), np.uint16)
    for octet in range(256):
        crc = octet
        for _ in range(8):
            crc = crc >> 1 ^ (_REFLECTED if crc & 1 else 0)
        table[0, octet] = crc
    for behind in range(1, BLOCK_BYTES):
        before = table[behind - 1]
        table[behind] = before >> 8 ^ table[0, before & 255]
    flat = table.ravel()
    flat.flags.writeable = False
    return flat


TABLE: Final = _tables()
LAST: Final = BLOCK_BYTES * 256 - 1


@jit
def crc16(buf: Any, start: int, size: int) -> int:
    """CRC of `size` (1 to 16) octets. It starts from 0, so what each octet adds depends on its place alone."""
    end = start + size
    table = TABLE
    crc, place = 0xFFFF, (size - 1) * 256
    # Masked, an index needs no check of its own.
    while start + 8 <= end:
        word, shift = be64(buf, start), 56
        while shift >= 0:
            crc ^= table[(place + (word >> shift & 255)) & LAST]
            place -= 256
            shift -= 8
        start += 8
    while start < end:
        crc ^= table[(place + u8(buf, start)) & LAST]
        place -= 256
        start += 1
    return crc
