"""One module or folder a protocol: frame, unwrap, key (compiled), operations, decode (Python), tables.

Adding a protocol is one file and one name in PROTOCOLS.
"""

from otmon.protocols.dnp3 import DNP3
from otmon.protocols.modbus import MODBUS
from otmon.protocols.s7comm import S7COMM

PROTOCOLS = (MODBUS, DNP3, S7COMM)
