"""Columns: a long drawing is cut where few edges cross, and goes on at the top again.

    | a |        a   c
    | b |   ->   b   d
    | c |
    | d |
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from .drawing import (
    LANE,
    MARGIN,
    PAD,
    ROW,
    TEXT,
    TITLE,
    TRACK,
    Edge,
    Frame,
    Layout,
    Point,
)  # fmt: skip
from .label import width

TALL = 2000  # pixels: what is lower stays in one column
ASPECT = math.sqrt(2)  # width to height: the pages that printers have
MOST = 3  # edges that may cross a cut
WORSE = 0.15  # columns must be so much lower for each frame and edge more that is cut
GUTTER = 24  # between a column and the edges beside it


@dataclass(frozen=True)
class Cut:
    """A height at which only frames and a few edges are cut.

    For each of these edges: its number, and that of the piece which crosses.
    """

    y: float
    edges: tuple[tuple[int, int], ...]
    frames: int = 0

    @property
    def bad(self) -> int:
        """How much of what belongs together it cuts."""
        return self.frames + len(self.edges) - 1


def wrap(drawing: Layout, columns: int | None = None) -> Layout:
    """The drawing in so many columns, if it can be; None: as many as suit a page."""
    if columns == 1 or not drawing.boxes or (not columns and drawing.height <= TALL):
        return drawing
    cuts = _cuts(drawing)
    if columns:
        return _joined(drawing, _chosen(drawing, cuts, columns))
    tried = {1: drawing}
    n = _better(1, drawing, cuts)
    while n not in tried:
        tried[n] = _joined(drawing, _chosen(drawing, cuts, n))
        n = _better(n, tried[n], cuts)
    return min(tried.values(), key=_off)


def _better(n: int, one: Layout, cuts: Sequence[Cut]) -> int:
    """How many columns would bring a drawing in n of them to the shape of a page."""
    better = round(n * math.sqrt(ASPECT * one.height / one.width))
    return max(min(better, len(cuts) + 1), 1)


def _off(one: Layout) -> float:
    return abs(math.log(one.width / one.height / ASPECT))


def _cuts(drawing: Layout) -> list[Cut]:
    """All places where the drawing can be cut, from top to bottom."""
    spans: list[tuple[float, float, tuple[int, int] | None]] = []  # None: no cut here
    for i, edge in enumerate(drawing.edges):
        for k, ((_, y0), (_, y1)) in enumerate(pairwise(edge.points)):
            spans.append((y0, y1, (i, k)) if y0 < y1 else (y0 - 1, y0 + 1, None))
    spans += [(box.y, box.y + box.height, None) for box in drawing.boxes]
    spans += _shores(drawing)
    events = [(low, True, key) for low, _, key in spans]
    events += [(high, False, key) for _, high, key in spans]
    events.sort(key=lambda event: event[:2])
    crossing: dict[tuple[int, int], None] = {}
    blocked, found = 0, []
    for (y, begins, key), (after, *_) in pairwise(events):
        if key is None:
            blocked += 1 if begins else -1
        elif begins:
            crossing[key] = None
        else:
            del crossing[key]
        if y < after and not blocked and 0 < len(crossing) <= MOST:
            found.append(Cut((y + after) / 2, tuple(crossing)))
    for one in drawing.frames:
        begin = bisect_right(found, one.y, key=lambda cut: cut.y)
        end = bisect_right(found, one.y + one.height, key=lambda cut: cut.y)
        found[begin:end] = [replace(c, frames=c.frames + 1) for c in found[begin:end]]
    return found


def _shores(drawing: Layout) -> Iterator[tuple[float, float, None]]:
    """In each frame what lies before its first box and after its last."""
    boxes = sorted(drawing.boxes, key=lambda box: box.y)
    tops = [box.y for box in boxes]
    for one in drawing.frames:
        begin = bisect_right(tops, one.y)
        end = bisect_right(tops, one.y + one.height)
        inside = [
            box for box in boxes[begin:end]
            if one.x <= box.x and box.x + box.width <= one.x + one.width
        ]  # fmt: skip
        yield one.y, min(box.y + box.height for box in inside), None
        yield max(box.y for box in inside), one.y + one.height, None


def _chosen(drawing: Layout, cuts: Sequence[Cut], columns: int) -> list[Cut]:
    """Cuts between blocks, or inside if that makes the columns much lower."""
    best: tuple[float, list[Cut]] | None = None
    for bad in sorted({cut.bad for cut in cuts}):
        good = [cut for cut in cuts if cut.bad <= bad]
        tallest, found = _even(drawing.height, good, columns)
        tallest *= 1 + WORSE * bad
        if best is None or tallest < best[0]:
            best = tallest, found
    return best[1] if best else []


def _even(
    height: float, cuts: Sequence[Cut], columns: int
) -> tuple[float, list[Cut]]:
    """The cuts that make the tallest of the columns as low as it can be."""

    def fill(limit: float) -> tuple[list[Cut], bool]:
        found: list[Cut] = []
        top, at, fits = 0.0, 0, True
        while height - top > limit and at < len(cuts):
            end = bisect_right(cuts, top + limit, key=lambda cut: cut.y)
            fits &= end > at
            at = max(end, at + 1)
            found.append(cuts[at - 1])
            top = found[-1].y
        fits &= height - top <= limit
        return found, fits and len(found) < columns

    low, high = height / columns, height
    while high - low > 1:
        middle = (low + high) / 2
        low, high = (low, middle) if fill(middle)[1] else (middle, high)
    return high, fill(high)[0]


def _joined(drawing: Layout, cuts: Sequence[Cut]) -> Layout:
    """The pieces side by side, and the edges that lead from one to the next."""
    heights = [cut.y for cut in cuts]
    parts = [Layout() for _ in range(len(cuts) + 1)]
    for box in drawing.boxes:
        parts[bisect_right(heights, box.y)].boxes.append(box)
    across: dict[int, list[tuple[int, float]]] = {}  # edge: where it is cut
    for cut in cuts:
        for i, at in cut.edges:
            across.setdefault(i, []).append((at, cut.y))
    for i, edge in enumerate(drawing.edges):
        first = bisect_right(heights, edge.points[0][1])
        for k, piece in enumerate(_pieces(edge, across.get(i, ())), first):
            parts[k].edges.append(piece)
    closed = [  # by each cut, the outermost first
        sorted((f for f in drawing.frames if f.y < y < f.y + f.height),
               key=lambda f: f.level) for y in heights
    ]  # fmt: skip
    for frame in drawing.frames:
        first = bisect_right(heights, frame.y)
        last = bisect_right(heights, frame.y + frame.height)
        for k in range(first, last + 1):
            parts[k].frames.append(_part(frame, k, cuts, closed, drawing))
    found = Layout()
    right, x, y = 0.0, 0.0, 0.0
    for k, part in enumerate(parts):
        low, high = _ends(part)
        if k:
            cut, open_ = cuts[k - 1], len(closed[k - 1])
            many = len(cut.edges)
            lanes = right + GUTTER
            shift = lanes + LANE * (many - 1) + GUTTER - low
            top = MARGIN + TRACK * many + (PAD + TITLE) * open_
            bottom = cut.y + y + PAD * open_ + ROW
            for j, (edge, (x0, _), (x1, _)) in enumerate(_crossing(drawing, cut)):
                back = many - 1 - j  # the rightmost has the innermost bracket
                row, lane, head = bottom + TRACK * back, lanes + LANE * back, MARGIN
                head += TRACK * back
                x0, x1 = x0 + x, x1 + shift
                points = ((x0, cut.y + y), (x0, row), (lane, row), (lane, head),
                          (x1, head), (x1, top))  # fmt: skip
                found.edges.append(Edge(edge.source, None, points, True, False))
                found.height = max(found.height, row)
            x, y = shift, top - cut.y
        found.add(part, x, y)
        right = high + x
    for ones in (found.boxes, found.frames):
        found.height = max([found.height, *(one.y + one.height for one in ones)])
    found.width, found.height = right + MARGIN, found.height + MARGIN
    return found


def _crossing(drawing: Layout, cut: Cut) -> list[tuple[Edge, Point, Point]]:
    """The edges that cross, from left to right, with the piece that does."""
    edges = ((drawing.edges[i], k) for i, k in cut.edges)
    found = [(edge, edge.points[k], edge.points[k + 1]) for edge, k in edges]
    return sorted(found, key=lambda one: (one[2][0], one[1][0]))


def _pieces(edge: Edge, cuts: Sequence[tuple[int, float]]) -> Iterator[Edge]:
    """An edge in the pieces that the cuts leave of it."""
    start: tuple[Point, ...] = ()
    begin = 0
    for k, y in cuts:
        before, after = edge.points[k : k + 2]
        points = (*start, *edge.points[begin : k + 1], (before[0], y))
        yield replace(edge, target=None, points=points, ends=False)
        start, begin = ((after[0], y),), k + 1
    yield replace(edge, points=(*start, *edge.points[begin:]))


def _part(
    frame: Frame, k: int, cuts: Sequence[Cut], closed: Sequence[Sequence[Frame]],
    drawing: Layout,
) -> Frame:  # fmt: skip
    """What a frame is in column k: closed at a cut, and opened again after it."""
    top, bottom, title = frame.y, frame.y + frame.height, frame.title
    if k and frame in closed[k - 1]:
        inside = len(closed[k - 1]) - closed[k - 1].index(frame)
        top = cuts[k - 1].y - inside * (PAD + TITLE)
        arrive = min(point[0] for *_, point in _crossing(drawing, cuts[k - 1]))
        title = f"{title}  …" if title else ""
        if frame.x + PAD + width(title, TEXT) > arrive:
            title = ""
    if k < len(cuts) and frame in closed[k]:
        bottom = cuts[k].y + (len(closed[k]) - closed[k].index(frame)) * PAD
    return replace(frame, title=title, y=top, height=bottom - top)


def _ends(part: Layout) -> tuple[float, float]:
    """The leftmost and the rightmost place."""
    places = [x for edge in part.edges for x, _ in edge.points]
    for ones in (part.boxes, part.frames):
        places += [x for one in ones for x in (one.x, one.x + one.width)]
    return min(places), max(places)
