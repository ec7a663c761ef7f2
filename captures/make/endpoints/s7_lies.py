"""Writes by S7 that contradict themselves, and what each did to a server. Usage: s7_lies.py ADDRESS FILE

Each goes over a connection of its own (a port of its own), set up as usual; before and after it another connection
reads DB1 and the flags. FILE: of each that was obeyed its name, the client's port, what was sent and answered, and
what was changed.
"""

import struct
import sys
import time
from collections.abc import Callable, Iterator

from obeyed import changes, converse, each, tell

PORT = 102
SIZE = 200
QUIET_S = 0.25
FIRST_PORT = 23000
SESSION = (
    bytes.fromhex("0300001611e00000000100c0010ac1020100c2020102"),
    bytes.fromhex("0300001902f08032010000000100080000f0000001000101e0"),
)
SPACES = (("DB1", 0x84, 1), ("M", 0x83, 0))


def tpkt(data: bytes, size: int | None = None, head: bytes = b"\x03\0", cotp: bytes = b"\x02\xf0\x80") -> bytes:
    body = cotp + data
    return head + struct.pack(">H", len(body) + 4 if size is None else size) + body


def job(
    param: bytes, data: bytes = b"", param_bytes: int = 0, data_bytes: int = 0, head: bytes = b"\x32\1\0\0"
) -> bytes:
    """`param_bytes`, `data_bytes`: by how much these lengths are wrong."""
    return head + struct.pack(">HHH", 9, len(param) + param_bytes, len(data) + data_bytes) + param + data


def item(
    at: int, count: int, transport: int = 2, area: int = 0x84, db: int = 1, head: bytes = b"\x12\x0a\x10"
) -> bytes:
    """Bit address `8 * at`."""
    return head + struct.pack(">BHHB", transport, count, db, area) + (8 * at).to_bytes(3, "big")


def data(values: bytes, transport: int = 4, length: int | None = None, code: int = 0) -> bytes:
    size = 8 * len(values) if transport in (4, 5) else len(values)
    return struct.pack(">BBH", code, transport, size if length is None else length) + values


def write(items: bytes, values: bytes, count: int = 1) -> bytes:
    return job(bytes((5, count)) + items, values)


def lies(v: int) -> Iterator[tuple[str, list[bytes]]]:
    """Each by its name, and the segments that it comes in; `v`: a byte that is nowhere yet."""
    one, four = bytes([v]), bytes([v] * 4)
    sound = write(item(3, 1), data(one))
    yield "sound", [tpkt(sound)]
    yield "sound, of four bytes", [tpkt(write(item(4, 4), data(four)))]
    for n in (2, 4, 40, 180):
        yield f"{n} bytes at an address of one", [tpkt(write(item(10, 1), data(bytes([v] * n))))]
    for n in (1, 2, 3):
        yield f"{n} bytes at an address of four", [tpkt(write(item(10, 4), data(bytes([v] * n))))]
    yield "count 0", [tpkt(write(item(12, 0), data(four)))]
    yield "count 0, no bytes", [tpkt(write(item(12, 0), data(b"")))]
    for transport in (1, 3, 4, 5, 6, 7, 8, 9, 28, 29, 0, 10, 0x30, 0xFF):
        yield f"address of transport size {transport}", [tpkt(write(item(16, 1, transport), data(four)))]
        yield f"address of four of transport size {transport}", [tpkt(write(item(16, 4, transport), data(four)))]
    for transport in (0, 1, 2, 3, 5, 6, 7, 8, 9, 0x30, 0xFF):
        yield f"bytes of transport size {transport}", [tpkt(write(item(20, 4), data(four, transport)))]
        yield f"bytes of transport size {transport}, length 32", [tpkt(write(item(20, 4), data(four, transport, 32)))]
        yield f"bytes of transport size {transport}, length 4", [tpkt(write(item(20, 4), data(four, transport, 4)))]
    for length in (0, 1, 8, 31, 33, 40, 320, 0xFFFF):
        yield f"length {length} of 32 bits", [tpkt(write(item(24, 4), data(four, 4, length)))]
        yield f"length {length} of 32 bits, one address", [tpkt(write(item(24, 1), data(four, 4, length)))]
    for code in (1, 5, 10, 0xFF):
        yield f"return code {code}", [tpkt(write(item(28, 4), data(four, 4, None, code)))]
    two = item(30, 1) + item(32, 1)
    both = data(one) + b"\0" + data(one)
    yield "two items", [tpkt(write(two, both, 2))]
    yield "two items without padding", [tpkt(write(two, data(one) + data(one), 2))]
    yield "number of items 1 of 2", [tpkt(write(two, both, 1))]
    yield "number of items 2 of 1", [tpkt(write(item(30, 1), both, 2))]
    yield "number of items 3 of 2", [tpkt(write(two, both, 3))]
    yield "number of items 0 of 1", [tpkt(write(item(30, 1), data(one), 0))]
    yield "number of items 255 of 1", [tpkt(write(item(30, 1), data(one), 255))]
    yield (
        "number of items 21 of 21",
        [tpkt(write(b"".join(item(40 + n, 1) for n in range(21)), (data(one) + b"\0") * 21, 21))],
    )
    yield "two items, bytes of one", [tpkt(write(two, data(one), 2))]
    yield "one item, bytes of two", [tpkt(write(item(30, 1), both, 1))]
    yield "the first one's bytes too many", [tpkt(write(two, data(four) + data(one), 2))]
    yield "the second one outside", [tpkt(write(item(30, 1) + item(5000, 1), both, 2))]
    for head in (b"\x12\x0b\x10", b"\x12\x09\x10", b"\x12\0\x10", b"\x13\x0a\x10", b"\0\x0a\x10", b"\x12\x0a\x11",
                 b"\x12\x0a\xb2", b"\x12\x0a\0", b"\x12\x0a\xff", b"\x12\xff\x10"):  # fmt: skip
        yield f"item begins with {head.hex()}", [tpkt(write(item(64, 1, head=head), data(one)))]
    yield "item of eleven bytes", [tpkt(write(item(64, 1, head=b"\x12\x0b\x10") + b"\0", data(one)))]
    yield "DBREAD item", [tpkt(write(b"\x12\x07\xb0\x01" + struct.pack(">BHH", 1, 1, 66), data(one)))]
    for extra in (-12, -1, 1, 2, 5, 100, 30000):
        yield f"parameter's length {extra:+}", [tpkt(job(b"\5\1" + item(70, 1), data(one), extra))]
    for extra in (-5, -4, -1, 1, 2, 100, 30000):
        yield f"data's length {extra:+}", [tpkt(job(b"\5\1" + item(72, 1), data(one), 0, extra))]
    yield "both lengths wrong, sum right", [tpkt(job(b"\5\1" + item(74, 1), data(one), 2, -2))]
    yield "without data", [tpkt(job(b"\5\1" + item(76, 1)))]
    yield "bytes behind it", [tpkt(sound + bytes(9))]
    yield "another job behind it", [tpkt(sound + write(item(78, 1), data(one)))]
    for head in (b"\x32\1\x12\x34", b"\x32\2\0\0", b"\x32\3\0\0", b"\x32\7\0\0", b"\x32\0\0\0", b"\x32\x81\0\0",
                 b"\x31\1\0\0", b"\0\1\0\0", b"\x72\1\0\0"):  # fmt: skip
        yield f"header {head.hex()}", [tpkt(job(b"\5\1" + item(80, 1), data(one), head=head))]
    for head in (b"\0\0", b"\2\0", b"\4\0", b"\3\1", b"\3\xff", b"\xff\xff"):
        yield f"TPKT {head.hex()}", [tpkt(write(item(82, 1), data(one)), head=head)]
    exact = len(tpkt(write(item(84, 1), data(one))))
    for size in (0, 4, 7, 8, exact - 2, exact - 1, exact + 1, exact + 2, exact + 9, 4000, 40000, 65535):
        yield f"TPKT length {size} of {exact}", [tpkt(write(item(84, 1), data(one)), size)]
    for cotp in ("02f000", "02f081", "02f180", "02ff80", "03f08000", "04f0800000", "01f080", "028080", "020080",
                 "02e080", "021080", "00f080", "fff080"):  # fmt: skip
        yield f"COTP {cotp}", [tpkt(write(item(86, 1), data(one)), cotp=bytes.fromhex(cotp))]
    halves = write(item(88, 1), data(one))
    for n in (1, 10, 20, len(halves) - 1):
        parts = [tpkt(halves[:n], cotp=b"\2\xf0\0"), tpkt(halves[n:])]
        yield f"in two TPDUs, {n} bytes in the first", [b"".join(parts)]
    yield "two in a segment", [tpkt(write(item(90, 1), data(one))) + tpkt(write(item(91, 1), data(one)))]
    yield "rubbish before it", [b"\xde\xad\xbe\xef" + tpkt(write(item(92, 1), data(one)))]
    yield "a TPKT of nothing before it", [b"\3\0\0\4" + tpkt(write(item(94, 1), data(one)))]
    yield "a TPKT of seven bytes before it", [b"\3\0\0\7\2\xf0\x80" + tpkt(write(item(96, 1), data(one)))]
    yield "a bit", [tpkt(write(item(98, 1, 1), data(b"\1", 3, 1)))]
    yield "eight bits", [tpkt(write(item(100, 8, 1), data(b"\xff", 3, 8)))]
    yield "sixteen bits of bytes", [tpkt(write(item(102, 16, 1), data(bytes([v] * 16), 3, 16)))]
    yield "a bit, four bytes", [tpkt(write(item(104, 1, 1), data(four, 9)))]
    yield "words", [tpkt(write(item(106, 2, 4), data(four)))]
    yield "a word at a bit", [tpkt(write(item(110, 1, 4)[:-1] + b"\x73", data(four[:2])))]
    yield "DB 0", [tpkt(write(item(112, 1, db=0), data(one)))]
    yield "flags with a DB number", [tpkt(write(item(112, 1, area=0x83, db=7), data(one)))]
    yield "instance data block", [tpkt(write(item(114, 1, area=0x85), data(one)))]
    yield "area 0", [tpkt(write(item(116, 1, area=0), data(one)))]
    yield "at the end of the block", [tpkt(write(item(SIZE - 2, 4), data(four)))]
    yield "the address's last byte and on", [tpkt(write(item(0x1FFFFF, 4), data(four)))]


def memory(ask: Callable[[int, list[bytes]], list[bytes]]) -> dict[str, list[int]]:
    """All bytes of both."""
    told = {}
    for space, area, db in SPACES:
        for _ in range(50):
            answer = ask(0, [*SESSION, tpkt(job(b"\4\1" + item(0, SIZE, area=area, db=db)))])[-1]
            if len(answer) == 25 + SIZE:
                told[space] = list(answer[25:])
                break
            time.sleep(0.1)
        else:
            raise TimeoutError("the server is gone")
    return told


def main() -> None:
    address, path = sys.argv[1:]

    def ask(port: int, segments: list[bytes]) -> list[bytes]:
        return converse((address, PORT), port, segments, QUIET_S, setup=SESSION)

    told = ((name, [*SESSION, *segments]) for name, segments in each(lies, lambda number: 1 + number % 250))
    tell(path, FIRST_PORT, told, ask, changes(lambda: memory(ask)))


if __name__ == "__main__":
    main()
