"""Modbus/TCP, and Modbus with an MBAP header over UDP."""

from typing import Final

from otmon.protocols.modbus.decode import decode, identity, written
from otmon.protocols.modbus.key import VERSION, frame, key, operations, unwrap
from otmon.protocols.modbus.points import points
from otmon.protocols.modbus.tables import PORT, class_names, count_names
from otmon.wire.contract import Protocol

MODBUS: Final = Protocol(
    name="modbus",
    ports=(PORT,),
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
    count_names=count_names,
    class_names=class_names,
    version=VERSION,
)
