"""Device attributes (IEEE 1815-2012, 5.5.4.3 and A.1: group 0): names, types and values.

The point index of group 0 is the set of attributes: 0 is the standard's own, which these names are of, the others
belong to whoever defined them.
"""

import struct
from typing import Any, Final

from otmon.protocols.dnp3.readers import shown
from otmon.protocols.dnp3.values import number
from otmon.text import safe_text

LISTS: Final = (254, 255)
EXTENDED: Final = 255
"""Of this type the length octet counts from 256 (IEEE 1815-2012, table 5-16)."""
ALL_ATTRIBUTES: Final = 254
TYPES: Final = {
    0: "none",
    1: "text",
    2: "unsigned",
    3: "signed",
    4: "float",
    5: "octets",
    6: "bits",
    7: "time",
    8: "unicode",
    254: "list",
    255: "extended_list",
}

IDENTITY: Final[dict[int, tuple[str, float]]] = {
    196: ("configuration_id", 0.8),
    197: ("configuration_version", 0.8),
    202: ("resource_id", 0.8),
    206: ("secondary_operator", 0.7),
    207: ("primary_operator", 0.7),
    208: ("system", 0.8),
    209: ("secure_authentication", 0.9),
    242: ("firmware", 0.9),
    243: ("hardware", 0.9),
    244: ("owner", 0.7),
    245: ("location", 0.8),
    246: ("tag", 0.7),
    247: ("name", 0.8),
    248: ("serial", 0.9),
    249: ("subset", 0.9),
    250: ("model", 0.9),
    252: ("vendor", 0.9),
}
"""Variation of group 0 -> (attribute of the asset, confidence)."""
ATTRIBUTES: Final[dict[int, str]] = {
    196: "configuration_id",
    197: "configuration_version",
    198: "configuration_build_date",
    199: "configuration_last_change",
    200: "configuration_signature",
    201: "configuration_signature_algorithm",
    202: "master_resource_id",
    203: "altitude",
    204: "longitude",
    205: "latitude",
    206: "secondary_operator_name",
    207: "primary_operator_name",
    208: "system_name",
    209: "secure_authentication_version",
    210: "security_statistics",
    211: "user_attribute_sets",
    212: "master_data_set_prototypes",
    213: "outstation_data_set_prototypes",
    214: "master_data_sets",
    215: "outstation_data_sets",
    216: "max_binary_outputs_per_request",
    217: "local_timing_accuracy_us",
    218: "time_accuracy_duration_s",
    219: "analog_output_events",
    220: "max_analog_output_index",
    221: "analog_outputs",
    222: "binary_output_events",
    223: "max_binary_output_index",
    224: "binary_outputs",
    225: "frozen_counter_events",
    226: "frozen_counters",
    227: "counter_events",
    228: "max_counter_index",
    229: "counters",
    230: "frozen_analog_inputs",
    231: "analog_input_events",
    232: "max_analog_input_index",
    233: "analog_inputs",
    234: "double_bit_input_events",
    235: "max_double_bit_input_index",
    236: "double_bit_inputs",
    237: "binary_input_events",
    238: "max_binary_input_index",
    239: "binary_inputs",
    240: "max_transmit_fragment",
    241: "max_receive_fragment",
    242: "software_version",
    243: "hardware_version",
    244: "owner_name",
    245: "location",
    246: "id_code",
    247: "device_name",
    248: "serial_number",
    249: "subset_and_conformance",
    250: "product_name_and_model",
    252: "manufacturer",
    254: "all_attributes",
    255: "list_of_attributes",
}


def attribute_name(variation: int, attributes: int | None = 0) -> str:
    """Name of a variation in a set of attributes; only the standard's set has names."""
    return ATTRIBUTES.get(variation, f"variation_{variation}") if not attributes else f"variation_{variation}"


def typed(kind: int, raw: bytes, attributes: int = 0) -> Any:
    """Value by its type code; in hex where it does not fit its type. A list names attributes of this set."""
    if kind == 1:
        return safe_text(raw)
    if kind in (2, 3) and len(raw) <= 8:
        return int.from_bytes(raw, "little", signed=kind == 3)
    if kind == 4 and len(raw) in (4, 8):
        return number(struct.unpack("<f" if len(raw) == 4 else "<d", raw)[0])
    if kind == 7 and len(raw) == 6:
        return int.from_bytes(raw, "little")
    if kind in LISTS and len(raw) % 2 == 0:
        return [
            {"variation": variation, "name": attribute_name(variation, attributes), "writable": bool(properties & 1)}
            for variation, properties in zip(raw[::2], raw[1::2], strict=True)
        ]
    return shown(raw)
