"""What stands in the place of a node's op: another adjoint, or the op at inference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np

from .graph import Op
from .spec import GraphError, Shape

Rule = Callable[[np.ndarray, Any, np.ndarray], Any]


def ruled(
    where: str, graph: nx.MultiDiGraph, rules: Mapping[str | type[Op], Rule]
) -> dict[str, Op]:
    """The ops with another adjoint, by node name."""
    found: dict[str, Op] = {}
    for key, rule in rules.items():
        hit = [
            name for name, data in graph.nodes(data=True)
            if key in (name, type(data["node"].op))
        ]
        if not hit:
            raise GraphError(f"{where}: no node is, or is named, {key!r} (a rule)")
        for name in hit:
            found[name] = Ruled(graph.nodes[name]["node"].op, rule)
    return found


def still(
    graph: nx.MultiDiGraph, owners: Mapping[str, str], frozen: Set[str]
) -> dict[str, Op]:
    """The nodes all of whose parameters are frozen, as they are at inference."""
    found: dict[str, Op] = {}
    for name, data in graph.nodes(data=True):
        node = data["node"]
        owner = owners.get(name, name)
        learned = [f"{owner}.{k}" for k, p in node.spec.theta.items() if not p.buffer]
        if learned and frozen >= set(learned):
            found[name] = node.op.inference()
    return found


@dataclass(frozen=True)
class Ruled(Op):
    """An op whose adjoint is another rule: rule(epsilon, z, x) -> delta"""

    op: Op
    rule: Rule

    keeps = ("z", "x")

    def infer(self, *z: Shape) -> Any:
        return self.op.infer(*z)

    def book(self, z: Any, x: Shape, threads: int, itemsize: int) -> Any:
        return self.op.book(z, x, threads, itemsize)

    def prepare(self, theta: Any) -> Any:
        return self.op.prepare(theta)

    def forward(self, z: Any, theta: Any, x: Any, tape: Any, scratch: Any) -> Any:
        return self.op.forward(z, theta, x, tape, scratch)

    def inference(self) -> Op:
        return Ruled(self.op.inference(), self.rule)

    def adjoint(
        self, epsilon: Any, z: Any, theta: Any, x: Any, tape: Any, scratch: Any,
        delta: Any, g: Any,
    ) -> None:
        found = self.rule(epsilon, z, x)
        many = isinstance(delta, tuple)
        for into, value in zip(
            delta if many else (delta,), found if many else (found,), strict=True
        ):
            if into is not None:
                into[...] = value
        for into in vars(g).values():  # the rule knows of no parameters
            if into is not None:
                into[...] = 0
