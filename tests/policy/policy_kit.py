"""Policies from text, and operations in one line."""

from textwrap import dedent

from otmon.model import OperationKey, Target
from otmon.policy.judge import Policy
from otmon.policy.load import load_bytes
from otmon.policy.replay import Seen, Sightings

NOON = 1_764_590_400 * 10**9
"""2025-12-01T12:00:00Z, a Monday."""
PORTS = {"modbus": 502, "dnp3": 20000, "s7comm": 102}


def policy(text: str) -> Policy:
    return load_bytes(dedent(text).encode(), "policy.yaml")


def op(client, server, protocol="modbus", function="read_holding_registers", access="read", **more) -> OperationKey:
    fields = {
        "realm": "default",
        "transport": protocol if protocol in ("tcp", "udp", "icmp", "ip") else "tcp",
        "port": PORTS.get(protocol),
        "unit": 1 if protocol == "modbus" else (1, 10) if protocol == "dnp3" else None,
        "function_code": None,
        "target": None,
        **more,
    }
    return OperationKey(client=client, server=server, protocol=protocol, function=function, access=access, **fields)


def connect(client, server, protocol="tcp", port=None, function="connect") -> OperationKey:
    return op(client, server, protocol, function, "connect", port=port)


def registers(start, end=None, space="holding_register") -> Target:
    return Target(space, start, start if end is None else end)


def sightings(*seen: Seen) -> Sightings:
    """As the site database gives them."""
    rows = []
    for target, *figures in seen:
        space, start, end, name = target or ("", None, None, None)
        place = (space, *(-1 if part is None else part for part in (start, end, name)))
        rows.append((*place, *figures, "client"))
    return Sightings(rows)
