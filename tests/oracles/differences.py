"""Every value in the captures on which otmon and tshark differ: `differences.tsv`, one row a capture and field.

A row has the frames, how many values, the first pair of them, and a key of `WHY`. `python -m tests.oracles.differences`
writes the table anew from the captures and keeps the keys; where a row is new, somebody has to find out why.
"""

import csv
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from otmon.opinion.compare import Difference
from tests.oracles.beside_tshark import NAMES, compared
from tests.oracles.why import WHY

TABLE = Path(__file__).with_name("differences.tsv")
COLUMNS = ("capture", "field", "frames", "values", "otmon", "tshark", "why")
VALUE_CHARS = 48


class Row(NamedTuple):
    """Of one capture and field."""

    frames: str
    values: int
    otmon: str
    tshark: str


def rows(differences: Iterable[Difference]) -> dict[str, Row]:
    """Field -> its row."""
    by_field: dict[str, list[Difference]] = {}
    for one in differences:
        name = one.field if "." in one.field else f"{one.protocol} {one.field}"
        by_field.setdefault(name, []).append(one)
    return {
        field: Row(runs({one.frame for one in found}), len(found), text(found[0].otmon), text(found[0].tshark))
        for field, found in by_field.items()
    }


def text(value: object) -> str:
    shown = "" if value is None else str(value)
    return shown if len(shown) <= VALUE_CHARS else shown[:VALUE_CHARS] + "…"


def runs(frames: set[int]) -> str:
    """{1, 2, 3, 7} -> `1-3 7`."""
    parts: list[list[int]] = []
    for frame in sorted(frames):
        if parts and parts[-1][1] == frame - 1:
            parts[-1][1] = frame
        else:
            parts.append([frame, frame])
    return " ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def known() -> dict[str, dict[str, tuple[Row, str]]]:
    """Capture -> field -> (row, why) of the table."""
    found: dict[str, dict[str, tuple[Row, str]]] = {}
    with TABLE.open(newline="") as file:
        for line in csv.DictReader(file, dialect="excel-tab"):
            row = Row(line["frames"], int(line["values"]), line["otmon"], line["tshark"])
            found.setdefault(line["capture"], {})[line["field"]] = row, line["why"]
    return found


def main() -> None:
    before = known() if TABLE.exists() else {}
    with TABLE.open("w", newline="") as file:
        out = csv.writer(file, dialect="excel-tab", lineterminator="\n")
        out.writerow(COLUMNS)
        for name in NAMES:
            for field, row in sorted(rows(compared(name).differences).items()):
                why = before.get(name, {}).get(field, (row, ""))[1]
                out.writerow((name, field, *row, why))
                if why not in WHY:
                    print(name, field, *row, file=sys.stderr)


if __name__ == "__main__":
    main()
