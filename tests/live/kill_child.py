"""Sensors one after another, each in a process of its own that is killed: `kill_child.py DATA POLICY`.

Started at the monitor of the lab. What takes long at a start, imports, is done once. Prints the number of each process
once it is armed; ends with its standard input.
"""

import os
import sys
from pathlib import Path

from otmon.engine import cache

cache.choose([])  # before all that follows, which is compiled or not as it says

from otmon.capture.ring import Ring  # noqa: E402 # after the choice
from otmon.policy.load import load_policy  # noqa: E402 # after the choice
from otmon.sensor.watch import Sensor  # noqa: E402 # after the choice
from otmon.store.sensor import SiteStore  # noqa: E402 # after the choice
from tests.live.lab import MONITOR  # noqa: E402 # after the choice


def watch(data: Path, policy_path: Path) -> None:
    policy = load_policy(policy_path)
    ring = Ring(MONITOR, 0, blocks=8)
    with SiteStore(data / "site.db", policy.site) as store:
        # Checkpoints come often, so that kills hit them too.
        sensor = Sensor([ring], store, policy, checkpoint_s=0.1)
        print("armed", os.getpid(), flush=True)
        sensor.watch(lambda: False)


def main() -> None:
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            watch(Path(sys.argv[1]), Path(sys.argv[2]))
            os._exit(3)
        os.waitpid(child, 0)
        print("ended", flush=True)


if __name__ == "__main__":
    main()
