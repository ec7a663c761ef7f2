"""What the dnp3py master asks. Usage: dnp3py_tour.py ADDRESS"""

import asyncio
import sys

from dnp3.core.enums import ControlCode
from dnp3.master import CommandBuilder, DefaultSOEHandler, Master, MasterConfig, MasterTcpRunner


async def main() -> None:
    master = Master(handler=DefaultSOEHandler(), config=MasterConfig(address=1, outstation_address=10))
    async with MasterTcpRunner(master=master, host=sys.argv[1], port=20000) as runner:
        await runner.integrity_poll()
        await runner.class_poll()
        await runner.enable_unsolicited()
        await runner.request(master.build_select(CommandBuilder().latch_on(1).build_select()))
        await runner.request(master.build_operate(CommandBuilder().latch_on(1).build_operate()))
        pulse = CommandBuilder().add_crob(2, ControlCode.PULSE_ON, 1, 100, 100)
        await runner.request(master.build_direct_operate(pulse.build_direct_operate()))
        await runner.request(master.build_delay_measure())
        await asyncio.sleep(2.5)
        await runner.class_poll()


asyncio.run(main())
