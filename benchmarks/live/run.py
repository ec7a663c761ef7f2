"""The live sensor measured in network namespaces: `python -m benchmarks.live.run [--seconds N] [--long]`.

Needs root. Figures are sums that must agree, shares and rates of this machine; compare them with each other.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.live.sender import Frames, Sender
from benchmarks.live.stacks import stacks
from benchmarks.make import make
from benchmarks.run import POLICY, otmon, row
from tests.live.lab import MONITOR, Lab, lab, skip_reason
from tests.live.sensor import Watching, arguments, data_folder, sums

LARGE_PLANT = 20_000
STEPS = (50_000, 100_000, 200_000, 300_000, 400_000)
STEP_S = 5.0
TICKS = os.sysconf("SC_CLK_TCK")
HOUR_S = 3_600


class Watched(NamedTuple):
    """One run of the sensor while frames came."""

    sent: int
    elapsed_s: float
    processed: int
    dropped: int
    cpu_s: float
    memory_kib: tuple[int, int]
    """A tenth into the run, and at its end."""
    written: int
    """Bytes handed to the file system while frames came."""
    transmitted: int

    @property
    def exact(self) -> str:
        """The sum that must agree."""
        return f"{self.processed:,} + {self.dropped:,} = {self.processed + self.dropped:,} of {self.sent:,} sent"


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _written(pid: int) -> int:
    figures = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(figures["wchar"])


def watched(plant: Lab, frames: Frames, rate: float | None, seconds: float | None) -> Watched:
    """Watch while frames are sent into the mirror."""
    with data_folder() as data:
        watching = Watching(plant, *arguments(data, POLICY))
        with plant.inside("switch"):
            sender = Sender(MONITOR)
        pid, came = watching.process.pid, plant.counter("monitor", MONITOR, "rx")
        cpu_s, written, started = _cpu_s(pid), _written(pid), time.monotonic()
        sent = sender.send(frames, rate, seconds / 10 if seconds else None)
        early_kib = watching.memory_kib()
        if seconds:
            sent += sender.send(frames, rate, seconds * 9 / 10)
        elapsed_s = time.monotonic() - started
        time.sleep(1)
        cpu_s, written, late_kib = _cpu_s(pid) - cpu_s, _written(pid) - written, watching.memory_kib()
        sender.close()
        if plant.counter("monitor", MONITOR, "rx") - came != sent:
            sys.exit("the lab lost frames before the sensor's interface")
        if watching.end() != 0:
            sys.exit("\n".join(watching.said))
        total, transmitted = sums(data), plant.counter("monitor", MONITOR, "tx")
    return Watched(
        sent, elapsed_s, total["frames"], total["dropped"], cpu_s, (early_kib, late_kib), written, transmitted
    )


def top_speed(plant: Lab, frames: Frames) -> None:
    """Everything at once, then the highest rate without loss."""
    done = watched(plant, frames, None, None)
    row("top speed: frames a second", f"{done.sent / done.elapsed_s:,.0f}")
    row("  processed + dropped", "", done.exact)
    best = 0.0
    for rate in STEPS:
        done = watched(plant, frames, rate, STEP_S)
        reached = done.sent / done.elapsed_s
        if not done.dropped:
            best = max(best, reached)
        row(f"  {reached:,.0f} frames a second: dropped", f"{done.dropped:,}", done.exact)
        if reached < 0.9 * rate:
            break  # the sender has no more
    row("highest rate without loss", f"{best:,.0f}")


def large_plant(plant: Lab, frames: Frames, seconds: float) -> None:
    """The rate of a large plant for a while."""
    done = watched(plant, frames, LARGE_PLANT, seconds)
    rate = done.sent / done.elapsed_s
    row(
        f"{rate:,.0f} frames a second: share of a core",
        f"{100 * done.cpu_s / done.elapsed_s:.1f} %",
        "wanted: under 5 %",
    )
    row("  processed + dropped", "", done.exact)
    early, late = done.memory_kib
    row("  memory early and at the end", f"{early / 1024:,.0f}, {late / 1024:,.0f} MiB", "wanted: flat")
    row(
        "  written an hour, from this run",
        f"{done.written / done.elapsed_s * HOUR_S / 1e6:,.0f} MB",
        "wanted: under 72 MB",
    )
    row("  frames sent by the monitor", f"{done.transmitted}", "wanted: 0")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live.run", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="of each long measurement (120)")
    parser.add_argument("--long", action="store_true", help="an hour of a large plant, for memory")
    args = parser.parse_args()
    if reason := skip_reason():
        print(f"skipped: {reason}")
        return
    otmon("warm")
    frames = Frames.read(make("mixed"))
    with lab() as plant:
        stacks(plant, args.seconds)
        top_speed(plant, frames)
        large_plant(plant, frames, HOUR_S if args.long else args.seconds)


if __name__ == "__main__":
    main()
