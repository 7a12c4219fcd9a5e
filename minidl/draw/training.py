"""The training graph: beside each node its adjoint, what that reads, what it gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

import networkx as nx

from ..graph import Node, show
from ..network import order, readers
from ..plan import Plan, Step
from ..spec import entries
from ..table import count, megabytes
from .blocks import scene
from .costs import costs
from .drawing import MARGIN, TEXT, Box, Edge, Layout, Point
from .fold import Id
from .label import Label, clean, width
from .layout import layout
from .legend import heading, moved
from .picture import Line, Picture, Shape, Text, paint

GAP = 120  # between the forward and the adjoint half, where arrays wait
NEAR = 1.0  # pixels: an edge leaves a box


@dataclass(frozen=True)
class Back:
    """The adjoint of a node: the words for it, the bytes that it has waited for."""

    words: tuple[str, ...]
    waits: int = 0


def training(
    model: Any, plan: Plan, graph: nx.MultiDiGraph, fold: int | None, depth: int | None
) -> Picture:
    """The forward half at the left, the adjoint half beside it as its mirror."""
    nodes = {name: graph.nodes[name]["node"] for name in order(graph)}
    backs = _backs(model, plan, graph, nodes)
    shown = scene(graph, "shapes", fold, depth, costs(plan))
    peak = plan.steps[min(plan.peak_step, len(plan.steps) - 1)]
    labels, behind = dict(shown.labels), dict[Id, Label]()
    large, waits = dict(shown.labels), dict[Id, int]()
    for one, said in shown.labels.items():
        alike = _stands_for(one, shown, graph)
        some = [backs[name] for name in alike if name in backs]
        if not some:
            continue
        words = _words(some, isinstance(one, tuple))
        behind[one] = Label(said.head, "adjoint", words, said.family,
                            f"adjoint of {said.title}")  # fmt: skip
        if said.mark and peak.do == "adjoint":
            behind[one] = replace(behind[one], mark=said.mark)
            labels[one] = said = replace(said, mark="")
        if total := sum(back.waits for back in some):
            waits[one] = total
        both = zip_longest(said.lines, words, fillvalue="")
        lines = tuple(max(pair, key=lambda text: width(text, TEXT)) for pair in both)
        op = max(said.op, "adjoint", key=lambda text: width(text, TEXT))
        large[one] = replace(said, op=op, lines=lines)
    found = layout(replace(shown, labels=large))  # room for the text of both halves
    found.boxes = [replace(box, label=labels[box.name]) for box in found.boxes]
    return _drawn(model, plan, found, behind, waits, nodes)


def _stands_for(one: Id, shown: Any, graph: nx.MultiDiGraph) -> Sequence[str]:
    """All nodes that a box is drawn for."""
    if isinstance(one, str):
        return [one, *(n for n in shown.copies.get(one, ()) if n != one)]
    path = ".".join(part for part in one if isinstance(part, str) and part)
    return [name for name in graph if name.startswith(f"{path}.")] if path else []


def _backs(
    model: Any, plan: Plan, graph: nx.MultiDiGraph, nodes: Mapping[str, Node]
) -> dict[str, Back]:
    """Who has an adjoint, and what it says."""
    steps = {step.node: step for step in plan.steps if step.do == "adjoint"}
    frozen = model.frozen
    needed: set[str] = set()
    for name, node in nodes.items():
        own = model._owner.get(name, name)
        learns = any(
            not param.buffer and f"{own}.{k}" not in frozen
            for k, param in node.spec.theta.items()
        )
        if learns or any(one in needed for one in readers(graph, name)):
            needed.add(name)
    found = {}
    for name in needed:
        node = nodes[name]
        if (step := steps.get(name)) is not None:
            found[name] = _said(step, plan)
        elif node.op.passes or node.op.view:
            found[name] = Back(("epsilon passes on",))
        else:
            found[name] = Back(("in the step of a neighbour",))
    return found


def _said(step: Step, plan: Plan) -> Back:
    """What an adjoint step reads, and what it gives."""
    keeps = step.op.keeps if step.op else ()
    reads = {k: one for k, one in step.tape.items()}
    if "x" in keeps or step.tail:
        reads["x"] = -1 if step.x is None else step.x
    if "z" in keeps:
        reads |= {"z": step.z[0]} if step.z else {}
    some = {one for one in (*reads.values(), *(step.z if "z" in keeps else ()))
            if one >= 0}  # fmt: skip
    waits = sum(plan.regions[one].bytes for one in some)
    names = ", ".join(sorted(reads, key=lambda k: ("z", "x").index(k)
                             if k in ("z", "x") else 2))  # fmt: skip
    words = [f"reads {names}  ·  {megabytes(waits)}"] if names else []
    gives = [plan.regions[one] for one in step.delta if one is not None]
    given = f"delta {show(gives[0].shape[1:])}" if gives else "no delta"
    words.append(given if len(gives) < 2 else f"{len(gives)} deltas")
    g = {k: one for k, one in step.g.items() if one is not None}
    if g:
        learns = " and learns" if any(isinstance(v, str) for v in g.values()) else ""
        words.append(f"g: {', '.join(g)}{learns}")
    return Back(tuple(words), waits)


def _words(backs: Sequence[Back], block: bool) -> tuple[str, ...]:
    """Of a node and its copies, or of a block that is closed."""
    if not block:
        return backs[0].words
    total = sum(back.waits for back in backs)
    return (f"{len(backs)} adjoints", *((f"read {megabytes(total)}",) * bool(total)))


def _drawn(
    model: Any, plan: Plan, found: Layout, behind: Mapping[Id, Label],
    waits: Mapping[Id, int], nodes: Mapping[str, Node],
) -> Picture:  # fmt: skip
    """Both halves, and what waits between them."""
    across = 2 * found.width + GAP
    boxes = {box.name: box for box in found.boxes}
    mirror = Layout(width=across, height=found.height)
    for box in found.boxes:
        if box.name in behind:
            x = across - box.x - box.width
            mirror.boxes.append(
                Box(box.name, behind[box.name], x, box.y, box.width, box.height)
            )
    for frame in found.frames:
        inside = any(
            frame.x < one.x + one.width and one.x < frame.x + frame.width
            and frame.y < one.y < frame.y + frame.height
            for one in (boxes[name] for name in behind)
        )
        if inside:
            mirror.frames.append(
                replace(frame, x=across - frame.x - frame.width, title="")
            )
    mirror.edges = [*_backwards(found, boxes, behind, across)]
    left, right = paint(found, ""), paint(mirror, "", look=lambda edge: "gradient")
    shapes, top, edge = heading(f"{clean(model.name)}: a training step",
                                [_summary(plan, nodes)])  # fmt: skip
    styles = [("edge", "x"), ("gradient", "epsilon and delta"),
              ("kept", "kept for the adjoint")]  # fmt: skip
    legend, top, last = _lines(styles, top)
    shapes += legend
    body = [*left.shapes[: len(found.frames)], *right.shapes[: len(mirror.frames)]]
    first = len(mirror.frames) + len(mirror.edges)
    words: list[Shape] = []
    used: list[float] = []
    for name in sorted(waits, key=lambda one: (boxes[one].y, boxes[one].x)):
        box = boxes[name]
        y = _free(box, used)
        used.append(y)
        start, end = box.x + box.width, across - box.x - box.width
        said = megabytes(waits[name])
        body.append(
            Line((start, y), (("L", ((end, y),)),), "kept", arrow=True, dashed=True,
                 title=f"{clean(box.label.head)} keeps {said}", thick=1)
        )  # fmt: skip
        words.append(Text(across / 2, y - 3, ((said, TEXT - 1, "soft"),)))
    body += left.shapes[len(found.frames) :]
    body += right.shapes[len(mirror.frames) : first]
    ends = [box for box in found.boxes if box.name in behind]
    if ends:  # the loss: where epsilon begins
        box = max(ends, key=lambda one: one.y)
        y = box.y + box.height * 0.75
        start, stop = box.x + box.width, across - box.x - box.width
        body.append(Line((start, y), (("L", ((stop, y),)),), "gradient", arrow=True))
        words.append(Text(across / 2, y + 12, (("epsilon = 1", TEXT - 1, "soft"),)))
    body += [*right.shapes[first:], *words]
    shapes += [moved(one, 0, top) for one in body]
    wide = max(across, edge + MARGIN, last + MARGIN)
    return Picture(f"{clean(model.name)}: training", wide, top + found.height,
                   tuple(shapes))  # fmt: skip


def _free(box: Box, used: Sequence[float]) -> float:
    """A height at the side of a box, the middle if no other line is there."""
    middle = box.y + box.height / 2
    steps = range(int(box.height / 2) - 3)
    near = (middle + sign * step for step in steps for sign in (-1, 1))
    return next(
        (y for y in near if all(abs(y - other) >= TEXT + 1 for other in used)), middle
    )


def _backwards(
    found: Layout, boxes: Mapping[Id, Box], behind: Mapping[Id, Label], across: float
) -> Iterator[Edge]:
    """The edges the other way, in the mirror, where epsilon goes."""
    for edge in found.edges:
        if edge.source not in behind or (
            edge.target is not None and edge.target not in behind
        ):
            continue
        box = boxes.get(edge.source)
        begins = box is not None and _touches(edge.points[0], box)
        points = tuple((across - x, y) for x, y in reversed(edge.points))
        yield replace(edge, points=points, ends=begins)


def _touches(point: Point, box: Box) -> bool:
    x, y = point
    return (box.x - NEAR <= x <= box.x + box.width + NEAR
            and box.y - NEAR <= y <= box.y + box.height + NEAR)  # fmt: skip


def _lines(
    styles: Sequence[tuple[str, str]], y: float
) -> tuple[list[Shape], float, float]:
    """What the lines mean."""
    shapes: list[Shape] = []
    x = float(MARGIN)
    for style, words in styles:
        shapes.append(Line((x, y + 6), (("L", ((x + 26, y + 6),)),), style, arrow=True,
                           dashed=style == "kept"))  # fmt: skip
        shapes.append(Text(x + 32, y + 10, ((words, TEXT, "soft"),), "start"))
        x += 32 + width(words, TEXT) + 16
    return shapes, y + 16, x


def _summary(plan: Plan, nodes: Mapping[str, Node]) -> str:
    """What a step costs."""
    kept = sum(one.kept for one in costs(plan).values())
    g = sum(4 * entries(p.shape) for n in nodes.values() if n.owner is n
            for p in n.spec.theta.values() if not p.buffer)  # fmt: skip
    batch = next((plan.regions[r].shape[0] for r in plan.inputs.values()), 1)
    return (
        f"batch {batch}  ·  {count(plan.macs)} MACs forward  ·  {megabytes(kept)} kept "
        f"for the adjoint  ·  {megabytes(g)} of parameters learn  ·  an arena of "
        f"{megabytes(plan.bytes)}"
    )
