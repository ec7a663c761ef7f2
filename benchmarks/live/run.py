"""The live sensor measured: `python -m benchmarks.live.run [--part NAME]... [--seconds N] [--jobs N] [--long]`.

All parts but `limits` need root, for network namespaces. Figures are sums that must agree, shares and rates of this
machine; compare them with each other.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.limits import ALERTS, CONNECTIONS, FUNCTIONS, HOSTS, LIMIT_MIB, OPERATIONS
from benchmarks.live.sender import Frames, Sender
from benchmarks.live.stacks import stacks
from benchmarks.live.steady import steady
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


def _family(pid: int) -> list[int]:
    """The process and its jobs."""
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def _cpu_s(pid: int) -> float:
    total = 0
    for one in _family(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def _written(pid: int) -> int:
    figures = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(figures["wchar"])


def watched(plant: Lab, frames: Frames, rate: float | None, seconds: float | None, jobs: int = 1) -> Watched:
    """Watch while frames are sent into the mirror."""
    with data_folder() as data:
        watching = Watching(plant, *arguments(data, POLICY), "--jobs", str(jobs))
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


def top_speed(plant: Lab, frames: Frames, jobs: int = 1) -> None:
    """Everything at once, then the highest rate without loss."""
    done = watched(plant, frames, None, None, jobs)
    row("top speed: frames a second", f"{done.sent / done.elapsed_s:,.0f}")
    row("  processed + dropped", "", done.exact)
    best = 0.0
    for rate in STEPS:
        done = watched(plant, frames, rate, STEP_S, jobs)
        reached = done.sent / done.elapsed_s
        if not done.dropped:
            best = max(best, reached)
        row(f"  {reached:,.0f} frames a second: dropped", f"{done.dropped:,}", done.exact)
        if reached < 0.9 * rate:
            break  # the sender has no more
    row("highest rate without loss", f"{best:,.0f}")


def large_plant(plant: Lab, frames: Frames, seconds: float, jobs: int = 1) -> None:
    """The rate of a large plant for a while."""
    done = watched(plant, frames, LARGE_PLANT, seconds, jobs)
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


def limits() -> None:
    """A site as large as promised, in a process of its own; no network."""
    command = [sys.executable, "-m", "benchmarks.limits"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    found = json.loads(done.stdout)
    counts = ("assets", "connections", "operations", "alerts", "shed")
    reached = ", ".join(f"{found[name]:,} {name}" for name in counts)
    row("a site as large as promised", "", reached)
    if tuple(found[name] for name in counts) != (HOSTS, CONNECTIONS, OPERATIONS, ALERTS, 0):
        sys.exit("that is not what was shown to the sensor")
    peaks = f"{found['steady_peak_mib']:,.0f}, {found['peak_mib']:,.0f} MiB"
    row("  memory: most while watching, and at the end", peaks, f"wanted: under {LIMIT_MIB:,} MiB")
    row("  memory once everything is known", f"{found['steady_mib']:,.0f} MiB")
    row("  longest that frames waited", f"{found['longest_step_s']:.1f} s", "the ring holds 64 MiB")
    new, known = found["turns_written_mb"][len(FUNCTIONS) - 1], found["turns_written_mb"][-1]
    row("  written while new, and known", f"{new:,}, {known - new:,} MB", f"in {found['capture_s']:,.0f} s of capture")


PARTS = ("limits", "stacks", "speed", "plant", "steady")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live.run", description=__doc__)
    parser.add_argument("--part", action="append", choices=PARTS, help="only this; all but steady, if none is named")
    parser.add_argument("--seconds", type=float, help="of each long measurement (120; of steady 3600)")
    parser.add_argument("--jobs", type=int, default=1, help="of the sensor where speed is measured (1)")
    parser.add_argument("--long", action="store_true", help="an hour of a large plant, for memory, and steady")
    args = parser.parse_args()
    parts = args.part or (PARTS if args.long else PARTS[:-1])
    seconds = args.seconds or 120
    otmon("warm")
    if "limits" in parts:
        limits()
    if parts == ["limits"]:
        return
    if reason := skip_reason():
        print(f"skipped: {reason}")
        return
    frames = Frames.read(make("mixed"))
    with lab() as plant:
        if "stacks" in parts:
            stacks(plant, seconds)
        if "speed" in parts:
            top_speed(plant, frames, args.jobs)
        if "plant" in parts:
            large_plant(plant, frames, HOUR_S if args.long else seconds, args.jobs)
        if "steady" in parts:
            steady(plant, frames, args.seconds or HOUR_S)


if __name__ == "__main__":
    main()
