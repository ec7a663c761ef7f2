"""What a message tells about its sender: TSAPs, SZL identification records, sessions and records of S7comm-plus."""

import re
from collections.abc import Iterator
from typing import Any, Final

from otmon.model import SESSION, Message
from otmon.protocols.s7comm.plus_objects import all_objects

Attribute = tuple[str, str, float]

_COMPONENTS: Final = {
    "system_name": ("name", 0.9),
    "module_name": ("module_name", 0.8),
    "plant_identification": ("plant", 0.8),
    "copyright": ("copyright", 0.5),
    "serial_number": ("serial", 0.95),
    "module_type": ("model", 0.95),
    "memory_card_serial": ("memory_card_serial", 0.9),
    "manufacturer": ("vendor", 0.95),
    "oem_identification": ("oem", 0.8),
    "location": ("location", 0.8),
}
"""Component of SZL 0x001C -> attribute of the asset, confidence."""
_PAOM: Final = re.compile(r"[^;]*;\s*(?P<order>[^;]+?)\s*;\s*(?P<firmware>[VS]?\d+(?:\.\d+)+)\s*\Z")
"""`1;6ES7 214-1HE30-0XB0 ;V2.2`: what a controller calls itself when a session of S7comm-plus begins."""
_PAOM_ID: Final = 319
_CLIENT: Final = {297: ("application", 0.5), 298: ("host", 0.6)}
"""Attributes by which an engineering station or panel opens a session."""
_SIEMENS: Final = ("vendor", "Siemens AG", 0.9)
_VENDORS: Final = {42: "Siemens AG"}


def identity(message: Message) -> tuple[Attribute, ...]:
    """(attribute, value, confidence) for its sender; nothing from messages that say nothing."""
    body = message.body
    if message.function == "cotp_connect_confirm":
        return _place(body.get("called_tsap"))
    if message.function == "cotp_connect_request":
        session = (body.get("called_tsap") or {}).get("session")
        return ((SESSION, session, 0.6),) if session else ()
    if "s7comm_plus" in message.extra:
        return tuple(_plus(message))
    if message.kind != "response" or message.function != "read_szl":
        return ()
    return (*_modules(body.get("modules", ())), *_components(body.get("components", {})))


def _place(tsap: dict[str, Any] | None) -> tuple[Attribute, ...]:
    """Rack and slot by which a server was reached, and let itself be reached."""
    return (("rack_slot", f"{tsap['rack']}/{tsap['slot']}", 0.5),) if tsap and "rack" in tsap else ()


def _modules(modules: Any) -> tuple[Attribute, ...]:
    found: list[Attribute] = []
    for module in modules:
        order, version = module["order_number"], module.get("version", "")
        if module["part"] == "module" and order:
            found += _order(order)
        if module["part"] == "firmware" and version:
            found.append(("firmware", version, 0.95))
        if module["part"] in ("module", "hardware") and version.isdigit():
            found.append(("hardware", version, 0.8))
    return tuple(dict.fromkeys(found))


def _order(number: str) -> list[Attribute]:
    """An order number; those of Siemens' controllers begin alike."""
    return [("order_code", number, 0.95), *([_SIEMENS] if number.startswith("6ES7") else [])]


def _components(components: dict[str, str]) -> tuple[Attribute, ...]:
    return tuple(
        (name, components[key], confidence) for key, (name, confidence) in _COMPONENTS.items() if key in components
    )


def _plus(message: Message) -> Iterator[Attribute]:
    """From objects that a session begins with, and from I&M records."""
    for one in all_objects(message.body.get("objects", [])):
        for attribute in one["attributes"]:
            yield from _attribute(message.kind == "request", attribute)
    for value in message.body.get("values", []):
        yield from _record(value.get("identification"))


def _attribute(request: bool, attribute: dict[str, Any]) -> Iterator[Attribute]:
    text = attribute.get("value")
    if request:
        if attribute["id"] in _CLIENT and isinstance(text, str) and text:
            name, confidence = _CLIENT[attribute["id"]]
            yield name, text, confidence
        return
    for element in attribute.get("elements", []):
        said = _PAOM.match(element["value"]) if element["id"] == _PAOM_ID and "value" in element else None
        if said is not None:
            yield from _order(said["order"])
            yield "firmware", said["firmware"], 0.9
    yield from _record(attribute.get("identification"))


def _record(record: dict[str, Any] | None) -> Iterator[Attribute]:
    """I&M0 (PROFINET): what a module has in its own memory."""
    if record is None:
        return
    if record["vendor"] in _VENDORS:
        yield "vendor", _VENDORS[record["vendor"]], 0.95
    for attribute, name in (("order_code", "order_number"), ("serial", "serial_number"), ("firmware", "firmware")):
        if record[name]:
            yield attribute, record[name], 0.95
    yield "hardware", str(record["hardware_revision"]), 0.8
