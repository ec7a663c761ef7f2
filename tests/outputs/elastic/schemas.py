"""Records made from their JSON Schemas: whatever a schema allows, its optional parts and largest numbers included."""

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

RECORDS = Path(__file__).parents[3] / "docs" / "records"
ADDRESSES = ("10.0.2.11", "10.0.1.13", "fe80::1", "00:80:f4:0e:11:22", "*", "fe80::1%eth0", "", "999.1.1.1")
WORDS = ("a", "", "x" * 40_000, "漢" * 12_000, "🛢" * 600, "<b>", "tcp", "ip", "modbus", "T0836", "scan", *ADDRESSES)
TEXTS = st.sampled_from(WORDS) | st.text(max_size=5)
NUMBERS = st.sampled_from([0, 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**400]) | st.integers(0, 70_000)


def schema(kind: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads((RECORDS / f"{kind}.schema.json").read_text())
    return made


def example(kind: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads((RECORDS / f"{kind}.example.json").read_text())
    return made


def records(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    whole = schema(kind)
    return made_of(whole, whole)


def made_of(node: dict[str, Any], whole: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What the project's schemas use of JSON Schema, and no more."""
    if "$ref" in node:
        return made_of(whole["$defs"][node["$ref"].rpartition("/")[2]], whole)
    if "const" in node:
        return st.just(node["const"])
    if "enum" in node:
        return st.sampled_from(node["enum"])
    if "oneOf" in node and "type" not in node:
        return st.one_of([made_of(one, whole) for one in node["oneOf"]])
    types = node["type"] if isinstance(node["type"], list) else [node["type"]]
    return st.one_of([MAKERS[name](node, whole) for name in types])


def _object(node: dict[str, Any], whole: dict[str, Any]) -> st.SearchStrategy[Any]:
    known = {name: made_of(one, whole) for name, one in node.get("properties", {}).items()}
    needed = {name: known.pop(name) for name in node.get("required", ())}
    more = node.get("additionalProperties")
    fixed = st.fixed_dictionaries(needed, optional=known)
    if not isinstance(more, dict):
        return fixed
    pattern = node.get("propertyNames", {}).get("pattern")
    names = st.from_regex(pattern, fullmatch=True) if pattern else st.sampled_from(["vendor", "model", "ot", "a.b", ""])
    return st.dictionaries(names, made_of(more, whole), max_size=3)


def _array(node: dict[str, Any], whole: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "prefixItems" in node:
        return st.tuples(*(made_of(one, whole) for one in node["prefixItems"])).map(list)
    most = node.get("maxItems")
    most = node.get("maxItems")
    few = st.lists(made_of(node["items"], whole), min_size=node.get("minItems", 0), max_size=min(3, most or 3))
    return few if most is not None else few | few.map(lambda values: values * 200)


def _string(node: dict[str, Any], whole: dict[str, Any]) -> st.SearchStrategy[Any]:
    return st.from_regex(node["pattern"], fullmatch=True) if "pattern" in node else TEXTS


def _integer(node: dict[str, Any], whole: dict[str, Any]) -> st.SearchStrategy[Any]:
    low, high = node.get("minimum", -(2**70)), node.get("maximum", 10**500)
    signed = NUMBERS if low >= 0 else NUMBERS | NUMBERS.map(lambda number: -number)
    return signed.map(lambda number: max(low, min(high, number)))


MAKERS = {
    "array": _array,
    "boolean": lambda node, whole: st.booleans(),
    "integer": _integer,
    "null": lambda node, whole: st.none(),
    "number": lambda node, whole: st.floats() | NUMBERS,
    "object": _object,
    "string": _string,
}
