"""Values of points: what responses and unsolicited responses show, what commands set."""

from collections.abc import Iterator
from typing import Any, Final

from otmon.model import Message, Target, Value
from otmon.protocols.dnp3.decode import written
from otmon.protocols.dnp3.tables import CONTROL_OPERATIONS

EVENT_OF: Final = {2: 1, 4: 3, 11: 10, 22: 20, 23: 21, 32: 30, 33: 31, 42: 40, 111: 110}
"""Group of an event -> group of the point that changed: it is one point, however it is told."""
GROUPS: Final = frozenset({1, 3, 10, 20, 21, 30, 31, 34, 40, 101, 102, 110})
"""What a point is, or how it is set up; not clocks, files, attributes, echoes of commands."""
SELECT: Final = 3
"""Arms a command, sets nothing."""


def points(message: Message) -> Iterator[Value]:
    """One for each point that has an index, in the order of the objects; of a control its operation, as text."""
    if message.kind in ("response", "unsolicited"):
        for header in message.body.get("objects", ()):
            group = EVENT_OF.get(header["group"], header["group"])
            if group in GROUPS:
                for index, value in _shown(header):
                    yield Value("read", Target(f"g{group}", index, index), value)
    elif message.function_code != SELECT:
        for op, value in written(message):
            if op.target is not None and op.target.start is not None:
                control = op.target.space == "g12"
                said = CONTROL_OPERATIONS.get(int(value), "reserved") if control else value
                yield Value("write", op.target, said)


def _shown(header: dict[str, Any]) -> Iterator[tuple[int, float | str]]:
    """(index, value) of each object of a header."""
    if "first" in header:
        yield from enumerate(header.get("values", ()), header["first"])
    for point in header.get("points", ()):
        value = point.get("value", point.get("text"))
        if "index" in point and value is not None:
            yield point["index"], value
