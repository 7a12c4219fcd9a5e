"""What a caller passes, checked against what the graph expects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import networkx as nx
import numpy as np

from .graph import Input, Node, show
from .network import Graph, order, readers
from .spec import DataError, GraphError, Shape


def checked(name: str, node: Node, array: Any) -> np.ndarray:
    """The array for an Input, or an error that says what it should have been."""
    op = node.op
    if (  # what nearly all calls bring: then there is nothing to say
        isinstance(op, Input) and op.dtype == "real" and isinstance(array, np.ndarray)
        and array.dtype.kind == "f" and array.shape[1:] == op.shape and array.size
    ):
        return array
    if not isinstance(op, Input):
        raise GraphError(f"{name}: expected an Input, found {op.kind}")
    wanted = f"{name}: expected {_article(op.dtype)} array of shape (batch, " + (
        ", ".join("any" if s is None else str(s) for s in op.shape) + ")"
    )
    if not isinstance(array, np.ndarray):
        try:
            array = np.asarray(array)
        except ValueError as error:
            raise DataError(f"{wanted}, got {type(array).__name__}: {error}") from None
    kind = array.dtype.kind
    if op.dtype == "real":
        floats(wanted, array)
    elif op.dtype == "uint8" and array.dtype != np.uint8:
        raise DataError(f"{wanted}, got {array.dtype}")
    elif op.dtype == "int64" and kind not in "iu":
        if kind != "f" or not np.all(np.isfinite(array)):
            bad = "; it holds NaN or infinity" if kind == "f" else ""
            raise DataError(f"{wanted}, got {array.dtype}{bad}")
        raise DataError(f"{wanted}, got {array.dtype}; use labels.astype('int64')")
    if array.ndim != len(op.shape) + 1:
        hint = "; use x[None] for a batch of one" if array.ndim == len(op.shape) else ""
        raise DataError(f"{wanted}, got shape {array.shape}{hint}")
    if not len(array):
        raise DataError(f"{wanted}, got an empty batch: {array.shape}")
    if any(s is not None and s != a
           for s, a in zip(op.shape, array.shape[1:], strict=True)):
        hint = ""
        if len(op.shape) == 3 and array.shape[1] == op.shape[-1]:
            hint = "; channels come last: use x.transpose(0, 2, 3, 1)"
        raise DataError(f"{wanted}, got shape {array.shape}{hint}")
    if 0 in array.shape:
        raise DataError(f"{wanted}, got an empty array: {array.shape}")
    return array


def arrays(
    where: str, graph: Graph, names: Sequence[str], x: tuple[Any, ...]
) -> dict[str, np.ndarray]:
    """The arrays for these inputs, by name, checked; `x` may be a tuple within one."""
    if len(x) == 1 and isinstance(x[0], tuple):
        x = x[0]
    if len(x) != len(names):
        raise DataError(
            f"{where}: expected {len(names)} arrays, for {', '.join(names)}, got "
            f"{len(x)}"
        )
    given = {
        name: checked(name, graph.nodes[name]["node"], array)
        for name, array in zip(names, x, strict=True)
    }
    if len({len(array) for array in given.values()}) > 1:
        batches = {name: len(array) for name, array in given.items()}
        raise DataError(f"{where}: the inputs differ in batch size: {batches}")
    for name, array in given.items():
        if array.dtype.kind != "f":
            check_labels(graph, name, array)
    return given


def seeds(
    where: str, names: Sequence[str], shapes: Sequence[Shape], epsilon: Any
) -> list[np.ndarray]:
    """The arrays that flow into nodes whose x have these shapes, checked."""
    given = epsilon if isinstance(epsilon, tuple) else (epsilon,)
    if len(given) != len(names):
        raise DataError(
            f"{where}: expected an epsilon for each of {', '.join(names)}, got "
            f"{len(given)}"
        )
    found = []
    for name, shape, seed in zip(names, shapes, given, strict=True):
        found.append(floats(f"epsilon of {name}", seed))
        if found[-1].shape != shape:
            raise DataError(
                f"epsilon of {name}: expected shape {shape}, like the node's x, got "
                f"{found[-1].shape}"
            )
    return found


def floats(wanted: str, array: Any) -> np.ndarray:
    """The array, which must hold floats."""
    array = np.asarray(array)
    if array.dtype.kind != "f":
        whole = array.dtype.kind in "iub"
        hint = "; convert it with x.astype('float32')" if whole else ""
        raise DataError(f"{wanted}, got {array.dtype}{hint}")
    return array


def check_labels(graph: Graph, name: str, array: np.ndarray) -> None:
    """Class numbers must be below the number of classes of the loss that reads them."""
    if array.dtype.kind not in "iu" or array.dtype == np.uint8:
        return
    for reader in graph.successors(name):
        if graph.nodes[reader]["node"].op.reduces:
            scores = readers(graph, reader)[0]
            classes = graph.nodes[scores]["node"].shape[-1]
            bad = np.flatnonzero((array < 0) | (array >= classes))
            if bad.size:
                raise DataError(
                    f"{name}: expected classes 0 to {classes - 1}, as {scores} has "
                    f"{classes} channels, got {array.flat[bad[0]]} at entry {bad[0]} "
                    f"({bad.size} of {array.size} are out of range)"
                )


def _article(dtype: str) -> str:
    return {"real": "a float", "uint8": "a uint8", "int64": "an integer"}[dtype]


def inferred(graph: Graph, given: Mapping[str, Shape]) -> dict[str, Shape]:
    """The shape of every node that follows from these inputs, without the batch."""
    found = dict(given)
    for name in order(graph):
        sources = readers(graph, name)
        if sources and found.keys() >= set(sources):
            op = graph.nodes[name]["node"].op
            found[name] = op.infer(*(found[one] for one in sources)).x
    return found


def filled(name: str, shape: Shape, size: Sequence[int] | None) -> Shape:
    """The shape with `size` in its open axes."""
    free = iter(size or ())
    filled = tuple(next(free, None) if s is None else s for s in shape)
    if None in filled:
        raise DataError(
            f"{name}: its shape {show(shape)} leaves axes open; say "
            "size=(height, width)"
        )
    return filled


def targets(graph: Graph) -> dict[str, str]:
    """Inputs, and what a loss compares each with: that depends on none of them."""
    found: dict[str, str] = {}
    for name in order(graph):
        if graph.nodes[name]["node"].op.reduces:
            sources = readers(graph, name)
            scores, target = sources[0], sources[-1]
            needs = {scores, *nx.ancestors(graph, scores)}
            free = needs.isdisjoint({target, *found})
            if free and isinstance(graph.nodes[target]["node"].op, Input):
                found.setdefault(target, scores)
    return found


def targeted(graph: Graph, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """The shapes of the inputs, and of the targets: the axes that one leaves open are
    as long as those of what a loss compares it with."""
    left = {one: at for one, at in targets(graph).items() if one not in shapes}
    if not left:
        return dict(shapes)
    found = inferred(graph, {name: shape[1:] for name, shape in shapes.items()})
    batch, made = next(iter(shapes.values()))[0], dict(shapes)
    for target, scores in left.items():
        mine = graph.nodes[target]["node"].shape
        axes = zip(mine, found.get(scores, ()), strict=False)  # labels have no channels
        free = tuple(size for own, size in axes if own is None)
        made[target] = (batch, *filled(target, mine, free))
    return made
