"""JSON lines: keys sorted, one record a line."""

from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

import orjson

from otmon.outputs.sink import Outgoing

_RECORDS_AT_ONCE: Final = 1024
_LINE: Final = orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


def line(record: Mapping[str, Any]) -> bytes:
    """One record with its newline."""
    return orjson.dumps(record, option=_LINE)


def document(record: Mapping[str, Any]) -> bytes:
    """One record for people: indented, keys sorted, newline at the end."""
    return orjson.dumps(record, option=_LINE | orjson.OPT_INDENT_2)


def envelope(one: Outgoing) -> dict[str, Any]:
    """A record as sinks send it: with what it is, of whom, and which of them."""
    return {
        "stream": one.stream,
        "sequence": one.sequence,
        "id": one.id,
        "site": one.site,
        "sensor": one.sensor,
        "record": one.record,
    }


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> int:
    """Write the records to a new file; gives their number."""
    number = 0
    pending = iter(records)
    with path.open("wb") as file:
        while chunk := [line(record) for record in islice(pending, _RECORDS_AT_ONCE)]:
            file.write(b"".join(chunk))
            number += len(chunk)
    return number
