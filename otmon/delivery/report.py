"""How delivery from a folder stands, for people and for the sensor's health."""

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from otmon.delivery.ledger import NAME, Cursor, Ledger
from otmon.delivery.reader import SpoolReader
from otmon.store import spool


def report(
    folder: Path, now_ns: int | None = None, wanted: Mapping[str, frozenset[str]] = MappingProxyType({})
) -> dict[str, Any]:
    """`sinks`: how each is, `letters` of the dead still kept; `waiting`: what each stream holds. Raises StoreError.

    `passed_over`: revisions of alerts that were not delivered since a later one is.

    `wanted`: the streams a sink takes, where that is known; else those count of which it was sent something.
    """
    with SpoolReader(folder / "site.db") as reader:
        waiting, passed_over = reader.waiting(), reader.passed_over()
    if reader.name == spool.FINAL:  # what waits was spooled when the folder was written, however old the capture is
        spooled_ns = _written_ns(folder)
        waiting = {
            name: one._replace(oldest_ts_ns=spooled_ns if one.records else None) for name, one in waiting.items()
        }
    sinks = []
    if (folder / NAME).is_file():
        with Ledger(folder / NAME, reader.name, readonly=True) as ledger:
            states, cursors, letters = ledger.states(), ledger.cursors(), ledger.letters()
        begun = {(sink, stream): Cursor() for sink, streams in wanted.items() for stream in streams}
        sinks = [
            {
                "sink": sink,
                **state._asdict(),
                "letters": letters.get(sink, 0),
                **_behind(sink, waiting, begun | cursors, now_ns or time.time_ns()),
            }
            for sink, state in states.items()
        ]
    streams = [{"stream": stream, **found._asdict()} for stream, found in waiting.items()]
    return {"passed_over": passed_over, "sinks": sinks, "waiting": streams}


def _written_ns(folder: Path) -> int:
    """When the folder of an analysis was written: run.json is written last, and never again."""
    for name in ("run.json", "site.db"):
        with suppress(OSError):
            return (folder / name).stat().st_mtime_ns
    return 0


def _behind(
    sink: str, waiting: dict[str, spool.Waiting], cursors: dict[tuple[str, str], Cursor], now_ns: int
) -> dict[str, Any]:
    """Records that wait for a sink, and how old the oldest of a stream is of which it lacks all that waits."""
    number, oldest = 0, None
    for stream, found in waiting.items():
        done = cursors.get((sink, stream))
        if done is None:
            continue
        lacks = found.beyond(done.done)
        number += lacks
        if lacks and found.oldest_ts_ns is not None:
            oldest = min(found.oldest_ts_ns, oldest or found.oldest_ts_ns)
    return {"waiting": number, "behind_s": None if oldest is None else max(0.0, (now_ns - oldest) / 1e9)}
