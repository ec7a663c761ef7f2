"""What devices say of themselves, by name: what `otmon hunt "fact NAME"` can ask for."""

from typing import Final

FACTS: Final = (
    *("application", "configuration_id", "configuration_version", "copyright", "firmware", "hardware", "host"),
    *("link_address", "location", "memory_card", "memory_card_serial", "model", "module_name", "name", "need_time"),
    *("oem", "order_code", "owner", "plant", "primary_operator", "project", "project_revision", "rack_slot"),
    *("resource_id", "s7_session", "secondary_operator", "secure_authentication", "serial", "subset", "system", "tag"),
    *("vendor", "vendor_url"),
)
"""Every name that `identity` of a protocol gives, in the order of the alphabet."""
