"""CRC-16/DNP (IEEE 1815-2012, clause 9): polynomial 0x3D65 reflected, start 0, complemented, low octet first."""

from typing import Any, Final

import numpy as np

from otmon.wire.loads import be64, jit, le16, u8

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


@jit
def _eight(word: int, place: int) -> int:
    """What eight octets add, the first of them at `place` in the table."""
    return int(
        TABLE[place + (word >> 56 & 255)]
        ^ TABLE[place - 256 + (word >> 48 & 255)]
        ^ TABLE[place - 512 + (word >> 40 & 255)]
        ^ TABLE[place - 768 + (word >> 32 & 255)]
        ^ TABLE[place - 1024 + (word >> 24 & 255)]
        ^ TABLE[place - 1280 + (word >> 16 & 255)]
        ^ TABLE[place - 1536 + (word >> 8 & 255)]
        ^ TABLE[place - 1792 + (word & 255)]
    )


@jit
def crc16(buf: Any, start: int, size: int) -> int:
    """CRC of `size` (1 to 16) octets. It starts from 0, so what each octet adds depends on its place alone."""
    crc = 0
    place = (size - 1) * 256
    end = start + size
    while start + 8 <= end:
        crc ^= _eight(be64(buf, start), place)
        place -= 2048
        start += 8
    while start < end:
        crc ^= int(TABLE[place + u8(buf, start)])
        place -= 256
        start += 1
    return crc ^ 0xFFFF


@jit
def sound(buf: Any, start: int, size: int) -> bool:
    """Whether the CRC stored behind these octets is theirs."""
    return bool(crc16(buf, start, size) == le16(buf, start + size))
