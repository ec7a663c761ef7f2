"""The summary on the terminal: what was seen, who is there, what is not allowed, what could not be seen."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

from rich.console import Console
from rich.text import Text

from otmon.alerts.sentence import plural
from otmon.model import BlockRecord
from otmon.outputs.fitted import Fitted
from otmon.outputs.summary import damage
from otmon.outputs.tables import (
    STYLES,
    WORST_FIRST,
    alerts_table,
    assets_table,
    cell,
    conduits_table,
    moment,
    new_table,
    number,
)
from otmon.site.not_judged import NotJudged
from otmon.site.site import Site

PLAIN_WIDTH: Final = 140
"""Columns where there is no terminal to ask."""
SHOWN: Final = {"assets": 25, "conduits": 10, "alerts": 25}
"""Rows of each table; the rest is in the folder."""
HOSTS_NAMED: Final = 4
"""Of those that were not judged."""


def console(file: IO[str] | None = None) -> Console:
    """A console that takes nothing in the data for markup, emoji or links."""
    out = Console(file=file, highlight=False, markup=False, emoji=False)
    if not out.is_terminal:
        out = Console(file=file, highlight=False, markup=False, emoji=False, width=PLAIN_WIDTH, color_system=None)
    return out


def show_summary(
    out: Console, site: Site, summary: Mapping[str, Any], alerts: Sequence[Mapping[str, Any]], folder: Path
) -> None:
    """Print the summary of a run whose results lie in `folder`."""
    out.print(_headline(summary))
    out.print(_protocols(summary))
    if site.assets:
        out.print(assets_table(site.assets, SHOWN["assets"]))
    if site.operations:
        out.print(conduits_table(site.graph, SHOWN["conduits"]))
    if site.part.blocks:
        out.print(_moved(site.part.blocks))
    out.print(_severities(summary))
    if alerts:
        out.print(alerts_table(alerts, SHOWN["alerts"], title=""))
    if site.not_judged is not None and site.not_judged.operations:
        out.print(_not_judged(site.not_judged, len(site.operations)))
    blind = list(not_seen(site, summary))
    out.print(Text("What could not be seen", style="bold"))
    for line in blind or ["nothing: every captured frame and byte is accounted for"]:
        out.print(Text("  ") + cell(line))
    out.print()
    out.print(Text("Results: ", style="bold") + cell(folder))


def _headline(summary: Mapping[str, Any]) -> Text:
    inputs = summary["inputs"]
    times = [entry[name] for entry in inputs for name in ("first_ts_ns", "last_ts_ns") if entry[name] is not None]
    policy = summary["policy"]
    frames = summary["frames"]
    text = Text(f"otmon {summary['otmon']}", style="bold") + Text(", site ") + cell(summary["site"])
    text += cell(", no policy" if policy is None else f", policy {policy['path']}") + Text("\n")
    text += Text(f"{frames.get('captured', 0):,} frames, {frames.get('ot', 0):,} of them with control traffic, from ")
    names = [entry["path"] for entry in inputs] or ["a sensor's database"]
    text += cell(", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else ""))
    if times:
        text += Text(f"\n{moment(min(times))} to {moment(max(times))}")
    if summary.get("partial"):
        text += Text("\nInterrupted: these results are partial.", style="bold yellow")
    return text


def _protocols(summary: Mapping[str, Any]) -> Fitted | Text:
    if not summary["protocols"]:
        return Text("\nNo control protocol was seen.")
    columns = ("protocol", "PDUs", "exceptions", "malformed", "functions")
    table = new_table("Protocols", *columns, right=("PDUs", "exceptions"), spare=("malformed", "exceptions"))
    for name, counts in sorted(summary["protocols"].items()):
        functions = [
            (int(function.get("requests", 0)) + int(function.get("responses", 0)), str(function.get("name", key)))
            for section in ("functions", "userdata")
            for key, function in counts.get(section, {}).items()
        ]
        busiest = [function for _, function in sorted(functions, key=lambda entry: (-entry[0], entry[1]))]
        table.add_row(
            cell(name),
            number(counts.get("pdus", 0)),
            number(counts.get("exceptions", 0)),
            number(counts.get("malformed", 0)),
            cell(", ".join(busiest[:6]) + (f" and {len(busiest) - 6} more" if len(busiest) > 6 else "")),
        )
    return table


CUT: Final = {"gap": "with bytes that were not captured", "aborted": "refused or not seen to the end"}
"""States of transfers whose block is not known whole."""


def _moved(blocks: Sequence[BlockRecord]) -> Text:
    """How much controller logic was moved."""
    controllers = {(block.realm, block.server) for block in blocks}
    times = sum(block.transfers for block in blocks)
    text = f"{plural(times, 'transfer')} of blocks, {plural(len(controllers), 'controller')}"
    cut = [(word, sum(one.transfers for one in blocks if one.state == state)) for state, word in CUT.items()]
    if any(number for _, number in cut):
        text += f" ({', '.join(f'{number} {word}' for word, number in cut if number)})"
    text += ": `otmon blocks` lists them"
    return Text("\nController logic: ", style="bold") + cell(text)


def _severities(summary: Mapping[str, Any]) -> Text:
    counts = [(severity, summary["alerts"][severity]) for severity in WORST_FIRST if summary["alerts"][severity]]
    if not counts:
        why = "" if summary["policy"] else ": without --policy it is not judged who may do what"
        return Text(f"\nNo alerts{why}.\n")
    parts = [Text(f"{count:,} {severity}", style=STYLES[severity]) for severity, count in counts]
    return Text("\nAlerts: ", style="bold") + Text(", ").join(parts)


def _not_judged(missed: NotJudged, operations: int) -> Text:
    """What the policy says nothing of, and what to do about it."""
    share = f" ({100 * missed.operations / operations:.3g} %)"
    hosts = ", ".join(missed.hosts[:HOSTS_NAMED])
    more = len(missed.hosts) - HOSTS_NAMED
    text = f"{missed.operations:,} of {plural(operations, 'operation')}{share}, {missed.control:,} of them with control"
    text += f" traffic: no host of theirs is in a monitored zone of the policy ({hosts}"
    text += f" and {more:,} more" if more > 0 else ""
    text += "). Put what matters into zones: `otmon learn` proposes some."
    return Text("Not judged: ", style="bold") + cell(text) + Text("\n")


BLIND: Final = (
    ("frames", "truncated", "{:,} frame{s} {were} cut off when captured (snap length)"),
    ("frames", "unsupported", "{:,} frame{s} could not be taken apart"),
    ("frames", "malformed", "{:,} frame{s} {are} malformed"),
    ("frames", "shed", "{:,} frame{s} {were} left out because a table was full"),
    ("frames", "internal", "{:,} frame{s} could not be read because of a fault in otmon: please report it"),
    ("visibility", "missing_bytes", "{:,} byte{s} of TCP connections {were} never captured"),
    ("visibility", "gaps", "{:,} gap{s} in TCP connections"),
    ("visibility", "one_sided", "{:,} connection{s} of which only one direction was captured"),
    ("visibility", "copies", "{:,} frame{s} {were} {copies} made by the mirror"),
    ("ot_bytes", "gap", "{:,} byte{s} of control traffic could not be decoded beside a gap"),
    ("ot_bytes", "malformed", "{:,} byte{s} of control traffic {are} malformed"),
    ("ot_bytes", "unrecognised", "{:,} byte{s} on a port of a control protocol {are} something else"),
    ("ot_bytes", "encrypted", "{:,} byte{s} {are} encrypted"),
    ("ot_bytes", "shed", "{:,} byte{s} {were} left out because a table was full"),
)
"""Section and key of the summary -> sentence, if the figure is not 0."""


def missed(sentence: str, number: int) -> str:
    """One of BLIND with its figure."""
    one = {"s": "", "are": "is", "were": "was", "copies": "a copy"}
    many = {"s": "s", "are": "are", "were": "were", "copies": "copies"}
    return sentence.format(number, **(one if number == 1 else many))


def not_seen(site: Site, summary: Mapping[str, Any]) -> Iterator[str]:
    """Sentences on what the run could not see."""
    for entry in summary["inputs"]:
        if (line := damage(entry)) is not None:
            yield line
    for section, key, sentence in BLIND:
        value = summary[section].get(key, 0)
        if value:
            layers = ", ".join(f"{name}: {count:,}" for name, count in sorted(site.part.unsupported.items()))
            yield missed(sentence, value) + (f" ({layers})" if key == "unsupported" and layers else "")
    if site.part.lost_datagrams:
        yield missed("{:,} fragmented IP datagram{s} {were} never whole", site.part.lost_datagrams)
    if site.part.shed:
        yield missed("{:,} message{s} or binding{s} found no room in a full table", site.part.shed)
    if site.assets_left_out:
        yield missed("{:,} more asset{s} {are} not listed: the table of assets is full", site.assets_left_out)
