"""Writes by Modbus that contradict themselves, and what each did to a server. Usage: ... ADDRESS tcp|udp FILE

Each goes over a connection of its own (a port of its own); before and after it another connection reads all registers
and coils. FILE: of each that was obeyed its name, the client's port, what was sent and answered, and what was
changed.
"""

import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator

from obeyed import changes, converse, each, tell

PORT = 502
REGISTERS, COILS = 120, 120
QUIET_S = 0.25
FIRST_PORT = 22000


def adu(pdu: bytes, length: int | None = None, protocol: int = 0, unit: int = 1) -> bytes:
    return struct.pack(">HHHB", 7, protocol, len(pdu) + 1 if length is None else length, unit) + pdu


def single(address: int, value: int) -> bytes:
    return struct.pack(">BHH", 6, address, value)


def several(address: int, values: list[int], quantity: int | None = None, size: int | None = None) -> bytes:
    count = len(values) if quantity is None else quantity
    bytes_ = 2 * len(values) if size is None else size
    return struct.pack(f">BHHB{len(values)}H", 16, address, count, bytes_ & 255, *values)


def coils(address: int, data: bytes, quantity: int, size: int | None = None) -> bytes:
    return struct.pack(">BHHB", 15, address, quantity, len(data) if size is None else size) + data


def both(address: int, values: list[int], quantity: int, size: int) -> bytes:
    return struct.pack(f">BHHHHB{len(values)}H", 23, 0, 2, address, quantity, size, *values)


def lies(v: int) -> Iterator[tuple[str, list[bytes]]]:
    """Each by its name, and the segments that it comes in; `v`: a value that is nowhere yet."""
    one, read = single(3, v), struct.pack(">BHH", 3, 0, 2)
    yield "sound", [adu(one)]
    for length in (0, 1, 2, 3, 4, 5):
        yield f"length {length} of 6", [adu(one, length)]
    for length in (7, 8, 12, 18, 254, 255, 260, 0xFF, 0x100, 0x400, 0x5F5, 0x600, 0x7FFF, 0xFFFF):
        yield f"length {length} of 6, nothing follows", [adu(one, length)]
    for extra in (1, 2, 6, 40, 248, 249, 260, 300, 1000, 1518):
        yield f"{extra} bytes behind it in its length", [adu(one + bytes(extra))]
    yield "another write in its length", [adu(one + adu(single(5, v)))]
    yield "a write in the length of a read", [adu(read + adu(single(5, v)))]
    yield "a write in the length of a read, in two segments", [adu(read, 18), adu(single(5, v))]
    yield "a write in the length of a diagnosis", [adu(b"\x08\0\0\x12\x34" + adu(single(5, v)))]
    yield "a write in the length of an exception", [adu(b"\x83\2" + adu(single(5, v)))]
    yield "a write in the length of an unknown function", [adu(b"\x64" + adu(single(5, v)))]
    yield "a write in the length of UMAS", [adu(b"\x5a\0\2" + adu(single(5, v)))]
    for protocol in (1, 0x100, 0xFFFF):
        yield f"protocol {protocol}", [adu(one, None, protocol)]
    for unit in (0, 2, 255):
        yield f"unit {unit}", [adu(one, None, 0, unit)]
    yield "exception bit", [adu(b"\x86" + one[1:])]
    yield "cut in its value", [adu(one[:-1])]
    yield "cut in its address", [adu(one[:2])]
    yield "the header alone, then the rest", [adu(one)[:7], one]
    two = [v, v + 1]
    yield "16: sound", [adu(several(10, two))]
    yield "16: quantity 1 of 2", [adu(several(10, two, 1))]
    yield "16: quantity 3 of 2", [adu(several(10, two, 3))]
    yield "16: quantity 0", [adu(several(10, two, 0))]
    yield "16: byte count 2 of 4", [adu(several(10, two, None, 2))]
    yield "16: byte count 6 of 4", [adu(several(10, two, None, 6))]
    yield "16: byte count 0", [adu(several(10, two, None, 0))]
    yield "16: byte count 3", [adu(several(10, two, None, 3))]
    yield "16: quantity 1, byte count 2, 4 bytes", [adu(several(10, two, 1, 2))]
    yield "16: quantity 1, byte count 2, length of that, 4 bytes", [adu(several(10, two, 1, 2), 9)]
    yield "16: length 7", [adu(several(10, two), 7)]
    yield "16: length 15, nothing follows", [adu(several(10, two), 15)]
    yield "16: at the end", [adu(several(65535, two))]
    yield "16: 123 registers of 200", [adu(several(60, [v] * 60))]
    yield "16: 124 registers", [adu(several(0, [v] * 110 + [0] * 14))]
    yield "16: 130 registers", [adu(several(0, [v] * 110 + [0] * 20))]
    yield "15: sound", [adu(coils(8, b"\xff", 8))]
    yield "15: quantity 4 of 8", [adu(coils(16, b"\xff", 4))]
    yield "15: quantity 12 of 8", [adu(coils(24, b"\xff", 12))]
    yield "15: byte count 2 of 1", [adu(coils(40, b"\xff", 8, 2))]
    yield "15: byte count 1 of 2", [adu(coils(48, b"\xff\xff", 16, 1))]
    yield "15: quantity 0", [adu(coils(64, b"\xff", 0))]
    yield "5: value 1", [adu(struct.pack(">BHH", 5, 70, 1))]
    yield "5: value 0xFFFF", [adu(struct.pack(">BHH", 5, 71, 0xFFFF))]
    yield "5: cut in its value", [adu(struct.pack(">BHB", 5, 72, 0xFF))]
    yield "22: sound", [adu(struct.pack(">BHHH", 22, 20, 0, v))]
    yield "22: cut in its mask", [adu(struct.pack(">BHHB", 22, 20, 0, 0xFF))]
    yield "22: bytes behind it", [adu(struct.pack(">BHHHH", 22, 20, 0, v, 0))]
    yield "23: sound", [adu(both(30, two, 2, 4))]
    yield "23: quantity 1 of 2", [adu(both(30, two, 1, 4))]
    yield "23: quantity 3 of 2", [adu(both(30, two, 3, 4))]
    yield "23: byte count 2 of 4", [adu(both(30, two, 2, 2))]
    yield "23: byte count 6 of 4", [adu(both(30, two, 2, 6))]
    yield "two in a segment", [adu(single(40, v)) + adu(single(41, v))]
    yield "rubbish before it", [b"\xde\xad\xbe\xef" + adu(one)]
    yield "twelve bytes of rubbish before it", [b"\xde\xad\xbe\xef" * 3 + adu(one)]
    yield "a cut header before it", [adu(one)[:5], adu(one)]
    yield "a bad length, then it", [adu(one, 0), adu(one)]


def memory(ask: Callable[[int, list[bytes]], list[bytes]]) -> dict[str, list[int]]:
    """All registers and coils."""
    for _ in range(50):
        registers = ask(0, [adu(struct.pack(">BHH", 3, 0, REGISTERS))])[0]
        bits = ask(0, [adu(struct.pack(">BHH", 1, 0, COILS))])[0]
        if len(registers) == 9 + 2 * REGISTERS and len(bits) == 9 + COILS // 8:
            flat = int.from_bytes(bits[9:], "little")
            return {
                "holding_register": list(struct.unpack(f">{REGISTERS}H", registers[9:])),
                "coil": [flat >> n & 1 for n in range(COILS)],
            }
        time.sleep(0.1)
    raise TimeoutError("the server is gone")


def main() -> None:
    address, transport, path = sys.argv[1:]
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM

    def ask(port: int, segments: list[bytes]) -> list[bytes]:
        return converse((address, PORT), port, segments, QUIET_S, kind)

    tell(path, FIRST_PORT, each(lies, lambda number: 20000 + 2 * number), ask, changes(lambda: memory(ask)))


if __name__ == "__main__":
    main()
