"""The Modbus clients of the plant. Usage: plant_modbus.py hmi-1|hmi-2|historian|engineering START"""

import sys

from pymodbus.client import ModbusTcpClient
from schedule import Step, every, follow

PLC_1, PLC_3 = "10.0.1.11", "10.0.1.13"


def connected(address: str) -> ModbusTcpClient:
    client = ModbusTcpClient(address, timeout=3, retries=0)
    assert client.connect()
    return client


def hmi_1(plcs: list[ModbusTcpClient]) -> list[Step]:
    (plc_1,) = plcs
    return [
        *every(0.5, lambda: plc_1.read_holding_registers(0, count=20), 1.0, 25),
        *every(1.0, lambda: plc_1.read_coils(0, count=16), 1.2, 25),
        (5.3, lambda: plc_1.write_coil(3, True)),
        (14.3, lambda: plc_1.write_coil(4, True)),
        (21.3, lambda: plc_1.write_coil(3, False)),
    ]


def hmi_2(plcs: list[ModbusTcpClient]) -> list[Step]:
    plc_1, plc_3 = plcs
    return [
        *every(0.5, lambda: plc_3.read_holding_registers(0, count=50), 1.1, 25),
        *every(1.0, lambda: plc_3.read_input_registers(0, count=10), 1.35, 25),
        *every(1.0, lambda: plc_1.read_holding_registers(0, count=20), 1.45, 25),
        (4.8, lambda: plc_3.write_register(40, 55)),
        (7.8, lambda: plc_3.write_register(45, 60)),
        (10.8, lambda: plc_3.write_registers(46, [10, 0, 100])),
        (13.8, lambda: plc_3.write_register(49, 100)),
        (17.8, lambda: plc_3.write_register(45, 900)),  # the violation: 0-100 is allowed there
        (19.8, lambda: plc_1.read_holding_registers(300, count=10)),  # the violation: nothing to look for there
        (22.8, lambda: plc_3.write_register(45, 60)),
    ]


def historian(plcs: list[ModbusTcpClient]) -> list[Step]:
    plc_1, plc_3 = plcs
    return [
        *every(4.0, lambda: plc_1.read_holding_registers(0, count=50), 2.6, 25),
        *every(4.0, lambda: plc_3.read_holding_registers(0, count=50), 2.8, 25),
        (11.9, lambda: plc_1.write_register(10, 77)),  # the violation: it may only read
    ]


def engineering(plcs: list[ModbusTcpClient]) -> list[Step]:
    (plc_3,) = plcs
    return [(8.4, lambda: plc_3.read_device_information(read_code=1, object_id=0))]


ROLES = {
    "hmi-1": (hmi_1, [PLC_1]),
    "hmi-2": (hmi_2, [PLC_1, PLC_3]),
    "historian": (historian, [PLC_1, PLC_3]),
    "engineering": (engineering, [PLC_3]),
}


def main() -> None:
    role, start = sys.argv[1], float(sys.argv[2])
    steps, addresses = ROLES[role]
    plcs: list[ModbusTcpClient] = []
    follow(start, [(0.4 if role != "engineering" else 8.0, lambda: plcs.extend(connected(a) for a in addresses))])
    follow(start, steps(plcs))
    for plc in plcs:
        plc.close()


main()
