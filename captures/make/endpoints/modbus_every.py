"""Every request pymodbus can make, and a note of what it asked and was told.

Usage: modbus_every.py ADDRESS tcp|udp|rtu|tls VALUES

VALUES becomes a JSON list (not for tls, which shows none of it), one entry a request in the order of the wire:
function_code, unit, request, response (None: none came). Fields are named as in otmon's records; the values are those
given to pymodbus and those it returned.
"""

import json
import ssl
import sys
from pathlib import Path
from typing import Any

from pymodbus import FramerType
from pymodbus.client import ModbusTcpClient, ModbusTlsClient, ModbusUdpClient
from pymodbus.exceptions import ModbusIOException
from pymodbus.pdu.file_message import FileRecord

address, transport, values = sys.argv[1:]
if transport == "udp":
    client = ModbusUdpClient(address, timeout=1, retries=0)
elif transport == "tls":
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    client = ModbusTlsClient(address, sslctx=tls, timeout=2, retries=0)
elif transport == "rtu":
    client = ModbusTcpClient(address, port=4001, framer=FramerType.RTU, timeout=1, retries=0)
else:
    client = ModbusTcpClient(address, timeout=1, retries=0)
assert client.connect()
told: list[dict[str, Any]] = []


def ask(code: int, request: dict[str, Any], call: Any, shown: dict[str, str] | None = None, **words: Any) -> Any:
    """Make a request; note it, and of its response the attributes in `shown` (pymodbus's name -> the record's)."""
    words.setdefault("device_id", 1)
    response: dict[str, Any] | None
    answer = None
    try:
        answer = call(**words)
    except ModbusIOException:
        response = None
    else:
        if answer.isError():
            response = {"exception_code": answer.exception_code}
        else:
            response = {name: getattr(answer, attribute) for attribute, name in (shown or {}).items()}
    told.append({"function_code": code, "unit": words["device_id"], "request": request, "response": response})
    return answer


def bits(answer: Any, quantity: int) -> None:
    """The bits of the last answer, without padding."""
    told[-1]["response"] = {"values": [int(bit) for bit in answer.bits[:quantity]]}


for unit in (1, 17):
    for code, read in ((1, client.read_coils), (2, client.read_discrete_inputs)):
        for first, quantity in ((0, 10), (3, 1), (7, 64)):
            request = {"address": first, "quantity": quantity}
            bits(ask(code, request, read, address=first, count=quantity, device_id=unit), quantity)
    for code, read in ((3, client.read_holding_registers), (4, client.read_input_registers)):
        for first, quantity in ((0, 10), (40, 1), (7, 60)):
            request = {"address": first, "quantity": quantity}
            ask(code, request, read, {"registers": "values"}, address=first, count=quantity, device_id=unit)
    for value in (True, False):
        request = {"address": 3, "values": [int(value)]}
        ask(5, request, client.write_coil, address=3, value=value, device_id=unit)
    for value in (0, 1234, 65535):
        request = {"address": 40, "values": [value]}
        ask(6, request, client.write_register, {"address": "address"}, address=40, value=value, device_id=unit)
    for coils in ([True] * 12, [False, True] * 15 + [True], [True]):
        request = {"address": 2, "quantity": len(coils), "values": [int(coil) for coil in coils]}
        ask(15, request, client.write_coils, {"count": "quantity"}, address=2, values=coils, device_id=unit)
    for words in ([1, 2, 3], [0x8000, 0xFFFF, 0, 77], list(range(100, 150))):
        request = {"address": 10, "quantity": len(words), "values": words}
        ask(16, request, client.write_registers, {"count": "quantity"}, address=10, values=words, device_id=unit)
    masks = {"address": 4, "and_mask": 0xF2, "or_mask": 0x25}
    ask(22, masks, client.mask_write_register, {"or_mask": "or_mask"}, device_id=unit, **masks)
    ask(
        23,
        {"address": 0, "quantity": 4, "write_address": 20, "write_quantity": 2, "write_values": [9, 513]},
        client.readwrite_registers,
        {"registers": "values"},
        read_address=0,
        read_count=4,
        write_address=20,
        values=[9, 513],
        device_id=unit,
    )
ask(7, {}, client.read_exception_status, {"status": "exception_status"})
ask(8, {"sub_function": 0, "data": "a537"}, client.diag_query_data, msg=b"\xa5\x37")
ask(8, {"sub_function": 1, "clear_event_log": True}, client.diag_restart_communication, toggle=True)
ask(8, {"sub_function": 1, "clear_event_log": False}, client.diag_restart_communication, toggle=False)
ask(8, {"sub_function": 2}, client.diag_read_diagnostic_register)
ask(8, {"sub_function": 3, "delimiter": ";"}, client.diag_change_ascii_input_delimeter, delimiter=ord(";") << 8)
ask(8, {"sub_function": 10}, client.diag_clear_counters)
ask(8, {"sub_function": 11}, client.diag_read_bus_message_count)
ask(8, {"sub_function": 12}, client.diag_read_bus_comm_error_count)
ask(8, {"sub_function": 13}, client.diag_read_bus_exception_error_count)
ask(8, {"sub_function": 14}, client.diag_read_device_message_count)
ask(8, {"sub_function": 15}, client.diag_read_device_no_response_count)
ask(8, {"sub_function": 16}, client.diag_read_device_nak_count)
ask(8, {"sub_function": 17}, client.diag_read_device_busy_count)
ask(8, {"sub_function": 18}, client.diag_read_bus_char_overrun_count)
ask(8, {"sub_function": 19}, client.diag_read_iop_overrun_count)
ask(8, {"sub_function": 20}, client.diag_clear_overrun_counter)
ask(8, {"sub_function": 21}, client.diag_getclear_modbus_response, data=3)
ask(11, {}, client.diag_get_comm_event_counter, {"count": "event_count"})
ask(12, {}, client.diag_get_comm_event_log, {"event_count": "event_count", "message_count": "message_count"})
name = ask(17, {}, client.report_device_id)
if name is not None and not name.isError():
    told[-1]["response"] = {"run_indicator": bool(name.status)}
records = [FileRecord(file_number=4, record_number=1, record_length=4), FileRecord(3, 9, record_length=4)]
asked = [{"file": 4, "record": 1, "quantity": 2}, {"file": 3, "record": 9, "quantity": 2}]
ask(20, {"records": asked}, client.read_file_record, records=records)
written = FileRecord(file_number=4, record_number=7, record_data=b"\x06\xaf\x04\xbe\x10\x0d")
ask(
    21,
    {"records": [{"file": 4, "record": 7, "quantity": 3, "values": [0x06AF, 0x04BE, 0x100D]}]},
    client.write_file_record,
    records=[written],
)
ask(24, {"address": 4}, client.read_fifo_queue, address=4)
for code, number in ((1, 0), (2, 0), (3, 0), (4, 5)):
    found = ask(
        43, {"mei_type": 14, "read_device_id_code": code, "object_id": number}, client.read_device_information,
        {"conformity": "conformity_level", "more_follows": "more_follows"}, read_code=code, object_id=number,
    )  # fmt: skip
    if found is not None and not found.isError():
        objects = [{"id": key, "value": text.decode()} for key, text in sorted(found.information.items())]
        told[-1]["response"]["objects"] = objects
ask(3, {"address": 5000, "quantity": 10}, client.read_holding_registers, address=5000, count=10)
ask(3, {"address": 0, "quantity": 2}, client.read_holding_registers, address=0, count=2, device_id=99)
client.diag_force_listen_only(device_id=1, no_response_expected=True)
told.append({"function_code": 8, "unit": 1, "request": {"sub_function": 4}, "response": None})
client.close()
if transport != "tls":
    Path(values).write_text("[\n" + ",\n".join(map(json.dumps, told)) + "\n]\n")
