"""A chain as the lectures draw it: volumes in perspective, a kernel between them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx

from ..field import concrete
from ..graph import Node, show
from ..network import order, readers
from ..spec import DataError, Shape
from .drawing import LINE, MARGIN, TEXT, Point
from .label import caption, clean, family, hover, terse, width
from .legend import heading
from .picture import Line, Picture, Rect, Shape as Drawn, Text

TALL, THICK = 190, 2.4  # of the largest map, of a channel (times its root)
SLANT, SINK = 0.42, 0.62  # how far a map reaches back, and up
GAP = 26  # between volumes
PAGE = 1500  # about how wide a row may be
VECTOR = 9  # how wide a vector is


@dataclass(frozen=True)
class Volume:
    """The value of a node and of those after it that keep its place and shape."""

    names: tuple[str, ...]
    node: Node
    shape: Shape
    tall: float  # in pixels: height, channels, and width in perspective
    thick: float
    back: float

    @property
    def words(self) -> list[str]:
        """What stands below it."""
        op, axes = self.node.op, max(len(self.shape) - 1, 1)
        said = [clean(self.names[0], 24), show(self.shape)]
        how = terse(op.settings(), axes).split(",") if hasattr(op, "kernel") else [""]
        return [*said, clean(f"{op.kind} {how[0]}".strip(), 24)]

    @property
    def wide(self) -> float:
        """With its words."""
        words = max(width(line, TEXT) for line in self.words) * 1.05
        return max(self.thick + self.back, math.ceil(words))


def volumes(model: Any, size: Sequence[int] | None = None) -> Picture:
    """The longest chain of a model as volumes; what passes it by as arcs above."""
    graph = model.graph
    names = order(graph)
    shapes = concrete(model, size)
    path = nx.dag_longest_path(nx.DiGraph(graph.edges())) if graph.edges else names[:1]
    chain, home = _chain(graph, path, shapes)
    arcs = _arcs(model.name, graph, path, home)
    rows = _rows(chain)
    nodes = {name: graph.nodes[name]["node"] for name in names}
    found, top, edge = heading(clean(model.name), [caption(nodes, "shapes", None)])
    at: dict[int, tuple[int, float]] = {}
    for k, row in enumerate(rows):
        x = float(MARGIN)
        for i in row:
            at[i] = k, x
            x += chain[i].wide + GAP
        edge = max(edge, x - GAP)
    spans = _stacked(arcs)
    for k, row in enumerate(rows):
        depth = [spans[arc] for arc in arcs if {at[arc[0]][0], at[arc[1]][0]} & {k}]
        over = 14.0 * max(depth, default=0)
        high = max(chain[i].tall + chain[i].back * SINK for i in row)
        middle = top + over + high - max(chain[i].tall for i in row) / 2
        for i in row:
            volume, left = chain[i], at[i][1] + _aside(chain[i])
            if i:
                near = at[i - 1][1] + _aside(chain[i - 1]) if i - 1 in row else None
                found += _link(chain[i - 1], near, volume, left, middle)
            found += _body(volume, left, middle)
            low = middle + max(chain[j].tall for j in row) / 2 + LINE
            found += _words(volume, at[i][1] + volume.wide / 2, low)
        roof = top + over
        for arc in arcs:
            ends = [(j, at[j][1]) for j in arc if at[j][0] == k]
            found += _arc(arc, ends, chain, at, k, middle, roof - 14 * spans[arc],
                            edge)  # fmt: skip
        top = low + 2 * LINE + 24
    return Picture(clean(model.name), edge + MARGIN, top, tuple(found))


def _chain(
    graph: nx.MultiDiGraph, path: Sequence[str], shapes: Mapping[str, Shape]
) -> tuple[list[Volume], dict[str, int]]:
    """Volumes along a path, and in which of them each of its nodes is."""
    found: list[tuple[list[str], Shape]] = []
    home = {}
    for name in path:
        node, shape = graph.nodes[name]["node"], shapes[name]
        if len(shape) > 3:
            raise DataError(
                f"draw: {name} is {show(shape)}: volumes have at most height, width "
                "and channels; draw the network instead"
            )
        moves = family(node) in ("linear", "pool")
        flat = len(shape) == 1 and not node.spec.theta and family(node) == "shape"
        if not found or moves or (shape != found[-1][1] and not flat):
            found.append(([name], shape))
        else:
            found[-1][0].append(name)
        home[name] = len(found) - 1
    most = max((max(shape[:-1], default=1) for _, shape in found), default=1)
    chain = []
    for names, shape in found:
        node = graph.nodes[names[0]]["node"]
        h, w = (1, *shape[:-1])[-2:] if len(shape) > 1 else (1, 1)
        c = shape[-1] if shape else 1
        if len(shape) > 1:
            scale = [max(TALL * math.sqrt(n / most), 7) for n in (h, w)]
            sizes = scale[0], max(THICK * math.sqrt(c), 5), scale[1] * SLANT
        else:
            sizes = min(max(THICK * math.sqrt(c), 12), TALL), VECTOR, 5
        chain.append(Volume(tuple(names), node, shape, *map(round, sizes)))
    return chain, home


def _arcs(
    title: str, graph: nx.MultiDiGraph, path: Sequence[str], home: Mapping[str, int]
) -> list[tuple[int, int]]:
    """From which volume to which other ways lead, past the path."""
    on = {name: i for i, name in enumerate(path)}
    begins: dict[str, tuple[int, int]] = {}  # off the path: where from, layers passed
    found = set()
    for name in order(graph):
        sources = readers(graph, name)
        if name not in on:
            here = [
                (home[s], 0) if s in on else begins[s]
                for s in sources
            ] or [(0, 0)]  # fmt: skip
            first, layers = min(here)[0], max(n for _, n in here)
            layers += family(graph.nodes[name]["node"]) == "linear"
            if layers > 1:
                raise DataError(
                    f"draw: {title} is no chain: a branch of several layers passes "
                    f"{name}; volumes are for chains, with skips at most; draw the "
                    "network instead"
                )
            begins[name] = first, layers
            continue
        for source in sources:
            if source in on and on[source] == on[name] - 1:
                continue
            start = home[source] if source in on else begins[source][0]
            if start < home[name]:
                found.add((start, home[name]))
    return sorted(found)


def _stacked(arcs: Sequence[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """How high each arc goes: over those that lie within it."""
    found: dict[tuple[int, int], int] = {}
    for arc in sorted(arcs, key=lambda a: (a[1] - a[0], a)):
        over = [
            found[one] for one in found if one[0] < arc[1] and arc[0] < one[1]
        ]  # fmt: skip
        found[arc] = 1 + max(over, default=0)
    return found


def _rows(chain: Sequence[Volume]) -> list[range]:
    """Rows of about the same width."""
    total = sum(one.wide + GAP for one in chain)
    count = max(1, math.ceil(total / PAGE))
    found: list[range] = []
    start, filled = 0, 0.0
    for i, one in enumerate(chain):
        filled += one.wide + GAP
        if filled >= total / count * (len(found) + 1) - 1 or i == len(chain) - 1:
            found.append(range(start, i + 1))
            start = i + 1
    return found


def _aside(one: Volume) -> float:
    return (one.wide - one.thick - one.back) / 2


def _face(one: Volume, x: float, middle: float, u: float, v: float) -> Point:
    """A place on the map at the right: u from front to back, v from top to bottom."""
    return (x + one.thick + u * one.back,
            middle + (v - 0.5) * one.tall - u * one.back * SINK)  # fmt: skip


def _polygon(points: Sequence[Point], style: str, **how: Any) -> Line:
    pieces = tuple(("L", (one,)) for one in (*points[1:], points[0]))
    return Line(points[0], pieces, style, filled=True, **how)


def _body(one: Volume, x: float, middle: float) -> Iterator[Drawn]:
    """Three faces: the front, the top and the map at the right."""
    style, top = family(one.node), middle - one.tall / 2
    title = hover(one.names[0], one.node)
    rise = one.back * SINK
    front = Rect(x, top, one.thick, one.tall, style, 0, title, 1.1)
    yield front
    yield _polygon(
        [(x, top), (x + one.back, top - rise), (x + one.thick + one.back, top - rise),
         (x + one.thick, top)], style, title=title, thick=1.1,
    )  # fmt: skip
    yield _polygon([_face(one, x, middle, u, v) for u, v in
                    ((0, 0), (1, 0), (1, 1), (0, 1))], style, title=title, thick=1.1)


def _link(
    source: Volume, near: float | None, target: Volume, x: float, middle: float
) -> Iterator[Drawn]:
    """A window on the map before, and lines from it to the place that it makes."""
    if near is None:
        return
    to = (x, middle - target.tall * 0.05)
    alone = len(source.shape) > 1 and len(target.node.inputs) == 1
    axes = target.node.op.windows(source.shape) if alone else None
    if axes is None or len(target.shape) < 2:
        ends = [(0.5 * source.tall, 0.5 * target.tall), (-0.5 * source.tall,
                                                         -0.5 * target.tall)]
        for a, b in ends:
            start = (near + source.thick, middle + a)
            yield Line(start, (("L", ((x, middle + b),)),), "edge", dashed=True,
                       thick=0.8)  # fmt: skip
        return
    h, w = (1, *source.shape[:-1])[-2:]
    kh, kw = (1, *(axis.reach for axis in axes))[-2:]
    down = min(max(kh / h, 4 / source.tall), 1)
    right = min(max(kw / w, 4 / max(source.back, 4)), 1)
    u, v = (1 - right) / 2, (1 - down) * 0.45
    window = [
        _face(source, near, middle, u + right * a, v + down * b)
        for a, b in ((0, 0), (1, 0), (1, 1), (0, 1))
    ]
    for corner in window:
        yield Line(corner, (("L", (to,)),), "edge", thick=0.6)
    yield _polygon(window, "peak", thick=1.4)


def _words(one: Volume, middle: float, low: float) -> Iterator[Drawn]:
    name, *rest = one.words
    yield Text(middle, low, ((name, TEXT, "ink"),))
    for i, line in enumerate(rest, 1):
        yield Text(middle, low + i * (LINE - 2), ((line, TEXT - 1, "soft"),))


def _arc(
    arc: tuple[int, int], ends: Sequence[tuple[int, float]], chain: Sequence[Volume],
    at: Mapping[int, tuple[int, float]], row: int, middle: float, y: float, edge: float,
) -> Iterator[Drawn]:  # fmt: skip
    """An arrow over what lies between; over the end of a row it goes on in the next."""
    first, last = arc
    if not ends and not at[first][0] < row < at[last][0]:
        return

    def roof(i: int) -> Point:
        one = chain[i]
        x = at[i][1] + _aside(one) + (one.thick + one.back) / 2
        return x, middle - one.tall / 2 - one.back * SINK - 2

    here = [i for i, _ in ends]
    points: list[Point] = []
    if first in here:
        x, top = roof(first)
        points += [(x + 4, top), (x + 4, y)]
    else:
        points.append((MARGIN / 2, y))
    if last in here:
        x, top = roof(last)
        points += [(x - 4, y), (x - 4, top)]
    else:
        points.append((edge + MARGIN / 2, y))
    pieces = tuple(("L", (one,)) for one in points[1:])
    yield Line(points[0], pieces, "edge", arrow=last in here, thick=1)
