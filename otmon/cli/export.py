"""`otmon export`: the files of a result folder, from the database of a sensor that may be running."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from otmon.cli.analyze import load
from otmon.cli.common import Stop, emit_rich, note, open_results, out_option

if TYPE_CHECKING:
    from otmon.outputs.results import Clock
    from otmon.policy.judge import Policy
    from otmon.store.database import SiteDatabase


@click.command(epilog="\b\nExamples:\n  otmon export /var/lib/otmon --policy plant.yaml --out results/now\n")
@click.argument("data", metavar="DATA", type=click.Path(path_type=Path))
@click.option("--policy", "policy_path", metavar="FILE", type=click.Path(path_type=Path), help="For names and zones.")
@out_option
def export(data: Path, policy_path: Path | None, folder: Path) -> None:
    """Write what `analyze` writes from what a sensor has stored until now.

    DATA is the sensor's data folder, or its site.db. The sensor goes on meanwhile.
    """
    from otmon.outputs.results import Clock
    from otmon.outputs.tables import moment

    clock = Clock()
    policy = load(policy_path) if policy_path is not None else None
    with open_results(data) as results:
        if policy is not None and policy.site != results.name:
            raise Stop(f"{data}: of site {results.name}, and the policy is for {policy.site}")
        if results.health:
            note(f"counts are as of the last checkpoint, {moment(results.health[-1]['ts_ns'])}; alerts as of now")
        _write(results, policy, policy_path, folder, clock)


def _write(
    results: "SiteDatabase", policy: "Policy | None", policy_path: Path | None, folder: Path, clock: "Clock"
) -> None:
    """While the database is open: what is long is read from there as it is written. Raises Stop."""
    from otmon.outputs.console import show_summary
    from otmon.outputs.folder import FolderError, ResultFolder
    from otmon.outputs.results import write_results, write_run
    from otmon.sensor.export import tell
    from otmon.store.errors import StoreError

    named = None if policy is None else {"path": str(policy_path), "sha256": policy.sha256}
    try:
        site, alerts = tell(results.part(in_place=True), policy, results.name)
        with ResultFolder(folder) as place:
            summary = write_results(place.work, site, [], alerts, named, seen=results.watched)
            write_run(place.work, clock.record(summary["frames"]["captured"], 1, False))
        emit_rich(lambda out: show_summary(out, site, summary, alerts, folder))
    except (FolderError, StoreError) as error:
        raise Stop(str(error)) from None
