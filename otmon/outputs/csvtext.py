"""CSV for spreadsheets: nested records flattened, cells that a spreadsheet would run made harmless."""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""First characters that make a cell a formula (OWASP, CSV injection)."""


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    return "'" + text if text.startswith(FORMULA) else text


def flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`; lists of plain values joined by spaces, other lists as JSON."""
    out: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            out |= flat(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple) and all(isinstance(item, str | int) for item in value):
            out[prefix + name] = " ".join(map(str, value))
        else:
            out[prefix + name] = value
    return out


def to_csv(records: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> str:
    """A header and one row a record (RFC 4180); columns that a record lacks stay empty."""
    out = io.StringIO(newline="")
    names = list(columns)
    writer = csv.writer(out)
    writer.writerow(names)
    for record in records:
        row = flat(record)
        writer.writerow([_cell(row.get(name)) for name in names])
    return out.getvalue()
