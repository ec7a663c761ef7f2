"""One module or folder a protocol: frame, unwrap, key (compiled), operations, decode (Python), tables.

Adding a protocol is one file and one name in PROTOCOLS.
"""

from otmon.protocols.dnp3 import DNP3
from otmon.protocols.modbus import MODBUS, MODBUS_RTU
from otmon.protocols.s7comm import S7COMM

PROTOCOLS = (MODBUS, DNP3, S7COMM, MODBUS_RTU)


def protocol_of_port(port: int | None) -> str | None:
    """Name of the protocol that the port is registered for, plain or inside TLS."""
    return next((p.name for p in PROTOCOLS if port in p.ports + p.secured), None)
