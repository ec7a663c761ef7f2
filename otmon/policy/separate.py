"""The fewest conduits whose closing separates two sets of hosts, by maximum flow (networkx).

A node is a conduit, or a part of one where hosts differ; an arrow leads to what its servers may do next as clients.
Each conduit has capacity one, hosts that are not monitored have no limit.
"""

from collections.abc import Collection, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from otmon.policy.index import Index
from otmon.policy.intervals import Intervals, overlap
from otmon.policy.reach import Join, Map
from otmon.policy.space import Box, union

if TYPE_CHECKING:
    import networkx

_FROM, _TO = "from", "to"


class Cut(NamedTuple):
    """What to close."""

    conduits: tuple[str, ...] | None
    """None: hosts that no conduit joins are the way, or both sets share hosts."""
    smallest: bool
    """It is proven that no smaller set does."""


class _Node(NamedTuple):
    conduit: str | None
    realm: Intervals
    client: Intervals
    server: Intervals


class Ways:
    """Ways from one set of hosts to another."""

    def __init__(self, found: Map, source: Intervals, target: Intervals) -> None:
        self._source, self._target = source, target
        self._steps = _nodes(found.stepping)
        self._nodes = _nodes(found.joins) | self._steps

    @cached_property
    def _graph(self) -> "networkx.DiGraph[object]":
        """Each node, from `_FROM` to `_TO`."""
        import networkx

        graph: networkx.DiGraph[object] = networkx.DiGraph()
        graph.add_nodes_from((_FROM, _TO))
        nodes = sorted(self._nodes, key=str)
        index = Index((node.realm, node.client) for node in nodes)
        for node in nodes:
            if overlap(node.client, self._source):
                graph.add_edge(_FROM, node)
            if overlap(node.server, self._target):
                graph.add_edge(node, _TO)
            if node in self._steps:
                graph.add_edges_from((node, nodes[n]) for n in index.meeting((node.realm, node.server)))
        return graph

    def _left(self, closed: Collection[str]) -> "networkx.DiGraph[object]":
        """Without what is closed."""
        gone = [node for node in self._nodes if node.conduit in closed]
        return self._graph.subgraph(self._graph.nodes - gone)

    def open(self, closed: Collection[str] = ()) -> bool:
        """Some way is left."""
        import networkx

        return bool(networkx.has_path(self._left(closed), _FROM, _TO))

    def cut(self) -> Cut:
        """The fewest conduits."""
        import networkx

        if overlap(self._source, self._target):
            return Cut(None, True)
        graph = self._graph
        flow: networkx.DiGraph[object] = networkx.DiGraph()
        flow.add_nodes_from((_FROM, _TO))
        for node in graph:
            if isinstance(node, _Node) and node.conduit is not None:
                flow.add_edge(("in", node.conduit), ("out", node.conduit), capacity=1)
        for first, last in graph.edges:
            flow.add_edge(_end(first, "out"), _end(last, "in"))  # without a capacity: as much as one likes
        try:
            _, (near, far) = networkx.minimum_cut(flow, _FROM, _TO)
        except networkx.NetworkXUnbounded:
            return Cut(None, True)
        least = sorted(_names(near, "in") & _names(far, "out"))
        names = [node.conduit for node in graph if isinstance(node, _Node) and node.conduit is not None]
        if len(names) == len(set(names)):
            return Cut(tuple(least), True)
        least = self._kept(least)
        return Cut(tuple(least), self._apart() >= len(least))

    def _kept(self, chosen: list[str]) -> list[str]:
        """Without those that need not be closed; nodes of one conduit were taken for one, which may be too many."""
        left = list(chosen)
        for name in chosen:
            fewer = [other for other in left if other != name]
            if not self.open(fewer):
                left = fewer
        return left

    def _apart(self) -> int:
        """Ways that share no conduit: each needs one to be closed."""
        import networkx

        closed: set[str] = set()
        count = 0
        while True:
            try:
                path = networkx.shortest_path(self._left(closed), _FROM, _TO)
            except networkx.NetworkXNoPath:
                return count
            closed |= {node.conduit for node in path if isinstance(node, _Node) and node.conduit is not None}
            count += 1


def _nodes(joins: Iterable[Join]) -> set[_Node]:
    hosts: dict[str | None, list[Box]] = {}
    for join in joins:
        hosts.setdefault(join.conduit, []).append((join.realm, join.client, join.server))
    return {_Node(conduit, *box) for conduit, boxes in hosts.items() for box in union(boxes)}


def _end(node: object, side: str) -> object:
    if isinstance(node, _Node):
        return node if node.conduit is None else (side, node.conduit)
    return node


def _names(nodes: Collection[object], side: str) -> set[str]:
    """Conduits of which this side is among the nodes."""
    return {node[1] for node in nodes if isinstance(node, tuple) and len(node) == 2 and node[0] == side}
