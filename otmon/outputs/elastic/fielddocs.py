"""docs/elastic-fields.md, made from the table of fields: `python -m otmon.outputs.elastic.fielddocs`."""

import json
from pathlib import Path
from typing import Any, Final

from otmon.outputs.elastic.documents import DATA_STREAMS, document
from otmon.outputs.elastic.fields import ECS_VERSION, FIELDS, Field
from otmon.outputs.elastic.templates import COMMON, RETENTION
from otmon.outputs.sink import STREAMS, Outgoing

RECORDS: Final = {stream: stream for stream in STREAMS} | {"sensor": "health"}
"""By stream: its record in docs/records."""
ABOUT: Final = {
    "alert": "Each change of an alert is a document: count distinct `otmon.alert.id`, not documents; of one id the "
    "highest `otmon.alert.revision` holds.",
    "audit": "What otmon or a person did that changes what is judged, seen or decided.",
    "asset": "The inventory: a document whenever something new is known of a device; the latest holds.",
    "operation": "Who does what to what: a document when it is new, and figures so far from time to time. Counts grow: "
    "take the highest of an operation, never the sum.",
    "sensor": "What a sensor saw and missed since the document before: counts may be added.",
    "point": "Values seen on the wire, the last of each interval.",
}
HEAD: Final = f"""# Fields in Elasticsearch

This page is made from the table in `otmon/outputs/elastic/` that also makes the templates; a test keeps it in step.

Documents follow the Elastic Common Schema {ECS_VERSION}; what it has no name for is below `otmon`. No field has a name
that comes from the network. Values of keywords are cut at 1,024 characters, lists at 256 values. Below `otmon` a field
that is not in these tables is refused; elsewhere it is stored, and not searchable. A field without a value is left out.

`source` is the client, who asks, and `destination` the server, whoever sent the first frame. The pair of times
`event.start` and `event.end` is indexed to the millisecond; what ends in `_ns` are nanoseconds.
"""


def _row(field: Field) -> str:
    shown = "" if field.example is None else f"`{json.dumps(field.example, ensure_ascii=False)}`"
    return f"| `{field.name}` | {field.type} | {field.about} | {shown.replace('|', chr(92) + '|')} |"


def _table(fields: list[Field]) -> str:
    return "\n".join(["| field | type | holds | example |", "|---|---|---|---|", *map(_row, fields)])


def _example(stream: str, records: Path) -> dict[str, Any]:
    record = json.loads((records / f"{RECORDS[stream]}.example.json").read_text())
    if stream == "alert":
        record |= {"revision": 1}
    ts_ns = record.get("ts_ns", record.get("last_ts_ns"))
    return document(Outgoing(stream, 7, f"{stream}-example", ts_ns, "water-works-3", "sensor-1", record))


def page(records: Path) -> str:
    """The whole page; `records` is the folder docs/records, whose examples it shows as documents."""
    parts = [HEAD, "## In every document", "", _table([field for field in FIELDS.values() if field.streams == COMMON])]
    for stream in STREAMS:
        own = [field for field in FIELDS.values() if stream in field.streams and field.streams != COMMON]
        example = json.dumps(_example(stream, records), indent=2, ensure_ascii=False)
        parts += [
            f"\n## `{DATA_STREAMS[stream]}-<namespace>`",
            f"\n{ABOUT[stream]} Made from [{RECORDS[stream]}](records/{RECORDS[stream]}.schema.json) records; kept for "
            f"{RETENTION[stream][:-1]} days unless the template is changed.\n",
            _table(own),
            f"\nThe [example](records/{RECORDS[stream]}.example.json) as a document:\n\n```json\n{example}\n```",
        ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    docs = Path(__file__).parents[3] / "docs"
    (docs / "elastic-fields.md").write_text(page(docs / "records"))
