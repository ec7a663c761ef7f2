"""DNP3 outstation 10 (opendnp3) with points of every kind, and an event of each. Usage: ... ADDRESS"""

import sys
import time

from dnp3_outstation import Commands, serve
from dnp3_values import KINDS, flags, time_ms, value
from pydnp3 import asiodnp3, opendnp3

DOUBLE = opendnp3.DoubleBit
STATES = (DOUBLE.INTERMEDIATE, DOUBLE.DETERMINED_OFF, DOUBLE.DETERMINED_ON, DOUBLE.INDETERMINATE)
TYPES = {"Binary": bool, "BinaryOutputStatus": bool, "DoubleBitBinary": STATES.__getitem__}


def measurement(kind, index):
    """A point's value, quality and time as the stack wants them."""
    number = TYPES.get(kind, lambda plain: plain)(value(kind, index))
    return getattr(opendnp3, kind)(number, opendnp3.Flags(flags(kind, index)), opendnp3.DNPTime(time_ms(kind, index)))


def main() -> None:
    config = asiodnp3.OutstationStackConfig(opendnp3.DatabaseSizes(3, 3, 8, 4, 4, 2, 8, 1))
    config.outstation.eventBufferConfig = opendnp3.EventBufferConfig().AllTypes(50)
    config.outstation.params.allowUnsolicited = False
    update = asiodnp3.UpdateBuilder()
    for kind, (_, _, _, variations) in KINDS.items():
        for index in range(len(variations)):
            update.Update(measurement(kind, index), index, opendnp3.EventMode.Force)
    serve(sys.argv[1], config, Commands(), lambda outstation: outstation.Apply(update.Build()))
    while True:  # ended by a signal: the manager's own Shutdown() crashes
        time.sleep(1)


main()
