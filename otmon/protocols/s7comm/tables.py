"""Codes of S7comm, S7comm-plus and COTP: names, access classes, sizes.

There is no public standard of S7comm; the codes are those that Wireshark's and icsnpp's field descriptions agree on.
"""

from typing import Final

from otmon.model import Function

FAMILY_S7: Final = 0x32
FAMILY_PLUS: Final = 0x72
FAMILY_TLS: Final = 0x16
"""Families of a key's first word; a COTP TPDU code (0x10 to 0xF0) is one of its own."""

# --- COTP (ISO 8073 / X.224) ---------------------------------------------------------------------------------------
COTP: Final = {
    0xE0: Function("cotp_connect_request", "connect"),
    0xD0: Function("cotp_connect_confirm", "connect"),
    0x80: Function("cotp_disconnect_request", "connect"),
    0xC0: Function("cotp_disconnect_confirm", "connect"),
    0xF0: Function("cotp_empty_data", "connect"),
    0x10: Function("cotp_expedited_data", "connect"),
    0x20: Function("cotp_expedited_ack", "connect"),
    0x50: Function("cotp_reject", "connect"),
    0x60: Function("cotp_data_ack", "connect"),
    0x70: Function("cotp_error", "connect"),
}
COTP_MIN_LI: Final = {0xE0: 6, 0xD0: 6, 0x80: 6, 0xC0: 5}
"""Length indicator of the fixed part; 2 for the others."""
TSAP_TYPES: Final = {1: "pg", 2: "op", 3: "basic"}
"""First byte of a two-byte TSAP: programming device, operator panel, plain S7 connection."""
TSAP_SESSIONS: Final = {
    "SIMATIC-ROOT-ES": "engineering",
    "SIMATIC-ROOT-HMI": "hmi",
    "SIMATIC-ROOT-OTHER": "other",
}
"""Called TSAPs of S7comm-plus: who wants the session."""

# --- S7comm --------------------------------------------------------------------------------------------------------
JOB, ACK, ACK_DATA, USERDATA = 1, 2, 3, 7
ROSCTR: Final = {JOB: "job", ACK: "ack", ACK_DATA: "ack_data", USERDATA: "userdata"}
READ_VAR, WRITE_VAR = 0x04, 0x05
DOWNLOAD_BLOCK, DOWNLOAD_ENDED = 0x1B, 0x1C
PI_SERVICE, PLC_STOP, SETUP = 0x28, 0x29, 0xF0

FUNCTIONS: Final = {
    0x00: Function("cpu_services", "diagnose"),
    READ_VAR: Function("read_var", "read"),
    WRITE_VAR: Function("write_var", "write"),
    0x1A: Function("request_download", "program"),
    DOWNLOAD_BLOCK: Function("download_block", "program"),
    DOWNLOAD_ENDED: Function("download_ended", "program"),
    0x1D: Function("start_upload", "program"),
    0x1E: Function("upload", "program"),
    0x1F: Function("end_upload", "program"),
    PI_SERVICE: Function("pi_service", "control"),
    PLC_STOP: Function("plc_stop", "control"),
    SETUP: Function("setup_communication", "read"),
}
NO_FUNCTION: Final = Function("acknowledgement", "read")
"""An ack without parameter: it says no to some job, and not to which."""
FUNCTION_GROUPS: Final = {
    "download": ("request_download", "download_block", "download_ended"),
    "upload": ("start_upload", "upload", "end_upload"),
}
"""Names a policy may use for several functions. `upload` names the whole group, itself included."""

PI_SERVICES: Final = {
    "_INSE": Function("activate_block", "program"),
    "_INS2": Function("activate_block", "program"),
    "_IN2S": Function("activate_block", "program"),
    "_DELE": Function("delete_block", "program"),
    "_MODU": Function("copy_ram_to_rom", "program"),
    "_GARB": Function("compress_memory", "program"),
}
WARM_START: Final = Function("warm_start", "control")
COLD_START: Final = Function("cold_start", "control")
ENCRYPTED: Final = Function("encrypted", "write")
"""TLS inside COTP: reading or writing, nobody outside can tell."""

USERDATA_GROUPS: Final = {
    0: "mode_transition",
    1: "programmer",
    2: "cyclic",
    3: "block",
    4: "cpu",
    5: "security",
    6: "pbc",
    7: "time",
    15: "nc_program",
}
USERDATA_FUNCTIONS: Final = {
    (0, 0): Function("mode_stop", "diagnose"),
    (0, 1): Function("mode_warm_restart", "diagnose"),
    (0, 2): Function("mode_run", "diagnose"),
    (0, 3): Function("mode_hot_restart", "diagnose"),
    (0, 4): Function("mode_hold", "diagnose"),
    (0, 6): Function("mode_cold_restart", "diagnose"),
    (0, 9): Function("mode_run_redundant", "diagnose"),
    (0, 11): Function("mode_link_up", "diagnose"),
    (0, 12): Function("mode_update", "diagnose"),
    (1, 1): Function("block_status", "diagnose"),
    (1, 2): Function("variable_status", "diagnose"),
    (1, 3): Function("output_istack", "diagnose"),
    (1, 4): Function("output_bstack", "diagnose"),
    (1, 5): Function("output_lstack", "diagnose"),
    (1, 6): Function("time_measurement", "diagnose"),
    (1, 7): Function("force_selection", "diagnose"),
    (1, 8): Function("modify_variable", "control"),
    (1, 9): Function("force", "control"),
    (1, 10): Function("breakpoint", "control"),
    (1, 11): Function("exit_hold", "control"),
    (1, 12): Function("memory_reset", "program"),
    (1, 13): Function("disable_job", "diagnose"),
    (1, 14): Function("enable_job", "control"),
    (1, 15): Function("delete_job", "diagnose"),
    (1, 16): Function("read_job_list", "diagnose"),
    (1, 17): Function("read_job", "diagnose"),
    (1, 18): Function("replace_job", "control"),
    (1, 19): Function("block_status_2", "diagnose"),
    (1, 22): Function("flash_led", "identify"),
    (2, 1): Function("cyclic_transfer", "read"),
    (2, 4): Function("cyclic_unsubscribe", "read"),
    (2, 5): Function("cyclic_on_change", "read"),
    (2, 7): Function("cyclic_on_change_modify", "read"),
    (2, 8): Function("read_record", "read"),
    (3, 1): Function("list_blocks", "identify"),
    (3, 2): Function("list_blocks_of_type", "identify"),
    (3, 3): Function("block_info", "identify"),
    (4, 1): Function("read_szl", "identify"),
    (4, 2): Function("message_service", "read"),
    (4, 3): Function("diagnostic_message", "read"),
    (4, 5): Function("alarm_8_indication", "read"),
    (4, 6): Function("notify_indication", "read"),
    (4, 7): Function("alarm_8_lock", "control"),
    (4, 8): Function("alarm_8_unlock", "control"),
    (4, 9): Function("scan_indication", "read"),
    (4, 11): Function("alarm_ack", "control"),
    (4, 12): Function("alarm_ack_indication", "read"),
    (4, 13): Function("alarm_lock_indication", "read"),
    (4, 14): Function("alarm_unlock_indication", "read"),
    (4, 17): Function("alarm_sq_indication", "read"),
    (4, 18): Function("alarm_s_indication", "read"),
    (4, 19): Function("alarm_query", "read"),
    (4, 22): Function("notify_8_indication", "read"),
    (5, 1): Function("set_session_password", "control"),
    (5, 2): Function("clear_session_password", "control"),
    (7, 1): Function("read_clock", "read"),
    (7, 2): Function("set_clock", "control"),
    (7, 3): Function("read_clock_following", "read"),
    (7, 4): Function("set_clock_following", "control"),
    (15, 1): Function("nc_request_download", "program"),
    (15, 2): Function("nc_download_block", "program"),
    (15, 3): Function("nc_continue_download", "program"),
    (15, 4): Function("nc_download_ended", "program"),
    (15, 6): Function("nc_start_upload", "program"),
    (15, 7): Function("nc_upload", "program"),
    (15, 8): Function("nc_continue_upload", "program"),
}
TYPE_PUSH, TYPE_REQUEST, TYPE_RESPONSE = 0, 4, 8
USERDATA_SLOT: Final = 256
"""Counter slots of userdata begin here: 256 + (group << 8 | subfunction)."""

AREAS: Final = {
    0x01: "record",
    0x03: "SYSINFO",
    0x05: "SF",
    0x06: "AI",
    0x07: "AQ",
    0x1C: "C",
    0x1D: "T",
    0x1E: "IEC_C",
    0x1F: "IEC_T",
    0x80: "P",
    0x81: "I",
    0x82: "Q",
    0x83: "M",
    0x84: "DB",
    0x85: "DI",
    0x86: "L",
    0x87: "V",
}
ELEMENT_AREAS: Final = (0x1C, 0x1D, 0x1E, 0x1F)
"""Counters and timers: addresses and lengths are element numbers."""
BLOCK_AREAS: Final = (0x84, 0x85)
"""Data blocks: the number is part of the space (DB10)."""

TRANSPORT: Final = {
    1: ("bit", 0),
    2: ("byte", 1),
    3: ("char", 1),
    4: ("word", 2),
    5: ("int", 2),
    6: ("dword", 4),
    7: ("dint", 4),
    8: ("real", 4),
    9: ("date", 2),
    10: ("time_of_day", 4),
    11: ("time", 4),
    12: ("s5time", 2),
    15: ("date_and_time", 8),
    28: ("counter", 2),
    29: ("timer", 2),
    30: ("iec_timer", 2),
    31: ("iec_counter", 2),
    32: ("hs_counter", 4),
}
"""Transport sizes of an address: name, bytes of one element (bits: 0)."""
BIT: Final = 1

DATA_TRANSPORT: Final = {
    0: "null",
    3: "bit",
    4: "byte",
    5: "integer",
    6: "dinteger",
    7: "real",
    9: "octets",
    0x11: "nck_1",
    0x12: "nck_2",
}
DATA_IN_BITS: Final = (3, 4, 5)
"""Data transport sizes whose length counts bits; the others count bytes."""

SYNTAX: Final = {
    0x10: "s7any",
    0x13: "pbc_r_id",
    0x15: "alarm_lock_free",
    0x16: "alarm_indication",
    0x19: "alarm_ack",
    0x1A: "alarm_query",
    0x1C: "notify_indication",
    0x82: "nck",
    0x83: "nck_m",
    0x84: "nck_i",
    0xA2: "drive_es",
    0xB0: "db_read",
    0xB2: "symbolic",
}
BLOCK_TYPES: Final = {
    "08": "OB",
    "09": "CMOD",
    "0A": "DB",
    "0B": "SDB",
    "0C": "FC",
    "0D": "SFC",
    "0E": "FB",
    "0F": "SFB",
}
FILE_SYSTEMS: Final = {"A": "active", "B": "both", "P": "passive"}

SZL: Final = {
    0x00: "szl_list",
    0x11: "module_identification",
    0x12: "cpu_characteristics",
    0x13: "memory_areas",
    0x14: "system_areas",
    0x15: "block_types",
    0x16: "priority_classes",
    0x17: "sdb_list",
    0x18: "io_racks",
    0x19: "leds",
    0x1C: "component_identification",
    0x21: "interrupts",
    0x22: "interrupt_status",
    0x23: "priority_class_data",
    0x24: "operating_mode",
    0x31: "communication_capability",
    0x32: "communication_status",
    0x33: "message_stations",
    0x37: "ethernet_interfaces",
    0x71: "redundancy",
    0x74: "leds_status",
    0x81: "ob_start_information",
    0x82: "start_events",
    0x90: "dp_masters",
    0x91: "module_status",
    0x92: "rack_status",
    0x94: "rack_status_extended",
    0x95: "dp_master_extended",
    0x96: "module_status_extended",
    0xA0: "diagnostic_buffer",
    0xB1: "module_diagnostics",
    0xB2: "module_diagnostics_record_1",
    0xB3: "module_diagnostics_full",
    0xB4: "dp_slave_diagnostics",
}
"""Partial list number (low byte of an SZL id) -> name."""

# --- S7comm-plus ---------------------------------------------------------------------------------------------------
PLUS_VERSIONS: Final = (1, 2, 3, 0xFE)
PLUS_REQUEST, PLUS_RESPONSE, PLUS_NOTIFICATION = 0x31, 0x32, 0x33
PLUS_OPCODES: Final = {PLUS_REQUEST: "request", PLUS_RESPONSE: "response", PLUS_NOTIFICATION: "notification"}
EXPLORE, CREATE_OBJECT, GET_VAR_SUBSTREAMED = 0x04BB, 0x04CA, 0x0586
PLUS_FUNCTIONS: Final = {
    0x04B1: Function("error", "diagnose"),
    EXPLORE: Function("explore", "read"),
    CREATE_OBJECT: Function("create_object", "write"),
    0x04D4: Function("delete_object", "write"),
    0x04F2: Function("set_variable", "write"),
    0x04FC: Function("get_variable", "read"),
    0x0506: Function("add_link", "write"),
    0x051A: Function("remove_link", "write"),
    0x0524: Function("get_link", "read"),
    0x0542: Function("set_multi_variables", "write"),
    0x054C: Function("get_multi_variables", "read"),
    0x0556: Function("begin_sequence", "program"),
    0x0560: Function("end_sequence", "program"),
    0x056B: Function("invoke", "control"),
    0x057C: Function("set_var_substreamed", "write"),
    GET_VAR_SUBSTREAMED: Function("get_var_substreamed", "read"),
    0x0590: Function("get_variables_address", "read"),
    0x059A: Function("abort", "control"),
    0x05A9: Function("error_2", "diagnose"),
    0x05B3: Function("init_ssl", "read"),
}
PLUS_NOTIFY: Final = Function("notification", "read")
PLUS_FRAGMENT: Final = Function("plus_fragment", "connect")
PLUS_CLASS: Final = 0x70
"""Class slots of S7comm-plus: 0x70 + low nibble of the version."""


def userdata_function(group: int, subfunction: int) -> Function:
    """Name and access class of a userdata function; an unknown one is named by its numbers and may do anything."""
    known = USERDATA_FUNCTIONS.get((group, subfunction))
    if known is not None:
        return known
    if group == 6:
        return Function("pbc_bsend", "write")
    return Function(f"{USERDATA_GROUPS.get(group, f'userdata_{group}')}_{subfunction}", "control")


def job_function(code: int) -> Function:
    """Name and access class of a job's function; an unknown one may do anything."""
    return FUNCTIONS.get(code) or Function(f"function_0x{code:02x}", "control")


def plus_function(code: int) -> Function:
    """Name and access class of an S7comm-plus function; an unknown one may do anything."""
    return PLUS_FUNCTIONS.get(code) or Function(f"plus_0x{code:04x}", "control")


def count_names(slot: int) -> tuple[str, str, str]:
    """FUNC slot -> (section of summary.json, key, name)."""
    if slot < USERDATA_SLOT:
        return "functions", str(slot), job_function(slot).name
    group, subfunction = divmod(slot - USERDATA_SLOT, 256)
    return "userdata", f"{group}/{subfunction}", userdata_function(group, subfunction).name


def class_names(slot: int) -> tuple[str, str]:
    """CLASS slot -> (section, key): S7comm by rosctr, S7comm-plus by protocol version (254: system events)."""
    if slot < PLUS_CLASS:
        return "rosctr", str(slot)
    version = slot - PLUS_CLASS
    return "s7comm_plus", str(0xFE if version == 0x0E else version)
