"""Laws of the pictures of the whole zoo, asserted from their coordinates."""

import subprocess
import sys
from functools import cache
from xml.etree import ElementTree

import numpy as np
import pytest

import minidl as dl
from minidl import draw
from minidl.draw.blocks import scene
from minidl.draw.columns import wrap
from minidl.draw.drawing import HEAD, LINE, TEXT
from minidl.draw.label import width
from minidl.draw.layout import layout
from minidl.draw.picture import Rect, paint
from minidl.draw.svg import svg
from minidl.network import build


@cache
def graph(name):
    return dl.models.get(name)().graph


def rects(ones):
    """Left, top, right, bottom, each a column."""
    found = [(one.x, one.y, one.x + one.width, one.y + one.height) for one in ones]
    return np.array(found, float).reshape(-1, 4).T


def meet(one, other):
    """Which of the rectangles have a point inside in common with which."""
    left, top, right, bottom = (side[:, None] for side in one)
    return (
        (left < other[2]) & (other[0] < right) & (top < other[3]) & (other[1] < bottom)
    )


def segments(edges):
    """The rectangles around the pieces of all edges, a hair wide."""
    found = [
        (min(x0, x1) - 0.5, min(y0, y1) + 0.5, max(x0, x1) + 0.5, max(y0, y1) - 0.5)
        if y0 != y1 else (min(x0, x1) + 0.5, y0 - 0.5, max(x0, x1) - 0.5, y0 + 0.5)
        for edge in edges
        for (x0, y0), (x1, y1) in zip(edge.points, edge.points[1:], strict=False)
    ]  # fmt: skip
    return np.array(found, float).reshape(-1, 4).T


def lawful(drawing):
    """Boxes apart, edges around them, frames nested, text inside its box."""
    boxes, frames = rects(drawing.boxes), rects(drawing.frames)
    for left, top, right, bottom in (boxes, frames):
        assert (np.array([left, top]) >= 0).all()
        assert (right <= drawing.width).all()
        assert (bottom <= drawing.height).all()
    assert meet(boxes, boxes).sum() == len(drawing.boxes)
    assert not meet(boxes, segments(drawing.edges)).any()
    for inside in (boxes, frames):
        within = (
            (frames[0][:, None] < inside[0]) & (inside[2] < frames[2][:, None])
            & (frames[1][:, None] < inside[1]) & (inside[3] < frames[3][:, None])
        )  # fmt: skip
        related = within if inside is boxes else within | within.T
        if inside is frames:
            related |= np.eye(len(drawing.frames), dtype=bool)
        assert not (meet(frames, inside) & ~related).any()
    for box in drawing.boxes:
        head = width(box.label.head, HEAD) + width(f" {box.label.op}", TEXT)
        assert max(head, *(width(t, TEXT) for t in (*box.label.lines, ""))) < box.width
        assert LINE * (1 + len(box.label.lines)) < box.height
    titles = np.array([
        (one.x + 9, one.y + 5, one.x + 9 + 0.5 * width(one.title, TEXT), one.y + 18)
        for one in drawing.frames if one.title
    ], float).reshape(-1, 4).T  # fmt: skip
    assert not meet(titles, segments(drawing.edges)).any()
    assert not meet(titles, boxes).any()


@pytest.mark.parametrize("name", dl.models.list())
def test_zoo(name):
    for fold in (None, 0):
        shown = scene(graph(name), fold=fold)
        strip = layout(shown)
        lawful(strip)
        found = wrap(strip)
        lawful(found)
        assert len(found.boxes) == len(shown.labels)
        root = ElementTree.fromstring(svg(paint(found, name)))
        assert len(root.findall("{*}rect/{*}title")) == len(shown.labels)
        assert fold is None or len(shown.labels) == len(graph(name))


PRINT = """
import hashlib, minidl as dl
from minidl import draw
for name in ("lenet5", "googlenet", "densenet121"):
    net = dl.models.get(name)()
    costs = net.costs() if name == "googlenet" else None
    for suffix in draw.FORMATS:
        if suffix != ".png":
            data = draw.encode(net, suffix, detail="full", costs=costs)
            print(name, suffix, hashlib.sha256(data).hexdigest())
"""


def test_every_run_makes_the_same_bytes():
    found = {
        subprocess.run(
            [sys.executable, "-c", PRINT], env={"PYTHONHASHSEED": seed},
            capture_output=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(found) == 1
    assert found.pop().count(b"\n") == 3 * (len(draw.FORMATS) - 1)


def wide(n):
    """One node that n others read, and one that reads them."""
    z = dl.Input((3,))
    return dl.concat([dl.dense(z, 3 + i % 7) for i in range(n - 2)])


def long(n):
    """Blocks with a way around them."""
    z = dl.Input((3,))
    for _ in range((n - 1) // 5):
        y = z
        for _ in range(4):
            y = dl.dense(y, 3)
        z = dl.add(y, z)
    return z


def tangled(n):
    """Each reads two of the nodes shortly before it."""
    rng, nodes = np.random.default_rng(0), [dl.Input((3,))]
    for i in range(n - 1):
        a, b = rng.integers(max(0, i - 40), i + 1, 2)
        nodes.append(dl.add(nodes[a], nodes[b]))
    return nodes


def counted(work):
    """How many lines of Python a call runs through, roughly: calls of functions."""
    count = 0

    def note(*_):
        nonlocal count
        count += 1

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("make", [wide, long, tangled])
def test_work_grows_with_the_graph_and_no_faster(make):
    def work(n):
        nodes = make(n)
        graph = build(nodes if isinstance(nodes, list) else [nodes])[0]
        return counted(lambda: draw.encode(graph, ".svg", fold=0))

    small, large = work(300), work(1200)
    assert large < 4 * 1.5 * small, (small, large)


@pytest.mark.parametrize(
    ("make", "fold", "drawn"), [(wide, 0, 5000), (long, 0, 4996), (long, None, 3)]
)
def test_five_thousand_nodes(make, fold, drawn):
    picture = draw.picture(build([make(5000)])[0], fold=fold)
    assert sum(isinstance(one, Rect) and one.title != "" for one in picture.shapes) == (
        drawn
    )


@pytest.mark.parametrize("columns", [2, 5, 50])
def test_columns(columns):
    strip = layout(scene(graph("vgg16"), fold=0))
    found = wrap(strip, columns)
    lawful(found)
    assert len(found.boxes) == len(strip.boxes)
    assert found.width > strip.width
    assert found.height < strip.height
    starts = {edge.points[0] for edge in strip.edges}
    assert len(found.edges) > len(strip.edges) >= len(starts)
    # from the first piece of an edge to the last there is no gap
    ends = [edge.points[-1] for edge in found.edges]
    begins = {edge.points[0] for edge in found.edges}
    for edge in found.edges:
        assert edge.ends or edge.points[-1] in begins or not edge.square
        assert not edge.square or edge.points[0] in ends
