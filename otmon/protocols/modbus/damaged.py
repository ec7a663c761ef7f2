"""Writes that contradict themselves: a forgiving device may carry them out, so they are judged.

Of one whose quantity and bytes differ nobody knows which a device goes by: it reaches as far as either.

Those whose length contradicts their function are judged by what they claim to write, as far as that stands in them;
else by all of the address space. Which values a device would take from them nobody knows: they count as the lowest and
the highest there is.
"""

import struct
from typing import Any, Final

from otmon.model import Target
from otmon.protocols.modbus.layout import frozen
from otmon.protocols.modbus.tables import FUNCTIONS, SPACES, span
from otmon.wire.contract import OUT_VMAX, OUT_VMIN, OUT_WORDS
from otmon.wire.loads import be16, be32, jit, u8

FILE_SPACE: Final = "file_record"
ANYWHERE: Final = 1 << 48
"""Word of a key in place of a range that cannot be read; no range and no file record is that large."""
VALUES: Final = (0, 0xFFFF)
_LOW, _HIGH = VALUES
_SINGLE: Final = (5, 6, 22)
"""An address alone stands in front."""
_SUB_REQUEST = 7
WRITES: Final = tuple(code for code, function in FUNCTIONS.items() if function.access == "write")
_WRITES = frozen([int(code in WRITES) for code in range(256)])


@jit
def writes(code: int) -> bool:
    """Whether a request with this function code, as it is on the wire, writes."""
    return _WRITES[code] != 0


@jit
def reached(word: int, size: int, code: int) -> int:
    """address << 16 | quantity of a write by 15, 16 or 23, the quantity no less than `size` bytes of values hold."""
    quantity = word & 0xFFFF
    if code != 15:
        return word + max((size >> 1) - quantity, 0)
    return word + 8 * size - quantity if size > (quantity + 7) >> 3 else word


def reach(quantity: int, size: int, code: int) -> int:
    """The quantity of `reached`."""
    if code != 15:
        return max(quantity, size // 2)
    return 8 * size if size > (quantity + 7) // 8 else quantity


@jit
def claimed(buf: Any, start: int, end: int, code: int, out: Any) -> int:
    """The words behind the first of a damaged write's key, and its bounds; the number of all words."""
    out[OUT_VMIN], out[OUT_VMAX] = _LOW, _HIGH
    n, at = OUT_WORDS + 1, start + 8
    if code == 21:
        at += 1
        while at + _SUB_REQUEST <= end:
            length = be16(buf, at + 5)
            out[n] = be32(buf, at + 1) << 16 | length
            n += 1
            at += _SUB_REQUEST + 2 * length
    elif code == 5 or code == 6 or code == 22:
        if at + 2 <= end:
            out[n] = be16(buf, at) << 16 | 1
            n += 1
    elif at + (8 if code == 23 else 4) <= end:
        if code == 23:
            out[n] = be32(buf, at)
            n += 1
            at += 4
        size = end - at - 5
        if size >= 0:
            size = max(size, u8(buf, at + 4))
        out[n] = reached(be32(buf, at), max(size, 0), code)
        n += 1
    if n == OUT_WORDS + 1:
        out[n] = ANYWHERE
        n += 1
    return n - OUT_WORDS


def target(code: int, word: int) -> Target:
    """What one word of a key behind the first says."""
    if code in (20, 21):
        space, name = FILE_SPACE, str(word >> 32)
    else:
        space, name = SPACES.get(code, "address"), None
    return Target(space) if word == ANYWHERE else span(space, word >> 16 & 0xFFFF, word & 0xFFFF, name)


def claims(code: int, data: bytes) -> list[Target]:
    """What a damaged write claims to touch, from the data behind its function code; of 23 the range read is first."""
    found: list[Target] = []
    if code == 21:
        data = data[1:]
        while len(data) >= _SUB_REQUEST:
            _, file, record, length = struct.unpack_from(">BHHH", data)
            found.append(span(FILE_SPACE, record, length, str(file)))
            data = data[_SUB_REQUEST + 2 * length :]
        return found or [Target(FILE_SPACE)]
    space = SPACES[code]
    if code in _SINGLE:
        found = [span(space, int.from_bytes(data[:2], "big"), 1)] if len(data) >= 2 else []
    else:
        layout = ">HHHH" if code == 23 else ">HH"
        if len(data) >= struct.calcsize(layout):
            *read, address, quantity = struct.unpack_from(layout, data)
            behind = data[struct.calcsize(layout) :]
            size = max(len(behind) - 1, *behind[:1], 0)
            found = [span(space, *read)] if read else []
            found.append(span(space, address, reach(quantity, size, code)))
    return found or [Target(space)] * (2 if code == 23 else 1)
