"""GraphML and JSON: the whole graph as data, for other programs to go on with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import networkx as nx

from ..graph import show
from ..network import order, readers
from ..spec import entries
from .label import Cost, family


def records(
    graph: nx.MultiDiGraph, name: str, costs: Mapping[str, Cost] | None = None
) -> nx.MultiDiGraph:
    """The graph with plain facts in the place of each node; costs if they are known."""
    found = nx.MultiDiGraph(name=name)
    names = {data["node"]: one for one, data in graph.nodes(data=True)}
    for one in order(graph):
        node = graph.nodes[one]["node"]
        theta = node.spec.theta.values() if node.owner is node else ()
        facts: dict[str, Any] = {
            "op": node.op.kind, "family": family(node), "shape": node.shape,
            "settings": node.op.settings(),
            "parameters": sum(entries(p.shape) for p in theta if not p.buffer),
        }  # fmt: skip
        if node.owner is not node:
            facts["shares"] = names.get(node.owner, node.owner.label)
        if costs is not None:
            cost = costs.get(one, Cost())
            facts |= {"macs": cost.macs, "kept": cost.kept, "peak": cost.peak}
        found.add_node(one, **facts)
    for target in found:
        for slot, source in enumerate(readers(graph, target)):
            found.add_edge(source, target, slot=slot)
    return found


def node_link(found: nx.MultiDiGraph) -> str:
    """As JSON: `networkx.node_link_graph(json.load(file), edges="edges")`.

    What JSON cannot say is text in it, as Python writes it.
    """
    data = {
        "directed": True, "multigraph": True, "graph": found.graph,
        "nodes": [{"id": name, **facts} for name, facts in found.nodes(data=True)],
        "edges": [
            {"source": s, "target": t, "key": key, **facts}
            for s, t, key, facts in found.edges(keys=True, data=True)
        ],
    }  # fmt: skip
    return json.dumps(data, indent=1, default=repr) + "\n"


def graphml(found: nx.MultiDiGraph) -> str:
    """As GraphML: `networkx.read_graphml(path, force_multigraph=True)`."""
    into = BytesIO()
    nx.write_graphml_xml(flat(found), into, named_key_ids=True)
    return into.getvalue().decode()


def flat(found: nx.MultiDiGraph) -> nx.MultiDiGraph:
    """The graph with what GraphML can hold: numbers, and text that XML can hold."""
    into = nx.MultiDiGraph(**{key: spoken(text) for key, text in found.graph.items()})
    for name, facts in found.nodes(data=True):
        said = {key: _said(value) for key, value in facts.items()}
        into.add_node(spoken(name), **said)
    for source, target, facts in found.edges(data=True):
        into.add_edge(spoken(source), spoken(target), **facts)
    return into


def _said(value: Any) -> Any:
    if isinstance(value, tuple):
        return show(value)
    if isinstance(value, dict):
        return spoken(json.dumps(value, default=repr))
    return spoken(value) if isinstance(value, str) else value


def spoken(text: str) -> str:
    r"""Text that XML can hold, different for different texts.

    Examples
    --------
    >>> print(spoken("<ä>"), spoken("a\nb"), spoken("a\\nb"))
    <ä> a\nb a\\nb
    """
    return "".join(
        c if c.isprintable() and c != "\\" else c.encode("unicode_escape").decode()
        for c in text
    )
