"""CRC-16 of Modbus serial lines (V1.02 2.5.1.2): polynomial 0x8005 reflected, start 0xFFFF, low byte first."""

from typing import Any, Final

from otmon.protocols.modbus.layout import frozen
from otmon.wire.loads import jit, u8

_REFLECTED: Final = 0xA001
START: Final = 0xFFFF


def _table() -> list[int]:
    """For each byte what it does to the CRC."""
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (_REFLECTED if crc & 1 else 0)
        table.append(crc)
    return table


_TABLE = frozen(_table())


@jit
def crc16(buf: Any, start: int, end: int, crc: int) -> int:
    """CRC of buf[start:end], which goes on from `crc` (START: from nothing)."""
    while start < end:
        crc = crc >> 8 ^ _TABLE[(crc ^ u8(buf, start)) & 255]
        start += 1
    return crc
