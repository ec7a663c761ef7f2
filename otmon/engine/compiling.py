"""Compiles every far function, in as many processes as there are cores: `python -m otmon.engine.compiling N OF`."""

import importlib
import os
import pickle
import subprocess
import sys
from typing import Final

from otmon.wire.fields import FAR_NAMES
from otmon.wire.kernelfile import CompileError

MAX_PROCESSES: Final = 8
"""Past this the function that takes longest sets the pace."""


def compile_all() -> dict[str, bytes]:
    """The object file of every far function, by name. Raises CompileError."""
    count = min(os.cpu_count() or 1, MAX_PROCESSES)
    command = [sys.executable, "-m", "otmon.engine.compiling"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")} | {"OTMON_COMPILE": "1"}
    workers = [
        subprocess.Popen(
            [*command, str(number), str(count)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for number in range(count)
    ]
    kernels: dict[str, bytes] = {}
    try:
        for worker in workers:
            made, words = worker.communicate()
            if worker.returncode:
                raise CompileError((words.decode(errors="replace").strip().splitlines() or ["no reason given"])[-1])
            kernels |= pickle.loads(made)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    return kernels


def _share(number: int, count: int) -> dict[str, bytes]:
    """What one process compiles; in it OTMON_COMPILE is set."""
    for module in ("otmon.capture.reader", "otmon.capture.tpacket", "otmon.wire.finish", "otmon.engine.loop"):
        importlib.import_module(module)
    from otmon.wire.ahead import compiled

    return {name: compiled(name) for name in FAR_NAMES[number::count]}


if __name__ == "__main__":
    sys.stdout.buffer.write(pickle.dumps(_share(*map(int, sys.argv[1:]))))
