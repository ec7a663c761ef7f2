"""All files of a run, from the site and its alerts."""

import os
import platform
import resource
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otmon import __version__
from otmon.outputs.jsonl import document, write_lines
from otmon.outputs.summary import summary_record, watched_in
from otmon.policy.intervals import Intervals
from otmon.site.export import graphml_pieces
from otmon.site.records import block_record, operation_record
from otmon.site.site import Site
from otmon.store.database import write_database

if TYPE_CHECKING:
    from otmon.capture.reader import InputInfo


class Clock:
    """Wall and processor time since it was made: figures for run.json alone."""

    def __init__(self) -> None:
        self.started = time.time()
        self._wall, self._cpu = time.perf_counter(), self._processor()

    @staticmethod
    def _processor() -> float:
        used = os.times()
        return used.user + used.system + used.children_user + used.children_system

    def record(self, frames: int, jobs: int, interrupted: bool) -> dict[str, Any]:
        """run.json: the only record that differs between two runs over the same input."""
        wall, cpu = time.perf_counter() - self._wall, self._processor() - self._cpu
        peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return {
            "cpu_s": round(cpu, 3),
            "elapsed_s": round(wall, 3),
            "frames_per_cpu_s": round(frames / cpu) if cpu > 0 else None,
            "interrupted": interrupted,
            "jobs": jobs,
            "otmon": __version__,
            "peak_rss_kib": peak,
            "python": platform.python_version(),
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.started)),
        }


def write_results(
    folder: Path,
    site: Site,
    inputs: Iterable["InputInfo"],
    alerts: Sequence[Mapping[str, Any]],
    policy: Mapping[str, str] | None = None,
    spooled: Collection[str] = (),
    *,
    seen: Intervals | None = None,
) -> dict[str, Any]:
    """Write every file but messages.jsonl (the engine does) and run.json (last, see `Clock`); gives the summary.

    `seen`: the time that was watched, if these inputs do not say it.
    """
    inputs = list(inputs)
    if seen is None:
        seen = watched_in(inputs)
    write_database(folder / "site.db", site, alerts, seen=seen, spooled=spooled)
    return write_records(folder, site, inputs, alerts, policy)


def write_records(
    folder: Path,
    site: Site,
    inputs: Iterable["InputInfo"],
    alerts: Sequence[Mapping[str, Any]],
    policy: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The files beside the database; gives the summary."""
    summary = summary_record(site, inputs, alerts, policy)
    with _placed(folder / "assets.jsonl") as path:
        write_lines(path, (asset.as_record() for asset in site.assets))
    with _placed(folder / "operations.jsonl") as path:
        write_lines(path, map(operation_record, site.operations))
    with _placed(folder / "blocks.jsonl") as path:
        write_lines(path, map(block_record, site.part.blocks))
    with _placed(folder / "alerts.jsonl") as path:
        write_lines(path, alerts)
    with _placed(folder / "graph.graphml") as path, path.open("w", encoding="utf-8") as file:
        file.writelines(graphml_pieces(site.graph))
    with _placed(folder / "summary.json") as path:
        path.write_bytes(document(summary))
    return summary


@contextmanager
def _placed(path: Path) -> Iterator[Path]:
    """A file to be written, which then takes its place in one step; a link there is replaced, not followed."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    yield beside
    beside.replace(path)


def write_run(folder: Path, record: Mapping[str, Any]) -> None:
    """run.json: written last, it marks the folder as whole and otmon's."""
    with _placed(folder / "run.json") as path:
        path.write_bytes(document(record))
