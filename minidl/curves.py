"""The curves of a run as one SVG: loss on the left, accuracy on the right."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import floor, log10

from .resume import Epoch

WIDTH, HEIGHT, LEFT, TOP = 360, 240, 52, 40  # of a panel, and of its margins
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #333 }
.grid { stroke: #ddd } .a { stroke: #0072b2 } .b { stroke: #d55e00 }
polyline { fill: none; stroke-width: 2 }
circle.a { fill: #0072b2 } circle.b { fill: #d55e00 }
rect { fill: #fff }
@media (prefers-color-scheme: dark) {
  text { fill: #ddd } .grid { stroke: #444 } rect { fill: #16181d }
  .a { stroke: #56b4e9 } circle.a { fill: #56b4e9 }
  .b { stroke: #e69f00 } circle.b { fill: #e69f00 }
}
"""

Line = tuple[str, str, list[tuple[float, float]]]  # class, name, points


def picture(name: str, rows: Sequence[Epoch]) -> str:
    """Training and held-out loss, and accuracy and top 5, over the epochs.

    Examples
    --------
    >>> rows = [Epoch(1, 0.5, 0.1, 2.0, 0.9), Epoch(2, 0.25, 0.1, 2.0, 0.95)]
    >>> picture("net", rows).count("<polyline")
    2
    """
    losses: list[Line] = [
        ("a", "training", [(r.epoch, r.loss) for r in rows]),
        ("b", "held out",
         [(r.epoch, r.held_loss) for r in rows if r.held_loss is not None]),
    ]  # fmt: skip
    shares: list[Line] = [
        ("a", "accuracy",
         [(r.epoch, r.accuracy) for r in rows if r.accuracy is not None]),
        ("b", "top 5", [(r.epoch, r.top5) for r in rows if r.top5 is not None]),
    ]  # fmt: skip
    width, height = 2 * (WIDTH + LEFT) + 24, HEIGHT + TOP + 40
    inside = panel(LEFT, "loss", losses) + panel(2 * LEFT + WIDTH, "held out", shares)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">'
        f"<title>{escape(name)}: {len(rows)} epochs</title><style>{STYLE}</style>"
        f'<rect width="{width}" height="{height}"/>{inside}</svg>\n'
    )


def panel(left: int, title: str, lines: Sequence[Line]) -> str:
    """One pair of axes with its lines; empty where nothing was measured."""
    lines = [line for line in lines if line[2]]
    if not lines:
        return ""
    xs = [x for _, _, points in lines for x, _ in points]
    ys = [y for _, _, points in lines for _, y in points]
    marks = ticks(min(ys), max(ys))
    low, high = min(marks[0], *ys), max(marks[-1], *ys)
    start, end = min(xs), max(max(xs), min(xs) + 1)

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            left + WIDTH * (x - start) / (end - start),
            TOP + HEIGHT * (high - y) / (high - low),
        )

    found = [f'<text x="{left}" y="{TOP - 18}" font-weight="600">{title}</text>']
    for mark in marks:
        _, y = place(start, mark)
        found.append(
            f'<line class="grid" x1="{left}" x2="{left + WIDTH}" y1="{y:.1f}" '
            f'y2="{y:.1f}"/><text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">'
            f"{mark:g}</text>"
        )
    for at in sorted({int(start), int(end)}):
        x, _ = place(at, low)
        found.append(
            f'<text x="{x:.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{at}'
            "</text>"
        )
    found.append(
        f'<text x="{left + WIDTH / 2}" y="{TOP + HEIGHT + 18}" text-anchor="middle">'
        "epoch</text>"
    )
    for i, (kind, name, points) in enumerate(lines):
        placed = [place(*point) for point in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        x, y = placed[-1]
        at = left + WIDTH - 130 + 70 * i
        found.append(
            f'<polyline class="{kind}" points="{path}"/>'
            f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
            f'<circle class="{kind}" cx="{at}" cy="{TOP - 22}" r="4"/>'
            f'<text x="{at + 8}" y="{TOP - 18}">{name}</text>'
        )
    return "".join(found)


def ticks(low: float, high: float) -> list[float]:
    """Round numbers around a range, 1, 2 or 5 times a power of ten apart.

    Examples
    --------
    >>> ticks(0.1, 2.3)
    [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    """
    span = (high - low) or abs(high) or 1.0
    power: float = 10.0 ** floor(log10(span))
    step = next(
        power * s for s in (0.1, 0.2, 0.5, 1, 2) if span / (power * s) <= 6
    )
    first = floor(low / step)
    count = 0
    while (first + count) * step < high - 1e-9 * span:
        count += 1
    return [round((first + i) * step, 12) for i in range(max(count, 1) + 1)]
