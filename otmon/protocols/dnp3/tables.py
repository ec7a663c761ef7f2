"""Functions, link functions, indications and states of DNP3 (IEEE 1815-2012), with their names."""

from typing import Final

from otmon.model import Access, Function
from otmon.protocols.dnp3.link import FAULT_NAMES
from otmon.wire.contract import FAULT_CLASS

PORT: Final = 20000
SECURE_PORT: Final = 19999

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
AUTHENTICATION: Final = 120
"""This group carries data in every function (aggressive mode, IEEE 1815-2012, 7.5.2.4)."""
SELF_ADDRESS: Final = 0xFFFC
"""This address and those above mean every outstation, or whoever hears it: no response can be matched by address."""

BROADCASTS: Final = {
    0xFFFD: "broadcast_unconfirmed",
    0xFFFE: "broadcast_confirmed",
    0xFFFF: "broadcast_confirm_optional",
}
"""To every outstation; whether each has to confirm that it got it (IEEE 1815-2012, clause 9)."""
RESERVED: Final = 0xFFF0
"""From here to 0xFFFB no device may have an address."""

LINK_PRIMARY: Final[dict[int, str]] = {
    0: "reset_link_states",
    1: "reset_user_process",
    2: "test_link_states",
    3: "confirmed_user_data",
    4: "unconfirmed_user_data",
    9: "request_link_status",
}
COUNTED: Final = (2, 3)
"""Primary functions with a valid frame count bit."""
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
IIN1_NEED_TIME: Final = 0x10
"""The outstation asks its master to write the time."""
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

DOUBLE_BIT_STATES: Final = ("intermediate", "off", "on", "indeterminate")
INTERVALS: Final = {
    0: "no_repeat",
    1: "milliseconds",
    2: "seconds",
    3: "minutes",
    4: "hours",
    5: "days",
    6: "weeks",
    7: "months",
    8: "months_same_weekday_from_start",
    9: "months_same_weekday_from_end",
    10: "seasons",
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
    if slot >= FAULT_CLASS:
        return "faults", FAULT_NAMES[slot - FAULT_CLASS]
    return "link_functions", f"{slot >> 4}/{slot & 15}"
