"""New alerts as they are told: a line in the log, the latest for the view, counts for metrics."""

import logging
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from otmon.sensor.logs import say

LINES_AT_ONCE: Final = 20
"""A flood of alerts is in the database; the log says how many more there are."""
LATEST: Final = 64
_LEVEL: Final = {
    "critical": logging.CRITICAL,
    "high": logging.ERROR,
    "medium": logging.WARNING,
    "low": logging.INFO,
    "info": logging.INFO,
}


class Told:
    """Alerts that were new since the start."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        """By severity."""
        self.latest: deque[Mapping[str, Any]] = deque(maxlen=LATEST)

    def remember(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Alerts of earlier that go on: for the view."""
        self.latest.extend(records)

    def tell(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Records of alerts that are on the disk now, and were not before."""
        for record in records:
            self.counts[record["severity"]] += 1
            self.latest.append(record)
        for record in records[:LINES_AT_ONCE]:
            fields = {name: record[name] for name in ("severity", "kind", "id")}
            say(_LEVEL[record["severity"]], "alert", record["title"], **fields)
        if len(records) > LINES_AT_ONCE:
            say(logging.WARNING, "alerts", f"and {len(records) - LINES_AT_ONCE:,} more alerts at once")
