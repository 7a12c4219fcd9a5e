"""One layout for all pictures: layers of boxes from top to bottom, blocks in frames.

A block is laid out by itself and is then a box for what is around it; an edge into it
passes a port in its frame.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from .blocks import Arrow, Scene
from .drawing import HEAD, LINE, MARGIN, PAD, TEXT, TITLE, Box, Edge, Frame, Layout
from .fold import Block, Id
from .label import Label, width
from .level import Level, Vertex

SEAM = 2  # between the boxes of a stack


def layout(scene: Scene) -> Layout:
    """Coordinates for all that a scene holds."""
    found = Layout()
    inner = _block(scene.root, scene.arrows, scene.labels)
    found.add(inner, MARGIN, MARGIN)
    found.width, found.height = inner.width + 2 * MARGIN, inner.height + 2 * MARGIN
    return found


def size(label: Label) -> tuple[int, int]:
    """Of the box around a label."""
    first = width(label.head, HEAD) * 1.1
    first += width(f"  {label.op}", TEXT) if label.op else 0
    widest = max(first, *(width(t, TEXT) for t in label.lines), 30)
    return 2 * round(widest / 2) + 20, LINE * (1 + len(label.lines)) + 9


def _stack(names: Sequence[Id], labels: Mapping[Id, Label]) -> Layout:
    """Boxes on top of each other."""
    sizes = [size(labels[name]) for name in names]
    wide, y = max(w for w, _ in sizes), 0.0
    found = Layout(width=wide)
    for name, (_, high) in zip(names, sizes, strict=True):
        found.boxes.append(Box(name, labels[name], 0, y, wide, high))
        y += high + SEAM
    found.height = y - SEAM
    found.outs = {names[-1]: wide / 2}
    return found


def _block(
    block: Block, arrows: Sequence[Arrow], labels: Mapping[Id, Label]
) -> Layout:
    """A block with its ports; without a frame around it."""
    home = {
        name: i for i, item in enumerate(block.items)
        for name in (item.nodes() if isinstance(item, Block) else item)
    }  # fmt: skip
    inner: list[list[Arrow]] = [[] for _ in block.items]
    lines: dict[tuple[Id, Id, int], tuple[Vertex, Vertex]] = {}
    for source, target, slot in arrows:
        s = home.get(source, ("in", source))
        t = home.get(target, ("out", source))
        for one in {s, t}:
            if isinstance(one, int) and isinstance(block.items[one], Block):
                inner[one].append((source, target, slot))
        if s != t:
            leaf = isinstance(t, int) and not isinstance(block.items[t], Block)
            key = (source, target, slot) if leaf else (source, t, -1)
            lines[key] = s, t
    parts = [
        _framed(item, inner[i], labels) if isinstance(item, Block)
        else _stack(item, labels)
        for i, item in enumerate(block.items)
    ]  # fmt: skip
    return Level(parts, lines).drawn()


def _framed(
    block: Block, arrows: Sequence[Arrow], labels: Mapping[Id, Label]
) -> Layout:
    """A block in its frame; its ports lie on the frame."""
    inner = _block(block, arrows, labels)
    top = PAD + (TITLE - PAD // 2 if block.title else 0)
    title = 2 * math.ceil(width(block.title, TEXT) * 0.55) + 2 * PAD
    shift = PAD
    if inner.ins and block.title:  # the title stands left of what comes in
        shift = max(PAD, title - PAD // 2 - math.floor(min(inner.ins.values())))
        shift += shift % 2
    wide = max(inner.width + shift + PAD, title)
    found = Layout(width=wide, height=inner.height + top + PAD)
    found.frames.append(Frame(block.title, 0, 0, 0, found.width, found.height))
    found.add(inner, shift, top)
    found.ins = {one: x + shift for one, x in inner.ins.items()}
    found.outs = {one: x + shift for one, x in inner.outs.items()}
    for one, x in found.ins.items():
        found.edges.append(Edge(one, None, ((x, 0), (x, top)), ends=False))
    for one, x in found.outs.items():
        end = found.height
        found.edges.append(Edge(one, None, ((x, end - PAD), (x, end)), ends=False))
    return found
