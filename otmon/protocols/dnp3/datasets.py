"""Data sets (IEEE 1815-2012, A.32-A.35: groups 85-88), and objects registered by vendors and applications."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from otmon.protocols.dnp3.attributes import TYPES, typed
from otmon.protocols.dnp3.readers import Reader, fixed, lengthed, shown, tailed
from otmon.text import safe_text

DESCRIPTOR_CODES: Final = {
    1: "id",
    2: "uuid",
    3: "namespace",
    4: "name",
    5: "data_element",
    6: "prototype",
    7: "control_value",
    8: "control_status",
}
_TEXTS: Final = (3, 4, 5, 7, 8)


def _elements(raw: bytes, element: Callable[[bytes], dict[str, Any] | None]) -> list[dict[str, Any]] | None:
    """Every element, or None if one of them is too short."""
    made = [None if octets is None else element(octets) for octets in lengthed(raw)]
    return None if None in made else [fields for fields in made if fields is not None]


def _descriptor(raw: bytes) -> dict[str, Any] | None:
    """One element of a prototype or descriptor: what it describes, its type, its longest value, what completes it."""
    if len(raw) < 3:
        return None
    code, kind, longest = raw[:3]
    value = typed(2 if code == 1 else 1 if code in _TEXTS else 5, raw[3:])
    return {
        "descriptor": code,
        "descriptor_name": DESCRIPTOR_CODES.get(code, "reserved"),
        "type": kind,
        "type_name": TYPES.get(kind, "reserved"),
        "max_bytes": longest,
        "value": value,
    }


def _described(raw: bytes) -> dict[str, Any] | None:
    elements = _elements(raw, _descriptor)
    return None if elements is None else {"elements": elements}


def _unsigned(raw: bytes) -> Any:
    """A number of as many octets as its length says; in hex beyond eight, which JSON cannot carry."""
    return typed(2, raw)


def _identified(raw: bytes) -> tuple[Any, Iterator[bytes | None]] | None:
    """The data set's number, and the elements behind it."""
    elements = lengthed(raw)
    number = next(elements, None)
    return None if number is None else (_unsigned(number), elements)


def _point_indexes(raw: bytes) -> dict[str, Any] | None:
    """Which point each element stands for: its group and index."""
    head = _identified(raw)
    if head is None:
        return None
    points = []
    for octets in head[1]:
        if not octets:
            return None
        points.append({"group": octets[0], "index": _unsigned(octets[1:])})
    return {"data_set": head[0], "elements": points}


def _snapshot(raw: bytes) -> dict[str, Any] | None:
    """Values of a data set; only its descriptor knows their types."""
    head = _identified(raw)
    if head is None:
        return None
    time = next(head[1], None)
    values = list(head[1])
    if time is None or None in values:
        return None
    elements = [shown(octets) for octets in values if octets is not None]
    return {"data_set": head[0], "time_ms": _unsigned(time), "elements": elements}


def _private(raw: bytes) -> dict[str, Any] | None:
    """An object registered by a vendor: who, which, and its octets."""
    fields = _PRIVATE(raw)
    return fields and {"vendor_code": safe_text(raw[:4]), **{k: v for k, v in fields.items() if k != "vendor_code"}}


_PRIVATE: Final = tailed("4sHH", "vendor_code", "object_id", "data_bytes", tails={"data": False})

DATA_SETS: Final[dict[tuple[int, int], Reader]] = {
    (83, 1): _private,
    (85, 1): _described,
    (86, 1): _described,
    (86, 3): _point_indexes,
    (87, 1): _snapshot,
    (88, 1): _snapshot,
    (90, 1): fixed("", rest="application", text=True),
}
