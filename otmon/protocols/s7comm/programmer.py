"""Programmer commands (group 1): test and commissioning of a program, among them force, modify and memory reset.

`parameter size, data size`, the parameters (ten words in a request, two in an answer), the data. Layouts are those of
Wireshark's fields `s7comm.tis.*` and `s7comm.varstat.*`.
"""

from typing import Any, Final

from otmon.protocols.s7comm.tables import USERDATA_FUNCTIONS
from otmon.protocols.s7comm.values import parse_data_at

_GROUP: Final = 1
_VARIABLES: Final = (2, 8, 9)
"""Variable status, modify, force."""
_ON_A_JOB: Final = {13: 2, 14: 2, 15: 2, 17: 0, 18: 2}
"""Disable, enable, delete, read and replace a job: where in the data the job stands."""
_EXIT_HOLD: Final = 11
_JOB_LIST: Final = 16
_MODES: Final = {0: "update", 1: "once", 2: "permanent", 0x100: "force_immediately"}
_CYCLES: Final = {0: "every_cycle", 1: "once", 2: "always"}
_TRIGGERS: Final = {
    0x000: "immediately",
    0x100: "system_trigger",
    0x200: "cycle_start",
    0x300: "cycle_end",
    0x400: "run_to_stop",
    0x500: "after_code_address",
    0x600: "code_range",
    0x601: "code_range_with_calls",
    0x700: "data_address",
    0x800: "data_range",
    0x900: "local_address",
    0xA00: "local_range",
    0xB00: "range_trigger",
    0xC00: "before_code_address",
}
_AREAS: Final = {0: "M", 1: "I", 2: "Q", 3: "P", 5: "T", 6: "C", 7: "DB"}
"""High nibble of the area byte; the low one is the size: 0 bit, 1 byte, 2 word, 3 double word (4: timer or counter)."""
_SIZES: Final = {0: "bit", 1: "byte", 2: "word", 3: "dword", 4: "element"}
_ITEM: Final = 6


def programmer(subfunction: int, payload: bytes, response: bool, body: dict[str, Any], flags: list[str]) -> None:
    """Fill in parameters and data of a programmer command."""
    if len(payload) < 4:
        return
    parameters, size = int.from_bytes(payload[:2], "big"), int.from_bytes(payload[2:4], "big")
    words = [int.from_bytes(payload[i : i + 2], "big") for i in range(4, min(4 + parameters, len(payload) - 1), 2)][:64]
    data = payload[4 + parameters : 4 + parameters + size]
    if len(data) < size:
        flags.append("data_truncated")
    body["parameters"] = words
    if not response and len(words) >= 3:
        body["mode"], body["cycle"] = _MODES.get(words[1], str(words[1])), _CYCLES.get(words[2], str(words[2]))
    if not response and len(words) >= 10:
        body["answer_bytes"], body["trigger"] = words[3], _TRIGGERS.get(words[9], f"0x{words[9]:03x}")
    if subfunction in _VARIABLES and len(data) >= 2 and _variables(data, response, subfunction != 2, body):
        return
    if subfunction == _JOB_LIST and response:
        body["jobs"] = [_job(data[i : i + 4]) for i in range(0, len(data) - 3, 4)][:64]
    elif subfunction in _ON_A_JOB and not response and len(data) >= 4:
        body["jobs"] = [_job(data[_ON_A_JOB[subfunction] :])]
    elif subfunction == _EXIT_HOLD and data and not response:
        body["until"] = {0: "next_breakpoint", 1: "next_statement"}.get(data[0], str(data[0]))
    elif data:
        body["data"] = data.hex()


def _job(raw: bytes) -> dict[str, Any]:
    function = USERDATA_FUNCTIONS.get((_GROUP, raw[0]))
    return {"function": None if function is None else function.name, "sequence": raw[1]}


def _variables(data: bytes, response: bool, values: bool, body: dict[str, Any]) -> bool:
    """Variables and, in requests that set them and in answers, their values; False if it does not come out even."""
    count, pos = int.from_bytes(data[:2], "big"), 2
    items: list[dict[str, Any]] = []
    if not response:
        if pos + _ITEM * count > len(data):
            return False
        for _ in range(count):
            items.append(_variable(data[pos : pos + _ITEM]))
            pos += _ITEM
    if response or values:
        given, pos = parse_data_at(data, pos, count)
        if len(given) < count or any("missing_bytes" in value for value in given):
            return False
        items = given if response else [item | {"written": value} for item, value in zip(items, given, strict=True)]
    # Of an odd number of bytes the last one may be filled up.
    if len(data) - pos > 1:
        return False
    body["variables"] = items
    return True


def _variable(raw: bytes) -> dict[str, Any]:
    area, number = _AREAS.get(raw[0] >> 4), int.from_bytes(raw[2:4], "big")
    bit = raw[0] & 15 == 0
    return {
        "area": f"DB{number}" if area == "DB" else area,
        "area_raw": raw[0],
        "db": number,
        "size": _SIZES.get(raw[0] & 15),
        "address": int.from_bytes(raw[4:6], "big"),
        "bit" if bit else "count": raw[1],
    }
