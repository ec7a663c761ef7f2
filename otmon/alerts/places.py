"""Targets as an operator names them: `holding register 40046 (PDU address 45)`, `DB10.DBB0-255`, `g12 index 3`."""

import re
from typing import Final

from otmon.model import UNPARSED, Target
from otmon.policy.references import MODBUS_PREFIX, reference
from otmon.text import safe_text
from otmon.wire.linknames import IP_PROTOCOLS

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


def _interval(start: int, end: int | None) -> str:
    return str(start) if end is None or end == start else f"{start}-{end}"


def _counted(noun: str, start: int, end: int | None, plural: str) -> str:
    return f"{noun if end is None or end == start else plural} {_interval(start, end)}"


def _modbus(target: Target) -> str:
    noun = target.space.replace("_", " ")
    if target.start is None:
        return f"{noun}s"
    numbers = reference(target.space, target.start)
    if target.end is not None and target.end != target.start:
        noun, numbers = f"{noun}s", f"{numbers}-{reference(target.space, target.end)}"
    return f"{noun} {numbers} ({_counted('PDU address', target.start, target.end, 'PDU addresses')})"


def place(target: Target) -> str:
    """Words for one target; safe text whatever the target holds."""
    space, name = safe_text(target.space, 64), safe_text(target.name, 64) if target.name else ""
    if target.space in MODBUS_PREFIX:
        words = _modbus(target)
    elif re.fullmatch(r"(DB|DI)\d+", target.space):
        words = space if target.start is None else f"{space}.DBB{_interval(target.start, target.end)}"
    elif target.space in S7_BYTES:
        words = space if target.start is None else f"{S7_BYTES[target.space]}{_interval(target.start, target.end)}"
    elif target.space in PORT_SPACES:
        words = "ports" if target.start is None else _counted("port", target.start, target.end, "ports")
    elif target.space == "ip_protocol" and target.start is not None:
        words = _counted("IP protocol", target.start, target.end, "IP protocols")
        name = IP_PROTOCOLS.get(target.start, "")
    elif re.fullmatch(r"g\d+(v\d+)?", target.space):
        words = space if target.start is None else f"{space} {_counted('index', target.start, target.end, 'indexes')}"
    elif target.space == UNPARSED.space:
        words = "a place that could not be read"
    elif target.space == "szl":
        words = "SZL" if target.start is None else f"SZL {target.start:#06x}"
    else:
        words = space.replace("_", " ")
        if name:
            return f"{words} {name}"
        return words if target.start is None else f"{words} {_interval(target.start, target.end)}"
    return f"{words} ({name})" if name else words
