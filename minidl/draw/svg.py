"""SVG: text only, light and dark; it needs no program outside to make or to see."""

from __future__ import annotations

from html import escape

from .drawing import Point
from .picture import SHADES, TIP, Line, Picture, Rect, Text, number

FONT = "Helvetica, Arial, 'DejaVu Sans', sans-serif"


def _style(picture: Picture, dark: int) -> str:
    used, rules = {"ground"}, []
    for one in picture.shapes:
        used |= {s for *_, s in one.runs} if isinstance(one, Text) else {one.style}
    for name, shades in SHADES.items():
        if name not in used:
            continue
        fill, stroke = shades[dark]
        colours = f"fill:{fill or 'none'};stroke:{stroke or 'none'}"
        rules.append(f".minidl .{name}{{{colours}}}")
    rules.append(f".minidl .tip{{fill:{SHADES['edge'][dark][1]}}}")
    return "\n".join(rules)


def svg(picture: Picture) -> str:
    """The picture as an SVG document."""
    w, h = number(picture.width), number(picture.height)
    dark = _style(picture, 1)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" '
            f'viewBox="0 0 {w} {h}" class="minidl" role="img">',
            f"<title>{escape(picture.title)}</title>",
            "<style>",
            f".minidl text{{font-family:{FONT};pointer-events:none}}",
            ".minidl text .ink{font-weight:bold}",
            _style(picture, 0),
            f"@media screen and (prefers-color-scheme:dark){{\n{dark}\n}}",
            "</style>",
            '<marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" '
            f'markerWidth="{TIP}" markerHeight="{TIP}" markerUnits='
            '"userSpaceOnUse" orient="auto">'
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
            f'<rect class="{one.style}" x="{number(one.x)}" y="{number(one.y)}" '
            f'width="{number(one.width)}" height="{number(one.height)}" '
            f'rx="{number(one.radius)}" stroke-width="{number(one.thick)}"',
            "rect", one.title,
        )  # fmt: skip
    if isinstance(one, Line):
        path = f"M{_at(one.start)}"
        for kind, points in one.pieces:
            path += kind + " ".join(map(_at, points))
        dash = ' stroke-dasharray="5 4"' if one.dashed else ""
        tip = ' marker-end="url(#tip)"' if one.arrow else ""
        return _hover(
            f'<path class="{one.style}" d="{path}{"z" * one.filled}" '
            f'stroke-width="{number(one.thick)}"{dash}{tip}',
            "path", one.title,
        )  # fmt: skip
    runs = "".join(
        f'<tspan class="{style}" font-size="{number(size)}">{escape(text)}</tspan>'
        for text, size, style in one.runs
    )
    return (
        f'<text x="{number(one.x)}" y="{number(one.y)}" text-anchor="{one.anchor}" '
        f'xml:space="preserve">{runs}</text>'
    )


def _at(point: Point) -> str:
    return f"{number(point[0])} {number(point[1])}"


def _hover(start: str, tag: str, title: str) -> str:
    if not title:
        return f"{start}/>"
    return f"{start}><title>{escape(title)}</title></{tag}>"
