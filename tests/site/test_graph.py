"""The graph and its four forms, read back by other programs; hostile names in every one of them."""

import io
import json
import shutil
import subprocess
from typing import Any
from xml.etree import ElementTree

import networkx
import pytest

from otmon.site.export import FORMATS, dot, gexf, graphml, node_link
from otmon.site.graph import Graph, build_graph, to_networkx
from otmon.site.part import merge
from otmon.site.site import Site
from tests.site.plant import HOSTILE, Names, fact, host, op, plant


class HostileNames(Names):
    """A policy is the user's own file, but nothing may break on it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def zone_of(self, realm: str, address: str) -> str:
        return self.name

    def asset_name(self, realm: str, address: str) -> str | None:
        return self.name


@pytest.fixture
def graph() -> Graph:
    return build_graph(Site(merge([plant()]), Names()))


def test_an_edge_for_each_pair_protocol_and_function(graph: Graph) -> None:
    part = plant()
    wanted = {(o.key.client, o.key.server, o.key.protocol, o.key.function) for o in part.operations}
    address = {node.id: node.address for node in graph.nodes}
    assert {(address[e.source], address[e.target], e.protocol, e.function) for e in graph.edges} == wanted
    assert sum(e.counts.attempted for e in graph.edges) == sum(o.counts.attempted for o in part.operations)
    assert sum(e.operations for e in graph.edges) == len(part.operations)
    kinds = {node.address: node.kind for node in graph.nodes}
    assert kinds["10.0.3.9"] == "silent"
    assert kinds["10.0.1.13"] == "asset"


def test_a_denied_operation_colours_its_edge() -> None:
    operations = [
        op(verdict="permit", row="b"),
        op(unit=2, verdict="deny", row="a"),
        op(unit=3, verdict="permit", row="b"),
    ]
    (edge,) = build_graph(Site(merge([type(plant())(operations=operations)]))).edges
    assert (edge.verdict, edge.attributes()["rows"], edge.counts.attempted) == ("deny", "a,b", 30)


def test_devices_behind_a_gateway_are_nodes() -> None:
    part = type(plant())(
        operations=[op(unit=1), op(unit=2)],
        hosts=[host("10.0.1.13")],
        facts=[fact("10.0.1.13", "model", "a", 1), fact("10.0.1.13", "model", "b", 2)],
    )
    graph = build_graph(Site(part))
    assert sorted(node.label for node in graph.nodes) == [
        *("10.0.1.13", "10.0.1.13 unit 1", "10.0.1.13 unit 2", "10.0.2.11")
    ]
    assert len(graph.edges) == 2


def as_plain(graph: Any) -> tuple[dict[str, Any], list[Any]]:
    nodes = {name: dict(data) for name, data in graph.nodes(data=True)}
    return nodes, sorted((u, v, sorted(data.items())) for u, v, data in graph.edges(data=True))


def test_graphml_is_what_networkx_reads(graph: Graph) -> None:
    back = networkx.read_graphml(io.BytesIO(graphml(graph).encode()), force_multigraph=True)
    assert as_plain(back) == as_plain(to_networkx(graph))


def test_gexf_is_what_networkx_reads(graph: Graph) -> None:
    back = networkx.read_gexf(io.BytesIO(gexf(graph).encode()))
    assert set(back.nodes) == {node.id for node in graph.nodes}
    assert back.number_of_edges() == len(graph.edges)
    assert "lastmodified" not in gexf(graph)


def test_json_is_node_link(graph: Graph) -> None:
    back = networkx.node_link_graph(json.loads(node_link(graph)), edges="edges")
    assert as_plain(back) == as_plain(to_networkx(graph))


@pytest.mark.parametrize("form", FORMATS)
def test_same_graph_same_text(form: str) -> None:
    first, second = (FORMATS[form](build_graph(Site(merge([plant()]), Names()))) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_names(name: str) -> None:
    graph = build_graph(Site(merge([plant((name,))]), HostileNames(name)))
    for form, write in FORMATS.items():
        text = write(graph)
        assert not [c for c in text if ord(c) < 32 and c not in "\n\t"], form
        text.encode() if form != "json" else json.loads(text)
    for text in (graphml(graph), gexf(graph)):
        ElementTree.fromstring(text)
    back = networkx.read_graphml(io.BytesIO(graphml(graph).encode()), force_multigraph=True)
    assert set(back.nodes) == {node.id for node in graph.nodes}
    assert balanced(dot(graph))


def balanced(text: str) -> bool:
    """Every DOT line has its strings closed: an even number of quotes that no backslash escapes."""
    return all(line.replace("\\\\", "").replace('\\"', "").count('"') % 2 == 0 for line in text.splitlines())


def test_dot_is_what_graphviz_reads(graph: Graph) -> None:
    if shutil.which("dot") is None:
        pytest.skip("graphviz is not installed")
    done = subprocess.run(["dot", "-Tplain"], input=dot(graph), text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\nnode ") == len(graph.nodes)
