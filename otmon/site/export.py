"""The graph as GraphML, GEXF, DOT and JSON: text, the same for the same graph.

GraphML and DOT are written here (every run writes graph.graphml, and networkx takes longer to import than a small
capture to analyze); GEXF and node-link JSON come from networkx. Names are already safe text; what XML 1.0 cannot carry
is replaced once more, because one such character makes a whole file unreadable.
"""

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from html import escape  # xml.sax.saxutils imports an HTTP client
from typing import Final

from otmon.site.graph import Graph, node_attributes, to_networkx
from otmon.text import safe_text

_NOT_XML = re.compile("[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PLAIN: Final = re.compile(r"[\w .:,/-]*", re.ASCII).fullmatch
"""What every XML takes as it is: nearly all values."""
_TYPES: Final = {str: "string", int: "long", float: "double"}
_HEAD = (
    '<?xml version="1.0" encoding="utf-8"?>\n<graphml xmlns="http://graphml.graphdrawing.org/xmlns"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://graphml.graphdrawing.org/xmlns'
    ' http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd">\n'
)
_LABEL_CHARS: Final = 512
_Attributes = Mapping[str, str | int | float]


@lru_cache(maxsize=4096)
def _xml(text: str) -> str:
    return text if _PLAIN(text) else escape(_NOT_XML.sub("\ufffd", text), quote=False)


def _attr(text: str) -> str:
    return '"' + (text if _PLAIN(text) else escape(_NOT_XML.sub("\ufffd", text))) + '"'


class _Keys:
    """GraphML declares each attribute once; `double` wins over `long` (a level may be 3 or 3.5)."""

    def __init__(self) -> None:
        self.types: dict[str, dict[str, str]] = {}

    def learn(self, domain: str, attributes: _Attributes) -> None:
        known = self.types.setdefault(domain, {})
        if known.keys() >= attributes.keys():
            return
        for name, value in attributes.items():
            known[name] = "double" if name == "level" else _TYPES[type(value)]

    def lines(self) -> Iterator[str]:
        for domain, kinds in self.types.items():
            for name, kind in kinds.items():
                yield f'  <key id="{domain}_{name}" for="{domain}" attr.name="{name}" attr.type="{kind}"/>\n'


def _data(domain: str, attributes: _Attributes) -> str:
    lines = [
        f'      <data key="{domain}_{name}">{_xml(value) if isinstance(value, str) else value}</data>\n'
        for name, value in attributes.items()
    ]
    return "".join(lines)


def graphml(graph: Graph) -> str:
    """GraphML 1.0, as Gephi, yEd, Cytoscape and networkx read it."""
    return "".join(graphml_pieces(graph))


def graphml_pieces(graph: Graph) -> Iterator[str]:
    """The same, a node or edge at a time: the text of a large site is longer than all that it is made of."""
    keys = _Keys()
    for node in graph.nodes:
        keys.learn("node", node_attributes(node))
    for edge in graph.edges[:1]:  # all have the same
        keys.learn("edge", edge.attributes())
    yield _HEAD
    yield from keys.lines()
    yield '  <graph edgedefault="directed">\n'
    for node in graph.nodes:
        yield f"    <node id={_attr(node.id)}>\n{_data('node', node_attributes(node))}    </node>\n"
    for number, edge in enumerate(graph.edges):
        ends = f'id="e{number}" source={_attr(edge.source)} target={_attr(edge.target)}'
        yield f"    <edge {ends}>\n{_data('edge', edge.attributes())}    </edge>\n"
    yield "  </graph>\n</graphml>\n"


def gexf(graph: Graph) -> str:
    """GEXF 1.2 for Gephi."""
    import networkx

    found = to_networkx(graph)
    # networkx keeps an edge's attribute `key` for itself and writes times as they are: nothing to convert but text.
    for _, data in found.nodes(data=True):
        data.update({name: _NOT_XML.sub("\ufffd", value) for name, value in data.items() if isinstance(value, str)})
    out = io.BytesIO()
    networkx.write_gexf(found, out)
    # The writer notes today's date: the same traffic must give the same file.
    return re.sub(r' lastmodifieddate="[^"]*"', "", out.getvalue().decode())


def node_link(graph: Graph) -> str:
    """JSON in networkx's node-link form, as d3 and `networkx.node_link_graph` read it."""
    import networkx

    return json.dumps(networkx.node_link_data(to_networkx(graph), edges="edges"), indent=1, sort_keys=True) + "\n"


def _quoted(text: object) -> str:
    """A DOT string: only quotes and backslashes mean something in it; lines are joined by its own `\\n`."""
    lines = (safe_text(line, _LABEL_CHARS) for line in str(text).split("\n"))
    return '"' + "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines) + '"'


def dot(graph: Graph) -> str:
    """Graphviz DOT: devices clustered by zone; denied edges red, commands bold."""
    lines = ["digraph otmon {", "  rankdir=LR;", "  node [shape=box, fontname=Helvetica];"]
    for number, zone in enumerate(sorted({node.zone for node in graph.nodes})):
        members = [
            f"    {_quoted(node.id)} [label={_quoted(chr(10).join(dict.fromkeys((node.label, node.address))))}];"
            for node in graph.nodes
            if node.zone == zone
        ]
        lines += (
            [f"  subgraph cluster_{number} {{", f"    label={_quoted(zone)};", *members, "  }"] if zone else members
        )
    for edge in graph.edges:
        style = ", color=red" if edge.verdict == "deny" else ""
        style += ", penwidth=2" if edge.access in ("write", "control", "program") else ""
        label = _quoted(f"{edge.protocol} {edge.function} ({edge.counts.attempted})")
        lines.append(f"  {_quoted(edge.source)} -> {_quoted(edge.target)} [label={label}{style}];")
    return "\n".join([*lines, "}", ""])


FORMATS: Final[dict[str, Callable[[Graph], str]]] = {"graphml": graphml, "gexf": gexf, "dot": dot, "json": node_link}
