"""What pydantic finds wrong with a document, in the words of people who write YAML, with its place."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

import otmon
from otmon.policy.errors import Path, PolicyError, Problem, did_you_mean, quoted
from otmon.policy.reader import Document
from otmon.text import safe_text

_EXPECTED: Final = {
    "dict_type": "a mapping (`key: value` lines)",
    "model_type": "a mapping (`key: value` lines)",
    "list_type": "a list",
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}
"""By pydantic's types of errors."""


def explain(
    document: Document,
    error: ValidationError,
    keys: Callable[[Path], Sequence[str]],
    missing: Mapping[str, str],
) -> list[Problem]:
    """Every problem. `keys`: what the mapping at a path may hold; `missing`: what to write where a key is missing."""
    return [_problem(document, dict(detail), keys, missing) for detail in error.errors(include_url=False)]


def refuse_newer(document: Document, path: str, key: str, what: str) -> None:
    """PolicyError if the file says that it is of a later format: what else is in it may be right there."""
    version = document.data.get(key)
    if isinstance(version, int) and version > 1:
        wrong = f"format {quoted(version)[1:-1]} of a {what}: this otmon {otmon.__version__} reads format 1"
        raise PolicyError(path, [document.problem((key,), wrong, "use the otmon that wrote it, or a later one")])


def _problem(
    document: Document, detail: dict[str, Any], keys: Callable[[Path], Sequence[str]], missing: Mapping[str, str]
) -> Problem:
    kind, context = detail["type"], detail.get("ctx") or {}
    at: Path = tuple(part for part in detail["loc"] if part != "[key]")
    if kind == "policy":
        return document.problem(at, context["what"], context["right"])
    if kind == "extra_forbidden":
        return document.problem(at, f"unknown key {quoted(at[-1])}", did_you_mean(str(at[-1]), keys(at[:-1])))
    if kind == "missing":
        return document.problem(at, "missing", missing.get(str(at[-1]), "add it"))
    if kind in ("literal_error", "enum"):
        given = quoted(detail["input"])
        known = [word.strip(" '") for word in context["expected"].replace(" or ", ", ").split(",")]
        return document.problem(at, f"{given} is not known here", did_you_mean(str(detail["input"]), known))
    if kind in _EXPECTED:
        return document.problem(at, f"{_shown(detail['input'])} is not {_EXPECTED[kind]}", f"write {_EXPECTED[kind]}")
    return document.problem(at, f"{_shown(detail['input'])}: {safe_text(detail['msg'])}", "")


def _shown(value: object) -> str:
    return {dict: "a mapping", list: "a list", type(None): "nothing"}.get(type(value)) or quoted(value)
