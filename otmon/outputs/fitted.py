"""Tables that leave out their least important columns where a terminal is narrow, and so break no word."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from rich import box
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

_UNBOUNDED: Final = 10_000


class Fitted:
    """A light table; columns named in `right` are numbers, those in `spare` go first, in this order.

    What is left out is said below. `least`: so wide a column of sentences has to be, its longest word aside.
    """

    def __init__(
        self,
        title: str,
        columns: Sequence[str],
        right: Sequence[str],
        spare: Sequence[str],
        least: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self.title, self.columns, self._right, self._spare = title, list(columns), set(right), list(spare)
        self.rows: list[tuple[RenderableType, ...]] = []
        self.caption = ""
        self._least = dict(least)

    def add_row(self, *cells: RenderableType) -> None:
        """One cell for each column."""
        self.rows.append(cells)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """As many columns as there is room for."""
        gone: list[str] = []
        table, wide = self._table(gone), options.update(width=_UNBOUNDED)
        whole = Measurement.get(console, wide, table)
        for name in self._spare:
            # A column is at least as wide as the longest word in it.
            if whole.minimum <= options.max_width:
                break
            gone.append(name)
            table = self._table(gone)
            whole = Measurement.get(console, wide, table)
        if whole.minimum <= options.max_width < whole.maximum:
            _share(table, whole, console, options)
        yield table
        if gone:
            left_out = ", ".join(name for name in self.columns if name in gone)
            yield Text(f" Not shown for want of room: {left_out}", "italic dim")

    def _table(self, gone: Sequence[str]) -> Table:
        table = Table(
            title=self.title or None,
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            collapse_padding=bool(gone),
            caption=self.caption or None,
            caption_justify="left",
        )
        shown = [number for number, name in enumerate(self.columns) if name not in gone]
        for number in shown:
            name = self.columns[number]
            justify: JustifyMethod = "right" if name in self._right else "left"
            table.add_column(name, justify=justify, overflow="fold", min_width=self._least.get(name))
        for cells in self.rows:
            table.add_row(*(cells[number] for number in shown))
        return table


def _share(table: Table, whole: Measurement, console: Console, options: ConsoleOptions) -> None:
    """Narrow the widest columns of a table that is `whole`, as rich does, but none below its longest word."""
    wide = options.update(width=_UNBOUNDED)
    sizes = [[Measurement.get(console, wide, cell) for cell in (c.header, *c.cells)] for c in table.columns]
    wanted = [column.min_width or 0 for column in table.columns]
    least = [max(low, *(size.minimum for size in column)) for low, column in zip(wanted, sizes, strict=True)]
    most = [max(low, *(size.maximum for size in column)) for low, column in zip(wanted, sizes, strict=True)]
    room = options.max_width - whole.minimum + sum(least)

    def widths(level: int) -> list[int]:
        return [min(high, max(low, level)) for low, high in zip(least, most, strict=True)]

    level = bisect_right(range(max(most)), room, key=lambda level: sum(widths(level))) - 1
    for column, width in zip(table.columns, widths(level), strict=True):
        column.width = width
