"""Function 90, Schneider's UMAS: a reservation key, a UMAS code, data in little-endian order.

The protocol was never published. Layouts here are those that public research agrees on (the blog "Liras en la red",
parts I to VI; Apache PLC4X's `umas.mspec`) and that hold on captures of Unity with a Quantum. Data that do not fit a
layout stay as hexadecimal `data`, which every message has: a guess is no reason to call a PDU malformed.
"""

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from otmon.protocols.modbus.draft import Draft, need
from otmon.protocols.modbus.tables import UMAS, UMAS_ERROR, UMAS_FUNCTIONS, UMAS_OK, function_of
from otmon.text import safe_text

Fields = dict[str, Any]
_TO_PLC, _FROM_PLC = "to_plc", "from_plc"
_REPEAT: Final = 0x0A
_VARIABLE_BYTES: Final = {1: 1, 2: 2, 3: 4}
"""Size index of a variable -> bytes."""
_SPACES: Final = {2: ("coil", 1), 3: ("holding_register", 2)}
"""Kind of place in 0x24 (%M, %MW) -> address space, bytes of one value."""
_DATED = struct.Struct("<BBBBBBH")
"""Weekday, second, minute, hour, day, month, year."""


class _Unlike(Exception):
    """The data do not fit the layout."""


def request(draft: Draft) -> None:
    """A request: which function, by which reservation, and its data as far as the layout is known."""
    need(len(draft.data) >= 2, "no UMAS code")
    key, draft.sub = draft.data[:2]
    need(draft.sub < UMAS_ERROR, "a status where a request has its UMAS code")
    draft.flag("sub_function_reserved", draft.sub not in UMAS_FUNCTIONS)
    draft.body.update(reservation=key, umas_code=draft.sub, umas=function_of(UMAS, draft.sub).name)
    _fill(draft, REQUESTS.get(draft.sub), draft.data[2:])


def response(draft: Draft) -> None:
    """A response; what it means only its request tells."""
    need(len(draft.data) >= 2, "no status")
    key, status = draft.data[:2]
    draft.body.update(reservation=key, status=status)
    draft.body.update({name: draft.asked[name] for name in ("umas_code", "umas") if name in draft.asked})
    draft.flag("status_unknown", status not in (UMAS_OK, UMAS_ERROR))
    draft.flag("umas_error", status == UMAS_ERROR)
    repeated = status == UMAS_OK and draft.asked.get("umas_code") == _REPEAT
    draft.flag("echo_mismatch", repeated and draft.asked["data"] != draft.data[2:].hex())
    code = draft.body.get("umas_code", -1)
    layout = RESPONSES.get(code) if status == UMAS_OK else None
    if status == UMAS_OK and code in ANSWERS:
        layout = partial(ANSWERS[code], draft.asked)
    _fill(draft, layout, draft.data[2:])


def _fill(draft: Draft, layout: Callable[[bytes], Fields] | None, data: bytes) -> None:
    draft.body["data"] = data.hex()
    draft.body.update(_read(layout, data))


def _read(layout: Callable[[bytes], Fields] | None, data: bytes) -> Fields:
    try:
        return layout(data) if layout else {}
    except (_Unlike, struct.error):
        return {}


# --- layouts -------------------------------------------------------------------------------------------------------
def _plain(layout: str, *names: str, **also: Any) -> Callable[[bytes], Fields]:
    """Numbers one after another, and nothing behind them."""

    def read(data: bytes) -> Fields:
        return {**dict(zip(names, struct.unpack("<" + layout, data), strict=True)), **also}

    return read


def _text(data: bytes, at: int) -> tuple[str, int]:
    """(text behind a count byte at `at`, place behind it); zeros at its end are padding."""
    if at >= len(data) or at + 1 + data[at] > len(data):
        raise _Unlike
    end = at + 1 + data[at]
    return safe_text(data[at + 1 : end].rstrip(b"\0")), end


def _version(number: int) -> str:
    """0x0270 is version 2.70."""
    return f"{number >> 8:x}.{number & 0xFF:02x}"


def _reserve(data: bytes) -> Fields:
    owner, _ = _text(data, 4)
    return {"client_id": int.from_bytes(data[:4], "little"), "owner": owner}


def _block(data: bytes) -> Fields:
    number, length = struct.unpack_from("<2xHH", data)
    if len(data) - 6 != length:
        raise _Unlike
    return {"block": number, "length": length, "direction": _TO_PLC}


def _block_answer(data: bytes) -> Fields:
    last, length = struct.unpack_from("<BxH", data)
    if len(data) - 4 != length:
        raise _Unlike
    return {"last": bool(last), "length": length, "direction": _FROM_PLC}


def _memory(data: bytes) -> Fields:
    space, length = struct.unpack_from("<BH", data)
    if len(data) - 3 != length:
        raise _Unlike
    return {"range": space, "length": length, "memory": data[3:].hex()}


def _variables(data: bytes, writing: bool) -> Fields:
    crc, count = struct.unpack_from("<IB", data)
    at, found = 5, []
    for _ in range(count):
        kind = data[at] if at < len(data) else 0
        size = _VARIABLE_BYTES.get(kind & 15)
        if size is None:
            raise _Unlike
        if writing:
            block, base, offset = struct.unpack_from("<HHH", data, at + 1)
        else:
            block, base, offset = struct.unpack_from("<HxHB", data, at + 1)
        at += 7
        item: Fields = {"bytes": size, "block": block, "base_offset": base, "offset": offset}
        if kind >> 4:
            (item["elements"],) = struct.unpack_from("<H", data, at)
            at += 2
        if writing:
            length = size * item.get("elements", 1)
            if at + length > len(data):
                raise _Unlike
            item["value"] = data[at : at + length].hex()
            at += length
        found.append(item)
    if at != len(data):
        raise _Unlike
    return {"project_crc": f"{crc:08x}", "variables": found}


def _places(data: bytes) -> Fields:
    """Of 0x24: how many, then each place's kind, address and number of elements."""
    count = data[0] if data else 0
    if not count or len(data) != 1 + 6 * count:
        raise _Unlike
    places = []
    for kind, space, address, quantity in struct.iter_unpack("<BBHH", data[1:]):
        if kind != 2 or space not in _SPACES:
            raise _Unlike
        places.append({"space": _SPACES[space][0], "address": address, "quantity": quantity})
    return {"places": places}


def _place_values(asked: Fields, data: bytes) -> Fields:
    """The answer to 0x24: how many, then for each place two zeros and its value, as far as each was one element."""
    places = asked.get("places", ())
    if not data or data[0] != len(places) or any(place["quantity"] != 1 for place in places):
        raise _Unlike
    sizes = dict(_SPACES.values())
    at, values = 1, []
    for place in places:
        size = sizes[place["space"]]
        if data[at : at + 2] != b"\0\0" or at + 2 + size > len(data):
            raise _Unlike
        values.append(int.from_bytes(data[at + 2 : at + 2 + size], "little"))
        at += 2 + size
    if at != len(data):
        raise _Unlike
    return {"values": values}


def _init(data: bytes) -> Fields:
    size, version, _, code = struct.unpack_from("<HHII", data)
    name, _ = _text(data, 12)
    return {"max_frame": size, "version": _version(version), "internal_code": code, "host_name": name}


def _id(data: bytes) -> Fields:
    space, ident, model, firmware, patch, internal, hardware, crash = struct.unpack_from("<HIHHHHHI", data)
    name, at = _text(data, 22)
    banks = [
        {"type": kind, "folio": folio, "status": status, "length": length}
        for kind, folio, status, length in struct.iter_unpack("<BBHI", data[at + 1 :])
    ]
    return {
        "range": space, "ident": f"{ident:08x}", "model": model, "firmware": _version(firmware), "patch": patch,
        "internal_version": _version(internal), "hardware": _version(hardware), "crash_code": crash, "name": name,
        "memory_banks": banks,
    }  # fmt: skip


def _date(data: bytes, at: int) -> str:
    _, second, minute, hour, day, month, year = _DATED.unpack_from(data, at)
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 60):
        raise _Unlike
    return f"{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"


def _project(data: bytes) -> Fields:
    """The answer to subcode 0. Of its two dates research says which project event they are of, but not in one voice."""
    name, _ = _text(data, 38)
    revision = ".".join(str(byte) for byte in reversed(data[34:37]))
    return {"dates": [_date(data, 18), _date(data, 26)], "project_revision": revision, "project": name}


def _plc(data: bytes) -> Fields:
    flags, count = struct.unpack_from("<xHB", data)
    if len(data) < 4 + 4 * count:
        raise _Unlike
    words = struct.unpack_from(f"<{count}I", data, 4)
    return {"status_flags": flags, "checksums": [f"{word:08x}" for word in words]}


def _card(data: bytes) -> Fields:
    return {"text": safe_text(b" ".join(re.findall(rb"[ -~]{3,}", data)).strip())}


REQUESTS: Final[dict[int, Callable[[bytes], Fields]]] = {
    0x03: _plain("B", "subcode"),
    0x10: _reserve,
    0x20: _plain("BHHHH", "range", "block", "offset", "unknown", "length"),
    0x22: lambda data: _variables(data, False),
    0x23: lambda data: _variables(data, True),
    0x24: _places,
    0x26: _plain("HBIHHxx", "record_type", "index", "hardware_id", "block", "offset"),
    0x30: _plain("xx", direction=_TO_PLC),
    0x31: _block,
    0x32: _plain("xxH", "blocks", direction=_TO_PLC),
    0x33: _plain("xxH", "max_frame", direction=_FROM_PLC),
    0x34: _plain("xxH", "block", direction=_FROM_PLC),
    0x35: _plain("xxH", "blocks", direction=_FROM_PLC),
}
RESPONSES: Final[dict[int, Callable[[bytes], Fields]]] = {
    0x01: _init,
    0x02: _id,
    0x03: _project,
    0x04: _plc,
    0x06: _card,
    0x10: _plain("B", "new_reservation"),
    0x20: _memory,
    0x33: _plain("xxI", "size", direction=_FROM_PLC),
    0x34: _block_answer,
}
"""UMAS code -> reader of its data. Upload and download are named as research has them; `direction` is plain."""
ANSWERS: Final[dict[int, Callable[[Fields, bytes], Fields]]] = {0x24: _place_values}
"""UMAS code -> reader of a response's data, which only its request explains."""

VENDOR: Final = ("vendor", "Schneider Electric", 0.7)
"""Nobody else answers UMAS."""
_FACTS: Final[dict[int, tuple[tuple[str, str, float], ...]]] = {
    0x01: (("host_name", "name", 0.6),),
    0x02: (("name", "model", 0.9), ("firmware", "firmware", 0.8), ("hardware", "hardware", 0.7)),
    0x03: (("project", "project", 0.9), ("project_revision", "project_revision", 0.8)),
    0x06: (("text", "memory_card", 0.7),),
}
"""UMAS code -> (field of the response, attribute of the asset, confidence)."""
_CODES: Final = {function.name: code for code, function in UMAS_FUNCTIONS.items()}


def identity(body: Fields, asked: Sequence[str]) -> Iterator[tuple[str, str, float]]:
    """What an accepted response tells of the controller, by the functions it answers."""
    if body.get("status") != UMAS_OK:
        return
    for code in filter(None, map(_CODES.get, asked)):
        fields = _read(RESPONSES.get(code), bytes.fromhex(body["data"]))
        facts = [(name, fields[field], sure) for field, name, sure in _FACTS.get(code, ()) if fields.get(field)]
        if facts:
            yield VENDOR
            yield from facts
