"""DNP3 master 1 (opendnp3): a day at the plant, or a tour of all functions.

Usage: dnp3_master.py ADDRESS START plant|tour (START in seconds of the epoch)
"""

import os
import sys
import time

from pydnp3 import asiodnp3, asiopal, opendnp3, openpal
from schedule import follow

F = opendnp3.FunctionCode
CROB = opendnp3.ControlRelayOutputBlock
CLASSES_123 = opendnp3.ClassField(False, True, True, True)


def say(result):
    print("result:", result.summary, flush=True)


def plant_steps(master):
    return [
        (6, lambda: master.ScanClasses(CLASSES_123)),
        (9, lambda: master.SelectAndOperate(CROB(opendnp3.ControlCode.LATCH_ON), 3, say)),
        (12, lambda: master.ScanClasses(opendnp3.ClassField().AllClasses())),
        (16, lambda: master.ScanClasses(CLASSES_123)),
        (18, lambda: master.SelectAndOperate(CROB(opendnp3.ControlCode.LATCH_OFF), 3, say)),
        (20, lambda: master.Restart(opendnp3.RestartType.COLD, say)),  # the violation
        (23, lambda: master.ScanClasses(CLASSES_123)),
        (26, lambda: None),
    ]


def tour_steps(master):
    point, header = opendnp3.GroupVariationID, opendnp3.Header()
    actions = [
        lambda: master.SelectAndOperate(CROB(opendnp3.ControlCode.LATCH_ON), 3, say),
        lambda: master.DirectOperate(CROB(opendnp3.ControlCode.TRIP_PULSE_ON, 1, 100, 100), 4, say),
        lambda: master.DirectOperate(opendnp3.AnalogOutputInt16(7), 1, say),
        lambda: master.DirectOperate(opendnp3.AnalogOutputInt32(70000), 2, say),
        lambda: master.DirectOperate(opendnp3.AnalogOutputFloat32(1.5), 3, say),
        lambda: master.SelectAndOperate(opendnp3.AnalogOutputDouble64(2.5), 1, say),
        lambda: master.ScanClasses(opendnp3.ClassField().AllClasses()),
        lambda: master.ScanRange(point(30, 1), 0, 4),
    ]
    functions = [
        (F.DELAY_MEASURE, []),
        (F.IMMED_FREEZE, [header.AllObjects(20, 0)]),
        (F.FREEZE_CLEAR, [header.AllObjects(20, 0)]),
        (F.DISABLE_UNSOLICITED, [header.AllObjects(60, 2)]),
        (F.ENABLE_UNSOLICITED, [header.AllObjects(60, 2)]),
        (F.INITIALIZE_DATA, []),
        (F.INITIALIZE_APPLICATION, []),
        (F.START_APPLICATION, []),
        (F.STOP_APPLICATION, []),
        (F.SAVE_CONFIGURATION, []),
        (F.OPEN_FILE, []),
        (F.DELETE_FILE, []),
        (F.ASSIGN_CLASS, [header.AllObjects(60, 2), header.AllObjects(1, 0)]),
        (F.RECORD_CURRENT_TIME, []),
        (F.AUTH_REQUEST, []),
    ]
    for code, headers in functions:
        actions.append(lambda code=code, headers=headers: master.PerformFunction("tour", code, headers))
    actions.append(lambda: master.Restart(opendnp3.RestartType.COLD, say))
    actions.append(lambda: master.Restart(opendnp3.RestartType.WARM, say))
    actions.append(lambda: time.sleep(2.5))
    return [(3 + 0.4 * number, action) for number, action in enumerate(actions)]


def main():
    address, start, part = sys.argv[1], float(sys.argv[2]) or time.time(), sys.argv[3]
    config = asiodnp3.MasterStackConfig()
    config.master.responseTimeout = openpal.TimeDuration().Seconds(2)
    config.link.LocalAddr, config.link.RemoteAddr = 1, 10
    manager = asiodnp3.DNP3Manager(1, asiodnp3.ConsoleLogger().Create())
    retry, listener = asiopal.ChannelRetry().Default(), asiodnp3.PrintingChannelListener().Create()
    channel = manager.AddTCPClient("client", opendnp3.levels.NOTHING, retry, address, "0.0.0.0", 20000, listener)
    events, application = asiodnp3.PrintingSOEHandler().Create(), asiodnp3.DefaultMasterApplication().Create()
    master = channel.AddMaster("master", events, application, config)
    time.sleep(max(0.0, start + 0.9 - time.time()))
    master.Enable()
    follow(start, plant_steps(master) if part == "plant" else tour_steps(master))
    os._exit(0)  # the manager's own Shutdown() deadlocks; leaving closes the connection


if __name__ == "__main__":
    main()
