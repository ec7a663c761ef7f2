"""Roles from behaviour: what a host serves and what it asks of others."""

from dataclasses import dataclass, field
from typing import Final

from otmon.model import OperationKey, OperationRecord
from otmon.site.evidence import Place

PLAIN: Final = frozenset({"tcp", "udp", "icmp", "ip"})
"""Operations of these are connections to a service, not requests of an OT protocol."""
SCADA_SERVERS: Final = 5
"""An operator panel talks to a machine's few controllers, a control centre to many."""
SESSION: Final = frozenset({"setup_communication"})
"""Opens an S7 session: everybody does, whatever for."""
OT_SERVER_ROLES: Final = {"dnp3": "rtu"}
"""What serves a protocol; anything else is a PLC."""


@dataclass(slots=True)
class Behaviour:
    """What one host did, from its operations."""

    serves: set[str] = field(default_factory=set)
    """OT protocols."""
    polls: set[Place] = field(default_factory=set)
    """Servers it reads from."""
    writes: set[Place] = field(default_factory=set)
    """Servers it writes to or controls."""
    masters: bool = False
    """Is a DNP3 master."""
    programs: bool = False
    offers: bool = False
    """Accepts plain connections."""
    uses: bool = False
    """Makes plain connections."""


def _programs(key: OperationKey) -> bool:
    # A DNP3 or Modbus restart is an operator's command; PLC start and stop belong to the programming software.
    programmer = key.protocol == "s7comm" or key.function.startswith("umas")
    return key.access == "program" or (key.access == "control" and programmer)


def observe(seen: dict[Place, Behaviour], operation: OperationRecord) -> None:
    """Note an operation with both hosts that take part in it."""
    key, counts = operation.key, operation.counts
    server_place = key.realm, key.server
    client, server = (seen.setdefault(place, Behaviour()) for place in ((key.realm, key.client), server_place))
    answered = counts.accepted + counts.partial + counts.unseen > 0
    if key.protocol in PLAIN:
        client.uses |= answered
        server.offers |= answered
        return
    if answered or counts.rejected:
        server.serves.add(key.protocol)
    client.masters |= key.protocol == "dnp3"
    if key.function in SESSION:
        return
    if key.access == "read":
        client.polls.add(server_place)
    elif operation.verdict == "deny":
        # A forbidden write makes nobody an operator panel, a forbidden stop no engineering station: it is an alert.
        return
    elif key.access in ("write", "control"):
        client.writes.add(server_place)
    client.programs |= _programs(key)


def roles_of(behaviour: Behaviour) -> set[str]:
    """Role names: plc, rtu, scada, hmi, historian, engineering; server or workstation for hosts without OT."""
    roles = {OT_SERVER_ROLES.get(protocol, "plc") for protocol in behaviour.serves}
    if behaviour.programs:
        roles.add("engineering")
    servers = behaviour.polls | behaviour.writes
    if behaviour.masters or (behaviour.writes and len(servers) >= SCADA_SERVERS):
        roles.add("scada")
    elif len(behaviour.polls) > 1 and not behaviour.writes:
        roles.add("historian")
    elif servers and not behaviour.programs:
        roles.add("hmi")
    if not roles and behaviour.offers:
        roles.add("server")
    elif not roles and behaviour.uses:
        roles.add("workstation")
    return roles
