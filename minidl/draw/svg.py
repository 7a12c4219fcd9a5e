"""SVG: text only, light and dark; it needs no program outside to make or to see."""

from __future__ import annotations

from html import escape

from .picture import SHADES, Line, Picture, Rect, Text

FONT = "Helvetica, Arial, 'DejaVu Sans', sans-serif"


def _style(dark: int) -> str:
    rules = []
    for name, shades in SHADES.items():
        fill, stroke = shades[dark]
        rules.append(f".{name}{{fill:{fill or 'none'};stroke:{stroke or 'none'}}}")
    rules.append(f".tip{{fill:{SHADES['edge'][dark][1]}}}")
    return "\n".join(rules)


def svg(picture: Picture) -> str:
    """The picture as an SVG document."""
    w, h = f"{picture.width:g}", f"{picture.height:g}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" '
            f'viewBox="0 0 {w} {h}" role="img">',
            f"<title>{escape(picture.title)}</title>",
            "<style>",
            f"text{{font-family:{FONT};pointer-events:none}}",
            "text .ink{font-weight:bold} .edge{stroke-width:1.4}",
            _style(0),
            f"@media screen and (prefers-color-scheme:dark){{\n{_style(1)}\n}}",
            "</style>",
            '<marker id="tip" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" '
            'markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">'
            '<path class="tip" d="M0 0.5 8 4 0 7.5z"/></marker>',
            f'<rect class="ground" width="{w}" height="{h}"/>',
            *map(_shape, picture.shapes),
            "</svg>",
            "",
        ]
    )


def _shape(one: Rect | Line | Text) -> str:
    if isinstance(one, Rect):
        return _hover(
            f'<rect class="{one.style}" x="{one.x:g}" y="{one.y:g}" '
            f'width="{one.width:g}" height="{one.height:g}" rx="{one.radius:g}" '
            f'stroke-width="{one.thick:g}"', "rect", one.title,
        )  # fmt: skip
    if isinstance(one, Line):
        path = f"M{one.start[0]:g} {one.start[1]:g}"
        for kind, points in one.pieces:
            path += kind + " ".join(f"{x:g} {y:g}" for x, y in points)
        dash = ' stroke-dasharray="5 4"' if one.dashed else ""
        tip = ' marker-end="url(#tip)"' if one.arrow else ""
        return _hover(
            f'<path class="{one.style}" d="{path}{"z" * one.filled}"{dash}{tip}',
            "path", one.title,
        )  # fmt: skip
    runs = "".join(
        f'<tspan class="{style}" font-size="{size:g}">{escape(text)}</tspan>'
        for text, size, style in one.runs
    )
    space = ' xml:space="preserve"'
    return (
        f'<text x="{one.x:g}" y="{one.y:g}" text-anchor="{one.anchor}"{space}>'
        f"{runs}</text>"
    )


def _hover(start: str, tag: str, title: str) -> str:
    if not title:
        return f"{start}/>"
    return f"{start}><title>{escape(title)}</title></{tag}>"
