"""DNP3 fragments and frames for tests, well-formed or nearly, made from a seed; as a program: what the kernels say."""

import json
import random
import struct
import sys

import numpy as np

from otmon.limits import MAX_PDU_BYTES
from otmon.protocols.dnp3 import DNP3
from otmon.protocols.dnp3.objects import GROUPS, size_of
from otmon.wire.contract import OUT_SIZE, OUT_WORDS, UNWRAP_BUILT, UNWRAP_DROPPED, UNWRAP_MORE, UNWRAP_STATUS
from tests.protocols.far import far

FAR = far(DNP3)

TO_OUTSTATION, TO_MASTER = 0xC4, 0x44


def crc(data: bytes) -> bytes:
    """Bit by bit, as the standard draws it."""
    register = 0
    for octet in data:
        for bit in range(8):
            low = register ^ octet >> bit
            register = register >> 1 ^ (0xA6BC if low & 1 else 0)
    return (register ^ 0xFFFF).to_bytes(2, "little")


def link_frame(data: bytes, control: int = TO_OUTSTATION, destination: int = 10, source: int = 1) -> bytes:
    header = struct.pack("<BBBBHH", 5, 0x64, 5 + len(data), control, destination, source)
    blocks = (data[i : i + 16] for i in range(0, len(data), 16))
    return header + crc(header) + b"".join(block + crc(block) for block in blocks)


def frames(fragment: bytes, first: int = 0, segment: int = 249, **link: int) -> list[bytes]:
    """The link frames of an application fragment; `first` is the transport sequence number."""
    parts = [fragment[i : i + segment] for i in range(0, len(fragment), segment)] or [b""]
    made = []
    for i, part in enumerate(parts):
        octet = (0x40 if i == 0 else 0) | (0x80 if i == len(parts) - 1 else 0) | first + i & 63
        made.append(link_frame(bytes([octet]) + part, **link))
    return made


def canonical(
    fragment: bytes, control: int = TO_OUTSTATION, destination: int = 10, source: int = 1, transport: int = 0xC0
) -> bytes:
    length = min(255, 6 + len(fragment))
    return struct.pack("<BBBBHHB", 5, 0x64, length, control, destination, source, transport) + fragment


def request(code: int, objects: bytes = b"", application: int = 0xC0, **link: int) -> bytes:
    return canonical(bytes([application, code]) + objects, **{"control": TO_OUTSTATION, **link})


def response(objects: bytes = b"", iin: int = 0, code: int = 129, application: int = 0xC0, **link: int) -> bytes:
    head = bytes([application, code]) + iin.to_bytes(2, "little")
    return canonical(head + objects, **{"control": TO_MASTER, "destination": 1, "source": 10, **link})


def _commands(rng: random.Random) -> bytes:
    """Controls or analog outputs as masters send them, index before each."""
    group, variation = rng.choice(((12, 1), (41, 1), (41, 2), (41, 2), (41, 3), (41, 4)))
    count, width = rng.randrange(5), rng.choice((1, 2))
    head = bytes([group, variation, 0x17 if width == 1 else 0x28]) + count.to_bytes(width, "little")
    size = size_of(group, variation)
    return head + b"".join(
        rng.randrange(99).to_bytes(width, "little") + _object(rng, group, size) for _ in range(count)
    )


def _files(rng: random.Random) -> bytes:
    """File objects with names where they say, or nearly; and what answers tell of them."""
    variation, width = rng.choice((3, 3, 4, 6, 7, 8)), rng.choice((1, 2, 4))
    objects = []
    for _ in range(rng.choice((0, 1, 1, 2))):
        name = rng.randbytes(rng.choice((0, 1, 7, 8, 9, 40, 255, 256)))
        head = {3: 26, 4: 12, 6: 8, 7: 20, 8: 0}[variation]
        offset = rng.choice((head, head, head, 0, head + 5, 65535))
        lengths = struct.pack("<HH", offset, rng.choice((len(name), len(name), 300)))
        status = rng.choice((b"", b"\0", b"\0", b"\1")) if variation in (4, 6) else b""
        raw = (lengths + bytes(max(head - 4, 0)) if head else b"") + status + name
        raw = raw[: 256**width - 1]
        objects.append(len(raw).to_bytes(width, "little") + raw)
    qualifier = {1: 0x4B, 2: 0x5B, 4: 0x6B}[width]
    return bytes([70, variation, qualifier, len(objects)]) + b"".join(objects)


def _header(rng: random.Random, valued: bool) -> bytes:
    if rng.random() < 0.04:
        return _files(rng)
    if rng.random() < 0.03:
        return b"\x78\x03\x07\x01" + rng.randbytes(6)
    if valued and rng.random() < 0.3:
        return _commands(rng)
    group = rng.choice(tuple(GROUPS)) if rng.random() < 0.95 else rng.randrange(256)
    known = list(GROUPS[group][1]) if group in GROUPS else [1]
    variation = rng.choice(known) if rng.random() < 0.95 else rng.randrange(256)
    qualifier = rng.choice((0, 1, 2, 6, 7, 8, 9, 0x17, 0x28, 0x39, 0x5B, 0x17, 0x28, 0x5B))
    if rng.random() < 0.04:
        qualifier = rng.randrange(256)
    head = bytes([group, variation, qualifier])
    prefix, form = qualifier >> 4, qualifier & 15
    count = rng.choice((0, 1, 1, 2, 3, rng.randrange(20)))
    size = size_of(group, variation)
    size = {-4: 5, -5: variation, -1: 3}.get(size, size)
    index = rng.choice((0, 1, 250, 65534, rng.randrange(65536)))
    if form in (0, 1, 2):
        width = (1, 2, 4)[form]
        first = index & 0xFF if form == 0 else index
        last = min(first + max(count, 1) - 1, 256**width - 1)
        head += first.to_bytes(width, "little") + last.to_bytes(width, "little")
        count = last - first + 1
    elif form in (7, 8, 9, 11):
        head += count.to_bytes({7: 1, 8: 2, 9: 4, 11: 1}[form], "little")
    if form == 6:
        return head
    if prefix in (4, 5, 6):
        sizes = [rng.randrange(40) for _ in range(count)]
        return head + b"".join(n.to_bytes(1 << prefix - 4, "little") + rng.randbytes(n) for n in sizes)
    body = b""
    if not prefix and size in (-2, -3):
        return head + (rng.randbytes((count * -(size + 1) + 7) // 8) if valued else b"")
    for _ in range(count):
        if prefix in (1, 2, 3):
            index += rng.choice((0, 1, 1, 1, 5))
            body += (index & 256 ** (1 << prefix - 1) - 1).to_bytes(1 << prefix - 1, "little")
        if valued:
            body += bytes([1, size - 2]) + b"Ab7" if group == 0 else _object(rng, group, max(size, 0))
    return head + body


def _object(rng: random.Random, group: int, size: int) -> bytes:
    """At random; the status of controls mostly 0, analog outputs near each other."""
    raw = rng.choice((rng.randbytes(size), bytes(size), b"\xff" * size))
    return raw[:-1] + rng.choice((b"\0", b"\0", b"\4")) if raw and group in (12, 41) else raw


def _fragment(rng: random.Random) -> bytes:
    objects = [b"" for _ in range(rng.choice((0, 1, 1, 2, 3)))]
    application = rng.choice((0xC0, 0xC0, 0xE0, 0xF0, 0x80, 0x40, 0)) | rng.randrange(16)
    addresses = {"destination": rng.choice((10, 1024, 0xFFFC, 0xFFFF)), "source": rng.choice((1, 3, 65519))}
    if rng.random() < 0.6:
        code = rng.choice((*range(34), 1, 2, 3, 4, 5, 6, 2, 3, 4, 5, 6)) if rng.random() < 0.97 else rng.randrange(256)
        valued = code in (2, 3, 4, 5, 6, *range(25, 34))
        body = b"".join(_header(rng, valued) for _ in objects)
        return request(code, body, application, **addresses)
    code = rng.choice((129, 129, 129, 130, 131)) if rng.random() < 0.97 else rng.randrange(256)
    iin = rng.choice((0, 0, 0x80, 1 << rng.randrange(16), 0xFFFF))
    return response(b"".join(_header(rng, True) for _ in objects), iin, code, application, **addresses)


def corpus(seed: int, count: int) -> list[bytes]:
    """Canonical PDUs: three in four as the standard has them, the others with an octet changed, too many or too few."""
    rng, made = random.Random(seed), []
    for _ in range(count):
        pdu = _fragment(rng)
        chance = rng.random()
        if chance < 0.12:
            place = rng.randrange(len(pdu))
            pdu = pdu[:place] + rng.randbytes(1) + pdu[place + 1 :]
        elif chance < 0.17:
            pdu += rng.randbytes(rng.randrange(1, 3))
        elif chance < 0.25:
            pdu = pdu[: rng.randrange(len(pdu))]
        made.append(pdu)
    return made


def said(pdu: bytes) -> list[int]:
    """What key says of one PDU: number of words, header slots, words."""
    out = np.full(OUT_SIZE, -7, np.int64)
    words = FAR.key(np.frombuffer(pdu, np.uint8), 0, len(pdu), -1, out)
    # Behind the words the contract promises nothing; of a malformed PDU the header only.
    return list(map(int, [words, *out[:OUT_WORDS], *out[OUT_WORDS:][: max(words, 0)]]))


def streamed(wire: list[bytes]) -> list[list[int]]:
    """What frame and unwrap say of wire units in a row, and the bytes they build."""
    asm, fill, answers = np.zeros(MAX_PDU_BYTES, np.uint8), 0, []
    for unit in wire:
        buf = np.frombuffer(unit, np.uint8)
        length = FAR.frame(buf, 0, len(buf))
        answer = [length]
        if length == len(unit):
            status, a, b = FAR.unwrap(buf, 0, length, asm, fill)
            answer += [status, a, b, *asm[:b].tolist()]
            if status & UNWRAP_STATUS == UNWRAP_BUILT:
                fill = a
            elif status & UNWRAP_STATUS == UNWRAP_MORE or status & UNWRAP_DROPPED:
                fill = b
        answers.append(list(map(int, answer)))
    return answers


def shuffled(seed: int, count: int) -> list[bytes]:
    """Frames of fragments in a row, some lost, repeated, damaged or of another source."""
    rng, made = random.Random(seed), []
    while len(made) < count:
        fragment = rng.randbytes(rng.choice((0, 1, 20, 300, 600, 1000)))
        source = rng.choice((1, 1, 2))
        for unit in frames(fragment, rng.randrange(64), rng.choice((249, 100, 15)), source=source):
            chance = rng.random()
            if chance < 0.03:
                place = rng.randrange(len(unit))
                unit = unit[:place] + bytes([unit[place] ^ 1 << rng.randrange(8)]) + unit[place + 1 :]
            elif chance < 0.05:
                continue
            elif chance < 0.08:
                made.append(link_frame(b"", rng.choice((0xC0, 0x4B, 0x00))))
            elif chance < 0.1:
                made.append(unit)
            made.append(unit)
    return made


if __name__ == "__main__":
    seed, count = int(sys.argv[1]), int(sys.argv[2])
    json.dump([*map(said, corpus(seed, count)), *streamed(shuffled(seed, count // 4))], sys.stdout)
