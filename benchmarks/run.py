"""otmon beside tshark on the same captures: `python -m benchmarks.run`.

Figures are CPU seconds (user and system, of the child and all its threads), start-up subtracted: the same program on a
capture of 100 frames. The best of some runs counts for otmon, of two for tshark.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.decoding import rates as rates_of_decoding
from benchmarks.make import DATA, RECIPES, make

POLICY = Path(__file__).with_name("policy.yaml")
RUNS = 3
FIELDS = (
    *("frame.number", "frame.time_epoch", "ip.src", "ip.dst", "tcp.srcport", "tcp.dstport"),
    *("modbus.func_code", "dnp3.al.func", "s7comm.param.func"),
)


class Usage(NamedTuple):
    """What one process cost."""

    cpu_s: float
    wall_s: float
    peak_mib: float


class Analysis(NamedTuple):
    """What `otmon analyze` cost and found."""

    usage: Usage
    frames: int
    operations: int
    alerts: int


def measure(command: Sequence[str], **env: str) -> Usage:
    """Run to the end. Exits with the program's last words if it fails."""
    with tempfile.TemporaryFile() as words:
        before = os.times().elapsed
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=words, env={**kept, **env})
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            words.seek(0)
            sys.exit(
                f"{' '.join(command)}: exit code {process.returncode}\n{words.read().decode(errors='replace')[-2000:]}"
            )
        return Usage(used.ru_utime + used.ru_stime, os.times().elapsed - before, used.ru_maxrss / 1024)


def otmon(*arguments: str, **env: str) -> Usage:
    """Run a command of this package."""
    return measure([sys.executable, "-m", "otmon", *arguments], **env)


def analyze(capture: Path, runs: int = RUNS) -> Analysis:
    """The cheapest of some runs of the whole program, all records but messages."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        arguments = ("analyze", str(capture), "--policy", str(POLICY), "--out", str(out))
        usage = min(otmon(*arguments) for _ in range(runs))
        summary = json.loads((out / "summary.json").read_text())
    return Analysis(usage, summary["frames"]["captured"], summary["operations"], sum(summary["alerts"].values()))


def tshark(capture: Path) -> Usage:
    """Wireshark's dissection, as fields."""
    fields = [part for field in FIELDS for part in ("-e", field)]
    return measure(["tshark", "-n", "-r", str(capture), "-T", "fields", *fields])


def cold_compile() -> Usage:
    """Compile every kernel into an empty cache."""
    with tempfile.TemporaryDirectory() as folder:
        return otmon("warm", OTMON_CACHE=folder)


def row(what: str, value: str, wanted: str = "") -> None:
    """One line of the table."""
    print(f"  {what:<46} {value:>16}   {wanted}".rstrip(), flush=True)


def beside_start(name: str, runs: int = RUNS) -> tuple[Analysis, float]:
    """The cheapest of some runs, and its CPU seconds without start-up, whose runs alternate with them.

    On a shared machine one run takes half as long again as the next: both must have had the same chances.
    """
    tiny, pairs = make("tiny"), []
    for _ in range(runs):
        pairs.append((analyze(tiny, 1), analyze(make(name), 1)))
    done = min((analysis for _, analysis in pairs), key=lambda analysis: analysis.usage)
    return done, done.usage.cpu_s - min(start.usage.cpu_s for start, _ in pairs)


def rates() -> dict[str, float]:
    """Frames per CPU second by capture: the plant for some minutes, the same ten times as long, and a large one."""
    found = {}
    for name, what, runs, wanted in (
        ("mixed", "1,000,000 frames", 2 * RUNS, ""),
        ("long", "10,000,000 frames", RUNS, "wanted: 6,000,000"),
        ("many", "20,000 connections", 1, ""),
    ):
        done, cpu_s = beside_start(name, runs)
        found[name] = done.frames / cpu_s
        row(f"otmon, {what}: frames per CPU second", f"{found[name]:,.0f}", wanted)
        limit = "" if name == "many" else "wanted: under 300 MiB"
        row(f"otmon, {what}: peak memory", f"{done.usage.peak_mib:,.0f} MiB", limit)
    return found


def beside_tshark(ours: Mapping[str, float]) -> None:
    """The shorter capture through tshark, which keeps a state of every frame: the longer one would take 8 GB."""
    if shutil.which("tshark") is None:
        row("tshark", "not installed", "apt install tshark")
        return
    start, done = (min(tshark(make(name)) for _ in range(2)) for name in ("tiny", "mixed"))
    theirs = RECIPES["mixed"].frames / (done.cpu_s - start.cpu_s)
    row("tshark -T fields: frames per CPU second", f"{theirs:,.0f}")
    row("tshark -T fields: peak memory", f"{done.peak_mib:,.0f} MiB")
    row("ratio, otmon over 10,000,000 frames", f"{ours['long'] / theirs:,.1f}", "wanted: 75")
    row("ratio, the same 1,000,000 frames", f"{ours['mixed'] / theirs:,.1f}")


def decoding() -> None:
    """All fields of every message."""
    found = rates_of_decoding()
    for name, (messages, cpu_s) in found.items():
        row(
            f"decode(), {name}: messages per CPU second", f"{messages / cpu_s:,.0f}", "wanted: 40,000" * (name == "all")
        )
    if shutil.which("tshark"):
        command = ("tshark", "-n", "-T", "json", "-J", "mbtcp modbus dnp3 cotp s7comm", "-r")
        start, done = (min(measure((*command, str(make(name)))) for _ in range(2)) for name in ("tiny", "decoded"))
        theirs = found["all"][0] / (done.cpu_s - start.cpu_s)
        row("tshark -T json: messages per CPU second", f"{theirs:,.0f}")


def novelty() -> None:
    """New shapes and new alerts."""
    done, cpu_s = beside_start("novel", 2)
    row(
        "new permitted operations per CPU second",
        f"{done.operations / cpu_s:,.0f}",
        "wanted: 20,000",
    )
    row("  of them, alerts", f"{done.operations:,}, {done.alerts:,}", "wanted: no alert")
    done, cpu_s = beside_start("alerts", 2)
    row("new alerts per CPU second", f"{done.alerts / cpu_s:,.0f}", "wanted: 5,000")
    row("  alerts", f"{done.alerts:,}", "wanted: 20,000")


def main() -> None:
    print(f"captures: {DATA} (1.7 GB)")
    cold = cold_compile()
    row("cold compile of all kernels", f"{cold.wall_s:.1f} s", "wanted: under 30 s")
    otmon("warm")
    tiny = analyze(make("tiny"))
    row("warm analyze of 100 frames", f"{tiny.usage.wall_s:.2f} s", "wanted: under 1 s")
    beside_tshark(rates())
    decoding()
    novelty()


if __name__ == "__main__":
    main()
