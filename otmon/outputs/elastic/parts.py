"""What documents of several streams share: times, the two sides of a conversation, targets, the network."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from otmon.outputs.elastic.communityid import ICMP, ICMP6, TCP, UDP, community_id
from otmon.outputs.elastic.fields import INT64, ip_text
from otmon.outputs.elastic.rows_otmon import OUTCOMES

Flat = dict[str, Any]
"""A document as dotted names and values, None where there is none."""

MANY: Final = "*"
"""An address that stands for no single one."""
NUMBERS: Final = {
    **{(name, version): number for name, number in (("tcp", TCP), ("udp", UDP)) for version in ("ipv4", "ipv6")},
    ("icmp", "ipv4"): ICMP,
    ("icmp", "ipv6"): ICMP6,
}
"""(transport, version of IP) -> IP protocol number."""
TRANSPORTS: Final = {TCP: "tcp", UDP: "udp", ICMP: "icmp", ICMP6: "ipv6-icmp"}
"""As IANA writes them, which ECS asks for."""
_WORST_FIRST: Final = ("accepted", "partial", "unseen", "unanswered", "pending", "rejected")
_ECS_OUTCOMES: Final = {"accepted": "success", "rejected": "failure"}


LAST_S: Final = INT64 // 1_000_000_000


def moment(ts_ns: int) -> str:
    """ISO 8601 with all nine digits; the year has four, whatever 64 bits hold."""
    seconds, rest = divmod(ts_ns, 1_000_000_000)
    return f"{_second(seconds)}.{rest:09d}Z"


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(max(0, min(seconds, LAST_S)), UTC).isoformat()[:19]


def span(first_ts_ns: int, last_ts_ns: int) -> Flat:
    """From when to when; a begin of 0 is not known."""
    if not first_ts_ns:
        return {"event.end": moment(last_ts_ns), "otmon.last_ts_ns": last_ts_ns}
    return {
        "event.start": moment(first_ts_ns),
        "event.end": moment(last_ts_ns),
        "event.duration": max(0, last_ts_ns - first_ts_ns),
        "otmon.first_ts_ns": first_ts_ns,
        "otmon.last_ts_ns": last_ts_ns,
    }


def mac_text(mac: str) -> str:
    """As ECS writes it (RFC 7042): capital letters and hyphens."""
    return mac.upper().replace(":", "-")


_MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def sides(client: str, server: str, client_port: int | None = None, server_port: int | None = None) -> Flat:
    """Source and destination; nothing for an address that stands for many."""
    return {**_side(*_SOURCE, client, client_port), **_side(*_DESTINATION, server, server_port)}


_SOURCE: Final = ("source.address", "source.ip", "source.mac", "source.port")
_DESTINATION: Final = ("destination.address", "destination.ip", "destination.mac", "destination.port")


def _side(address: str, ip: str, mac: str, port: str, value: str, number: int | None) -> Flat:
    if value == MANY:
        return {}
    known = ip_text(value)
    if known is not None:
        return {address: value, ip: known, port: number}
    return {address: value, mac: mac_text(value) if _MAC.fullmatch(value) else None}


def parties(client: dict[str, Any], server: dict[str, Any]) -> Flat:
    """What policy and inventory say of both sides (`party` in docs/records/alert.schema.json)."""
    return {
        "otmon.zone.source": client["zone"],
        "otmon.zone.destination": server["zone"],
        "otmon.name.source": client["name"],
        "otmon.name.destination": server["name"],
        "otmon.role.source": client["roles"],
        "otmon.role.destination": server["roles"],
        "otmon.asset.source": client["asset"],
        "otmon.asset.destination": server["asset"],
    }


def related(addresses: list[str], names: list[str | None]) -> Flat:
    """Every address and name, once."""
    return {
        "related.ip": sorted({ip for address in addresses if (ip := ip_text(address)) is not None}),
        "related.hosts": sorted({name for name in names if name}),
    }


def network(operation: dict[str, Any], client_port: int | None = None, server_port: int | None = None) -> Flat:
    """Protocols from top to bottom, both sides, and the flow's name where its ports are known or it has none."""
    client, server, transport, port = (operation[name] for name in ("client", "server", "transport", "port"))
    version = ip_type(client, server)
    number = port if transport == "ip" else NUMBERS.get((transport, version or "ipv4"))
    ports = (client_port, port if server_port is None else server_port) if number in (TCP, UDP) else (None, None)
    flow = None if number is None or MANY in (client, server) else community_id(number, client, server, *ports)
    return {
        "network.protocol": operation["protocol"],
        "network.transport": None if number is None else TRANSPORTS.get(number),
        "network.type": version,
        "network.iana_number": number,
        "network.community_id": flow,
        **sides(client, server, *ports),
    }


def ip_type(client: str, server: str) -> str | None:
    """ipv4 or ipv6, by the first of the two that is an IP address."""
    ip = ip_text(client) or ip_text(server)
    return ip and ("ipv6" if ":" in ip else "ipv4")


def target_text(target: dict[str, Any] | None) -> str | None:
    """A target in words: `holding_register 0-9`, `block OB1`."""
    if target is None:
        return None
    start, end = target.get("start"), target.get("end")
    interval = None if start is None else str(start) if end in (start, None) else f"{start}-{end}"
    return " ".join(filter(None, (target["space"], interval, target.get("name"))))


def target(value: dict[str, Any] | None) -> Flat:
    """One target, its parts."""
    if value is None:
        return {}
    return {
        "otmon.operation.target.space": value["space"],
        "otmon.operation.target.start": value.get("start"),
        "otmon.operation.target.end": value.get("end"),
        "otmon.operation.target.name": value.get("name"),
    }


def unit(value: Any) -> Flat:
    """A Modbus unit, or the two link addresses of DNP3."""
    if isinstance(value, (list, tuple)):
        return {"otmon.operation.link_source": value[0], "otmon.operation.link_destination": value[1]}
    return {"otmon.operation.unit": value}


def what(operation: dict[str, Any]) -> Flat:
    """What is done, without to what."""
    return {
        "otmon.realm": operation["realm"],
        "otmon.operation.protocol": operation["protocol"],
        "otmon.operation.function": operation["function"],
        "otmon.operation.function_code": operation["function_code"],
        "otmon.operation.access": operation["access"],
        "otmon.operation.initiated_by": operation["initiated_by"],
        "otmon.operation.unit": operation.get("unit"),
        "otmon.operation.link_source": operation.get("link_source"),
        "otmon.operation.link_destination": operation.get("link_destination"),
    }


_OUTCOMES: Final = [(f"otmon.outcomes.{name}", name) for name in OUTCOMES]


def outcomes(counts: dict[str, Any]) -> Flat:
    """All counts, the worst outcome, and what ECS calls it."""
    worst = next((name for name in _WORST_FIRST if counts[name]), None)
    return {
        **{field: counts[name] for field, name in _OUTCOMES},
        "otmon.outcome": worst,
        "event.outcome": _ECS_OUTCOMES.get(worst or "", "unknown"),
    }
