"""Code tables of Modbus: MODBUS Application Protocol Specification V1.1b3 and what vendors add to it."""

from typing import Final

from otmon.model import Access, Function, Op, Target

PORT: Final = 502
SECURE_PORT: Final = 802
"""MODBUS/TCP Security, which is Modbus/TCP inside TLS."""
HEADER_BYTES: Final = 8
"""MBAP (transaction, protocol, length, unit) and the function code: the shortest ADU."""
MAX_ADU_BYTES: Final = 260
UMAS: Final = 90
MAX_UMAS_BYTES: Final = 6 + 1024
"""Schneider's controllers and tools agree on frames beyond the specification's limit, for this function alone: a tool
tries longer and longer ones with the service `mirror`. The bound is ours."""
LAST_ADDRESS: Final = 0xFFFF

FUNCTIONS: Final[dict[int, Function]] = {
    1: Function("read_coils", "read"),
    2: Function("read_discrete_inputs", "read"),
    3: Function("read_holding_registers", "read"),
    4: Function("read_input_registers", "read"),
    5: Function("write_single_coil", "write"),
    6: Function("write_single_register", "write"),
    7: Function("read_exception_status", "diagnose"),
    8: Function("diagnostics", "diagnose"),
    11: Function("get_comm_event_counter", "diagnose"),
    12: Function("get_comm_event_log", "diagnose"),
    15: Function("write_multiple_coils", "write"),
    16: Function("write_multiple_registers", "write"),
    17: Function("report_server_id", "identify"),
    20: Function("read_file_record", "read"),
    21: Function("write_file_record", "write"),
    22: Function("mask_write_register", "write"),
    23: Function("read_write_multiple_registers", "write"),
    24: Function("read_fifo_queue", "read"),
    43: Function("encapsulated_interface_transport", "control"),
    90: Function("umas", "program"),
}
PROGRAMMING: Final = frozenset({9, 10, 13, 14, 18, 125, 126})
"""Unnamed functions that load programs or firmware: program/poll 484, 584 and 884 (Modicon PI-MBUS-300), 0x7D, 0x7E."""
DIAGNOSTICS: Final[dict[int, Function]] = {
    1: Function("diagnostics_restart", "control"),
    3: Function("diagnostics_change_delimiter", "control"),
    4: Function("diagnostics_force_listen_only", "control"),
    10: Function("diagnostics_clear_counters", "diagnose"),
    20: Function("diagnostics_clear_overrun", "diagnose"),
}
"""Sub-functions of 8 that change something; the others with a name read a counter or echo."""
RESERVED_DIAGNOSTIC: Final = Function("diagnostics_reserved", "control")
"""Of sub-functions without a name nobody knows what they do: no right to read or diagnose covers them."""
RETURN_QUERY_DATA: Final = 0
MODBUS_PLUS: Final = 21
COUNTERS: Final[dict[int, str]] = {
    11: "return_bus_message_count",
    12: "return_bus_communication_error_count",
    13: "return_bus_exception_error_count",
    14: "return_server_message_count",
    15: "return_server_no_response_count",
    16: "return_server_nak_count",
    17: "return_server_busy_count",
    18: "return_bus_character_overrun_count",
}
CLEAR_COUNTERS: Final[dict[int, str]] = {
    10: "clear_counters_and_diagnostic_register",
    20: "clear_overrun_counter_and_flag",
}
DIAGNOSTIC_NAMES: Final[dict[int, str]] = {
    RETURN_QUERY_DATA: "return_query_data",
    1: "restart_communications_option",
    2: "return_diagnostic_register",
    3: "change_ascii_input_delimiter",
    4: "force_listen_only_mode",
    **COUNTERS,
    **CLEAR_COUNTERS,
    MODBUS_PLUS: "get_clear_modbus_plus_statistics",
}
"""Sub-functions of 8 (V1.1b3 6.8); 21 is of Modbus Plus (PI-MBUS-300)."""
LAST_DIAGNOSTIC: Final = 21
FORCE_LISTEN_ONLY: Final = 4
MEI_CANOPEN: Final = 13
MEI_DEVICE_ID: Final = 14
INTERFACES: Final[dict[int, Function]] = {
    MEI_CANOPEN: Function("canopen_general_reference", "control"),
    MEI_DEVICE_ID: Function("read_device_identification", "identify"),
}
"""MEI types of 43."""

SPACES: Final[dict[int, str]] = {
    1: "coil",
    2: "discrete_input",
    3: "holding_register",
    4: "input_register",
    5: "coil",
    6: "holding_register",
    15: "coil",
    16: "holding_register",
    22: "holding_register",
    23: "holding_register",
    24: "fifo",
}
BROADCAST: Final = frozenset({5, 6, 15, 16, 21, 22})
"""Functions that a serial line's master may send to all (unit 0): they write, and ask for nothing (V1.02 2.1)."""
BITS: Final = frozenset({1, 2, 5, 15})
MAX_QUANTITY: Final[dict[int, int]] = {1: 2000, 2: 2000, 3: 125, 4: 125, 15: 1968, 16: 123}
MAX_READ_23: Final = 125
MAX_WRITE_23: Final = 121
MAX_FIFO: Final = 31
FILE_REFERENCE: Final = 6
"""The only reference type of functions 20 and 21."""
MAX_FILE_RECORD: Final = 9999

EXCEPTIONS: Final[dict[int, str]] = {
    1: "illegal_function",
    2: "illegal_data_address",
    3: "illegal_data_value",
    4: "server_device_failure",
    5: "acknowledge",
    6: "server_device_busy",
    7: "negative_acknowledge",
    8: "memory_parity_error",
    10: "gateway_path_unavailable",
    11: "gateway_target_failed_to_respond",
}
ACKNOWLEDGE: Final = 5
"""Accepted, still at work: the only exception that is no refusal."""
TARGET_SILENT: Final = 11
"""A gateway says it: the device behind it did not answer in time."""
LAST_EXCEPTION: Final = 11

READ_DEVICE_ID: Final[dict[int, str]] = {1: "basic", 2: "regular", 3: "extended", 4: "individual"}
CONFORMITY: Final[dict[int, str]] = {
    level | individual: f"{name}_stream_and_individual" if individual else f"{name}_stream"
    for level, name in ((1, "basic"), (2, "regular"), (3, "extended"))
    for individual in (0, 0x80)
}
"""Conformity level of 43/14 (V1.1b3 6.21)."""
DEVICE_OBJECTS: Final[dict[int, str]] = {
    0: "vendor_name",
    1: "product_code",
    2: "major_minor_revision",
    3: "vendor_url",
    4: "product_name",
    5: "model_name",
    6: "user_application_name",
}
IDENTITY: Final[dict[str, tuple[str, float]]] = {
    "vendor_name": ("vendor", 0.9),
    "product_code": ("model", 0.8),
    "vendor_url": ("vendor_url", 0.9),
    "major_minor_revision": ("firmware", 0.9),
    "product_name": ("model", 0.6),
    "model_name": ("model", 0.9),
    "user_application_name": ("name", 0.8),
}
"""Object of 43/14 -> (attribute of the asset, confidence)."""
CONFIDENCE_SERVER_ID: Final = 0.4
"""Function 17 has no layout of its own: its text may be anything."""

UMAS_OK: Final = 0xFE
UMAS_ERROR: Final = 0xFD
UMAS_PROJECT_INFO: Final = 0x03
UMAS_FIRST_MOVE: Final = 0x30
UMAS_LAST_MOVE: Final = 0x35
"""Codes that move the project, 0x30 to 0x35."""
UMAS_DATA: Final = HEADER_BYTES + 2
"""Where the data of a UMAS message begin: behind reservation and code, or status."""
UMAS_FUNCTIONS: Final[dict[int, Function]] = {
    0x01: Function("umas_init_comm", "identify"),
    0x02: Function("umas_read_id", "identify"),
    0x03: Function("umas_read_project_info", "identify"),
    0x04: Function("umas_read_plc_info", "identify"),
    0x06: Function("umas_read_card_info", "identify"),
    0x07: Function("umas_read_block_info", "read"),
    0x0A: Function("umas_repeat", "diagnose"),
    0x10: Function("umas_take_plc_reservation", "program"),
    0x11: Function("umas_release_plc_reservation", "program"),
    0x12: Function("umas_keep_alive", "program"),
    0x20: Function("umas_read_memory_block", "read"),
    0x21: Function("umas_write_memory_block", "program"),
    0x22: Function("umas_read_variables", "read"),
    0x23: Function("umas_write_variables", "write"),
    0x24: Function("umas_read_coils_registers", "read"),
    0x25: Function("umas_write_coils_registers", "write"),
    0x26: Function("umas_read_data_dictionary", "read"),
    0x27: Function("umas_preload_data_dictionary", "read"),
    0x28: Function("umas_read_physical_address", "program"),
    0x29: Function("umas_write_physical_address", "program"),
    0x2A: Function("umas_browse_events", "diagnose"),
    0x30: Function("umas_initialize_upload", "program"),
    0x31: Function("umas_upload_block", "program"),
    0x32: Function("umas_end_upload", "program"),
    0x33: Function("umas_initialize_download", "program"),
    0x34: Function("umas_download_block", "program"),
    0x35: Function("umas_end_download", "program"),
    0x36: Function("umas_backup_restore", "program"),
    0x37: Function("umas_preload_blocks", "program"),
    0x39: Function("umas_read_eth_master_data", "read"),
    0x40: Function("umas_start_plc", "control"),
    0x41: Function("umas_stop_plc", "control"),
    0x50: Function("umas_monitor_plc", "read"),
    0x58: Function("umas_check_plc", "diagnose"),
    0x60: Function("umas_set_breakpoint", "control"),
    0x6D: Function("umas_private_message", "program"),
    0x6E: Function("umas_enhanced_reservation", "program"),
    0x70: Function("umas_read_io_object", "read"),
    0x71: Function("umas_write_io_object", "write"),
    0x73: Function("umas_get_module_status", "diagnose"),
}
"""Schneider's functions inside function 90. Never published: names and numbers are those of public research (the blog
"Liras en la red", 2017; Kaspersky ICS CERT, 2022; Armis, 2021), which calls what goes into the PLC an upload.

What writes raw memory or belongs to a reservation, which only a programming tool holds, counts as `program`."""
FUNCTION_GROUPS: Final = {"umas": tuple(function.name for function in UMAS_FUNCTIONS.values())}
"""Names a policy may use for several functions. `umas` names the whole group, itself included."""


def function_of(code: int, sub: int | None = None) -> Function:
    """Function of a code without exception bit and of its sub-function (8), MEI type (43) or UMAS code, if known.

    Codes without a name are `function_<n>` and count as control: nothing that merely permits reading may let them pass.
    """
    if code == 8 and sub is not None and sub not in DIAGNOSTIC_NAMES:
        return RESERVED_DIAGNOSTIC
    if code == 8 and sub in DIAGNOSTICS:
        return DIAGNOSTICS[sub]
    if code == 43 and sub in INTERFACES:
        return INTERFACES[sub]
    if code == UMAS and sub is not None:
        return UMAS_FUNCTIONS.get(sub) or Function(f"umas_{sub:#04x}", "program")
    access: Access = "program" if code in PROGRAMMING else "control"
    return FUNCTIONS.get(code) or Function(f"function_{code}", access)


def span(space: str, address: int, quantity: int, name: str | None = None) -> Target:
    """The range that was asked for, as far as addresses go; a quantity of 0 is judged at its address."""
    return Target(space, address, min(address + max(quantity, 1) - 1, LAST_ADDRESS), name)


def make_op(code: int, sub: int | None, unit: int, target: Target | None = None, access: Access | None = None) -> Op:
    """One operation of a function; `access` where it differs from the function's (the reading half of 23)."""
    function = function_of(code, sub)
    return Op(code, function.name, access or function.access, unit, target)


def untargeted(code: int, sub: int | None, unit: int) -> tuple[Op, ...]:
    """What a response that answers nothing seen says of its request."""
    halves: tuple[Access | None, ...] = ("read", "write") if code == 23 else (None,)
    return tuple(make_op(code, sub, unit, access=access) for access in halves)


def count_names(slot: int) -> tuple[str, str, str]:
    """FUNC slot -> (section of summary.json, key, name)."""
    return "functions", str(slot), function_of(slot).name


def class_names(slot: int) -> tuple[str, str]:
    """Modbus has no second counter: never asked."""
    return "link_functions", str(slot)
