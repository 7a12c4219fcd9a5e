"""The network as a NetworkX graph: built from nodes, ordered, read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import networkx as nx

from .graph import Node
from .spec import GraphError


class Graph(nx.MultiDiGraph):
    """Names as nodes, each with its `node`; edges carry the `slot` they fill.

    It may be changed by hand: `version` counts the changes, and a model compiles anew.
    """

    version = 0

    def add_edge(self, *args: Any, **kwargs: Any) -> Any:
        """As NetworkX does, and count the change."""
        self.version += 1
        return super().add_edge(*args, **kwargs)

    def remove_edge(self, *args: Any, **kwargs: Any) -> None:
        """As NetworkX does, and count the change."""
        self.version += 1
        super().remove_edge(*args, **kwargs)

    def add_node(self, *args: Any, **kwargs: Any) -> None:
        """As NetworkX does, and count the change."""
        self.version += 1
        super().add_node(*args, **kwargs)

    def remove_node(self, *args: Any, **kwargs: Any) -> None:
        """As NetworkX does, and count the change."""
        self.version += 1
        super().remove_node(*args, **kwargs)

    def remove_nodes_from(self, *args: Any, **kwargs: Any) -> None:
        """As NetworkX does, and count the change."""
        self.version += 1
        super().remove_nodes_from(*args, **kwargs)


def build(outputs: Sequence[Node]) -> tuple[Graph, dict[Node, str]]:
    """The graph of all that `outputs` depend on, and the name of each node in it."""
    seen: dict[Node, None] = {}
    stack = list(outputs)
    while stack:
        node = stack.pop()
        if node not in seen:
            seen[node] = None
            stack += [*node.inputs, node.owner]
    nodes = sorted(seen, key=lambda node: node.index)
    names = named(nodes)
    graph = Graph()
    for node in nodes:
        graph.add_node(names[node], node=node)
    for node in nodes:
        for slot, one in enumerate(node.inputs):
            graph.add_edge(names[one], names[node], slot=slot)
    return graph, names


def named(nodes: Sequence[Node]) -> dict[Node, str]:
    """Given names as they are; the others are numbered by kind: conv1, conv2, ..."""
    names: dict[Node, str] = {}
    taken: dict[str, Node] = {}
    for node in nodes:
        if node.name is not None:
            if node.name in taken:
                raise GraphError(
                    f"two nodes are named {node.name!r}: {taken[node.name]!r} and "
                    f"{node!r}; give one of them another name"
                )
            taken[node.name] = node
            names[node] = node.name
    count: dict[str, int] = {}
    for node in nodes:
        if node.name is None:
            kind = node.op.kind
            while True:
                count[kind] = count.get(kind, 0) + 1
                name = f"{kind}{count[kind]}"
                if name not in taken:
                    break
            taken[name] = node
            names[node] = name
    return names


def order(graph: nx.MultiDiGraph) -> list[str]:
    """A topological order; of those free to go, the first defined goes first."""
    index = {}
    for name, data in graph.nodes(data=True):
        if not isinstance(data.get("node"), Node):
            raise GraphError(
                f"{name!r} in the graph has no Node; add it with "
                "graph.add_node(name, node=Node(op, inputs))"
            )
        index[name] = data["node"].index
    try:
        return list(nx.lexicographical_topological_sort(graph, key=index.__getitem__))
    except nx.NetworkXUnfeasible:
        cycle = [edge[0] for edge in nx.find_cycle(graph)]
        raise GraphError(
            f"the graph has a cycle: {' -> '.join([*cycle, cycle[0]])}; a network must "
            "be acyclic: remove one of these edges"
        ) from None


def readers(graph: nx.MultiDiGraph, name: str) -> list[str]:
    """The nodes that fill the slots of `name`, in the order of the slots."""
    edges = graph.in_edges(name, data="slot")
    edges = sorted(edges, key=lambda e: (e[2] is None, e[2]))
    slots = [slot for *_, slot in edges]
    node = graph.nodes[name]["node"]
    if slots != list(range(len(slots))) or len(slots) != len(node.inputs):
        raise GraphError(
            f"{name}: expected edges for the slots 0 to {len(node.inputs) - 1}, got "
            f"{slots}; give every edge into a node its slot"
        )
    return [source for source, *_ in edges]
