"""S7: tshark's fields of COTP and S7 communication beside `s7comm` of a message record."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from otmon.opinion.rows import Record, Row, bit, iso_ms, moment_ms, number, octets, plain
from otmon.protocols.s7comm.blocks import block_kind, language
from otmon.protocols.s7comm.tables import BLOCK_TYPES, DATA_TRANSPORT, FILE_SYSTEMS, READ_VAR

_TPDUS: Final = {
    "cotp_expedited_data": 1, "cotp_expedited_ack": 2, "cotp_reject": 5, "cotp_data_ack": 6, "cotp_error": 7,
    "cotp_disconnect_request": 8, "cotp_disconnect_confirm": 12, "cotp_connect_confirm": 13, "cotp_connect_request": 14,
}  # fmt: skip
"""Function -> upper half of the TPDU code (ISO 8073, 13); all else is data, 15."""
_BSEND: Final = 0x13
_WITH_TRANSPORT: Final = (0x00, 0x0A, 0xFF)
"""Return codes after which tshark looks at the transport size and the length."""
_SYNTAXES: Final = {"s7any": 0x10, "db_read": 0xB0}
_CODES: Final = {name: code for code, name in BLOCK_TYPES.items()}
_SYSTEMS: Final = {name: code for code, name in FILE_SYSTEMS.items()}
_MODE: Final = "0"
"""Group of userdata: what mode a PLC went over to."""
_KINDS: Final = {"unsolicited": 0, "request": 4, "response": 8}


# --- otmon's values ------------------------------------------------------------------------------------------------
def _tpdu(record: Record) -> list[int]:
    """function (data, where it is none of COTP's own)."""
    return [_TPDUS.get(record["function"], 15)]


def _destination(record: Record) -> list[int]:
    """s7comm.destination_reference (tshark: 0 in data units, which have none in class 0)."""
    return [record["s7comm"].get("destination_reference", 0)]


def _objects(record: Record) -> list[dict[str, Any]]:
    """Message objects of an alarm."""
    found: list[dict[str, Any]] = record["s7comm"].get("objects", [])
    return found


def _items(record: Record) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = record["s7comm"].get("items", [])
    return found


def _syntaxes(record: Record) -> list[int]:
    """s7comm.items[].syntax, s7comm.objects[].syntax_raw; 0x13 of a BSEND."""
    bsend = record.get("userdata") == "6/1" and "request_id" in record["s7comm"]
    return [_BSEND] * bsend + [
        item["syntax_raw"] if "syntax_raw" in item else _SYNTAXES[item["syntax"]]
        for item in (*_items(record), *_objects(record))
        if "syntax" in item
    ]


def _data(record: Record) -> Iterator[dict[str, Any]]:
    """Everything with a return code, in the order in which it stands in the message."""
    body = record["s7comm"]
    yield body
    if "return_code_list" in body:
        yield {"return_code": body["return_code_list"], "transport": "octets"}
    for one in (*body.get("values", ()), *_objects(record), *_items(record)):
        if isinstance(one, dict):
            yield from (one, one.get("written", {}))


def _return_codes(record: Record) -> list[int]:
    """return_code of s7comm, its items and what is written, objects and values."""
    return [one["return_code"] for one in _data(record) if "return_code" in one]


def _transports(record: Record) -> list[str]:
    """transport of the same, where there is one; of an item that was not read tshark repeats that of the one before."""
    found: list[str] = []
    read = record["function_code"] == READ_VAR and record["kind"] == "response"
    for one in _data(record):
        if one.get("transport") and "return_code" in one:
            stale = read and found and one["return_code"] not in _WITH_TRANSPORT
            found.append(found[-1] if stale else one["transport"])
    return found


def _raw(record: Record) -> list[str]:
    """raw of the same, and the data of a block."""
    body = record["s7comm"]
    if "block_header" in body or record["function_code"] in (0x1B, 0x1E):
        return [body["data"]] if "data" in body else []
    return [one["raw"] for one in _data(record) if one.get("raw") and "return_code" in one]


def _errors(record: Record) -> list[int]:
    """s7comm.error_code; where there is no parameter, with the error class before it."""
    body = record["s7comm"]
    if record.get("rosctr") == 7:
        return [body["error_code"]] if "error_code" in body else []
    code = body.get("error_class", 0) << 8 | body.get("error_code", 0)
    return [code] if record.get("rosctr") in (2, 3) and code else []


def _steps(record: Record) -> list[int]:
    """s7comm.status of a job, more and failed of an answer."""
    body = record["s7comm"]
    if record.get("rosctr") == 1 and 0x1A <= (record["function_code"] or 0) <= 0x1F:
        return [body["status"]] if "status" in body else []
    return [body["more"] | body["failed"] << 1] if record.get("rosctr") == 3 and "more" in body else []


def _files(record: Record) -> list[str]:
    """s7comm.file; of services block_type, block_number and file_system of s7comm.blocks[]."""
    body = record["s7comm"]
    if "file" in body:
        return [body["file"]]
    return [
        f"{_CODES[block['block_type']]}{block['block_number']:05}{_SYSTEMS.get(block['file_system'], '?')}"
        for block in body.get("blocks", ())
        if record["function_code"] == 0x28
        if "block_type" in block
    ]


def _argument(record: Record) -> list[str]:
    """s7comm.argument, where it is no list of blocks or strings."""
    body = record["s7comm"]
    return [body["argument"]] if body.get("argument") and not body.keys() & {"blocks", "arguments"} else []


def _service_blocks(record: Record) -> list[int]:
    """The number of s7comm.blocks[] of a service."""
    body = record["s7comm"]
    return [len(body["blocks"])] if record["function_code"] == 0x28 and "blocks" in body else []


def _counted(record: Record) -> list[int]:
    """s7comm.blocks, how many of each type."""
    return list(_block_counts(record).values())


def _block_counts(record: Record) -> dict[str, int]:
    blocks = record["s7comm"].get("blocks")
    return {str(_CODES.get(name, name)): n for name, n in blocks.items()} if isinstance(blocks, dict) else {}


def _block_types(record: Record) -> list[str]:
    """s7comm.blocks, of which types; of requests s7comm.block_type, or s7comm.block where it is one."""
    body = record["s7comm"]
    asked = body.get("block_type") or body.get("block")
    of_request = record.get("rosctr") == 7 and record["kind"] == "request" and asked in _CODES
    return [*_block_counts(record), *([_CODES[asked]] if of_request else [])]


def _subfunction(group: str, there: bool) -> Any:
    """The subfunction of userdata, which has a field of its own in one group."""

    def read(record: Record) -> list[int]:
        numbers = record.get("userdata", "").split("/")
        return [int(numbers[1])] if len(numbers) == 2 and (numbers[0] == group) == there else []

    read.__doc__ = f"userdata: the number behind the stroke, of group {group}{'' if there else ' alone not'}."
    return read


# --- tshark's texts ------------------------------------------------------------------------------------------------
def _digits(text: str) -> int | None:
    return int(text, 10) if text else None


def _block_code(text: str) -> str | None:
    """The answer to block_info begins with two bytes that are no text."""
    return text if text.isalnum() else None


def _local_ms(text: str) -> str:
    """`Dec  3, 2014 10:18:39.000` as ISO 8601."""
    when = datetime.strptime(" ".join(text.split()), "%b %d, %Y %H:%M:%S.%f")
    return when.isoformat(timespec="milliseconds")


def _named(names: Any) -> Any:
    """A number by otmon's name."""
    return lambda text: names(number(text))


_ANY: Final = "s7comm.items[syntax=s7any]"
_AREAS: Final = "[kind=request].s7comm.items[].areas[]"
_INFO: Final = "s7comm.info"
_TRANSFER: Final = "[function_code=26,27,28,29].s7comm"
_BUFFER: Final = "s7comm[szl=diagnostic_buffer].entries[]"
_SERVICE: Final = "[function_code=40].s7comm.blocks[]"
_ASKED: Final = "[rosctr=7 kind=request].s7comm"


def _item_address(item: dict[str, Any]) -> int | None:
    address: int | None = item.get("address")  # of one whose head lies about its length only the octets are told
    return address if address is None or item["bit"] is None else address << 3 | item["bit"]


ROWS: Final = (
    Row("cotp.type", _tpdu),
    Row("cotp.class", "s7comm.class"),
    Row("cotp.opts.extended_formats", "s7comm.options", as_ours=bit(1)),
    Row("cotp.opts.no_explicit_flow_control", "s7comm.options", as_ours=bit(0)),
    Row("cotp.destref", _destination),
    Row("cotp.srcref", "s7comm.source_reference"),
    Row("cotp.tpdu_size", "s7comm.tpdu_bytes"),
    Row("cotp.src-tsap-bytes", "s7comm.calling_tsap.raw", as_theirs=octets),
    Row("cotp.dst-tsap-bytes", "s7comm.called_tsap.raw", as_theirs=octets),
    Row("cotp.cause", "s7comm.reason"),
    Row("cotp.reject_cause", "s7comm.cause"),
    Row("s7comm.header.rosctr", "rosctr"),
    Row("s7comm.header.pduref", "s7comm.pdu_reference"),
    Row("s7comm.header.errcls", "s7comm.error_class"),
    Row("s7comm.header.errcod", "[rosctr=2,3].s7comm.error_code"),
    Row("s7comm.param.errcod", _errors),
    Row("s7comm.param.func", "[rosctr=1,2,3].function_code"),
    Row("s7comm.param.maxamq_calling", "s7comm.max_jobs_calling"),
    Row("s7comm.param.maxamq_called", "s7comm.max_jobs_called"),
    Row("s7comm.param.pdu_length", "s7comm.pdu_bytes"),
    Row("s7comm.param.item.syntaxid", _syntaxes),
    Row("s7comm.param.item.transp_size", f"{_ANY}.transport_raw"),
    Row("s7comm.param.item.length", f"{_ANY}.count"),
    Row("s7comm.param.item.db", f"{_ANY}.db"),
    Row("s7comm.param.item.area", f"{_ANY}.area_raw"),
    Row("s7comm.param.item.address", _ANY, as_ours=_item_address),
    Row("s7comm.param.item.dbread.db", f"{_AREAS}.db"),
    Row("s7comm.param.item.dbread.length", f"{_AREAS}.length"),
    Row("s7comm.param.item.dbread.startaddress", f"{_AREAS}.address"),
    Row("s7comm.data.returncode", _return_codes),
    Row("s7comm.data.transportsize", _transports, as_theirs=_named(DATA_TRANSPORT.get)),
    Row("s7comm.resp.data", _raw, as_theirs=lambda text: octets(text) or None),
    Row("s7comm.param.userdata.funcgroup", "userdata", as_ours=lambda text: int(text.partition("/")[0])),
    Row("s7comm.param.userdata.subfunc", _subfunction(_MODE, False)),
    Row("s7comm.param.modetrans.subfunc", _subfunction(_MODE, True)),
    Row("s7comm.param.userdata.type", "[rosctr=7].kind", as_ours=_KINDS.get),
    Row("s7comm.param.userdata.seq_num", "[rosctr=7].s7comm.sequence"),
    Row("s7comm.param.userdata.dataunitref", "s7comm.data_unit"),
    Row("s7comm.param.userdata.lastdataunit", "s7comm.last_data_unit", as_ours=lambda last: int(not last)),
    Row("s7comm.cyclic.interval_timebase", "s7comm.time_base"),
    Row("s7comm.cyclic.interval_time", "s7comm.time_factor"),
    Row("s7comm.cyclic.function", "s7comm.function_raw"),
    Row("s7comm.cyclic.job_id", "s7comm.job"),
    Row("s7comm.pbc.req.bsend.r_id", "[userdata=6/1].s7comm.request_id"),
    Row("s7comm.data.ts", "s7comm.clock", "s7comm.time", f"{_BUFFER}.time", as_theirs=moment_ms, as_ours=iso_ms),
    # Uploads, downloads and services on blocks
    Row("s7comm.param.blockcontrol.filename", _files, as_theirs=str),
    Row("s7comm.param.blockcontrol.functionstatus", _steps),
    Row("s7comm.param.blockcontrol.upl_lenstring", "s7comm.block_bytes", as_theirs=_digits),
    Row("s7comm.data.blockcontrol.uploadid", "[function_code=29,30,31].s7comm.upload_id"),
    Row("s7comm.data.blockcontrol.errorcode", "s7comm.transfer_error"),
    Row(
        "s7comm.data.blockcontrol.block_type",
        f"{_TRANSFER}.block_type",
        f"{_SERVICE}.block_type",
        as_theirs=BLOCK_TYPES.get,
    ),
    Row(
        "s7comm.data.blockcontrol.block_number",
        f"{_TRANSFER}.block_number",
        f"{_SERVICE}.block_number",
        as_theirs=_digits,
    ),
    Row(
        "s7comm.data.blockcontrol.dest_filesys",
        f"{_TRANSFER}.file_system",
        f"{_SERVICE}.file_system",
        as_theirs=FILE_SYSTEMS.get,
    ),
    Row("s7comm.data.blockcontrol.loadmem_len", "s7comm.load_memory_bytes", as_theirs=_digits),
    Row("s7comm.data.blockcontrol.mc7code_len", "s7comm.code_bytes", as_theirs=_digits),
    Row("s7comm.data.plccontrol.block_cnt", _service_blocks),
    Row("s7comm.param.pistart.servicename", "s7comm.service", as_theirs=str),
    Row("s7comm.param.pistart.argument", _argument, as_theirs=str),
    # What there is of blocks
    Row("s7comm.blockinfo.blocktype", _block_types, as_theirs=_block_code, in_order=False),
    Row("s7comm.blockinfo.block_count", _counted, in_order=False),
    Row("s7comm.data.blockinfo.block_number", f"{_ASKED}.block_number", as_theirs=_digits),
    Row("s7comm.data.blockinfo.filesys", f"{_ASKED}.file_system", as_theirs=FILE_SYSTEMS.get),
    Row("s7comm.blockinfo.block_num", "[rosctr=7 kind=response].s7comm.blocks[].block_number", f"{_INFO}.block_number"),
    Row("s7comm.blockinfo.flags", "s7comm.blocks[].attributes"),
    Row("s7comm.blockinfo.block_lang", "s7comm.blocks[].language", f"{_INFO}.language", as_theirs=_named(language)),
    Row("s7comm.param.userdata.blockinfo.flags", f"{_INFO}.attributes"),
    Row("s7comm.param.userdata.blockinfo.linked", f"{_INFO}.linked"),
    Row("s7comm.param.userdata.blockinfo.standard_block", f"{_INFO}.standard_block"),
    Row("s7comm.param.userdata.blockinfo.nonretain", f"{_INFO}.non_retain"),
    Row("s7comm.blockinfo.subblk_type", f"{_INFO}.block_type", as_theirs=_named(block_kind)),
    Row("s7comm.blockinfo.load_mem_len", f"{_INFO}.load_memory_bytes"),
    Row(
        "s7comm.blockinfo.blocksecurity",
        f"{_INFO}.protection",
        as_theirs=lambda text: {"0": "none", "3": "know_how"}.get(text, text),
    ),
    Row("s7comm.blockinfo.code_timestamp", f"{_INFO}.code_time", as_theirs=_local_ms),
    Row("s7comm.blockinfo.interface_timestamp", f"{_INFO}.interface_time", as_theirs=_local_ms),
    Row("s7comm.blockinfo.ssb_len", f"{_INFO}.ssb_bytes"),
    Row("s7comm.blockinfo.add_len", f"{_INFO}.additional_bytes"),
    Row("s7comm.blockinfo.localdata_len", f"{_INFO}.local_data_bytes"),
    Row("s7comm.blockinfo.mc7_len", f"{_INFO}.mc7_bytes"),
    Row("s7comm.blockinfo.author", f"{_INFO}.author", as_theirs=plain),
    Row("s7comm.blockinfo.family", f"{_INFO}.family", as_theirs=plain),
    Row("s7comm.blockinfo.headername", f"{_INFO}.name", as_theirs=plain),
    Row("s7comm.blockinfo.headerversion", f"{_INFO}.version", as_theirs=str),
    Row("s7comm.blockinfo.checksum", f"{_INFO}.checksum"),
)

_LENGTH: Final = "the length or number of what follows, which what follows shows"
_CONSTANT: Final = "always the same: what is known of it is that it has no other value"
_RESERVED: Final = "reserved, or not known what it means"
_PART: Final = "a part of a value that is compared whole"
_TOGETHER: Final = "derived: how tshark put an answer in several messages together; otmon shows each message"
NOT_COMPARED: Final = {
    "cotp.li": _LENGTH,
    "cotp.parameter_code": "a parameter's code: its value is compared",
    "cotp.parameter_length": _LENGTH,
    "cotp.eot": "1, or the unit is a part of a message, and compared with it",
    "cotp.tpdu-number": "always 0 in class 0 (ISO 8073, 13.7)",
    "cotp.segment_data": "derived: the bytes that the unit carries",
    "cotp.segment": _TOGETHER,
    "cotp.segment.count": _TOGETHER,
    "cotp.reassembled.length": _TOGETHER,
    "cotp.reassembled_in": _TOGETHER,
    "cotp.src-tsap": "text form of cotp.src-tsap-bytes",
    "cotp.dst-tsap": "text form of cotp.dst-tsap-bytes",
    "cotp.disconnect_request": "text: what cotp.type says",
    "cotp.disconnect_confirm": "text: what cotp.type says",
    "s7comm.header.protid": "0x32, else it is no S7comm",
    "s7comm.header.redid": "reserved: otmon flags it where it is not 0",
    "s7comm.header.parlg": _LENGTH,
    "s7comm.header.datlg": _LENGTH,
    "s7comm.param.setup_reserved1": _RESERVED,
    "s7comm.param.itemcount": _LENGTH,
    "s7comm.param.item.varspec": "0x12, else otmon shows the item as bytes",
    "s7comm.param.item.varspec_length": _LENGTH,
    "s7comm.param.item.address.byte": _PART,
    "s7comm.param.item.address.bit": _PART,
    "s7comm.param.item.address.number": _PART,
    "s7comm.param.item.dbread.numareas": _LENGTH,
    "s7comm.data.length": _LENGTH,
    "s7comm.pbc.req.bsend.len": _LENGTH,
    "s7comm.pbc.bsend.unknown": _RESERVED,
    "s7comm.data.fillbyte": "fills up to an even number of bytes",
    "s7comm.param.userdata.head": _CONSTANT,
    "s7comm.param.userdata.length": _LENGTH,
    "s7comm.param.userdata.reqres1": "0x11 without, 0x12 with the fields of an answer, which are compared",
    "s7comm.fragment": _TOGETHER,
    "s7comm.fragment.count": _TOGETHER,
    "s7comm.reassembled.in": _TOGETHER,
    "s7comm.reassembled.length": _TOGETHER,
    "s7comm.data.ts_reserved": _RESERVED,
    "s7comm.data.ts_year1": _PART,
    "s7comm.data.ts_year2": _PART,
    "s7comm.data.ts_month": _PART,
    "s7comm.data.ts_day": _PART,
    "s7comm.data.ts_hour": _PART,
    "s7comm.data.ts_minute": _PART,
    "s7comm.data.ts_second": _PART,
    "s7comm.data.ts_millisecond": _PART,
    "s7comm.data.ts_weekday": "the day of the week, which the date tells",
    "s7comm.data.userdata": "a password: otmon says that there is one, and keeps it out of every record",
    "s7comm.param.blockcontrol.filename_len": _LENGTH,
    "s7comm.param.blockcontrol.functionstatus.error": _PART,
    "s7comm.param.blockcontrol.functionstatus.more": _PART,
    "s7comm.param.blockcontrol.upl_lenstring_len": _LENGTH,
    "s7comm.data.blockcontrol.file_identifier": "the first character of the file name, which is compared whole",
    "s7comm.data.blockcontrol.unknown1": _RESERVED,
    "s7comm.data.blockcontrol.part2_len": _LENGTH,
    "s7comm.data.blockcontrol.part2_unknown": _RESERVED,
    "s7comm.data.plccontrol.part2_len": _LENGTH,
    "s7comm.param.pi.inse.unknown": _RESERVED,
    "s7comm.param.pi.n_x.string_len": _LENGTH,
    "s7comm.param.pistart.parameterblock": "the argument, of which the parts are compared",
    "s7comm.param.pistart.parameterblock_len": _LENGTH,
    "s7comm.param.pistart.unknown1": _RESERVED,
    "s7comm.blockinfo.res_const3": "pp, with which every block begins",
    "s7comm.blockinfo.res_infolength": _LENGTH,
    "s7comm.blockinfo.res_unknown": _RESERVED,
    "s7comm.blockinfo.res_unknown2": _RESERVED,
    "s7comm.blockinfo.reserved1": _RESERVED,
    "s7comm.blockinfo.reserved2": _RESERVED,
}
