"""The whole pipeline over spoilt frames: `python -m tests.fuzz.frames --frames 10000000` (`make fuzz`).

Holds throughout: no exception, nothing internal, all sums, no batch that takes a minute, memory flat. What breaks that
is kept as a capture, and its seed is printed.
"""

import argparse
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import tests.conftest  # noqa: F401  compiled kernels, before anything imports the wire stage
from benchmarks.limits import peak_mib
from otmon.engine import analyze
from tests.engine.scenes import policies
from tests.engine.world import START_NS, Frame, check_sums, scratch, write
from tests.fuzz.mutate import OTHERS, OWN, Spoiler

RUN_FRAMES = 20_000
"""Of one run of the engine, which begins with empty tables."""
PATIENCE_S = 60
KEPT = Path("out/fuzz")
RULES = ("none", "permitted", "refused")


class Told(NamedTuple):
    """What a run of the engine said."""

    frames: int
    mutated: int
    pdus: int
    malformed: int
    """Bytes."""


def capture(spoiler: Spoiler, count: int) -> Iterator[Frame]:
    """Windows one after the other, a millisecond a frame."""
    number = 0
    while number < count:
        for frame in spoiler.window():
            yield frame._replace(ts_ns=START_NS + number * 1_000_000)
            number += 1


def one(seed: int, frames: int = RUN_FRAMES) -> Told:
    """One run; with messages every second time, since then each PDU is decoded in full."""
    spoiler = Spoiler(OWN + OTHERS, seed)
    path = write(scratch() / "fuzz.pcap", capture(spoiler, frames))
    rules = policies()[RULES[seed % len(RULES)]]
    messages = scratch() / "fuzz.jsonl" if seed & 1 else None
    signal.setitimer(signal.ITIMER_PROF, PATIENCE_S)  # of this process's own time: the machine may be busy
    try:
        part = analyze([str(path)], policy=rules, messages_path=messages, seed=seed).part
        check_sums(part.frames, part.ot_bytes)
        assert spoiler.mutated
    except BaseException:
        KEPT.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, KEPT / f"{seed}.pcap")
        print(f"seed {seed} breaks it; its frames are in {KEPT / f'{seed}.pcap'}", file=sys.stderr)
        raise
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    pdus = sum(protocol["pdus"] for protocol in part.protocols.values())
    return Told(part.frames["captured"], spoiler.mutated, pdus, part.ot_bytes["malformed"])


def several(seeds: range) -> tuple[Told, list[float]]:
    """Runs one after the other in this process: what they said in all, and how much memory was used after each."""
    total, used = Told(0, 0, 0, 0), []
    for seed in seeds:
        total = Told(*map(sum, zip(total, one(seed), strict=True)))
        used.append(peak_mib())
    return total, used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=10_000_000, help="mutated frames to try")
    parser.add_argument("--seed", type=int, default=None, help="first seed (default: of the clock)")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    seed = int(time.time()) if options.seed is None else options.seed
    done, began_s, first = Told(0, 0, 0, 0), time.monotonic(), seed
    with ProcessPoolExecutor(options.processes) as pool:
        while done.mutated < options.frames:
            shares = [range(seed + 20 * n, seed + 20 * (n + 1)) for n in range(options.processes)]
            seed = shares[-1].stop
            for told, used in pool.map(several, shares):
                done = Told(*map(sum, zip(done, told, strict=True)))
                assert used[-1] < 1.3 * used[2] + 20, f"memory grows: {used}"
            print(
                f"{time.monotonic() - began_s:6.0f} s  {done.mutated:,} mutated of {done.frames:,} frames, "
                f"{done.pdus:,} PDUs, {done.malformed:,} malformed bytes",
                flush=True,
            )
    print(f"seeds {first} to {seed - 1}: nothing broke")


if __name__ == "__main__":
    main()
