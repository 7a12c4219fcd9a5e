"""The layout of one block: what reads what, from top to bottom.

A layer is the distance from the block's ports. An edge that passes layers goes between
their boxes or, where another path leads to the same place, along a channel at the side.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import networkx as nx
import numpy as np

from .drawing import LANE, ROW, TRACK, Edge, Layout, Point
from .fold import Id

ACROSS, DOWN = 24, 26  # between places of a layer, between layers
PORT = 16  # between the ends of two edges at one box
ROUNDS = 4  # of ordering; more did not take away crossings in the zoo's networks
ASIDE = 120  # pixels: what is further from the middle of a frame does not move it
LONG = 8  # layers: longer edges go to a channel in any case

Vertex = Any  # an item's index, ("in", id), ("out", id), or an edge and a layer


class Level:
    """The layout of one block, whose parts are laid out already."""

    def __init__(
        self,
        parts: Sequence[Layout],
        lines: Mapping[tuple[Id, Id, int], tuple[Vertex, Vertex]],
    ) -> None:
        self.parts, self.lines = parts, lines
        ports = dict.fromkeys(
            one for pair in lines.values() for one in pair if not isinstance(one, int)
        )
        self.vertices: list[Vertex] = [
            *(p for p in ports if p[0] == "in"), *range(len(parts)),
            *(p for p in ports if p[0] == "out"),
        ]  # fmt: skip
        graph = nx.DiGraph()
        graph.add_nodes_from(self.vertices)
        graph.add_edges_from(lines.values())
        self.graph = graph
        self.rank = self._ranks()
        self.layers: list[list[Vertex]] = [
            [] for _ in range(max(self.rank.values(), default=-1) + 1)
        ]
        for one in self.vertices:
            self.layers[self.rank[one]].append(one)
        self.paths: dict[Any, list[Vertex]] = {}
        self.channels: list[Any] = []
        self._route()
        self._order()
        self.x = self._columns()

    def _ranks(self) -> dict[Vertex, int]:
        """The longest way from the ports above; ports below come last of all."""
        graph, rank = self.graph, {}
        first = int(any(_port(v, "in") for v in self.vertices))
        for i, generation in enumerate(nx.topological_generations(graph)):
            rank.update(dict.fromkeys(generation, i))
        if first:
            for v in nx.topological_sort(graph):
                if isinstance(v, int):
                    rank[v] = max((rank[p] + 1 for p in graph.pred[v]), default=1)
        for v in self.vertices:  # what reads nothing stands right above its reader
            if isinstance(v, int) and not graph.pred[v] and graph.succ[v]:
                rank[v] = max(min(rank[r] for r in graph.succ[v]) - 1, first)
        last = max((rank[v] for v in range(len(self.parts))), default=0)
        below = {v: last + 1 for v in self.vertices if _port(v, "out")}
        return rank | below

    def _route(self) -> None:
        """Which edges pass between boxes, and which go along a channel."""
        bit = {v: 1 << i for i, v in enumerate(self.vertices)}
        # the vertices from which one is reached, as bits; over: by more than one edge
        above: dict[Vertex, int] = {}
        over: dict[Vertex, int] = {}
        for v in nx.topological_sort(self.graph):
            above[v] = over[v] = 0
            for p in self.graph.pred[v]:
                over[v] |= above[p]
                above[v] |= above[p] | bit[p]
        for key, (s, t) in self.lines.items():
            a, b = self.rank[s], self.rank[t]
            if b - a > 1 and (b - a > LONG or over[t] & bit[s]):
                self.channels.append(key)
                continue
            passed = [(key, i) for i in range(a + 1, b)]
            for place in passed:
                self.layers[place[1]].append(place)
            self.paths[key] = [s, *passed, t]
        self.above: dict[Vertex, list[tuple[Any, Vertex]]] = {}
        self.below: dict[Vertex, list[tuple[Any, Vertex]]] = {}
        for key, path in self.paths.items():
            for p, q in pairwise(path):
                self.above.setdefault(q, []).append((key, p))
                self.below.setdefault(p, []).append((key, q))

    def _order(self) -> None:
        """Fewer crossings: each layer follows the mean of its neighbours, in turns."""
        at: dict[Vertex, float] = {}
        for turn in range(2 * ROUNDS):
            near = self.below if turn % 2 else self.above
            for layer in self.layers[::-1] if turn % 2 else self.layers:
                if len(layer) > 1:
                    mean = {
                        v: _mean([at.get(q, 0.0) for _, q in near.get(v, [(0, v)])])
                        for v in layer
                    }
                    layer.sort(key=mean.__getitem__)
                at.update({v: k - (len(layer) - 1) / 2 for k, v in enumerate(layer)})

    def _wide(self, v: Vertex) -> float:
        return self.parts[v].width if isinstance(v, int) else 0

    def _high(self, v: Vertex) -> float:
        return self.parts[v].height if isinstance(v, int) else 0

    def _out(self, v: Vertex, key: Any) -> float:
        """Where an edge leaves, from the middle."""
        if not isinstance(v, int):
            return 0
        part = self.parts[v]
        return part.outs.get(key[0], part.width / 2) - part.width / 2

    def _in(self, v: Vertex, key: Any) -> float:
        """Where an edge comes in, from the middle."""
        if not isinstance(v, int) or not self.parts[v].ins:
            return 0
        part = self.parts[v]
        return part.ins[key[0]] - part.width / 2

    def _pull(self, away: float) -> float:
        """How far a port that lies so far from the middle pulls a frame aside."""
        return away if abs(away) < ASIDE else 0

    def _columns(self) -> dict[Vertex, float]:
        """The middle of each place: near its neighbours, in order, without overlap."""
        x: dict[Vertex, float] = {}
        for down in (True, False, True):
            near = self.above if down else self.below
            for layer in self.layers if down else reversed(self.layers):
                want = []
                for v in layer:
                    found = [
                        x[q] + self._pull(self._out(q, key) - self._in(v, key)) if down
                        else x[q] + self._pull(self._in(q, key) - self._out(v, key))
                        for key, q in near.get(v, ()) if q in x
                    ]  # fmt: skip
                    want.append(_mean(found) if found else x.get(v, 0.0))
                x.update(zip(layer, _apart(want, [*map(self._wide, layer)]),
                             strict=True))  # fmt: skip
        return {v: math.floor(value + 0.5) for v, value in x.items()}

    def drawn(self) -> Layout:
        """Coordinates for all."""
        lanes, sides, tracks = self._lanes()
        tops, bottoms = self._rows(tracks)
        found = Layout()
        left = min((self.x[v] - self._wide(v) / 2 for v in self.x), default=0)
        left = min([left, *lanes.values()])
        right = max((self.x[v] + self._wide(v) / 2 for v in self.x), default=0)
        right = max([right, *lanes.values()])
        found.width = 2 * math.ceil((right - left) / 2)  # even: ports meet exactly
        found.height = bottoms[-1] if bottoms else 0
        y = {
            v: (tops[r] + bottoms[r] - self._high(v)) / 2
            for r, layer in enumerate(self.layers) for v in layer
        }  # fmt: skip
        for v in range(len(self.parts)):
            corner = self.x[v] - self._wide(v) / 2 - left, y[v]
            found.add(self.parts[v], *corner)
        ports = self._ports(sides)
        for key, path in self.paths.items():
            s, t = path[0], path[-1]
            leave = self.x[s] + self._out(s, key)
            points = [(leave, y[s] + self._high(s)), (leave, bottoms[self.rank[s]])]
            for v in path[1:-1]:
                points += [(self.x[v], tops[v[1]]), (self.x[v], bottoms[v[1]])]
            points += [(ports[key], tops[self.rank[t]]), (ports[key], y[t])]
            self._edge(found, key, points, left, square=False)
        for key in self.channels:
            points = self._bracket(key, lanes[key], sides, tracks, y, ports, bottoms)
            self._edge(found, key, points, left, square=True)
        for v in self.vertices:
            if not isinstance(v, int):
                where = found.ins if v[0] == "in" else found.outs
                where[v[1]] = self.x[v] - left
        return found

    def _edge(
        self, into: Layout, key: Any, points: list[Point], left: float, square: bool
    ) -> None:
        points = [(x - left, y) for x, y in points]
        t = self.lines[key][1]
        ends = isinstance(t, int) and not self.parts[t].ins
        target = key[1] if ends else None
        into.edges.append(
            Edge(key[0], target, tuple(dict.fromkeys(points)), square, ends)
        )

    def _rows(self, tracks: Mapping[Any, Any]) -> tuple[list[float], list[float]]:
        """The top and the bottom of each layer."""
        more = [0] * (len(self.layers) + 1)  # tracks in the gap above each layer
        for (gap, _), k in tracks.items():
            more[gap] = max(more[gap], k + 1)
        tops: list[float] = []
        bottoms: list[float] = []
        y = 0.0
        for r, layer in enumerate(self.layers):
            high = max((self._high(v) for v in layer), default=0)
            if r:
                port = not high or tops[-1] == bottoms[-1]
                y += TRACK * more[r] + DOWN / (2 if port else 1) + self._slant(r)
            tops.append(y)
            y += high
            bottoms.append(y)
        return tops, bottoms

    def _slant(self, r: int) -> int:
        """More room above a layer that edges come to from far at the side."""
        far = (
            abs(self.x[v] + self._in(v, key) - self.x[q] - self._out(q, key))
            for v in self.layers[r] for key, q in self.above.get(v, ())
        )  # fmt: skip
        return min(round(max(far, default=0) / 10), 24)

    def _lanes(self) -> tuple[dict[Any, float], dict[Any, Any], dict[Any, int]]:
        """For each channel its x; the sides it uses; its tracks in the gaps.

        Positions: 2 r is layer r, 2 r + 1 the gap below it.
        """
        n = 2 * len(self.layers)
        right, left = np.zeros(n), np.zeros(n)
        for r, layer in enumerate(self.layers):
            right[2 * r] = max(self.x[v] + self._wide(v) / 2 for v in layer)
            left[2 * r] = min(self.x[v] - self._wide(v) / 2 for v in layer)
        for r in range(1, n - 1, 2):
            right[r] = max(right[r - 1], right[r + 1])
            left[r] = min(left[r - 1], left[r + 1])
        lanes: dict[Any, float] = {}
        sides: dict[Any, Any] = {}
        tracks: dict[Any, int] = {}
        filled: dict[int, int] = {}
        length = {k: self.rank[t] - self.rank[s] for k, (s, t) in self.lines.items()}
        for key in sorted(self.channels, key=length.__getitem__):
            s, t = self.lines[key]
            a, b = 2 * self.rank[s], 2 * self.rank[t]
            best = None
            for sign, edge in ((1, right), (-1, left)):
                begin = a + (not self._outermost(s, sign))
                stop = b - (not self._outermost(t, sign))
                part = edge[begin : stop + 1]
                x = float(part.max() if sign > 0 else part.min()) + sign * LANE
                cost = abs(x - self.x[s]) + abs(x - self.x[t])
                if best is None or cost < best[0] - LANE:
                    best = cost, sign, x, begin, stop
            _, sign, x, begin, stop = best  # type: ignore[misc]
            edge = right if sign > 0 else left
            edge[begin : stop + 1] = x
            lanes[key], sides[key] = x, (sign, begin == a, stop == b)
            for beside, gap, end in (
                (begin == a, self.rank[s] + 1, (key[0], s)),
                (stop == b, self.rank[t], (key, t)),
            ):
                if not beside and (gap, end) not in tracks:
                    tracks[gap, end] = filled.get(gap, 0)
                    filled[gap] = tracks[gap, end] + 1
        return lanes, sides, tracks

    def _outermost(self, v: Vertex, sign: int) -> bool:
        """Whether an edge can leave or come in at the side of a box."""
        if not isinstance(v, int) or self.parts[v].frames:
            return False
        return bool(self.layers[self.rank[v]][-1 if sign > 0 else 0] == v)

    def _bracket(
        self, key: Any, lane: float, sides: Mapping[Any, Any],
        tracks: Mapping[Any, int], y: Mapping[Vertex, float],
        ports: Mapping[Any, float], bottoms: Sequence[float],
    ) -> list[Point]:  # fmt: skip
        """From the box to its channel, along it, and back."""
        s, t = self.lines[key]
        sign, leaves, enters = sides[key]
        points: list[Point] = []
        if leaves:
            box, at = self.parts[s].boxes[-1], self._beside(key, s, sides)
            edge = self.x[s] + sign * self._wide(s) / 2
            height = y[s] + box.y + box.height * at
            points += [(edge, height), (lane, height)]
        else:
            x = self.x[s] + self._out(s, key)
            row = bottoms[self.rank[s]] + ROW
            row += TRACK * tracks[self.rank[s] + 1, (key[0], s)]
            points += [(x, y[s] + self._high(s)), (x, row), (lane, row)]
        if enters:
            box, at = self.parts[t].boxes[0], self._beside(key, t, sides)
            edge = self.x[t] + sign * self._wide(t) / 2
            height = y[t] + box.y + box.height * at
            points += [(lane, height), (edge, height)]
        else:
            row = bottoms[self.rank[t] - 1] + ROW
            row += TRACK * tracks[self.rank[t], (key, t)]
            points += [(lane, row), (ports[key], row), (ports[key], y[t])]
        return points

    def _beside(self, key: Any, v: Vertex, sides: Mapping[Any, Any]) -> float:
        """Which part of its height a box's side is met at."""
        meets = self._meets(sides)[v, sides[key][0]]
        return (meets.index((key, self.lines[key][0] == v)) + 1) / (len(meets) + 1)

    def _meets(self, sides: Mapping[Any, Any]) -> dict[Any, list[Any]]:
        """The channels at each side of a box: those from above come first."""
        if not hasattr(self, "_met"):
            self._met: dict[Any, list[Any]] = {}
            for key, (sign, leaves, enters) in sides.items():
                s, t = self.lines[key]
                if enters:
                    self._met.setdefault((t, sign), []).append((key, False))
                if leaves:
                    self._met.setdefault((s, sign), []).append((key, True))
            for ends in self._met.values():
                ends.sort(key=lambda end: end[1])
        return self._met

    def _ports(self, sides: Mapping[Any, Any]) -> dict[Any, float]:
        """Where each edge ends along the top of its box: in the order they come in, one
        from right above in the middle; at a frame, where it has its port."""
        into: dict[Vertex, list[Any]] = {}
        ports = {}
        for key, (_, t) in self.lines.items():
            if not isinstance(t, int) or self.parts[t].ins:
                ports[key] = self.x[t] + self._in(t, key)
            elif key in self.paths or not sides[key][2]:
                into.setdefault(t, []).append(key)
        for t, keys in into.items():
            comes = {}
            for key in keys:
                if key in self.paths:
                    v = self.paths[key][-2]
                    comes[key] = self.x[v] + self._out(v, key)
                else:
                    comes[key] = self.x[t] + sides[key][0] * self._wide(t)
            keys.sort(key=lambda key: (comes[key], key[2]))
            straight = [k for k, key in enumerate(keys) if comes[key] == self.x[t]]
            middle = straight[0] if len(straight) == 1 else (len(keys) - 1) / 2
            step = min(PORT, (self._wide(t) / 2 - PORT) / max(len(keys) - 1, 1))
            for k, key in enumerate(keys):
                ports[key] = self.x[t] + step * (k - middle)
        return ports


def _port(v: Vertex, side: str) -> bool:
    return isinstance(v, tuple) and v[0] == side


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _apart(want: Sequence[float], wide: Sequence[float]) -> list[float]:
    """Least squares: the middles nearest to `want` that keep order and distance.

    With the distances subtracted it is isotonic regression: pool what is out of order.
    """
    shift = [0.0]
    for a, b in pairwise(wide):
        shift.append(shift[-1] + (a + b) / 2 + ACROSS)
    pools: list[tuple[float, int]] = []  # mean, members
    for value, s in zip(want, shift, strict=True):
        pools.append((value - s, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, m), (b, n) = pools[-2:]
            pools[-2:] = [((a * m + b * n) / (m + n), m + n)]
    means = [mean for mean, members in pools for _ in range(members)]
    return [mean + s for mean, s in zip(means, shift, strict=True)]
