"""`otmon second-opinion`: the same capture decoded by tshark, compared field by field."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from otmon.cli.common import CHECK_FAILED, DAMAGED, RAN, Stop, complain, emit, emit_rich, existing, note, progress_bar

if TYPE_CHECKING:
    from otmon.opinion.compare import Comparison

KEEP = 10
"""Differences of a field that are kept."""
_EPILOG = """\b
Examples:
  otmon second-opinion plant.pcap
  otmon second-opinion monday.pcapng tuesday.pcapng.gz
  otmon second-opinion plant.pcap --json | jq '.fields[] | select(.differ > 0)'

Exit codes: 0 they agree; 1 they differ somewhere; 2 nothing was run (usage, no such file, no tshark); 3 a capture is
damaged or unreadable, all else was compared; 130 interrupted.
"""


@click.command("second-opinion", epilog=_EPILOG)
@click.argument("captures", metavar="CAPTURE...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON record.")
def second_opinion(captures: tuple[str, ...], as_json: bool) -> int:
    """Compare otmon's decoding with tshark's.

    Decodes each CAPTURE (pcap or pcapng, as it is or compressed) with both, and prints for every field of Modbus, DNP3,
    COTP and S7 how many values agree, differ, or are shown by one of them alone, and the first frames that differ.
    Where otmon found a protocol on an unregistered port, tshark is told to look there too.
    """
    paths = existing(captures)
    if "-" in paths:
        raise Stop("-: standard input can be read only once, and two decoders want it; name a file")
    from otmon.opinion import show, tshark
    from otmon.opinion.compare import Comparison

    try:
        version = tshark.version()
    except tshark.TsharkError as error:
        raise Stop(str(error)) from None
    found = Comparison(KEEP)
    damaged = [path for path in paths if _compare(path, found)]
    if as_json:
        from otmon.outputs.jsonl import document

        emit(document(show.record(found, version)).decode())
    else:
        emit_rich(lambda out: show.show(out, found, version))
    return DAMAGED if damaged else CHECK_FAILED if found.unlike else RAN


def _compare(path: str, found: "Comparison") -> bool:
    """One capture; whether it is damaged."""
    from otmon.capture.errors import CaptureError, safe_path
    from otmon.engine import analyze
    from otmon.opinion.records import Records
    from otmon.opinion.tshark import Reading, decode_as
    from otmon.outputs.summary import damage, input_record

    with tempfile.TemporaryDirectory(prefix="otmon-") as folder:
        messages = Path(folder) / "messages.jsonl"
        try:
            with progress_bar("otmon reads") as progress:
                result = analyze([path], messages_path=messages, progress=progress, notice=note)
        except CaptureError as error:
            complain(str(error))
            return True
        if result.interrupted:
            raise click.Abort
        records = Records(messages)
        reading = Reading(Path(path), decode_as(records.servers))
        try:
            with progress_bar("comparing") as progress:
                for frame in found.run(safe_path(path), reading, records.by_frame()):
                    if progress is not None:
                        progress(frame, records.last_frame)
        finally:
            records.close()
    said = [line for entry in result.inputs if (line := damage(input_record(entry))) is not None]
    if reading.error:
        said.append(f"{safe_path(path)}: {reading.error}")
    for line in said:
        complain(line)
    return bool(said)
