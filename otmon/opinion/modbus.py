"""Modbus: tshark's fields of Modbus/TCP and Modbus beside `modbus` of a message record."""

from collections.abc import Callable
from typing import Final

from otmon.opinion.rows import Record, Row, octets, plain, safe


def _run(record: Record, codes: tuple[int, ...]) -> list[int]:
    body = record["modbus"]
    if record["function_code"] not in codes or "address" not in body or "exception_code" in body:
        return []
    # tshark counts past the last address from 0 again.
    return [body["address"] + i & 0xFFFF for i in range(len(body.get("values", ())))]


def _register_numbers(record: Record) -> list[int]:
    """modbus.address and those that follow it."""
    asked = record["kind"] == "request"
    return _run(record, (16,) if asked else (3, 4))


def _bit_numbers(record: Record) -> list[int]:
    """modbus.address and those that follow it."""
    return _run(record, () if record["kind"] == "request" else (1, 2))


def _answered(record: Record) -> list[int]:
    """the last frame of request_n, of a response that is no exception (tshark pairs none)."""
    known = record["kind"] == "response" and "exception_code" not in record["modbus"]
    return [record["request_frame"]] if known and "request_frame" in record else []


def _words(values: list[int]) -> str:
    return b"".join(value.to_bytes(2, "big") for value in values).hex()


def _unit(rtu: bool) -> Callable[[Record], list[int]]:
    """The unit, which has a name of its own in each framing."""

    def read(record: Record) -> list[int]:
        """unit."""
        mine = (record["modbus"].get("framing") == "rtu") == rtu
        return [record["unit"]] if mine and record["unit"] is not None else []

    return read


def _file_places(record: Record) -> list[int]:
    """modbus.records[]: file << 16 | record."""
    if record["function_code"] == 20 and record["kind"] == "response":
        return []  # they are those of the request
    return [one["file"] << 16 | one["record"] for one in record["modbus"].get("records", ())]


def _delimiter(record: Record) -> list[int]:
    """the first byte of modbus.data."""
    body = record["modbus"]
    return [int(body["data"][:2], 16)] if body.get("sub_function") == 3 and body.get("data") else []


def _data(record: Record) -> list[str]:
    """modbus.values (also of records), write_values, raw or data as they stand in the PDU."""
    body, code, asked = record["modbus"], record["function_code"], record["kind"] == "request"
    if "exception_code" in body or "malformed" in record["flags"]:
        return []
    if code == 5:
        return [f"{body['raw']:04x}"]
    if code == 6 or (code in (23, 24) and not asked):
        return [_words(body["values"])]
    if code == 15 and asked:
        bits = sum(bit << place for place, bit in enumerate(body["values"]))
        return [bits.to_bytes(body["byte_count"], "little").hex()]
    if code == 23:
        return [_words(body["write_values"])]
    if code == 90:
        head = (body["reservation"], body["umas_code"] if asked else body["status"])
        return [bytes(head).hex() + body["data"]]
    if code == 17 and not asked:
        return [f"{len(body['data']) // 2:02x}{body['data']}"]
    if code == 7 and not asked:
        return [f"{body['exception_status']:02x}"]
    if code == 8:
        elsewhere = (0, 1, 3) if asked else (0, 1, 3, *_REGISTERS)
        return [body["data"]] if body["data"] and body["sub_function"] not in elsewhere else []
    if code in (20, 21):
        return [_words(one["values"]) for one in body["records"] if "values" in one]
    if code in (11, 12, 24):
        return []
    if "mei_type" in body:
        return [f"{body['mei_type']:02x}{body['data']}"] if "data" in body else []
    return [body["data"]] if body.get("data") else []


_STANDARD_OBJECTS: Final = 7
"""Objects of 43/14 below this number are text, the others whatever their vendor likes."""


def _device_objects(standard: bool) -> Callable[[Record], list[str]]:
    """Values of 43/14: tshark has one field for text, one for octets."""

    def read(record: Record) -> list[str]:
        found = record["modbus"].get("objects", ())
        return [one["value"] for one in found if (one["id"] < _STANDARD_OBJECTS) == standard]

    read.__doc__ = f"modbus.objects[].value, of ids {'below' if standard else 'from'} {_STANDARD_OBJECTS}."
    return read


_OF_8: Final = "[function_code=8].modbus"
_REGISTERS: Final = {
    2: "return_diag_register", 10: "clear_ctr_diag_reg", 11: "bus_message_count", 12: "bus_comm_error_count",
    13: "bus_exception_error_count", 14: "slave_message_count", 15: "no_slave_response_count", 16: "slave_nak_count",
    17: "slave_busy_count", 18: "bus_char_overrun_count",
}  # fmt: skip
"""Sub-function of 8 -> tshark's field of the register in the response."""
ROWS: Final = (
    Row("mbtcp.trans_id", "modbus.transaction_id"),
    Row("mbtcp.unit_id", _unit(rtu=False)),
    Row("mbrtu.unit_id", _unit(rtu=True)),
    Row("modbus.func_code", "function_code"),
    Row("modbus.exception_code", "modbus.exception_code"),
    Row(
        "modbus.reference_num",
        "[function_code=5,6,15,16,22].modbus.address",
        "[kind=request function_code=1,2,3,4,24].modbus.address",
    ),
    Row("modbus.bit_cnt", "[function_code=15].modbus.quantity", "[kind=request function_code=1,2].modbus.quantity"),
    Row(
        "modbus.word_cnt",
        "[function_code=16].modbus.quantity",
        "[kind=request function_code=3,4].modbus.quantity",
        "modbus.fifo_count",
        "[function_code=21].modbus.records[].quantity",
        "[kind=request function_code=20].modbus.records[].quantity",
    ),
    Row("modbus.reference_type", "modbus.records[].reference_type"),
    Row("modbus.reference_num_32", _file_places),
    Row("modbus.regnum16", _register_numbers),
    Row(
        "modbus.regval_uint16",
        "[kind=response function_code=3,4].modbus.values[]",
        "[kind=request function_code=16].modbus.values[]",
    ),
    Row("modbus.bitnum", _bit_numbers),
    Row("modbus.bitval", "[kind=response function_code=1,2].modbus.values[]"),
    Row("modbus.read_reference_num", "[kind=request function_code=23].modbus.address"),
    Row("modbus.read_word_cnt", "[kind=request function_code=23].modbus.quantity"),
    Row("modbus.write_reference_num", "modbus.write_address"),
    Row("modbus.write_word_cnt", "modbus.write_quantity"),
    Row("modbus.and_mask", "modbus.and_mask"),
    Row("modbus.or_mask", "modbus.or_mask"),
    Row("modbus.data", _data, as_theirs=octets),
    Row("modbus.diagnostic_code", f"{_OF_8}.sub_function"),
    Row(
        "modbus.diagnostic.return_query_data.request",
        "[function_code=8 kind=request].modbus[sub_function=0].data",
        as_theirs=octets,
    ),
    Row(
        "modbus.diagnostic.return_query_data.echo",
        "[function_code=8 kind=response].modbus[sub_function=0].data",
        as_theirs=octets,
    ),
    Row("modbus.diagnostic.restart_communication_option", "[function_code=8].modbus[sub_function=1].values[]"),
    Row("modbus.diagnostic.ascii_input_delimiter", _delimiter),
    *(
        Row(f"modbus.diagnostic.{name}", f"[function_code=8 kind=response].modbus[sub_function={sub}].values[]")
        for sub, name in _REGISTERS.items()
    ),
    Row("modbus.ev_status", "[function_code=11,12].modbus.status"),
    Row("modbus.ev_count", "modbus.event_count"),
    Row("modbus.ev_msg_count", "modbus.message_count"),
    Row("modbus.event", "modbus.events[]"),
    Row("modbus.mei", "modbus.mei_type"),
    Row("modbus.read_device_id", "modbus.read_device_id_code"),
    Row("modbus.object_id", "modbus.object_id", "modbus.objects[].id"),
    Row("modbus.conformity_level", "modbus.conformity_level"),
    Row("modbus.more_follows", "modbus.more_follows"),
    Row("modbus.next_object_id", "modbus.next_object_id"),
    Row("modbus.object_str_value", _device_objects(standard=True), as_theirs=plain, as_ours=plain),
    Row("modbus.object_value", _device_objects(standard=False), as_theirs=safe),
    Row("modbus.request_frame", _answered),
)

_LENGTH: Final = "the length of what follows, which what follows shows; otmon flags it where it is another"
NOT_COMPARED: Final = {
    "mbtcp.len": _LENGTH,
    "mbrtu.crc16": "right, else otmon counts the frame as malformed",
    "mbrtu.crc16.status": "text: whether the CRC is right",
    "modbus.byte_cnt": _LENGTH,
    "modbus.byte_cnt_16": _LENGTH,
    "modbus.objects_len": _LENGTH,
    "modbus.num_objects": "the number of the objects that follow",
    "mbtcp.prot_id": "0, else it is no Modbus/TCP (Messaging on TCP/IP V1.0b, 3.1.3)",
    "modbus.padding": "bits of the last byte behind the quantity that was asked for",
    **{
        f"modbus.ev_{name}": "a bit of an octet that is compared whole"
        for name in (
            "recv_comm_err", "recv_char_over", "recv_lo_mode", "recv_broadcast", "send_read_ex", "send_slave_abort_ex",
            "send_slave_busy_ex", "send_slave_nak_ex", "send_write_timeout", "send_lo_mode",
        )
    },
    "modbus.response_time": "derived: time since the request; otmon's are in the operations",
}  # fmt: skip
