"""Memory and writing of a sensor that runs on and on, a line a minute: what grows shows here.

The first minutes fill tables and write what is new; they are printed and left out of the two results.
"""

import threading
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.live.sender import Frames, Sender
from benchmarks.run import POLICY, row
from tests.live.lab import MONITOR, Lab
from tests.live.sensor import Watching, arguments, data_folder, sums

RATE = 4_000
"""Frames a second: the capture goes round every four minutes, so after that nothing in it is new."""
WARM_UP_MINUTES = 10
MINUTE_S = 60.0
HOUR_S = 3_600


class Sample(NamedTuple):
    """A sensor at one moment."""

    at_s: float
    resident_kib: int
    """Anonymous memory, without the capture ring."""
    handed_over: int
    """Bytes given to the file system (the log on stderr among them)."""
    to_disk: int
    """Bytes the file system sent, or will send, to the disk."""
    stored: int
    """Size of the data folder."""


def sample(watching: Watching, data: Path, started_s: float) -> Sample:
    """How it is now."""
    lines = Path(f"/proc/{watching.process.pid}/io").read_text().splitlines()
    figures = dict(line.split(": ") for line in lines)
    stored = sum(path.stat().st_size for path in data.iterdir())
    moment_s = time.monotonic() - started_s
    return Sample(moment_s, watching.memory_kib(), int(figures["wchar"]), int(figures["write_bytes"]), stored)


def steady(plant: Lab, frames: Frames, seconds: float) -> None:
    """Prints a line a minute, then memory and bytes written an hour after the first minutes."""
    with data_folder() as data:
        watching = Watching(plant, *arguments(data, POLICY))
        with plant.inside("switch"):
            sender = Sender(MONITOR)
        sent: list[int] = []
        sending = threading.Thread(target=lambda: sent.append(sender.send(frames, RATE, seconds)))
        started_s = time.monotonic()
        samples = [sample(watching, data, started_s)]
        sending.start()
        row("minute", "memory MiB", "handed over kB, to disk kB in this minute, data folder kB")
        while sending.is_alive():
            sending.join(MINUTE_S)
            samples.append(sample(watching, data, started_s))
            _line(samples[-2], samples[-1])
        sender.close()
        if watching.end() != 0:
            raise SystemExit("\n".join(watching.said))
        total = sums(data)
    row("frames", f"{total['frames']:,}", f"+ {total['dropped']:,} dropped, of {sent[0]:,} sent")
    settled = [one for one in samples if one.at_s > WARM_UP_MINUTES * MINUTE_S] or samples[-2:]
    _results(settled)


def _line(before: Sample, now: Sample) -> None:
    written = f"{(now.handed_over - before.handed_over) / 1e3:,.0f}, {(now.to_disk - before.to_disk) / 1e3:,.0f}"
    row(f"  {now.at_s / MINUTE_S:.0f}", f"{now.resident_kib / 1024:,.1f}", f"{written}, {now.stored / 1e3:,.0f}")


def _results(settled: list[Sample]) -> None:
    first, last = settled[0], settled[-1]
    hours = (last.at_s - first.at_s) / HOUR_S
    low, high = (edge(one.resident_kib for one in settled) / 1024 for edge in (min, max))
    span = f"minutes {first.at_s / MINUTE_S:.0f} to {last.at_s / MINUTE_S:.0f}"
    row("memory, least and most", f"{low:,.1f}, {high:,.1f} MiB", f"{span}; wanted: flat")
    row("  at their beginning and end", f"{first.resident_kib / 1024:,.1f}, {last.resident_kib / 1024:,.1f} MiB")
    handed_over, to_disk = last.handed_over - first.handed_over, last.to_disk - first.to_disk
    row("handed to the file system an hour", f"{handed_over / hours / 1e6:,.1f} MB", "wanted: under 72 MB")
    row("written to the disk an hour", f"{to_disk / hours / 1e6:,.1f} MB", "wanted: under 72 MB")
