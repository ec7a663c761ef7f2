"""System status lists (SZL, in English SSL): what a device is and how it fares."""

from typing import Any, Final

from otmon.protocols.s7comm.szl_records import BY_INDEX, LAYOUTS, MODES, read
from otmon.protocols.s7comm.tables import SZL
from otmon.text import safe_text

MODULE_IDENTIFICATION: Final = 0x11
COMPONENT_IDENTIFICATION: Final = 0x1C
_MODE: Final = 0x24
_MAX_RECORDS: Final = 256
_MODULE_PARTS: Final = {1: "module", 6: "hardware", 7: "firmware", 0x81: "boot_loader"}
_COMPONENTS: Final = {
    1: "system_name",
    2: "module_name",
    3: "plant_identification",
    4: "copyright",
    5: "serial_number",
    7: "module_type",
    8: "memory_card_serial",
    10: "oem_identification",
    11: "location",
}
_VENDOR_INDEX: Final = 9
_VENDORS: Final = {42: "Siemens AG"}
"""PROFIBUS/PROFINET manufacturer ids (I&M)."""


def decode_szl(payload: bytes) -> dict[str, Any]:
    """Header of an SZL response and its whole records (a list may come in several parts).

    Lists without a known layout have their records as hexadecimal digits.
    """
    if len(payload) < 8:
        return {}
    szl_id, index, size, count = (int.from_bytes(payload[i : i + 2], "big") for i in (0, 2, 4, 6))
    part = szl_id & 0xFF
    body: dict[str, Any] = {
        "szl_id": szl_id,
        "szl_index": index,
        "szl": SZL.get(part),
        "record_bytes": size,
        "records": count,
    }
    records = [payload[i : i + size] for i in range(8, len(payload) - size + 1, size)] if size else []
    records = records[: min(count, _MAX_RECORDS)]
    if part == MODULE_IDENTIFICATION and size >= 28:
        body["modules"] = [_module(record) for record in records]
    elif part == COMPONENT_IDENTIFICATION and size >= 4:
        body["components"] = dict(found for record in records if (found := _component(record)))
    else:
        body["entries"] = [_entry(part, record) for record in records]
    return body


def _entry(part: int, record: bytes) -> dict[str, Any]:
    layout = LAYOUTS.get(part) or BY_INDEX.get((part, int.from_bytes(record[:2], "big")))
    if layout is None:
        return {"raw": record.hex()}
    entry: dict[str, Any] = read(record, layout)
    if part == _MODE and len(record) >= 4:
        entry["previous_mode"] = MODES.get(record[3] >> 4, str(record[3] >> 4))
    return entry


def _text(raw: bytes) -> str:
    return safe_text(raw.split(b"\0", 1)[0].strip())


def _module(record: bytes) -> dict[str, Any]:
    index, kind = int.from_bytes(record[:2], "big"), int.from_bytes(record[22:24], "big")
    module: dict[str, Any] = {
        "index": index,
        "part": _MODULE_PARTS.get(index),
        "order_number": _text(record[2:22]),
        "module_type": kind,
        "version_raw": record[24:28].hex(),
    }
    # Of firmware a letter and three numbers; of the module and its hardware a number, then the release of its
    # description file (A5E02789976, SSL-ID W#16#xy11: Ausbg, Ausbe).
    if record[24:25].isupper():
        module["version"] = f"{chr(record[24])}{record[25]}.{record[26]}.{record[27]}"
    elif number := int.from_bytes(record[24:26], "big"):
        module["version"] = str(number)
    return module


def _component(record: bytes) -> tuple[str, str] | None:
    index = int.from_bytes(record[:2], "big")
    if index == _VENDOR_INDEX:
        number = int.from_bytes(record[2:4], "big")
        return "manufacturer", _VENDORS.get(number, f"manufacturer {number}")
    name, value = _COMPONENTS.get(index), _text(record[2:])
    return (name, value) if name is not None and value else None
