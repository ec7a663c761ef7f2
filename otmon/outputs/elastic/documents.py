"""Records as documents of Elasticsearch: one function, a builder for each stream. Nothing here speaks to a server.

A builder gives dotted names and values; the table of fields then says how each value is written (`fields.FIELDS`), so
that what leaves is what the templates were made for: a document is never refused by a strict mapping.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from otmon import __version__
from otmon.outputs.elastic.alert import alert
from otmon.outputs.elastic.fields import ECS_VERSION, FIELDS, FITS, SHORT, Field, fit_all, keyword
from otmon.outputs.elastic.inventory import asset, operation
from otmon.outputs.elastic.parts import Flat, moment
from otmon.outputs.elastic.state import audit, point, sensor
from otmon.outputs.sink import Outgoing

BUILDERS: Final[dict[str, Callable[[dict[str, Any]], Flat]]] = {
    "alert": alert,
    "asset": asset,
    "operation": operation,
    "audit": audit,
    "sensor": sensor,
    "point": point,
}
"""By stream: a record (docs/records) as dotted names and values."""
DATA_STREAMS: Final = {
    stream: ("metrics" if stream in ("sensor", "point") else "logs") + f"-otmon.{stream}" for stream in BUILDERS
}
"""By stream: the data stream, without its namespace."""
CONSTANT: Final = {
    "ecs.version": ECS_VERSION,
    "event.module": "otmon",
    "event.provider": "otmon",
    "observer.type": "sensor",
    "observer.vendor": "otmon",
    "observer.product": "otmon",
    "observer.version": __version__,
}


def data_stream(stream: str, namespace: str) -> str:
    """The data stream that a stream's documents go to."""
    return f"{DATA_STREAMS[stream]}-{namespace}"


def document(outgoing: Outgoing) -> dict[str, Any]:
    """One record as a document, without None and empty lists. Raises KeyError for a stream that is none."""
    return nest(
        {
            "@timestamp": moment(outgoing.ts_ns),
            "event.id": outgoing.id,
            "event.sequence": outgoing.sequence,
            "event.dataset": f"otmon.{outgoing.stream}",
            "observer.name": outgoing.sensor,
            "otmon.site": outgoing.site,
            "otmon.ts_ns": outgoing.ts_ns,
            **CONSTANT,
            **BUILDERS[outgoing.stream](outgoing.record),
        }
    )


class _Way(NamedTuple):
    """Where a field stands in a document, and how a value becomes one of it."""

    above: str
    last: str
    fit: Callable[[Any], Any]


def _way(field: Field) -> _Way:
    above, _, last = field.name.rpartition(".")
    return _Way(above, last, FITS.get(field.type, str))


_WAYS: Final = {name: _way(field) for name, field in FIELDS.items()}


def nest(flat: Flat) -> dict[str, Any]:
    """Dotted names as objects in objects, each value as its field takes it."""
    objects: dict[str, dict[str, Any]] = {"": {}}
    for name, value in flat.items():
        if value is None:
            continue
        above, last, fit = _WAYS[name]
        kind = type(value)
        if kind is list:
            value = fit_all(fit, value)
            if not value:
                continue
        elif fit is not keyword or kind is not str or len(value) > SHORT:  # most need no call
            value = fit(value)
            if value is None:
                continue
        inner = objects.get(above)
        if inner is None:
            inner = _open(objects, above)
        inner[last] = value
    return objects[""]


def _open(objects: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    """The object of this dotted name, made in that above it if it is not there."""
    inner = objects.get(name)
    if inner is None:
        above, _, last = name.rpartition(".")
        inner = objects[name] = _open(objects, above)[last] = {}
    return inner
