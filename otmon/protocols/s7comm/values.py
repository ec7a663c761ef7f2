"""Items of read and write variable, fully decoded: addresses, values, return codes."""

import math
import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

from otmon.model import Malformed, Op, Target
from otmon.protocols.s7comm import clock
from otmon.protocols.s7comm.addresses import special_item
from otmon.protocols.s7comm.codes import RETURN_CODES
from otmon.protocols.s7comm.items import DBREAD, S7ANY
from otmon.protocols.s7comm.tables import AREAS, BIT, DATA_IN_BITS, DATA_TRANSPORT, ELEMENT_AREAS, TRANSPORT
from otmon.protocols.s7comm.targets import any_target, area_name, db_target, raw_target
from otmon.text import safe_text

_FORMATS: Final = {
    code: (form, struct.calcsize(">" + form))
    for form, codes in {"H": (4, 9, 12, 28, 29), "h": (5,), "I": (6, 10), "i": (7, 11), "f": (8,)}.items()
    for code in codes
}
"""Transport size of an address -> how one element is stored (big-endian), and in how many bytes."""
_WHOLE: Final = (1, 2, 4)
"""So many bytes written as one item are one number."""

CHAR: Final = 3
REAL: Final = 8
SIGNED: Final = (5, 6)
"""Data transport sizes of signed numbers."""
SUCCESS: Final = 0xFF
CODES_WITH_DATA: Final = (0x00, 0x01, 0xFF)
"""Return codes after which data follow; with others some servers give a length all the same."""

Item = dict[str, Any]


def parse_items(data: bytes, count: int) -> tuple[list[Item], list[Target]]:
    """`count` address items from the start of `data`, and all that they touch. Raises Malformed if one is cut off."""
    items: list[Item] = []
    targets: list[Target] = []
    pos = 0
    for _ in range(count):
        size = data[pos + 1] if pos + 2 < len(data) else 0
        stop = pos + 2 + size
        if not size or stop > len(data):
            raise Malformed("item cut off")
        item, touched = parse_item(data[pos:stop])
        items.append(item)
        targets += touched
        pos = stop + (size & 1)
    return items, targets


@lru_cache(maxsize=4_096)
def _any_item(raw: bytes) -> tuple[Item, Target]:
    """An S7ANY item, which is not to be changed: a plant asks for the same ones again and again."""
    transport, count, block, area = struct.unpack(">BHHB", raw[3:9])
    address = int.from_bytes(raw[9:12], "big")
    target = any_target(area, block, transport, count, address)
    item = {
        "syntax": "s7any",
        "area": AREAS.get(area, area_name(area, block)),
        "area_raw": area,
        "db": block,
        "address": address if area in ELEMENT_AREAS else address >> 3,
        "bit": None if area in ELEMENT_AREAS else address & 7,
        "transport": TRANSPORT[transport][0] if transport in TRANSPORT else None,
        "transport_raw": transport,
        "count": count,
        "length": None if target.start is None or target.end is None else target.end - target.start + 1,
    }
    return item, target


def parse_item(raw: bytes) -> tuple[Item, list[Target]]:
    """One address item, and what it touches."""
    syntax = raw[2]
    if raw[0] == 0x12 and syntax == S7ANY and len(raw) == 12:
        item, target = _any_item(raw)
        return item.copy(), [target]
    body = raw[3:]
    if raw[0] == 0x12 and syntax == DBREAD and len(raw) >= 9 and body[0] * 5 == len(body) - 1:
        areas = [struct.unpack(">BHH", body[i : i + 5]) for i in range(1, len(body), 5)]
        listed = [{"db": block, "address": first, "length": size} for size, block, first in areas]
        return {"syntax": "db_read", "areas": listed}, [db_target(block, first, size) for size, block, first in areas]
    return special_item(raw), [raw_target(syntax, body)]


def parse_data(data: bytes, count: int) -> list[Item]:
    """`count` data items (return code, transport size, length, bytes), or as many as there are; a cut one as it is."""
    return parse_data_at(data, 0, count)[0]


def parse_written(data: bytes, pos: int, last: bool) -> tuple[Item | None, int, int]:
    """What is written as one item: it, where the next begins, and how many bytes a device may take for it.

    The `last` may take all that is left but for a byte of padding. The return code of a request means nothing.
    """
    if pos + 4 > len(data):
        return None, len(data), 0
    transport, size, room = data[pos + 1], int.from_bytes(data[pos + 2 : pos + 4], "big"), len(data) - pos - 4
    if transport in DATA_IN_BITS:
        size = (size + 7) >> 3
    items, end = parse_data_at(bytes((SUCCESS,)) + data[pos + 1 :], 0, 1)
    items[0] |= {"return_code": data[pos], "status": RETURN_CODES.get(data[pos])}
    whole = size > room or (last and room != size + (size & 1))
    return items[0], pos + end, room if whole else size


def parse_data_at(data: bytes, pos: int, count: int) -> tuple[list[Item], int]:
    """`count` data items from `pos` on, or as many as there are, and where they end."""
    items: list[Item] = []
    while len(items) < count and pos < len(data):
        code = data[pos]
        item: Item = {"return_code": code, "status": RETURN_CODES.get(code)}
        items.append(item)
        if pos + 4 > len(data):
            pos = len(data)
            break
        transport, size = data[pos + 1], int.from_bytes(data[pos + 2 : pos + 4], "big")
        if transport in DATA_IN_BITS:
            size = (size + 7) >> 3
        if code not in CODES_WITH_DATA:
            size = 0
        content = data[pos + 4 : pos + 4 + size]
        item["transport"] = DATA_TRANSPORT.get(transport)
        item["transport_raw"] = transport
        item["raw"] = content.hex()
        if len(content) < size:
            item["missing_bytes"] = size - len(content)
        elif 0 < size <= 4 and transport != 7:
            item["value"] = int.from_bytes(content, "big", signed=transport in SIGNED)
        elif size == 4:
            item["value"] = finite(struct.unpack(">f", content)[0])
        pos += 4 + size + (size & 1)
    return items, min(pos, len(data))


def finite(value: float) -> float | None:
    """JSON knows neither NaN nor infinity."""
    return value if math.isfinite(value) else None


def _numbers(item: Item, content: bytes) -> tuple[Sequence[float], int]:
    """The numbers that an S7ANY item holds, and how many addresses each takes; none if the bytes do not fit.

    Bytes and characters are one big-endian number where the item has 1, 2 or 4: many stacks write words like that.
    """
    size = len(content)
    if "area_raw" not in item or size > 4096:
        return (), 1
    transport, count = item["transport_raw"], item["count"]
    if transport == BIT:
        return ((content[0] & 1,) if size == 1 else ()), 1
    if transport in (2, 3) and size == count:
        return ((int.from_bytes(content, "big"),) if size in _WHOLE else ()), size
    form, step = _FORMATS.get(transport, ("", 0))
    if not form or size != step * count:
        return (), 1
    return struct.unpack(f">{count}{form}", content), 1 if item["area_raw"] in ELEMENT_AREAS else step


def element_values(item: Item, content: bytes) -> list[tuple[Target, float]]:
    """Each number that an S7ANY item holds, with where it lies; nothing if its bytes do not fit its address."""
    numbers, step = _numbers(item, content)
    if not numbers:
        return []
    space, first = area_name(item["area_raw"], item["db"]), item["address"]
    return [
        (Target(space, first + i * step, first + (i + 1) * step - 1), number)
        for i, number in enumerate(numbers)
        if math.isfinite(number)
    ]


_AS_TEXT: Final[dict[int, tuple[int, str, Callable[[bytes], Any]]]] = {
    9: (2, "times", lambda raw: clock.date(int.from_bytes(raw, "big"))),
    10: (4, "times", lambda raw: clock.time_of_day(int.from_bytes(raw, "big"))),
    12: (2, "times", lambda raw: clock.s5time(int.from_bytes(raw, "big"))),
    15: (8, "times", clock.date_and_time),
    28: (2, "counts", lambda raw: clock.three_digits(int.from_bytes(raw, "big"))),
    29: (2, "times", lambda raw: clock.s5time(int.from_bytes(raw, "big"))),
}
"""Transport sizes of times and counters: bytes of one element, and how it is shown (S5TIME in milliseconds)."""


def add_values(item: Item, address: Item, content: bytes) -> None:
    """Give `item` the values that its bytes mean at `address`: numbers, times, characters, or areas of a DBREAD."""
    if "areas" in address:
        areas = _areas(address["areas"], content)
        if areas:
            item["areas"] = areas
        return
    numbers, _ = _numbers(address, content)
    transport = address.get("transport_raw")
    if numbers:
        values = [value for value in numbers if math.isfinite(value)] if transport == REAL else list(numbers)
        if values:
            item["values"] = values
    if transport == CHAR and content:
        item["text"] = safe_text(content)
    elif transport in _AS_TEXT and content:
        size, name, shown = _AS_TEXT[transport]
        item[name] = [shown(content[i : i + size]) for i in range(0, len(content) - size + 1, size)]


def _areas(asked: list[Item], content: bytes) -> list[Item]:
    """Each area's return code and, after success, its bytes; nothing if that does not come out even."""
    found: list[Item] = []
    pos = 0
    for area in asked:
        code = content[pos] if pos < len(content) else -1
        size = area["length"] if code == SUCCESS else 0
        data = content[pos + 1 : pos + 1 + size]
        if code < 0 or len(data) < size:
            return []
        found.append(area | {"return_code": code, "status": RETURN_CODES.get(code), "raw": data.hex()})
        if 0 < size <= 4:
            found[-1]["value"] = int.from_bytes(data, "big")
        pos += 1 + size
    return found if pos == len(content) else []


def written_values(code: int, name: str, items: list[Item]) -> list[tuple[Op, float]]:
    """Each (operation, value) of a write request's items, whose content is under `written`."""
    return [
        (Op(code, name, "write", None, target), value)
        for item in items
        for target, value in element_values(item, bytes.fromhex(item.get("written", {}).get("raw", "")))
    ]
