"""Assets: devices as bindings over endpoints, each attribute with its evidence (DESIGN 1 and 5)."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

from otmon.limits import MAX_ASSETS, MAX_ENDPOINTS_PER_ASSET
from otmon.model import NEED_TIME, SESSION, Fact, FrameRef, Habit, OperationKey
from otmon.site.evidence import Macs, Place, address_order, is_host, parsed, read_macs
from otmon.site.habits import ESTABLISHED
from otmon.site.oui import vendor_of
from otmon.site.part import Part, outline
from otmon.site.roles import OT_SERVER_ROLES, PLAIN, Behaviour, observe, roles_of
from otmon.site.units import NO_DEVICE, Served, ServedUnit, Span, devices_behind, note_unit, server_unit

VENDOR_PROVEN = 0.6
"""Confidence of a vendor by a MAC that ARP or ND proved; the network card's maker need not be the device's."""
VENDOR_HINTED = 0.3
HABIT_AT_MOST = 0.8
"""A signature is of a kind of machine or program, not of one."""


ENGINEERING: Final = (SESSION, "engineering")
"""A client that says so while it connects is no operator panel, though all that follows is encrypted."""


class Places(Protocol):
    """What a site asks of a policy (otmon.policy, which this stage does not import)."""

    site: str

    def zone_of(self, realm: str, address: str) -> str:
        """Innermost zone, `outside` if none."""

    def level_of(self, realm: str, address: str) -> float | None:
        """Purdue level."""

    def asset_name(self, realm: str, address: str) -> str | None:
        """The declared asset's name."""

    def roles_of(self, realm: str, address: str) -> Iterable[str]:
        """Declared roles."""

    def monitored(self, realm: str, address: str) -> bool:
        """A monitored zone holds it."""

    def is_chatter(self, op: OperationKey) -> bool:
        """Broadcast, multicast or discovery."""


class Endpoint(NamedTuple):
    """What can be spoken to: an address; with `protocol` and `unit` a Modbus unit or DNP3 link address there.

    With `protocol` alone: it answered in a protocol that has none (S7).
    """

    realm: str
    address: str
    protocol: str | None = None
    unit: int | None = None


class Attribute(NamedTuple):
    """One thing known of a device: who said it, in which frame, how sure."""

    value: str
    protocol: str
    frame: FrameRef
    ts_ns: int
    confidence: float

    def as_record(self) -> dict[str, Any]:
        """With the frame as [input number from 1, frame number from 1]."""
        return {**self._asdict(), "frame": (self.frame[0] + 1, self.frame[1])}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Attribute":
        """The attribute of a record."""
        number, frame = record["frame"]
        return cls(**{**record, "frame": (number - 1, frame)})


@dataclass(slots=True)
class Asset:
    """A device. `endpoints[0]` is the address people know it by."""

    id: str
    endpoints: list[Endpoint]
    first_ts_ns: int
    last_ts_ns: int
    name: str | None = None
    parent: str | None = None
    """Id of the gateway it sits behind."""
    macs: list[str] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    zone: str | None = None
    level: float | None = None
    attributes: dict[str, list[Attribute]] = field(default_factory=dict)

    def best(self, attribute: str) -> str | None:
        """The value most is to be said for, None if nothing is known."""
        known = self.attributes.get(attribute)
        return known[0].value if known else None

    def as_record(self) -> dict[str, Any]:
        """One line of assets.jsonl."""
        return {
            "attributes": {
                name: [attribute.as_record() for attribute in known] for name, known in sorted(self.attributes.items())
            },
            "endpoints": [endpoint._asdict() for endpoint in self.endpoints],
            "first_ts_ns": self.first_ts_ns,
            "id": self.id,
            "last_ts_ns": self.last_ts_ns,
            "level": self.level,
            "macs": self.macs,
            "name": self.name,
            "parent": self.parent,
            "roles": self.roles,
            "zone": self.zone,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Asset":
        """The asset of a line of assets.jsonl."""
        fields = dict(record)
        fields["endpoints"] = [Endpoint(**endpoint) for endpoint in record["endpoints"]]
        fields["attributes"] = {
            name: [Attribute.from_record(known) for known in values] for name, values in record["attributes"].items()
        }
        return cls(**fields)


def asset_id(site: str, endpoint: Endpoint) -> str:
    """12 hex digits: the same device in the same site keeps its id from run to run."""
    named = "\0".join((site, endpoint.realm, endpoint.address, endpoint.protocol or "", str(endpoint.unit)))
    return hashlib.blake2s(named.encode(), digest_size=6).hexdigest()


def _endpoint_order(endpoint: Endpoint) -> tuple[tuple[int, int, str], str, int]:
    unit = -1 if endpoint.unit is None else endpoint.unit
    return address_order(endpoint.address), endpoint.protocol or "", unit


def by_place(assets: Iterable[Asset]) -> dict[Place, Asset]:
    """(realm, address or MAC) -> the device there; devices behind a gateway are found through their gateway."""
    return {endpoint[:2]: asset for asset in assets if asset.parent is None for endpoint in asset.endpoints}


class _Seen(NamedTuple):
    """When an address was first and last heard."""

    first_ts_ns: int
    first_frame: FrameRef
    last_ts_ns: int


def _heard(part: Part, macs: Macs) -> dict[Place, _Seen]:
    """Every address that has sent something: hosts, and who answered ARP or ND without ever speaking IP here."""
    heard = {
        (host.realm, host.address): _Seen(host.first_ts_ns, host.first_frame, host.last_ts_ns)
        for host in part.hosts
        if is_host(host.address)
    }
    for place, proofs in macs.proven.items():
        earliest = next(iter(proofs.values()))
        heard.setdefault(place, _Seen(earliest.first_ts_ns, earliest.first_frame, earliest.first_ts_ns))
    for place, binding in macs.alone.items():
        heard[place] = _Seen(binding.first_ts_ns, binding.first_frame, binding.first_ts_ns)
    return heard


def _groups(heard: Mapping[Place, _Seen], macs: Macs) -> list[list[Place]]:
    """Places of one device each, ordered by first sight; the first place of a group names the device."""
    group_of: dict[Place, list[Place]] = {}
    for (realm, _), addresses in macs.joined.items():
        group = [(realm, address) for address in addresses if (realm, address) in heard]
        group_of |= dict.fromkeys(group, group)
    groups = [group for place in heard if (group := group_of.get(place, [place]))[0] == place]
    groups.sort(key=lambda group: (*min(heard[place][:2] for place in group), *group[0]))
    return groups


def _ranked(attributes: Mapping[str, Iterable[Attribute]]) -> dict[str, list[Attribute]]:
    order = sorted(attributes)
    return {name: sorted(attributes[name], key=lambda a: (-a.confidence, a.ts_ns, a.frame, a.value)) for name in order}


def _attributes(facts: Iterable[Fact]) -> dict[str, list[Attribute]]:
    found: dict[str, list[Attribute]] = defaultdict(list)
    for fact in facts:
        found[fact.name].append(Attribute(fact.value, fact.protocol, fact.frame, fact.ts_ns, fact.confidence))
    return found


def _habits(habits: Iterable[Habit]) -> Iterator[tuple[str, Attribute]]:
    """How a device speaks as a client: the surer, the more often."""
    for habit in habits:
        for signature, seen in habit.signatures.items():
            confidence = HABIT_AT_MOST * min(seen.connections, ESTABLISHED) / ESTABLISHED
            found = Attribute(signature, habit.protocol, seen.first_frame, seen.times[0], round(confidence, 2))
            yield f"habit_{habit.kind}", found


class Built(NamedTuple):
    """What a part tells of devices."""

    assets: list[Asset]
    """By first sight."""
    left_out: int
    """How many more there are, past MAX_ASSETS."""
    spoken: Set[Place]
    """Every address that takes part in an operation, heard or only spoken to."""


def build_assets(part: Part, site: str, policy: Places | None = None) -> Built:
    """Assets of a whole part."""
    macs = read_macs(part.bindings)
    heard = _heard(part, macs)
    groups = _groups(heard, macs)
    builder = _Builder(part, site, policy, macs, heard)
    spoken = builder.behaviour.keys()
    assets: list[Asset] = []
    left_out = 0
    for number, group in enumerate(groups):
        if len(assets) >= MAX_ASSETS:
            return Built(assets, left_out + len(groups) - number, spoken)
        new = builder.device(group)
        room = MAX_ASSETS - len(assets)
        assets += new[:room]
        left_out += max(len(new) - room, 0)
    return Built(assets, left_out, spoken)


class _Builder:
    """The indexes that every device's construction reads."""

    def __init__(self, part: Part, site: str, policy: Places | None, macs: Macs, heard: Mapping[Place, _Seen]) -> None:
        self.site, self.policy, self.macs, self.heard = site, policy, macs, heard
        self.behaviour: dict[Place, Behaviour] = {}
        self.units: dict[Place, dict[Served, Span]] = {}
        self.masters: dict[Place, set[int]] = defaultdict(set)
        for operation in outline(part.operations):  # once: there may be a million, read from a database
            observe(self.behaviour, operation)
            note_unit(self.units, operation)
            if isinstance(operation.key.unit, tuple) and operation.key.unit[0] < NO_DEVICE:
                self.masters[operation.key.realm, operation.key.client].add(operation.key.unit[0])
        self.facts: dict[Place, list[Fact]] = defaultdict(list)
        for fact in part.facts:
            if fact.name == NEED_TIME:
                continue
            self.facts[fact.realm, fact.address].append(fact)
        self.habits: dict[Place, list[Habit]] = defaultdict(list)
        for habit in part.habits:
            self.habits[habit.realm, habit.address].append(habit)

    def device(self, group: Sequence[Place]) -> list[Asset]:
        """One asset, followed by those that sit behind it."""
        facts = [fact for place in group for fact in self.facts.get(place, ())]
        behind = [(place, units) for place in group for units in devices_behind(self.facts.get(place, ()))]
        elsewhere = {(*place, *unit) for place, units in behind for unit in units}
        realm, address = group[0]
        asset = Asset(
            asset_id(self.site, Endpoint(realm, address)),
            [Endpoint(*place) for place in group],
            min(self.heard[place].first_ts_ns for place in group),
            max(self.heard[place].last_ts_ns for place in group),
        )
        self._place(asset)
        own = [
            fact for fact in facts if (fact.realm, fact.address, fact.protocol, server_unit(fact.unit)) not in elsewhere
        ]
        attributes = _attributes(own)
        for name, attribute in _habits(habit for place in group for habit in self.habits.get(place, ())):
            attributes.setdefault(name, []).append(attribute)
        asset.attributes = _ranked(self._with_vendor(attributes, group, asset.macs))
        roles = {role for place in group if place in self.behaviour for role in roles_of(self.behaviour[place])}
        if any((fact.name, fact.value) == ENGINEERING for fact in own):
            roles = roles - {"hmi"} | {"engineering"}
        if behind:
            roles = roles - {"plc", *OT_SERVER_ROLES.values()} | {"gateway"}
        if any((place_realm, mac) in self.macs.routers for place_realm, _ in group for mac in (*asset.macs, address)):
            roles.add("router")
        if self.policy is not None:
            roles.update(role for place in group for role in self.policy.roles_of(*place))
        asset.roles = sorted(roles)
        used = {Endpoint(*place, "dnp3", unit) for place in group for unit in self.masters.get(place, ())}
        served = {Endpoint(*place, *unit) for place in group for unit in self.units.get(place, ())}
        sub_addresses = {endpoint for endpoint in used | served if tuple(endpoint) not in elsewhere}
        room = MAX_ENDPOINTS_PER_ASSET - len(group)
        asset.endpoints += sorted(sub_addresses, key=_endpoint_order)[:room]
        return [asset, *(self._behind(asset, place, units) for place, units in behind)]

    def _place(self, asset: Asset) -> None:
        realm, address = asset.endpoints[0][:2]
        for place in (endpoint[:2] for endpoint in asset.endpoints):
            proofs = self.macs.proven.get(place, {})
            # A router that answers ARP for others (proxy ARP) proves nothing about them.
            asset.macs += [mac for mac in proofs if mac not in asset.macs and not self._proxy(place[0], mac)]
        if parsed(address) is None:
            asset.macs = [address]
        if self.policy is not None:
            asset.zone = self.policy.zone_of(realm, address)
            asset.level = self.policy.level_of(realm, address)
            asset.name = self.policy.asset_name(realm, address)
        asset.macs.sort()

    def _proxy(self, realm: str, mac: str) -> bool:
        return (realm, mac) in self.macs.routers and self.macs.proofs[realm, mac] > 1

    def _with_vendor(
        self, attributes: dict[str, list[Attribute]], group: Sequence[Place], macs: Sequence[str]
    ) -> dict[str, list[Attribute]]:
        for place in group:
            bindings = [(b, VENDOR_PROVEN) for mac, b in self.macs.proven.get(place, {}).items() if mac in macs]
            if place in self.macs.alone:
                bindings.append((self.macs.alone[place], VENDOR_PROVEN))
            elif not bindings and place in self.macs.hinted:
                bindings.append((self.macs.hinted[place], VENDOR_HINTED))
            for binding, confidence in bindings:
                vendor = vendor_of(binding.mac)
                if vendor is not None and vendor not in (known.value for known in attributes.get("vendor", ())):
                    found = Attribute(vendor, "ethernet", binding.first_frame, binding.first_ts_ns, confidence)
                    attributes.setdefault("vendor", []).append(found)
        return attributes

    def _behind(self, gateway: Asset, place: Place, units: Sequence[ServedUnit]) -> Asset:
        """A device of its own behind an address, because its units say who they are and are not the others."""
        facts = [f for f in self.facts[place] if (f.protocol, server_unit(f.unit)) in units]
        served = [span for unit in units if (span := self.units.get(place, {}).get(unit)) is not None]
        endpoints = [Endpoint(*place, *unit) for unit in units]
        return Asset(
            asset_id(self.site, endpoints[0]),
            endpoints,
            min([fact.ts_ns for fact in facts] + [first for first, _ in served]),
            max([fact.ts_ns for fact in facts] + [last for _, last in served]),
            parent=gateway.id,
            roles=sorted({OT_SERVER_ROLES.get(protocol, "plc") for protocol, _ in units if protocol not in PLAIN}),
            zone=gateway.zone,
            level=gateway.level,
            attributes=_ranked(_attributes(facts)),
        )
