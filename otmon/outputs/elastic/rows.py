"""What a row of the table of fields is, and the sets of streams that rows name."""

from typing import Any, Final, NamedTuple

from otmon.outputs.sink import STREAMS

ALERT: Final = ("alert",)
ASSET: Final = ("asset",)
OPERATION: Final = ("operation",)
AUDIT: Final = ("audit",)
SENSOR: Final = ("sensor",)
POINT: Final = ("point",)
EVERY: Final = STREAMS
PAIR: Final = ("alert", "operation", "point")
"""Between a client and a server."""
COUNTED: Final = ("alert", "operation")
"""With outcomes, and judged."""
LASTING: Final = ("alert", "asset", "operation", "sensor")
"""From one time to another."""


class Row(NamedTuple):
    """One field."""

    name: str
    type: str
    streams: tuple[str, ...]
    about: str
    example: Any
