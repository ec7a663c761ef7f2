"""`otmon learn`: what was seen, written as a policy or added to one."""

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from otmon.cli.common import (
    DAMAGED,
    INTERRUPTED,
    RAN,
    Stop,
    complain,
    emit,
    emit_json,
    emit_rich,
    existing,
    note,
    open_results,
    progress_bar,
)
from otmon.text import safe_text

if TYPE_CHECKING:
    from otmon.model import OperationKey, OperationRecord
    from otmon.policy.generalise import Mode
    from otmon.policy.intervals import Intervals
    from otmon.policy.learn import Draft
    from otmon.policy.progress import Progress
    from otmon.policy.refuse import Conversation
    from otmon.policy.zones import Realms
    from otmon.site.part import Part

LIVE_COUNT = 3
"""Default of --min-count for what a sensor saw; 1 for captures, which somebody chose."""
NAMED = 3
"""Captures that a row's comment names."""


class Input(NamedTuple):
    """What there is to learn from."""

    operations: "Sequence[OperationRecord]"
    asked: Mapping[tuple[str, str], int]
    doubted: "Collection[Conversation]"
    values: "Mapping[OperationKey, tuple[float, float] | None]"
    source: str
    min_count: int
    site: str
    watched: "Intervals"
    """When somebody watched, ns."""
    damaged: Sequence[str] = ()
    interrupted: bool = False
    captures: Sequence[str] = ()
    """Their names, if they are several."""


@click.command(
    epilog="\b\nExamples:\n  otmon learn monday.pcap tuesday.pcap -o baseline.yaml\n"
    "  otmon learn --data /var/lib/otmon -o baseline.yaml --generalise ranges\n"
)
@click.argument("captures", metavar="[CAPTURE]...", nargs=-1)
@click.option(
    "--data",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Learn from a result folder, or the data of a sensor, which may be running.",
)
@click.option("-o", "--output", metavar="FILE", required=True, help="Where to write the policy; - is standard output.")
@click.option("--force", is_flag=True, help="Begin anew: replace a policy that is there, whatever was changed in it.")
@click.option(
    "--generalise",
    "mode",
    type=click.Choice(["exact", "ranges", "functions"]),
    default="exact",
    show_default=True,
    help="What a row permits besides what was seen: nothing, but writes of any value; addresses close by, and from "
    "captures values within bounds; also functions of one access class.",
)
@click.option(
    "--min-count",
    metavar="N",
    type=click.IntRange(1),
    help=f"Times an operation must have gone well.  [default: 1; {LIVE_COUNT} for the data of a sensor]",
)
@click.option("--jobs", metavar="N", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes to use.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON records.")
def learn(
    captures: tuple[str, ...],
    data: Path | None,
    output: str,
    force: bool,
    mode: "Mode",
    min_count: int | None,
    jobs: int,
    as_json: bool,
) -> int:
    """Write what was seen as a policy, or add it to one.

    It permits the operations that were seen, in as few rows as can be. What stops, programs, restarts, configures or
    forces a device, what a scanning host did and what did not go well is listed under `review`, with the reason.
    A policy that is there is added to: what people changed in it stays, and what they took out is not put in again.
    Says how much is probably still unseen, and what to wait for.
    """
    if bool(captures) == (data is not None):
        raise click.UsageError("Name captures, or a folder with --data.")
    if output == "-" and as_json:
        raise click.UsageError("With --json, -o names a file: standard output is taken.")
    paths = existing(captures)
    before, memory = _there(output, paths, force)
    from otmon.limits import MAX_POLICY_BYTES
    from otmon.policy.errors import PolicyError
    from otmon.policy.learn import blank, update
    from otmon.policy.learn_file import ended, has_ended
    from otmon.policy.load import load_bytes
    from otmon.policy.progress import is_complete, progress, todo
    from otmon.policy.propose import roles
    from otmon.policy.reader import parse
    from otmon.policy.zones import Realms

    try:
        realms = load_bytes(before.encode(), output).realms if before else Realms()
        found = _of_captures(paths, realms, mode, jobs) if data is None else _of_data(data)
        text = before or blank(found.operations, site=found.site, realms=realms)
        if found.interrupted and not before:
            text = f"# Partial: reading was interrupted, more was there to be seen.\n{text}"
        learned = update(
            *(text, output, found.operations),
            source=found.source,
            captures=found.captures,
            mode=mode,
            min_count=min_count or found.min_count,
            asked=found.asked,
            doubted=found.doubted,
            values=found.values,
            memory=memory,
        )
        how_far = progress(parse(learned.text.encode(), output).data, learned.rows_of, found.watched)
    except PolicyError as error:
        raise Stop(str(error)) from None
    complete = is_complete(how_far) and not found.interrupted
    text = learned.text
    if complete and not has_ended(text):
        text = ended(text, max(record.last_ts_ns for record in found.operations))
    if len(text.encode()) > MAX_POLICY_BYTES:
        raise Stop(f"{output}: would be larger than {MAX_POLICY_BYTES} bytes; --generalise functions makes fewer rows")
    _write(output, text)
    if output != "-":
        _write(str(_memory_of(output)), learned.memory)
    _say(learned, output, bool(before))
    if not found.operations:
        complain(f"nothing was seen: {output} has no zones and permits everything", "warning")
    left = todo(found.operations, roles(found.operations), found.watched)
    if as_json:
        emit_json(_records(learned, how_far, left, complete))
    elif output != "-":
        _show(how_far, left, complete)
    for line in found.damaged:
        complain(line)
    if found.interrupted:
        complain(f"interrupted: {output} holds what was seen until then")
        return INTERRUPTED
    return DAMAGED if found.damaged else RAN


# --- where from ------------------------------------------------------------------------------------------------------
def _of_captures(paths: Sequence[str], realms: "Realms", mode: "Mode", jobs: int) -> Input:
    from otmon.capture.errors import CaptureError
    from otmon.engine import analyze as run_engine
    from otmon.engine.readings import CONFLICT
    from otmon.outputs.summary import damage, input_record, watched_in
    from otmon.policy.listen import Listener

    # Values are noted by the process that reads them.
    listener, jobs = Listener(realms), jobs if mode == "exact" else 1
    policy = None if mode == "exact" and not realms.names else listener
    try:
        with progress_bar() as bar:
            result = run_engine(paths, policy=policy, messages_path=None, jobs=jobs, progress=bar, notice=note)
    except CaptureError as error:
        raise Stop(str(error), DAMAGED) from None
    names = [safe_text(Path(path).name) for path in paths]
    source = ", ".join(names[:NAMED]) + (f" and {len(paths) - NAMED} more" if len(paths) > NAMED else "")
    doubted = {e.key[1:5] for e in result.part.episodes if e.key.function == CONFLICT}
    damaged = [line for info in result.inputs if (line := damage(input_record(info))) is not None]
    return Input(
        *(list(result.part.operations), _asked(result.part), doubted, listener.values, source, 1, "default"),
        watched_in(result.inputs),
        damaged,
        result.interrupted,
        names if len(names) > 1 else (),
    )


def _of_data(folder: Path) -> Input:
    from otmon.engine.readings import CONFLICT

    with open_results(folder) as results:
        part = results.part()
        about = (alert for alert in results.alerts if alert["operation"] is not None)
        doubted = {_conversation(alert) for alert in about if alert["operation"]["function"] == CONFLICT}
        count = LIVE_COUNT if results.health else 1
        source = f"the data of {safe_text(folder.resolve().name)}"
        operations = list(part.operations)
        return Input(operations, _asked(part), doubted, {}, source, count, results.name, results.watched)


def _conversation(alert: Mapping[str, Any]) -> "Conversation":
    client, server = alert["client"], alert["server"]
    return alert["realm"], client["endpoint"], server["endpoint"], alert["operation"]["protocol"]


def _asked(part: "Part") -> dict[tuple[str, str], int]:
    """Devices that asked for the time, and when first."""
    from otmon.model import NEED_TIME

    asked: dict[tuple[str, str], int] = {}
    for fact in part.facts:
        if fact.name == NEED_TIME:
            host = fact.realm, fact.address
            asked[host] = min(fact.ts_ns, asked.get(host, fact.ts_ns))
    return asked


# --- where to --------------------------------------------------------------------------------------------------------
def _memory_of(output: str) -> Path:
    """The file beside the policy that says what learning permitted so far."""
    return Path(output).with_suffix(".learned.yaml")


def _there(output: str, inputs: Sequence[str], force: bool) -> tuple[str | None, str | None]:
    """(the policy that is there, what was learned before); stops before anything is lost."""
    path = Path(output)
    if output == "-" or not path.exists():
        return None, None
    if any(name != "-" and os.path.samefile(path, name) for name in inputs):
        raise Stop(f"{output}: this is one of the captures; choose another file")
    begins = _read(output)
    if begins and b"otmon:" not in begins:
        raise Stop(f"{output}: exists and is no policy; choose another file, or remove it")
    if not begins or force:
        return None, None
    memory = _memory_of(output)
    if not memory.exists():
        note(f"{memory} is not there: what people took out of {output} cannot be told from what is new")
        return _text(output, begins), None
    return _text(output, begins), _text(str(memory), _read(str(memory)))


def _read(name: str) -> bytes:
    from otmon.policy.errors import PolicyError
    from otmon.policy.reader import read_bytes

    try:
        return read_bytes(name)
    except PolicyError as error:
        raise Stop(str(error)) from None


def _text(name: str, raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Stop(f"{name}: not UTF-8 text; save the file as UTF-8") from None


def _write(output: str, text: str) -> None:
    if output == "-":
        emit(text)
        return
    path = Path(output)
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_bytes(text.encode())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise Stop(f"{output}: {error.strerror or error}") from None


# --- what to say -----------------------------------------------------------------------------------------------------
def _say(learned: "Draft", output: str, updated: bool) -> None:
    from otmon.alerts.sentence import plural

    where = "the policy" if output == "-" else output
    what = f"{where}: added" if updated else f"{where} permits what was seen:"
    wider = f"wider bounds in {plural(learned.wider, 'row')}, " if learned.wider else ""
    note(
        f"{what} {wider}{plural(learned.rows, 'row')} in {plural(learned.conduits, 'conduit')}, "
        f"{plural(learned.zones, 'zone')}; for review, and denied: {plural(learned.review, 'row')}"
    )


def _show(how_far: "Sequence[Progress]", left: Sequence[str], complete: bool) -> None:
    from otmon.outputs.tables import cell, new_table, number

    columns = ("conduit", "operations", "times", "next is new", "more at least", "nothing new for", "complete")
    table = new_table("Learning", *columns, right=columns[1:6])
    for conduit in how_far:
        found = conduit.estimate
        table.add_row(
            *(cell(conduit.conduit), number(found.operations), number(found.times)),
            *(cell(f"{found.unseen_mass:.2%} likely"), cell(f"{found.unseen:.0f}")),
            cell(f"the last {conduit.quiet:.0%}"),
            cell("yes" if conduit.complete else "no", "green" if conduit.complete else "yellow"),
        )
    if how_far:
        emit_rich(lambda out: out.print(table))
    said = "complete enough: learning has ended" if complete else "not complete"
    emit("".join(f"{line}\n" for line in (f"Learning is {said}.", *(f"- {text}" for text in left))))


def _records(
    learned: "Draft", how_far: "Sequence[Progress]", left: Sequence[str], complete: bool
) -> "list[dict[str, Any]]":
    added = {name: getattr(learned, name) for name in ("conduits", "review", "rows", "zones")}
    return [
        {"kind": "policy", "added": added, "complete": complete},
        *({"kind": "conduit", **conduit.as_record()} for conduit in how_far),
        *({"kind": "todo", "text": text} for text in left),
    ]
