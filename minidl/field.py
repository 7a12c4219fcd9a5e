"""Receptive fields: what a position of a node sees of the nodes before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from typing import Any

import networkx as nx
import numpy as np

from .graph import show
from .inputs import inferred
from .network import order, readers
from .spec import DataError, GraphError, Shape
from .table import table


@dataclass(frozen=True)
class Reach:
    """Along one axis, position j of a node reads the input from `first + jump j` on,
    `size` places in all, borders aside."""

    size: int
    jump: int
    first: int


@dataclass(frozen=True)
class Field:
    """What a position of a node sees; `print(field)` shows it.

    Attributes
    ----------
    node, position
        Whose field it is.
    shares
        By node, for each of its positions, how much it counts: from the chosen position
        on every node counts all that it reads alike, and paths add up. What is 0 is out
        of sight; what the sum lacks to 1 fell on padding.
    reach
        By node, for each axis the field of any of its positions on the input: size,
        jump, first. None where positions differ in more than their place.
    shapes
        By node.
    """

    name: str
    node: str
    position: tuple[int, ...]
    shares: dict[str, np.ndarray]
    reach: Mapping[str, tuple[Reach, ...] | None]
    shapes: Mapping[str, Shape]

    def box(self, node: str) -> tuple[tuple[int, int], ...] | None:
        """The first and the last place that is seen of a node, along each axis."""
        places = np.argwhere(self.shares[node] > 0)
        if not len(places):
            return None
        return tuple((int(each.min()), int(each.max())) for each in places.T)

    def rows(self) -> list[tuple[str, ...]]:
        """For each node, the last one first, name, shape, field, jump, first, seen."""
        found: list[tuple[str, ...]] = []
        for name in reversed(self.shares):
            reach, box = self.reach[name], self.box(name)
            size = across([one.size for one in reach]) if reach else "-"
            jump = across([one.jump for one in reach], False) if reach else "-"
            first = across([one.first for one in reach], False) if reach else "-"
            seen = "nothing" if box is None else (
                ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in box) or "all"
            )
            shape = show(self.shapes[name])
            found.append((name, shape, size, jump, first, seen))
        return found

    def __str__(self) -> str:
        at = f" at {', '.join(map(str, self.position))}" if self.position else ""
        head = ("node", "output", "field", "jump", "first", "seen of it")
        return f"{self.name}: what {self.node}{at} sees\n{table(head, self.rows())}"


def across(sizes: Sequence[int], every: bool = True) -> str:
    """Sizes along axes; where they need not all be said, one stands for equal ones.

    Examples
    --------
    >>> across([7, 7]), across([2, 2], every=False), across([2, 1], every=False)
    ('7x7', '2', '2x1')
    """
    alike = not every and len(set(sizes)) == 1
    return "x".join(map(str, sizes[:1] if alike else sizes)) or "-"


def receptive_field(
    model: Any,
    node: str | None = None,
    position: Sequence[int] | int | None = None,
    size: Sequence[int] | None = None,
) -> Field:
    """What a position of a node sees of every node before it, through all paths.

    Parameters
    ----------
    model
        A model.
    node
        Its name; the last one with more than one position, unless given.
    position
        Where on its map: (row, column); the middle, unless given.
    size
        What stands for the axes that the input leaves open.

    Examples
    --------
    >>> import minidl as dl
    >>> field = dl.receptive_field(dl.models.alexnet(), "pool5", (3, 3))
    >>> field.reach["pool5"][0]
    Reach(size=195, jump=32, first=-64)
    >>> field.box("image")
    ((32, 226), (32, 226))
    """
    graph = model.graph
    names = order(graph)
    shapes = concrete(model, size)
    if node is None:
        wide = [name for name in names if any(n > 1 for n in shapes[name][:-1])]
        node = wide[-1] if wide else names[-1]
    if node not in graph:
        near = get_close_matches(str(node), names, 3)
        meant = f"; did you mean {' or '.join(near)}?" if near else ""
        raise GraphError(f"{model.name}: no node is called {node!r}{meant}")
    at = _position(node, position, shapes[node][:-1])
    before = {*nx.ancestors(graph, node), node}
    names = [name for name in names if name in before]
    shares = {node: np.zeros(shapes[node][:-1])}
    shares[node][at] = 1
    for name in reversed(names):
        share = shares.setdefault(name, np.zeros(shapes[name][:-1]))
        sources = readers(graph, name)
        if sources:
            op = graph.nodes[name]["node"].op
            each = op.field(share, *(shapes[one] for one in sources))
            for one, part in zip(sources, each, strict=True):
                shares[one] = shares.get(one, 0) + part
    reach: dict[str, tuple[Reach, ...] | None] = {}
    for name in names:
        reach[name] = _reach(graph, name, reach, shapes)
    return Field(
        model.name, node, at, {name: shares[name] for name in names}, reach,
        {name: shapes[name] for name in names},
    )  # fmt: skip


def concrete(model: Any, size: Sequence[int] | None) -> dict[str, Shape]:
    """The shape of each node, with `size` for open axes."""
    shapes = model._shapes(1, size)
    return inferred(model.graph, {name: shape[1:] for name, shape in shapes.items()})


def _position(
    node: str, position: Sequence[int] | int | None, sizes: Shape
) -> tuple[int, ...]:
    """The position, if the map has it."""
    if position is None:
        return tuple(n // 2 for n in sizes)
    at = (position,) if isinstance(position, int) else tuple(position)
    whole = all(isinstance(i, int) or hasattr(i, "__index__") for i in at)
    if not whole or len(at) != len(sizes) or any(
        not 0 <= i < n for i, n in zip(at, sizes, strict=True)
    ):
        ranges = ", ".join(f"0 to {n - 1}" for n in sizes)
        expected = f"({ranges})" if sizes else "() for a vector"
        raise DataError(f"{node}: position: expected {expected}, got {position!r}")
    return tuple(map(int, at))


def _reach(
    graph: nx.MultiDiGraph, name: str,
    reach: Mapping[str, tuple[Reach, ...] | None], shapes: Mapping[str, Shape],
) -> tuple[Reach, ...] | None:  # fmt: skip
    """The field of any position: r + (k - 1) d j, j s, f - p j, over all inputs."""
    sources = readers(graph, name)
    if not sources:
        return tuple(Reach(1, 1, 0) for _ in shapes[name][:-1])
    op = graph.nodes[name]["node"].op
    axes = op.windows(*(shapes[one] for one in sources))
    given = [reach[one] for one in sources]
    if axes is None or any(a is None or b is None for a, b in pairwise([*given, ()])):
        return None
    found = []
    for along, axis in enumerate(axes):
        each = [one[along] for one in given if one is not None]
        first, jump = min(one.first for one in each), each[0].jump
        end = max(one.first + one.size for one in each)
        if any(one.jump != jump for one in each):
            return None
        found.append(
            Reach(end - first + (axis.reach - 1) * jump, jump * axis.stride,
                  first - axis.before * jump)
        )  # fmt: skip
    return tuple(found)
