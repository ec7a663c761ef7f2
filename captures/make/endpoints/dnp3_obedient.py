"""DNP3 outstation 10 (opendnp3) that does what it is told, and writes that down. Usage: ... ADDRESS FILE

A line of FILE is a space and an index: `g12 3`.
"""

import sys
import time
from pathlib import Path

from dnp3_outstation import Application
from pydnp3 import asiodnp3, asiopal, opendnp3

SPACES = {opendnp3.ControlRelayOutputBlock: "g12"}


class Commands(opendnp3.ICommandHandler):
    def Start(self):
        pass

    def End(self):
        pass

    def Select(self, command, index):
        return opendnp3.CommandStatus.SUCCESS

    def Operate(self, command, index, kind):
        with Path(sys.argv[2]).open("a") as told:
            told.write(f"{SPACES.get(type(command), 'g41')} {index}\n")
        return opendnp3.CommandStatus.SUCCESS


def main() -> None:
    config = asiodnp3.OutstationStackConfig(opendnp3.DatabaseSizes(10, 10, 10, 10, 10, 10, 10, 0))
    config.outstation.params.allowUnsolicited = False
    config.link.LocalAddr, config.link.RemoteAddr = 10, 1
    manager = asiodnp3.DNP3Manager(1, asiodnp3.ConsoleLogger().Create())
    retry, listener = asiopal.ChannelRetry().Default(), asiodnp3.PrintingChannelListener().Create()
    channel = manager.AddTCPServer("server", opendnp3.levels.NOTHING, retry, sys.argv[1], 20000, listener)
    application, commands = Application(), Commands()  # the library keeps no reference of its own
    outstation = channel.AddOutstation("outstation", commands, application, config)
    outstation.Enable()
    while True:  # ended by a signal: the manager's own Shutdown() crashes
        time.sleep(1)


main()
