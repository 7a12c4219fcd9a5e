"""The receptive field as a picture: what is seen of the input, and of every node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..field import Field, across
from ..graph import Input
from .blocks import scene
from .columns import wrap
from .drawing import MARGIN, TEXT
from .label import clean, width
from .layout import layout
from .legend import heading, key, moved, ticks
from .picture import Line, Picture, Rect, Shape, Text, paint

GRID, MOST = 360, 60  # pixels across an input, and cells
SMALL = 9
SHADES = (0.02, 0.1, 0.25, 0.45, 0.7)  # of the largest share: from one to the next


def sight(model: Any, field: Field) -> Picture:
    """The inputs with what is seen of them, beside the nodes with their fields."""
    at = f" ({', '.join(map(str, field.position))})" if field.position else ""
    title = f"{clean(field.name)}: what {clean(field.node)}{at} sees"
    reach = field.reach[field.node]
    lines = []
    if reach:
        size, jump, first = (
            across([getattr(one, what) for one in reach], every)
            for what, every in (("size", True), ("jump", False), ("first", False))
        )
        lines.append(
            f"a field of {size}, {jump} apart; that of position 0 begins at {first}"
        )
    inputs = [
        name for name in field.shares
        if isinstance(model.graph.nodes[name]["node"].op, Input)
    ]  # fmt: skip
    total = sum(float(field.shares[name].sum()) for name in inputs)
    lines.append(
        "the stronger the shade, the more paths lead there"
        + (f"; {1 - total:.0%} of them end on padding" if total < 0.995 else "")
    )
    shapes, top, edge = heading(title, lines)
    styles = [("heat0", "few paths"), ("heat3", "more"), ("heat5", "most"),
              ("inner", "not seen")]  # fmt: skip
    legend, top, right = key(styles, MARGIN, top)
    shapes += legend
    edge, low = max(edge, right), top + 20
    for name in inputs:
        part, wide, high = _input(name, field)
        shapes += [moved(one, MARGIN, low) for one in part]
        low, edge = low + high + 24, max(edge, MARGIN + wide)
    nodes = _nodes(model, field)
    shapes += [moved(one, edge + 10, 0) for one in nodes.shapes]
    wide, high = edge + 10 + nodes.width, max(low, nodes.height)
    return Picture(title, wide, high, tuple(shapes))


def _nodes(model: Any, field: Field) -> Picture:
    """The nodes that are seen, each with its field and what is seen of it."""
    shown = scene(model.graph.subgraph(field.shares), "plain", fold=0)
    labels = dict(shown.labels)
    for name, _, size, jump, first, seen in field.rows():
        said = f"field {size}  ·  jump {jump}  ·  first {first}"
        lines = (*((said,) if size != "-" else ()), f"seen: {seen}")
        mark = "peak" if name == field.node else ""
        labels[name] = replace(labels[name], lines=lines, mark=mark)
    return paint(wrap(layout(replace(shown, labels=labels)), None), "")


def _input(name: str, field: Field) -> tuple[list[Shape], float, float]:
    """The grid of an input in shades; its size."""
    share = field.shares[name]
    flat = share.reshape(-1, share.shape[-1] if share.ndim else 1)
    rows, columns = flat.shape
    once = -(-max(rows, columns) // MOST)  # places to a cell
    down, right = -(-rows // once), -(-columns // once)
    cells = np.zeros((down * once, right * once))
    cells[:rows, :columns] = flat
    cells = cells.reshape(down, once, right, once).sum((1, 3))
    side = max(GRID // max(down, right), 1)
    left, top = 34.0, 22.0
    wide, high = columns * side / once, rows * side / once
    said = f"{clean(name)}  {'x'.join(map(str, field.shapes[name]))}"
    shapes: list[Shape] = [Text(left, 12, ((said, TEXT, "ink"),), "start")]
    shapes.append(Rect(left, top, wide, high, "inner", 0, thick=1))
    shapes += _runs(cells, left, top, side, wide, high)
    for value in ticks(columns):
        if value < columns:
            x = left + (value + 0.5) * side / once
            shapes.append(Text(x, top + high + 12, ((f"{value}", SMALL, "soft"),)))
    for value in ticks(rows):
        if value < rows:
            y = top + (value + 0.5) * side / once + 3
            words = ((f"{value}", SMALL, "soft"),)
            shapes.append(Text(left - 5, y, words, "end"))
    if (box := field.box(name)) is not None and box:
        (a, b), (c, d) = (((0, 0), *box))[-2:]
        x, y = left + c * side / once, top + a * side / once
        across, over = (d - c + 1) * side / once, (b - a + 1) * side / once
        hover = f"rows {a} to {b}, columns {c} to {d}"
        corners = ((x + across, y), (x + across, y + over), (x, y + over), (x, y))
        shapes.append(Line((x, y), tuple(("L", (one,)) for one in corners), "peak",
                           title=hover, thick=2))  # fmt: skip
    return shapes, left + max(wide, width(said, TEXT)), top + high + 16


def _runs(
    cells: np.ndarray, left: float, top: float, side: float, wide: float, high: float
) -> Iterator[Shape]:
    """Neighbours of one shade in a row as one rectangle."""
    level = np.where(cells > 0, 1 + np.searchsorted(SHADES, cells / cells.max()), 0)
    for i, row in enumerate(level):
        start = 0
        for j in range(1, len(row) + 1):
            if j == len(row) or row[j] != row[start]:
                if row[start]:
                    x, y = left + start * side, top + i * side
                    w = min((j - start) * side, left + wide - x)
                    h = min(side, top + high - y)
                    yield Rect(x, y, w, h, f"heat{row[start] - 1}", 0, thick=0)
                start = j
