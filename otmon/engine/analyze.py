"""`analyze`: captures in, a `Result` out; split over processes by address pair and merged to the same result."""

import gc
import multiprocessing
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from otmon.engine import cache
from otmon.site.part import Part, merge

if TYPE_CHECKING:
    from otmon.capture.reader import InputInfo
    from otmon.policy.judge import Policy

Progress = Callable[[int, int | None], None]
_Share = tuple[Part, "list[InputInfo]", bool]
"""What a job saw, the inputs, whether it was interrupted."""


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
    notice: cache.Notice | None = None,
    **options: Any,
) -> Result:
    """Run the engine over captures; `-` is standard input. Raises CaptureError if none can be read.

    `notice` is told what takes long before it begins. `options`: force_slow, express, batch_frames, buffer_bytes, seed
    change nothing in the result, and tests show it.
    """
    cache.choose(paths, notice)
    # What a point was last set to may have come from another client, whose frames another process would have.
    if jobs == 1 or "-" in paths or (policy is not None and policy.tags):
        share = _share(paths, policy, messages_path, hash_all, progress, 0, 1, options)
        return _result([share], policy, [messages_path], messages_path)
    with tempfile.TemporaryDirectory(dir=messages_path.parent if messages_path else None) as scratch:
        files = [Path(scratch) / f"{job}.jsonl" if messages_path else None for job in range(jobs)]
        work = [
            (list(paths), policy, file, hash_all, _look_for_stop, job, jobs, options) for job, file in enumerate(files)
        ]
        return _result(_parallel(work, progress), policy, files, messages_path)


def _result(
    shares: Sequence[_Share], policy: "Policy | None", files: Sequence[Path | None], messages_path: Path | None
) -> Result:
    """The shares of all jobs as one."""
    from otmon.alerts.devices import note_changes, note_strangers
    from otmon.alerts.episodes import Episodes
    from otmon.alerts.episodes import merge as merge_episodes
    from otmon.engine.blind import blindness, times
    from otmon.engine.messages import join
    from otmon.site.habits import strangers
    from otmon.site.ledger import enter

    part, inputs = merge([share[0] for share in shares]), shares[0][1]
    interrupted = any(share[2] for share in shares)
    part.partial = interrupted
    site_name = policy.site if policy is not None else "default"
    part.frames["captured"] = sum(part.frames.values()) if interrupted else sum(i.frames for i in inputs)
    part.blocks, changes = enter(part.blocks)
    late = Episodes(site_name)
    note_changes(late, changes)
    note_strangers(late, strangers(part.habits, {}))
    part.episodes = list(merge_episodes([part.episodes, late.all, blindness(site_name, part, times(inputs), policy)]))
    if messages_path is not None:
        join([file for file in files if file is not None], messages_path)
    return Result(part, inputs, interrupted)


def _share(
    paths: Sequence[str],
    policy: "Policy | None",
    messages_path: Path | None,
    hash_all: bool,
    progress: Progress | None,
    job: int,
    jobs: int,
    options: dict[str, Any],
) -> "_Share":
    """One process's share of the traffic."""
    cache.choose(paths)
    from otmon.engine.run import Run

    run = Run(policy, messages_path, job=job, jobs=jobs, **options)
    inputs, interrupted = run.read(paths, hash_all=hash_all and job == 0, progress=progress)
    return run.harvest(), inputs, interrupted


_STOP: Any = None
"""In a worker process: set when the user interrupts."""


def _enlist(stop: Any) -> None:
    """What a worker process begins with."""
    global _STOP
    _STOP = stop
    gc.disable()  # as in the parent


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes and threads made inside never take Ctrl-C; this one takes it afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _look_for_stop(done: int, total: int | None) -> None:
    if _STOP is not None and _STOP.is_set():
        raise KeyboardInterrupt


def _parallel(work: Sequence[tuple[Any, ...]], progress: Progress | None) -> "list[_Share]":
    """A process for each job. The first Ctrl-C makes them end with what they have, the second one ends them."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    with ExitStack() as stack:
        with _without_interrupts():  # they hear of it by `stop`, and give their share all the same
            pool = stack.enter_context(context.Pool(len(work), _enlist, (stop,)))
        pending = [pool.apply_async(_share, arguments) for arguments in work]
        done: list[_Share] = []
        while len(done) < len(work):
            try:
                done.append(pending[len(done)].get())
                if progress is not None:
                    progress(len(done), len(work))
            except KeyboardInterrupt:
                if stop.is_set():
                    raise
                stop.set()
    return done


def warm() -> str:
    """Compile every kernel into the cache; returns its file. Raises OSError or CompileError."""
    return str(cache.warm())
