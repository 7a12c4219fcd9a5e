"""What stands around a drawing: its title, lines of text, what the colours mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

from .drawing import LINE, MARGIN, TEXT
from .label import width
from .picture import Line, Rect, Shape, Text

TITLE = 17  # font size


def heading(title: str, lines: Sequence[str]) -> tuple[list[Shape], float, float]:
    """A title with lines below it; where they end below and at the right."""
    y = MARGIN + 14.0
    shapes: list[Shape] = [Text(MARGIN, y, ((title, TITLE, "ink"),), "start")]
    for line in lines:
        y += LINE + 2
        shapes.append(Text(MARGIN, y, ((line, TEXT, "soft"),), "start"))
    right = max([width(title, TITLE) * 1.1, *(width(line, TEXT) for line in lines)])
    return shapes, y + 12, MARGIN + right


def key(
    styles: Sequence[tuple[str, str]], x: float, y: float
) -> tuple[list[Shape], float, float]:
    """What the colours mean, in a row; where it ends below and at the right."""
    shapes: list[Shape] = []
    for style, words in styles:
        shapes.append(Rect(x, y, 12, 12, style, 2, thick=1))
        shapes.append(Text(x + 17, y + 10, ((words, TEXT, "soft"),), "start"))
        x += 17 + width(words, TEXT) + 14
    return shapes, y + 12 * bool(styles), x


def moved(one: Shape, dx: float, dy: float) -> Shape:
    """The shape somewhere else."""
    if isinstance(one, Line):
        x, y = one.start
        pieces = tuple(
            (kind, tuple((px + dx, py + dy) for px, py in points))
            for kind, points in one.pieces
        )
        return replace(one, start=(x + dx, y + dy), pieces=pieces)
    return replace(one, x=one.x + dx, y=one.y + dy)


def ticks(most: int) -> list[int]:
    """Round numbers from 0 up to `most`, at most nine.

    Examples
    --------
    >>> ticks(187), ticks(3)
    ([0, 50, 100, 150], [0, 1, 2, 3])
    """
    units = (m * 10**power for power in count() for m in (1, 2, 5))
    unit = next(unit for unit in units if most <= 8 * unit)
    return list(range(0, most + 1, unit))
