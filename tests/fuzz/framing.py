"""What stands behind the headers of TCP framed as its port demands, so that a decoder gets it and not a counter."""

import random
import struct
from functools import cache

from otmon.protocols import PROTOCOLS
from tests.fuzz.every import EVERY
from tests.fuzz.pdus import corpus
from tests.protocols.dnp3_corpus import crc

MODBUS, S7, DNP3 = 502, 102, 20000
MOST_BYTES = {MODBUS: 260, S7: 1_000, DNP3: 258}
NAMES = {MODBUS: "modbus", S7: "s7comm", DNP3: "dnp3"}
_CRCS = [int.from_bytes(crc(bytes([octet])), "little") ^ 0xFFFF for octet in range(256)]


def _crc(data: bytes) -> bytes:
    register = 0
    for octet in data:
        register = register >> 8 ^ _CRCS[(register ^ octet) & 255]
    return (register ^ 0xFFFF).to_bytes(2, "little")


def bare(payload: bytes, port: int) -> bytes:
    """A unit without its frame: Modbus ADU, COTP TPDU, DNP3 link header and data without check sums."""
    if port == S7:
        return payload[4:]
    if port == DNP3:
        return payload[:8] + b"".join(payload[at : at + 18][:-2] for at in range(10, len(payload), 18))
    return payload


def framed(unit: bytes, port: int) -> bytes:
    """A bare unit with the length and the check sums that it must have."""
    unit = unit[: MOST_BYTES[port]]
    if port == S7:
        return b"\3\0" + struct.pack(">H", 4 + len(unit)) + unit
    if port == DNP3:
        head, data = b"\5\x64" + bytes([len(unit) - 3]) + unit[3:8], unit[8:]
        blocks = (data[at : at + 16] for at in range(0, len(data), 16))
        return head + _crc(head) + b"".join(block + _crc(block) for block in blocks)
    return unit[:4] + struct.pack(">H", len(unit) - 6) + unit[6:]


@cache
def named(port: int) -> list[bytes]:
    """Bare units of everything that has a name, and of what is kept in the corpus."""
    name = NAMES[port]
    kept = (data[2 + data[1] :] for data in corpus() if PROTOCOLS[(data[0] >> 1) % len(PROTOCOLS)].name == name)
    return [*EVERY[name](), *(unit for unit in kept if len(unit) > 8)]


def carried(frame: bytes, dice: random.Random) -> bytes:
    """The frame (Ethernet, IPv4, TCP, no options of IPv4) with its payload framed anew.

    One of three carries something else that has a name, spoilt in places. Anything else stays as it is.
    """
    if frame[12:15] != b"\x08\x00\x45" or len(frame) < 54 or frame[23] != 6:
        return frame
    ports = struct.unpack(">HH", frame[34:38])
    port = next((port for port in ports if port in NAMES), None)
    at = 34 + 4 * (frame[46] >> 4)
    if port is None or len(frame) < at + 12:
        return frame
    unit = bytearray(bare(frame[at:], port))
    if dice.randrange(3) == 0:
        unit = bytearray(dice.choice(named(port)))
        for _ in range(dice.randrange(3)):
            unit[dice.randrange(len(unit))] = dice.choice((0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF, dice.randrange(256)))
    return frame[:at] + framed(bytes(unit), port)
