"""Code tables of Modbus: MODBUS Application Protocol Specification V1.1b3 and what vendors add to it."""

from typing import Final

from otmon.model import Access, Function, Op, Target

PORT: Final = 502
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
"""Sub-functions of 8 that change something; the others read a counter or echo."""
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
LAST_EXCEPTION: Final = 11

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
UMAS_SERVICES: Final[dict[int, str]] = {
    0x01: "init_comm",
    0x02: "read_id",
    0x03: "read_project_info",
    0x04: "read_plc_info",
    0x06: "read_card_info",
    0x0A: "repeat",
    0x10: "take_plc_reservation",
    0x11: "release_plc_reservation",
    0x12: "keep_alive",
    0x20: "read_memory_block",
    0x22: "read_variables",
    0x23: "write_variables",
    0x24: "read_coils_registers",
    0x25: "write_coils_registers",
    0x30: "initialize_upload",
    0x31: "upload_block",
    0x32: "end_upload",
    0x33: "initialize_download",
    0x34: "download_block",
    0x35: "end_download",
    0x39: "read_eth_master_data",
    0x40: "start_plc",
    0x41: "stop_plc",
    0x50: "monitor_plc",
    0x58: "check_plc",
    0x70: "read_io_object",
    0x71: "write_io_object",
    0x73: "get_module_status",
}
"""Schneider's services inside function 90: never published, these names are those of public research."""


def function_of(code: int, sub: int | None = None) -> Function:
    """Function of a code without exception bit and of its sub-function (8) or MEI type (43), if that is known.

    Codes without a name are `function_<n>` and count as control: nothing that merely permits reading may let them pass.
    """
    if code == 8 and sub in DIAGNOSTICS:
        return DIAGNOSTICS[sub]
    if code == 43 and sub in INTERFACES:
        return INTERFACES[sub]
    access: Access = "program" if code in PROGRAMMING else "control"
    return FUNCTIONS.get(code) or Function(f"function_{code}", access)


def span(space: str, address: int, quantity: int, name: str | None = None) -> Target:
    """The range that was asked for, as far as addresses go; a quantity of 0 is judged at its address."""
    return Target(space, address, min(address + max(quantity, 1) - 1, LAST_ADDRESS), name)


def service(sub: int) -> Target:
    """The UMAS service."""
    return Target("service", name=UMAS_SERVICES.get(sub, f"{sub:#04x}"))


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
