"""Zeek's logs as rows, and otmon's messages as rows of the same columns."""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.protocols.segments import CAPTURES

Record = dict[str, Any]
UNSET = "-"
ENDS = ("id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p")
SIDES = ("source_h", "source_p", "destination_h", "destination_p")
NEITHER = {"ts": "masked in the baseline", "uid": "made up by Zeek"}


class Log(NamedTuple):
    """A log, and what its columns are in otmon's records."""

    path: str
    """Under the captures."""
    columns: dict[str, Callable[[Any], object]]
    left_out: dict[str, str]
    """Columns that are not compared, and why."""

    def theirs(self) -> Counter[tuple[str, ...]]:
        """Its rows, in the order of `columns`; every column has to be compared or left out for a reason."""
        rows = read(CAPTURES / self.path)
        assert set(rows[0]) == set(self.columns) | set(self.left_out)
        return Counter(tuple(row[column] for column in self.columns) for row in rows)

    def places(self, *columns: str) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
        """Picks these columns out of a row."""
        at = [list(self.columns).index(column) for column in columns]
        return lambda row: tuple(row[i] for i in at)

    def ours(self, found: Iterable[Any]) -> Counter[tuple[str, ...]]:
        """Rows of otmon's records, or whatever `columns` take."""
        return Counter(tuple(shown(take(one)) for take in self.columns.values()) for one in found)


def read(path: Path) -> list[dict[str, str]]:
    """Rows of a Zeek log. Skips if it is not here."""
    if not path.exists():
        pytest.skip(f"no {path}")
    lines = path.read_text().splitlines()
    names: list[str] = next((line.split("\t")[1:] for line in lines if line.startswith("#fields")), [])
    return [dict(zip(names, line.split("\t"), strict=True)) for line in lines if line and not line.startswith("#")]


def shown(value: object) -> str:
    """As Zeek writes it."""
    if value is None:
        return UNSET
    if isinstance(value, bool):
        return "T" if value else "F"
    if isinstance(value, list):
        return ",".join(map(str, value)) or UNSET
    return str(value)


def ends(record: Record) -> tuple[str, int, str, int]:
    """Client and server, addresses and ports."""
    client, server = (record["src"], record["dst"])[:: 1 if record["from_client"] else -1]
    return (*client, *server)


def conn() -> dict[str, Callable[[Any], object]]:
    """Columns of the connection."""
    return {name: (lambda record, i=i: ends(record)[i]) for i, name in enumerate(ENDS)}


def sender() -> dict[str, Callable[[Any], object]]:
    """Columns of who sent it."""
    return {"is_orig": lambda record: record["from_client"]} | {
        name: (lambda record, i=i: (*record["src"], *record["dst"])[i]) for i, name in enumerate(SIDES)
    }
