"""Modbus/TCP, Modbus with an MBAP header over UDP, and RTU frames over TCP."""

from typing import Final

from otmon.protocols.modbus import rtu
from otmon.protocols.modbus.decode import decode, identity, written
from otmon.protocols.modbus.key import VERSION, frame, key, operations, unwrap
from otmon.protocols.modbus.points import points
from otmon.protocols.modbus.steps import step
from otmon.protocols.modbus.tables import PORT, SECURE_PORT, class_names, count_names
from otmon.wire.contract import Protocol

MODBUS: Final = Protocol(
    name="modbus",
    ports=(PORT,),
    secured=(SECURE_PORT,),
    datagrams=True,
    scan=False,
    frame=frame,
    unwrap=unwrap,
    key=key,
    operations=operations,
    decode=decode,
    identity=identity,
    written=written,
    points=points,
    transfer=step,
    count_names=count_names,
    class_names=class_names,
    version=VERSION,
)
MODBUS_RTU: Final = MODBUS._replace(
    ports=(),
    secured=(),
    datagrams=False,
    frame=rtu.frame,
    unwrap=rtu.unwrap,
    decode=rtu.decode,
    declares_direction=True,
)
"""Its records say `modbus` too. Who dials is not always who asks: remote devices call their control centre."""
