"""What must hold of every run beside its sums: caps inside it, caps of records, text that is safe to show."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest.mock import patch

import orjson

from otmon import limits
from otmon.engine.run import Run
from otmon.text import safe_text

_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\[bfnrtu]")
"""JSON's own escape of a control character."""


def caps(run: Run) -> None:
    """Nothing that a run keeps is more than may be kept."""
    slow, identifier = run._slow, run._slow._identifier
    for held in slow._held.values():
        assert len(held) <= limits.MAX_HELD_SEGMENTS, len(held)
        assert sum(len(segment.payload) for segment in held) <= limits.MAX_HELD_BYTES
    assert len(identifier._held) <= limits.MAX_IDENTIFYING
    for first in identifier._held.values():
        assert len(first.segments) < limits.MAX_HELD_SEGMENTS, len(first.segments)
        assert max(first.bytes) < limits.IDENTIFY_BYTES, first.bytes
        for way in (0, 1):
            assert first.bytes[way] == sum(len(s.payload) for s in first.segments if s.flow & 1 == way)
    assert len(run._defrag._datagrams) <= limits.MAX_FRAGMENT_DATAGRAMS
    for datagram in run._defrag._datagrams.values():
        assert len(datagram.pieces) <= limits.MAX_FRAGMENTS_PER_DATAGRAM
    transfers = run._collector.transfers
    assert len(transfers._open) <= limits.MAX_TRANSFERS
    assert len(transfers._requests) <= limits.MAX_TRANSFER_REQUESTS
    if run._messages is not None:
        assert len(run._messages._requests) <= limits.MAX_PENDING
        joins = run._messages._joins._open
        assert len(joins) <= limits.MAX_JOINS
        assert min((item.room for item in joins.values()), default=0) >= 0
        connections = [key[0] for key in joins]
        assert max(map(connections.count, connections), default=0) <= limits.MAX_JOINS_EACH


@contextmanager
def watched() -> Iterator[None]:
    """Runs made inside are looked into before they settle what is open."""
    settle = Run.finish

    def finish(run: Run) -> None:
        caps(run)
        settle(run)

    with patch.object(Run, "finish", finish):
        yield


@cache
def _shown(char: str) -> bool:
    return char == "\n" or safe_text(char) == char


def safe(text: str) -> None:
    """Lines of JSON that may be put on a terminal."""
    bare = [char for char in set(text) if not _shown(char)]
    assert not bare, f"{bare} in {next(line for line in text.splitlines() if bare[0] in line)}"
    found = _ESCAPE.search(text)
    assert found is None, text[max(0, found.start() - 80) : found.end() + 80]


def records(alerts: Sequence[Mapping[str, Any]], assets: Sequence[Mapping[str, Any]]) -> None:
    """Alerts and assets: short enough, safe to show."""
    for alert in alerts:
        assert len(alert["targets"]) <= limits.MAX_ALERT_TARGETS
        assert len(alert["frames"]) <= limits.MAX_ALERT_FRAMES
    assert len(assets) <= limits.MAX_ASSETS
    for asset in assets:
        assert len(asset["endpoints"]) <= limits.MAX_ENDPOINTS_PER_ASSET
    safe("\n".join(orjson.dumps(record).decode() for record in (*alerts, *assets)))
