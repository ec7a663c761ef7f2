"""Modbus ADUs for tests, well-formed or nearly, made from a seed; run as a program: what the kernels make of them."""

import json
import random
import struct
import sys

import numpy as np

from otmon.protocols.modbus import MODBUS
from otmon.wire.contract import OUT_SIZE, OUT_WORDS
from tests.protocols.far import far

FAR = far(MODBUS)


def adu(code: int, data: bytes, unit: int = 1, transaction: int = 1) -> bytes:
    return struct.pack(">HHHBB", transaction, 0, 2 + len(data), unit, code) + data


def _words(rng: random.Random, few: int) -> bytes:
    """Registers at random, or so alike that bounds and padding bits matter."""
    return rng.choice((rng.randbytes(2 * few), bytes(rng.choice((0, 0, 1, 7, 128, 255)) for _ in range(2 * few))))


def _request(rng: random.Random, code: int) -> bytes:
    address, few = rng.randrange(65536), rng.randrange(1, 20)
    words = _words(rng, few)
    match code:
        case 1 | 2 | 3 | 4:
            return struct.pack(">HH", rng.choice((address, 0x300, 0x400)), rng.choice((few, 0, 126, 2001, 65535)))
        case 5:
            return struct.pack(">HH", address, rng.choice((0, 0xFF00, 0xFF00, 1)))
        case 6:
            return struct.pack(">HH", address, rng.randrange(65536))
        case 15:
            quantity = rng.randrange(1, 8 * len(words) + 1)
            bits = rng.choice((words, bytes(len(words) - 1) + b"\x80", b"\xff" * (len(words) - 1) + b"\x01"))[
                : (quantity + 7) // 8
            ]
            return struct.pack(">HHB", address, quantity, len(bits)) + bits
        case 16:
            return struct.pack(">HHB", address, rng.choice((few, few, few + 1, 0)), len(words)) + words
        case 20:
            records = [struct.pack(">BHHH", 6, *(rng.randrange(65536) for _ in range(3))) for _ in range(few)]
            return bytes([7 * few]) + b"".join(records)
        case 21:
            lengths = [rng.randrange(9) for _ in range(few % 9)]
            data = b"".join(struct.pack(">BHHH", 6, few, address, n) + rng.randbytes(2 * n) for n in lengths)
            return bytes([len(data)]) + data
        case 22:
            return rng.randbytes(6)
        case 23:
            return struct.pack(">HHHHB", address, few, 9999, few, len(words)) + words
        case 24:
            return rng.randbytes(2)
        case 8:
            return struct.pack(">H", rng.randrange(24)) + rng.choice((b"\0\0", words))
        case 43:
            return rng.choice((bytes([14, rng.randrange(6), rng.randrange(8)]), b"\x0d" + words))
        case 90:
            return bytes([rng.randrange(256), rng.randrange(256)]) + words
    return b"" if code in (7, 11, 12, 17) else words


def _response(rng: random.Random, code: int) -> bytes:
    few = rng.randrange(1, 20)
    words = _words(rng, few)
    if rng.random() < 0.1:
        return rng.randbytes(1)
    match code:
        case 1 | 2 | 17:
            data = rng.randbytes(few)
            return bytes([len(data)]) + data
        case 3 | 4 | 23:
            return bytes([len(words)]) + words
        case 7:
            return rng.randbytes(1)
        case 11:
            return rng.randbytes(4)
        case 12:
            return bytes([6 + few]) + rng.randbytes(6 + few)
        case 15 | 16:
            return rng.randbytes(4)
        case 20:
            groups = [rng.randbytes(2 * rng.randrange(4)) for _ in range(few % 7)]
            data = b"".join(bytes([1 + len(group), 6]) + group for group in groups)
            return bytes([len(data)]) + data
        case 24:
            words += rng.choice((b"", b"", b"\0"))
            return struct.pack(">HH", 2 + len(words), few) + words
        case 43:
            texts = [b"Acme", b"\x1b]0;pwn\x07", "Größe".encode(), b"\xff\x00", b""][: few % 6]
            objects = b"".join(bytes([i, len(text)]) + text for i, text in enumerate(texts))
            return bytes([14, 1, 1, 0, 0, len(texts)]) + objects
        case 90:
            return bytes([few, rng.choice((0xFE, 0xFD, 0x01))]) + words
    return _request(rng, code)


CODES = (1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 15, 16, 17, 20, 21, 22, 23, 24, 43, 90)


def corpus(seed: int, count: int) -> list[bytes]:
    """Three in four as the specification has them, the others with a byte changed, too many or too few."""
    rng, made = random.Random(seed), []
    for _ in range(count):
        code = rng.choice(CODES) if rng.random() < 0.9 else rng.randrange(256)
        data = (_request if rng.random() < 0.6 else _response)(rng, code & 127)
        if rng.random() < 0.1:
            code, data = code | 128, bytes([rng.randrange(13)])
        chance = rng.random()
        if chance < 0.1 and data:
            place = rng.randrange(len(data))
            data = data[:place] + rng.randbytes(1) + data[place + 1 :]
        elif chance < 0.17:
            data += rng.randbytes(rng.randrange(1, 3))
        elif chance < 0.25:
            data = data[:-1]
        made.append(adu(code, data[:252], rng.choice((0, 1, 1, 17, 250, 255)), rng.randrange(65536)))
    return made


def kernels(pdu: bytes, from_client: int) -> list[int]:
    """All that frame, unwrap and key say of one ADU."""
    buf, out = np.frombuffer(pdu, np.uint8), np.full(OUT_SIZE, -7, np.int64)
    asm = np.zeros(0, np.uint8)
    size = FAR.frame(buf, 0, len(buf))
    words = FAR.key(buf, 0, len(buf), from_client, out)
    # Behind the words the contract promises nothing; of a malformed PDU the header only.
    said = [*FAR.unwrap(buf, 0, len(buf), asm, 0), size, words, *out[:OUT_WORDS], *out[OUT_WORDS:][: max(words, 0)]]
    return list(map(int, said))


if __name__ == "__main__":
    json.dump(
        [kernels(pdu, way) for pdu in corpus(int(sys.argv[1]), int(sys.argv[2])) for way in (1, 0, -1)], sys.stdout
    )
