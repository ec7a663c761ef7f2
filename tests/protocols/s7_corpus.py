"""S7 PDUs for tests, well-formed or nearly, made from a seed; run as a program: what the kernels make of them."""

import json
import random
import struct
import sys

import numpy as np

from otmon.limits import MAX_PDU_BYTES
from otmon.protocols.s7comm import S7COMM
from otmon.wire.contract import OUT_SIZE, OUT_WORDS
from tests.protocols.far import far
from tests.protocols.s7_streams import any_item, cotp, s7

FAR = far(S7COMM)


def _item(rng: random.Random) -> bytes:
    match rng.randrange(6):
        case 0 | 1 | 2:
            area = rng.choice((0x81, 0x83, 0x84, 0x84, 0x85, 0x1C, 0x1D, 0x01, 0x42))
            transport = rng.choice((1, 2, 2, 4, 5, 6, 7, 8, 28, 29, 15, 99))
            return any_item(transport, rng.randrange(5), rng.randrange(300), area, rng.randrange(1 << 12))
        case 3:
            areas = [rng.randbytes(5) for _ in range(rng.randrange(1, 5))]
            return bytes([0x12, 2 + 5 * len(areas), 0xB0, len(areas)]) + b"".join(areas)
        case 4:
            body = rng.randbytes(rng.randrange(40))
            return bytes([0x12, 1 + len(body), rng.choice((0xB2, 0x82, 0x10, 0xB0, 0xA2, 9))]) + body
    return rng.randbytes(rng.randrange(14))


def _items(rng: random.Random, few: int) -> tuple[int, bytes]:
    made = [_item(rng) for _ in range(few)]
    padded = [item + b"\0" * (len(item) & 1) for item in made[:-1]] + made[-1:]
    return few, b"".join(padded)


def _data(rng: random.Random, few: int) -> bytes:
    made = []
    for _ in range(few):
        content = rng.randbytes(rng.choice((0, 1, 2, 3, 4, 4, 8)))
        transport = rng.choice((0, 3, 4, 5, 6, 7, 9, 17))
        size = len(content) * (8 if transport in (3, 4, 5) else 1) + rng.choice((0, 0, 0, 0, 1))
        made.append(struct.pack(">BBH", rng.choice((0, 0xFF, 0xFF, 10, 5)), transport, size) + content)
    padded = [item + b"\0" * (len(item) & 1) for item in made[:-1]] + made[-1:]
    return b"".join(padded)


def _name(rng: random.Random) -> bytes:
    kind = rng.choice((b"08", b"0A", b"0B", b"0C", b"0E", b"0Z", b"\x1b["))
    return (
        rng.choice((b"_", b"$", b"")) + kind + b"%05d" % rng.randrange(99999) + rng.choice((b"A", b"P", b"", b"\xff"))
    )


def _job(rng: random.Random) -> bytes:
    function = rng.choice(
        (4, 4, 5, 5, 0x1A, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F, 0x28, 0x28, 0x29, 0xF0, 0, rng.randrange(256))
    )
    few, items = _items(rng, rng.choice((0, 1, 1, 2, 5, 20)))
    match function:
        case 4 | 5:
            return s7(1, bytes([function, few]) + items, _data(rng, few) if function == 5 else b"")
        case 0x1A | 0x1B | 0x1C | 0x1D:
            name = _name(rng)
            tail = b"\x0d1000216000088" if function == 0x1A else b""
            return s7(1, bytes([function, 0, 0, 0]) + rng.randbytes(4) + bytes([len(name)]) + name + tail)
        case 0x28:
            name = rng.choice((b"P_PROGRAM", b"_INSE", b"_DELE", b"_MODU", b"_GARB", b"_N_LOGIN_", b"\xff\0"))
            block = b"\1\0" + b"".join(_name(rng)[-8:] for _ in range(rng.randrange(3)))
            argument = rng.choice((b"", b"C ", b"EP", block))
            head = bytes([0x28, 0, 0, 0, 0, 0, 0, 0xFD]) + struct.pack(">H", len(argument))
            return s7(1, head + argument + bytes([len(name)]) + name)
        case 0xF0:
            return s7(1, b"\xf0\0\0\1\0\1\1\xe0")
    return s7(1, bytes([function]) + rng.randbytes(rng.randrange(12)))


def _ack(rng: random.Random) -> bytes:
    function, few = rng.choice((4, 4, 5, 0x1A, 0x1B, 0x1D, 0x1E, 0x28, 0xF0, 7)), rng.randrange(4)
    error = rng.choice((0, 0, 0, 0x8104))
    if rng.random() < 0.1:
        return s7(2, b"", b"", 7, error)
    if function == 4:
        return s7(3, bytes([4, few]), _data(rng, few + rng.choice((0, 0, 1))), 7, error)
    if function == 5:
        return s7(3, bytes([5, few]), bytes(rng.choice((0xFF, 0xFF, 10)) for _ in range(few)), 7, error)
    return s7(rng.choice((2, 3)), bytes([function]) + rng.randbytes(rng.randrange(10)), rng.randbytes(9), 7, error)


def _userdata(rng: random.Random) -> bytes:
    group, subfunction = rng.choice(
        ((4, 1), (4, 1), (3, 1), (3, 2), (3, 3), (2, 1), (2, 5), (2, 7), (7, 1), (7, 2), (6, 1))
    )
    if rng.random() < 0.2:
        group, subfunction = rng.randrange(16), rng.randrange(256)
    kind = rng.choice((4, 4, 8, 8, 0, rng.randrange(16)))
    few, items = _items(rng, rng.randrange(4))
    records = b"".join(
        struct.pack(">H", n) + rng.choice((b"6ES7 315-2EH14-0AB0 ", b"\x1b]0;x\7" * 4)) for n in (1, 6, 7)
    )
    payload = rng.choice(
        (
            rng.randbytes(rng.randrange(20)),
            struct.pack(">HBB", few, 1, 5) + items,
            _name(rng),
            struct.pack(">HHHH", rng.choice((0x11, 0x1C, 0x111, 0x424)), 0, rng.choice((22, 28, 34, 0)), 3) + records,
        )
    )
    size = len(payload) + rng.choice((0, 0, 0, 5))
    data = struct.pack(">BBH", rng.choice((0xFF, 0xFF, 10, 3)), 9, size) + payload if rng.random() < 0.9 else b""
    head = bytes([0, 1, 0x12, 4, 0x11, kind << 4 | group, subfunction, rng.randrange(3)])
    if rng.random() < 0.5:
        head += struct.pack(">BBH", rng.choice((0, 1)), rng.choice((0, 1)), rng.choice((0, 0, 0xD401)))
    return s7(7, head, data)


def _plus(rng: random.Random) -> bytes:
    version, opcode = rng.choice((1, 2, 3, 3, 0xFE, 4)), rng.choice((0x31, 0x32, 0x32, 0x33, 0x40))
    digest = b"\x20" + rng.randbytes(32) if version == 3 and rng.random() < 0.8 else b""
    function = rng.choice((0x4BB, 0x4CA, 0x542, 0x54C, 0x586, rng.randrange(65536)))
    body = struct.pack(">BHHHH", opcode, rng.choice((0, 0, 0, 1)), function, 0, rng.randrange(65536))
    body = digest + body + rng.choice((b"\x34\0", b"\x34\xc0\x88\x95\xb0\x80\xef\x91\xff\xf4", rng.randbytes(12), b""))
    trailer = rng.choice((bytes([0x72, version, 0, 0]), b"", b"\0"))
    return cotp(struct.pack(">BBH", 0x72, version, len(body)) + body + trailer)


def _link(rng: random.Random) -> bytes:
    code = rng.choice((0xE0, 0xE0, 0xD0, 0xD0, 0x80, 0xC0, 0x10, 0x60, 0x70, 0x90, 0xF0))
    tsap = rng.choice((b"\1\2", b"\2\x21", b"SIMATIC-ROOT-ES", b"\0\1", b"\x1b[2J"))
    variable = b"\xc0\1\x0a\xc1\2\1\0" + b"\xc2" + bytes([len(tsap)]) + tsap
    body = bytes([code]) + rng.choice((b"", b"\0\0\0\1\0", rng.randbytes(4), b"\x80", b"\0\0\0\1\0" + variable))
    return bytes([len(body)]) + body


def _tls(rng: random.Random) -> bytes:
    head = bytes([rng.randrange(0x13, 0x19), rng.choice((3, 3, 3, 2)), rng.choice((1, 3, 3, 5))])
    return cotp(
        head + struct.pack(">H", rng.choice((0, 9))) + bytes([rng.randrange(4)]) + rng.randbytes(rng.randrange(9))
    )


def corpus(seed: int, count: int) -> list[bytes]:
    """PDUs; every third one damaged: a byte changed, bytes cut off, bytes added."""
    rng = random.Random(seed)
    made = []
    for i in range(count):
        pdu = rng.choices((_job, _ack, _userdata, _plus, _link, _tls), (6, 3, 5, 2, 1, 1))[0](rng)
        if i % 3 == 0:
            at = rng.randrange(len(pdu))
            one = bytes([rng.choice((0, 1, 255, rng.randrange(256)))])
            pdu = rng.choice((pdu[:at] + one + pdu[at + 1 :], pdu[:at], pdu + one * rng.randrange(1, 5)))
        made.append(pdu)
    return made


def kernels(pdu: bytes, from_client: int) -> list[int]:
    """All that the compiled functions say of a canonical PDU, as a unit of its own and in two."""
    buf, out = np.frombuffer(pdu, np.uint8), np.full(OUT_SIZE, -7, np.int64)
    count = FAR.key(buf, 0, len(pdu), from_client, out)
    said = [int(count), *out[:OUT_WORDS].tolist(), *out[OUT_WORDS : OUT_WORDS + max(count, 0)].tolist()]
    unit = b"\3\0" + struct.pack(">H", len(pdu) + 4) + pdu
    said += [int(FAR.frame(np.frombuffer(unit, np.uint8), 0, cut)) for cut in (0, 1, 2, 3, 4, 5, 6, 7, len(unit))]
    asm = np.zeros(MAX_PDU_BYTES, np.uint8)
    for fill in (0, 5):
        said += map(int, FAR.unwrap(np.frombuffer(unit, np.uint8), 0, len(unit), asm, fill))
        said.append(int(asm.sum()))
    return said


if __name__ == "__main__":
    print(json.dumps([kernels(pdu, way) for pdu in corpus(int(sys.argv[1]), int(sys.argv[2])) for way in (1, 0, -1)]))
