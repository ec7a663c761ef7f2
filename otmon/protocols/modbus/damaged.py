"""Writes whose length contradicts their function: a forgiving device may carry them out, so they are judged.

They are judged by what they claim to write, as far as that stands in them; else by all of the address space. Which
values a device would take from them nobody knows: they count as the lowest and the highest there is.
"""

import struct
from typing import Any, Final

from otmon.model import Target
from otmon.protocols.modbus.layout import frozen
from otmon.protocols.modbus.tables import FUNCTIONS, SPACES, span
from otmon.wire.contract import OUT_VMAX, OUT_VMIN, OUT_WORDS
from otmon.wire.loads import be16, be32, jit

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
        out[n] = be32(buf, at)
        n += 1
        if code == 23:
            out[n] = be32(buf, at + 4)
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
            fields = struct.unpack_from(layout, data)
            found = [span(space, fields[at], fields[at + 1]) for at in range(0, len(fields), 2)]
    return found or [Target(space)] * (2 if code == 23 else 1)
