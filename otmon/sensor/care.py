"""Looking after the sources: what fell silent, what is gone and may be back."""

import logging
from collections.abc import Iterator, Sequence
from typing import Final

from otmon.sensor.health import Finding
from otmon.sensor.logs import say
from otmon.sensor.source import Source

LOOK_S: Final = 1.0
SILENT_S: Final = 60.0
"""An interface that brought frames and then none for so long is reported."""
FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 60.0
"""Between attempts to listen again; doubled from the first to the longest."""


class _Watched:
    """One source, and what was said of it."""

    def __init__(self, source: Source, now_s: float) -> None:
        self.source = source
        self.frames = 0
        self.heard_s = now_s
        self.silent = False
        self.gone = False
        self.wait_s = FIRST_WAIT_S
        self.again_s = 0.0


class Care:
    """Asks each source how it is, once a second."""

    def __init__(self, sources: Sequence[Source], now_s: float) -> None:
        self._watched = [_Watched(source, now_s) for source in sources]

    def look(self, now_s: float) -> Iterator[Finding]:
        """What is to be reported, once each time it happens."""
        for one in self._watched:
            yield from self._gone(one, now_s)
            yield from self._silent(one, now_s)

    def _gone(self, one: _Watched, now_s: float) -> Iterator[Finding]:
        interface = one.source.interface
        if one.source.state() != "gone":
            return
        if not one.gone:
            one.gone, one.wait_s, one.again_s = True, FIRST_WAIT_S, now_s
            say(
                *(logging.ERROR, "interface_gone", f"{interface} is gone: nothing is seen until it is back"),
                interface=interface,
            )
            yield Finding("gone", interface)
        if now_s < one.again_s:
            return
        if one.source.resume():
            one.gone = False
            say(logging.WARNING, "interface_back", f"{interface} is back", interface=interface)
            return
        one.again_s = now_s + one.wait_s
        one.wait_s = min(2 * one.wait_s, LONGEST_WAIT_S)

    def _silent(self, one: _Watched, now_s: float) -> Iterator[Finding]:
        frames, interface = one.source.info.frames, one.source.interface
        if frames != one.frames:
            if one.silent:
                say(logging.WARNING, "interface_heard", f"{interface} brings frames again", interface=interface)
            one.frames, one.heard_s, one.silent = frames, now_s, False
        elif frames and not one.silent and now_s - one.heard_s >= SILENT_S:
            one.silent = True
            message = f"nothing came from {interface} for {SILENT_S:.0f} s"
            say(logging.WARNING, "interface_silent", message, interface=interface)
            yield Finding("silent", interface)
