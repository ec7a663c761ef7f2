"""Every public function pymodbus speaks, two units, exceptions, an unknown unit. Usage: modbus_tour.py ADDRESS"""

import sys

from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusIOException

client = ModbusTcpClient(sys.argv[1], timeout=2, retries=0)
assert client.connect()
for unit in (1, 17):
    client.read_coils(0, count=10, device_id=unit)
    client.read_discrete_inputs(0, count=10, device_id=unit)
    client.read_holding_registers(0, count=10, device_id=unit)
    client.read_input_registers(0, count=10, device_id=unit)
    client.write_coil(3, True, device_id=unit)
    client.write_register(40, 1234, device_id=unit)
    client.write_coils(0, [True] * 12, device_id=unit)
    client.write_registers(10, [1, 2, 3], device_id=unit)
    client.mask_write_register(address=4, and_mask=0xF2, or_mask=0x25, device_id=unit)
    client.readwrite_registers(read_address=0, read_count=4, write_address=20, values=[9, 9], device_id=unit)
client.read_exception_status(device_id=1)
client.diag_query_data(b"\xa5\x37", device_id=1)
client.diag_restart_communication(True, device_id=1)
client.diag_clear_counters(device_id=1)
client.diag_get_comm_event_counter(device_id=1)
client.diag_get_comm_event_log(device_id=1)
client.report_device_id(device_id=1)
client.read_fifo_queue(address=4, device_id=1)
client.read_device_information(read_code=3, object_id=0, device_id=1)
assert client.read_holding_registers(5000, count=10, device_id=1).isError()
client.read_holding_registers(0, count=2, device_id=99)
try:
    client.diag_force_listen_only(device_id=1)
except ModbusIOException:
    print("listen only: no answer, as the standard says")
client.close()
