"""Layouts of system status list records, as tables: a record's fields one behind the other.

From the chapter on system status lists in "System Software for S7-300 and S7-400, System and Standard Functions"
(Siemens A5E02789976); places and sizes are compared with Wireshark's `s7comm.szl.*` in
tests/protocols/test_s7comm_tshark.py.
"""

from collections.abc import Callable
from typing import Any, Final

from otmon.protocols.s7comm.clock import date_and_time

Shown = int | str | list[str] | dict[str, Any] | None
Field = tuple[str, int, Callable[[bytes], Shown]]
"""Name, bytes, how they are shown."""


def _number(raw: bytes) -> int:
    return int.from_bytes(raw, "big")


def _name(names: dict[int, str]) -> Callable[[bytes], Shown]:
    return lambda raw: names.get(_number(raw), str(_number(raw)))


def _bits(*names: str) -> Callable[[bytes], Shown]:
    """The names of the bits that are set, from bit 0 of the last byte on; without names a number."""
    if not names:
        return _number
    return lambda raw: [name for bit, name in enumerate(names) if name and _number(raw) >> bit & 1]


def _low(names: dict[int, str]) -> Callable[[bytes], Shown]:
    """The lower four bits, by name."""
    return lambda raw: names.get(raw[-1] & 15, str(raw[-1] & 15))


def _fields(names: str, size: int = 2) -> tuple[Field, ...]:
    return tuple((name, size, _number) for name in names.split())


_INDEX: Final[Field] = ("index", 2, _number)
_MODES: Final = {
    1: "stop_update",
    2: "stop_memory_reset",
    3: "stop_self_initialisation",
    4: "stop",
    5: "warm_restart",
    6: "cold_restart",
    7: "hot_restart",
    8: "run",
    9: "run_redundant",
    10: "hold",
    11: "link_up",
    12: "update",
    13: "defective",
}
STARTS: Final = {
    0x00: "none",
    0x01: "warm restart in multicomputing",
    0x03: "warm restart by mode selector",
    0x04: "warm restart by command",
    0x0A: "hot restart in multicomputing",
    0x0B: "hot restart by mode selector",
    0x0C: "hot restart by command",
    0x10: "automatic warm restart after buffered power on",
    0x13: "warm restart by mode selector, power was buffered",
    0x14: "warm restart by command, power was buffered",
    0x20: "automatic warm restart after unbuffered power on",
    0x23: "warm restart by mode selector, power was not buffered",
    0x24: "warm restart by command, power was not buffered",
    0xA0: "automatic hot restart after buffered power on",
}
_SELECTOR: Final = {0: "unknown", 1: "run", 2: "run_p", 3: "stop", 4: "memory_reset"}
_MEMORY: Final = {1: "volatile", 2: "non_volatile", 3: "mixed"}
_MEMORY_AREAS: Final = {
    1: "work_memory",
    2: "load_memory_integrated",
    3: "load_memory_plugged",
    4: "load_memory_plugged_maximum",
    5: "backup_memory",
    6: "communication_memory",
}
_SYSTEM_AREAS: Final = {
    1: "input_image_bytes",
    2: "output_image_bytes",
    3: "memory_bits",
    4: "timers",
    5: "counters",
    6: "logical_address_bytes",
    7: "local_data_bytes",
    8: "memory_bytes",
    9: "local_data_kbytes",
}
_BLOCKS: Final = {0x0800: "OB", 0x0A00: "DB", 0x0B00: "SDB", 0x0C00: "FC", 0x0E00: "FB"}
LEDS: Final = {
    1: "SF", 2: "INTF", 3: "EXTF", 4: "RUN", 5: "STOP", 6: "FRCE", 7: "CRST", 8: "BAF", 9: "USR", 10: "USR1",
    11: "BUS1F", 12: "BUS2F", 13: "REDF", 14: "MSTR", 15: "RACK0", 16: "RACK1", 17: "RACK2", 18: "IFM1F", 19: "IFM2F",
    20: "BUS3F", 21: "MAINT", 22: "DC24V", 128: "IF", 129: "UF", 130: "MF", 131: "CF", 132: "TF",
}  # fmt: skip
FLASHING: Final = {0: "no", 1: "2 Hz", 2: "0.5 Hz"}
_EVENT_CLASSES: Final = {
    1: "standard_ob",
    2: "synchronous_error",
    3: "asynchronous_error",
    4: "mode_transition",
    5: "run_time",
    6: "communication",
    7: "fail_safe_or_fault_tolerant",
    8: "module_diagnostics",
    9: "predefined_user",
    10: "user",
    11: "user",
    15: "other_module",
}
_EVENTS: Final = {
    0x4300: "power on, buffered",
    0x4301: "from STOP to startup",
    0x4302: "from startup to RUN",
    0x4303: "STOP by the mode selector",
    0x4304: "STOP by a programming device or SFB 20",
    0x4305: "HOLD: breakpoint reached",
    0x4306: "HOLD: breakpoint left",
    0x4307: "memory reset by a programming device",
    0x4308: "memory reset by the mode selector",
    0x4309: "memory reset after unbuffered power on",
    0x430A: "from HOLD to STOP",
    0x430D: "STOP by another CPU",
    0x430E: "memory reset done",
    0x430F: "STOP of a module by the STOP of a CPU",
}
"""Of class 4, events that anybody looks for first."""
_SENT: Final = (
    ("usend urcv send rcv bsend brcv get put", "print abort initiate start stop resume status ustatus"),
    ("pi read write load load_me alarm alarm_8 alarm_8p", "notify ar_send"),
    ("", ""),
    ("x_send x_rcv x_get x_put x_abort i_get i_put i_abort", "scan_send alarm_sq alarm_s alarm_sc"),
)
_BLOCK_CALLS: Final[tuple[Field, ...]] = tuple(
    (f"services_{2 * i + j}", 1, _bits(*names.split())) for i, pair in enumerate(_SENT) for j, names in enumerate(pair)
)
_TEST: Final = (
    "- block_status variable_status istack bstack lstack time_measurement force_selection",
    "modify_variable force breakpoint exit_hold memory_reset disable_job enable_job delete_job",
    "read_job_list read_job replace_job block_status_2 - - flash_led",
)
_CYCLIC: Final = (
    "read_once write_once cyclic_implicit cyclic_explicit start_cyclic stop_cyclic clear_cyclic",
    "- - - - periphery inputs outputs memory",
    "data_blocks data_records - - - - - counters",
    "timers iec_counters iec_timers hs_counters",
)
_TRIGGERS: Final = (
    "immediate system_trigger cycle_start cycle_end run_to_stop after_code_address code_range data_address",
    "data_range local_address local_range range_trigger before_code_address",
)


def _bit_fields(prefix: str, rows: tuple[str, ...]) -> tuple[Field, ...]:
    names = [["" if name == "-" else name for name in row.split()] for row in rows]
    return tuple((f"{prefix}_{i}", 1, _bits(*row)) for i, row in enumerate(names))


def _time_base(raw: bytes) -> Shown:
    """A time of twelve bits; the upper four are its base."""
    return {"value": _number(raw) & 0xFFF, "base": _number(raw) >> 12}


def event(raw: bytes) -> Shown:
    """The id of a diagnostic event: class, number, coming or going."""
    word = _number(raw)
    return {
        "id": f"0x{word:04x}",
        "class": _EVENT_CLASSES.get(word >> 12, str(word >> 12)),
        "coming": bool(word & 0x100),
        "in_buffer": bool(word & 0x200),
        "internal_error": bool(word & 0x400),
        "external_error": bool(word & 0x800),
        "number": word & 0xFF,
        "meaning": _EVENTS.get(word),
    }


DIAGNOSTIC: Final[tuple[Field, ...]] = (
    ("event", 2, event),
    *_fields("priority_class ob", 1),
    *_fields("data_id info_1"),
    ("info_2", 4, _number),
    ("time", 8, date_and_time),
)
_MODE: Final[tuple[Field, ...]] = (
    ("event", 2, event),
    ("ae", 1, _number),
    ("mode", 1, _low(_MODES)),
    ("reserved", 4, bytes.hex),
    ("start_info_1", 1, _number),
    ("start_allowed", 1, _name(STARTS)),
    ("start_info_3", 1, _number),
    ("last_start", 1, _name(STARTS)),
    ("time", 8, date_and_time),
)
_PROTECTION: Final[tuple[Field, ...]] = (
    _INDEX,
    *_fields("protection_by_selector protection_by_parameter protection_effective"),
    ("mode_selector", 2, _name(_SELECTOR)),
    ("start_selector", 2, _name({0: "unknown", 1: "cold_restart", 2: "warm_restart"})),
    *_fields("reserved valid_checksums"),
    # Compared with each other and with nothing else, so their byte order does not matter (tshark shows them swapped).
    ("hardware_checksums", 4, bytes.hex),
    ("program_checksums", 4, bytes.hex),
)
_LED: Final[tuple[Field, ...]] = (
    ("rack", 1, lambda raw: raw[0] & 7),
    ("led", 1, _name(LEDS)),
    ("on", 1, _number),
    ("flashing", 1, _name(FLASHING)),
)
LAYOUTS: Final[dict[int, tuple[Field, ...]]] = {
    0x00: (("szl_id", 2, _number),),
    0x12: (("characteristic", 2, _number),),
    0x13: (
        ("area", 2, _name(_MEMORY_AREAS)),
        ("memory", 2, _name(_MEMORY)),
        ("bytes", 4, _number),
        ("mode", 2, _bits("volatile", "non_volatile", "mixed", "code_and_data_apart", "code_and_data_together")),
        ("granularity", 2, _number),
        *_fields("bytes_1 used_1 largest_free_1 bytes_2 used_2 largest_free_2", 4),
    ),
    0x14: (("area", 2, _name(_SYSTEM_AREAS)), ("memory", 2, _name(_MEMORY)), *_fields("quantity retentive")),
    0x15: (("block_type", 2, _name(_BLOCKS)), *_fields("maximum maximum_kbytes"), ("maximum_nesting", 4, _number)),
    0x19: _LED,
    0x24: _MODE,
    0x74: _LED,
    0xA0: DIAGNOSTIC,
}
"""By the number of the partial list; the previous mode is added to 0x24 by its reader."""
BY_INDEX: Final[dict[tuple[int, int], tuple[Field, ...]]] = {
    (0x31, 1): (_INDEX, *_fields("pdu_bytes connections"), *_fields("mpi_bps communication_bus_bps", 4)),
    (0x31, 2): (
        _INDEX,
        *_bit_fields("functions", _TEST),
        *_fields("functions_3 functions_4 functions_5", 1),
        ("aseg", 6, bytes.hex),
        ("eseg", 6, bytes.hex),
        *_bit_fields("triggers", _TRIGGERS),
        *_fields("triggers_2 trigger_conditions path depth system_triggers result_parameters", 1),
        *_fields("result_1 result_2 force_variables times"),
    ),
    (0x31, 3): (
        _INDEX,
        *_bit_fields("functions", _CYCLIC),
        *_fields("data_bytes jobs shortest_period longest_period"),
    ),
    (0x31, 5): (
        _INDEX,
        *_bit_fields("functions", ("- diagnostic_buffer system user status evaluate interrupt",)),
        *_fields(" ".join(f"functions_{i}" for i in range(1, 8)), 1),
        *_fields("senders receivers messages"),
    ),
    (0x31, 6): (_INDEX, *_BLOCK_CALLS),
    (0x31, 7): (
        _INDEX,
        *_bit_fields("functions", ("cyclic gd_send gd_receive", "")),
        *_bit_fields("objects", ("memory inputs outputs timers counters data_blocks", "")),
        *_fields("consistent_bytes senders receivers time project alarm mode circles", 1),
        *_fields("send_1 send_2 receive_1 receive_2 length_1 length_2 length_3", 1),
    ),
    (0x31, 8): (
        _INDEX,
        *((name, 2, _time_base) for name in (
            "last_1", "last_2", "last_3", "memory", "inputs_outputs", "timers_counters", "data_blocks", "local_data",
            "registers", "status_1", "status_2", "status_3", "accumulators", "address_registers", "db_registers",
        )),
    ),
    (0x31, 9): (
        _INDEX,
        *_bit_fields("sync", ("neutral slave master",) * 3),
        ("reserved", 1, _number),
        *_fields("deviation_buffered deviation_powered hour_meters"),
    ),
    (0x31, 0x10): (
        _INDEX,
        *_bit_fields("functions", ("group_status scan notify send_archive", "")),
        *_bit_fields("message_areas", ("inputs outputs memory data_blocks", "")),
        *_bit_fields("value_areas", ("inputs outputs memory data_blocks", "")),
        *_bit_fields("value_types", ("bit byte word dword timer counter array_of_char", "")),
        ("archives", 2, _number),
    ),
    (0x32, 1): (
        _INDEX,
        *_fields("reserved_pg reserved_os used_pg used_os configured open free used load_percent"),
    ),
    (0x32, 2): (_INDEX, *_fields("test_jobs")),
    (0x32, 4): _PROTECTION,
    (0x32, 5): (_INDEX, *_fields("extended sent possible loaded")),
    (0x32, 6): (_INDEX, *_BLOCK_CALLS),
    (0x32, 8): (
        _INDEX,
        *_fields("cycle correction " + " ".join(f"hour_meter_{i}" for i in range(8))),
        ("time", 8, date_and_time),
    ),
    (0x32, 0x0B): (
        _INDEX,
        *_fields("running_low running_high overflow_low overflow_high", 1),
        *_fields(" ".join(f"hour_meter_{i}" for i in range(8)), 4),
    ),
    (0x32, 0x0C): (
        _INDEX,
        *_fields("running_low running_high overflow_low overflow_high", 1),
        *_fields(" ".join(f"hour_meter_{i}" for i in range(8, 16)), 4),
    ),
}  # fmt: skip
"""By partial list and the index at the start of the record."""
MODES: Final = _MODES


def read(record: bytes, layout: tuple[Field, ...]) -> dict[str, Shown]:
    """The fields that are whole in `record`."""
    found: dict[str, Shown] = {}
    pos = 0
    for name, size, shown in layout:
        raw = record[pos : pos + size]
        if len(raw) < size:
            break
        found[name] = shown(raw)
        pos += size
    return found
