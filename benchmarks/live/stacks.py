"""Real clients and servers talk over the bridge while the monitor watches: what is lost, and how late alerts are."""

import itertools
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles

from benchmarks.live import peers
from benchmarks.run import row
from tests.live.lab import HOSTS, MONITOR, Lab
from tests.live.sensor import Watching, alerts, arguments, data_folder, rows, sums

POLICY = Path(__file__).with_name("policy.yaml")
TALKERS = Path(__file__).with_name("talkers.py")
STACKS = ("modbus", "s7", "dnp3")
PROTOCOL = {"modbus": "modbus", "s7": "s7comm", "dnp3": "dnp3"}
EVERY_S = 0.2
NETWORK = HOSTS["attacker"].rpartition(".")[0]


def sources() -> Iterator[str]:
    """An address for each violation, so that each is an alert of its own."""
    return (f"{NETWORK}.{number}" for number in itertools.cycle(range(50, 250)))


def stacks(plant: Lab, seconds: float) -> None:
    """Prints the rows."""
    python = peers.python()
    if isinstance(python, str):
        row("real stacks", "skipped", python)
        return
    plc, talk = HOSTS["plc"], (str(python), str(TALKERS))
    with data_folder() as data:
        watching = Watching(plant, *arguments(data, POLICY))
        carried = plant.counter("monitor", MONITOR, "rx")
        running = [plant.start("plc", *talk, name, "serve", plc) for name in STACKS]
        time.sleep(3)
        running += [plant.start("hmi", *talk, name, "poll", plc) for name in STACKS]
        violators = {name: _violator(plant, *talk, name, "violate", plc) for name in STACKS}
        wanted, failed, seen = set(), [], {}
        end = time.monotonic() + seconds
        for address, name in zip(sources(), itertools.cycle(STACKS), strict=False):
            if time.monotonic() > end or len(wanted) >= 195:
                break
            plant.ip("attacker", f"addr add {address}/24 dev eth0")
            plant.ip("attacker", f"route change {NETWORK}.0/24 dev eth0 src {address}")
            process = violators[name]
            process.stdin.write("\n")
            process.stdin.flush()
            said = process.stdout.readline().strip()
            if said == "done":
                wanted.add((address, PROTOCOL[name]))
            else:
                failed.append((name, said))
            until = time.monotonic() + EVERY_S
            while time.monotonic() < until:
                _look(data, seen)
                time.sleep(0.005)
        for process in [*violators.values(), *running]:
            process.kill()
            process.wait()
        time.sleep(1.5)
        _look(data, seen)
        carried = plant.counter("monitor", MONITOR, "rx") - carried
        sent_by_monitor = plant.counter("monitor", MONITOR, "tx")
        watching.end()
        total = sums(data)
        found = {(a["client"]["endpoint"], a["operation"]["protocol"]) for a in alerts(data) if a["kind"] == "command"}
    row("real stacks: frames over the bridge", f"{carried:,}")
    row("  processed + dropped", f"{total['frames']:,} + {total['dropped']:,}", f"wanted: {carried:,} + 0")
    row("  violations, alerted", f"{len(wanted)}, {len(found & wanted)}", "wanted: the same")
    row("  alerts of what is allowed", f"{len(found - wanted)}", "wanted: 0")
    cuts = quantiles(seen.values(), n=100)
    row("  frame to database, p50 and p99", f"{cuts[49]:.3f} s, {cuts[98]:.3f} s", "wanted: under 1 s")
    row("  frames sent by the monitor", f"{sent_by_monitor}", "wanted: 0")
    for name, said in failed[:3]:
        row(f"  {name} did not", said[:60])


def _violator(plant: Lab, *command: str) -> "subprocess.Popen[str]":
    line = ("ip", "netns", "exec", plant.namespace("attacker"), *command)
    return subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def _look(data: Path, seen: dict[str, float]) -> None:
    """When each alert was there for a reader, after its first frame."""
    query = "SELECT id, first_ts_ns FROM alerts WHERE kind = 'command'"
    for name, first_ts_ns in rows(data, query):
        seen.setdefault(name, (time.time_ns() - first_ts_ns) / 1e9)
