"""What a layout makes: boxes, frames and edges with their coordinates."""

from __future__ import annotations

from dataclasses import dataclass, field

from .fold import Id
from .label import Label

HEAD, TEXT, LINE = 13, 11, 15  # font sizes and line height, in pixels
LANE, TRACK, ROW = 14, 9, 7  # between channels; rows of edges to them; the first
PAD, TITLE, MARGIN = 14, 20, 20  # inside a frame, its title, around the picture

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A node: its text and where it stands (x, y: the top left corner)."""

    name: Id
    label: Label
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Frame:
    """A block: its title and where it stands."""

    title: str
    level: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Edge:
    """A piece of an edge: to a box, or to the frame that it passes.

    Where it is `square` its corners are right angles; else it runs vertically through
    its points.
    """

    source: Id
    target: Id
    points: tuple[Point, ...]
    square: bool = False
    ends: bool = True


@dataclass
class Layout:
    """Boxes, frames and edges in a fixed order, in a drawing of this size."""

    boxes: list[Box] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    width: float = 0
    height: float = 0
    ins: dict[Id, float] = field(default_factory=dict)  # where ports are, across
    outs: dict[Id, float] = field(default_factory=dict)

    def add(self, other: Layout, x: float, y: float) -> None:
        """Put another drawing into this one."""
        for box in other.boxes:
            self.boxes.append(
                Box(box.name, box.label, box.x + x, box.y + y, box.width, box.height)
            )
        for one in other.frames:
            self.frames.append(
                Frame(one.title, one.level + 1, one.x + x, one.y + y, one.width,
                      one.height)
            )  # fmt: skip
        for edge in other.edges:
            points = tuple((px + x, py + y) for px, py in edge.points)
            self.edges.append(
                Edge(edge.source, edge.target, points, edge.square, edge.ends)
            )
