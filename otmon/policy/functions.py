"""Names, groups and implications of functions: what a row permits besides what it names."""

import re
from functools import cache
from importlib import import_module
from typing import Any, Final

from otmon.model import Function, OperationKey

REGISTERED_PORTS: Final = {"modbus": 502, "dnp3": 20000, "s7comm": 102}
TRANSPORTS: Final = {"modbus": ("tcp", "udp"), "dnp3": ("tcp", "udp"), "s7comm": ("tcp",)}

_ANY_FUNCTION: Final = frozenset({"*"})
IMPLIED: Final[dict[str, tuple[tuple[frozenset[str], frozenset[str]], ...]]] = {
    "modbus": (),
    "dnp3": (
        (_ANY_FUNCTION, frozenset({"confirm", "response"})),
        (frozenset({"read", "enable_unsolicited"}), frozenset({"unsolicited_response"})),
    ),
    "s7comm": ((_ANY_FUNCTION, frozenset({"setup_communication", "acknowledgement"})),),
}
"""(a row that permits one of these, also permits these), whatever its targets. `*`: any function."""

LEARNABLE: Final = frozenset({"select", "operate", "direct_operate", "direct_operate_no_response", "direct_operate_nr"})
"""DNP3's ordinary outputs: they are to it what write_single_coil is to Modbus."""
REASONS: Final = {
    "program": "it reads or changes the program or firmware of the device",
    "control": "it stops, starts, restarts or forces the device",
    "scan": "it is a port scan",
}
"""Why learning does not permit an operation."""

_NUMBERED: Final = re.compile(r"(function|plus|userdata)_(0x[0-9a-f]+|[0-9_]+)\Z")


@cache
def _tables(protocol: str) -> Any:
    return import_module(f"otmon.protocols.{protocol}.tables")


@cache
def known_functions(protocol: str) -> frozenset[str]:
    """Every name in the protocol's tables."""
    names: set[str] = set()
    for value in vars(_tables(protocol)).values():
        for item in value.values() if isinstance(value, dict) else (value,):
            if isinstance(item, Function):
                names.add(item.name)
    return frozenset(names)


@cache
def groups(protocol: str) -> dict[str, tuple[str, ...]]:
    """Names that stand for several functions."""
    found: dict[str, tuple[str, ...]] = getattr(_tables(protocol), "FUNCTION_GROUPS", {})
    return found


def is_function(protocol: str, name: str) -> bool:
    """The protocol's tables can give this name to an operation; codes without a name of their own included."""
    if name in known_functions(protocol) or _NUMBERED.match(name):
        return True
    group, _, number = name.rpartition("_")
    return number.isdigit() and group in getattr(_tables(protocol), "USERDATA_GROUPS", {}).values()


def reason_not_learned(key: OperationKey) -> str | None:
    """Why a person must permit this operation, None for what learning may permit."""
    if key.function == "scan":
        return REASONS["scan"]
    if key.access == "control" and key.protocol == "dnp3" and key.function in LEARNABLE:
        return None
    return REASONS.get(key.access)
