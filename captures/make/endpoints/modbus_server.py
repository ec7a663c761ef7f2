"""A Modbus server (pymodbus). Usage: modbus_server.py ADDRESS plc-1|plc-3|tour [tcp|udp|rtu|tls [CERTIFICATE KEY]]"""

import ssl
import sys

from pymodbus import FramerType, ModbusDeviceIdentification
from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
from pymodbus.server import StartTcpServer, StartTlsServer, StartUdpServer

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
    address, role, *rest = sys.argv[1:]
    transport, *files = rest or ["tcp"]
    units = (1, 17) if role == "tour" else (1,)
    identity = None if role == "plc-1" else ModbusDeviceIdentification(info_name=IDENTITY)
    context = ModbusServerContext(devices={unit: device(200) for unit in units}, single=False)
    if transport == "udp":
        StartUdpServer(context, identity=identity, address=(address, 502))
    elif transport == "rtu":
        StartTcpServer(context, identity=identity, address=(address, 4001), framer=FramerType.RTU)
    elif transport == "tls":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*files)
        StartTlsServer(context, identity=identity, address=(address, 802), sslctx=tls)
    else:
        StartTcpServer(context, identity=identity, address=(address, 502))


main()
