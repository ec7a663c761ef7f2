"""`otmon analyze`: captures in; inventory, operations, graph and alerts out."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from otmon.cli.common import (
    CHECK_FAILED,
    DAMAGED,
    INTERRUPTED,
    RAN,
    SEVERITIES,
    Stop,
    complain,
    emit,
    emit_rich,
    existing,
    note,
    out_option,
    progress_bar,
)
from otmon.cli.deliver import deliver_folder, elastic_option, sinks

if TYPE_CHECKING:
    from otmon.policy.judge import Policy

_EPILOG = """\b
Examples:
  otmon analyze plant.pcap
  otmon analyze monday.pcapng.gz tuesday.pcap.zst --policy rules/plant.yaml --out results/week
  tcpdump -r big.pcap -w - port 502 | otmon analyze - --json
  otmon analyze plant.pcap --policy rules/plant.yaml --fail-on high
"""


@click.command(epilog=_EPILOG)
@click.argument("captures", metavar="CAPTURE...", nargs=-1, required=True)
@click.option("--policy", "policy_path", metavar="FILE", type=click.Path(path_type=Path), help="Judge by this policy.")
@out_option
@click.option("--messages", is_flag=True, help="Also write messages.jsonl: every PDU decoded.")
@click.option("--hash", "hash_all", is_flag=True, help="Also hash inputs over 64 MiB.")
@click.option("--json", "as_json", is_flag=True, help="Print summary.json instead of the summary for people.")
@click.option(
    "--fail-on", metavar="SEVERITY", type=click.Choice(SEVERITIES), help="Exit with 1 on such an alert or worse."
)
@click.option("--jobs", metavar="N", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes to use.")
@elastic_option
def analyze(
    captures: tuple[str, ...],
    policy_path: Path | None,
    folder: Path,
    messages: bool,
    hash_all: bool,
    as_json: bool,
    fail_on: str | None,
    jobs: int,
    elastic: str | None,
) -> int:
    """Inventory, operations, graph and alerts from captures.

    CAPTURE is pcap or pcapng, as it is or compressed with gzip or zstd; `-` is standard input.
    """
    paths = existing(captures)
    outputs = sinks(elastic)
    if fail_on is not None and policy_path is None:
        note("--fail-on without --policy: it is not judged who may do what")
    from otmon.alerts.record import as_record
    from otmon.capture.errors import CaptureError, safe_path
    from otmon.outputs.folder import FolderError, ResultFolder
    from otmon.outputs.results import Clock, write_results, write_run
    from otmon.outputs.summary import damage
    from otmon.site.site import Site

    clock = Clock()
    from otmon.engine import cache

    cache.choose(paths, note)  # before a policy is read: its names are looked up in what would be compiled
    policy = load(policy_path) if policy_path is not None else None
    try:
        with ResultFolder(folder) as place:
            from otmon.engine import analyze as run_engine

            with progress_bar() as progress:
                result = run_engine(
                    paths,
                    policy=policy,
                    messages_path=place.work / "messages.jsonl" if messages else None,
                    hash_all=hash_all,
                    jobs=jobs,
                    progress=progress,
                    notice=note,
                )
            site = Site(result.part, policy)
            alerts = [as_record(episode, site) for episode in result.part.episodes]
            named = None if policy is None else {"path": safe_path(str(policy_path)), "sha256": policy.sha256}
            spooled = frozenset().union(*(sink.streams for sink in outputs))
            summary = write_results(place.work, site, result.inputs, alerts, named, spooled)
            write_run(place.work, clock.record(summary["frames"].get("captured", 0), jobs, result.interrupted))
    except FolderError as error:
        raise Stop(str(error)) from None
    except CaptureError as error:
        raise Stop(str(error), DAMAGED) from None

    _render(as_json, site, summary, alerts, folder)
    for entry in summary["inputs"]:
        if (line := damage(entry)) is not None:
            complain(line)
    waits = bool(outputs) and deliver_folder(folder, outputs) > 0
    if result.interrupted:
        complain(f"interrupted: partial results are in {folder}")
    return _exit_code(summary, fail_on, result.interrupted) or (CHECK_FAILED if waits else RAN)


def load(path: Path) -> "Policy":
    """The policy of a file. Raises Stop with file, line and column of what is wrong."""
    from otmon.policy.errors import PolicyError
    from otmon.policy.load import load_policy

    try:
        return load_policy(path)
    except PolicyError as error:
        raise Stop(str(error)) from None


def _render(as_json: bool, site: Any, summary: dict[str, Any], alerts: list[dict[str, Any]], folder: Path) -> None:
    if as_json:
        from otmon.outputs.jsonl import document

        emit(document(summary).decode())
    else:
        from otmon.outputs.console import show_summary

        emit_rich(lambda out: show_summary(out, site, summary, alerts, folder))


def _exit_code(summary: dict[str, Any], fail_on: str | None, interrupted: bool) -> int:
    if interrupted:
        return INTERRUPTED
    if any(entry["damaged"] for entry in summary["inputs"]):
        return DAMAGED
    asked = SEVERITIES[SEVERITIES.index(fail_on) :] if fail_on is not None else ()
    return CHECK_FAILED if any(summary["alerts"][severity] for severity in asked) else RAN
