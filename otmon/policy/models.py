"""What a policy file may say: one pydantic model for each kind of mapping in it. See docs/policy.md."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from otmon.model import Access
from otmon.policy.fields import (
    Days,
    From,
    Functions,
    Hours,
    Items,
    Limit,
    Name,
    Names,
    Objects,
    Ranges,
    RateOf,
    Step,
    Text,
    Texts,
    Until,
    ValueRanges,
    listed,
)

OT_PROTOCOLS: Final = ("modbus", "dnp3", "s7comm")
PLAIN_PROTOCOLS: Final = ("tcp", "udp", "icmp", "ip")
"""`ip` is every other protocol above IP, by its number."""
_ACCESSES: Final = ("read", "write", "control", "program", "diagnose", "identify", "connect")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def _accesses() -> Any:
    item = {"enum": list(_ACCESSES)}
    return WithJsonSchema({"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]})


class RealmModel(_Strict):
    """A part of the network in which an address means one thing: frames with any of these marks belong to it."""

    vlans: Ranges = Field(default_factory=list, description="VLAN identifiers")
    interfaces: Texts = Field(default_factory=list, description="interface names")
    inputs: Texts = Field(default_factory=list, description="names of input files")


class ZoneModel(_Strict):
    """Hosts of equal trust. A zone whose hosts all lie in another one is nested in it."""

    level: float | None = Field(default=None, ge=0, le=5, description="Purdue level")
    hosts: Texts = Field(default_factory=list, description="addresses, networks, MACs")
    assets: Names = Field(default_factory=list, description="assets of the zone, wherever their address lies")
    realm: Name | None = None
    monitored: bool | None = Field(default=None, description="default deny; default: as the zone around it, else true")
    allow: list["RowModel"] = Field(default_factory=list, description="what hosts of the zone may do to each other")


class AssetModel(_Strict):
    """A device with a name of its own."""

    hosts: Texts
    name: Text | None = Field(default=None, description="the name that people read; default: the key")
    realm: Name | None = None


class SelectorModel(_Strict):
    """Who: hosts that fit one of the keys."""

    zone: Names = Field(default_factory=list)
    asset: Names = Field(default_factory=list)
    role: Names = Field(default_factory=list)
    host: Texts = Field(default_factory=list)


def _selector(value: Any) -> Any:
    return {"host": value} if isinstance(value, str) else value


_WORDS: Final[dict[str, Any]] = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]
}
_SELECTOR_SCHEMA: Final[list[dict[str, Any]]] = [
    {"type": "string", "description": "zone, asset, address, network, any, outside"},
    {
        "type": "object",
        "additionalProperties": False,
        "minProperties": 1,
        "properties": dict.fromkeys(("zone", "asset", "role", "host"), _WORDS),
    },
]
Selector = Annotated[SelectorModel, BeforeValidator(_selector)]
Selectors = Annotated[
    list[Selector],
    BeforeValidator(listed),
    WithJsonSchema(
        {"anyOf": [*_SELECTOR_SCHEMA, {"type": "array", "items": {"anyOf": _SELECTOR_SCHEMA}, "minItems": 1}]}
    ),
]


class TargetModel(_Strict):
    """A part of any address space, by the names that records use."""

    space: Text
    ranges: Ranges | None = None
    names: Texts | None = None

    def limit(self) -> Limit:
        """As rows use it."""
        return Limit(
            self.space,
            tuple(self.ranges) if self.ranges is not None else None,
            frozenset(self.names) if self.names is not None else None,
        )


class SeenModel(_Strict):
    """Where a learned row comes from."""

    count: int = Field(ge=0)
    first: Text
    last: Text


class RowModel(_Strict):
    """Operations: each key that is given limits them further."""

    id: Name | None = None
    protocol: Literal["modbus", "dnp3", "s7comm", "tcp", "udp", "icmp", "ip"]
    functions: Functions | None = Field(default=None, description="names, codes or groups such as `download`")
    access: Annotated[list[Access], BeforeValidator(listed), _accesses()] | None = None
    units: Ranges | None = Field(default=None, description="Modbus unit identifiers")
    master: Ranges | None = Field(default=None, description="DNP3 link addresses of masters")
    outstation: Ranges | None = Field(default=None, description="DNP3 link addresses of outstations")
    addresses: Ranges | None = Field(default=None, description="Modbus PDU addresses, from 0")
    items: Items | None = Field(default=None, description="S7 areas: DB10.DBB0-255, MB0-9")
    objects: Objects | None = Field(default=None, description="DNP3 groups and indexes: g12 0-3")
    targets: list[TargetModel] | None = Field(default=None, description="any address space, as in operations.jsonl")
    points: Names | None = Field(default=None, description="points of the tag map; `values` is then in their units")
    values: ValueRanges | None = Field(default=None, description="values that writes may set")
    step: Step | None = Field(default=None, description="largest change of a point at once, in its units")
    rate: RateOf | None = Field(default=None, description="largest change of a point in a time: 2/min")
    port: Ranges | None = Field(default=None, description="server port of modbus, dnp3, s7comm; default: any")
    ports: Ranges | None = Field(default=None, description="server ports of tcp and udp; default: all")
    numbers: Ranges | None = Field(default=None, description="IP protocol numbers of ip, as 50 for ESP; default: all")
    note: Text | None = None
    seen: SeenModel | None = None


class DuringModel(_Strict):
    """When, in the policy's time zone. Each key that is given limits further."""

    days: Days | None = None
    hours: Hours | None = Field(default=None, description="08:00-17:00; 22:00-06:00 ends on the next day")
    from_: From | None = Field(default=None, alias="from", description="first day, or the moment at which it begins")
    until: Until | None = Field(default=None, description="last day, or the moment at which it ends")
    ticket: Text | None = None
    approver: Text | None = None
    permit: Literal["required"] | None = Field(default=None, description="closed until `otmon permit open` opens it")


class ConduitModel(_Strict):
    """Which clients may do what to which servers."""

    id: Name
    from_: Selectors = Field(alias="from")
    to: Selectors
    realm: Name | None = None
    during: DuringModel | None = None
    allow: list[RowModel]
    note: Text | None = None


class NeverModel(_Strict):
    """What no row can permit."""

    id: Name | None = None
    from_: Selectors | None = Field(default=None, alias="from")
    to: Selectors | None = None
    realm: Name | None = None
    during: DuringModel | None = None
    operations: list[RowModel] | None = Field(default=None, description="default: everything")
    because: Text | None = None


class ReviewModel(_Strict):
    """Operations that were seen and are denied until a person has decided."""

    id: Name | None = None
    from_: Selectors = Field(alias="from")
    to: Selectors
    realm: Name | None = None
    operations: list[RowModel]
    reason: Text


class PolicyModel(_Strict):
    """The whole file."""

    otmon: Literal[1] = Field(description="version of this format")
    site: Text = "default"
    timezone: Text = Field(default="UTC", description="IANA name, such as Europe/Vienna")
    tags: Text | None = Field(default=None, description="tag map: a CSV file, seen from this file")
    chatter: Literal["permit", "deny"] = Field(default="permit", description="broadcast, multicast and discovery")
    realms: dict[Name, RealmModel | None] = Field(default_factory=dict)
    zones: dict[Name, ZoneModel] = Field(default_factory=dict)
    assets: dict[Name, AssetModel] = Field(default_factory=dict)
    roles: dict[Name, Texts] = Field(default_factory=dict, description="addresses or assets")
    never: list[NeverModel] = Field(default_factory=list)
    conduits: list[ConduitModel] = Field(default_factory=list)
    review: list[ReviewModel] = Field(default_factory=list)


MODEL_AT: Final[dict[tuple[str, ...], type[_Strict]]] = {
    (): PolicyModel,
    ("realms", "*"): RealmModel,
    ("zones", "*"): ZoneModel,
    ("assets", "*"): AssetModel,
    ("never", "*"): NeverModel,
    ("conduits", "*"): ConduitModel,
    ("review", "*"): ReviewModel,
    ("during",): DuringModel,
    ("allow", "*"): RowModel,
    ("operations", "*"): RowModel,
    ("targets", "*"): TargetModel,
    ("seen",): SeenModel,
    ("from", "*"): SelectorModel,
    ("to", "*"): SelectorModel,
}
"""Model by the last keys of its path (`*`: any key or position)."""
