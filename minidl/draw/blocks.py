"""The graph as nested blocks: frames by name, stacks of nodes, repeats folded.

Nodes whose names begin alike (`layer1.0.conv1`, `layer1.0.bn1`) share a frame. A node
and the activations that follow it alone are a stack. Neighbours of equal structure
become one block that is drawn once, "x 3".
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import networkx as nx

from ..network import order, readers
from .fold import Block, Id, fold as folded, stack, stand
from .label import Cost, Label, block_label, family, label

FOLLOWS = ("act", "norm")  # families that stack upon what they read

Arrow = tuple[Id, Id, int]  # source, target, slot


@dataclass(frozen=True)
class Scene:
    """What is drawn: blocks in blocks, the label of each node, the edges; for each node
    that is drawn all those it stands for, itself the first."""

    root: Block
    labels: Mapping[Id, Label]
    arrows: tuple[Arrow, ...]
    copies: Mapping[Id, Sequence[str]]


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
    called = {node: name for name, node in nodes.items()}
    joins = {
        name: reads[name][0] for name in names
        if family(nodes[name]) in FOLLOWS and len(reads[name]) == 1
        and graph.out_degree(reads[name][0]) == 1 and reads[reads[name][0]]
    }  # fmt: skip
    root = _tidy(_frames((), names, arrows, 0), joins)
    kinds = {
        name: (repr(node.op), node.shape[:-1], node.owner is node)
        for name, node in nodes.items()
    }
    stands: dict[Id, Id] = {}
    if fold is None or fold > 0:
        root = folded(root, kinds, reads, fold, stands)
    hidden = dict(stands)  # what is folded, not what is closed below
    copies: dict[Id, list[str]] = {}  # each node drawn, and those it stands for
    for name in names:
        copies.setdefault(stand(name, stands), []).append(name)

    def close(block: Block) -> Label:
        inside = {one: nodes[one] for name in block.nodes() for one in copies[name]}
        many = sum(1 for _ in block.nodes())
        return block_label(block.title, block.path, many, inside, detail, costs)

    shown: dict[Id, Label] = {}
    root = _open(root, depth, stands, close, shown)
    for path, inside in _places(root):
        if isinstance(inside, str):
            start = ".".join(path) + "."
            says = inside.removeprefix(start) if path else inside
            alike = {one: nodes[one] for one in (inside, *copies[inside])}
            owner = called[nodes[inside].owner]
            shown[inside] = label(alike, detail, costs, says, owner)
    return Scene(root, shown, tuple(_lifted(arrows, stands, hidden)), copies)


def sketch(
    reads: Mapping[str, Sequence[str]],
    kinds: Mapping[str, Hashable],
    tell: Callable[[Sequence[str], str], Label],
    close: Callable[[Block, Sequence[str]], Label | None],
    fold: int | None = None,
) -> Scene:
    """A scene of names that need not be nodes, in an order that suits what they read.

    `tell` makes a label from a name with its copies and what to call it, `close` one
    for a block that need not be opened. Neighbours of equal kinds fold as in `scene`.
    """
    names = [*reads]
    arrows = [(s, name, i) for name in names for i, s in enumerate(reads[name])]
    stands: dict[Id, Id] = {}
    root = _tidy(_frames((), names, arrows, 0), {})
    if fold is None or fold > 0:
        root = folded(root, kinds, reads, fold, stands)
    hidden = dict(stands)  # what is folded, not what is closed below
    copies: dict[Id, list[str]] = {}
    for name in names:
        copies.setdefault(stand(name, stands), []).append(name)
    shown: dict[Id, Label] = {}

    def closed(block: Block) -> Block:
        items: list[Block | tuple[Id, ...]] = []
        for k, item in enumerate(block.items):
            if not isinstance(item, Block):
                items.append(item)
                continue
            alike = [one for name in item.nodes() for one in copies[name]]
            if (said := close(item, alike)) is None:
                items.append(closed(item))
                continue
            key = (*block.path, k, *item.path)
            shown[key] = said
            stands.update(dict.fromkeys(item.nodes(), key))
            items.append((key,))
        return replace(block, items=tuple(items))

    root = closed(root)
    for path, inside in _places(root):
        if isinstance(inside, str):
            start = ".".join(path) + "."
            says = inside.removeprefix(start) if path else inside
            alike = [inside, *(one for one in copies[inside] if one != inside)]
            shown[inside] = tell(alike, says)
    return Scene(root, shown, tuple(_lifted(arrows, stands, hidden)), copies)


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
    """Stacks made; frames around one thing opened, whose names a block takes over."""
    items: list[Block | tuple[Id, ...]] = []
    ends: dict[Id, int] = {}  # the last node of a stack -> where the stack is
    for item in block.items:
        if isinstance(item, Block):
            inner = _tidy(item, joins)
            if len(inner.items) > 1:
                items.append(inner)
            elif isinstance(only := inner.items[0], Block):
                items.append(replace(only, parts=only.parts + inner.parts))
            else:
                items.append(only)
        elif (at := ends.get(joins.get(item[0], ()))) is not None:
            items[at] = (*stack(items[at]), *item)
            ends[item[0]] = at
            continue
        else:
            items.append(item)
        if not isinstance(items[-1], Block):
            ends[items[-1][-1]] = len(items) - 1
    return replace(block, items=tuple(items))






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


def _lifted(
    arrows: Iterable[Arrow], stands: Mapping[Id, Id], hidden: Mapping[Id, Id]
) -> Iterator[Arrow]:
    """Edges between what is drawn: those into a folded copy are its original's."""
    seen = set()
    for source, target, slot in arrows:
        s, t = stand(source, stands), stand(target, stands)
        if target in hidden or s == t:
            continue
        arrow = (s, t, -1 if isinstance(t, tuple) else slot)
        if arrow not in seen:
            seen.add(arrow)
            yield arrow

