"""The loss at the end of a graph, and the target that it compares it with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .graph import Input, Node, new_input
from .network import Graph, readers
from .ops import arithmetic, loss as losses, softmax
from .spec import Error, GraphError

Loss = str | Callable[..., Node]


def with_loss(
    graph: Graph,
    outputs: Sequence[str],
    kind: Loss,
    settings: Mapping[str, Any],
    shares: Sequence[float],
) -> tuple[Graph, str, str]:
    """The graph with a loss at its end; the names of the loss and of its target.

    Several outputs have a loss each, of one target; the end is their sum, each times
    its share. A softmax at the end is left out where the loss holds one itself.
    """
    node = graph.nodes[outputs[0]]["node"]
    if len(outputs) == 1 and node.op.reduces:  # the graph brings its own loss
        target = readers(graph, outputs[0])[-1]
        if not isinstance(graph.nodes[target]["node"].op, Input):
            raise GraphError(f"{outputs[0]}: the target, {target}, must be an Input")
        return graph, outputs[0], target
    for output in outputs:
        if graph.nodes[output]["node"].op.reduces:
            raise GraphError(
                f"{output}: is a loss beside other outputs; to train, make it the only "
                "one: `values` gives what other nodes hold"
            )
    known = {row.build.__name__: row for row in losses.ROWS}
    row = known.get(kind if isinstance(kind, str) else getattr(kind, "__name__", ""))
    if isinstance(kind, str) and row is None:
        raise Error(f"loss: expected one of {', '.join(known)}, got {kind!r}")
    build: Any = kind if row is None else row.build
    by_class = row is not None and row.op.reads[-1] == "int64"
    holds_softmax = build in (losses.softmax_cross_entropy, losses.soft_cross_entropy)
    shape = node.shape[:-1] if by_class else node.shape
    target_node = new_input(shape or (), dtype="int64" if by_class else "real")
    graph = graph.copy()
    target = free(graph, "labels")
    graph.add_node(target, node=target_node)
    parts: list[str] = []
    for output in outputs:
        node = graph.nodes[output]["node"]
        if holds_softmax and isinstance(node.op, softmax.Softmax):
            output = readers(graph, output)[0]
            node = graph.nodes[output]["node"]
        made = build(node, target_node, **settings)
        parts.append(grow(graph, "loss", made, (output, target)))
    end = parts[0]
    if len(parts) > 1:
        parts = [
            grow(graph, "share", arithmetic.scale(graph.nodes[p]["node"], s), (p,))
            for p, s in zip(parts, shares, strict=True)
        ]
        end = parts[0]
        for one in parts[1:]:
            both = (graph.nodes[name]["node"] for name in (end, one))
            end = grow(graph, "sum", arithmetic.add(*both), (end, one))
    return graph, end, target


def free(graph: Graph, name: str) -> str:
    """The name, with as many underscores as make it new."""
    while name in graph:
        name += "_"
    return name


def grow(graph: Graph, name: str, node: Node, sources: Sequence[str]) -> str:
    """Add a node under a new name; the name."""
    name = free(graph, name)
    graph.add_node(name, node=node)
    for slot, source in enumerate(sources):
        graph.add_edge(source, name, slot=slot)
    return name


def shares(
    labels: np.ndarray, classes: int, smoothing: float, weights: np.ndarray | None
) -> np.ndarray:
    """The target of `soft_cross_entropy` that stands for class numbers.

    Each row is (1 - smoothing) [label] + smoothing / c, times the weight of its class
    over the mean weight in the batch.

    Examples
    --------
    >>> shares(np.array([1, 0]), 2, 0.0, np.array([1.0, 3.0]))
    array([[0. , 1.5],
           [0.5, 0. ]])
    """
    q = np.full((*labels.shape, classes), smoothing / classes)
    np.put_along_axis(q, labels[..., None], 1 - smoothing + smoothing / classes, -1)
    if weights is not None:
        found = weights[labels]
        q *= (found / found.mean())[..., None]
    return q
