"""DNP3 master 1 (opendnp3): reads every point in every variation, commands with every field. Usage: ... ADDRESS"""

import os
import sys
import time

from dnp3_master import say
from dnp3_values import CONTROLS, INTERVAL, KINDS, SETPOINTS
from pydnp3 import asiodnp3, asiopal, opendnp3, openpal
from schedule import follow

F = opendnp3.FunctionCode


def steps(master):
    """Of each kind, one event in each variation (the first is of point 0), then all points in each."""
    point, header = opendnp3.GroupVariationID, opendnp3.Header()
    actions = [
        lambda group=group, variation=variation: master.PerformFunction(
            "event", F.READ, [header.Count8(group, variation, 1)]
        )
        for _, _, group, variations in KINDS.values()
        for variation in variations
    ]
    actions += [
        lambda group=group, variation=variation, events=events: master.ScanRange(
            point(group, variation), 0, len(events) - 1
        )
        for group, variations, _, events in KINDS.values()
        for variation in variations
    ]
    actions += [
        lambda index=index, code=code, rest=rest: master.DirectOperate(
            opendnp3.ControlRelayOutputBlock(code, *rest), index, say
        )
        for index, (code, *rest) in enumerate(CONTROLS)
    ]
    actions += [
        lambda index=index, name=name, value=value: master.SelectAndOperate(getattr(opendnp3, name)(value), index, say)
        for index, (name, value) in enumerate(SETPOINTS)
    ]
    start, interval, units = INTERVAL
    actions.append(lambda: master.Write(opendnp3.TimeAndInterval(opendnp3.DNPTime(start), interval, units), 0))
    functions = [
        (
            F.READ,
            [header.Range16(1, 0, 0, 2), header.Count8(2, 0, 5), header.Count16(32, 0, 300), header.AllObjects(60, 1)],
        ),
        (F.READ, [header.Range8(0, 254, 0, 0), header.Range8(0, 252, 0, 0)]),
        (F.WRITE, []),
        (F.IMMED_FREEZE, [header.Range8(20, 0, 1, 2)]),
        (F.IMMED_FREEZE_NR, [header.AllObjects(20, 0)]),
        (F.FREEZE_CLEAR_NR, [header.AllObjects(20, 0)]),
        (F.FREEZE_AT_TIME, [header.AllObjects(20, 0)]),
        (F.FREEZE_AT_TIME_NR, [header.AllObjects(20, 0)]),
        (F.CLOSE_FILE, []),
        (F.GET_FILE_INFO, []),
        (F.AUTHENTICATE_FILE, []),
        (F.ABORT_FILE, []),
        (F.AUTH_REQUEST_NO_ACK, []),
        (F.CONFIRM, []),
    ]
    actions += [
        lambda code=code, headers=headers: master.PerformFunction("tour", code, headers) for code, headers in functions
    ]
    actions.append(lambda: time.sleep(1))
    return [(2 + 0.2 * number, action) for number, action in enumerate(actions)]


def main():
    config = asiodnp3.MasterStackConfig()
    config.master.responseTimeout = openpal.TimeDuration().Milliseconds(150)
    config.master.disableUnsolOnStartup = False
    nothing = opendnp3.ClassField(False, False, False, False)
    config.master.startupIntegrityClassMask = config.master.unsolClassMask = nothing
    config.link.LocalAddr, config.link.RemoteAddr = 1, 10
    manager = asiodnp3.DNP3Manager(1, asiodnp3.ConsoleLogger().Create())
    retry, listener = asiopal.ChannelRetry().Default(), asiodnp3.PrintingChannelListener().Create()
    channel = manager.AddTCPClient("client", opendnp3.levels.NOTHING, retry, sys.argv[1], "0.0.0.0", 20000, listener)
    events, application = asiodnp3.PrintingSOEHandler().Create(), asiodnp3.DefaultMasterApplication().Create()
    master = channel.AddMaster("master", events, application, config)
    master.Enable()
    follow(time.time(), steps(master))
    os._exit(0)  # the manager's own Shutdown() deadlocks; leaving closes the connection


main()
