"""Values of registers and coils: what responses show, what requests set."""

from collections.abc import Iterator
from typing import Final

from otmon.model import Message, Value
from otmon.protocols.modbus.decode import written
from otmon.protocols.modbus.tables import LAST_ADDRESS, SPACES, span

SHOWING: Final = (1, 2, 3, 4, 23)
"""Functions whose response holds what was read."""


def points(message: Message) -> Iterator[Value]:
    """One for each register and coil. Of a masked write only one that leaves no bit as it is: else nobody knows."""
    body, code = message.body, message.function_code
    if message.kind == "response":
        # Values of another number than were asked for may stand for another range.
        fits = "byte_count_mismatch" not in message.flags
        if fits and code in SHOWING and "values" in body and "address" in body:
            first = body["address"]
            quantity = min(body["quantity"], LAST_ADDRESS + 1 - first)
            for place, value in enumerate(body["values"][:quantity], first):
                yield Value("read", span(SPACES[code], place, 1), value)
    elif "malformed" not in message.flags and (code != 22 or not body["and_mask"]):
        for op, value in written(message):
            if op.target is not None:
                yield Value("write", op.target, value)
