"""One layout for all formats: layers of boxes from top to bottom, edges as polylines.

A node's layer is its distance from the inputs. An edge that passes layers has a narrow
place of its own in each of them, so that it never runs through a box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import networkx as nx

from ..network import order, readers
from .label import Label, label, width

HEAD, TEXT, LINE = 14, 11, 16  # font sizes and line height, in pixels
ACROSS, DOWN = 24, 36  # between places of a layer, between layers
PORT = 14  # between the ends of two edges at one box
MARGIN = 20
ROUNDS = 4  # of ordering; more did not take away crossings in the zoo's networks
FAINT = 1e-3  # the pull of a skip connection: the main chain stays straight

Place = Any  # a node's name, or (source, target, slot, layer) where an edge passes
Paths = dict[tuple[str, str, int], list[Place]]  # (source, target, slot) -> its places


@dataclass(frozen=True)
class Box:
    """A node: its text and where it stands (x, y: the top left corner)."""

    name: str
    label: Label
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Edge:
    """From the bottom of a box to the top of another."""

    source: str
    target: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Layout:
    """A drawing of `width` by `height`, boxes and edges in a fixed order."""

    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    width: float
    height: float


def layout(graph: nx.MultiDiGraph) -> Layout:
    """Coordinates for every node and edge of `graph`."""
    names = order(graph)
    labels = {name: label(name, graph.nodes[name]["node"]) for name in names}
    sizes = {name: _size(labels[name]) for name in names}
    paths, layers = _layers(graph, names)
    x = _columns(graph, layers, paths, sizes)
    span, y = [], MARGIN  # the top and the bottom of each layer
    for layer in layers:
        height = max(sizes[p][1] for p in layer if p in sizes)
        span.append((y, y + height))
        y += height + DOWN
    rank = {place: i for i, layer in enumerate(layers) for place in layer}
    boxes = {}
    for name in names:
        w, h = sizes[name]
        top = sum(span[rank[name]]) / 2 - h / 2
        boxes[name] = Box(name, labels[name], x[name] - w / 2, top, w, h)
    ports = _ports(paths, x, sizes)
    edges = []
    for end, (source, *passed, target) in paths.items():
        start = boxes[source].y + boxes[source].height
        points = [(x[source], start), (x[source], span[rank[source]][1])]
        points += [(x[p], edge) for p in passed for edge in span[rank[p]]]
        points += [(ports[end], span[rank[target]][0]), (ports[end], boxes[target].y)]
        edges.append(Edge(source, target, tuple(dict.fromkeys(points))))
    right = [b.x + b.width for b in boxes.values()] + [e.points[0][0] for e in edges]
    right += [x[place] for place in x]
    return Layout(
        tuple(boxes.values()),
        tuple(edges),
        max(right, default=0) + MARGIN,
        max(y - DOWN, 0) + MARGIN,
    )


def _size(text: Label) -> tuple[int, int]:
    widest = max(width(text.head, HEAD) * 1.1, *(width(t, TEXT) for t in text.lines))
    return 2 * round(widest / 2) + 24, LINE * (1 + len(text.lines)) + 14


def _layers(
    graph: nx.MultiDiGraph, names: Sequence[str]
) -> tuple[Paths, list[list[Place]]]:
    """The places each edge visits, and those of each layer from left to right."""
    rank = {}
    for i, generation in enumerate(nx.topological_generations(graph)):
        rank.update(dict.fromkeys(generation, i))
    for name in names:  # what reads nothing stands right above its first reader
        if not graph.in_degree(name) and graph.out_degree(name):
            rank[name] = min(rank[r] for r in graph.successors(name)) - 1
    layers: list[list[Place]] = [[] for _ in range(max(rank.values(), default=-1) + 1)]
    for name in names:
        layers[rank[name]].append(name)
    paths: Paths = {}
    for target in names:
        for slot, source in enumerate(readers(graph, target)):
            between = range(rank[source] + 1, rank[target])
            passed = [(source, target, slot, i) for i in between]
            for place in passed:
                layers[place[3]].append(place)
            paths[source, target, slot] = [source, *passed, target]
    above, below = _neighbours(paths)
    at: dict[Place, float] = {}
    for turn in range(2 * ROUNDS):  # fewer crossings: follow the mean of the neighbours
        near = below if turn % 2 else above
        for layer in layers[::-1] if turn % 2 else layers:
            mean = {p: _mean([at.get(q, 0.0) for q in near.get(p, [p])]) for p in layer}
            layer.sort(key=mean.__getitem__)
            at.update({p: k - (len(layer) - 1) / 2 for k, p in enumerate(layer)})
    return paths, layers


def _neighbours(
    paths: Paths,
) -> tuple[dict[Place, list[Place]], dict[Place, list[Place]]]:
    above: dict[Place, list[Place]] = {}
    below: dict[Place, list[Place]] = {}
    for path in paths.values():
        for p, q in pairwise(path):
            above.setdefault(q, []).append(p)
            below.setdefault(p, []).append(q)
    return above, below


def _mean(values: Sequence[float], weights: Sequence[float] | None = None) -> float:
    weights = weights or [1.0] * len(values)
    return sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)


def _columns(
    graph: nx.MultiDiGraph,
    layers: list[list[Place]],
    paths: Paths,
    sizes: dict[str, tuple[int, int]],
) -> dict[Place, float]:
    """The middle of each place: near its neighbours, in order, without overlap."""
    above, below = _neighbours(paths)
    pull = {
        place: FAINT if place not in sizes and graph.out_degree(place[0]) > 1 else 1.0
        for layer in layers
        for place in layer
    }
    x: dict[Place, float] = {}
    for near, down in ((above, True), (below, False), (above, True)):
        for layer in layers if down else reversed(layers):
            want = []
            for place in layer:
                around = [q for q in near.get(place, [place]) if q in x]
                pulls = [pull[q] for q in around]
                want.append(_mean([x[q] for q in around], pulls) if around else 0.0)
            wide = [sizes[p][0] if p in sizes else 0 for p in layer]
            x.update(
                zip(layer, _apart(want, wide, [pull[p] for p in layer]), strict=True)
            )
    left = min((x[p] - sizes.get(p, (0, 0))[0] / 2 for p in x), default=0)
    return {place: round(value - left) + MARGIN for place, value in x.items()}


def _apart(
    want: Sequence[float], wide: Sequence[float], weight: Sequence[float]
) -> list[float]:
    """Least squares: the middles nearest to `want` that keep order and distance.

    With the distances subtracted it is isotonic regression: pool what is out of order.
    """
    shift = [0.0]
    for a, b in pairwise(wide):
        shift.append(shift[-1] + (a + b) / 2 + ACROSS)
    blocks: list[tuple[float, float, int]] = []  # mean, weight, members
    for value, s, w in zip(want, shift, weight, strict=True):
        blocks.append((value - s, w, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, v, m), (b, w, n) = blocks[-2:]
            blocks[-2:] = [(_mean((a, b), (v, w)), v + w, m + n)]
    means = [mean for mean, _, members in blocks for _ in range(members)]
    return [mean + s for mean, s in zip(means, shift, strict=True)]


def _ports(
    paths: Paths, x: dict[Place, float], sizes: dict[str, tuple[int, int]]
) -> dict[tuple[str, str, int], float]:
    """Where each edge ends along the top of its box: in the order they come in, one
    from right above in the middle."""
    into: dict[str, list[tuple[str, str, int]]] = {}
    for end in paths:
        into.setdefault(end[1], []).append(end)
    ports = {}
    for target, ends in into.items():
        ends.sort(key=lambda end: (x[paths[end][-2]], end[2]))
        straight = [k for k, end in enumerate(ends) if x[paths[end][-2]] == x[target]]
        middle = straight[0] if len(straight) == 1 else (len(ends) - 1) / 2
        step = min(PORT, (sizes[target][0] / 2 - PORT) / max(len(ends) - 1, 1))
        for k, end in enumerate(ends):
            ports[end] = x[target] + step * (k - middle)
    return ports
