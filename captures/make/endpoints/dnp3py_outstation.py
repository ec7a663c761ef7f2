"""DNP3 outstation 10 (dnp3py). Usage: dnp3py_outstation.py ADDRESS"""

import asyncio
import sys

from dnp3 import database as points
from dnp3.outstation import Outstation, OutstationConfig, OutstationTcpRunner, UnsolicitedConfig


async def main() -> None:
    database = points.Database()
    for index in range(6):
        database.add_binary_input(index, points.BinaryInputConfig())
        database.add_analog_input(index, points.AnalogInputConfig())
        database.add_binary_output(index, points.BinaryOutputConfig())
        database.add_analog_output(index, points.AnalogOutputConfig())
        database.add_counter(index, points.CounterConfig())
    config = OutstationConfig(address=10, master_address=1, unsolicited=UnsolicitedConfig())
    outstation = Outstation(database=database, config=config)
    runner = OutstationTcpRunner(outstation=outstation, host=sys.argv[1], port=20000)
    server = asyncio.create_task(runner.run())
    count = 0
    while not server.done():
        await asyncio.sleep(1)
        count += 1
        database.update_binary_input(count % 6, value=bool(count % 2))
        database.update_analog_input(count % 6, value=count)


asyncio.run(main())
