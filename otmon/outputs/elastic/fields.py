"""The one table of every field in every document: it makes the documents, the templates and docs/elastic-fields.md.

Names, types and meanings of the fields that are not otmon's own follow the Elastic Common Schema (ECS) 8.17, see
https://www.elastic.co/guide/en/ecs/8.17/; where ECS has `match_only_text` and `wildcard`, a plain `text` and `keyword`
stand, which every node has. A field never has a name that comes from the network.
"""

import ipaddress
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, NamedTuple

from otmon.limits import ELASTIC_KEYWORD_CHARS, ELASTIC_LIST_VALUES, ELASTIC_TEXT_CHARS
from otmon.outputs.elastic.rows import Row
from otmon.outputs.elastic.rows_common import COMMON
from otmon.outputs.elastic.rows_otmon import OTMON

ECS_VERSION: Final = "8.17.0"
INT64: Final = 2**63 - 1
INT32: Final = 2**31 - 1
FLOAT32: Final = 3.4028234e38


class Field(NamedTuple):
    """One field: what it is called, what it is, and how a value becomes one of it."""

    name: str
    """Dotted."""
    type: str
    """Of Elasticsearch."""
    streams: frozenset[str]
    """Whose documents may have it."""
    about: str
    example: Any
    path: str | None = None
    """Of an alias: what it stands for."""

    @property
    def ecs(self) -> bool:
        """Whether ECS defines it; otmon's own are all below `otmon`."""
        return not self.name.startswith("otmon.")

    @property
    def mapping(self) -> dict[str, Any]:
        """As a template has it."""
        if self.path is not None:
            return {"type": self.type, "path": self.path}
        return {"type": self.type, **EXTRAS.get(self.type, {})}

    def fit(self, value: Any) -> Any:
        """The value, or values, as this field takes them; None or [] if nothing of it is one."""
        if value is None:
            return None
        fit = FITS[self.type]
        return fit_all(fit, value) if isinstance(value, list) else fit(value)


def fit_all(fit: Callable[[Any], Any], values: list[Any]) -> list[Any]:
    """Each of the values that can be had as a field takes it, so many as a document may have."""
    return [fitted for one in values[:ELASTIC_LIST_VALUES] if (fitted := fit(one)) is not None]


EXTRAS: Final[dict[str, dict[str, Any]]] = {
    "keyword": {"ignore_above": ELASTIC_KEYWORD_CHARS},
    "flattened": {"ignore_above": ELASTIC_KEYWORD_CHARS, "depth_limit": 2},
    "nested": {"dynamic": "strict"},
}
"""What a mapping of a type says beside it."""


def _cut(units: int) -> Callable[[Any], str]:
    """Elasticsearch counts UTF-16 units, as Java does."""

    def fit(value: Any) -> str:
        text = str(value)
        if len(text) <= units // 2:
            return text
        coded = text.encode("utf-16-le", "surrogatepass")
        return text if len(coded) <= 2 * units else coded[: 2 * (units - 1)].decode("utf-16-le", "ignore") + "…"

    return fit


def _whole(limit: int) -> Callable[[Any], int]:
    def fit(value: Any) -> int:
        whole = int(value)
        return whole if -limit <= whole <= limit else max(-limit - 1, min(limit, whole))

    return fit


def number(value: Any) -> float | None:
    """None for what JSON cannot say, and for None."""
    try:
        return float(value) if value is not None and math.isfinite(value) else None
    except OverflowError:
        return None


@lru_cache(maxsize=4096)
def ip_text(value: str) -> str | None:
    """The address as an `ip` field takes it, None if it is none (a MAC, `*`, an address with a zone)."""
    try:
        return None if "%" in value else str(ipaddress.ip_address(value))
    except ValueError:
        return None


def _float32(value: Any) -> float | None:
    one = number(value)
    return one if one is not None and abs(one) <= FLOAT32 else None


keyword: Final = _cut(ELASTIC_KEYWORD_CHARS)
SHORT: Final = ELASTIC_KEYWORD_CHARS // 2
"""A text of so many characters is a keyword as it is."""


def _flat(value: dict[str, Any]) -> dict[str, str]:
    return {name: keyword(one) for name, one in value.items()}


def _nested(value: dict[str, Any]) -> dict[str, Any]:
    return value  # its members were fitted one by one


FITS: Final[dict[str, Callable[[Any], Any]]] = {
    "boolean": bool,
    "date": str,
    "double": number,
    "flattened": _flat,
    "float": _float32,
    "integer": _whole(INT32),
    "ip": ip_text,
    "keyword": keyword,
    "long": _whole(INT64),
    "nested": _nested,
    "text": _cut(ELASTIC_TEXT_CHARS),
}
"""How a value becomes one of a type."""


def _fields(rows: tuple[Row, ...]) -> dict[str, Field]:
    found: dict[str, Field] = {}
    for row in rows:
        path = row.example if row.type == "alias" else None
        assert row.name not in found, row.name
        found[row.name] = Field(row.name, row.type, frozenset(row.streams), row.about, row.example, path)
    return found


FIELDS: Final = _fields((*COMMON, *OTMON))
"""Every field by its name, in the order of the documentation."""


def of_stream(stream: str) -> list[Field]:
    """The fields that a stream's documents may have."""
    return [field for field in FIELDS.values() if stream in field.streams]
