"""Functions, link functions, indications and states of DNP3 (IEEE 1815-2012), with their names."""

from typing import Final

from otmon.model import Access, Function

PORT: Final = 20000

_FUNCTIONS: Final[dict[Access, dict[int, str]]] = {
    "read": {
        0: "confirm",
        1: "read",
        23: "delay_measure",
        24: "record_current_time",
        129: "response",
        130: "unsolicited_response",
        131: "authentication_response",
    },
    "write": {
        2: "write",
        7: "immediate_freeze",
        8: "immediate_freeze_no_ack",
        9: "freeze_clear",
        10: "freeze_clear_no_ack",
        11: "freeze_at_time",
        12: "freeze_at_time_no_ack",
        20: "enable_unsolicited",
        21: "disable_unsolicited",
        22: "assign_class",
    },
    "control": {
        3: "select",
        4: "operate",
        5: "direct_operate",
        6: "direct_operate_no_ack",
        13: "cold_restart",
        14: "warm_restart",
        15: "initialize_data",
        17: "start_application",
        18: "stop_application",
    },
    "program": {
        16: "initialize_application",
        19: "save_configuration",
        25: "open_file",
        26: "close_file",
        27: "delete_file",
        28: "get_file_info",
        29: "authenticate_file",
        30: "abort_file",
        31: "activate_configuration",
    },
    "diagnose": {32: "authentication_request", 33: "authentication_request_no_ack"},
}
FUNCTIONS: Final = {
    code: Function(name, access) for access, names in _FUNCTIONS.items() for code, name in sorted(names.items())
}
CONFIRM: Final = 0
LAST_REQUEST: Final = 33
RESPONSE: Final = 129
UNSOLICITED: Final = 130
UNANSWERED: Final = (0, 6, 8, 10, 12, 33)
"""Functions that no response follows."""
VALUED: Final = (2, 3, 4, 5, 6, 25, 26, 27, 28, 29, 30, 31, 32, 33)
"""Functions whose objects carry data; in the others a header names objects, unless it gives their size."""
FREEZE_AT_TIME: Final = (11, 12)
"""Here only the time object (group 50) carries data."""
SELF_ADDRESS: Final = 0xFFFC
"""This address and those above mean every outstation, or whoever hears it: no response can be matched by address."""

LINK_PRIMARY: Final[dict[int, str]] = {
    0: "reset_link_states",
    1: "reset_user_process",
    2: "test_link_states",
    3: "confirmed_user_data",
    4: "unconfirmed_user_data",
    9: "request_link_status",
}
LINK_SECONDARY: Final[dict[int, str]] = {
    0: "ack",
    1: "nack",
    11: "link_status",
    14: "link_service_not_functioning",
    15: "not_supported",
}

INDICATIONS: Final = (
    "broadcast",
    "class_1_events",
    "class_2_events",
    "class_3_events",
    "need_time",
    "local_control",
    "device_trouble",
    "device_restart",
    "no_func_code_support",
    "object_unknown",
    "parameter_error",
    "event_buffer_overflow",
    "already_executing",
    "config_corrupt",
    "reserved_2_6",
    "reserved_2_7",
)
"""Bits of IIN1, then of IIN2, lowest first."""
IIN2_EXCEPTION: Final = 0x07
"""Function, object or parameter refused."""
IIN2_REFUSED: Final = 0x17
"""Also "already executing": the request was not carried out again."""

CONTROL_STATUS: Final[dict[int, str]] = {
    0: "success",
    1: "timeout",
    2: "no_select",
    3: "format_error",
    4: "not_supported",
    5: "already_active",
    6: "hardware_error",
    7: "local",
    8: "too_many_operations",
    9: "not_authorized",
    10: "automation_inhibit",
    11: "processing_limited",
    12: "out_of_range",
    13: "downstream_local",
    14: "already_complete",
    15: "blocked",
    16: "cancelled",
    17: "blocked_other_master",
    18: "downstream_fail",
    126: "non_participating",
    127: "undefined",
}
CONTROL_OPERATIONS: Final = {0: "nul", 1: "pulse_on", 2: "pulse_off", 3: "latch_on", 4: "latch_off"}
TRIP_CLOSE: Final = {0: "nul", 1: "close", 2: "trip", 3: "reserved"}

IDENTITY: Final[dict[int, tuple[str, float]]] = {
    242: ("firmware", 0.9),
    243: ("hardware", 0.9),
    245: ("location", 0.8),
    246: ("tag", 0.7),
    247: ("name", 0.8),
    248: ("serial", 0.9),
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


def function_of(code: int) -> Function:
    """Function of a code. Those without a name are `function_<n>` and count as control: no right to read covers it."""
    return FUNCTIONS.get(code) or Function(f"function_{code}", "control")


def link_function(control: int) -> str:
    """Name of the link function in a frame's control octet."""
    code = control & 15
    primary = bool(control & 0x40)
    name = (LINK_PRIMARY if primary else LINK_SECONDARY).get(code)
    return name or f"{'primary' if primary else 'secondary'}_{code}"


def count_names(slot: int) -> tuple[str, str, str]:
    """FUNC slot -> (section of summary.json, key, name)."""
    return "functions", str(slot), function_of(slot).name


def class_names(slot: int) -> tuple[str, str]:
    """CLASS slot -> (section of summary.json, key): primary bit / link function."""
    return "link_functions", f"{slot >> 4}/{slot & 15}"
