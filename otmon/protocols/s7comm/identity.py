"""What a message tells about its sender: from SZL identification records and from TSAPs."""

from typing import Any, Final

from otmon.model import Message

Attribute = tuple[str, str, float]

_COMPONENTS: Final = {
    "system_name": ("name", 0.9),
    "module_name": ("module_name", 0.8),
    "plant_identification": ("plant", 0.8),
    "serial_number": ("serial", 0.95),
    "module_type": ("model", 0.95),
    "memory_card_serial": ("memory_card_serial", 0.9),
    "manufacturer": ("vendor", 0.95),
    "oem_identification": ("oem", 0.8),
    "location": ("location", 0.8),
}
"""Component of SZL 0x001C -> attribute of the asset, confidence."""


def identity(message: Message) -> tuple[Attribute, ...]:
    """(attribute, value, confidence) for its sender; nothing from messages that say nothing."""
    body = message.body
    if message.function == "cotp_connect_confirm":
        return _place(body.get("called_tsap"))
    if message.kind != "response" or message.function != "read_szl":
        return ()
    return (*_modules(body.get("modules", ())), *_components(body.get("components", {})))


def _place(tsap: dict[str, Any] | None) -> tuple[Attribute, ...]:
    """Rack and slot by which a server was reached, and let itself be reached."""
    return (("rack_slot", f"{tsap['rack']}/{tsap['slot']}", 0.5),) if tsap and "rack" in tsap else ()


def _modules(modules: Any) -> tuple[Attribute, ...]:
    found: list[Attribute] = []
    for module in modules:
        order, version = module["order_number"], module.get("version")
        if module["part"] == "module" and order:
            found.append(("order_code", order, 0.95))
            if order.startswith("6ES7"):
                found.append(("vendor", "Siemens AG", 0.9))
        if module["part"] == "firmware" and version:
            found.append(("firmware", version, 0.95))
        if module["part"] == "hardware" and version:
            found.append(("hardware", version, 0.8))
    return tuple(found)


def _components(components: dict[str, str]) -> tuple[Attribute, ...]:
    return tuple(
        (name, components[key], confidence) for key, (name, confidence) in _COMPONENTS.items() if key in components
    )
