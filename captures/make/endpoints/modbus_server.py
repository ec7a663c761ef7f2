"""A Modbus/TCP server (pymodbus). Usage: modbus_server.py ADDRESS plc-1|plc-3|tour"""

import sys

from pymodbus import ModbusDeviceIdentification
from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
from pymodbus.server import StartTcpServer

IDENTITY = {
    "VendorName": "Example Automation",
    "ProductCode": "EX-750",
    "MajorMinorRevision": "4.2.1",
    "VendorUrl": "http://example.invalid",
    "ProductName": "Dosing controller",
    "ModelName": "EX-750/8202",
    "UserApplicationName": "chlorine dosing",
}


def device(holding_registers: int) -> ModbusDeviceContext:
    """Plausible process values; what lies beyond the last register answers with exception 2."""
    return ModbusDeviceContext(
        di=ModbusSequentialDataBlock(1, [True, False] * 64),
        co=ModbusSequentialDataBlock(1, [False] * 128),
        hr=ModbusSequentialDataBlock(1, [(17 * n + 230) % 1000 for n in range(holding_registers)]),
        ir=ModbusSequentialDataBlock(1, [(31 * n + 505) % 1000 for n in range(100)]),
    )


def main() -> None:
    address, role = sys.argv[1:]
    units = (1, 17) if role == "tour" else (1,)
    identity = None if role == "plc-1" else ModbusDeviceIdentification(info_name=IDENTITY)
    context = ModbusServerContext(devices={unit: device(200) for unit in units}, single=False)
    StartTcpServer(context, identity=identity, address=(address, 502))


main()
