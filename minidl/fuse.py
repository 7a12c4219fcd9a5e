"""From a graph to calls at concrete shapes, and what joins the tail of what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx

from .graph import Op, show
from .network import order, readers
from .spec import GraphError, Shape, ShapeError

PLACES = {"affine": 1, "add": 2, "act": 3}  # the order in a Tail, its head included


@dataclass(frozen=True)
class Call:
    """A node at concrete shapes."""

    name: str
    op: Op
    inputs: tuple[str, ...]
    shape: tuple[int, ...]  # of x, the batch included
    dtype: str
    theta: Mapping[str, str]
    trained: frozenset[str]  # the local names in theta that have a gradient


def trace(
    graph: nx.MultiDiGraph,
    outputs: Sequence[str],
    shapes: Mapping[str, Shape],
    owners: Mapping[str, str],
    dtype: str,
    train: bool,
    grads: Mapping[str, Any],
    rules: Mapping[str, Op],
    exact: bool,
) -> dict[str, Call]:
    """The nodes that `outputs` need, in order, with every shape a number."""
    sequence = order(graph)
    wanted = set(outputs)
    for name in reversed(sequence):
        if name in wanted:
            wanted |= set(readers(graph, name))
    calls: dict[str, Call] = {}
    for name in sequence:
        if name not in wanted:
            continue
        node = graph.nodes[name]["node"]
        op = rules.get(name, node.op)
        sources = tuple(readers(graph, name))
        if sources:
            batch = calls[sources[0]].shape[:1]
            given = [calls[s].shape[1:] for s in sources]
            try:
                spec = op.infer(*given)
            except ShapeError as error:
                pairs = zip(sources, given, strict=True)
                came = ", ".join(f"{s} {show(g)}" for s, g in pairs)
                raise ShapeError(f"{name}: {error} [inputs: {came}]") from None
            if {k: p.shape for k, p in spec.theta.items()} != {
                k: p.shape for k, p in node.spec.theta.items()
            }:
                raise ShapeError(
                    f"{name}: its parameters depend on the size of the input"
                )
            shape = spec.x if op.reduces else (*batch, *spec.x)
        elif name in shapes:
            spec, shape = node.spec, tuple(shapes[name])
        else:
            raise GraphError(f"{name} is an input of the graph that gets no array")
        owner = owners.get(name, name)  # whose parameters it shares
        theta = {local: f"{owner}.{local}" for local in node.spec.theta}
        trained = frozenset(k for k, key in theta.items() if key in grads)
        op = op if train else op.inference()
        op = op.exact() if exact else op
        real = dtype if spec.dtype == "real" else spec.dtype
        calls[name] = Call(name, op, sources, shape, real, theta, trained)
    return calls


def shapes(calls: Mapping[str, Call], call: Call) -> Any:
    """The shape of z, or a tuple of shapes."""
    found = tuple(calls[one].shape for one in call.inputs)
    return found[0] if len(found) == 1 else found


def wanting(calls: Mapping[str, Call], deltas: Sequence[str]) -> set[str]:
    """The nodes whose epsilon leads to a wanted delta or gradient."""
    needed = set(deltas)
    for name, call in calls.items():
        if call.trained or any(one in needed for one in call.inputs):
            needed.add(name)
    return needed


def fuse(
    calls: Mapping[str, Call], outputs: set[str], needed: set[str]
) -> dict[str, tuple[str, ...]]:
    """What joins the tail of what: the head's name to the names that follow it.

    The adjoints still run node by node, but for those of a head that `folds`. So a
    value may vanish if its only reader joins and no adjoint rereads it.
    """
    users: dict[str, list[str]] = {name: [] for name in calls}
    for name, call in calls.items():
        for one in call.inputs:
            users[one].append(name)
    taken: set[str] = set()
    groups = {}
    for head, call in calls.items():
        tail: list[str] = []
        last, at = head, PLACES.get(call.op.joins or "", 0)
        while call.op.absorbs and len(users[last]) == 1 and last not in outputs:
            name = users[last][0]
            op = calls[name].op
            place_of = PLACES.get(op.joins or "", 0)
            reread = (last in needed and "x" in calls[last].op.keeps) or (
                name in needed and "z" in op.keeps
            )
            if name in taken or place_of <= at or reread:
                break
            tail.append(name)
            last, at = name, place_of
        taken |= {*tail}
        if tail:
            groups[head] = tuple(tail)
    return groups


def homes(
    calls: Mapping[str, Call], groups: Mapping[str, tuple[str, ...]], outputs: set[str],
    needed: set[str], itemsize: int,
) -> dict[str, tuple[str, int]]:
    """What is made where it is joined to others: the name of a node to that of a
    concatenation, and the channel of it where the node's own begin.

    That needs an op that can write there, readers that can read there, and no adjoint
    that rereads x.
    """

    def may(call: Call, what: str) -> bool:
        return what in call.op.slices(shapes(calls, call), call.shape, itemsize)

    parts = []
    for name, call in calls.items():
        starts = call.op.starts(*(calls[one].shape for one in call.inputs))
        parts += [(*each, name) for each in zip(call.inputs, starts, strict=False)]
    joined = {one for one, *_ in parts}
    whole = {
        one for call in calls.values() for one in joined.intersection(call.inputs)
        if not may(call, "z")
    }
    heads = {tail[-1]: calls[head] for head, tail in groups.items()}
    found: dict[str, tuple[str, int]] = {}
    for one, start, name in parts:
        head = heads.get(one, calls[one])
        tail = [calls[each].op.joins for each in groups.get(head.name, ())]
        reread = one in needed and "x" in calls[one].op.keeps
        if (
            one not in {*outputs, *whole, *found}
            and not reread
            and may(head, "x")
            and "add" not in tail  # which lies as x does where x is not a part
        ):
            found[one] = name, start
    return found
