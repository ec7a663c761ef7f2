"""`analyze`: captures in, a `Result` out; split over processes by address pair and merged to the same result."""

import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from otmon.engine import cache
from otmon.site.part import Part, merge

if TYPE_CHECKING:
    from otmon.capture.reader import InputInfo
    from otmon.policy.judge import Policy

Progress = Callable[[int, int | None], None]


class Result(NamedTuple):
    """What a run saw."""

    part: Part
    inputs: "list[InputInfo]"
    interrupted: bool


def analyze(
    paths: Sequence[str],
    *,
    policy: "Policy | None" = None,
    messages_path: Path | None = None,
    hash_all: bool = False,
    jobs: int = 1,
    progress: Progress | None = None,
    **options: Any,
) -> Result:
    """Run the engine over captures; `-` is standard input. Raises CaptureError if none can be read.

    `options`: force_slow, express, batch_frames, buffer_bytes, seed change nothing in the result, and tests show it.
    """
    cache.choose(paths)
    if jobs > 1 and "-" not in paths:
        return _parallel(paths, policy, messages_path, hash_all, jobs, progress, options)
    from otmon.engine.run import Run

    run = Run(policy, messages_path, **options)
    inputs, interrupted = run.read(paths, hash_all=hash_all, progress=progress)
    part = _finished(merge([run.part()]), policy, inputs, interrupted)
    if messages_path is not None:
        _join_messages([messages_path], messages_path)
    return Result(part, inputs, interrupted)


def _finished(part: Part, policy: "Policy | None", inputs: "list[InputInfo]", interrupted: bool) -> Part:
    from otmon.alerts.episodes import merge as merge_episodes
    from otmon.engine.blind import blindness

    part.partial = interrupted
    site_name = policy.site if policy is not None else "default"
    part.frames["captured"] = sum(part.frames.values()) if interrupted else sum(i.frames for i in inputs)
    part.episodes = list(merge_episodes([part.episodes, blindness(site_name, part, inputs)]))
    return part


def _job(args: tuple[Any, ...]) -> "tuple[Part, list[InputInfo], bool]":
    """One process's share."""
    paths, policy, messages_path, hash_all, job, jobs, options = args
    cache.choose(paths)
    from otmon.engine.run import Run

    run = Run(policy, messages_path, job=job, jobs=jobs, **options)
    inputs, interrupted = run.read(paths, hash_all=hash_all and job == 0, progress=_look_for_stop)
    return run.part(), inputs, interrupted


_STOP: Any = None
"""In a worker process: set when the user interrupts."""


def _enlist(stop: Any) -> None:
    """A worker does not take Ctrl-C itself: the parent says when to stop, and wants its share all the same."""
    global _STOP
    _STOP = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _look_for_stop(done: int, total: int | None) -> None:
    if _STOP is not None and _STOP.is_set():
        raise KeyboardInterrupt


def _parallel(
    paths: Sequence[str],
    policy: "Policy | None",
    messages_path: Path | None,
    hash_all: bool,
    jobs: int,
    progress: Progress | None,
    options: dict[str, Any],
) -> Result:
    with tempfile.TemporaryDirectory(dir=messages_path.parent if messages_path else None) as scratch:
        files = [Path(scratch) / f"{job}.jsonl" if messages_path else None for job in range(jobs)]
        work = [(list(paths), policy, files[job], hash_all, job, jobs, options) for job in range(jobs)]
        context = multiprocessing.get_context("spawn")
        stop = context.Event()
        with context.Pool(jobs, _enlist, (stop,)) as pool:
            shares = [pool.apply_async(_job, (share,)) for share in work]
            done: list[tuple[Part, list[InputInfo], bool]] = []
            while len(done) < jobs:
                try:
                    done.append(shares[len(done)].get())
                    if progress is not None:
                        progress(len(done), jobs)
                except KeyboardInterrupt:
                    if stop.is_set():
                        raise  # the second one is meant
                    stop.set()
        parts, inputs = [share[0] for share in done], done[0][1]
        interrupted = any(share[2] for share in done)
        part = _finished(merge(parts), policy, inputs, interrupted)
        if messages_path is not None:
            _join_messages([f for f in files if f is not None], messages_path)
    return Result(part, inputs, interrupted)


def _join_messages(files: Sequence[Path], target: Path) -> None:
    from otmon.engine.messages import join

    join(files, target)


def warm() -> str:
    """Compile every kernel into the cache folder; returns the folder."""
    os.environ.pop("OTMON_INTERPRET", None)
    cache.choose(["-"])
    from otmon.engine.run import compile_all

    compile_all()
    cache.mark_warm()
    return str(cache.folder())
