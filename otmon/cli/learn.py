"""`otmon learn`: what was seen, written as a policy."""

import os
from collections.abc import Sequence
from pathlib import Path

import click

from otmon.cli.common import DAMAGED, INTERRUPTED, RAN, Stop, complain, emit, existing, note, progress_bar


@click.command(epilog="\b\nExample:\n  otmon learn monday.pcap tuesday.pcap -o baseline.yaml\n")
@click.argument("captures", metavar="CAPTURE...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="FILE", required=True, help="Where to write the policy; - is standard output.")
@click.option("--force", is_flag=True, help="Replace a policy that is there already, whatever was changed in it.")
@click.option("--jobs", metavar="N", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes to use.")
def learn(captures: tuple[str, ...], output: str, force: bool, jobs: int) -> int:
    """Write what was seen as a policy.

    It permits exactly the operations that the captures show.
    Dangerous operations (stop, program transfer, firmware, restart, force) are never permitted by learning: they are
    listed under `review`, with the reason.
    """
    paths = existing(captures)
    from otmon.capture.errors import CaptureError
    from otmon.engine import analyze as run_engine
    from otmon.outputs.summary import damage, input_record
    from otmon.policy.learn import draft

    _may_write(output, paths, force)
    try:
        with progress_bar() as progress:
            result = run_engine(paths, policy=None, messages_path=None, jobs=jobs, progress=progress, notice=note)
    except CaptureError as error:
        raise Stop(str(error), DAMAGED) from None
    policy = draft(result.part.operations)
    partial = "# Partial: reading was interrupted, more was there to be seen.\n" if result.interrupted else ""
    _write(output, partial + policy.text)
    where = "the policy" if output == "-" else output
    note(
        f"{where} permits what was seen: {_count(policy.rows, 'row')} in {_count(policy.conduits, 'conduit')}, "
        f"{_count(policy.zones, 'zone')}; for review, and denied: {_count(policy.review, 'row')}"
    )
    if not result.part.operations:
        complain(f"nothing was seen: {output} has no zones and permits everything", "warning")
    damaged = [line for info in result.inputs if (line := damage(input_record(info))) is not None]
    for line in damaged:
        complain(line)
    if result.interrupted:
        complain(f"interrupted: {output} holds what was seen until then")
        return INTERRUPTED
    return DAMAGED if damaged else RAN


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _may_write(output: str, inputs: Sequence[str], force: bool) -> None:
    """Stop before anything is lost: an existing file is replaced only by --force, and only if it is a policy."""
    path = Path(output)
    if output == "-" or not path.exists():
        return
    if any(name != "-" and os.path.samefile(path, name) for name in inputs):
        raise Stop(f"{output}: this is one of the captures; choose another file")
    try:
        with path.open("rb") as file:
            begins = file.read(65536)
    except OSError as error:
        raise Stop(f"{output}: {error.strerror or error}") from None
    if begins and b"otmon:" not in begins:
        raise Stop(f"{output}: exists and is no policy; choose another file, or remove it")
    if begins and not force:
        raise Stop(f"{output}: exists, and people may have changed it; choose another file, or replace it with --force")


def _write(output: str, text: str) -> None:
    if output == "-":
        emit(text)
        return
    path = Path(output)
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise Stop(f"{output}: {error.strerror or error}") from None
