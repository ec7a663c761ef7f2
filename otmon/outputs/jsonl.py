"""JSON lines: keys sorted, one record a line."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from otmon.outputs.sink import Outgoing

_BUFFER_BYTES: Final = 256 * 1024
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
    # Line by line: of lines that are kept, memory is found and trimmed, which takes six times as long as making them.
    with path.open("wb", buffering=_BUFFER_BYTES) as file:
        for record in records:
            file.write(line(record))
            number += 1
    return number
