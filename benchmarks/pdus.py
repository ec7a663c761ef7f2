"""Valid requests and responses of Modbus/TCP, DNP3 and S7comm, as stacks send them."""

import struct
from functools import lru_cache
from random import Random

# --- Modbus --------------------------------------------------------------------------------------------------------


def modbus(transaction: int, unit: int, code: int, body: bytes) -> bytes:
    """An ADU: MBAP header, function code, body."""
    return struct.pack(">HHHBB", transaction & 0xFFFF, 0, 2 + len(body), unit, code) + body


def modbus_request(rng: Random, code: int, address: int, quantity: int) -> bytes:
    """Body of a request."""
    if code == 5:
        return struct.pack(">HH", address, rng.choice((0, 0xFF00)))
    if code == 6:
        return struct.pack(">HH", address, rng.randrange(1000))
    if code == 15:
        return struct.pack(">HHB", address, quantity, (quantity + 7) // 8) + rng.randbytes((quantity + 7) // 8)
    if code == 16:
        return struct.pack(">HHB", address, quantity, 2 * quantity) + rng.randbytes(2 * quantity)
    if code == 22:
        return struct.pack(">HHH", address, 0xFF00, 0x0012)
    return struct.pack(">HH", address, quantity)


def modbus_response(rng: Random, code: int, request: bytes, quantity: int) -> bytes:
    """Body of the response that accepts `request` (its body)."""
    if code in (1, 2):
        octets = (quantity + 7) // 8
        return bytes((octets,)) + rng.randbytes(octets)
    if code in (3, 4):
        return bytes((2 * quantity,)) + rng.randbytes(2 * quantity)
    return request if code == 22 else request[:4]


# --- DNP3 (IEEE 1815) ----------------------------------------------------------------------------------------------


def _crc_table() -> list[int]:
    table = []
    for octet in range(256):
        crc = octet
        for _ in range(8):
            crc = crc >> 1 ^ (0xA6BC if crc & 1 else 0)
        table.append(crc)
    return table


_CRC = _crc_table()


@lru_cache(maxsize=65_536)
def _with_crc(block: bytes) -> bytes:
    crc = 0
    for octet in block:
        crc = crc >> 8 ^ _CRC[(crc ^ octet) & 0xFF]
    return block + struct.pack("<H", ~crc & 0xFFFF)


def dnp3(from_master: bool, master: int, outstation: int, transport: int, application: bytes) -> bytes:
    """Link frames that carry an application fragment in transport segments, the first numbered `transport`."""
    control, pair = (0xC4, (outstation, master)) if from_master else (0x44, (master, outstation))
    pieces = [application[start : start + 249] for start in range(0, len(application), 249)]
    out = b""
    for number, piece in enumerate(pieces):
        first, last = number == 0, number == len(pieces) - 1
        user = bytes((last << 7 | first << 6 | (transport + number) & 0x3F,)) + piece
        out += _with_crc(struct.pack("<BBBBHH", 0x05, 0x64, 5 + len(user), control, *pair))
        out += b"".join(_with_crc(user[start : start + 16]) for start in range(0, len(user), 16))
    return out


def dnp3_read(sequence: int, objects: bytes) -> bytes:
    """Application fragment: READ."""
    return bytes((0xC0 | sequence & 15, 1)) + objects


def dnp3_response(sequence: int, objects: bytes, confirm: bool = False) -> bytes:
    """Application fragment: RESPONSE without an indication."""
    return bytes((0xC0 | confirm << 5 | sequence & 15, 129, 0, 0)) + objects


def dnp3_confirm(sequence: int) -> bytes:
    """Application fragment: CONFIRM."""
    return bytes((0xC0 | sequence & 15, 0))


EVENT_CLASSES = bytes.fromhex("3c02063c03063c0406")
ALL_CLASSES = EVENT_CLASSES + bytes.fromhex("3c0106")


def analogs(rng: Random, start: int, stop: int) -> bytes:
    """g30v1 from start to stop: flags and 32 bits each."""
    body = b"".join(b"\x01" + rng.randbytes(2) + b"\0\0" for _ in range(start, stop + 1))
    return struct.pack("<BBBHH", 30, 1, 1, start, stop) + body


def binaries(rng: Random, count: int) -> bytes:
    """g1v2: one octet each."""
    return struct.pack("<BBBBB", 1, 2, 0, 0, count - 1) + bytes(rng.choice((0x01, 0x81)) for _ in range(count))


def binary_events(rng: Random, count: int) -> bytes:
    """g2v1 with 16-bit indexes."""
    events = (struct.pack("<HB", rng.randrange(40), rng.choice((0x01, 0x81))) for _ in range(count))
    return struct.pack("<BBBH", 2, 1, 0x28, count) + b"".join(events)


def crob(index: int) -> bytes:
    """g12v1: latch on, one time."""
    return struct.pack("<BBBHH", 12, 1, 0x28, 1, index) + struct.pack("<BBIIB", 3, 1, 100, 100, 0)


# --- S7comm --------------------------------------------------------------------------------------------------------


def _tpkt(body: bytes) -> bytes:
    return struct.pack(">BBH", 3, 0, 4 + len(body)) + body


def s7(rosctr: int, reference: int, parameter: bytes, data: bytes = b"") -> bytes:
    """TPKT, COTP data, S7 header; an acknowledgement with data (3) has its two error octets."""
    error = b"\0\0" if rosctr in (2, 3) else b""
    header = struct.pack(">BBHHHH", 0x32, rosctr, 0, reference & 0xFFFF, len(parameter), len(data))
    return _tpkt(b"\x02\xf0\x80" + header + error + parameter + data)


COTP_CONNECT = _tpkt(bytes.fromhex("11e00000000100c0010ac1020100c2020102"))
COTP_CONFIRM = _tpkt(bytes.fromhex("11d00001000200c0010ac1020100c2020102"))
SETUP = s7(1, 0, bytes.fromhex("f0000001000101e0"))
SETUP_ACK = s7(3, 0, bytes.fromhex("f0000001000100f0"))


def s7_item(db: int, start: int, length: int) -> bytes:
    """S7ANY: bytes of a data block."""
    return struct.pack(">BBBBHHB", 0x12, 10, 0x10, 2, length, db, 0x84) + (start * 8).to_bytes(3, "big")


def s7_read(rng: Random, reference: int, items: list[tuple[int, int, int]]) -> tuple[bytes, bytes]:
    """Read var of (DB, start, length) items, and its answer."""
    head = bytes((4, len(items)))
    answer = b""
    for _, _, length in items:
        answer += (b"\0" if len(answer) % 2 else b"") + struct.pack(">BBH", 0xFF, 4, 8 * length) + rng.randbytes(length)
    return s7(1, reference, head + b"".join(s7_item(*item) for item in items)), s7(3, reference, head, answer)


def s7_write(rng: Random, reference: int, db: int, start: int, length: int) -> tuple[bytes, bytes]:
    """Write var of one item, and its answer."""
    data = struct.pack(">BBH", 0, 4, 8 * length) + rng.randbytes(length)
    return s7(1, reference, b"\x05\x01" + s7_item(db, start, length), data), s7(3, reference, b"\x05\x01", b"\xff")


def s7_szl(rng: Random, reference: int) -> tuple[bytes, bytes]:
    """Userdata 4/1: read SZL 0x0424 (operating mode), and its answer."""
    ask = s7(7, reference, bytes.fromhex("0001120411440100"), bytes.fromhex("ff09000404240000"))
    record = bytes.fromhex("5144ff08") + rng.randbytes(16)
    body = bytes.fromhex("0424000000140001") + record
    return ask, s7(
        7, reference, bytes.fromhex("000112081284010100000000"), struct.pack(">BBH", 0xFF, 9, len(body)) + body
    )
