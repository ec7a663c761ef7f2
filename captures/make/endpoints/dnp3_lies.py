"""Commands by DNP3 that contradict themselves, and what an outstation did. Usage: dnp3_lies.py ADDRESS TOLD FILE

Each goes over a connection of its own (a port of its own). TOLD: where the outstation writes what it does; FILE: for
each that was obeyed its name, the client's port, the bytes, and what was operated.
"""

import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from obeyed import Places, converse, tell

PORT = 20000
QUIET_S = 0.3
FIRST_PORT = 24000
MASTER, OUTSTATION = 1, 10
LATCH_ON = struct.pack("<BBIIB", 3, 1, 100, 100, 0)


def crc(data: bytes) -> bytes:
    value = 0
    for octet in data:
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ (0xA6BC if value & 1 else 0)
    return struct.pack("<H", value ^ 0xFFFF)


def frame(data: bytes, control: int = 0xC4, to: int = OUTSTATION, by: int = MASTER, more: int = 0) -> bytes:
    """`more`: by how much the length is wrong."""
    head = struct.pack("<BBBBHH", 5, 0x64, (5 + len(data) + more) & 255, control, to, by)
    blocks = [data[at : at + 16] for at in range(0, len(data), 16)]
    return head + crc(head) + b"".join(block + crc(block) for block in blocks)


def request(code: int, objects: bytes, application: int = 0xC3, transport: int = 0xC0) -> bytes:
    return bytes((transport, application, code)) + objects


def commands(indexes: list[int], count: int | None = None, group: int = 12, qualifier: int = 0x17) -> bytes:
    number = len(indexes) if count is None else count
    wide = qualifier == 0x28
    head = struct.pack("<BBBH" if wide else "<BBBB", group, 1, qualifier, number)
    body = LATCH_ON if group == 12 else struct.pack("<iB", 77, 0)
    return head + b"".join(struct.pack("<H" if wide else "<B", index) + body for index in indexes)


def lies() -> Iterator[tuple[str, list[bytes]]]:
    """Each by its name, and the frames that it comes in."""
    one = commands([1])
    yield "sound", [frame(request(5, one))]
    yield "no answer wanted", [frame(request(6, one))]
    yield "select, operate", [frame(request(3, one)), frame(request(4, one, 0xC4))]
    yield "operate alone", [frame(request(4, one))]
    yield "analog output", [frame(request(5, commands([2], group=41)))]
    yield "indexes of two octets", [frame(request(5, commands([2], qualifier=0x28)))]
    for code in (5, 6):
        for count in (0, 1, 3, 255):
            yield f"{code}: number {count} of 2", [frame(request(code, commands([3, 4], count)))]
        yield f"{code}: cut in its second", [frame(request(code, commands([3, 4])[:-4]))]
        yield f"{code}: octets behind it", [frame(request(code, one + b"\1\2"))]
        yield f"{code}: a header without objects behind it", [frame(request(code, one + bytes((12, 1, 0x17, 1))))]
        yield f"{code}: an unknown object behind it", [frame(request(code, one + bytes((99, 9, 6))))]
        yield f"{code}: an unknown object before it", [frame(request(code, bytes((99, 9, 6)) + one))]
        yield f"{code}: an unknown qualifier behind it", [frame(request(code, one + bytes((12, 1, 0x99, 1))))]
        yield f"{code}: class data before it", [frame(request(code, bytes((60, 1, 6)) + one))]
        yield f"{code}: a pattern mask before it", [frame(request(code, bytes((12, 3, 0, 0, 7, 255)) + one))]
    start = struct.pack("<BBBBB", 12, 1, 0, 5, 5) + LATCH_ON
    yield "by a range", [frame(request(5, start))]
    yield "by a range of two, with one", [frame(request(5, struct.pack("<BBBBB", 12, 1, 0, 5, 6) + LATCH_ON))]
    yield "by a count", [frame(request(5, struct.pack("<BBBB", 12, 1, 7, 1) + LATCH_ON))]
    yield "by all", [frame(request(5, struct.pack("<BBB", 12, 1, 6) + LATCH_ON))]
    for variation in (0, 2, 4):
        yield f"variation {variation}", [frame(request(5, bytes((12, variation, 0x17, 1, 5)) + LATCH_ON))]
    yield "status not 0", [frame(request(5, one[:-1] + b"\x05"))]
    for code in (0, 1, 2, 7, 11, 40, 0x20, 0x81):
        yield f"function {code}", [frame(request(code, one))]
    for application in (0x03, 0x43, 0x83, 0xE3, 0xD3, 0xF3):
        yield f"application control {application:#04x}", [frame(request(5, one, application))]
    for transport in (0, 0x40, 0x80, 0xC5, 0xFF):
        yield f"transport {transport:#04x}", [frame(request(5, one, 0xC3, transport))]
    yield "in two segments", [frame(request(5, one[:6], 0xC3, 0x40)), frame(b"\x81" + one[6:])]
    yield "in two segments, the second repeated", [
        frame(request(5, one[:6], 0xC3, 0x40)), frame(b"\x81" + one[6:]), frame(b"\x81" + one[6:])
    ]  # fmt: skip
    yield "a first segment twice", [frame(request(5, one[:6], 0xC3, 0x40)), frame(request(5, one))]
    for control in (0x44, 0x84, 0x04, 0xC3, 0xD3, 0xF3, 0xD4, 0xE4, 0xCF, 0xC0, 0xC9, 0x40):
        yield f"link control {control:#04x}", [frame(request(5, one), control)]
    yield "confirmed, after a reset", [frame(b"", 0xC0), frame(request(5, one), 0xF3)]
    yield "confirmed, after a reset, bit as before", [frame(b"", 0xC0), frame(request(5, one), 0xD3)]
    for to in (0xFFFD, 0xFFFE, 0xFFFF, 0xFFFC, 11, 0):
        yield f"to {to}", [frame(request(5, one), to=to)]
        yield f"to {to}, no answer wanted", [frame(request(6, one), to=to)]
    for by in (2, 10, 0xFFFF):
        yield f"from {by}", [frame(request(5, one), by=by)]
    for more in (-2, -1, 1, 2, 16):
        yield f"link length {more:+}", [frame(request(5, one), more=more)]
    whole = frame(request(5, one))
    yield "a wrong check sum of data", [whole[:-1] + bytes((whole[-1] ^ 1,))]
    yield "a wrong check sum of the header", [whole[:9] + bytes((whole[9] ^ 1,)) + whole[10:]]
    yield "rubbish before it", [b"\xde\xad\x05" + whole]
    yield "half a frame before it", [whole[:14] + whole]
    yield "half a frame before it, by itself", [whole[:14], whole]
    yield "most of a frame before it, by itself", [whole[:-3], whole]
    yield "a start octet before it", [b"\x05" + whole]
    yield "a start octet before it, by itself", [b"\x05", whole]
    yield "two start octets before it, by themselves", [b"\x05\x64", whole]
    yield "a wrong block, with it inside", [whole[:10] + whole]
    yield "a long header before it", [frame(bytes(200))[:10], whole]
    yield "octet by octet", [whole[n : n + 1] for n in range(len(whole))]
    yield "two in a segment", [frame(request(5, one)) + frame(request(6, commands([7]), 0xC4))]


def main() -> None:
    address, journal, path = sys.argv[1:]
    done = 0

    def ask(port: int, frames: list[bytes]) -> list[bytes]:
        return converse((address, PORT), port, frames, 0.02 if len(frames) > 9 else QUIET_S)

    def changed() -> Places:
        nonlocal done
        lines = Path(journal).read_text().splitlines() if Path(journal).exists() else []
        found: Places = {}
        for line in lines[done:]:
            space, index = line.split()
            found.setdefault(space, []).append(int(index))
        done = len(lines)
        return found

    tell(path, FIRST_PORT, lies(), ask, changed)


if __name__ == "__main__":
    main()
