"""DNP3 (IEEE 1815-2012) over TCP and UDP."""

from typing import Final

from otmon.protocols.dnp3.decode import decode, identity, written
from otmon.protocols.dnp3.key import VERSION, key
from otmon.protocols.dnp3.link import frame, unwrap
from otmon.protocols.dnp3.operations import operations
from otmon.protocols.dnp3.points import points
from otmon.protocols.dnp3.tables import PORT, SECURE_PORT, class_names, count_names
from otmon.wire.contract import Protocol

DNP3: Final = Protocol(
    name="dnp3",
    ports=(PORT,),
    secured=(SECURE_PORT,),
    datagrams=True,
    scan=True,
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
    declares_direction=True,
)
