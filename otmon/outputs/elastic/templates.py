"""Templates of the data streams, made from the table of fields.

For each stream an index template composed of component templates: `otmon@settings`, `otmon@mappings` (what every stream
has), `otmon.<stream>@mappings`, and `otmon@custom` and `<data stream>@custom`, which are the plant's own and may be
missing. Below `otmon` what is not in the table is refused, so that a mistake of otmon shows; elsewhere it is kept
without being searchable, so that others may enrich.

`dynamic`, `ignore_above`, data streams, their lifecycle: https://www.elastic.co/guide/en/elasticsearch/reference/8.19/.
"""

from collections.abc import Iterable
from typing import Any, Final, Literal, NamedTuple

from otmon.outputs.elastic.documents import DATA_STREAMS, data_stream
from otmon.outputs.elastic.fields import ECS_VERSION, FIELDS, Field
from otmon.outputs.sink import STREAMS

VERSION: Final = 2
"""Of the templates; to be raised with every change of them."""
PRIORITY: Final = 300
"""Above Elastic's own `logs` and `metrics` (100), within what its documentation advises (200 to 500)."""
RETENTION: Final = {
    "alert": "400d",
    "audit": "400d",
    "asset": "400d",
    "operation": "90d",
    "sensor": "30d",
    "point": "30d",
}
"""Days that documents are kept: what is decided upon over a yearly job, what is measured for a month."""
COMMON: Final = frozenset(STREAMS)

Kind = Literal["component", "index"]


class Template(NamedTuple):
    """One template, as `PUT _component_template/<name>` or `PUT _index_template/<name>` takes it."""

    kind: Kind
    name: str
    body: dict[str, Any]


def _meta(about: str) -> dict[str, Any]:
    return {"description": about, "managed_by": "otmon", "version": VERSION, "ecs": ECS_VERSION}


def properties(fields: Iterable[Field]) -> dict[str, Any]:
    """The fields as `properties` of a mapping; `otmon` is strict."""
    whole: dict[str, Any] = {}
    for field in fields:
        *above, last = field.name.split(".")
        inner = whole
        for number, step in enumerate(above):
            opened = inner.setdefault(step, {"dynamic": "strict"} if (number, step) == (0, "otmon") else {})
            inner = opened.setdefault("properties", {})
        inner[last] = field.mapping
    return whole


def _component(name: str, about: str, template: dict[str, Any]) -> Template:
    return Template("component", name, {"template": template, "version": VERSION, "_meta": _meta(about)})


def _mappings(name: str, about: str, fields: Iterable[Field]) -> Template:
    mappings = {"dynamic": False, "properties": properties(fields)}
    return _component(name, about, {"mappings": mappings})


def _index(stream: str, namespace: str) -> Template:
    name = DATA_STREAMS[stream]
    custom = ["otmon@custom", f"{name}@custom"]
    body = {
        "index_patterns": [data_stream(stream, namespace)],
        "composed_of": ["otmon@settings", "otmon@mappings", f"otmon.{stream}@mappings", *custom],
        "ignore_missing_component_templates": custom,
        "priority": PRIORITY + (namespace != "*"),
        "version": VERSION,
        "data_stream": {},
        "template": {"lifecycle": {"data_retention": RETENTION[stream]}},
        "_meta": _meta(f"otmon: documents of the stream {stream}"),
    }
    return Template("index", name if namespace == "*" else data_stream(stream, namespace), body)


def templates(namespace: str = "*") -> list[Template]:
    """All templates in the order in which they must be put; for one namespace alone if it is given."""
    settings = {
        "index.mode": "standard",  # 9.x would choose another for streams named logs-, which gives arrays back reordered
        "index.number_of_shards": 1,
        "index.auto_expand_replicas": "0-1",
    }
    common = [field for field in FIELDS.values() if field.streams == COMMON]
    return [
        _component("otmon@settings", "otmon: settings of all its indices", {"settings": settings}),
        _mappings("otmon@mappings", "otmon: fields of every document", common),
        *(
            _mappings(
                f"otmon.{stream}@mappings",
                f"otmon: further fields of {stream} documents",
                (field for field in FIELDS.values() if stream in field.streams and field.streams != COMMON),
            )
            for stream in STREAMS
        ),
        *(_index(stream, namespace) for stream in STREAMS),
    ]
