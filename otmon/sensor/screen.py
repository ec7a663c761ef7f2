"""The live view of a sensor: gathers what is shown, holds the terminal, hears keys. Drawn in the sensor's loop."""

import os
import select
import sys
import termios
import tty
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from io import StringIO
from types import TracebackType
from typing import IO, Any, Final, Self

from rich.console import Console
from rich.live import Live

from otmon.engine.glance import Conduit as Key
from otmon.outputs.console import console
from otmon.outputs.figures import Figures
from otmon.outputs.view import Conduit, Newcomer, Party, Scene, draw, status_line
from otmon.sensor.logs import Line
from otmon.sensor.look import look
from otmon.sensor.watch import Sensor

DRAW_S: Final = 1.0
LINE_S: Final = 10.0
RATE_S: Final = 4.0
"""Rates are means over about so long."""
LISTED: Final = 40
_FORGET: Final = 0.05
"""A conduit with fewer frames a second than this is not shown any more."""


class Gatherer:
    """Makes scenes of a sensor, one after the other."""

    def __init__(self, sensor: Sensor, every_s: float) -> None:
        self._sensor, self._busy = sensor, sensor.front.busy()
        self._busy()
        first = look(sensor)
        self._looks: deque[Figures] = deque([first], maxlen=max(2, round(RATE_S / every_s)))
        self._started_s = self._looked_s = first.monotonic_s
        self._flow: dict[Key, tuple[float, float]] = {}
        if not sensor.told.latest:
            sensor.told.remember(sensor.going_on())

    def scene(self, log: Iterable[Line] = ()) -> Scene:
        """What is to be shown now."""
        sensor = self._sensor
        self._looks.append(look(sensor))
        now = self._looks[-1]
        self._follow(now.monotonic_s)
        newest = sorted(sensor.site.assets, key=lambda asset: -asset.first_ts_ns)[:4]
        return Scene(
            now=now,
            before=self._looks[0],
            site=sensor.site.name,
            ts_ns=sensor.now_ns(),
            up_s=now.monotonic_s - self._started_s,
            conduits=self._conduits(),
            newcomers=[
                Newcomer(
                    a.name or a.endpoints[0].address,
                    " ".join(filter(None, map(a.best, ("vendor", "model")))),
                    a.first_ts_ns,
                )
                for a in newest
            ],
            alerts=list(sensor.told.latest),
            log=[line.text for line in log if line.event not in ("alert", "alerts")],
        )

    def _follow(self, now_s: float) -> None:
        """Rates as means that fade: a polling master is one steady line."""
        passed = max(now_s - self._looked_s, 1e-9)
        self._looked_s = now_s
        share = min(1.0, passed / RATE_S)
        fresh = self._busy()
        for key in self._flow.keys() | fresh.keys():
            frames, operations = fresh.get(key, (0, 0))
            old = self._flow.get(key)
            mine = (frames / passed, operations / passed)
            if old is not None:
                mine = old[0] + share * (mine[0] - old[0]), old[1] + share * (mine[1] - old[1])
            self._flow[key] = mine
        self._flow = {key: rates for key, rates in self._flow.items() if max(rates) >= _FORGET}

    def _conduits(self) -> list[Conduit]:
        busiest = sorted(self._flow.items(), key=lambda item: (-item[1][0], item[0]))[:LISTED]
        return [
            Conduit(self._party(key.realm, key.client), self._party(key.realm, key.server), key.protocol, *rates)
            for key, rates in busiest
        ]

    def _party(self, realm: str, address: str) -> Party:
        who = self._sensor.site.who(realm, address)
        name = who["name"] or ""
        return Party(address, "" if name == address else name, who["zone"] or "")


class Screen:
    """Draws while it is entered; `ended` once q was pressed. Where stdout is no terminal: a line now and then."""

    def __init__(self, lines: "deque[Line]") -> None:
        self.lines = lines
        self.terminal = sys.stdout.isatty()
        self.every_s = DRAW_S if self.terminal else LINE_S
        self.ended = False
        self._out: Console = console(sys.stdout)
        self._live: Live | None = None
        self._gatherer: Gatherer | None = None
        self._keys: tuple[int, list[Any]] | None = None

    def rehearse(self) -> None:
        """Draw nothing, once: whatever rich loads late is there before its files are out of reach."""
        empty = Figures(0.0)
        for width in (20, 100):
            out = Console(file=StringIO(), width=width, height=30, force_terminal=True)
            with Live(console=out, screen=True, auto_refresh=False) as live:
                live.update(draw(Scene(empty, empty, "", 0, 0.0), width, 30), refresh=True)

    def watch(self, sensor: Sensor) -> None:
        """The sensor that is shown from now on."""
        self._gatherer = Gatherer(sensor, self.every_s)

    def __enter__(self) -> Self:
        if self.terminal:
            if sys.stdin.isatty():
                with suppress(termios.error):
                    self._keys = sys.stdin.fileno(), termios.tcgetattr(sys.stdin)
                    tty.setcbreak(sys.stdin)
            self._live = Live(
                console=self._out, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
        if self._keys is not None:
            with suppress(termios.error):
                termios.tcsetattr(self._keys[0], termios.TCSADRAIN, self._keys[1])
        for line in self.lines:
            _write(sys.stderr, line.text)
        self.lines.clear()

    def draw(self) -> None:
        """Show what is now."""
        if self._gatherer is None:
            return
        if self._live is None:
            _write(sys.stdout, status_line(self._gatherer.scene()))
            return
        width, height = self._out.size
        scene = self._gatherer.scene(self.lines)
        self._live.update(draw(scene, width, height), refresh=True)

    def listen(self) -> None:
        """Whether q was pressed."""
        if self._keys is None:
            return
        while select.select([self._keys[0]], [], [], 0)[0]:
            pressed = os.read(self._keys[0], 64)
            if not pressed:
                self._keys = None
                return
            self.ended = self.ended or b"q" in pressed.lower()


def _write(file: IO[str], line: str) -> None:
    """A reader that went away is no reason to stop watching."""
    with suppress(OSError, ValueError):
        file.write(f"{line}\n")
        file.flush()
