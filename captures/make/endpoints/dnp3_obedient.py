"""DNP3 outstation 10 (opendnp3) that does what it is told, and writes that down. Usage: ... ADDRESS FILE

A line of FILE is a space and an index: `g12 3`.
"""

import sys
import time
from pathlib import Path

import dnp3_outstation
from pydnp3 import asiodnp3, opendnp3

SPACES = {opendnp3.ControlRelayOutputBlock: "g12"}


class Commands(dnp3_outstation.Commands):
    def Operate(self, command, index, kind):
        with Path(sys.argv[2]).open("a") as told:
            told.write(f"{SPACES.get(type(command), 'g41')} {index}\n")
        return super().Operate(command, index, kind)


def main() -> None:
    config = asiodnp3.OutstationStackConfig(opendnp3.DatabaseSizes(10, 10, 10, 10, 10, 10, 10, 0))
    config.outstation.params.allowUnsolicited = False
    dnp3_outstation.serve(sys.argv[1], config, Commands())
    while True:  # ended by a signal: the manager's own Shutdown() crashes
        time.sleep(1)


main()
