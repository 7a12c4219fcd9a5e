"""DOT, for Graphviz: it makes a layout of its own."""

from __future__ import annotations

import networkx as nx

from ..network import order, readers
from .label import label
from .svg import SHADES


def dot(graph: nx.MultiDiGraph, title: str) -> str:
    """The graph as DOT; nodes have ids of their own, as names may hold anything."""
    names = order(graph)
    ids = {name: f"n{i}" for i, name in enumerate(names)}
    lines = [
        f"digraph {quote(title)} {{",
        '  node [shape=box style="rounded,filled" fontname="Helvetica" fontsize=11]',
    ]
    for name in names:
        text = label(name, graph.nodes[name]["node"])
        fill, border = SHADES[text.family][0]
        lines.append(
            f"  {ids[name]} [label={quote(text.head, *text.lines)} "
            f'fillcolor="{fill}" color="{border}" tooltip={quote(text.title)}]'
        )
    for name in names:
        lines += [f"  {ids[source]} -> {ids[name]}" for source in readers(graph, name)]
    return "\n".join([*lines, "}", ""])


def quote(*lines: str) -> str:
    r"""Lines as a DOT string: Graphviz reads escapes and entities in it.

    Examples
    --------
    >>> print(quote('a "b" \\N', "R&D"))
    "a \"b\" \\N\nR&amp;D"
    """
    plain = (
        line.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
        for line in lines
    )
    return '"' + r"\n".join(plain) + '"'
