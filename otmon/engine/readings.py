"""The requests of another reading of a stream: bytes that came again with another content, or without urgent data."""

from collections.abc import Iterator
from typing import Any, Final

from otmon.model import Malformed, Message
from otmon.wire import columns as c
from otmon.wire.contract import (
    UNWRAP_BUILT,
    UNWRAP_DROPPED,
    UNWRAP_KEPT,
    UNWRAP_MORE,
    UNWRAP_STATUS,
    UNWRAP_WHOLE,
    Protocol,
)

CONFLICT: Final = "overlap_conflict"
URGENT: Final = "urgent_data"
FRAGMENTS: Final = "fragment_conflict"
ANOTHER_READING: Final = "another_reading"
"""Flag of an alert on what a stream says in another reading than the one that was decoded."""
SAID: Final[dict[int, tuple[str, str]]] = {
    c.WHY_EITHER: (CONFLICT, "checksums_right"),
    c.WHY_FIRST_WRONG: (CONFLICT, "first_checksum_wrong"),
    c.WHY_LATER_WRONG: (CONFLICT, "later_checksum_wrong"),
    c.WHY_UNSURE: (CONFLICT, "checksums_unsure"),
    c.WHY_URGENT: (URGENT, "urgent"),
}
"""WHY_* of what is evidence by itself: the function of its alert, and the flag."""


def requests(data: Any, protocol: Protocol, first: int, count: int, scratch: Any) -> Iterator[Message]:
    """Those of a client of which some byte lies within data[first : first + count], as far as they are whole.

    `data` begins where a PDU does. `scratch`: room for a PDU of several units.
    """
    at = begun = fill = 0
    while at < first + count and 0 < (size := int(protocol.frame(data, at, len(data)))) <= len(data) - at:
        status, x, y = protocol.unwrap(data, at, at + size, scratch, fill)
        if status & UNWRAP_DROPPED or not fill:
            begun = at
        kept, dropped, status = status >> UNWRAP_KEPT, status & UNWRAP_DROPPED, status & UNWRAP_STATUS
        at += size
        if status == UNWRAP_MORE:
            fill = y
        elif status == UNWRAP_BUILT or dropped:
            fill = 0 if not kept else x if status == UNWRAP_BUILT else y
        source = data if status == UNWRAP_WHOLE else scratch if status == UNWRAP_BUILT else None
        if source is None or at <= first or begun >= first + count:
            continue
        try:
            message = protocol.decode(bytes(source[x:y]), True, None)
        except Malformed:
            continue
        if message.kind == "request":
            yield message
