"""The whole pipeline over spoilt frames: `python -m tests.fuzz.frames --frames 10000000` (`make fuzz`).

Holds throughout: no exception, nothing internal, all sums, every frame accounted for and every PDU a message, no run
that takes a minute, memory flat. What breaks that is kept as a capture, and its seed is printed.
"""

import argparse
import faulthandler
import gc
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import tests.conftest  # noqa: F401  compiled kernels, before anything imports the wire stage
from benchmarks.limits import peak_mib
from otmon.alerts.record import as_record
from otmon.engine import analyze
from otmon.outputs.results import write_results
from otmon.site.site import Site
from tests.engine.scenes import PERMITTED, policies
from tests.engine.world import START_NS, Frame, check_sums, scratch, write
from tests.fuzz.holds import records, safe, watched
from tests.fuzz.mutate import OTHERS, OWN, Spoiler
from tests.policy.policy_kit import policy

RUN_FRAMES = 20_000
"""Of one run of the engine, which begins with empty tables."""
PATIENCE_S = 60
MOST_BYTES = 4 << 30
"""Of a process, else what never ends takes all memory before its time is over."""
KEPT = Path("out/fuzz")
WARM_TURNS = 6
"""Of 20 runs each in one process, until the policies' memory of addresses has been full once (MAX_POLICY_CACHE)."""
WRITTEN = 5
"""Of so many runs one is written down as `otmon analyze` does it. Prime to the number of policies."""


class Told(NamedTuple):
    """What a run of the engine said."""

    frames: int
    mutated: int
    pdus: int
    malformed: int
    """Bytes."""


@cache
def rules() -> tuple[Any, ...]:
    """None, the policies of the engine's tests, and one whose rows and limits are about all hosts."""
    hosts = '[10.0.1.0/24, "fd00:1::/64"]', '["0.0.0.0/0", "::/0"]'
    everywhere = PERMITTED.replace(*hosts).replace("from: supervision", "from: control")
    return *policies().values(), policy(everywhere)


def too_long(*_: object) -> None:
    """A run takes more than its minute of this process's time."""
    raise TimeoutError(f"more than {PATIENCE_S} s")


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
    spoilt = list(capture(spoiler, frames))
    path = write(scratch() / "fuzz.pcap", spoilt)
    chosen = rules()[seed // 2 % len(rules())]
    messages = scratch() / "fuzz.jsonl" if seed & 1 else None
    before = signal.signal(signal.SIGPROF, too_long)
    signal.setitimer(signal.ITIMER_PROF, PATIENCE_S)  # of this process's own time: the machine may be busy
    faulthandler.dump_traceback_later(10 * PATIENCE_S, exit=True)  # compiled code does not hear of a signal
    try:
        with watched():
            result = analyze([str(path)], policy=chosen, messages_path=messages, seed=seed)
        part = result.part
        check_sums(part.frames, part.ot_bytes)
        assert part.frames["captured"] == len(spoilt)
        pdus = sum(protocol["pdus"] for protocol in part.protocols.values())
        if messages is not None:
            lines = messages.read_text()
            assert lines.count("\n") == pdus
            safe(lines)
        site = Site(part, chosen)
        alerts = [as_record(episode, site) for episode in part.episodes]
        records(alerts, [asset.as_record() for asset in site.assets])
        if seed % WRITTEN == 0:
            (scratch() / "site.db").unlink(missing_ok=True)
            write_results(scratch(), site, result.inputs, alerts)
        assert spoiler.mutated
    except BaseException:
        KEPT.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, KEPT / f"{seed}.pcap")
        print(f"seed {seed} breaks it; its frames are in {KEPT / f'{seed}.pcap'}", file=sys.stderr)
        raise
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    return Told(len(spoilt), spoiler.mutated, pdus, part.ot_bytes["malformed"])


def several(seeds: range) -> tuple[Told, int, list[float]]:
    """Runs one after the other in this process: what they said in all, its id, how much memory was used after each."""
    gc.disable()  # as a command does
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    total, used = Told(0, 0, 0, 0), []
    for seed in seeds:
        total = Told(*map(sum, zip(total, one(seed), strict=True)))
        gc.collect()
        used.append(peak_mib())
    return total, os.getpid(), used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=10_000_000, help="mutated frames to try")
    parser.add_argument("--seed", type=int, default=None, help="first seed (default: of the clock)")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    seed = int(time.time()) if options.seed is None else options.seed
    done, began_s, first = Told(0, 0, 0, 0), time.monotonic(), seed
    early: dict[int, list[float]] = {}
    with ProcessPoolExecutor(options.processes) as pool:
        while done.mutated < options.frames:
            shares = [range(seed + 20 * n, seed + 20 * (n + 1)) for n in range(options.processes)]
            seed = shares[-1].stop
            try:
                for told, process, used in pool.map(several, shares):
                    done = Told(*map(sum, zip(done, told, strict=True)))
                    before = early.setdefault(process, [])
                    before.append(used[-1])
                    most = before[:WARM_TURNS][-1]
                    assert used[-1] < 1.15 * most + 20 or len(before) <= WARM_TURNS, f"memory grows: {before} MiB"
            except BrokenProcessPool:
                sys.exit(f"a process died of one of the seeds {shares[0].start} to {seed - 1}")
            print(
                f"{time.monotonic() - began_s:6.0f} s  {done.mutated:,} mutated of {done.frames:,} frames, "
                f"{done.pdus:,} PDUs, {done.malformed:,} malformed bytes, {used[-1]:.0f} MiB",
                flush=True,
            )
    print(f"seeds {first} to {seed - 1}: nothing broke")


if __name__ == "__main__":
    main()
