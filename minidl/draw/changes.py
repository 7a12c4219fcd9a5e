"""What differs between two networks as one picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import networkx as nx

from ..graph import show
from ..table import count, megabytes
from .blocks import sketch
from .columns import wrap
from .drawing import MARGIN, Edge
from .fold import Block
from .label import Label, clean, terse
from .layout import layout
from .legend import heading, key, moved
from .picture import Picture, paint

if TYPE_CHECKING:
    from ..compare import Change, Diff

SIGNS = {"added": "+ ", "removed": "- ", "changed": "± ", "same": ""}
LINES = 4  # what changed of a node, at most


def changes(diff: Diff) -> Picture:
    """Both networks in one: what came, what went, what changed, the rest in grey."""
    nodes, reads, gone = _union(diff)

    def tell(alike: Sequence[str], says: str) -> Label:
        return _label([nodes[name] for name in alike], says)

    def close(block: Block, alike: Sequence[str]) -> Label | None:
        if any(nodes[name].what != "same" for name in alike):
            return None
        many = sum(1 for _ in block.nodes())
        last = nodes[alike[-1]].item
        title = block.title
        if not block.path[-1:] or not block.path[-1]:
            title = clean(f"{alike[0]} … {alike[-1]}")
        return Label(title, f"{many} nodes, unchanged", (show(last.shape),), "same",
                     f"{title}: unchanged")  # fmt: skip

    kinds = {
        name: (one.what, one.item.kind, repr(one.item.settings), one.item.shape,
               tuple(text for text in one.says if text != one.renamed))
        for name, one in nodes.items()
    }  # fmt: skip
    shown = sketch(reads, kinds, tell, close)
    found = layout(shown)

    def look(edge: Edge) -> str:
        if (edge.source, edge.target) in gone:
            return "went"
        ends = {nodes[one].what for one in (edge.source, edge.target) if one in nodes}
        return "went" if "removed" in ends else "came" if "added" in ends else "edge"

    title = f"{clean(diff.names[0])} -> {clean(diff.names[1])}"
    body = paint(wrap(found, None), title, look=look)
    shapes, top, edge = heading(title, _summary(diff))
    counts = {
        what: sum(one.what == what for one in diff.nodes)
        for what in ("added", "removed", "changed", "same")
    }
    styles = [(what, f"{SIGNS[what]}{n} {what}") for what, n in counts.items() if n]
    legend, top, right = key(styles, MARGIN, top)
    shapes += legend
    shapes += [moved(one, 0, top) for one in body.shapes]
    wide = max(edge, right, body.width - MARGIN) + MARGIN
    return Picture(title, wide, top + body.height, tuple(shapes))


def _summary(diff: Diff) -> list[str]:
    """From how much to how much: parameters, MACs, memory."""
    units: tuple[tuple[Callable[[int], str], str], ...] = (
        ("{:,}".format, "parameters"), (count, "MACs"),
        (megabytes, "kept for the adjoint"),
    )  # fmt: skip
    said = []
    for old, new, (unit, what) in zip(*diff.totals, units, strict=True):
        if old or new:
            both = [unit(old), unit(new)] if old != new else [unit(old)]
            said.append(f"{' -> '.join(both)} {what}")
    return ["  ·  ".join(said)]


def _union(
    diff: Diff,
) -> tuple[dict[str, Change], dict[str, list[str]], set[tuple[str, str]]]:
    """Names for all nodes, what each reads, on either side; the edges that went."""
    names: dict[tuple[str, str], str] = {}
    nodes: dict[str, Change] = {}
    taken = {one.new.name for one in diff.nodes if one.new}
    for one in diff.nodes:
        name = one.name
        while one.new is None and name in taken:
            name += "_"
        taken.add(name)
        nodes[name] = one
        if one.old:
            names["old", one.old.name] = name
        if one.new:
            names["new", one.new.name] = name
    graph, gone = nx.DiGraph(), set()
    graph.add_nodes_from(nodes)
    for name, one in nodes.items():
        for side, item in (("new", one.new), ("old", one.old)):
            for source in item.reads if item else ():
                start = names.get((side, source))
                if start is None or start == name or graph.has_edge(start, name):
                    continue
                if side == "old":
                    kept = one.new is not None and nodes[start].new is not None
                    if kept and not any(text.startswith("reads ") for text in one.says):
                        continue  # something was put between
                    if nx.has_path(graph, name, start):
                        continue  # it would close a circle
                    gone.add((start, name))
                graph.add_edge(start, name)
    order = {name: i for i, name in enumerate(nodes)}
    sequence = nx.lexicographical_topological_sort(graph, key=order.__getitem__)
    return nodes, {name: [*graph.pred[name]] for name in sequence}, gone


def _label(alike: Sequence[Change], head: str) -> Label:
    """What a node was and is; the costs are those of all copies."""
    one = alike[0]
    item, sign = one.item, SIGNS[one.what]
    given = {k: v for k, v in item.settings.items() if k not in ("then", "by")}
    op = f"{item.kind} {terse(given, max(len(item.shape) - 1, 1))}".strip()
    lines = [text for text in one.says if text != one.renamed]
    if one.renamed:
        lines.insert(0, f"was {one.old.name if one.old else ''}")
    if one.what in ("added", "removed"):
        lines.append(show(item.shape))
    costs = [sum(c.deltas[k] for c in alike) for k in range(3)]
    says: tuple[tuple[Callable[[int], str], str], ...] = (
        ("{:,}".format, " parameters"), (count, " MACs"), (megabytes, " kept"),
    )  # fmt: skip
    said = [
        f"{'+' if n > 0 else '-'}{unit(abs(n))}{what}"
        for n, (unit, what) in zip(costs, says, strict=True) if n
    ]  # fmt: skip
    lines = lines[:LINES]
    lines += ["  ·  ".join(said[i : i + 2]) for i in range(0, len(said), 2)]
    hover = f"{one.what}: {item.name}" + (f" ({', '.join(one.says)})" if one.says else
                                          "")  # fmt: skip
    if one.what == "same":
        lines = []
    return Label(
        sign + clean(head), clean(op), tuple(map(clean, lines)), one.what,
        clean(hover, 300),
    )  # fmt: skip
