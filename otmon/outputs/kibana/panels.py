"""What a dashboard is made of. A panel says what it asks; `objects` and `requests` say it to Kibana and Elasticsearch.

Only what every node has is used: no top_metrics, rate, derivative, multi_terms, scripts or runtime fields. Queries are
Lucene's, which Kibana hands to Elasticsearch as they are.
"""

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

GRID_COLUMNS: Final = 48
"""Of a dashboard in Kibana; a row of its grid is 20 pixels high, and 8 are between two."""
NEWEST: Final = {"alert": "otmon.alert.revision"}
"""By stream: what grows from one document of the same thing to the next; elsewhere time does."""
EVERY_STREAM: Final = "every"
"""Stands for the streams together where a panel is about all of them."""


class Metric(NamedTuple):
    """A figure."""

    kind: Literal["cardinality", "sum", "max", "min", "avg", "top_hits"]
    field: str
    label: str


def distinct(field: str, label: str) -> Metric:
    """How many different values."""
    return Metric("cardinality", field, label)


def highest(field: str, label: str) -> Metric:
    """The greatest value: of figures that only grow, the last."""
    return Metric("max", field, label)


def lowest(field: str, label: str) -> Metric:
    """The smallest value."""
    return Metric("min", field, label)


def total(field: str, label: str) -> Metric:
    """All of them added."""
    return Metric("sum", field, label)


def latest(field: str, label: str) -> Metric:
    """What the newest document says."""
    return Metric("top_hits", field, label)


ALERTS: Final = distinct("otmon.alert.id", "alerts")
"""Each change of an alert is a document: alerts are counted by id, never by document."""
OPERATIONS: Final = distinct("event.id", "operations")
"""Together with FIRST_SEEN, which takes one document of each."""
FINDINGS: Final = distinct("otmon.alert.id", "findings")
"""The same of what could not be seen."""
ASSETS: Final = distinct("otmon.asset.id", "devices")
FIRST_SEEN: Final = "otmon.operation.reason:(new OR final)"
"""Of a sensor the document that says it is new, of a capture the only one; not the summaries that follow."""


class Terms(NamedTuple):
    """Rows, bars or colours: one for each value of a field, by the first figure, the highest first."""

    field: str
    label: str
    size: int = 10
    none: str | None = None
    """What stands for a missing value; None: what has none is left out."""


class Time(NamedTuple):
    """Bars along the time that is looked at."""

    label: str = "time"


@dataclass(frozen=True)
class Panel:
    """What all panels have."""

    width: int
    title: str
    """The question it answers."""


@dataclass(frozen=True)
class Text(Panel):
    """Words, as Markdown."""

    text: str


@dataclass(frozen=True)
class Query(Panel):
    """A panel about documents of a stream, those that a Lucene query finds."""

    stream: str


@dataclass(frozen=True)
class Number(Query):
    """One big figure."""

    figure: Metric
    query: str = ""


@dataclass(frozen=True)
class Bars(Query):
    """A figure as bars, along time or one for each value, in colours if `split`."""

    figure: Metric
    by: Terms | Time
    split: Terms | None = None
    query: str = ""


@dataclass(frozen=True)
class Table(Query):
    """Rows, one for each value (and each value within it), with figures."""

    rows: tuple[Terms, ...]
    columns: tuple[Metric, ...]
    query: str = ""


@dataclass(frozen=True)
class Documents(Query):
    """The documents themselves, newest first."""

    columns: tuple[str, ...]
    query: str = ""


@dataclass(frozen=True)
class Matrix(Query):
    """Zone by zone: how many operations the policy permits, and how many it denies."""

    query: str = ""


class Row(NamedTuple):
    """Panels side by side; together as wide as the grid."""

    height: int
    panels: tuple[Panel, ...]


class Control(NamedTuple):
    """A list above the dashboard to choose values from."""

    stream: str
    field: str
    title: str


@dataclass(frozen=True)
class Dashboard:
    """A page."""

    name: str
    """In its id."""
    title: str
    about: str
    since: str
    """From when on it looks, as Kibana writes it; until now."""
    controls: tuple[Control, ...]
    rows: tuple[Row, ...]


class Placed(NamedTuple):
    """A panel in the grid."""

    id: str
    panel: Panel
    x: int
    y: int
    height: int


def placed(dashboard: Dashboard) -> list[Placed]:
    """Every panel with its place, and an id that stays as long as it stays where it is."""
    found, y = [], 0
    for line, row in enumerate(dashboard.rows, 1):
        x = 0
        for number, panel in enumerate(row.panels, 1):
            found.append(Placed(f"otmon-{dashboard.name}-{line}-{number}", panel, x, y, row.height))
            x += panel.width
        assert x == GRID_COLUMNS, f"{dashboard.name}, row {line}: {x} columns"
        y += row.height
    return found
