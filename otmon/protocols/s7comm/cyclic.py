"""Cyclic services (group 2): subscriptions to variables, and what comes of them; records of modules."""

from typing import Any, Final

from otmon.model import Malformed, Target
from otmon.protocols.s7comm.values import add_values, parse_data, parse_items

WITH_ITEMS: Final = (1, 5, 7)
"""Cyclic, on change, on change modified."""
_UNSUBSCRIBE: Final = 4
_READ_RECORD: Final = 8
_TIME_BASES_MS: Final = {0: 100, 1: 1_000, 2: 10_000}


def cyclic_request(
    subfunction: int, payload: bytes, body: dict[str, Any], flags: list[str]
) -> tuple[Target | None, ...]:
    """Items asked for, with how often; targets."""
    if subfunction in WITH_ITEMS and len(payload) >= 4:
        try:
            body["items"], targets = parse_items(payload[4:], int.from_bytes(payload[:2], "big"))
        except Malformed:
            flags.append("items_malformed")
            return ()
        body["time_base"], body["time_factor"] = payload[2], payload[3]
        if payload[2] in _TIME_BASES_MS:
            body["interval_ms"] = _TIME_BASES_MS[payload[2]] * payload[3]
        return tuple(targets)
    if subfunction == _UNSUBSCRIBE and len(payload) >= 2:
        body["function_raw"], body["job"] = payload[0], payload[1]
    elif subfunction == _READ_RECORD and len(payload) >= 2:
        body["item_count"], body["data"] = payload[1], payload[2:].hex()
    return ()


def cyclic_values(
    subfunction: int, payload: bytes, body: dict[str, Any], flags: list[str], asked: list[dict[str, Any]]
) -> None:
    """Values that a PLC sends, `asked` being the items of the subscription if it is known."""
    if subfunction == _READ_RECORD:
        body["data"] = payload.hex()
    elif len(payload) >= 2:
        count = int.from_bytes(payload[:2], "big")
        body["item_count"], body["items"] = count, parse_data(payload[2:], count)
        if len(body["items"]) < count or any("missing_bytes" in item for item in body["items"]):
            flags.append("data_truncated")
        for item, address in zip(body["items"], asked, strict=False):
            item["asked"] = address
            add_values(item, address, bytes.fromhex(item.get("raw", "")))


def items_of(payload: bytes) -> list[dict[str, Any]]:
    """Items of the data of a subscription; none if they are damaged."""
    try:
        return parse_items(payload[4:], int.from_bytes(payload[:2], "big"))[0]
    except Malformed:
        return []
