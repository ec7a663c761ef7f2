"""DNP3 outstation 10 (opendnp3). Usage: dnp3_outstation.py ADDRESS EVENT_PERIOD_S KEEPALIVE_S"""

import sys
import time

from pydnp3 import asiodnp3, asiopal, opendnp3, openpal


class Application(opendnp3.IOutstationApplication):
    def ColdRestartSupport(self):
        return opendnp3.RestartMode.SUPPORTED_DELAY_COARSE

    def WarmRestartSupport(self):
        return opendnp3.RestartMode.SUPPORTED_DELAY_COARSE

    def ColdRestart(self):
        return 65

    def WarmRestart(self):
        return 5

    def SupportsWriteAbsoluteTime(self):
        return True

    def WriteAbsoluteTime(self, time_ms):
        return True

    def GetApplicationIIN(self):
        return opendnp3.ApplicationIIN()

    def SupportsAssignClass(self):
        return False

    def SupportsWriteTimeAndInterval(self):
        return False


class Commands(opendnp3.ICommandHandler):
    def Start(self):
        pass

    def End(self):
        pass

    def Select(self, command, index):
        return opendnp3.CommandStatus.SUCCESS

    def Operate(self, command, index, kind):
        return opendnp3.CommandStatus.SUCCESS


def serve(address, config, commands, load=None):
    """Outstation 10 for master 1; `load` gives it its points before it is enabled. What must outlive this is kept."""
    config.link.LocalAddr, config.link.RemoteAddr = 10, 1
    manager = asiodnp3.DNP3Manager(1, asiodnp3.ConsoleLogger().Create())
    retry, listener = asiopal.ChannelRetry().Default(), asiodnp3.PrintingChannelListener().Create()
    channel = manager.AddTCPServer("server", opendnp3.levels.NOTHING, retry, address, 20000, listener)
    application = Application()
    outstation = channel.AddOutstation("outstation", commands, application, config)
    KEPT.extend((manager, listener, channel, application, commands, outstation))
    if load is not None:
        load(outstation)
    outstation.Enable()
    return outstation


KEPT = []
"""The library keeps no references of its own."""


def main() -> None:
    address, period_s, keepalive_s = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    # No time-and-interval and no octet strings: tshark 4.0 calls the answer with g50v4 malformed.
    config = asiodnp3.OutstationStackConfig(opendnp3.DatabaseSizes(10, 10, 10, 10, 10, 10, 10, 0))
    config.outstation.eventBufferConfig = opendnp3.EventBufferConfig().AllTypes(50)
    config.outstation.params.allowUnsolicited = True
    config.link.KeepAliveTimeout = openpal.TimeDuration().Seconds(keepalive_s)
    outstation = serve(address, config, Commands())
    count = 0
    while True:  # ended by a signal: the manager's own Shutdown() crashes
        time.sleep(period_s)
        count += 1
        update = asiodnp3.UpdateBuilder()
        update.Update(opendnp3.Binary(bool(count % 2)), count % 10)
        update.Update(opendnp3.Analog(count * 1.5), count % 10)
        update.Update(opendnp3.Counter(count), count % 10)
        outstation.Apply(update.Build())


if __name__ == "__main__":
    main()
