"""Real stacks: `talkers.py modbus|s7|dnp3 serve|poll|violate ADDRESS`, run by the Python of `benchmarks.live.peers`.

`serve` and `poll` go on until they are ended; `violate` writes once, over a connection of its own, for every line it
reads, and says `done` with what became of it.
"""

import asyncio
import ctypes
import sys
import time
from collections.abc import Callable

POLL_S = 0.02


def modbus_serve(address: str) -> None:
    from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
    from pymodbus.server import StartTcpServer

    registers = ModbusSequentialDataBlock(1, [7] * 1000)
    device = ModbusDeviceContext(di=registers, co=registers, hr=registers, ir=registers)
    StartTcpServer(ModbusServerContext(devices={1: device}, single=False), address=(address, 502))


def modbus_poll(address: str) -> None:
    from pymodbus.client import ModbusTcpClient

    client = ModbusTcpClient(address, port=502, timeout=2)
    client.connect()
    while True:
        client.read_holding_registers(0, count=20, device_id=1)
        time.sleep(POLL_S)


def modbus_violate(address: str) -> None:
    from pymodbus.client import ModbusTcpClient

    client = ModbusTcpClient(address, port=502, timeout=2)
    client.connect()
    client.write_register(5, 9, device_id=1)
    client.close()


def s7_serve(address: str) -> None:
    import snap7.types as types
    from snap7.server import Server

    server = Server(log=False)
    held = (ctypes.c_uint8 * 1024)()
    server.register_area(types.srvAreaDB, 1, held)
    server.start_to(address)
    while True:
        server.pick_event()
        time.sleep(0.05)


def s7_poll(address: str) -> None:
    from snap7.client import Client

    client = Client()
    client.connect(address, 0, 1)
    while True:
        client.db_read(1, 0, 64)
        time.sleep(POLL_S)


def s7_violate(address: str) -> None:
    from snap7.client import Client

    client = Client()
    client.connect(address, 0, 1)
    client.db_write(1, 4, bytearray(b"\x01\x02"))
    client.disconnect()


def dnp3_serve(address: str) -> None:
    import dnp3.database as d
    from dnp3.outstation import DefaultCommandHandler, Outstation, OutstationConfig, OutstationTcpRunner

    points = d.Database()
    for number in range(6):
        points.add_binary_input(number, d.BinaryInputConfig())
        points.add_analog_input(number, d.AnalogInputConfig())
        points.add_binary_output(number, d.BinaryOutputConfig())

    async def serve() -> None:
        station = Outstation(
            database=points, handler=DefaultCommandHandler(), config=OutstationConfig(address=10, master_address=1)
        )
        await OutstationTcpRunner(outstation=station, host=address, port=20000).run()

    asyncio.run(serve())


def _dnp3(address: str, work: Callable) -> None:
    from dnp3.master import DefaultSOEHandler, Master, MasterConfig, MasterTcpRunner

    async def connected() -> None:
        master = Master(handler=DefaultSOEHandler(), config=MasterConfig(address=1, outstation_address=10))
        async with MasterTcpRunner(master=master, host=address, port=20000) as runner:
            await work(master, runner)

    asyncio.run(connected())


def dnp3_poll(address: str) -> None:
    async def work(master: object, runner: object) -> None:
        while True:
            await runner.integrity_poll()
            await asyncio.sleep(POLL_S)

    _dnp3(address, work)


def dnp3_violate(address: str) -> None:
    from dnp3.master import CommandBuilder

    async def work(master: object, runner: object) -> None:
        await asyncio.wait_for(
            runner.request(master.build_direct_operate(CommandBuilder().latch_on(2).build_direct_operate())), 4
        )

    _dnp3(address, work)


def main(protocol: str, what: str, address: str) -> None:
    work = globals()[f"{protocol}_{what}"]
    if what != "violate":
        work(address)
        return
    for _ in sys.stdin:
        try:
            work(address)
            print("done", flush=True)
        except Exception as error:
            print(f"failed {type(error).__name__}: {error}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:4])
