"""A small PDU of every function, object, PI service and status list there is a name for: seeds for the fuzzers.

They are made from the tables of the decoders, so that what is added there is tried too.
"""

import random
import struct
from collections.abc import Iterator

from otmon.protocols.dnp3.objects import GROUPS
from otmon.protocols.dnp3.sized import SIZED_READERS
from otmon.protocols.dnp3.tables import FUNCTIONS as DNP3_FUNCTIONS
from otmon.protocols.modbus.tables import DIAGNOSTIC_NAMES, FUNCTIONS, INTERFACES, UMAS, UMAS_FUNCTIONS
from otmon.protocols.s7comm.tables import (
    COTP,
    PI_SERVICES,
    PLUS_FUNCTIONS,
    SYNTAX,
    SZL,
    TYPE_PUSH,
    TYPE_REQUEST,
    TYPE_RESPONSE,
    USERDATA_FUNCTIONS,
)
from otmon.protocols.s7comm.tables import FUNCTIONS as S7_FUNCTIONS
from tests.protocols.dnp3_corpus import request, response
from tests.protocols.modbus_corpus import adu
from tests.protocols.s7_streams import s7

QUALIFIERS = (b"\0\0\1", b"\1\0\0\1\0", b"\6", b"\7\2", b"\x08\2\0", b"\x17\2", b"\x28\2\0", b"\x5b\1\x08\0")
"""A range, all, counts, indexes in front, a size in front."""


def modbus() -> Iterator[bytes]:
    """Requests and responses by function, sub-function, MEI type and UMAS code, with few and with many bytes."""
    dice = random.Random(1)
    for size in (0, 4, 9, 20):
        data = dice.randbytes(size)
        for code in FUNCTIONS:
            yield adu(code, bytes([size]) + data)
            yield adu(code | 0x80, bytes([size]))
        for sub in DIAGNOSTIC_NAMES:
            yield adu(8, struct.pack(">H", sub) + data)
        for kind in INTERFACES:
            yield adu(43, bytes([kind]) + data)
        for sub in UMAS_FUNCTIONS:
            yield adu(UMAS, bytes([0, sub]) + data)
            yield adu(UMAS, b"\0\xfe" + data)


def dnp3() -> Iterator[bytes]:
    """Every function with class data; every object, told and asked for, by several qualifiers."""
    dice = random.Random(2)
    for code in DNP3_FUNCTIONS:
        yield (response if code > 128 else request)(*((b"\x3c\1\6",) if code > 128 else (code, b"\x3c\1\6")))
    for group, (_, variations) in GROUPS.items():
        for variation in sorted(variations)[:16]:
            for form in QUALIFIERS if group < 20 or variation == 1 else (b"\1\0\0\1\0", b"\x28\1\0"):
                objects = bytes([group, variation]) + form
                yield response(objects + dice.randbytes(24))
                yield request(2, objects + dice.randbytes(24))
    for group, variation in SIZED_READERS:
        for size in (1, 16, 40):
            objects = bytes([group, variation, 0x5B, 1]) + struct.pack("<H", size) + dice.randbytes(size)
            yield response(objects)
            yield request(25, objects)


def _userdata(kind: int, group: int, sub: int, payload: bytes) -> bytes:
    tail = b"\0\0\0\0" if kind != TYPE_REQUEST else b""
    param = b"\0\1\x12" + bytes([4 + len(tail), 0x11 if not tail else 0x12, kind << 4 | group, sub, 1]) + tail
    return s7(7, param, b"\xff\x09" + struct.pack(">H", len(payload)) + payload)


def s7comm() -> Iterator[bytes]:
    """Every TPDU, job and answer, item syntax, PI service, userdata function, status list and S7comm-plus function."""
    dice = random.Random(3)
    for code in COTP:
        yield bytes([17, code, 0, 0, 0, 1, 0, 0xC0, 1, 10, 0xC1, 2, 1, 0, 0xC2, 2, 1, 2])
    for code in filter(None, S7_FUNCTIONS):
        for data in (b"\0\1" + dice.randbytes(6) + b"\x09_0A00010P\x0d1" + b"0" * 12, dice.randbytes(8)):
            yield s7(1, bytes([code]) + data)
            yield s7(3, bytes([code]) + data, b"\xff\4\0\x20" + dice.randbytes(8))
    for syntax in SYNTAX:
        for size in (9, 13, 21):
            item = bytes([0x12, size + 1, syntax]) + dice.randbytes(size)
            yield s7(1, b"\4\1" + item)
            yield s7(1, b"\5\1" + item, b"\0\4\0\x20" + dice.randbytes(4))
    for name in PI_SERVICES:
        text = name.encode()
        for argument in (b"", b"C ", b"\1\x000800001A"):
            yield s7(
                1,
                b"\x28" + bytes(6) + b"\xfd" + struct.pack(">H", len(argument)) + argument + bytes([len(text)]) + text,
            )
    for group, sub in USERDATA_FUNCTIONS:
        for kind in (TYPE_PUSH, TYPE_REQUEST, TYPE_RESPONSE):
            for size in (0, 4, 30):
                yield _userdata(kind, group, sub, dice.randbytes(size))
    for part in SZL:
        record = dice.randbytes(40)
        yield _userdata(TYPE_REQUEST, 4, 1, struct.pack(">HH", part, 0))
        yield _userdata(TYPE_RESPONSE, 4, 1, struct.pack(">HHHH", part, 0, 20, 2) + record)
    for code in PLUS_FUNCTIONS:
        for opcode in (0x31, 0x32, 0x33):
            content = struct.pack(">BHHHHI", opcode, 0, code, 0, 1, 0x3A0) + b"\x34" + dice.randbytes(24)
            yield b"\x02\xf0\x80\x72\x02" + struct.pack(">H", len(content)) + content + b"\x72\x02\0\0"


EVERY = {"modbus": modbus, "dnp3": dnp3, "s7comm": s7comm}
