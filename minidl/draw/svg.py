"""SVG: text only, light and dark; it needs no program outside to make or to see."""

from __future__ import annotations

from html import escape

from .layout import HEAD, LINE, TEXT, Box, Edge, Layout

# family: (fill, border) on light and on dark ground
SHADES = {
    "data": (("#f4f4f4", "#555555"), ("#2b2b2b", "#bbbbbb")),
    "linear": (("#dcebf7", "#0072b2"), ("#12304a", "#56b4e9")),
    "pool": (("#d9f2e6", "#009e73"), ("#0d3a2c", "#2fd0a0")),
    "act": (("#fdeccc", "#c47a00"), ("#43300a", "#e69f00")),
    "norm": (("#f8e3ef", "#b0578d"), ("#42213a", "#e08fc0")),
    "shape": (("#eceae4", "#7a7463"), ("#34322a", "#b3ab93")),
    "loss": (("#fbe0d3", "#d55e00"), ("#47200c", "#ff8a3c")),
    "other": (("#fbf8cf", "#8d8500"), ("#3d3a0c", "#f0e442")),
}
GROUND, INK, SOFT, LINES = (
    ("#ffffff", "#14171a"), ("#14171a", "#f2f2f2"), ("#4a4f55", "#b9bec4"),
    ("#8a9097", "#7d848c"),
)


def _style(dark: int) -> str:
    rules = [
        f".ground {{ fill: {GROUND[dark]} }}",
        f"text {{ fill: {SOFT[dark]} }} .head {{ fill: {INK[dark]} }}",
        f".edge {{ stroke: {LINES[dark]} }} .tip {{ fill: {LINES[dark]} }}",
    ]
    for family, shades in SHADES.items():
        fill, border = shades[dark]
        rules.append(f".{family} rect {{ fill: {fill}; stroke: {border} }}")
    return "\n".join(rules)


def svg(drawing: Layout, title: str) -> str:
    """The drawing as an SVG document."""
    w, h = f"{drawing.width:g}", f"{drawing.height:g}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" '
            f'viewBox="0 0 {w} {h}" role="img">',
            f"<title>{escape(title)}</title>",
            "<style>",
            "text { font-family: Helvetica, Arial, 'DejaVu Sans', sans-serif; "
            f"font-size: {TEXT}px; text-anchor: middle }}",
            f".head {{ font-size: {HEAD}px; font-weight: bold }}",
            "rect { stroke-width: 1.5 } .edge { fill: none; stroke-width: 1.5 }",
            _style(0),
            f"@media (prefers-color-scheme: dark) {{\n{_style(1)}\n}}",
            "</style>",
            f'<rect class="ground" width="{w}" height="{h}"/>',
            '<marker id="tip" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" '
            'markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">'
            '<path class="tip" d="M0 0.5 8 4 0 7.5z"/></marker>',
            *map(_edge, drawing.edges),
            *map(_box, drawing.boxes),
            "</svg>",
            "",
        ]
    )


def _edge(edge: Edge) -> str:
    """Vertical stretches as lines, the rest as curves that begin and end vertically."""
    (x0, y0), *rest = edge.points
    path = [f"M{x0:g} {y0:g}"]
    for x, y in rest:
        middle = (y0 + y) / 2
        path.append(
            f"V{y:g}" if x == x0 else f"C{x0:g} {middle:g} {x:g} {middle:g} {x:g} {y:g}"
        )
        x0, y0 = x, y
    return f'<path class="edge" d="{" ".join(path)}" marker-end="url(#tip)"/>'


def _box(box: Box) -> str:
    middle, y = f"{box.x + box.width / 2:g}", box.y + LINE + 4
    head, *lines = (escape(line) for line in (box.label.head, *box.label.lines))
    text = [f'<text class="head" x="{middle}" y="{y:g}">{head}</text>']
    for i, line in enumerate(lines, 1):
        text.append(f'<text x="{middle}" y="{y + i * LINE:g}">{line}</text>')
    return (
        f'<g class="{box.label.family}"><title>{escape(box.label.title)}</title>'
        f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" '
        f'height="{box.height:g}" rx="8"/>{"".join(text)}</g>'
    )
