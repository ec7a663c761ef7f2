"""Counters of a sensor since its start, which the engine forgets at each checkpoint."""

from typing import Final

from otmon.engine.glance import Counted
from otmon.site.part import Part, add_counts
from otmon.store.sensor import SiteStore

COUNT_OFTEN: Final = 100_000
"""Rows up to which the database is counted at each checkpoint; above, it costs too much."""


class Totals:
    """Added to at each harvest; `now` adds what the engine holds."""

    def __init__(self, now_s: float) -> None:
        self._counted = Counted({}, {}, {})
        self.visibility: dict[str, int] = {}
        self.shed = 0
        self.checkpoints = 0
        self.bytes_written = 0
        self.checkpoint_s = now_s
        """When, by the steady clock."""
        self.stored: dict[str, int] = {}
        """Rows in the database."""

    def add(self, part: Part) -> None:
        """Count a harvest."""
        pdus = {name: counts.get("pdus", 0) for name, counts in part.protocols.items()}
        self._counted = _added(self._counted, Counted(part.frames, part.ot_bytes, pdus))
        self.visibility = add_counts(self.visibility, part.visibility)
        self.shed += part.shed

    def checkpoint(self, now_s: float, store: SiteStore) -> None:
        """A checkpoint was written."""
        self.checkpoints += 1
        self.checkpoint_s, self.bytes_written = now_s, store.bytes_written
        if sum(self.stored.values()) < COUNT_OFTEN:
            self.count(store)

    def count(self, store: SiteStore) -> None:
        """See how much lies in the database."""
        self.stored = store.sizes()

    def now(self, counted: Counted) -> Counted:
        """Since the start, with what was not harvested yet."""
        return _added(self._counted, counted)


def _added(left: Counted, right: Counted) -> Counted:
    return Counted(*(add_counts(one, other) for one, other in zip(left, right, strict=True)))
