"""The ledger of controller logic: each block that was moved, and what of it is not as it was.

An upload is compared with the upload before it from the same file system: what was downloaded comes back with other
flags in its header once the controller has linked it. Transfers are entered in the order in which they ended, over all
clients of a controller, so they are compared after the parts of a run were merged.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from otmon.model import BlockRecord
from otmon.site.part import UNITE, block_order, transfer_order, united

LOGIC: Final = frozenset({"OB", "FC", "FB", "SFC", "SFB", "SDB"})
"""Kinds of block whose bytes only a download changes. A DB holds values that the programme itself writes."""


class Change(NamedTuple):
    """A block came out of a controller otherwise than the last time, and no download of it was seen in between."""

    before: BlockRecord
    after: BlockRecord


Known = Callable[[BlockRecord], Iterable[BlockRecord]]
"""Gives the rows that were entered earlier of the block of a record."""


def _place(record: BlockRecord) -> tuple[object, ...]:
    """Names a block: controller, kind, number and name, wherever in it."""
    return *record[:4], record.block[:3]


def same_block(record: BlockRecord, rows: Iterable[BlockRecord]) -> list[BlockRecord]:
    """Those of the same block."""
    return [row for row in rows if _place(row) == _place(record)]


@dataclass(slots=True)
class _Latest:
    """What is known of one block."""

    moved: BlockRecord | None = None
    """Last one whose bytes are known, either way."""
    uploads: dict[str | None, BlockRecord] = field(default_factory=dict)
    """The same by file system, of uploads since the last download."""

    def see(self, transfer: BlockRecord) -> tuple[BlockRecord, Change | None]:
        """The transfer, with what the block was before, and whether that is a change nobody made."""
        change = None
        system = transfer.block.file_system
        if transfer.direction == "download":
            self.uploads.clear()
        if transfer.sha256 is not None:
            if self.moved is not None and self.moved.sha256 != transfer.sha256:
                transfer = transfer._replace(before=self.moved.sha256)
            self.moved = transfer
            if transfer.direction == "upload":
                last = self.uploads.get(system)
                if last is not None and last.sha256 != transfer.sha256 and transfer.block.kind in LOGIC:
                    change = Change(last, transfer)
                self.uploads[system] = transfer
        return transfer, change


def enter(transfers: Iterable[BlockRecord], known: Known = lambda _: ()) -> tuple[list[BlockRecord], list[Change]]:
    """Transfers as rows of the ledger, in its order, and the changes among them, by time."""
    latest: dict[tuple[object, ...], _Latest] = {}
    entered, changes = [], []
    for transfer in sorted(transfers, key=transfer_order):
        place = _place(transfer)
        if place not in latest:
            latest[place] = _Latest()
            for earlier in sorted(known(transfer), key=lambda row: row.last_ts_ns):
                latest[place].see(earlier)
        found, change = latest[place].see(transfer)
        entered.append(found)
        if change is not None:
            changes.append(change)
    return sorted(united(entered, *UNITE["blocks"]).values(), key=block_order), changes
