"""Pictures of a few shapes, which every format draws: rectangles, lines, text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from .drawing import HEAD, LINE, MARGIN, TEXT, Box, Edge, Frame, Layout, Point
from .label import width

# style: (fill, stroke) on light and on dark ground
SHADES = {
    "data": (("#f4f4f4", "#555555"), ("#2b2b2b", "#bbbbbb")),
    "linear": (("#dcebf7", "#0072b2"), ("#12304a", "#56b4e9")),
    "pool": (("#d9f2e6", "#009e73"), ("#0d3a2c", "#2fd0a0")),
    "act": (("#fdeccc", "#c47a00"), ("#43300a", "#e69f00")),
    "norm": (("#f8e3ef", "#b0578d"), ("#42213a", "#e08fc0")),
    "shape": (("#eceae4", "#7a7463"), ("#34322a", "#b3ab93")),
    "loss": (("#fbe0d3", "#d55e00"), ("#47200c", "#ff8a3c")),
    "other": (("#fbf8cf", "#8d8500"), ("#3d3a0c", "#f0e442")),
    "block": (("#ffffff", "#14171a"), ("#1c2024", "#f2f2f2")),
    "ground": (("#ffffff", None), ("#14171a", None)),
    "frame": (("#f7f8f9", "#c3c9cf"), ("#1a1e22", "#454c53")),
    "inner": (("#ffffff", "#c3c9cf"), ("#14171a", "#454c53")),
    "edge": ((None, "#7b828a"), (None, "#8a929a")),
    "grid": ((None, "#dfe3e6"), (None, "#31373d")),
    "heat0": (("#e3f0f9", None), ("#12304a", None)),
    "heat1": (("#b9d9ef", None), ("#1a4a72", None)),
    "heat2": (("#86bde2", None), ("#2568a0", None)),
    "heat3": (("#4e9bd0", None), ("#3b8bc8", None)),
    "heat4": (("#1f78b8", None), ("#6fb4e6", None)),
    "heat5": (("#0b4f84", None), ("#bfe1fa", None)),
    "same": (("#f7f8f9", "#b4bac0"), ("#1e2226", "#596067")),
    "added": (("#d6f1e7", "#00795a"), ("#0d3a2c", "#2fd0a0")),
    "removed": (("#fbdfd0", "#c04a00"), ("#4a1f0a", "#ff8a3c")),
    "changed": (("#fff3c4", "#9a7700"), ("#43380a", "#f0c93a")),
    "gradient": ((None, "#d55e00"), (None, "#ff8a3c")),
    "kept": ((None, "#b0578d"), (None, "#e08fc0")),
    "came": ((None, "#00795a"), (None, "#2fd0a0")),
    "went": ((None, "#c04a00"), (None, "#ff8a3c")),
    "peak": ((None, "#d55e00"), (None, "#ff8a3c")),
    "ink": (("#14171a", None), ("#f2f2f2", None)),
    "soft": (("#4a4f55", None), ("#b9bec4", None)),
}  # fmt: skip
DASHED = ("went",)  # lines
MARKS = ("peak",)  # drawn as a second line around a box
ROUND = 7  # the radius of corners
TIP = 8  # the length of an arrow's head

Pieces = tuple[tuple[str, tuple[Point, ...]], ...]


@dataclass(frozen=True)
class Rect:
    """A rectangle; hovering over it shows the title."""

    x: float
    y: float
    width: float
    height: float
    style: str
    radius: float = 6
    title: str = ""
    thick: float = 1.3


@dataclass(frozen=True)
class Line:
    """A curve of straight ("L", 1 point) and cubic ("C", 3 points) pieces."""

    start: Point
    pieces: Pieces
    style: str = "edge"
    arrow: bool = False
    dashed: bool = False
    filled: bool = False
    title: str = ""
    thick: float = 1.4


@dataclass(frozen=True)
class Text:
    """A line of text: runs, of which some are bold; y is its base line."""

    x: float
    y: float
    runs: tuple[tuple[str, float, str], ...]  # text, size, style: "ink" is bold
    anchor: str = "middle"


Shape = Rect | Line | Text


@dataclass(frozen=True)
class Picture:
    """Shapes from back to front."""

    title: str
    width: float
    height: float
    shapes: tuple[Shape, ...]


def number(value: float, digits: int = 2) -> str:
    """A coordinate, as short as it can be said.

    Examples
    --------
    >>> number(12.0), number(0.126), number(1234567.5), number(-0.001)
    ('12', '0.13', '1234567.5', '0')
    """
    text = f"{value:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def tip(line: Line) -> tuple[Point, Point, Point]:
    """The arrow's head: a triangle at the end of a line."""
    ends = [line.start, *(point for _, points in line.pieces for point in points)]
    x, y = ends[-1]
    px, py = next((p for p in reversed(ends) if p != (x, y)), (x, y - 1))
    long = math.hypot(x - px, y - py)
    dx, dy = TIP * (x - px) / long, TIP * (y - py) / long
    side = 0.45
    return (
        (x - dx - side * dy, y - dy + side * dx), (x, y),
        (x - dx + side * dy, y - dy - side * dx),
    )  # fmt: skip


def corners(one: Rect) -> tuple[Point, Pieces]:
    """The outline of a rectangle as a curve that ends where it starts."""
    r = max(min(one.radius, one.width / 2, one.height / 2), 0)
    k = r * 0.4477  # from a corner to where a curve like a quarter of a circle pulls
    left, top = one.x, one.y
    right, bottom = left + one.width, top + one.height
    pieces: list[tuple[str, tuple[Point, ...]]] = []
    for x, y, dx, dy in (
        (right, top, 1, 0), (right, bottom, 0, 1), (left, bottom, -1, 0),
        (left, top, 0, -1),
    ):  # fmt: skip
        begin, end = (x - r * dx, y - r * dy), (x - r * dy, y + r * dx)
        pulls = (x - k * dx, y - k * dy), (x - k * dy, y + k * dx)
        pieces += [("L", (begin,)), ("C", (*pulls, end))]
    return (left + r, top), tuple(pieces)


def paint(
    drawing: Layout, title: str, caption: str = "",
    look: Callable[[Edge], str] = lambda edge: "edge",
) -> Picture:  # fmt: skip
    """A layout as shapes, and perhaps a caption under it, behind the title; `look`
    says in which style an edge is drawn."""
    shapes: list[Shape] = [*map(_frame, drawing.frames)]
    shapes += (_edge(one, look(one)) for one in drawing.edges)
    for frame in drawing.frames:
        if frame.title:
            words = ((frame.title, TEXT, "ink"),)
            shapes.append(Text(frame.x + 9, frame.y + 16, words, "start"))
    for box in drawing.boxes:
        shapes += _box(box)
    wide, high = drawing.width, drawing.height
    if caption:
        caption = f"  {caption}"
        both = 1.1 * width(title, HEAD) + width(caption, TEXT)
        wide, high = max(wide, math.ceil(both) + 2 * MARGIN), high + LINE
        runs = ((title, HEAD, "ink"), (caption, TEXT, "soft"))
        shapes.append(Text(MARGIN, high - MARGIN / 2, runs, "start"))
    return Picture(title, wide, high, tuple(shapes))


def _frame(one: Frame) -> Rect:
    style = "inner" if one.level % 2 == 0 else "frame"
    return Rect(one.x, one.y, one.width, one.height, style, 10, thick=1)


def _box(box: Box) -> Iterator[Shape]:
    text, middle = box.label, box.x + box.width / 2
    yield Rect(box.x, box.y, box.width, box.height, text.family, title=text.title)
    if text.mark in MARKS:
        yield Rect(box.x, box.y, box.width, box.height, text.mark, thick=4)
    y = box.y + LINE + 1
    head = ((text.head, HEAD, "ink"),)
    op = ((f"  {text.op}", TEXT, "soft"),) if text.op else ()
    yield Text(middle, y, (*head, *op))
    for i, line in enumerate(text.lines, 1):
        yield Text(middle, y + i * LINE, ((line, TEXT, "soft"),))


def _edge(edge: Edge, style: str) -> Line:
    pieces = _corners(edge.points) if edge.square else _curve(edge.points)
    return Line(
        edge.points[0], tuple(pieces), style, arrow=edge.ends, dashed=style in DASHED
    )


def _curve(points: Sequence[Point]) -> Iterator[tuple[str, tuple[Point, ...]]]:
    """Vertical stretches as lines, the rest as curves that begin and end vertically."""
    (x0, y0), *rest = points
    for x, y in rest:
        middle = (y0 + y) / 2
        if x == x0:
            yield "L", ((x, y),)
        else:
            yield "C", ((x0, middle), (x, middle), (x, y))
        x0, y0 = x, y


def _corners(points: Sequence[Point]) -> Iterator[tuple[str, tuple[Point, ...]]]:
    """Straight pieces with rounded corners."""
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        a, b = _towards(corner, before), _towards(corner, after)
        yield "L", (a,)
        yield "C", (corner, corner, b)
    yield "L", (points[-1],)


def _towards(corner: Point, to: Point) -> Point:
    """The point near a corner where its rounding begins."""
    dx, dy = to[0] - corner[0], to[1] - corner[1]
    length = abs(dx) + abs(dy)
    share = min(ROUND, length / 2) / length if length else 0
    return corner[0] + dx * share, corner[1] + dy * share
