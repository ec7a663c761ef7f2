"""Names, groups and implications of functions: what a row permits besides what it names."""

import re
from collections.abc import Collection
from functools import cache
from importlib import import_module
from typing import Any, Final, NamedTuple

from otmon.model import Access, Function, OperationKey

REGISTERED_PORTS: Final = {"modbus": 502, "dnp3": 20000, "s7comm": 102}
TRANSPORTS: Final = {"modbus": ("tcp", "udp"), "dnp3": ("tcp", "udp"), "s7comm": ("tcp",)}

PLAIN_FUNCTIONS: Final = frozenset({"connect", "scan"})
"""Functions of tcp, udp, icmp and ip."""


Triple = tuple[int | None, str, Access]
"""What an operation says of its function: code, name, access class."""


class Implication(NamedTuple):
    """A row that permits one of these functions also permits the others, whatever its targets."""

    named: tuple[Function, ...]
    """Empty: any function."""
    codes: tuple[int, ...]
    also: frozenset[str]


IMPLIED: Final[dict[str, tuple[Implication, ...]]] = {
    "dnp3": (
        Implication((), (), frozenset({"confirm", "response"})),
        Implication(
            (Function("read", "read"), Function("enable_unsolicited", "write")),
            (1, 20),
            frozenset({"unsolicited_response"}),
        ),
    ),
    "s7comm": (Implication((), (), frozenset({"setup_communication", "acknowledgement"})),),
}
"""What any conversation of a protocol contains, so that no row need name it. docs/policy.md has this table."""


def is_implied(protocol: str, function: str | int, others: Collection[str | int]) -> bool:
    """A row of some of the other functions permits it too, whatever its targets."""
    always = {name for rule in IMPLIED.get(protocol, ()) if not rule.named for name in rule.also}
    for rule in IMPLIED.get(protocol, ()):
        named = [name for name in others if name not in always]
        if rule.named:
            named = [name for name in named if name in rule.codes or any(name == known.name for known in rule.named)]
        if function in rule.also and named and function not in named:
            return True
    return False


LEARNABLE: Final = frozenset({"select", "operate", "direct_operate", "direct_operate_no_ack"})
"""DNP3's ordinary outputs: they are to it what write_single_coil is to Modbus."""
REASONS: Final = {
    "program": "it reads or changes the program or firmware of the device",
    "control": "it stops, starts, restarts or forces the device",
    "configuration": "it changes how the device is set up",
    "time": "it sets the clock of the device, which was not seen to ask for the time",
    "scan": "it is a port scan",
    "scanner": "it comes from a host that was scanning",
    "conflict": "it sets something, and bytes of its connection came twice with another content",
    "few": "it was seen to go well fewer times than learning asks for",
    "removed": "learning had permitted it, and a person took that out of the policy",
    "window": "the policy permits it at other times only",
    "late": "it was first seen after learning had ended",
}
"""Why learning does not permit an operation: what stands under `review` in a learned policy, and in its alerts."""
_CONFIGURING: Final = frozenset(
    {("modbus", "write_file_record"), ("dnp3", "assign_class"), ("dnp3", "write", "g0"), ("dnp3", "write", "g34")}
)
"""Modbus file records hold recipes and parameters; DNP3 event classes, device attributes and analog deadbands."""
_CLOCK: Final = frozenset({("s7comm", "set_clock"), ("s7comm", "set_clock_following"), ("dnp3", "write", "g50")})

TWO_SIDED: Final = frozenset({"read_write_multiple_registers"})
"""Functions with a reading and a writing half: a learned row says which it permits."""

_UNTABLED: Final[frozenset[str]] = frozenset({"pbc_bsend"})
"""Names that a protocol gives without a table."""
_NUMBERED: Final = re.compile(r"(function|plus|userdata|umas)_(0x[0-9a-f]+|[0-9_]+)\Z")


@cache
def _tables(protocol: str) -> Any:
    return import_module(f"otmon.protocols.{protocol}.tables")


@cache
def known_functions(protocol: str) -> frozenset[str]:
    """Every name in the protocol's tables."""
    if protocol not in REGISTERED_PORTS:
        return PLAIN_FUNCTIONS
    untabled = _UNTABLED if protocol == "s7comm" else frozenset[str]()
    return untabled | {function.name for function in _functions_of(protocol)}


def _functions_of(protocol: str) -> set[Function]:
    values = vars(_tables(protocol)).values()
    items = (item for value in values for item in (value.values() if isinstance(value, dict) else (value,)))
    return {item for item in items if isinstance(item, Function)}


@cache
def groups(protocol: str) -> dict[str, tuple[str, ...]]:
    """Names that stand for several functions."""
    if protocol not in REGISTERED_PORTS:
        return {}
    found: dict[str, tuple[str, ...]] = getattr(_tables(protocol), "FUNCTION_GROUPS", {})
    return found


@cache
def triples(protocol: str) -> frozenset[Triple]:
    """Every (function code, name, access class) that operations of the protocol have; codes without a name included.

    S7 userdata and S7comm-plus functions that have numbers instead of names are not listed: there are thousands.
    """
    if protocol not in REGISTERED_PORTS:
        return frozenset((None, name, "connect") for name in PLAIN_FUNCTIONS)
    tables = _tables(protocol)
    if protocol == "s7comm":
        jobs = {(code, *tables.job_function(code)) for code in range(256)}
        services = {*tables.PI_SERVICES.values(), tables.WARM_START, tables.COLD_START}
        jobs |= {(tables.PI_SERVICE, *function) for function in services}
        others = _functions_of(protocol) - services - set(tables.FUNCTIONS.values())
        return frozenset(jobs | {(None, *function) for function in others} | {(None, "pbc_bsend", "write")})
    out = {(code, *tables.function_of(code)) for code in range(256)}
    if protocol == "modbus":
        out |= {(8, *function) for function in (*tables.DIAGNOSTICS.values(), tables.RESERVED_DIAGNOSTIC)}
        out |= {(43, *function) for function in tables.INTERFACES.values()}
        out |= {(tables.UMAS, *tables.function_of(tables.UMAS, code)) for code in range(256)}
        out |= {(code, name, "read") for code, name, _ in out if name in TWO_SIDED}
    return frozenset(out)


def is_function(protocol: str, name: str) -> bool:
    """The protocol's tables can give this name to an operation; codes without a name of their own included."""
    if name in known_functions(protocol):
        return True
    if protocol not in REGISTERED_PORTS:
        return False
    if _NUMBERED.match(name):
        return True
    group, _, number = name.rpartition("_")
    return number.isdigit() and group in getattr(_tables(protocol), "USERDATA_GROUPS", {}).values()


def reason_not_learned(key: OperationKey, asked: bool = False) -> str | None:
    """Why a person must permit this operation, None for what learning may permit.

    `asked`: the device had asked for the time (DNP3 IIN1.4, NEED_TIME).
    """
    if key.function == "scan":
        return REASONS["scan"]
    names = {(key.protocol, key.function), (key.protocol, key.function, key.target.space if key.target else "")}
    if names & _CLOCK:
        return None if asked else REASONS["time"]
    if names & _CONFIGURING:
        return REASONS["configuration"]
    if key.access == "control" and key.protocol == "dnp3" and key.function in LEARNABLE:
        return None
    return REASONS.get(key.access)
