"""The graph as nested blocks: frames by name, stacks of nodes, repeats folded.

Nodes whose names begin alike (`layer1.0.conv1`, `layer1.0.bn1`) share a frame. A node
and the activations that follow it alone are a stack. Neighbours of equal structure
become one block that is drawn once, "x 3".
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import Any

import networkx as nx

from ..graph import show
from ..network import order, readers
from ..spec import entries
from .label import Cost, Label, clean, family, label

PERIOD = 40  # items: the longest pattern whose repeats are looked for
TRIES = 4  # of these patterns, the largest first
FOLLOWS = ("act", "norm")  # families that stack upon what they read

Id = Any  # a node's name, or the path of a block that is closed
Arrow = tuple[Id, Id, int]  # source, target, slot


@dataclass(frozen=True)
class Block:
    """Stacks of nodes and further blocks, in topological order."""

    path: tuple[str, ...]
    items: tuple[Block | tuple[Id, ...], ...]
    times: int = 1

    def nodes(self) -> Iterator[Id]:
        """All nodes inside, in order."""
        for item in self.items:
            yield from stack(item)

    @property
    def title(self) -> str:
        """The last part of its name, and how often it is there."""
        name = self.path[-1] if self.path else ""
        if name.isdigit() and len(self.path) > 1:
            name = ".".join(self.path[-2:])
        return clean(f"{name}  x {self.times}".strip() if self.times > 1 else name, 30)


@dataclass(frozen=True)
class Scene:
    """What is drawn: blocks in blocks, the label of each node, the edges."""

    root: Block
    labels: Mapping[Id, Label]
    arrows: tuple[Arrow, ...]


def scene(
    graph: nx.MultiDiGraph,
    detail: str = "shapes",
    fold: int | None = None,
    depth: int | None = None,
    costs: Mapping[str, Cost] | None = None,
) -> Scene:
    """The graph as a scene.

    `fold` is how many levels of blocks, from the outside, fold their repeats; `depth`
    how many are opened: a deeper one is a box of its own. None: all of them.
    """
    names = order(graph)
    reads = {name: readers(graph, name) for name in names}
    arrows = [(s, name, i) for name in names for i, s in enumerate(reads[name])]
    nodes = {name: graph.nodes[name]["node"] for name in names}
    joins = {
        name: reads[name][0] for name in names
        if family(nodes[name]) in FOLLOWS and len(reads[name]) == 1
        and graph.out_degree(reads[name][0]) == 1 and reads[reads[name][0]]
    }  # fmt: skip
    root = _tidy(_frames((), names, arrows, 0), joins)
    kinds = {
        name: (repr(node.op), node.shape, node.owner is node)
        for name, node in nodes.items()
    }
    stands: dict[Id, Id] = {}
    if fold is None or fold > 0:
        root = _fold(root, kinds, reads, fold, stands)
    shown: dict[Id, Label] = {}
    root = _open(root, depth, stands, lambda block: _closed(block, graph), shown)
    for path, inside in _places(root):
        if isinstance(inside, str):
            start = ".".join(path) + "."
            says = inside.removeprefix(start) if path else inside
            shown[inside] = label(inside, nodes[inside], detail, costs, says)
    return Scene(root, shown, tuple(_lifted(arrows, stands)))


def _frames(
    path: tuple[str, ...], names: Sequence[str], arrows: Sequence[Arrow], depth: int
) -> Block:
    """Nodes grouped by the next part of their names, where that makes no cycle."""
    parts: dict[str, tuple[str, ...]] = {}
    for name in names:
        found = tuple(name.split(".")[:-1])
        parts[name] = found if all(found) else ()
    level = dict.fromkeys(names, depth + 1)
    while True:
        home = {
            n: parts[n][: level[n]] if len(parts[n]) >= level[n] else (n, "")
            for n in names
        }
        members: dict[tuple[str, ...], list[str]] = {}
        for name in names:
            members.setdefault(home[name], []).append(name)
        quotient = nx.DiGraph()
        quotient.add_nodes_from(members)
        quotient.add_edges_from(
            (home[s], home[t]) for s, t, _ in arrows if home[s] != home[t]
        )
        knots = [
            one for knot in nx.strongly_connected_components(quotient)
            if len(knot) > 1 for one in knot
        ]  # fmt: skip
        if not knots:
            break
        for one in knots:
            for name in members[one]:
                level[name] += 1
    first = {one: i for i, one in enumerate(members)}
    sequence = nx.lexicographical_topological_sort(quotient, key=first.__getitem__)
    inner: dict[tuple[str, ...], list[Arrow]] = {}
    for arrow in arrows:
        if home[arrow[0]] == home[arrow[1]]:
            inner.setdefault(home[arrow[0]], []).append(arrow)
    items: list[Block | tuple[Id, ...]] = []
    for one in sequence:
        if one[-1] == "":
            items.append((one[0],))
        else:
            items.append(_frames(one, members[one], inner.get(one, []), len(one)))
    return Block(path, tuple(items))


def _tidy(block: Block, joins: Mapping[Id, Id]) -> Block:
    """Stacks made; frames around one thing opened."""
    items: list[Block | tuple[Id, ...]] = []
    ends: dict[Id, int] = {}  # the last node of a stack -> where the stack is
    for item in block.items:
        if isinstance(item, Block):
            inner = _tidy(item, joins)
            items += inner.items if len(inner.items) == 1 else (inner,)
        elif (at := ends.get(joins.get(item[0], ()))) is not None:
            items[at] = (*stack(items[at]), *item)
            ends[item[0]] = at
            continue
        else:
            items.append(item)
        if not isinstance(items[-1], Block):
            ends[items[-1][-1]] = len(items) - 1
    return replace(block, items=tuple(items))


def stack(item: Block | tuple[Id, ...]) -> tuple[Id, ...]:
    """The nodes of an item, in order."""
    return tuple(item.nodes()) if isinstance(item, Block) else item


Kinds = Mapping[Id, Hashable]
Reads = Mapping[Id, Sequence[Id]]


def _structure(
    nodes: Sequence[Id], kinds: Kinds, reads: Reads
) -> tuple[Hashable, list[Id]]:
    """What makes two windows equal, and what this one reads from outside, in order."""
    at = {name: i for i, name in enumerate(nodes)}
    outside: dict[Id, int] = {}
    found = []
    for name in nodes:
        sources = tuple(
            at[s] if s in at else -1 - outside.setdefault(s, len(outside))
            for s in reads[name]
        )
        found.append((kinds[name], sources))
    return tuple(found), [*outside]


def _fold(
    block: Block, kinds: Kinds, reads: Reads, levels: int | None, stands: dict[Id, Id]
) -> Block:
    """Runs of equal windows of items, each drawn once; `stands` says who for whom."""
    items, n = block.items, len(block.items)
    inside = [stack(item) for item in items]
    numbers: dict[Hashable, int] = {}
    sort = [
        numbers.setdefault(_structure(nodes, kinds, reads)[0], len(numbers))
        for nodes in inside
    ]
    runs: list[list[tuple[int, int]]] = [[] for _ in items]  # that begin here
    for period in range(1, min(PERIOD, n // 2) + 1):
        run = 0
        for i in range(n - period - 1, -1, -1):
            run = run + 1 if sort[i] == sort[i + period] else 0
            if run >= period:
                runs[i].append((run // period + 1, period))
    users: dict[Id, list[Id]] = {}
    for name in (one for nodes in inside for one in nodes):
        for source in reads[name]:
            users.setdefault(source, []).append(name)
    found: list[Block | tuple[Id, ...]] = []
    deeper = None if levels is None else levels - 1
    i = 0
    while i < n:
        times, period = 1, 1
        for count, step in sorted(runs[i], key=lambda r: (r[1] - r[0] * r[1], r[1]))[
            :TRIES
        ]:
            windows = (
                [x for nodes in inside[k : k + step] for x in nodes]
                for k in range(i, i + count * step, step)
            )
            if (alike := _alike(windows, kinds, reads, users)) > 1:
                times, period = alike, step
                break
        first = [x for nodes in inside[i : i + period] for x in nodes]
        for k in range(i + period, i + times * period, period):
            copy = [x for nodes in inside[k : k + period] for x in nodes]
            stands.update(zip(copy, first, strict=True))
        item = items[i]
        if period > 1:
            item = Block((*block.path, ""), items[i : i + period])
        if isinstance(item, Block) and levels != 1:
            item = _fold(item, kinds, reads, deeper, stands)
        if times > 1:
            if not isinstance(item, Block) or item.times > 1:
                item = Block((*block.path, ""), (item,))
            item = replace(item, times=times)
        found.append(item)
        i += times * period
    return replace(block, items=tuple(found))


def _alike(
    windows: Iterator[Sequence[Id]], kinds: Kinds, reads: Reads,
    users: Mapping[Id, Sequence[Id]],
) -> int:  # fmt: skip
    """How many of the windows follow each other, each read by the next alone."""
    links: list[Id] | None = None
    count, first, given = 0, None, []
    for before, here in pairwise(chain([[]], windows)):
        same, outside = _structure(here, kinds, reads)
        if not count:
            first, given, count = same, outside, 1
            continue
        at = {name: i for i, name in enumerate(before)}
        allowed = {*before, *here}
        alone = all(u in allowed for name in before for u in users.get(name, ()))
        link = [at.get(o, (o,)) for o in outside]
        if (
            same != first or not alone or links not in (None, link)
            or all(isinstance(one, tuple) for one in link)
            or any(o not in at and o != z for o, z in zip(outside, given, strict=True))
        ):
            break
        links, count = link, count + 1
    return count


def _closed(block: Block, graph: nx.MultiDiGraph) -> Label:
    """The label of a block that is not opened."""
    nodes = [graph.nodes[name]["node"] for name in block.nodes()]
    theta = {
        (node.owner, k): p for node in nodes for k, p in node.spec.theta.items()
    }
    total = sum(entries(p.shape) for p in theta.values() if not p.buffer)
    lines = [show(nodes[-1].shape)]
    if total:
        lines[0] += f"  ·  {total:,} parameters"
    many = f"{len(nodes)} nodes"
    return Label(block.title or many, many if block.title else "", tuple(lines),
                 "block", clean(".".join(block.path) or many))  # fmt: skip


def _open(
    block: Block, depth: int | None, stands: dict[Id, Id],
    close: Callable[[Block], Label], shown: dict[Id, Label],
) -> Block:  # fmt: skip
    """Blocks that lie deeper than `depth` as boxes."""
    if depth is None:
        return block
    items: list[Block | tuple[Id, ...]] = []
    for k, item in enumerate(block.items):
        if not isinstance(item, Block):
            items.append(item)
        elif depth > 0:
            items.append(_open(item, depth - 1, stands, close, shown))
        else:
            key = (*block.path, k, *item.path)
            shown[key] = close(item)
            stands.update(dict.fromkeys(item.nodes(), key))
            items.append((key,))
    return replace(block, items=tuple(items))


def _places(block: Block) -> Iterator[tuple[tuple[str, ...], Id]]:
    for item in block.items:
        if isinstance(item, Block):
            yield from _places(item)
        else:
            path = tuple(part for part in block.path if part)
            yield from ((path, one) for one in item)


def _lifted(arrows: Iterable[Arrow], stands: Mapping[Id, Id]) -> Iterator[Arrow]:
    """Edges between what is drawn: those into a folded copy are its original's."""
    seen = set()
    for source, target, slot in arrows:
        s, t = _stand(source, stands), _stand(target, stands)
        hidden = t != target and not isinstance(t, tuple)
        if hidden or s == t:
            continue
        arrow = (s, t, -1 if isinstance(t, tuple) else slot)
        if arrow not in seen:
            seen.add(arrow)
            yield arrow


def _stand(name: Id, stands: Mapping[Id, Id]) -> Id:
    while name in stands:
        name = stands[name]
    return name
