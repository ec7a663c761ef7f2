"""Devices behind one address: Modbus units and DNP3 outstations that say they are not each other.

Only different identities are evidence. Native devices answer to 0, 255 and 1 alike, and a sweep over 247 units of one
device must not create 247 assets.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from otmon.limits import MAX_ENDPOINTS_PER_ASSET
from otmon.model import Fact, OperationRecord, Unit
from otmon.site.evidence import Place
from otmon.site.roles import PLAIN

ServedUnit = tuple[str, int]
"""(protocol, Modbus unit or DNP3 link address)."""
Served = tuple[str, int | None]
"""The same; None: of a protocol without (S7)."""
NO_DEVICE: Final = 0xFFF0
"""DNP3 link addresses from here on are no device's: reserved, self-address, broadcasts (IEEE 1815-2012, clause 9)."""
Span = tuple[int, int]
"""First and last time, ns."""


def server_unit(unit: Unit) -> int | None:
    """The server's own sub-address: of DNP3's pair (master, outstation) the outstation."""
    return unit[1] if isinstance(unit, tuple) else unit


def note_unit(found: dict[Place, dict[Served, Span]], operation: OperationRecord) -> None:
    """Note the protocol and sub-address a server answered for (or, seen from one side only, may have), and when."""
    key, counts = operation.key, operation.counts
    unit = server_unit(key.unit)
    if isinstance(key.unit, tuple) and key.unit[1] >= NO_DEVICE:
        return
    if key.protocol not in PLAIN and counts.accepted + counts.partial + counts.unseen:
        units, served = found.setdefault((key.realm, key.server), {}), (key.protocol, unit)
        first, last = units.get(served, (operation.first_ts_ns, operation.last_ts_ns))
        units[served] = min(first, operation.first_ts_ns), max(last, operation.last_ts_ns)


def devices_behind(facts: Sequence[Fact]) -> list[list[ServedUnit]]:
    """Units of each device behind one address; empty unless at least two devices contradict each other.

    Two units are different devices if they give different values for the same attribute from the same sort of source,
    which its confidence tells apart (a product name and a report of the server id differ on one device). `facts` are of
    one address.
    """
    said: dict[ServedUnit, dict[tuple[str, float], set[str]]] = defaultdict(lambda: defaultdict(set))
    for fact in facts:
        unit = server_unit(fact.unit)
        if unit is not None:
            said[fact.protocol, unit][fact.name, fact.confidence].add(fact.value)
    groups: list[tuple[list[ServedUnit], dict[tuple[str, float], set[str]]]] = []
    for served in sorted(said)[:MAX_ENDPOINTS_PER_ASSET]:
        identity = said[served]
        for units, known in groups:
            if units[0][0] == served[0] and all(
                known[name] & identity[name] for name in known.keys() & identity.keys()
            ):
                units.append(served)
                for name, values in identity.items():
                    known.setdefault(name, set()).update(values)
                break
        else:
            groups.append(([served], {name: set(values) for name, values in identity.items()}))
    by_protocol: dict[str, int] = defaultdict(int)
    for units, _ in groups:
        by_protocol[units[0][0]] += 1
    return [units for units, _ in groups if by_protocol[units[0][0]] > 1]
