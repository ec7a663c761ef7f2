"""Members of nested fields: objects in a document that are searched one by one."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from otmon.outputs.elastic.fields import FIELDS, FITS


@cache
def _fits(name: str) -> dict[str, Callable[[Any], Any]]:
    begin = f"{name}."
    return {field[len(begin) :]: FITS[FIELDS[field].type] for field in FIELDS if field.startswith(begin)}


def members(name: str, values: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each value of the nested field `name` as its fields take it, without None."""
    fits = _fits(name)
    return [
        {key: fitted for key, one in value.items() if one is not None and (fitted := fits[key](one)) is not None}
        for value in values
    ]
