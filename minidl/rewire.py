"""Another end or another beginning for a graph, with everything else as it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .graph import Input, Node
from .network import order, readers
from .spec import GraphError

Change = Callable[..., Node]


def rewired(
    graph: Any, owner: Mapping[str, str], changes: Mapping[str, Change], name: str
) -> dict[str, Node]:
    """The nodes of a graph made anew; those that `changes` names by its functions.

    A function gets the nodes that the old one read, and gives the new one.
    """
    unknown = changes.keys() - set(graph)
    if unknown:
        raise GraphError(
            f"{name}: no node is named {', '.join(sorted(unknown))}; nodes: "
            f"{', '.join(list(graph)[:40])}"
        )
    made: dict[str, Node] = {}
    for one in order(graph):
        node = graph.nodes[one]["node"]
        sources = [made[source] for source in readers(graph, one)]
        if one in changes:
            new = changes[one](*sources)
            if not isinstance(new, Node):
                raise GraphError(
                    f"{name}: the change of {one} gave {type(new).__name__}, not a node"
                )
            if new.name is None:
                new.name = one
            made[one] = new
            continue
        shared = owner.get(one, one)
        share = made[shared] if shared != one else None
        made[one] = Node(node.op, sources, one, share)
    return made


def inputs_of(*ends: Node) -> list[Node]:
    """The Input nodes that these depend on, in the order of their definition."""
    found: dict[int, Node] = {}
    waiting, seen = [*ends], set()
    while waiting:
        node = waiting.pop()
        if node.index in seen:
            continue
        seen.add(node.index)
        if isinstance(node.op, Input):
            found[node.index] = node
        waiting += node.inputs
    return [found[i] for i in sorted(found)]
