"""Targets as an operator names them: `holding register 40046 (PDU address 45)`, `DB10.DBB0-255`, `g12 index 3`."""

import re
from typing import Final

from otmon.model import Target
from otmon.text import safe_text

MODBUS_SPACES: Final[dict[str, tuple[str, str]]] = {
    "coil": ("coil", "0"),
    "discrete_input": ("discrete input", "1"),
    "input_register": ("input register", "3"),
    "holding_register": ("holding register", "4"),
}
"""Space -> (name, first digit of the data model's numbers, which count from 1: Modicon PI-MBUS-300)."""
FIVE_DIGIT_LAST: Final = 9_999
"""Numbers beyond have six digits: 49999 is followed by 410000."""
S7_BYTES: Final[dict[str, str]] = {
    "M": "MB",
    "I": "IB",
    "E": "IB",
    "Q": "QB",
    "A": "QB",
    "P": "PB",
    "L": "LB",
    "V": "VB",
}
"""Areas addressed by byte."""
PORT_SPACES: Final = frozenset({"tcp", "udp", "port", "tcp_port", "udp_port"})


def _interval(start: int, end: int | None, width: int = 0, prefix: str = "") -> str:
    first = f"{prefix}{start:0{width}d}"
    return first if end is None or end == start else f"{first}-{prefix}{end:0{width}d}"


def _counted(noun: str, start: int, end: int | None, plural: str | None = None) -> str:
    one = end is None or end == start
    return f"{noun if one else plural or noun + 's'} {_interval(start, end)}"


def _modbus(target: Target) -> str:
    noun, digit = MODBUS_SPACES[target.space]
    if target.start is None:
        return f"{noun}s"
    end = target.start if target.end is None else target.end
    one = end == target.start
    width = 4 if end < FIVE_DIGIT_LAST else 5
    numbers = _interval(target.start + 1, end + 1, width, digit)
    return f"{noun}{'' if one else 's'} {numbers} ({_counted('PDU address', target.start, end, 'PDU addresses')})"


def place(target: Target) -> str:
    """Words for one target; safe text whatever the target holds."""
    space, name = safe_text(target.space, 64), safe_text(target.name, 64) if target.name else ""
    if target.space in MODBUS_SPACES:
        words = _modbus(target)
    elif re.fullmatch(r"(DB|DI)\d+", target.space):
        words = space if target.start is None else f"{space}.DBB{_interval(target.start, target.end)}"
    elif target.space in S7_BYTES:
        words = space if target.start is None else f"{S7_BYTES[target.space]}{_interval(target.start, target.end)}"
    elif target.space in PORT_SPACES:
        words = "ports" if target.start is None else _counted("port", target.start, target.end)
    elif re.fullmatch(r"g\d+(v\d+)?", target.space):
        words = space if target.start is None else f"{space} {_counted('index', target.start, target.end, 'indexes')}"
    elif target.space == "szl":
        words = "SZL" if target.start is None else f"SZL {target.start:#06x}"
    else:
        words = space.replace("_", " ")
        if name:
            return f"{words} {name}"
        return words if target.start is None else f"{words} {_interval(target.start, target.end)}"
    return f"{words} ({name})" if name else words
