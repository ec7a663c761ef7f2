"""S7: tshark's fields of alarms, programmer commands and status lists (SZL) beside `s7comm` of a message record."""

from typing import Any, Final

from otmon.opinion.rows import Record, Row, bcd_time, has, number, octets, plain
from otmon.protocols.s7comm.szl_records import FLASHING, LEDS, MODES, STARTS
from otmon.protocols.s7comm.tables import userdata_function

_ALARM_TYPES: Final = {1: "scan", 2: "alarm_8", 4: "alarm_s"}
_SUBSCRIBED: Final = {
    0: "scan_abort", 1: "scan_initiate", 4: "alarm_abort", 5: "alarm_initiate", 8: "alarm_s_abort",
    9: "alarm_s_initiate",
}  # fmt: skip
_QUERIES: Final = {1: "by_alarm_type", 3: "by_event_id"}


def _by_name(names: dict[int, str]) -> Any:
    """A number by otmon's name, or as it is."""
    return lambda text: names.get(number(text), str(number(text)))


def _object_count(record: Record) -> list[int]:
    """The number of s7comm.objects[]."""
    body = record["s7comm"]
    return [len(body["objects"])] if "objects" in body and "alarm_function" in body else []


def _variable_count(record: Record) -> list[int]:
    """The number of s7comm.variables[] of a request."""
    variables = record["s7comm"].get("variables")
    return [len(variables)] if variables is not None and record["kind"] == "request" else []


def _job(text: str) -> str:
    return userdata_function(1, number(text)).name


def _parameter(i: int) -> Any:
    return lambda words: words[i] if i < len(words) else None


_LISTED: Final = "s7comm.alarms[]"
_OBJECT: Final = "s7comm.objects[]"
_STATE: Final = {
    "event_id": "event_id",
    "eventstate": "event_state",
    "state": "state",
    "ack_state.going": "ack_state_going",
    "ack_state.coming": "ack_state_coming",
}
ALARMS: Final = (
    Row("s7comm.alarm.function", "s7comm.alarm_function"),
    Row("s7comm.alarm.nr_objects", _object_count),
    Row("s7comm.alarm.nr_add_values", f"{_OBJECT}.value_count"),
    *(Row(f"s7comm.alarm.{theirs}", f"{_OBJECT}.{ours}", f"{_LISTED}.{ours}") for theirs, ours in _STATE.items()),
    Row("s7comm.alarm.query.querytype", f"{_OBJECT}.query", as_theirs=_by_name(_QUERIES)),
    Row(
        "s7comm.alarm.query.alarmtype",
        "s7comm.objects[query=by_alarm_type].alarm_type",
        f"{_LISTED}.alarm_type",
        as_theirs=_by_name(_ALARM_TYPES),
    ),
    Row("s7comm.alarm.query.complete_length", "s7comm.alarm_bytes"),
    Row("s7comm.cpu.msg.events", "s7comm.events_raw"),
    Row("s7comm.cpu.msg.events.modetrans", "s7comm.events", as_ours=has("mode_transition")),
    Row("s7comm.cpu.msg.events.system", "s7comm.events", as_ours=has("system_diagnostics")),
    Row("s7comm.cpu.msg.events.userdefined", "s7comm.events", as_ours=has("user_defined")),
    Row("s7comm.cpu.msg.events.alarms", "s7comm.events", as_ours=has("alarms")),
    Row("s7comm.cpu.msg.username", "s7comm.user", as_theirs=plain),
    Row("s7comm.cpu.msg.almtype", "[userdata=4/2].s7comm.alarm_type", as_theirs=_by_name(_SUBSCRIBED)),
    Row("s7comm.cpu.msg.res_result", "s7comm.result"),
)
_ASKED: Final = "[kind=request].s7comm.parameters"
_VARIABLE: Final = "[kind=request].s7comm.variables[]"
PROGRAMMER: Final = (
    *(Row(f"s7comm.tis.param{i + 1}", _ASKED, as_ours=_parameter(i)) for i in (0, 1, 2, 4, 5, 6, 7, 8)),
    Row("s7comm.tis.answersize", _ASKED, as_ours=_parameter(3)),
    Row("s7comm.varstat.item_count", _variable_count),
    Row("s7comm.varstat.req.memory_area", f"{_VARIABLE}.area_raw"),
    Row("s7comm.varstat.req.repetition_factor", f"{_VARIABLE}.count"),
    Row("s7comm.varstat.req.bitpos", f"{_VARIABLE}.bit"),
    Row("s7comm.varstat.req.db_number", f"{_VARIABLE}.db"),
    Row("s7comm.varstat.req.startaddress", f"{_VARIABLE}.address"),
    Row("s7comm.varstat.trgevent", _ASKED, as_ours=_parameter(9)),
    Row("s7comm.tis.res.param1", "[kind=response].s7comm.parameters", as_ours=_parameter(0)),
    Row("s7comm.tis.res.param2", "[kind=response].s7comm.parameters", as_ours=_parameter(1)),
    Row("s7comm.tis.job.function", "s7comm.jobs[].function", as_theirs=_job),
    Row("s7comm.tis.job.response_seq_num", "[kind=response].s7comm.jobs[].sequence"),
)

# --- status lists --------------------------------------------------------------------------------------------------
_CYCLIC: Final = "s7comm[szl_id=305].entries[index=3]"
_CALLS: Final = "s7comm.entries[index=6]"
_MESSAGES: Final = "s7comm[szl_id=305].entries[index=16]"
_PROTECTED: Final = "s7comm[szl_id=306].entries[index=4]"
_CLOCK: Final = "s7comm.entries[index=8]"
_MODE: Final = "s7comm[szl=operating_mode].entries[]"
_TIME: Final = "s7comm[szl_id=305].entries[index=9]"
_LED: Final = "s7comm[szl=leds,leds_status].entries[]"
_COMPONENT: Final = "s7comm.components"
_BITS: Final = {
    ("0131.0003.funkt_0", f"{_CYCLIC}.functions_0"): {
        "read_once": "read_once", "write_once": "write_once", "init_cycl_read_impl": "cyclic_implicit",
        "init_cycl_read_expl": "cyclic_explicit", "start_cycl_read": "start_cyclic", "stop_cycl_read": "stop_cyclic",
    },
    ("0131.0002.funkt_0", f"{_CYCLIC}.functions_0"): {"clr_cycl_read": "clear_cyclic"},
    ("0131.0003.funkt_1", f"{_CYCLIC}.functions_1"): {"periph_io": "periphery", "inputs": "inputs"},
    ("0131.0002.funkt_1", f"{_CYCLIC}.functions_1"): {"outputs": "outputs", "bit_mem": "memory"},
    ("0131.0003.funkt_2", f"{_CYCLIC}.functions_2"): {"user_db": "data_blocks", "data_rec": "data_records"},
    ("0131.0002.funkt_2", f"{_CYCLIC}.functions_2"): {"s7_counter": "counters"},
    ("0131.0003.funkt_3", f"{_CYCLIC}.functions_3"): {
        "s7_timer": "timers", "iec_counter": "iec_counters", "iec_timer": "iec_timers", "hs_counter": "hs_counters",
    },
    ("0131.0006.funkt_0", f"{_CALLS}.services_0"): {
        name: name for name in ("usend", "urcv", "send", "rcv", "bsend", "brcv", "get", "put")
    },
    ("0131.0006.funkt_1", f"{_CALLS}.services_1"): {
        name: name for name in ("print", "abort", "initiate", "start", "stop", "resume", "status", "ustatus")
    },
    ("0131.0006.funkt_2", f"{_CALLS}.services_2"): {
        name: name for name in ("pi", "read", "write", "load", "load_me", "alarm", "alarm_8", "alarm_8p")
    },
    ("0131.0006.funkt_3", f"{_CALLS}.services_3"): {name: name for name in ("notify", "ar_send")},
    ("0131.0006.funkt_6", f"{_CALLS}.services_6"): {
        name: name for name in ("x_send", "x_rcv", "x_get", "x_put", "x_abort", "i_get", "i_put", "i_abort")
    },
    ("0131.0006.funkt_7", f"{_CALLS}.services_7"): {
        "scan_snd": "scan_send", "alarm_sq": "alarm_sq", "alarm_s": "alarm_s", "alarm_sc": "alarm_sc",
    },
    **{
        (f"0131.0009.sync_{bus}", f"{_TIME}.sync_{i}"): {name: name for name in ("neutral", "slave", "master")}
        for i, bus in enumerate(("k", "mpi", "mfi"))
    },
    ("0131.0010.funk_1", f"{_MESSAGES}.functions_0"): {
        "grp_status_msg": "group_status", "scan_possible": "scan", "notify_alarm": "notify", "send_arc": "send_archive",
    },
    ("0131.0010.ber_meld_1", f"{_MESSAGES}.message_areas_0"): {
        "pii": "inputs", "piq": "outputs", "m": "memory", "db": "data_blocks",
    },
    ("0131.0010.ber_zus_1", f"{_MESSAGES}.value_areas_0"): {
        "pii": "inputs", "piq": "outputs", "m": "memory", "db": "data_blocks",
    },
    ("0131.0010.typ_zus_1", f"{_MESSAGES}.value_types_0"): {
        "bit": "bit", "byte": "byte", "word": "word", "dword": "dword", "timer": "timer", "counter": "counter",
        "array_char": "array_of_char",
    },
}  # fmt: skip
"""(tshark's list, record and octet; otmon's list of names) -> tshark's bit: otmon's name. Wireshark 4.0 takes some bits
of record 3 from record 2, which has other names for them."""
_NUMBERS: Final = {
    "0131.0001": ("s7comm[szl_id=305].entries[index=1]", {
        "index": "index", "pdu": "pdu_bytes", "anz": "connections", "mpi_bps": "mpi_bps",
        "kbus_bps": "communication_bus_bps",
    }),
    "0131.0003": (_CYCLIC, {
        "index": "index", "data": "data_bytes", "anz": "jobs", "per_min": "shortest_period",
        "per_max": "longest_period",
    }),
    "0131.0010": (_MESSAGES, {
        "index": "index", "funk_2": "functions_1", "ber_meld_2": "message_areas_1", "ber_zus_2": "value_areas_1",
        "typ_zus_2": "value_types_1",
    }),
    "0131.0009": (_TIME, {
        "index": "index", "abw_puf": "deviation_buffered", "abw_5v": "deviation_powered", "anz_bsz": "hour_meters",
    }),
    "0132.0010": (_MESSAGES, {"maxanz_arch": "archives"}),
    "0132.0004": (_PROTECTED, {
        "index": "index", "key": "protection_by_selector", "param": "protection_by_parameter",
        "real": "protection_effective",
    }),
    "0132.0006": (_CALLS, {"index": "index"}),
    "0132.0008": (_CLOCK, {
        "index": "index", "zykl": "cycle", "korr": "correction",
    } | {f"clock{i}": f"hour_meter_{i}" for i in range(8)}),
    "0424.0000": (_MODE, {
        "ae": "ae", "anlinfo1": "start_info_1", "anlinfo3": "start_info_3",
    }),
    "xy11.0001": ("s7comm.modules[]", {"index": "index", "bgtyp": "module_type"}),
}  # fmt: skip
"""tshark's list and record -> otmon's path, tshark's number: otmon's."""
_SELECTOR: Final = {0: "unknown", 1: "run", 2: "run_p", 3: "stop", 4: "memory_reset"}
_START_SELECTOR: Final = {0: "unknown", 1: "cold_restart", 2: "warm_restart"}


def _word(place: int) -> Any:
    """One of the two words of a version."""
    return lambda raw: int(raw[4 * place : 4 * place + 4], 16)


def _swapped(place: int) -> Any:
    """One of the two words of a check sum, low byte first as tshark shows them."""
    return lambda raw: int.from_bytes(bytes.fromhex(raw[4 * place : 4 * place + 4]), "little")


LISTS: Final = (
    Row("s7comm.data.userdata.szl_id", "s7comm.szl_id"),
    Row("s7comm.data.userdata.szl_index", "s7comm.szl_index"),
    Row("s7comm.data.userdata.szl_id.partlist_len", "s7comm.record_bytes"),
    Row("s7comm.data.userdata.szl_id.partlist_cnt", "[rosctr=7].s7comm.records"),
    Row("s7comm.param.userdata.szl_part_list", "s7comm.entries[].raw", as_theirs=octets),
    Row("s7comm.szl.0000.0000.szl_id", "s7comm[szl=szl_list].entries[].szl_id"),
    Row("s7comm.szl.xy11.0001.anz", "s7comm.modules[].order_number", as_theirs=plain),
    Row("s7comm.szl.xy11.0001.ausbg", "s7comm.modules[].version_raw", as_ours=_word(0)),
    Row("s7comm.szl.xy11.0001.ausbe", "s7comm.modules[].version_raw", as_ours=_word(1)),
    Row("s7comm.szl.001c.0001.name", f"{_COMPONENT}.system_name", as_theirs=plain),
    Row("s7comm.szl.001c.0002.name", f"{_COMPONENT}.module_name", as_theirs=plain),
    Row("s7comm.szl.001c.0003.tag", f"{_COMPONENT}.plant_identification", as_theirs=lambda text: plain(text) or None),
    Row("s7comm.szl.001c.0004.copyright", f"{_COMPONENT}.copyright", as_theirs=plain),
    Row("s7comm.szl.001c.0005.serialn", f"{_COMPONENT}.serial_number", as_theirs=plain),
    Row("s7comm.szl.001c.0007.cputypname", f"{_COMPONENT}.module_type", as_theirs=plain),
    Row("s7comm.szl.001c.0008.snmcmmc", f"{_COMPONENT}.memory_card_serial", as_theirs=plain),
    Row("s7comm.szl.001c.0009.manufacturer_id", f"{_COMPONENT}.manufacturer", as_theirs=_by_name({42: "Siemens AG"})),
    Row(
        "s7comm.szl.001c.000a.oem_copyright_string",
        f"{_COMPONENT}.oem_identification",
        as_theirs=lambda text: plain(text) or None,
    ),
    Row("s7comm.szl.001c.000b.loc_id", f"{_COMPONENT}.location", as_theirs=lambda text: plain(text) or None),
    Row("s7comm.szl.0132.0004.bart_sch", f"{_PROTECTED}.mode_selector", as_theirs=_by_name(_SELECTOR)),
    Row("s7comm.szl.0132.0004.crst_wrst", f"{_PROTECTED}.start_selector", as_theirs=_by_name(_START_SELECTOR)),
    Row("s7comm.szl.0132.0004.ken_f", f"{_PROTECTED}.reserved"),
    Row("s7comm.szl.0132.0004.ken_rel", f"{_PROTECTED}.valid_checksums"),
    Row("s7comm.szl.0132.0004.ken_ver1_hw", f"{_PROTECTED}.hardware_checksums", as_ours=_swapped(0)),
    Row("s7comm.szl.0132.0004.ken_ver2_hw", f"{_PROTECTED}.hardware_checksums", as_ours=_swapped(1)),
    Row("s7comm.szl.0132.0004.ken_ver1_awp", f"{_PROTECTED}.program_checksums", as_ours=_swapped(0)),
    Row("s7comm.szl.0132.0004.ken_ver2_awp", f"{_PROTECTED}.program_checksums", as_ours=_swapped(1)),
    Row("s7comm.szl.0132.0008.time", f"{_CLOCK}.time", as_theirs=bcd_time),
    Row("s7comm.szl.xy74.0000.cpu_led_id.rackno", f"{_LED}.rack"),
    Row("s7comm.szl.xy74.0000.cpu_led_id.id", f"{_LED}.led", as_theirs=_by_name(LEDS)),
    Row("s7comm.szl.xy74.0000.led_on", f"{_LED}.on"),
    Row("s7comm.szl.xy74.0000.led_blink", f"{_LED}.flashing", as_theirs=_by_name(FLASHING)),
    Row("s7comm.szl.0424.0000.ereig", f"{_MODE}.event.id", as_ours=number),
    Row("s7comm.szl.0424.0000.bzu_id.req", f"{_MODE}.mode", as_theirs=_by_name(MODES)),
    Row("s7comm.szl.0424.0000.bzu_id.pre", f"{_MODE}.previous_mode", as_theirs=_by_name(MODES)),
    Row("s7comm.szl.0424.0000.anlinfo2", f"{_MODE}.start_allowed", as_theirs=_by_name(STARTS)),
    Row("s7comm.szl.0424.0000.anlinfo4", f"{_MODE}.last_start", as_theirs=_by_name(STARTS)),
    Row("s7comm.szl.0424.0000.time", f"{_MODE}.time", as_theirs=bcd_time),
    *(
        Row(f"s7comm.szl.{where}.{theirs}", f"{path}.{ours}")
        for where, (path, names) in _NUMBERS.items()
        for theirs, ours in names.items()
    ),
    *(
        Row(f"s7comm.szl.{octet}.{theirs}", path, as_ours=has(ours))
        for (octet, path), names in _BITS.items()
        for theirs, ours in names.items()
    ),
)
_EVENT_BITS: Final = {
    "entleave": "coming", "diagbuf": "in_buffer", "interr": "internal_error", "exterr": "external_error",
}  # fmt: skip


def _diagnosis(*names: str) -> Any:
    """A field of entries of the diagnostic buffer, or of the message that a PLC sends of one."""

    def read(record: Record) -> list[Any]:
        body = record["s7comm"]
        told = record.get("userdata") == "4/3" and record["kind"] == "unsolicited"
        found = [body] if told else body.get("entries", ()) if body.get("szl") == "diagnostic_buffer" else ()
        for name in names:
            found = [one[name] for one in found if name in one]
        return list(found)

    read.__doc__ = f"s7comm.{'.'.join(names)} of entries of the diagnostic buffer, and of userdata 4/3."
    return read


_DIAGNOSIS: Final = {
    "prioclass": "priority_class", "obnumber": "ob", "datid": "data_id", "info1": "info_1", "info2": "info_2",
}  # fmt: skip
DIAGNOSES: Final = (
    Row("s7comm.cpu.diag_msg.eventid", _diagnosis("event", "id"), as_ours=number),
    Row("s7comm.cpu.diag_msg.eventid.class", _diagnosis("event", "id"), as_ours=lambda text: number(text) >> 12),
    Row("s7comm.cpu.diag_msg.eventid.nr", _diagnosis("event", "number")),
    *(
        Row(f"s7comm.cpu.diag_msg.eventid.ident.{theirs}", _diagnosis("event", ours))
        for theirs, ours in _EVENT_BITS.items()
    ),
    *(Row(f"s7comm.cpu.diag_msg.{theirs}", _diagnosis(ours)) for theirs, ours in _DIAGNOSIS.items()),
)
ROWS: Final = (*ALARMS, *PROGRAMMER, *LISTS, *DIAGNOSES)

_RESERVED: Final = "reserved, or not known what it means"
_BIT: Final = "a bit of an octet that is compared whole"
_OCTET: Final = "the octet whose bits are compared one by one"
_PART: Final = "a part of a number that is compared whole"
_LENGTH: Final = "the length of what follows, which what follows shows"
_UNNAMED: Final = "not in otmon's records, which keep what tells devices and their state apart"
NOT_COMPARED: Final = {
    **{f"s7comm.alarm.signal.sig{i}": _BIT for i in range(1, 9)},
    "s7comm.alarm.query.dataset_length": _LENGTH,
    "s7comm.alarm.query.resunknown1": _RESERVED,
    "s7comm.alarm.query.unknown1": _RESERVED,
    "s7comm.alarm.query.unknown2": _RESERVED,
    "s7comm.cpu.msg.req_reserved1": _RESERVED,
    "s7comm.cpu.msg.req_reserved2": _RESERVED,
    "s7comm.cpu.msg.res_reserved1": _RESERVED,
    "s7comm.cpu.msg.res_reserved2": _RESERVED,
    "s7comm.cpu.msg.res_reserved3": _RESERVED,
    "s7comm.tis.parametersize": _LENGTH,
    "s7comm.tis.datasize": _LENGTH,
    "s7comm.tis.job.reserved": _RESERVED,
    "s7comm.data.userdata.szl_id.diag_type": _PART,
    "s7comm.data.userdata.szl_id.partlist_ex": _PART,
    "s7comm.data.userdata.szl_id.partlist_num": _PART,
    "s7comm.szl.001c.000x.index": "tells which component follows; otmon's have names",
    "s7comm.szl.001c.000x.res": _RESERVED,
    "s7comm.szl.001c.0009.profile_id": _UNNAMED,
    "s7comm.szl.001c.0009.profile_spec_typ": _UNNAMED,
    "s7comm.szl.001c.000a.oem_id": _UNNAMED,
    "s7comm.szl.001c.000a.oem_add_id": _UNNAMED,
    "s7comm.szl.0131.0001.res": _RESERVED,
    "s7comm.szl.0131.0003.res": _RESERVED,
    **{f"s7comm.szl.0131.0003.funkt_{i}": _OCTET for i in range(4)},
    **{f"s7comm.szl.0131.0003.funkt_1.bit{i}_res": _RESERVED for i in range(4)},
    **{f"s7comm.szl.0131.0003.funkt_2.bit{i}_res": _RESERVED for i in (2, 3, 4, 5)},
    **{f"s7comm.szl.0131.0003.funkt_3.bit{i}_res": _RESERVED for i in (4, 5)},
    "s7comm.szl.0131.0002.funkt_0.bit7_res": _RESERVED,
    "s7comm.szl.0131.0002.funkt_2.bit6_res": _RESERVED,
    "s7comm.szl.0131.0002.funkt_3.bit6_res": _RESERVED,
    "s7comm.szl.0131.0002.funkt_3.bit7_res": _RESERVED,
    **{f"s7comm.szl.0131.0006.funkt_3.bit{i}_res": _RESERVED for i in (2, 3, 4, 5, 6, 7)},
    "s7comm.szl.0131.0006.funkt_7.bit7_res": _RESERVED,
    **{f"s7comm.szl.0131.0006.funkt_7.{name}": _UNNAMED for name in ("en_msg", "dis_msg", "control")},
    **{f"s7comm.szl.0131.0009.sync_{bus}": _OCTET for bus in ("k", "mpi", "mfi")},
    "s7comm.szl.0131.0009.res1": _RESERVED,
    "s7comm.szl.0131.0009.res2": _RESERVED,
    "s7comm.szl.xy74.0000.cpu_led_id": _OCTET,
    "s7comm.szl.xy74.0000.cpu_led_id.cputype": _UNNAMED,
    "s7comm.szl.0131.0010.funk_1": _OCTET,
    "s7comm.szl.0131.0010.ber_meld_1": _OCTET,
    "s7comm.szl.0131.0010.ber_zus_1": _OCTET,
    "s7comm.szl.0131.0010.typ_zus_1": _OCTET,
    "s7comm.szl.0131.0010.res": _RESERVED,
    **{
        f"s7comm.szl.0131.0010.{octet}.bit{i}_res": _RESERVED
        for octet in ("funk_1", "ber_meld_1", "ber_zus_1")
        for i in (4, 5, 6, 7)
    },
    "s7comm.szl.0131.0010.typ_zus_1.bit7_res": _RESERVED,
    "s7comm.szl.0132.0004.res": _RESERVED,
    **{f"s7comm.szl.0132.0006.used_{i}": _OCTET for i in range(8)},
    "s7comm.szl.0132.0006.anz_schnell": _UNNAMED,
    "s7comm.szl.0132.0006.anz_inst": _UNNAMED,
    "s7comm.szl.0132.0006.anz_multicast": _UNNAMED,
    "s7comm.szl.0132.0006.res": _RESERVED,
    "s7comm.szl.0132.0008.res": _RESERVED,
    "s7comm.szl.0424.0000.bzu_id": _OCTET,
    "s7comm.szl.0424.0000.res": _RESERVED,
}  # fmt: skip
