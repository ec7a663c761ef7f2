"""The communication graph: who does what to whom, an edge for each (pair, protocol, function).

`edges` and `nodes` are plain records; `to_networkx` makes the MultiDiGraph from them on demand (networkx itself takes a
quarter of a second to import, so nothing here imports it before it is needed).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from otmon.model import Counts, OperationRecord
from otmon.site.assets import Asset
from otmon.site.evidence import Place
from otmon.site.part import Records, by_function

if TYPE_CHECKING:
    import networkx

MAX_LISTED_PORTS = 16


@dataclass(slots=True)
class Node:
    """A device, or an address that was only spoken to."""

    id: str
    """Asset id, or `realm/address` of an address that never sent anything."""
    label: str
    address: str
    realm: str
    kind: str
    """asset, unit (behind a gateway), silent."""
    zone: str = ""
    level: float | None = None
    roles: str = ""
    macs: str = ""
    vendor: str = ""


_NODE_ATTRIBUTES = ("label", "address", "realm", "kind", "zone", "level", "roles", "macs", "vendor")


@dataclass(slots=True)
class Edge:
    """All operations of one function from client to server."""

    source: str
    target: str
    protocol: str
    function: str
    access: str
    transport: str
    counts: Counts
    ports: set[int]
    first_ts_ns: int
    last_ts_ns: int
    bytes: int = 0
    operations: int = 0
    verdict: str = ""
    rows: set[str] = field(default_factory=set)

    @property
    def key(self) -> str:
        """Tells parallel edges apart."""
        return f"{self.protocol}:{self.function}"

    def attributes(self) -> dict[str, str | int]:
        """Plain values, as every export format takes them."""
        ports = sorted(self.ports)
        listed = ",".join(map(str, ports[:MAX_LISTED_PORTS])) + (",…" if len(ports) > MAX_LISTED_PORTS else "")
        return {
            "access": self.access,
            "bytes": self.bytes,
            **self.counts.as_dict(),
            "first_ts_ns": self.first_ts_ns,
            "function": self.function,
            "last_ts_ns": self.last_ts_ns,
            "operations": self.operations,
            "ports": listed,
            "protocol": self.protocol,
            "rows": ",".join(sorted(self.rows)),
            "transport": self.transport,
            "verdict": self.verdict,
        }


@dataclass(slots=True)
class Graph:
    """Nodes and edges in the order of their content."""

    site: str
    nodes: list[Node]
    edges: list[Edge]


class Seen(Protocol):
    """What a graph is made of: a Site, or one read back from its database."""

    @property
    def name(self) -> str:
        """The site's name."""

    @property
    def assets(self) -> Sequence[Asset]:
        """Devices."""

    @property
    def operations(self) -> Records[OperationRecord]:
        """What they did."""

    @property
    def asset_of(self) -> Mapping[Place, Asset]:
        """(realm, address) -> device."""

    def who(self, realm: str, address: str) -> dict[str, Any]:
        """Zone, name and roles of any address."""


def build_graph(site: Seen) -> Graph:
    """The graph of everything seen at the site."""
    nodes: dict[str, Node] = {}
    for asset in site.assets:
        endpoint = asset.endpoints[0]
        nodes[asset.id] = Node(
            asset.id,
            asset.name or (endpoint.address if endpoint.unit is None else f"{endpoint.address} unit {endpoint.unit}"),
            endpoint.address,
            endpoint.realm,
            "asset" if asset.parent is None else "unit",
            asset.zone or "",
            asset.level,
            ",".join(asset.roles),
            ",".join(asset.macs),
            asset.best("vendor") or "",
        )
    behind = {
        (endpoint.realm, endpoint.address, endpoint.protocol, endpoint.unit): asset.id
        for asset in site.assets
        if asset.parent is not None
        for endpoint in asset.endpoints
    }

    def node_at(realm: str, address: str) -> str:
        asset = site.asset_of.get((realm, address))
        if asset is not None:
            return asset.id
        name = f"{realm}/{address}"
        if name not in nodes:
            who = site.who(realm, address)
            nodes[name] = Node(
                name, who["name"] or address, address, realm, "silent", who["zone"] or "", None, ",".join(who["roles"])
            )
        return name

    edges: dict[tuple[str, ...], Edge] = {}
    for shared, operations in by_function(site.operations):
        realm, client, server, transport, port, protocol, unit, _, function, access = shared
        source = node_at(realm, client)
        served = unit[1] if isinstance(unit, tuple) else unit
        target = behind.get((realm, server, protocol, served)) or node_at(realm, server)
        name = source, target, protocol, function
        edge = edges.get(name)
        if edge is None:
            edge = edges[name] = Edge(*name, access, transport, Counts(), set(), 2**63 - 1, 0)
        if port is not None:
            edge.ports.add(port)
        for operation in operations:
            edge.counts.add(operation.counts)
            edge.bytes += operation.bytes
            edge.operations += 1
            edge.first_ts_ns = min(edge.first_ts_ns, operation.first_ts_ns)
            edge.last_ts_ns = max(edge.last_ts_ns, operation.last_ts_ns)
            if operation.row is not None:
                edge.rows.add(operation.row)
            if edge.verdict != "deny":
                edge.verdict = operation.verdict or edge.verdict
    return Graph(site.name, sorted(nodes.values(), key=lambda n: n.id), [edges[name] for name in sorted(edges)])


def node_attributes(node: Node) -> dict[str, str | int | float]:
    """Without the id, and without what is not known."""
    known = ((name, getattr(node, name)) for name in _NODE_ATTRIBUTES)
    return {name: value for name, value in known if value is not None}


def to_networkx(graph: Graph) -> "networkx.MultiDiGraph[str]":
    """The graph for analysis in networkx; edge keys are `protocol:function`."""
    import networkx

    out = networkx.MultiDiGraph(site=graph.site)
    for node in graph.nodes:
        out.add_node(node.id, **node_attributes(node))
    for edge in graph.edges:
        out.add_edge(edge.source, edge.target, key=edge.key, **edge.attributes())
    return out
