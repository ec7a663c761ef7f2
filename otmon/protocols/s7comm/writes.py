"""Write jobs, sound or not: every item whose address can be read is judged, at least as wide as its bytes.

Servers differ in what they go by: Snap7 by the number of items and their addresses, its successor in Python (3.3) by
the first address and all bytes behind it; neither looks at what leads an item. So no number is believed: all items that
stand in the parameter count, and what cannot be read may be anything.
"""

from typing import Any, Final

from otmon.limits import MAX_KEY_WORDS
from otmon.model import UNPARSED, Target
from otmon.protocols.s7comm.items import ANYTHING, DBREAD, S7ANY, put_items, table
from otmon.protocols.s7comm.tables import BIT, DATA_IN_BITS, ELEMENT_AREAS, TRANSPORT
from otmon.protocols.s7comm.values import Item, add_values, parse_item, parse_written
from otmon.wire.contract import OUT_WORDS
from otmon.wire.loads import be16, jit, u8
from otmon.wire.slots import put

MOST_ITEMS: Final = 255
"""Their number is a byte."""
_HEAD: Final = 4
"""Bytes before the content of a data item."""
_WIDTHS = table(256, 0, {code: size for code, (_, size) in TRANSPORT.items()})
_IN_BITS = table(256, 0, dict.fromkeys(DATA_IN_BITS, 1))
_ELEMENTS = table(256, 0, dict.fromkeys(ELEMENT_AREAS, 1))
_ELEMENT_BYTES: Final = 2
"""Of a counter or timer."""


@jit
def _readable(buf: Any, pos: int, end: int) -> bool:
    """Whether a whole item stands at `pos`."""
    return end - pos >= 3 and u8(buf, pos + 1) >= 1 and pos + 2 + u8(buf, pos + 1) <= end


@jit
def _wider(word: int, address: int, size: int) -> int:
    """By how many places (bytes; elements of counters and timers) `size` bytes reach beyond an S7ANY item."""
    count, kind = max(word >> 32 & 0xFFFF, 1), word >> 48 & 0xFF
    if _ELEMENTS[word >> 8 & 0xFF]:
        return max(size // _ELEMENT_BYTES - count, 0)
    if kind == BIT:
        return max(size - (((address & 7) + count + 7) >> 3), 0)
    return max(size - count * _WIDTHS[kind], 0) if _WIDTHS[kind] else 0


@jit
def put_writes(buf: Any, pos: int, end: int, stop: int, count: int, out: Any, n: int) -> int:
    """The items buf[pos:end] and how far the bytes buf[end:stop] reach; new number of words.

    Negative, if other than `count` items stand there.
    """
    left, data = MOST_ITEMS, end
    while left > 0 and _readable(buf, pos, end):
        left -= 1
        count -= 1
        at = n
        behind = pos + 2 + u8(buf, pos + 1)
        n = put_items(buf, pos, behind, 1, out, n)
        pos = min(behind + (u8(buf, pos + 1) & 1), end)
        if stop - data < _HEAD:
            continue
        size = be16(buf, data + 2)
        if _IN_BITS[u8(buf, data + 1)]:
            size = (size + 7) >> 3
        room = stop - data - _HEAD
        padded = size + (size & 1)
        data += _HEAD + padded
        if size > room or (room != padded and not _readable(buf, pos, end)):
            size = room
        if at < MAX_KEY_WORDS and n - at == 2 and out[OUT_WORDS + at] & 0xFF == S7ANY:
            out[OUT_WORDS + at + 1] |= _wider(out[OUT_WORDS + at], out[OUT_WORDS + at + 1], size) << 24
        elif at < n <= MAX_KEY_WORDS and out[OUT_WORDS + at] & 0xFF == DBREAD:
            for i in range(at, n):
                size -= out[OUT_WORDS + i] >> 8 & 0xFF
            out[OUT_WORDS + n - 1] |= max(size, 0) << 48
    if count > 0 or pos < end:
        return -put(out, n, ANYTHING)
    return -n if count < 0 else n


def read_writes(param: bytes, content: bytes, count: int) -> tuple[list[Item], list[Target], set[str]]:
    """The same in full: items with what is `written`, all that they touch, and flags (`malformed` among them)."""
    items: list[Item] = []
    targets: list[list[Target]] = []
    pos = 0
    while len(items) < MOST_ITEMS and len(param) - pos >= 3 and 1 <= (size := param[pos + 1]) <= len(param) - pos - 2:
        item, places = parse_item(param[pos : pos + 2 + size])
        items.append(item)
        targets.append(places)
        pos = min(pos + 2 + size + (size & 1), len(param))
    flags = set()
    at = 0
    for number, (item, touched) in enumerate(zip(items, targets, strict=True), 1):
        data, at, size = parse_written(content, at, number == len(items))
        if data is None:
            flags.add("data_truncated")
            continue
        item["written"] = data
        add_values(data, item, bytes.fromhex(data["raw"]))
        if "missing_bytes" in data:
            flags.add("data_truncated")
        if _widened(item, touched, size):
            flags.add("data_longer_than_address")
    if len(items) != count or pos < len(param):
        flags.add("malformed")
    everything = [target for touched in targets for target in touched]
    return items, everything + [UNPARSED] * (len(items) < count or pos < len(param)), flags


def _widened(item: Item, touched: list[Target], size: int) -> bool:
    """Let the last target of an item reach as far as `size` bytes written; whether it did not."""
    target = touched[-1]
    if target.start is None or target.end is None:
        return False
    each = _ELEMENT_BYTES if item.get("area_raw") in ELEMENT_AREAS else 1
    if "areas" in item:
        wider = size - sum(area["length"] for area in item["areas"])
    else:
        wider = size // each - (target.end - target.start + 1)
    if wider > 0:
        touched[-1] = target._replace(end=target.end + wider)
    return wider > 0
