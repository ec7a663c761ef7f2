"""The live view: what a sensor sees now, as something rich can draw. Nothing is read here; all text is `Text`."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import Any, Final, NamedTuple

from rich.console import Console, Group, RenderableType
from rich.containers import Lines
from rich.table import Table
from rich.text import Text

from otmon import __version__
from otmon.outputs.console import BLIND, missed
from otmon.outputs.figures import Delivery, Figures
from otmon.outputs.tables import STYLES, WORST_FIRST, cell

WIDE: Final = 110
"""Columns from which on addresses stand beside names."""
ROOMY: Final = 34
"""Lines from which on sections are set apart by empty ones."""
CONDUITS_SHARE: Final = 3
"""Of the lines for alerts and conduits, one in so many is for conduits, if alerts need the others."""
BEGINNING: Final = 2
"""Lines of a sentence that come before the next alert: at 80 columns who did what to whom, and what came of it."""
LISTED: Final = 64
"""Alerts that may be shown."""
_RULER: Final = Console(file=StringIO())
"""Only measures."""
_STATE: Final = {"up": "green", "down": "yellow", "gone": "bold red"}


class Party(NamedTuple):
    """One end of a conduit."""

    address: str
    name: str = ""
    zone: str = ""

    def text(self, narrow: bool) -> str:
        """With its zone; where there is little room, an address that has a name is left out."""
        shown = f"{self.name} {self.address}" if self.name and not narrow else self.name or self.address
        return f"{shown} ({self.zone})" if self.zone else shown


class Conduit(NamedTuple):
    """Who speaks with whom, now."""

    source: Party
    target: Party
    protocol: str
    frames_s: float
    operations_s: float


class Newcomer(NamedTuple):
    """An asset, newest first."""

    name: str
    what: str
    first_ts_ns: int


@dataclass(slots=True)
class Scene:
    """Everything that is shown."""

    now: Figures
    before: Figures
    """Some seconds earlier, for rates."""
    site: str
    ts_ns: int
    up_s: float
    conduits: Sequence[Conduit] = ()
    """Busiest first."""
    newcomers: Sequence[Newcomer] = ()
    alerts: Sequence[Mapping[str, Any]] = ()
    """Records, oldest first."""
    log: Sequence[str] = field(default_factory=tuple)
    """What the log said besides alerts."""


class Rates(NamedTuple):
    """A second's worth."""

    frames: float
    pdus: float
    bits: float


def rates(scene: Scene) -> Rates:
    """Between the two moments of a scene."""
    now, before = scene.now, scene.before
    seconds = max(now.monotonic_s - before.monotonic_s, 1e-9)
    frames, size = (
        sum(getattr(i, name) for i in now.interfaces) - sum(getattr(i, name) for i in before.interfaces)
        for name in ("frames", "bytes")
    )
    pdus = sum(now.pdus.values()) - sum(before.pdus.values())
    if now is before:
        return Rates(0.0, 0.0, 0.0)
    return Rates(frames / seconds, pdus / seconds, size * 8 / seconds)


def quantity(value: float, unit: str = "") -> str:
    """1,234 or 12.3 M: four digits at most, and what is not nothing does not look like it."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            value /= 1e3 if letter == "k" else size
            return f"{value:.3g} {letter}{unit}" if value < 1000 else f"{value:,.0f} {letter}{unit}"
    text = f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.1f}"
    return f"{text} {unit}".rstrip()


def octets(value: int) -> str:
    """In powers of 1024."""
    size = float(value)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def not_seen(figures: Figures) -> Iterator[str]:
    """One line for each thing that was missed."""
    for interface in figures.interfaces:
        if interface.state != "up":
            yield f"{interface.name} is {interface.state}: nothing comes from it"
        if interface.dropped:
            yield f"{interface.dropped:,} frames of {interface.name} were not read in time and are lost"
        if interface.interface_drops:
            yield f"{interface.interface_drops:,} frames were lost by the card of {interface.name}"
    counters = {"frames": figures.frames, "visibility": figures.visibility, "ot_bytes": figures.ot_bytes}
    for section, name, template in BLIND:
        if number := counters.get(section, {}).get(name, 0):
            yield missed(template, number)
    if figures.synchronised is False:
        yield "the machine's clock is not synchronised: times are unsure"


def status_line(scene: Scene) -> str:
    """The whole view in one line, where there is no terminal."""
    rate, now = rates(scene), scene.now
    lost = sum(i.dropped + i.interface_drops for i in now.interfaces)
    down = [f"{i.name} {i.state}" for i in now.interfaces if i.state != "up"]
    down += [f"{one.sink} {one.state}, {one.waiting:,} wait" for one in now.delivery if one.state != "well"]
    alerts = ", ".join(f"{now.alerts[name]:,} {name}" for name in WORST_FIRST if now.alerts.get(name))
    parts = [
        _clock(scene.ts_ns),
        f"{quantity(rate.frames)} frames/s",
        f"{quantity(rate.pdus)} OT PDUs/s",
        quantity(rate.bits, "bit/s"),
        f"{lost:,} frames lost",
        f"{now.assets:,} assets",
        f"new alerts: {alerts or 'none'}",
        *down,
    ]
    return "  ".join(str(cell(part)) for part in parts)


def draw(scene: Scene, width: int, height: int) -> RenderableType:
    """The whole screen, `height` lines at most."""
    gap = height >= ROOMY
    blind = list(not_seen(scene.now))
    interfaces = scene.now.interfaces[: max(1, height // 8)]
    log = list(scene.log)[-max(1, height // 12) :]
    blind_rows = min(len(blind), max(2, height // 6)) or 1
    outputs = [_output(one) for one in scene.now.delivery[: max(1, height // 8)]]
    fixed = 3 + len(interfaces) + len(outputs) + 1 + blind_rows + 1 + len(log) + 1 + 2 + 5 * gap
    left = max(2, height - fixed)
    told = _told(scene, width)
    wanted = max(1, sum(len(lines) for _, lines in told))
    conduits = min(max(len(scene.conduits), 1), max(2, left // CONDUITS_SHARE, left - wanted))
    conduits = min(conduits, left - 1)
    parts: list[RenderableType] = [_title(scene, width), _rates(scene)]
    sections: list[RenderableType] = [
        Group(_interfaces(scene, len(interfaces)), *outputs),
        _conduits(scene, conduits, width),
        _alerts(scene, told, left - conduits, width),
        _blind(blind, blind_rows),
        _known(scene, width),
    ]
    for section in sections:
        parts.extend([Text(), section] if gap else [section])
    parts += [cell(line, "dim") for line in log]
    for part in parts:
        if isinstance(part, Text):
            part.no_wrap, part.overflow = True, "ellipsis"
    return Group(*parts)


def _clock(ts_ns: int) -> str:
    return time.strftime("%H:%M:%SZ", time.gmtime(ts_ns // 1_000_000_000))


def _lasted(seconds: float) -> str:
    minutes, hours = int(seconds) // 60, int(seconds) // 3600
    if hours >= 48:
        return f"{hours // 24} days"
    return f"{hours}:{minutes % 60:02d}:{int(seconds) % 60:02d}"


def _title(scene: Scene, width: int) -> Text:
    left = f" otmon {__version__}  site {scene.site}  {'' if scene.now.policy else 'no policy  '}"
    right = f"{_clock(scene.ts_ns)}  up {_lasted(scene.up_s)}  q ends "
    text = cell(left)
    text.pad_right(max(0, width - len(text) - len(right)))
    return Text.assemble(text, right, style="reverse")


def _rates(scene: Scene) -> Text:
    rate, now = rates(scene), scene.now
    lost = sum(i.dropped + i.interface_drops for i in now.interfaces)
    text = Text.assemble(
        (quantity(rate.frames), "bold"), " frames/s   ",
        (quantity(rate.pdus), "bold"), " OT PDUs/s   ",
        (quantity(rate.bits, "bit/s"), "bold"), "   ",
    )  # fmt: skip
    return text + (Text(f"{lost:,} frames lost", "bold red") if lost else Text("nothing lost", "green"))


def _section(*columns: str, wide: Sequence[str] = (), right: Sequence[str] = ()) -> Table:
    """A table whose headings are the section's title; `wide` columns share what is left of the line."""
    table = Table(box=None, expand=True, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold cyan")
    for column in columns:
        table.add_column(
            *(column,),
            ratio=1 if column in wide else None,
            justify="right" if column in right else "left",
            no_wrap=True,
            overflow="ellipsis",
        )
    return table


def _interfaces(scene: Scene, rows: int) -> Table:
    numbers = ("frames/s", "bit/s", "frames", "lost in ring", "by card")
    table = _section("interface", "state", *numbers, wide=["interface"], right=numbers)
    before = {interface.name: interface for interface in scene.before.interfaces}
    seconds = max(scene.now.monotonic_s - scene.before.monotonic_s, 1e-9)
    for interface in scene.now.interfaces[:rows]:
        earlier = before.get(interface.name, interface)
        lost = (interface.dropped, interface.interface_drops)
        table.add_row(
            cell(interface.name),
            cell(interface.state, _STATE.get(interface.state, "")),
            quantity((interface.frames - earlier.frames) / seconds),
            quantity((interface.bytes - earlier.bytes) * 8 / seconds),
            f"{interface.frames:,}",
            *(Text(f"{number:,}", "bold red" if number else "") for number in lost),
        )
    return table


def _output(one: Delivery) -> Text:
    """One line for a sink: how it is, and what waits for it."""
    behind = "" if one.behind_s is None else f", the oldest for {_lasted(one.behind_s)}"
    text = cell(f"to {one.sink}: {one.state}", "green" if one.state == "well" else "bold red")
    text += Text(f", {one.delivered:,} delivered, {one.waiting:,} wait{behind}")
    return text + Text(f", {one.dead:,} refused for good", "bold red") if one.dead else text


def _conduits(scene: Scene, rows: int, width: int) -> Table:
    """Where there is little room, names come before operations."""
    numbers = ("operations/s", "frames/s") if width >= WIDE else ("frames/s",)
    table = _section("from", "to", "protocol", *numbers, wide=["from", "to"], right=numbers)
    for conduit in scene.conduits[:rows]:
        operations = [quantity(conduit.operations_s) if conduit.operations_s else ""] if width >= WIDE else []
        table.add_row(
            cell(conduit.source.text(width < WIDE)),
            cell(conduit.target.text(width < WIDE)),
            cell(conduit.protocol),
            *operations,
            quantity(conduit.frames_s),
        )
    if not scene.conduits:
        table.add_row(Text("quiet", "dim"))
    return table


def _told(scene: Scene, width: int) -> list[tuple[Mapping[str, Any], Lines]]:
    """Alerts as lines of words, the worst first, of each severity the newest first."""
    newest = sorted(scene.alerts, key=lambda alert: -alert["first_ts_ns"])
    worst = sorted(newest, key=lambda alert: WORST_FIRST.index(alert["severity"]))
    return [(alert, cell(alert["title"]).wrap(_RULER, _alert_room(width))) for alert in worst[:LISTED]]


def _alert_room(width: int) -> int:
    """Columns for the sentence of an alert."""
    return max(10, width - len("critical  12:00:00  "))


def _alerts(scene: Scene, told: Sequence[tuple[Mapping[str, Any], Lines]], rows: int, width: int) -> Table:
    """Sentences run over lines, as many as there are."""
    room = _alert_room(width)
    counts = [(name, scene.now.alerts.get(name, 0)) for name in WORST_FIRST]
    new = ", ".join(f"{number:,} {name}" for name, number in counts if number)
    title = Text(f"what happened{f' ({new} since the start)' if new else ''}")
    title.truncate(room, overflow="ellipsis")
    table = _section("alert", "first", title.plain)
    table.columns[2].ratio = 1
    for (alert, lines), most in zip(told, _shares([len(lines) for _, lines in told], rows), strict=False):
        shown = list(lines) if len(lines) <= most else [*lines[: most - 1], _cut(lines[most - 1], room)]
        severity = alert["severity"]
        table.add_row(cell(severity, STYLES[severity]), _clock(alert["first_ts_ns"])[:-1], Text("\n").join(shown))
    if not told:
        table.add_row(Text("none", "green"))
    return table


def _shares(wanted: Sequence[int], rows: int) -> list[int]:
    """Lines for each sentence: at first the beginnings of as many as there is room for, then more of the worst."""
    shares: list[int] = []
    for lines in wanted:
        if rows <= 0:
            break
        shares.append(min(lines, BEGINNING, rows))
        rows -= shares[-1]
    for number, lines in enumerate(wanted[: len(shares)]):
        more = min(lines - shares[number], rows)
        shares[number], rows = shares[number] + more, rows - more
    return shares


def _cut(line: Text, room: int) -> Text:
    """A line after which more would come, with whole words."""
    line.rstrip()
    while line.cell_len + 2 > room and " " in line.plain:
        line = line[: line.plain.rindex(" ")]
    line.rstrip()
    line.truncate(room - 2, overflow="ellipsis")
    return line + Text(" …")


def _blind(lines: Sequence[str], rows: int) -> Table:
    table = _section("could not be seen", wide=["could not be seen"])
    more = len(lines) - rows
    shown = lines if more <= 0 else [*lines[: rows - 1], f"{lines[rows - 1]}; and {more} more"]
    for line in shown:
        table.add_row(cell(line, "yellow"))
    if not lines:
        table.add_row(Text("nothing: every frame and byte is accounted for", "green"))
    return table


def _known(scene: Scene, width: int) -> Text:
    now = scene.now
    stored = now.stored
    text = Text.assemble(
        (f"{now.assets:,}", "bold"), " assets  ",
        (f"{stored.get('operations', 0):,}", "bold"), " operations  ",
        (f"{stored.get('connections', 0):,}", "bold"), " connections  ",
        (f"{now.episodes:,}", "bold"), " alerts going on  ",
        (octets(now.database_bytes), "bold"), " stored",
    )  # fmt: skip
    if scene.newcomers:
        named = [_newcomer(one) for one in scene.newcomers]
        while len(named) > 1 and len("newest: ") + cell("; ".join(named)).cell_len > width:
            named.pop()
        text += Text("\nnewest: ", "bold") + cell("; ".join(named))
    return text


def _newcomer(one: Newcomer) -> str:
    what = f" ({one.what})" if one.what else ""
    return f"{one.name}{what} {_clock(one.first_ts_ns)[:-1]}"
